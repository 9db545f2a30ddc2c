"""``import presage``: it must not load torch or xarray before they are needed."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.core import Result, seconds, side_by_side

_PATH = str(Path(__file__).resolve().parents[1] / "package")


def run(size: str, folder: Path) -> list[Result]:
    """Time fresh interpreters that import presage, and others that import nothing."""
    del size, folder
    times = side_by_side(
        {"presage": lambda: _start("import presage"), "bare": lambda: _start("")}, 9
    )
    cost = [a - b for a, b in zip(times["presage"], times["bare"], strict=True)]
    return [
        Result("import/presage", statistics.median(times["presage"]), "s", 0.3, most=True,
               note=f"interpreter included; import alone {statistics.median(cost):.3f} s"),
    ]  # fmt: skip


def _start(code: str) -> float:
    code = f"import sys; sys.path.insert(0, {_PATH!r}); {code}"
    return seconds(lambda: subprocess.run([sys.executable, "-c", code], check=True))
