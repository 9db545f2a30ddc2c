"""Commands whose n-th call of the system fails, whoever makes it: no crash, no traceback.

`shim.c`, compiled and preloaded, lets one call fail below the process: Python, HDF5,
PyTorch and Rust alike. Each case is a child forked from a process that has everything
imported. Run as

    python -m faults.below FOLDER [COMMAND ...] [--every N]

(with ``tests`` on the path); it prints for each command how many cases there were and
what went wrong: ``signal`` (it crashed), ``traceback``, ``false success`` (it said that
all is well, and its product is damaged), ``torn`` (it failed, and left a file that looks
whole), ``rerun`` (the same command afterwards fails, warns, or leaves something behind).
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from safetensors.torch import load_file

import fit_toys

HERE = Path(__file__).resolve().parent
ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO}
WRITING = {"create", "write", "fsync", "truncate", "link", "rename", "mkdir", "fopen"}
#: Any tree of the tests: three labels, two columns.
EVENTS = {"n": ("sample", np.repeat([1, 2, 3], 40)), "x": ("sample", np.arange(120, dtype="f4"))}


@dataclass(frozen=True)
class Command:
    """A command line; ``{root}`` is the folder of the case.

    Parameters
    ----------
    arguments
        Of ``presage``.
    product
        Called with the folder; returns what the command made, as text that can be compared;
        raises where there is none.
    """

    arguments: tuple[str, ...]
    product: Callable[[Path], str]


def named(words: str, root: Path) -> str:
    """Put the folder of a case, and the keys of what `prepare` made, into a command's word."""
    for name in ("key", "model"):
        if f"{{{name}}}" in words:
            words = (root.parent / name).read_text(encoding="utf-8")
    return words.replace("{root}", str(root))


def said(root: Path) -> str:
    """What it printed is its product."""
    lines = (root.parent / f"{root.name}.out").read_text(encoding="utf-8")
    return lines.replace(str(root), "ROOT")


def exported(name: str) -> Callable[[Path], str]:
    def read(root: Path) -> str:
        from presage.exchange import read_file

        path = root / name
        if path.suffix == ".safetensors":
            return str({n: t.tolist() for n, t in load_file(path).items()})
        if path.suffix == ".npy":
            return str(np.load(path).tobytes().hex())
        if path.suffix == ".root":
            import uproot

            with uproot.open(path) as file:
                return str({k: v.tolist() for k, v in file["Events"].arrays(library="np").items()})
        return shown(read_file(path))

    return read


def stored(producer: str) -> Callable[[Path], str]:
    def read(root: Path) -> str:
        from presage.store import Store

        store = Store(root / "store")
        (entry,) = [e for e in store.list() if e.producer == producer]
        if entry.kind == "files":
            from presage.fitting import load

            fitted = load(entry.key, store)
            weights = {n: t.tolist() for n, t in fitted.network.state_dict().items()}
            return f"{weights} {shown(fitted.history)}"
        return shown(store.open(entry.key))

    return read


def imported(root: Path) -> str:
    return stored("adopted")(root)


def shown(dataset: xr.Dataset) -> str:
    values = {str(n): np.asarray(v.values).tolist() for n, v in sorted(dataset.variables.items())}
    for timed in ("seconds", "time"):
        values.pop(timed, None)
    return json.dumps(values)


