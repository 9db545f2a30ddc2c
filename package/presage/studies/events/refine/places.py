"""Where labels stand relative to one another, in steps of their grid.

Masses of thousands of GeV and angles of a few radians are compared here: distances only mean
something in steps from a label to the next one.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial import Delaunay, QhullError

from presage.analysis.labelled import Floats, Integers
from presage.labels import LabelError


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

    Raises
    ------
    LabelError
        Fewer than two different labels.

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

    Raises
    ------
    LabelError
        The labels lie on one line or plane that is not along the parameters.
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
