"""Negative weights made up for by the events around them: cell resampling.

*Problem.* Events with negative weights stand for the subtraction of some that are too many. They
can be counted, but not drawn, and a density that is fitted to them by Σ −w log p has no best
value where chance, or the generator, left more negative than positive ones: there p → 0 lowers
the loss without end.

*Idea* (Andersen and Maier, arXiv:2109.07851, equation 4): around each negative event the nearest
others are put into a cell until its weights add up to at least 0, and are then shared out anew,

    w_i → |w_i| Σw / Σ|w|,

so that none is negative, each cell counts what it did, and nothing moves further than across a
cell, which is small where there are many events. Distances are those of normal scores: of the
rank of each value among all of its label, the same in whichever unit or on whichever scale.

Against it were measured signed weights, and a regression of E[w | x, label] by boosted trees in
their place (Nachman and Thaler, arXiv:2007.11586); see `docs/benchmarks.md`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import ndtri

from presage.rng import generator

Floats = NDArray[np.float64]

#: Neighbours that are looked up at once; a cell of more asks again for so many times more.
_NEAR, _MORE = 16, 8


def without_negative(weights: Floats, events: Floats) -> Floats:
    """Return weights of which none is negative, for the events of one label.

    Parameters
    ----------
    weights
        ``[event]``, with a positive sum, which is kept.
    events
        ``[event, variable]``.
    """
    negative = np.flatnonzero(weights < 0)
    if not negative.size:
        return weights
    found, scores = weights.copy(), _normal_scores(events)
    tree = cKDTree(scores)
    near = tree.query(scores[negative], k=min(_NEAR, len(weights)))[1]
    for seed, around in zip(negative.tolist(), near.reshape(len(negative), -1), strict=True):
        if found[seed] < 0:  # and not made up for in another's cell
            _share_out(found, _cell(found, seed, around, tree))
    return found


def _cell(weights: Floats, seed: int, near: NDArray[np.intp], tree: cKDTree) -> NDArray[np.intp]:
    """Return the nearest events of `seed`, so many that their weights are not negative in all."""
    while True:
        enough = np.flatnonzero(np.cumsum(weights[near]) >= 0)
        if enough.size:
            return near[: enough[0] + 1]
        if len(near) == len(weights):
            return near
        near = tree.query(tree.data[seed], k=min(_MORE * len(near), len(weights)))[1]


def _share_out(weights: Floats, cell: NDArray[np.intp]) -> None:
    size = np.abs(weights[cell])
    weights[cell] = size * (max(float(weights[cell].sum()), 0.0) / float(size.sum()))


def _normal_scores(events: Floats) -> Floats:
    """Return the normal quantile of each value's rank, equal values together, ``[event, v]``."""
    columns = []
    for column in events.T:
        ascending = np.sort(column)
        below, above = (np.searchsorted(ascending, column, side) for side in ("left", "right"))
        columns.append(ndtri((below + above) / (2 * len(column))))
    return np.stack(columns, axis=1)


def drawn_by_weight(weights: Floats, n: int) -> NDArray[np.intp]:
    """Return which events make up a sample of `n` that count alike, ``[event]``, ascending.

    Each is there n w / Σw times, rounded up or down (systematic resampling: the shares of
    neighbours add up to within one event). Equal weights and all events: each once.

    Parameters
    ----------
    weights
        ``[event]``, none negative.
    n
        How many.
    """
    place = generator("by-weight", 0, 0).uniform(0.25, 0.75)
    ends = np.cumsum(weights) * (n / weights.sum())
    found = np.searchsorted(ends, np.arange(n) + place, side="left")
    return np.minimum(found, len(weights) - 1)
