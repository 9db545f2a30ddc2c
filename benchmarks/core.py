"""What a benchmark returns, how things are timed side by side, and the table of results."""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from presage.store.sidecar import processor

#: Medians are over this many rounds.
ROUNDS = 5


@dataclass(frozen=True)
class Result:
    """One measured number."""

    name: str  # ``benchmark/what``.
    # What was measured; None where it could not be.
    value: float | None
    unit: str
    limit: float | None = None  # The bar it is held against.
    # Whether the bar is the largest value allowed; otherwise it is the smallest.
    most: bool = False
    peer: str = ""  # What `ratio_to_peer` compares with.
    ratio_to_peer: float | None = None  # Ours over the peer's, above 1 where ours is better.
    note: str = ""  # Sizes, or why there is no value.

    @property
    def ratio_to_limit(self) -> float | None:
        """The value over its bar."""
        return None if self.value is None or not self.limit else self.value / self.limit

    @property
    def verdict(self) -> str:
        """``met``, ``missed``, or nothing where there is no bar or no value."""
        if self.value is None or self.limit is None:
            return ""
        met = self.value <= self.limit if self.most else self.value >= self.limit
        return "met" if met else "missed"


def side_by_side(
    contenders: Mapping[str, Callable[[], float]], rounds: int = ROUNDS
) -> dict[str, list[float]]:
    """Run all contenders in turn, again and again, so that a busy moment hits them alike.

    Parameters
    ----------
    contenders
        Name → function that returns what it measured.
    rounds
        How often.
    """
    for contender in contenders.values():
        contender()  # warms caches, maps pages, compiles
    measured: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            measured[name].append(contender())
    return measured


def paired(ours: list[float], others: list[float]) -> float:
    """Return the median over rounds of ours / other's of the same round."""
    return statistics.median(a / b for a, b in zip(ours, others, strict=True))


def seconds(action: Callable[[], Any]) -> float:
    """Return how long an action takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def table(results: list[Result]) -> str:
    """Return the results as text, one line each."""
    rows = [("measured", "value", "unit", "bar", "", "against", "ratio", "")]
    for r in results:
        bar = "" if r.limit is None else f"{'≤' if r.most else '≥'} {r.limit:g}"
        value = "–" if r.value is None else f"{r.value:.4g}"
        ratio = "" if r.ratio_to_peer is None else f"{r.ratio_to_peer:.3g}×"
        rows.append((r.name, value, r.unit, bar, r.verdict, r.peer, ratio, r.note))
    head, *lines = aligned(rows).splitlines()
    return "\n".join([head, "─" * len(head), *lines])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of text as lines, their columns one below the other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def write_json(path: Path, results: list[Result], size: str) -> None:
    """Write results, with what they were measured on."""
    entries = [
        {**asdict(r), "ratio_to_limit": r.ratio_to_limit, "verdict": r.verdict} for r in results
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"machine": machine(), "size": size, "results": entries}, indent=1),
        encoding="utf-8",
    )


def machine() -> dict[str, Any]:
    """Return processor, system, load and versions."""
    import os

    packages = ("numpy", "torch", "xarray", "h5py", "datasets", "webdataset", "litdata", "zarr")
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "load": list(os.getloadavg()),
        "versions": {name: installed(name) for name in packages},
    }


def installed(name: str) -> str | None:
    """Return a package's version, None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