def commands() -> dict[str, Command]:
    found = {
        f"export {suffix}": Command(
            ("store", "export", "{key}", "{root}/out." + suffix), exported(f"out.{suffix}")
        )
        for suffix in ("nc", "h5", "npz", "npy", "pt", "root")
    }
    found |= {
        f"import {suffix}": Command(
            ("store", "import", "{root}/in." + suffix, "--name", "in"), imported
        )
        for suffix in ("nc", "h5", "npz", "pt")
    }
    for suffix, producer in (("npy", "numpy-events"), ("root", "root-events")):
        command = ("store", "import", f"{{root}}/{suffix}.toml")
        found[f"import {suffix}"] = Command(command, stored(producer))
    for name, path in (("weights", "out.safetensors"), ("history", "history.h5")):
        command = ("store", "export", "{model}", f"{{root}}/{path}")
        found[f"export {name}"] = Command(command, exported(path))
    settings = ["epochs=1", "bins=4", "hidden=(4,)", "batch_size=10", "validation=0"]
    settings.append("checkpoint_every=1")
    options = [word for setting in settings for word in ("-p", setting)]
    return found | {
        "train": Command(("train", "spline_flow", "{key}", *options), stored("fit-spline_flow")),
        "generate": Command(("generate", "resonance", "-n", "30"), stored("resonance")),
        "verify": Command(("store", "verify"), said),
        "ls": Command(("store", "ls"), said),
        "show": Command(("store", "show", "{key}"), said),
    }


# -- one case -----------------------------------------------------------------------------


class Shim:
    """The preloaded library."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL(os.environ["LD_PRELOAD"])
        self._lib.shim_calls.restype = ctypes.c_long
        self._lib.shim_name.restype = ctypes.c_char_p
        self._lib.shim_name.argtypes = [ctypes.c_long]
        self._lib.shim_arm.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int]

    def arm(self, folder: Path, at: int, error: int) -> None:
        self._lib.shim_arm(str(folder).encode(), at, error)

    def disarm(self) -> list[str]:
        """Stop counting; return the names of the calls that there were."""
        self._lib.shim_disarm()
        return [self._lib.shim_name(i).decode() for i in range(self._lib.shim_calls())]


def run(shim: Shim, command: Command, root: Path, at: int = -1, error: int = 0) -> int:
    """Run a command in a child whose call `at` fails; return its status, negative for a signal.

    What it printed lies beside the folder, as do the names of its calls.
    """
    out, err, calls = (root.parent / f"{root.name}.{end}" for end in ("out", "err", "calls"))
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    status = 70
    try:
        for target, number in ((out, 1), (err, 2)):
            os.dup2(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        words = [named(word, root) for word in command.arguments]
        os.environ["PRESAGE_STORE"] = str(root / "store")
        shim.arm(root, at, error)
        status = run_main(words)
        calls.write_text(json.dumps(shim.disarm()), encoding="utf-8")
    finally:
        shim.disarm()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def run_main(words: list[str]) -> int:
    import traceback

    from presage.cli.main import main

    try:
        main(words)
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:  # noqa: BLE001 - as the interpreter shows it
        traceback.print_exc()
        return 1
    return 0


def judged(shim: Shim, command: Command, root: Path, at: int, code: str, wanted: str) -> str:
    """Let one call fail; return what was wrong, empty when nothing."""
    status = run(shim, command, root, at, ERRORS[code])
    text = root.with_suffix(".err").read_text(encoding="utf-8", errors="replace")
    if status < 0:
        return f"signal: {-status}"
    if "Traceback (most" in text:
        return f"traceback: {text.strip().splitlines()[-1]}"
    made = _made(command, root)
    if status == 0 and made != wanted and not (command.product is said and "cannot be" in made):
        return f"false success: {made[:200]}"
    if status and command.product is not said and made not in ("", wanted):
        return f"torn: {made[:200]}"
    return _again(shim, command, root, wanted)


def _again(shim: Shim, command: Command, root: Path, wanted: str) -> str:
    if run(shim, command, root):
        return f"rerun fails: {root.with_suffix('.err').read_text(encoding='utf-8')[-300:]}"
    text = root.with_suffix(".err").read_text(encoding="utf-8")
    made = _made(command, root)
    if made != wanted:
        return f"rerun: {made[:200]}"
    left = [
        p.name for p in root.rglob("*") if p.name.endswith((".tmp", ".lock")) or ".part" in p.name
    ]
    if "quarantine" in text or left:
        return f"rerun warns or leaves: {text[-300:]} {left}"
    if run(shim, Command(("store", "verify"), said), root):
        return f"rerun is unsound: {root.with_suffix('.out').read_text(encoding='utf-8')[-300:]}"
    return ""


def _made(command: Command, root: Path) -> str:
    """Return the product, empty where there is none, and what is wrong where it cannot be read."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        import warnings

        warnings.simplefilter("ignore")
        try:
            text = command.product(root)
        except FileNotFoundError:
            text = ""
        except BaseException as error:  # noqa: BLE001
            text = "" if command.arguments[1] != "export" else f"unreadable: {error}"
        with os.fdopen(writing, "w", encoding="utf-8") as pipe:
            pipe.write(text)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return text


