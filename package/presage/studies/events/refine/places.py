"""Where labels stand relative to one another, in steps of their grid, and between them.

Masses of thousands of GeV and angles of a few radians are compared here: distances only mean
something in steps from a label to the next one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.spatial import Delaunay, QhullError
from scipy.stats import qmc

from presage.analysis.labelled import Floats, Integers, Labels, describe, label_table
from presage.labels import LabelError, Variable
from presage.labels.equality import beyond, positions


class Steps:
    """The map from labels to positions in steps of their grid.

    On a grid (more labels than half of all combinations of their values) a step leads from
    one value to the next, however far apart they are; labels that stand anywhere are
    measured in their mean distance along each parameter. Parameters that do not vary are
    left out.

    Parameters
    ----------
    table
        Labels ``[label, parameter]``.

    Examples
    --------
    >>> Steps(np.array([[100.0, 1.0], [100.0, 2.0], [400.0, 1.0], [400.0, 2.0]])).at([[250.0, 2.0]])
    array([[0.5, 1. ]])
    """

    def __init__(self, table: Floats) -> None:
        table = np.asarray(table, dtype=float)
        values = [np.unique(column) for column in table.T]
        self.varies = np.array([len(v) > 1 for v in values])
        if not self.varies.any():
            raise LabelError(
                f"at least two different labels are needed, got {len(np.unique(table, axis=0))}: "
                "between copies of one label there is nothing to interpolate"
            )
        self.low, self.high = table.min(axis=0), table.max(axis=0)
        self.nodes = [v for v, varies in zip(values, self.varies, strict=True) if varies]
        self.on_grid = math.prod(map(len, self.nodes)) <= 2 * len(table)
        if not self.on_grid:
            steps = max(round(len(table) ** (1 / len(self.nodes))) - 1, 1)
            self.nodes = [np.linspace(v[0], v[-1], steps + 1) for v in self.nodes]
        self.places = self.at(table)

    def at(self, table: Floats) -> Floats:
        """Return positions ``[label, varying parameter]``; beyond the range they end with it."""
        columns = np.asarray(table, dtype=float)[:, self.varies].T
        placed = [
            np.interp(c, n, np.arange(len(n))) for c, n in zip(columns, self.nodes, strict=True)
        ]
        return np.stack(placed, axis=1)

    def labels(self, places: Floats) -> Floats:
        """Return the labels ``[label, parameter]`` at positions, the inverse of :meth:`at`."""
        table = np.tile(self.low, (len(places), 1))
        columns = zip(places.T, self.nodes, strict=True)
        table[:, self.varies] = np.stack(
            [np.interp(c, np.arange(len(n)), n) for c, n in columns], axis=1
        )
        return table


def neighbours(places: Floats) -> Integers:
    """Return the pairs of labels ``[pair, 2]`` with no other label between them.

    They are the edges of the Delaunay triangulation of their places ``[label, parameter]``, see
    :class:`Steps`: on a grid the edges of its cells and a diagonal of each face; around a missing
    label the pairs that face each other; and meaningful where labels stand anywhere.
    """
    if places.shape[1] == 1:
        order = np.argsort(places[:, 0], kind="stable")
        return np.stack([order[:-1], order[1:]], axis=1)
    try:
        simplices = Delaunay(places).simplices
    except (QhullError, ValueError) as error:
        raise LabelError(
            f"{len(places)} labels of {places.shape[1]} varying parameters do not span them: "
            "which are neighbours cannot be said. Give the candidates yourself"
        ) from error
    first, second = np.triu_indices(simplices.shape[1], k=1)
    pairs = np.concatenate([simplices[:, [i, j]] for i, j in zip(first, second, strict=True)])
    return np.unique(np.sort(pairs, axis=1), axis=0).astype(np.int64)


def candidates_of(
    table: Floats,
    wanted: Labels | int | None,
    parameters: Sequence[Variable],
    seed: int = 0,
) -> Floats:
    """Return labels that could be simulated next, ``[label, parameter]``, beside those of a table.

    What is `wanted` may be None: the midpoints between neighbouring labels, which on a grid are
    the middles of its edges and cells, and labels that are missing between others. A number: as
    many quasi-random ones (Halton's sequence) within the range. Or labels of your own.
    """
    steps = Steps(table)
    if wanted is None:
        pairs = neighbours(steps.places)
        middles = (steps.places[pairs[:, 0]] + steps.places[pairs[:, 1]]) / 2
        return _new(steps.labels(np.unique(middles, axis=0)), table, parameters)
    if isinstance(wanted, (int, np.integer)):
        if wanted < 1:
            raise LabelError(f"a number of candidates is at least 1, got {wanted}")
        sequence = qmc.Halton(int(steps.varies.sum()), seed=seed).random(int(wanted))
        return _new(steps.labels(sequence * steps.places.max(axis=0)), table, parameters)
    given = label_table(wanted, parameters)
    _check(given, table, steps, parameters)
    return given


def _new(labels: Floats, table: Floats, parameters: Sequence[Variable]) -> Floats:
    new = positions(labels, table, parameters) < 0
    if not new.any():
        raise LabelError("there is no label between those that exist")
    return np.asarray(labels[new])


def _check(given: Floats, table: Floats, steps: Steps, parameters: Sequence[Variable]) -> None:
    if not len(given):
        raise LabelError("no candidates were given")
    known = positions(given, table, parameters)
    first = positions(given, given, parameters)
    for i, label in enumerate(given):
        shown = describe(parameters, label)
        if not np.isfinite(label).all():
            raise LabelError(f"a candidate is not finite: {shown}")
        ends = zip(label, steps.low, steps.high, parameters, strict=True)
        if any(beyond(value, *end) for value, *end in ends):
            low, high = describe(parameters, steps.low), describe(parameters, steps.high)
            raise LabelError(
                f"candidate {shown} lies outside the range of the labels, from {low} to {high}; "
                "what a model does there was not measured"
            )
        if known[i] >= 0:
            raise LabelError(f"candidate {shown} was simulated already")
        if first[i] != i:
            raise LabelError(f"candidate {shown} is given twice")
