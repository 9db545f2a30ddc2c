"""Filling a store, beside the bare cost of its random numbers and of its bytes."""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.core import ROUNDS, Result, paired, seconds, side_by_side
from presage.generate import simulate
from presage.rng import PARAMETERS, SIMULATION, generator
from presage.simulator import Simulator
from presage.store import Store
from presage.studies.events.resonance import Resonance

_EVENTS = {"small": 200_000, "full": 2_000_000}
_SEED = 1

Call = tuple[str, tuple[Any, ...], dict[str, Any]]


class Recorder:
    """A generator that writes down what is asked of it."""

    def __init__(self, real: np.random.Generator) -> None:
        self._real = real
        self.calls: list[Call] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if not callable(found):
            return found

        def record(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, args, kwargs))
            return found(*args, **kwargs)

        return record


def run(size: str, folder: Path) -> list[Result]:
    """Time `simulate`, drawing the same numbers, writing the same bytes, and label by label."""
    source, events = Resonance.on_grid(), _EVENTS[size]
    times, floor = beside_floor(
        source, events, folder,
        more={"by label": lambda: _label_by_label(source, events, folder / "plain")},
    )  # fmt: skip
    rate = events / statistics.median(times["ours"])
    faster = paired(times["by label"], times["ours"])
    return [
        replace(floor, name="generation/draw + write"),
        Result("generation/events", rate, "1/s", peer="one label at a time", ratio_to_peer=faster,
               note="the peer: the original's loop over labels, written with numpy.save"),
    ]  # fmt: skip


def beside_floor(
    source: Simulator,
    samples: int,
    folder: Path,
    more: Mapping[str, Callable[[], Any]] | None = None,
    rounds: int = ROUNDS,
) -> tuple[dict[str, list[float]], Result]:
    """Time `simulate` beside drawing the same numbers and writing the same bytes.

    Parameters
    ----------
    more
        Name → what is timed with them.

    Returns
    -------
    tuple
        Name → seconds of each round, and ours over the floor as a result without a name.
    """
    kept = simulate(source, samples, seed=_SEED, store=Store(folder / "kept"), progress=False)
    columns = [np.array(kept[name].values) for name in kept.data_vars]

    def ours() -> float:
        shutil.rmtree(folder / "fresh", ignore_errors=True)
        store = Store(folder / "fresh")
        return seconds(lambda: simulate(source, samples, seed=_SEED, store=store, progress=False))

    actions: dict[str, Callable[[], Any]] = {
        "draw": _numbers(source, samples),
        "write": lambda: write_bytes(folder / "plain", columns),
        **(more or {}),
    }
    timed = {name: lambda action=action: seconds(action) for name, action in actions.items()}
    times = side_by_side({"ours": ours, **timed}, rounds=rounds)
    floor = [a + b for a, b in zip(times["draw"], times["write"], strict=True)]
    middle = {name: statistics.median(t) for name, t in times.items()}
    note = (
        f"{samples:,} samples, {sum(c.nbytes for c in columns) / 1e6:.0f} MB: ours "
        f"{middle['ours']:.2f} s, drawing {middle['draw']:.2f} s, writing {middle['write']:.2f} s"
    )
    return times, Result("", paired(times["ours"], floor), "×", 1.5, most=True, note=note)


def _numbers(source: Simulator, samples: int) -> Callable[[], None]:
    """Return a function that draws exactly the numbers that these samples are made from."""
    recorded: list[list[tuple[int, list[Call]]]] = []
    for block in range(-(-samples // source.block_size)):
        start = block * source.block_size
        first = Recorder(generator(source.name, _SEED, block, PARAMETERS))
        theta = source.theta(first, start, start + source.block_size)  # type: ignore[arg-type]
        second = Recorder(generator(source.name, _SEED, block, SIMULATION))
        source.simulate(theta, second)  # type: ignore[arg-type]
        recorded.append([(PARAMETERS, first.calls), (SIMULATION, second.calls)])

    def replay() -> None:
        for block, streams in enumerate(recorded):
            for stream, calls in streams:
                rng = generator(source.name, _SEED, block, stream)
                for name, args, kwargs in calls:
                    getattr(rng, name)(*args, **kwargs)

    return replay


def write_bytes(path: Path, columns: list[np.ndarray]) -> None:
    """Write arrays to a file as they lie in memory, down to the disk."""
    with path.open("wb", buffering=0) as file:
        for column in columns:
            view = memoryview(column).cast("B")
            while view:
                view = view[file.write(view[: 64 << 20]) :]
        os.fsync(file.fileno())


def _label_by_label(source: Resonance, events: int, path: Path) -> None:
    """Simulate as the original did: a loop over labels, lists joined at the end, one file."""
    rng = np.random.default_rng(_SEED)
    each = max(1, events // len(source.labels))
    masses, labels = [], []
    for phi, omega in source.labels:
        theta = {"phi_label": np.full(each, phi), "omega_label": np.full(each, omega)}
        found = source.simulate(theta, rng)
        masses.append(np.stack([found["phi_mass"], found["omega_mass"]], axis=1))
        labels.append(np.stack(list(theta.values()), axis=1))
    with path.open("wb") as file:
        np.save(file, np.concatenate(masses))
        np.save(file, np.concatenate(labels))
        file.flush()
        os.fsync(file.fileno())