def campaign(folder: Path, chosen: list[str], every: int) -> dict[str, dict[str, object]]:
    """Fail each call of each command in turn, or one in `every`."""
    shim, table = Shim(), commands()
    prepare(folder / "master")
    results: dict[str, dict[str, object]] = {}
    for name in chosen or list(table):
        command, calm = table[name], folder / "calm"
        shutil.copytree(folder / "master", calm)
        assert run(shim, command, calm) == 0, calm.with_suffix(".err").read_text(encoding="utf-8")
        wanted = _made(command, calm)
        assert wanted, name
        calls = json.loads(calm.with_suffix(".calls").read_text(encoding="utf-8"))
        shutil.rmtree(calm)
        wrong, cases = [], 0
        for at, call in enumerate(calls):
            codes = ["ENOSPC", "EIO"] if call in WRITING else ["EIO"]
            for number, code in enumerate(codes):
                if (at + number) % every:
                    continue
                cases += 1
                root = folder / f"case{at}{code}"
                shutil.copytree(folder / "master", root)
                fault = judged(shim, command, root, at, code, wanted)
                if fault:
                    wrong.append(f"{code} at call {at} ({call}): {fault}")
                    print(name, wrong[-1], file=sys.stderr, flush=True)
                shutil.rmtree(root)
        kinds = [w.partition("): ")[2].partition(":")[0] for w in wrong]
        counts = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
        results[name] = {"cases": cases, "counts": counts, "wrong": wrong}
        print(name, cases, counts, file=sys.stderr, flush=True)
    return results


def prepare(master: Path) -> None:
    """Make what the commands work on: a store with events, and files to import."""
    from presage.exchange import write_file
    from presage.fitting import fit
    from presage.generate import simulate
    from presage.store import Store
    from presage.studies.events import Resonance

    events = simulate(Resonance(), 20, store=Store(master / "store"), progress=False)
    (master.parent / "key").write_text(events.attrs["presage_key"], encoding="utf-8")
    store = Store(master / "store")
    quick: dict[str, Any] = {"epochs": 1, "batch_size": 100, "validation": 0, "progress": False}
    model = fit(fit_toys.Toy(), fit_toys.stored(store), store=store, **quick)
    (master.parent / "model").write_text(model.recipe.key, encoding="utf-8")
    for suffix in ("nc", "h5", "npz", "pt", "npy", "root"):
        write_file(xr.Dataset(EVENTS), master / f"in.{suffix}")
    described = "columns = {x = {}}\nlabels = {n = {}}\nfile = 'in.npy'"
    (master / "npy.toml").write_text(described, encoding="utf-8")
    described = "columns = {x = 'x'}\nlabels = {n = 'n'}\nfiles = 'in.root'\ntree = 'Events'"
    (master / "root.toml").write_text(described, encoding="utf-8")
    for name in (
        "presage.fitting",
        "presage.models",
        "presage.studies.events",
        "uproot",
        "torch",
        "xarray",
    ):
        __import__(name)


def compile_shim(folder: Path) -> Path:
    """Compile the library; raises :class:`FileNotFoundError` without a compiler."""
    target = folder / "shim.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-w", "-o", str(target), str(HERE / "shim.c"), "-ldl"],
        check=True,
    )
    return target


if __name__ == "__main__":
    place, *rest = sys.argv[1:]
    step = int(rest.pop(rest.index("--every") + 1)) if "--every" in rest else 1
    wanted_commands = [word for word in rest if word != "--every"]
    found = campaign(Path(place).resolve(), wanted_commands, step)
    print(json.dumps(found, indent=1))
