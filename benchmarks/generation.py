"""Filling a store, beside the bare cost of its random numbers and of its bytes."""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.core import Result, paired, seconds, side_by_side
from presage.generate import simulate
from presage.rng import PARAMETERS, SIMULATION, generator
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
    replay = _draws(source, events)
    written = simulate(source, events, seed=_SEED, store=Store(folder / "kept"), progress=False)
    columns = [np.array(written[name].values) for name in written.data_vars]
    plain = folder / "plain"

    def ours() -> None:
        simulate(source, events, seed=_SEED, store=Store(folder / "fresh"), progress=False)

    def timed_ours() -> float:
        shutil.rmtree(folder / "fresh", ignore_errors=True)
        return seconds(ours)

    times = side_by_side(
        {
            "ours": timed_ours,
            "draw": lambda: seconds(replay),
            "write": lambda: seconds(lambda: write_bytes(plain, columns)),
            "by label": lambda: seconds(lambda: _label_by_label(source, events, plain)),
        }
    )
    floor = [a + b for a, b in zip(times["draw"], times["write"], strict=True)]
    ratio = paired(times["ours"], floor)
    middle = {name: statistics.median(t) for name, t in times.items()}
    note = (
        f"{events:,} events, {sum(c.nbytes for c in columns) / 1e6:.0f} MB: "
        f"ours {middle['ours']:.2f} s, drawing {middle['draw']:.2f} s, "
        f"writing {middle['write']:.2f} s"
    )
    rate = events / middle["ours"]
    faster = paired(times["by label"], times["ours"])
    return [
        Result("generation/draw + write", ratio, "×", 1.5, most=True, note=note),
        Result("generation/events", rate, "1/s", peer="one label at a time", ratio_to_peer=faster,
               note="the peer: the original's loop over labels, written with numpy.save"),
    ]  # fmt: skip


def _draws(source: Resonance, events: int) -> Callable[[], None]:
    """Return a function that draws exactly the numbers that these events are made from."""
    blocks = -(-events // source.block_size)
    recorded: list[list[Call]] = []
    for block in range(blocks):
        start = block * source.block_size
        parameters = generator(source.name, _SEED, block, PARAMETERS)
        theta = source.theta(parameters, start, start + source.block_size)
        recorder = Recorder(generator(source.name, _SEED, block, SIMULATION))
        source.simulate(theta, recorder)  # type: ignore[arg-type]
        recorded.append(recorder.calls)

    def replay() -> None:
        for block, calls in enumerate(recorded):
            rng = generator(source.name, _SEED, block, SIMULATION)
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
