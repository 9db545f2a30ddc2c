"""A monotone map that makes numbers standard normal: a spline of their quantiles, and two tails.

Between the knots, quantiles whose normal scores are evenly spaced, a rational-quadratic spline
(Gregory, Delbourgo 1982) has the slopes that the geometric mean of neighbouring secants gives.
Beyond the last knot, which k of n numbers exceed, the excess y over it is generalised Pareto
(peaks over threshold, Pickands 1975): with e = ln S(z_k) - ln S(z), S the normal's survival,

    y = beta (exp(xi e) - 1)/xi,

beta and xi from probability-weighted moments (Hosking, Wallis 1987), xi within -0.5 and 1. What is
twenty times rarer than one in n continues in proportion to e: an exponential tail, so that no
draw flies out on a power that was only guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtri, ndtri_exp

Floats = NDArray[np.float64]

#: Knots at most, and as a power of the number of numbers; fewer than the least make no map.
_MOST, _POWER, _LEAST = 33, 0.33, 5
#: Share of the numbers in a tail, the fewest and the most of them.
_SHARE, _FEWEST, _LARGEST = 2e-3, 8, 200
#: How much rarer than 1/n the Pareto tail goes.
_RARER = 20.0
_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


@dataclass(frozen=True, eq=False)
class Tail:
    """The excess over a knot of normal score `score`, on either side."""

    score: float  # above 0
    beta: float
    xi: float
    last: float  # e at which the exponential tail begins

    @classmethod
    def fit(cls, excess: Floats, score: float) -> Self:
        """Fit to the numbers beyond the knot, as excesses."""
        ordered = np.sort(excess)
        n = ordered.size
        share = 1 - (np.arange(n) + 0.65) / n
        mean, weighted = float(ordered.mean()), float((share * ordered).mean())
        denominator = mean - 2 * weighted
        xi = 2 - mean / denominator if denominator > 0 else 1.0
        xi = float(np.clip(xi, -0.5, 1.0))
        # The scale that the median asks for: one outlier does not move it.
        unit = np.log(2.0) if abs(xi) < 1e-6 else np.expm1(xi * np.log(2.0)) / xi
        beta = float(np.median(ordered)) / float(unit)
        return cls(score, beta, xi if abs(xi) > 1e-6 else 1e-6, float(np.log(_RARER * n)))

    @property
    def slope(self) -> float:
        """The slope dy/dz at the knot."""
        return self.beta * float(np.exp(self._log_hazard(np.array(self.score))))

    def excess(self, score: Floats) -> Floats:
        """Return the excess at scores beyond the knot's."""
        e = float(log_ndtr(-self.score)) - log_ndtr(-score)
        inner = np.minimum(e, self.last)
        beyond = np.exp(self.xi * self.last) * (e - inner)
        return np.asarray(self.beta * (np.expm1(self.xi * inner) / self.xi + beyond))

    def scores(self, excess: Floats) -> tuple[Floats, Floats]:
        """Return scores of excesses, and ln(dz/dy)."""
        ratio = excess / self.beta
        end = np.expm1(self.xi * self.last) / self.xi
        inner = np.minimum(ratio, end)
        steep = np.exp(self.xi * self.last)
        e = np.log1p(self.xi * inner) / self.xi + (ratio - inner) / steep
        score = -ndtri_exp(float(log_ndtr(-self.score)) - e)
        rise = self.xi * np.minimum(e, self.last) + np.log(self.beta)
        return score, -rise - self._log_hazard(score)

    @staticmethod
    def _log_hazard(score: Floats) -> Floats:
        return np.asarray(-0.5 * score**2 - _HALF_LOG_2PI - log_ndtr(-score))


