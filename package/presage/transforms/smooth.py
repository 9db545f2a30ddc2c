"""Smooth functions of a few conditions, fitted to statistics of groups of events.

A statistic such as a median may run over many decades of a label, and what counts is its
error in widths *there*. So the curve is a polynomial P of the features behind a link,

    f(c) = P(g(c)),   f(c) = origin + unit sinh(P(g(c)))   or   f(c) = ln P(g(c)),

the second of which is a power law far from the origin, the third for logarithms of what may be
straight itself, and link and degree are those that
predict each group best from all the others (leave-one-out errors of a linear smoother,
e_i / (1 - h_ii), in units of a tolerance).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from presage.labels import Parameter

Floats = NDArray[np.float64]

_FEWEST = 25  # events a group needs for its central 68 %
_MOST_GROUPS = 4096
_CELLS = 128
_DEGREES, _MOST_TERMS = 4, 70
#: A more complicated curve has to be better by this factor; of a high degree, which swings where
#: labels end, by the second.
_BETTER, _MUCH_BETTER = 0.95, 0.6
#: A polynomial whose logarithm is taken is at least this share of the smallest number.
_LEAST = 0.3
#: Largest over smallest distance to the origin from which labels may count as logarithmic.
_DECADES = 30.0


@dataclass(frozen=True, eq=False)
class Smooth:
    """A polynomial of standardised features behind a link, held constant beyond its range."""

    coefficients: Floats  # one per term: 1, then g_j, then g_j g_k with j <= k, and so on
    low: Floats  # range of the features it was fitted on ``[feature]``
    high: Floats
    #: Origin and unit of the hyperbolic sine; a unit of 0 stands for none, below 0 for ln P, which
    #: no P below minus that unit makes smaller.
    link: Floats

    @classmethod
    def fit(
        cls,
        features: Floats,
        values: Floats,
        weights: Floats,
        periodic: NDArray[np.bool_],
        tolerance: Floats | float = 1.0,
        origin: float | None = None,
        logarithms: bool = False,
    ) -> Self:
        """Fit by weighted least squares.

        Parameters
        ----------
        features
            ``[point, feature]``.
        values, weights
            ``[point]``.
        periodic
            Features without a range, for no point of a circle is beyond another ``[feature]``.
        tolerance
            What an error of 1 is at each point.
        origin
            Of the links that are tried besides none; without one none is.
        logarithms
            Whether values are logarithms of what may be a polynomial.
        """
        low = np.where(periodic, -np.inf, features.min(axis=0))
        high = np.where(periodic, np.inf, features.max(axis=0))
        best, least = (np.zeros(1), np.zeros(2)), np.inf
        links, degrees = _links(values, tolerance, origin), _degrees(features)
        tried = [(degree, link) for link in links for degree in degrees]
        if logarithms:  # of either kind the lower degree first
            tried = [(d, link) for d in degrees for link in (*links, _of_logarithms(values))]
        for degree, link in tried:
            terms = _terms(features, degree)
            coefficients, error = _solve(terms, values, weights, tolerance, link)
            if error < (_BETTER if degree <= 2 else _MUCH_BETTER) * least:
                best, least = (coefficients, link), error
        return cls(best[0], low, high, best[1])

    def __call__(self, features: Floats) -> Floats:
        """Return the value at each point, ``[point]``."""
        inside = np.clip(features, self.low, self.high)
        degree = 0
        while comb(inside.shape[1] + degree, degree) < self.coefficients.size:
            degree += 1
        return _unlinked(_terms(inside, degree) @ self.coefficients, self.link)

    def state(self) -> dict[str, Floats]:
        """Return the fitted numbers."""
        return {
            "coefficients": self.coefficients, "low": self.low, "high": self.high,
            "link": self.link,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Floats], prefix: str = "") -> Self:
        """Rebuild from :meth:`state`'s entries, their names led by `prefix`."""
        own = [state[f"{prefix}{name}"] for name in ("coefficients", "low", "high")]
        own.append(state.get(f"{prefix}link", np.zeros(2)))  # models of version 1 had none
        return cls(*own)


def _links(values: Floats, tolerance: Floats | float, origin: float | None) -> list[Floats]:
    links = [np.zeros(2)]
    if origin is None:
        return links
    links.append(np.array([origin, np.min(tolerance)]))
    begins = [origin]
    if np.max(tolerance) > _DECADES * np.min(tolerance):  # the curve may start anywhere
        shares = np.ptp(values) * 10.0 ** np.arange(-6, 1)
        begins += [*(values.min() - shares), *(values.max() + shares)]
    for begin in begins:
        distance = values - begin
        if (distance > 0).all() or (distance < 0).all():  # nearly a logarithm
            links.append(np.array([begin, np.abs(distance).min() / 30]))
    return links


def _of_logarithms(values: Floats) -> Floats:
    return np.array([0.0, -_LEAST * np.exp(values.min())])


def _linked(values: Floats, link: Floats) -> Floats:
    if link[1] < 0:
        return np.exp(values)
    return np.arcsinh((values - link[0]) / link[1]) if link[1] else values


def _unlinked(values: Floats, link: Floats) -> Floats:
    if link[1] < 0:
        return np.asarray(np.log(np.maximum(values, -link[1])))
    # Beyond the clip a curve that was fitted to finite numbers does not come.
    return link[0] + link[1] * np.sinh(np.clip(values, -150, 150)) if link[1] else values


