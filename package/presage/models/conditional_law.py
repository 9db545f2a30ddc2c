"""The law of many numbers given a few: polynomial means and widths, one correlation matrix.

Fitted in closed form by least squares. Given the context c the numbers are taken as
m(c) + s(c) z with correlated z; how far z may be from 0 is then not taken from a normal law but
counted on data that were not fitted (:mod:`presage.transforms.tail`), so that the law need be
neither normal nor exact for a p-value to be right: a poor law only sees less.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from presage.labels import Floats

#: Mean of ln |z| of a standard normal z.
_LOG_ABS = -0.6352
#: Added to a column's own width, so that one that never varies has one.
_LEAST = 1e-3
#: Smallest width, as a share of the column's own: what is finer depends on the fit.
_FINEST = 0.02
#: Degrees of the polynomials for means and for the logarithms of widths, the plainest first.
DEGREES = ((1, 0), (2, 0), (2, 1), (3, 1), (3, 2))
#: Rows wanted for each polynomial term.
_ROWS_PER_TERM = 10
_FURTHEST = 1e6
#: Widths beyond which a residual counts by its logarithm.
_SOFT = 4.0


@dataclass(frozen=True)
class ConditionalLaw:
    """A fitted law."""

    low: Floats  # range of the context that was seen, ``(C,)``; beyond it the law of its edge holds
    high: Floats
    #: Of the polynomials, ``(2,)``; the last number of the context is always there.
    degrees: NDArray[np.int64]
    mean: Floats  # coefficients ``(T, K)`` of the means, and of the logarithms of the widths
    width: Floats
    bottom: Floats  # range of each column ``(K,)``: no mean lies beyond
    top: Floats
    #: Standard deviation of each column whatever the context, ``(K,)``: no width is larger.
    own: Floats
    precision: Floats  # inverse of the correlations, ``(K, K)``, zero between blocks
    #: Number of the block of each column, ``(K,)``; -1 for one that is not looked at.
    block: NDArray[np.int64]

    @classmethod
    def fit(
        cls,
        values: Floats,
        context: Floats,
        block: NDArray[np.int64],
        degrees: tuple[int, int] = DEGREES[0],
    ) -> ConditionalLaw:
        """Fit the law of `values` ``(N, K)`` given `context` ``(N, C)``."""
        edges = context.min(0), context.max(0)
        of_mean, of_width = (_basis(context, *edges, degree) for degree in degrees)
        if of_mean.shape[1] * _ROWS_PER_TERM > len(values):
            of_mean = of_width = of_mean[:, :1]
        mean, own = _solve(of_mean, values), values.std(0) + _LEAST
        left = np.abs(values - of_mean @ mean)
        width = _solve(of_width, np.log(np.maximum(left, _FINEST * own)))
        width[0] -= _LOG_ABS
        ends, unit = (values.min(0), values.max(0)), np.eye(values.shape[1])
        raw = cls(*edges, np.array(degrees), mean, width, *ends, own, unit, block)
        spread = np.maximum(raw.residuals(values, context).std(0), _LEAST)
        width[0] += np.log(spread)
        z = raw.residuals(values, context)
        return replace(raw, precision=_precision(_soft(z), block))

    def residuals(self, values: Floats, context: Floats) -> Floats:
        """Return how many widths `values` ``(N, K)`` are from their means."""
        expected, width = self.expected(context)
        z = np.clip((values - expected) / width, -_FURTHEST, _FURTHEST)
        return np.where(self.block < 0, 0.0, z)

    def expected(self, context: Floats) -> tuple[Floats, Floats]:
        """Return means and widths ``(N, K)``."""
        of_mean, of_width = (
            _basis(context, self.low, self.high, degree)[:, : len(coefficients)]
            for degree, coefficients in zip(self.degrees, (self.mean, self.width), strict=True)
        )
        width = np.exp(np.minimum(of_width @ self.width, 50.0))
        mean = np.clip(of_mean @ self.mean, self.bottom, self.top)
        return mean, np.clip(width, _FINEST * self.own, self.own)

    def loss(self, values: Floats, context: Floats) -> float:
        """Return minus the mean log density of `values`, were residuals normal."""
        z, width = self.residuals(values, context), self.expected(context)[1]
        return float(np.mean(np.log(width) + z**2 / 2))

    def scores(self, residuals: Floats) -> Floats:
        """Return half the squared distance of each block, and of the furthest column, ``(N, B)``.

        Such halves fall off exponentially where residuals are normal.
        """
        parts, soft = [], _soft(residuals)
        for number in range(int(self.block.max()) + 1):
            own = self.block == number
            z = soft[:, own]
            parts.append(((z @ self.precision[np.ix_(own, own)]) * z).sum(1) / 2)
        return np.stack([*parts, (soft**2).max(1) / 2], 1)


def _soft(z: Floats) -> Floats:
    """Return residuals; far ones go by their logarithm, lest one column outweighs all."""
    far = np.maximum(np.abs(z), _SOFT)
    result: Floats = np.where(np.abs(z) > _SOFT, np.sign(z) * _SOFT * (1 + np.log(far / _SOFT)), z)
    return result


def _basis(context: Floats, low: Floats, high: Floats, degree: int) -> Floats:
    """Return all products of the context up to a degree, and its last number, ``(N, T)``."""
    half = np.where(high > low, (high - low) / 2, 1.0)
    x = (np.clip(context, low, high) - (low + high) / 2) / half
    columns = [np.ones(len(x))]
    for order in range(1, degree + 1):
        columns += [
            np.prod(x[:, list(which)], axis=1)
            for which in combinations_with_replacement(range(x.shape[1]), order)
        ]
    return np.stack(columns if degree else [*columns, x[:, -1]], 1)


def _solve(basis: Floats, values: Floats) -> Floats:
    """Return least squares with the faintest ridge: a context that never varies has no slope."""
    square = basis.T @ basis
    square[np.diag_indices_from(square)] += 1e-9 * len(basis)
    return np.asarray(np.linalg.solve(square, basis.T @ values), dtype=np.float64)


def _precision(z: Floats, block: NDArray[np.int64]) -> Floats:
    """Return the inverse correlations of each block, shrunk as far as few rows demand."""
    total: Floats = np.zeros((z.shape[1], z.shape[1]))
    for number in range(int(block.max()) + 1):
        own = np.flatnonzero(block == number)
        correlations: Floats = z[:, own].T @ z[:, own] / len(z)
        share = len(own) / (len(own) + len(z))
        shrunk = (1 - share) * correlations + share * np.eye(len(own))
        total[np.ix_(own, own)] = np.linalg.inv(shrunk)
    return total
