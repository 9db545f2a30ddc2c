"""``python3 run.py bench zoo``: every shape, sparse and dense, and a table of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.core import Result
from benchmarks.zoo.measure import measured
from benchmarks.zoo.report import Refused, Row, markdown
from benchmarks.zoo.table import SHAPES, Layout, layouts
from presage.labels import LabelError, check_name
from presage.store import Store

_SEEDS = {"small": 1, "full": 3}


def run(
    size: str,
    folder: Path,
    shapes: Sequence[str] = tuple(SHAPES),
    seeds: int | None = None,
    report: Path | None = None,
    purpose: str = "report",
) -> list[Result]:
    """Measure the shapes; with `report` the store stays there, and a later run goes on from it.

    Parameters
    ----------
    size
        ``full``, or ``small``: fewer events, one seed, no classifier.
    folder
        Scratch space.
    shapes
        Names, by default all.
    seeds
        Trainings, each on events of its own.
    report
        A folder for ``zoo.md``. Code that was changed without a version of its own being raised
        needs another folder: what the store has is not trained again.
    purpose
        ``settings`` has other seeds and held-out labels than reports have, to choose settings by.
    """
    for name in shapes:
        check_name("shape", name, SHAPES)
    store = Store((report or folder) / "store")
    rows: list[Row | Refused] = []
    for name in shapes:
        for layout, about in layouts(SHAPES[name], size).items():
            numbers = range(seeds or _SEEDS[size])
            rows.append(_row(name, layout, about, numbers, purpose, store))
            print(f"  {rows[-1].results()[0].name} {rows[-1].results()[0].note}", flush=True)
            if report:
                (report / "zoo.md").write_text(markdown(rows), encoding="utf-8")
    print(f"\n{markdown(rows)}", flush=True)
    return [result for row in rows for result in row.results()]


def _row(
    name: str, layout: str, about: Layout, numbers: range, purpose: str, store: Store
) -> Row | Refused:
    shape, began = SHAPES[name], time.perf_counter()
    try:
        found = [measured(shape, about, number, purpose, store) for number in numbers]
    except LabelError as error:
        return Refused(f"{name} {layout}", str(error))
    took = time.perf_counter() - began
    return Row(f"{name} {layout}", found, layout == "dense", shape.atoms, took)