def _degrees(features: Floats) -> range:
    """Return the degrees that leave a point to judge them by; 1 where none does."""
    points, count = features.shape
    most = max(
        (d for d in range(_DEGREES + 1) if comb(count + d, d) <= min(points - 1, _MOST_TERMS)),
        default=0,
    )
    return range(most + 1) if most or not count or points < 2 else range(1, 2)


def _solve(
    terms: Floats, values: Floats, weights: Floats, tolerance: Floats | float, link: Floats
) -> tuple[Floats, float]:
    """Return coefficients and how badly they predict points that are left out."""
    target = _linked(values, link)
    slope = target if link[1] < 0 else np.ones_like(values)  # of the link
    if link[1] > 0:
        slope = 1 / np.hypot(link[1], values - link[0])
    root = np.sqrt(weights / weights.sum()) / (tolerance * slope)
    u, s, v = np.linalg.svd(terms * root[:, None], full_matrices=False)
    kept = s > 1e-9 * s[0]
    u, s, v = u[:, kept], s[kept], v[kept]
    coefficients: Floats = v.T @ ((u.T @ (root * target)) / s)
    leverage = np.minimum((u**2).sum(axis=1), 1.0)
    missed = (target - terms @ coefficients) / np.maximum(1 - leverage, 1e-6)
    error = (_unlinked(target - missed, link) - values) / tolerance
    # The logarithm, so that one odd group does not decide.
    return coefficients, float(np.average(np.log1p(error**2), weights=weights))


def _terms(features: Floats, degree: int) -> Floats:
    columns = [np.ones(len(features))]
    for order in range(1, degree + 1):
        for chosen in combinations_with_replacement(range(features.shape[1]), order):
            columns.append(features[:, chosen].prod(axis=1))
    return np.stack(columns, axis=1)


def origins(condition: Mapping[str, Floats], parameters: Sequence[Parameter]) -> Floats:
    """Return from where each parameter's logarithm is taken ``[parameter]``, NaN for linear.

    It is taken where a parameter has a lower bound alone, and where its labels run over
    decades and lie more evenly on a logarithmic scale, declared or not.
    """
    found = []
    for parameter in parameters:
        # Without an order, and each label once.
        labels = np.unique(condition[parameter.name])
        origin = parameter.lower if parameter.lower is not None else 0.0
        distance = labels - origin
        if parameter.period is not None:
            found.append(np.nan)
        elif parameter.lower is not None and parameter.upper is None:
            found.append(origin - _nudge(distance))
        else:
            decades = distance[0] > 0 and distance[-1] > _DECADES * distance[0]
            found.append(origin if decades and _logarithmic(distance) else np.nan)
    return np.array(found, dtype=float)


def _nudge(distance: Floats) -> float:
    """Return how far the origin moves away, so that a label on the bound is no outlier."""
    positive = distance[distance > 0]
    if distance[0] > 0 or not positive.size:
        return 0.0
    return float(positive[0]) / 2


def _logarithmic(distance: Floats) -> bool:
    """Return whether ascending positive numbers lie more evenly on a logarithmic scale."""
    middles = np.array([(distance[0] + distance[-1]) / 2, np.sqrt(distance[0] * distance[-1])])
    linear, logarithmic = np.abs((distance[:, None] < middles).mean(axis=0) - 0.5)
    return bool(logarithmic < linear)


def features_of(
    condition: Mapping[str, Floats], parameters: Sequence[Parameter], origins: Floats, events: int
) -> Floats:
    """Return ``[event, feature]``: each parameter, or its logarithm, as `origins` says.

    One with a period has two features, its place on the unit circle.
    """
    columns = []
    for parameter, origin in zip(parameters, origins, strict=True):
        column = condition[parameter.name]
        if parameter.period is not None:
            angle = (2 * np.pi / parameter.period) * column
            columns += [np.cos(angle), np.sin(angle)]
        elif np.isnan(origin):
            columns.append(column)
        else:
            # A tiny offset instead of an error for a label that stands on its bound.
            columns.append(np.log(np.maximum(column - origin, 1e-12)))
    return np.stack(columns, axis=1) if columns else np.zeros((events, 0))


def count_features(parameters: Iterable[Mapping[str, Any]]) -> int:
    """Return how many columns :func:`features_of` makes of these parameters, as JSON has them."""
    return sum(1 if parameter.get("period") is None else 2 for parameter in parameters)


def periodic_features(parameters: Iterable[Parameter]) -> NDArray[np.bool_]:
    """Return which of the features belong to a parameter with a period, ``[feature]``."""
    kinds = [[p.period is not None] * (1 if p.period is None else 2) for p in parameters]
    return np.array([kind for pair in kinds for kind in pair], dtype=bool)


def groups(features: Floats) -> list[NDArray[np.intp]]:
    """Return index lists of events with like standardised features ``[event, feature]``.

    They are those of one label, else cells of a k-d split.
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
    return cells(features, everything, max(4 * _FEWEST, len(features) // _CELLS))


def cells(features: Floats, members: NDArray[np.intp], size: int) -> list[NDArray[np.intp]]:
    """Split events at the median of the widest feature until parts are smaller than 2 `size`.

    Features are ``[event, feature]``, and `members` the events that are split.
    """
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
    return [*cells(features, members[left], size), *cells(features, members[~left], size)]
