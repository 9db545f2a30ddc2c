"""Smooth functions of a few conditions, fitted to statistics of groups of events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from presage.labels import Parameter

Floats = NDArray[np.float64]

_FEWEST = 25  # events a group needs for its central 68 %
_MOST_GROUPS = 4096
_CELLS = 128


@dataclass(frozen=True, eq=False)
class Smooth:
    """A polynomial of standardised features, held constant beyond the fitted range.

    Parameters
    ----------
    coefficients
        One per term: 1, then g_j, then g_j g_k with j <= k.
    low, high
        Range of the features it was fitted on ``[feature]``.
    """

    coefficients: Floats
    low: Floats
    high: Floats

    @classmethod
    def fit(
        cls, features: Floats, values: Floats, weights: Floats, periodic: NDArray[np.bool_]
    ) -> Self:
        """Fit by weighted ridge regression; the degree follows from the number of points.

        Parameters
        ----------
        features
            ``[point, feature]``.
        values, weights
            ``[point]``.
        periodic
            Features without a range, for no point of a circle is beyond another ``[feature]``.
        """
        low = np.where(periodic, -np.inf, features.min(axis=0))
        high = np.where(periodic, np.inf, features.max(axis=0))
        degree = 2
        while degree and _terms(features, degree).shape[1] * 2 > len(values):
            degree -= 1
        terms = _terms(features, degree)
        ridge = np.full(terms.shape[1], 1e-3)
        ridge[0] = 0.0
        weights = weights / weights.sum()
        gram = (terms * weights[:, None]).T @ terms + np.diag(ridge)
        coefficients: Floats = np.linalg.solve(gram, terms.T @ (weights * values)).astype(float)
        return cls(coefficients, low, high)

    def __call__(self, features: Floats) -> Floats:
        """Return the value at each point, ``[point]``."""
        inside = np.clip(features, self.low, self.high)
        degree = 2
        while _terms(inside[:1], degree).shape[1] > self.coefficients.size:
            degree -= 1
        return np.asarray(_terms(inside, degree) @ self.coefficients)

    def state(self) -> dict[str, Floats]:
        """Return the fitted numbers."""
        return {"coefficients": self.coefficients, "low": self.low, "high": self.high}

    @classmethod
    def from_state(cls, state: Mapping[str, Floats], prefix: str = "") -> Self:
        """Rebuild from :meth:`state`'s entries, their names led by `prefix`."""
        return cls(*(state[f"{prefix}{name}"] for name in ("coefficients", "low", "high")))


def _terms(features: Floats, degree: int) -> Floats:
    count = features.shape[1]
    columns = [np.ones(len(features))]
    if degree >= 1:
        columns += [features[:, j] for j in range(count)]
    if degree >= 2:
        columns += [features[:, j] * features[:, k] for j in range(count) for k in range(j, count)]
    return np.stack(columns, axis=1)


def features_of(
    condition: Mapping[str, Floats], parameters: Sequence[Parameter], events: int
) -> Floats:
    """Return ``[event, feature]``: each parameter, logarithmic where it cannot be negative.

    One with a period has two features, its place on the unit circle.
    """
    columns = []
    for parameter in parameters:
        column = condition[parameter.name]
        if parameter.period is not None:
            angle = (2 * np.pi / parameter.period) * column
            columns += [np.cos(angle), np.sin(angle)]
            continue
        if parameter.lower is not None and parameter.upper is None:
            # A tiny offset instead of an error for a label that stands on its bound.
            column = np.log(np.maximum(column - parameter.lower, 1e-12))
        columns.append(column)
    return np.stack(columns, axis=1) if columns else np.zeros((events, 0))


def count_features(parameters: Iterable[Mapping[str, Any]]) -> int:
    """Return how many columns :func:`features_of` makes of these parameters, as JSON has them."""
    return sum(1 if parameter.get("period") is None else 2 for parameter in parameters)


def periodic_features(parameters: Iterable[Parameter]) -> NDArray[np.bool_]:
    """Return which of the features belong to a parameter with a period, ``[feature]``."""
    kinds = [[p.period is not None] * (1 if p.period is None else 2) for p in parameters]
    return np.array([kind for pair in kinds for kind in pair], dtype=bool)


def groups(features: Floats) -> list[NDArray[np.intp]]:
    """Return index lists of events with like features: labels, else cells of a k-d split.

    Parameters
    ----------
    features
        Standardised, ``[event, feature]``.
    """
    everything = np.arange(len(features))
    if features.shape[1] == 0:
        return [everything]
    _, number, counts = np.unique(features, axis=0, return_inverse=True, return_counts=True)
    if counts.size <= _MOST_GROUPS and np.median(counts) >= _FEWEST:
        order = np.argsort(number.reshape(-1), kind="stable")
        split = np.split(order, np.cumsum(counts)[:-1])
        large = [group for group in split if group.size >= _FEWEST]
        return large or [everything]
    return _cells(features, everything, max(4 * _FEWEST, len(features) // _CELLS))


def _cells(features: Floats, members: NDArray[np.intp], size: int) -> list[NDArray[np.intp]]:
    """Split at the median of the widest feature until cells are smaller than 2 `size`."""
    if members.size < 2 * size:
        return [members]
    inside = features[members]
    widest = int(np.argmax(np.ptp(inside, axis=0)))
    column = inside[:, widest]
    left = column <= np.median(column)
    if left.all():  # more than half of the events share the largest value
        left = column < column.max()
    if not left.any():
        return [members]
    return [*_cells(features, members[left], size), *_cells(features, members[~left], size)]
