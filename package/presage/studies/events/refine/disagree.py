"""How far the models of different folds are apart: a sign of error that needs no truth."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from presage.analysis.labelled import Floats, group
from presage.emulation.sampling import RangeWarning, sample
from presage.progress import Bar
from presage.store import Store


def disagreement(
    fits: Sequence[Any],
    labels: Floats,
    *,
    n: int = 1000,
    seed: int = 0,
    store: Store,
    progress: bool = True,
) -> Floats:
    """Return the mean W1/std between the models of two folds, worst variable, at each label.

    From each of the trained models (two or more) `n` events are drawn at each of the labels
    ``[label, parameter]``. All are given the same normal numbers of this `seed`, so that their
    chance differences nearly cancel. The store keeps the events.

    Returns
    -------
    numpy.ndarray
        ``[label]``.
    """
    bar = Bar(fits, desc="candidates", unit="model", disable=not progress)
    drawn = [_columns(fit, labels, n, seed, store) for fit in bar]
    width = np.mean([columns.std(axis=2) for columns in drawn], axis=0)
    apart = np.mean([np.abs(a - b).mean(axis=2) / width for a, b in combinations(drawn, 2)], axis=0)
    return np.asarray(apart.max(axis=1), dtype=float)


def _columns(fit: Any, labels: Floats, n: int, seed: int, store: Store) -> Floats:
    """Return sorted events ``[label, variable, event]``, the labels in the order given."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RangeWarning)  # a fold may lack an end of the range
        events = sample(fit, labels=labels.tolist(), n=n, seed=seed, store=store, progress=False)
    grouped = group(events, "the drawn events")
    where = grouped.find(labels)
    return np.stack([np.sort(grouped.sample(int(i)), axis=0).T for i in where])
