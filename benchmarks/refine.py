"""Labels chosen by K folds against labels chosen at random, at tiny size, again and again."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.core import Result
from presage.analysis.compare import compare
from presage.emulation.sampling import sample
from presage.generate import simulate
from presage.store import Store
from presage.studies.events import Resonance, Training
from presage.studies.events.refine import Gain, kfold, label_errors, rank, refine

_REPEATS = {"small": 2, "full": 10}
_GRID, _EVENTS, _TRUTH = (6, 6), 400, 5_000
_LABELS = 10
_TRAINING = Training(hidden=(32, 32), bins=8, epochs=40, batch_size=1024, learning_rate=1e-2)
#: Of the first repeat; other seeds than those with which the choice was developed.
_SEED = 70_000
_SIGNS = ("kfold_error", "disagreement", "expected_error")


@dataclass(frozen=True)
class Repeat:
    """What one repeat gave."""

    gain: Gain  # Both arms.
    # Sign of an error → Spearman's correlation with the error that a model of all labels has at the
    # candidates.
    correlation: dict[str, float]

    def worst(self, arm: str) -> float:
        """Return the largest K-fold W1/std of an arm."""
        return float(self.gain.dataset["w1_over_std"].sel(arm=arm).max())

    def __str__(self) -> str:
        worst = ", ".join(f"{arm} {self.worst(arm):.3f}" for arm in ("before", "chosen", "random"))
        floor = float(self.gain.dataset["floor"].median())
        signs = ", ".join(f"{name} {value:.2f}" for name, value in self.correlation.items())
        return f"worst {worst} (floor {floor:.3f}); rank correlation {signs}"


def repeat(number: int, store: Store) -> Repeat:
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
    gain = refine(events, simulator, before, ranking, labels=_LABELS, seed=seed + 3, progress=False)
    fitted = training.fit(SimpleNamespace(train=events, store=store), progress=False)
    actual = _actual(fitted, simulator, ranking, seed + 4, store)
    return Repeat(
        gain, {name: float(spearmanr(ranking[name].values, actual)[0]) for name in _SIGNS}
    )


def _actual(
    fitted: Any, simulator: Resonance, ranking: Any, seed: int, store: Store
) -> np.ndarray[Any, Any]:
    """Return the error of a model of all labels at the candidates, in the ranking's order."""
    columns = [ranking[parameter.name].values for parameter in simulator.parameters]
    labels = np.stack(columns, axis=1)
    source = simulator.at_labels(labels.tolist())
    truth = simulate(source, len(labels) * _TRUTH, seed=seed, store=store, progress=False)
    drawn = sample(fitted, labels=labels.tolist(), n=_TRUTH, seed=seed, store=store, progress=False)
    compared = compare(truth, {"flow": drawn}, classifier=False)
    errors = np.empty(len(labels))
    errors[np.lexsort(labels.T[::-1])] = label_errors(compared).values  # labels ascend in it
    return errors


def run(size: str, folder: Path) -> list[Result]:
    """Count in how many repeats the worst K-fold error is smaller after the chosen labels."""
    done = []
    for number in range(_REPEATS[size]):
        done.append(repeat(number, Store(folder / f"repeat-{number}")))
        print(f"  {done[-1]}", flush=True)
    pairs = [(one.worst("chosen"), one.worst("random")) for one in done]
    won = sum(chosen < random for chosen, random in pairs)
    note = "worst W1/std chosen | random: " + ", ".join(f"{c:.3f} | {r:.3f}" for c, r in pairs)
    middle = {name: statistics.mean(one.correlation[name] for one in done) for name in _SIGNS}
    best = max(middle["kfold_error"], middle["disagreement"])
    return [
        Result("refine/won against random", won / len(pairs), "of repeats", 0.8, note=note),
        Result(
            "refine/worst K-fold W1",
            statistics.median(chosen for chosen, _ in pairs),
            "std",
            peer="random labels",
            ratio_to_peer=statistics.median(random / chosen for chosen, random in pairs),
        ),
        Result(
            "refine/rank correlation",
            middle["expected_error"],
            "",
            peer="the better of K-fold error and disagreement alone",
            ratio_to_peer=middle["expected_error"] / best,
            note=", ".join(f"{name} {value:.2f}" for name, value in middle.items()),
        ),
    ]
