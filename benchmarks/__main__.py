"""``python3 run.py bench [NAME…] [--size small|full] [--json FILE]``."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
try:
    import presage  # noqa: F401 - installed, or beside us
except ImportError:
    sys.path.insert(0, str(ROOT / "package"))

from benchmarks.core import Result, machine, table, write_json  # noqa: E402

#: Name → module with ``run(size, scratch folder)``, or ``module:function`` of another one,
#: imported when it is asked for. What stands before a point names all that begin so.
BENCHMARKS = {
    "import": "startup",
    "generation": "generation",
    "loop": "loop",
    "memory": "memory",
    "batches": "batches",
    "principal": "principal",
    "binning": "binning",
    "models": "models",
    "posterior": "posterior",
    "accuracy": "accuracy",
    "refine": "refine",
    "zoo": "zoo.run",
    "dashboard": "dashboard",
    "event_sets.generation": "event_sets:generation",
    "event_sets.epoch": "event_sets:epoch",
    "event_sets.processes": "event_sets:processes",
    "event_sets.memory": "event_sets:memory",
    "sky.simulation": "sky_simulation",
    "sky.network": "sky_network",
    "amp.cache": "amp:cache",
    "amp.students": "amp:students",
}


def _listed(text: str) -> list[str]:
    return text.split(",")


#: Option → the benchmarks that take it, what it is to them, and how it is read.
OPTIONS: dict[str, tuple[tuple[str, ...], str, dict[str, Any]]] = {
    "problems": (("posterior",), "those compared", {"type": _listed, "metavar": "NAME,NAME"}),
    "shapes": (("zoo",), "those measured", {"type": _listed, "metavar": "NAME,NAME"}),
    "seeds": (("zoo",), "trainings of each shape", {"type": int}),
    "purpose": (("zoo",), "other seeds and labels to choose settings by",
                {"choices": ("report", "settings")}),
    "teacher": (("amp.cache", "amp.students"), "the LSTM's weights", {"metavar": "FILE"}),
    "device": (("amp.students",), "auto, cpu, cuda", {}),
    "minutes": (("amp.students",), "what all of it takes", {"type": float}),
    "report": (("amp.students", "zoo"), "where tables and files go",
               {"type": Path, "metavar": "FOLDER"}),
}  # fmt: skip


def main() -> int:
    """Run the named benchmarks; 1 where a bar was missed or a benchmark failed."""
    parser = argparse.ArgumentParser(prog="python3 run.py bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--size", choices=("small", "full"), default="full")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here")
    parser.add_argument("--scratch", type=Path, help="where data are written; needs 10 GB for full")
    for option, (names, what, how) in OPTIONS.items():
        parser.add_argument(f"--{option}", help=f"of {' and '.join(names)}: {what}", **how)
    options = parser.parse_args()
    groups = {name.partition(".")[0] for name in BENCHMARKS}
    unknown = [name for name in options.names if name not in {*BENCHMARKS, *groups}]
    wanted = [
        known
        for name in options.names
        for known in BENCHMARKS
        if name in (known, known.partition(".")[0])
    ]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there is {', '.join(BENCHMARKS)}")
    if not sys.warnoptions:
        os.environ.setdefault("PYTHONWARNINGS", "ignore")
    print(f"{machine()['processor']}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    results: list[Result] = []
    failed = 0
    for name in wanted or BENCHMARKS:
        with tempfile.TemporaryDirectory(prefix="presage-bench-", dir=options.scratch) as folder:
            print(f"\n{name} ({options.size})", flush=True)
            try:
                module, _, function = BENCHMARKS[name].partition(":")
                run = getattr(importlib.import_module(f"benchmarks.{module}"), function or "run")
                given = {
                    o: getattr(options, o) for o, (names, *_) in OPTIONS.items() if name in names
                }
                extra = {option: value for option, value in given.items() if value is not None}
                found = run(options.size, Path(folder), **extra)
            except Exception:  # noqa: BLE001 - one failure must not hide the others
                traceback.print_exc()
                found = [Result(name, None, "", note="failed, see above")]
                failed += 1
            print(table(found), flush=True)
            results += found
        if options.json:
            write_json(options.json, results, options.size)
    missed = [r.name for r in results if r.verdict == "missed"]
    if missed:
        print(f"\nmissed: {', '.join(missed)}")
    return 1 if missed or failed else 0


if __name__ == "__main__":
    sys.exit(main())
