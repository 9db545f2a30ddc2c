"""Labels chosen by K folds against labels chosen at random, at tiny size, again and again."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path

from benchmarks.core import Result
from presage.generate import simulate
from presage.store import Store
from presage.studies.events import Resonance, Training
from presage.studies.events.refine import Gain, kfold, rank, refine

_REPEATS = {"small": 2, "full": 10}
_GRID, _EVENTS, _TRUTH = (6, 6), 400, 5_000
_LABELS = 10
_TRAINING = Training(hidden=(32, 32), bins=8, epochs=40, batch_size=1024, learning_rate=1e-2)
#: Of the first repeat; other seeds than those with which the choice was developed.
_SEED = 70_000


def repeat(number: int, store: Store) -> Gain:
    """Run the experiment once: its own events, training seed, folds and random choice."""
    seed = _SEED + 100 * number
    simulator = Resonance.on_grid(*_GRID, weights="equal")
    labels = len(simulator.labels)
    events = simulate(simulator, labels * _EVENTS, seed=seed, store=store, progress=False)
    truth = simulate(simulator, labels * _TRUTH, seed=seed + 1, store=store, progress=False)
    training = replace(_TRAINING, seed=seed)
    before = kfold(
        events, training, truth=truth, rivals=False, seed=seed, store=store, progress=False
    )
    ranking = rank(before, seed=seed, progress=False)
    return refine(events, simulator, before, ranking, labels=_LABELS, seed=seed + 3, progress=False)


def run(size: str, folder: Path) -> list[Result]:
    """Count in how many repeats the worst K-fold error is smaller after the chosen labels."""
    gains = []
    for number in range(_REPEATS[size]):
        gain = repeat(number, Store(folder / f"repeat-{number}"))
        gains.append(gain.dataset["w1_over_std"].max("label"))
        floor = float(gain.dataset["floor"].median())
        print(
            "  "
            + ", ".join(
                f"{a} {float(w):.3f}"
                for a, w in zip(("before", "chosen", "random"), gains[-1], strict=True)
            )
            + f" (floor {floor:.3f})",
            flush=True,
        )
    chosen, random = ([float(g.sel(arm=arm)) for g in gains] for arm in ("chosen", "random"))
    pairs = list(zip(chosen, random, strict=True))
    share = sum(c < r for c, r in pairs) / len(pairs)
    note = "chosen | random: " + ", ".join(f"{c:.3f} | {r:.3f}" for c, r in pairs)
    ratio = statistics.median(r / c for c, r in pairs)
    worst = statistics.median(chosen)
    return [
        Result("refine/won against random", share, "of repeats", 0.8, note=note),
        Result("refine/worst K-fold W1", worst, "std", peer="random labels", ratio_to_peer=ratio),
    ]
