"""Which labels are held out together.

A fold that took a whole corner of the grid would measure extrapolation. Folds are therefore
*spread*: the labels of one fold stand as far from each other as possible, so that what is
held out keeps its neighbours. With two folds that is the checkerboard.
"""

from __future__ import annotations

import numpy as np

from presage.analysis.labelled import Floats, Integers
from presage.labels import LabelError
from presage.labels.errors import check_name
from presage.rng import generator
from presage.studies.events.refine.places import Steps

SCHEMES = ("spread", "checkerboard")
#: Labels of one fold repel each other with this power of their distance.
_POWER = 6
_SWEEPS = 50


def folds_of(table: Floats, folds: int = 5, scheme: str = "spread", seed: int = 0) -> Integers:
    """Return the number of the fold of each label.

    Parameters
    ----------
    table
        Labels ``[label, parameter]``.
    folds
        How many; their sizes differ by one at most.
    scheme
        ``"spread"``, or ``"checkerboard"``: two folds, by the parity of the position on a grid.
    seed
        Another seed is another arrangement. The same labels always give the same one.

    Returns
    -------
    numpy.ndarray
        ``[label]``, from 0 on.

    Raises
    ------
    LabelError
        Another scheme, fewer than 2 folds or more than there are labels, fewer than two labels.

    Examples
    --------
    >>> line = np.arange(6.0)[:, None]
    >>> folds_of(line, 2, "checkerboard")
    array([0, 1, 0, 1, 0, 1])
    """
    check_name("scheme", scheme, SCHEMES)
    steps = Steps(table)
    if scheme == "checkerboard":
        return _checkerboard(steps, folds)
    if int(folds) != folds or not 2 <= folds <= len(table):
        raise LabelError(
            f"{len(table)} labels can be split into 2 to {len(table)} folds, got {folds!r}"
        )
    order = generator("presage.refine.folds", seed, 0).permutation(len(table))
    start = np.empty(len(table), dtype=np.int64)
    start[order] = np.arange(len(table)) % int(folds)
    return _spread(steps.places, start)


def _checkerboard(steps: Steps, folds: int) -> Integers:
    if folds != 2:
        raise LabelError(f"a checkerboard has folds=2, got {folds!r}")
    if not steps.on_grid:
        raise LabelError("these labels stand on no grid; use scheme='spread'")
    return np.asarray(np.rint(steps.places).sum(axis=1).astype(np.int64) % 2)


def _spread(places: Floats, fold: Integers) -> Integers:
    """Swap labels between folds as long as that takes those of one fold apart."""
    labels, count = len(places), int(fold.max()) + 1
    everyone: Integers = np.arange(labels)

    def repulsion(label: int) -> Floats:
        squared = ((places - places[label]) ** 2).sum(axis=1)
        squared[label] = np.inf
        return np.asarray(np.maximum(squared, 1e-6) ** (-_POWER / 2))

    # energy[i, k]: what label i would feel from the labels of fold k.
    energy: Floats = np.stack(
        [np.bincount(fold, weights=repulsion(i), minlength=count) for i in range(labels)]
    )
    for _ in range(_SWEEPS):
        swapped = False
        for i in range(labels):
            own: Floats = energy[everyone, fold]
            there = energy[:, fold[i]] - own + energy[i, fold] - own[i] - 2 * repulsion(i)
            there[fold == fold[i]] = 0.0
            j = int(there.argmin())
            if there[j] < -1e-9:
                _swap(fold, energy, (i, j), (repulsion(i), repulsion(j)))
                swapped = True
        if not swapped:
            break
    return fold


def _swap(
    fold: Integers, energy: Floats, pair: tuple[int, int], felt: tuple[Floats, Floats]
) -> None:
    """Exchange the folds of two labels, and what all others feel from them."""
    (i, j), (from_i, from_j) = pair, felt
    energy[:, fold[i]] += from_j - from_i
    energy[:, fold[j]] += from_i - from_j
    fold[i], fold[j] = fold[j], fold[i]