@dataclass(frozen=True, eq=False)
class QuantileMap:
    """z of y, increasing, on all of the line."""

    knots: Floats  # ``[2, knot]``: y and z
    slopes: Floats  # dz/dy at the knots ``[knot]``
    low: Tail
    high: Tail

    @classmethod
    def fit(cls, y: Floats) -> QuantileMap | None:
        """Fit to numbers; None where they are too few, or too many of them equal."""
        n = y.size
        beyond = int(np.clip(_SHARE * n, _FEWEST, _LARGEST))
        count = int(min(_MOST, n**_POWER))
        if count < _LEAST or 4 * beyond > n:
            return None
        edge = float(ndtri(1 - beyond / n))
        z = np.linspace(-edge, edge, count)
        ordered = np.sort(y)
        places = np.quantile(ordered, np.exp(log_ndtr(z)))
        rises = np.diff(places)
        if rises.min() <= 1e-9 * np.ptp(places):
            return None
        low, high = places[0] - ordered[:beyond], ordered[-beyond:] - places[-1]
        if min(np.median(low), np.median(high)) <= 1e-9 * np.ptp(places):
            return None
        tails = Tail.fit(low, edge), Tail.fit(high, edge)
        secants = np.diff(z) / rises
        inner = np.sqrt(secants[1:] * secants[:-1])
        slopes = np.r_[1 / tails[0].slope, inner, 1 / tails[1].slope]
        return cls(np.stack([places, z]), slopes, *tails)

    def apply(self, y: Floats) -> Floats:
        """Return z for each y."""
        return self.apply_and_log_slope(y)[0]

    def apply_and_log_slope(self, y: Floats) -> tuple[Floats, Floats]:
        """Return z and ln(dz/dy) for each y."""
        places, _ = self.knots
        z, slope = np.empty_like(y), np.empty_like(y)
        below, above = y < places[0], y > places[-1]
        inner = ~(below | above)
        z[inner], slope[inner] = self._spline(y[inner])
        for outside, tail, sign, end in ((below, self.low, -1, 0), (above, self.high, 1, -1)):
            score, slope[outside] = tail.scores(sign * (y[outside] - places[end]))
            z[outside] = sign * score
        return z, slope

    def inverse(self, z: Floats) -> Floats:
        """Return y for each z."""
        places, scores = self.knots
        y = np.empty_like(z)
        below, above = z < scores[0], z > scores[-1]
        inner = ~(below | above)
        y[inner] = self._spline_inverse(z[inner])
        for outside, tail, sign, end in ((below, self.low, -1, 0), (above, self.high, 1, -1)):
            y[outside] = places[end] + sign * tail.excess(sign * z[outside])
        return y

    def state(self) -> dict[str, Floats]:
        """Return the fitted numbers."""
        tails = [[t.score, t.beta, t.xi, t.last] for t in (self.low, self.high)]
        return {"knots": self.knots, "slopes": self.slopes, "tails": np.array(tails)}

    @classmethod
    def from_state(cls, state: Mapping[str, Floats], prefix: str = "") -> Self:
        """Rebuild from :meth:`state`'s entries, their names led by `prefix`."""
        tails = [Tail(*map(float, row)) for row in state[f"{prefix}tails"]]
        return cls(state[f"{prefix}knots"], state[f"{prefix}slopes"], tails[0], tails[1])

    def _bin(self, value: Floats, axis: int) -> tuple[Floats, ...]:
        """Return left ends, sizes and both slopes of the bins that values are in."""
        (x, z), d = self.knots, self.slopes
        k = np.clip(np.searchsorted(self.knots[axis], value, side="right") - 1, 0, len(x) - 2)
        return x[k], z[k], x[k + 1] - x[k], z[k + 1] - z[k], d[k], d[k + 1]

    def _spline(self, y: Floats) -> tuple[Floats, Floats]:
        x0, z0, w, h, d0, d1 = self._bin(y, 0)
        s, t = h / w, (y - x0) / w
        both = t * (1 - t)
        below = s + (d0 + d1 - 2 * s) * both
        z = z0 + h * (s * t * t + d0 * both) / below
        rise = 2 * s * both + d0 * (1 - t) ** 2 + d1 * t * t
        return z, 2 * np.log(s / below) + np.log(rise)

    def _spline_inverse(self, z: Floats) -> Floats:
        x0, z0, w, h, d0, d1 = self._bin(z, 1)
        s, up = h / w, z - z0
        bend = up * (d0 + d1 - 2 * s)
        a, b, c = h * (s - d0) + bend, h * d0 - bend, -s * up
        t = 2 * c / (-b - np.sqrt(np.maximum(b * b - 4 * a * c, 0)))
        return np.asarray(x0 + w * t)
