"""One shape, one layout, one seed: train, draw at held-out labels, compare with truth and rivals.

The model is the study's, with its defaults. It and the rivals, moment and histogram morphing,
see the same training events, and other ones with each seed; the floor is a second sample of the
truth, as large as what is drawn.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import xarray as xr

import presage
from benchmarks.zoo.shape import Shape
from benchmarks.zoo.table import Layout
from presage.analysis.compare import compare
from presage.analysis.histogram_morphing import histogram_morphing
from presage.analysis.labelled import Floats
from presage.analysis.morphing import moment_morphing
from presage.emulation.sampling import sample
from presage.generate import simulate
from presage.lineage import parent_of
from presage.recipe import Recipe
from presage.store import Store
from presage.studies.events import Training

#: The first seeds of reports and of the choice of settings, and of truth and floor.
SEEDS = {"report": 5000, "settings": 100}
TRUTH, FLOOR = 900_001, 900_002
MODEL, RIVALS = "flow", {"morphing": moment_morphing, "histogram morphing": histogram_morphing}
#: Raised whenever the numbers change.
VERSION = 1
_METRICS = ("w1_over_std", "ks", "equivalent_events", "auc", "auc_error")


@dataclass(frozen=True)
class Outcome:
    """What one seed gave."""

    product: xr.Dataset  # of :func:`compare`, at the held-out labels
    seconds: float  # of the training
    lost: float  # mean(log p_true - log p_model) in nats


@presage.versioned(1)
def probability_error(reference: Floats, events: Floats) -> Floats:
    """Largest error of the probability of a single value."""
    columns = zip(reference.T, events.T, strict=True)
    return np.array([_largest(*pair) for pair in columns])


def _largest(reference: Floats, events: Floats) -> float:
    """Return the largest |P(v) - Q(v)| over the values that stand more than once."""
    found = {}
    for sign, column in ((1, reference), (-1, events)):
        kinds, counts = np.unique(column, return_counts=True)
        often = counts > 1
        for kind, count in zip(kinds[often].tolist(), counts[often].tolist(), strict=True):
            found[kind] = found.get(kind, 0.0) + sign * count / len(column)
    return max(map(abs, found.values()), default=0.0)


def measured(
    shape: type[Shape], layout: Layout, number: int, purpose: str, store: Store
) -> Outcome:
    """Train with the seed of this number and compare; what the store has is not done again."""
    seed = SEEDS[purpose] + number
    held = shape.held_out(layout.labels, purpose)
    trained = [label for label in shape.grid(layout.labels) if label not in set(held)]
    there = shape.at(held)

    def made(source: Shape, n: int, seed: int) -> xr.Dataset:
        return simulate(source, n * len(source.labels), seed=seed, store=store, progress=False)

    train = made(shape.at(trained), layout.events, seed)
    truth, floor = (made(there, layout.truth, one) for one in (TRUTH, FLOOR))
    part: Any = SimpleNamespace(train=train, store=store)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.perf_counter()
        fitted = Training(seed=seed).fit(part, progress=False)
        took = time.perf_counter() - began
        drawn = sample(fitted, labels=held, n=layout.truth, seed=seed, store=store, progress=False)
        density = fitted.log_prob(truth).values
    parents = tuple(parent_of(dataset) for dataset in (truth, floor, train, drawn))
    recipe = Recipe("zoo", VERSION, {"tested": layout.tested}, seed=seed, parents=parents)

    def compared() -> xr.Dataset:
        rivals = {name: draw(train, truth, layout.truth, seed) for name, draw in RIVALS.items()}
        return compare(
            truth, {MODEL: drawn, **rivals}, floor=floor, trained_labels=train,
            classifier=layout.tested > 0, subsample=layout.tested or None, seed=seed,
            metrics=_METRICS, own=[probability_error],
        )  # fmt: skip

    columns = {name: truth[name].values for name in map(str, truth.data_vars)}
    lost = there.log_prob(columns, columns) - density
    lost = lost[np.isfinite(lost)]  # rounding puts events on a bound where the density is infinite
    seconds = max(took, float(fitted.history["seconds"].sum()))  # the latter where it was stored
    return Outcome(store.compute(recipe, compared), seconds, float(lost.mean()))
