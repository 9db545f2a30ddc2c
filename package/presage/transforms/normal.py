"""A monotone map that makes pooled numbers standard normal, tails included.

A flow falls back on the identity where it saw few events. That is right only if its inputs
have the tails of its base, and wrong tails are drawn far out: so the inputs are mapped by
their own quantiles first. Between the knots, quantiles of the sample and of the normal law,
goes the rational-quadratic spline of Gregory and Delbourgo (IMA J. Numer. Anal. 2 (1982)
123), beyond them straight lines of the last slopes. The outermost knots are the third
event from the end, and one step beyond it that is as much shorter than the last one as that was
than the one before, which at a sharp edge is next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]

#: Where knots are, in standard deviations; those with fewer events beyond them are left out.
_LEVELS = (0.0, 0.75, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
_BEYOND = 10


@dataclass(frozen=True, eq=False)
class NormalMap:
    """An increasing map by knots."""

    x: Floats  # knots, ascending, at least two
    t: Floats

    @classmethod
    def fit(cls, x: Floats) -> Self:
        """Fit to a sample, by its quantiles; a constant one is only moved to 0."""
        levels = [level for level in _LEVELS if level == 0 or x.size * ndtr(-level) >= _BEYOND]
        t = np.array([*(-level for level in levels[:0:-1]), *levels])
        knots = np.quantile(x, ndtr(t))
        # The third from the end and its median place: one or two odd events decide nothing.
        third = min(3, x.size)
        low, high = np.sort(np.partition(x, (third - 1, x.size - third))[[third - 1, -third]])
        extreme = max(-ndtri((third - 1 / 3) / (x.size + 1 / 3)), levels[-1] + 0.1)
        t = np.array([-extreme - 1, -extreme, *t, extreme, extreme + 1])
        knots = np.array([0.0, low, *knots, high, 0.0])
        knots[0] = knots[1] - _step(-knots[3:0:-1], -t[3:0:-1])
        knots[-1] = knots[-2] + _step(knots[-4:-1], t[-4:-1])
        # Equal quantiles, of values that repeat, are one knot.
        apart = np.concatenate([[True], np.diff(knots) > 1e-9 * np.ptp(knots)])
        knots, t = knots[apart], t[apart]
        if len(knots) < 2:
            return cls(knots[0] + np.array([-1.0, 1.0]), np.array([-1.0, 1.0]))
        return cls(knots, t)

    def apply(self, x: Floats) -> Floats:
        """Return t for each x."""
        return self._evaluate(x)[0]

    def log_slope(self, x: Floats) -> Floats:
        """Return ln(dt/dx)."""
        return np.asarray(np.log(self._evaluate(x)[1]))

    def inverse(self, t: Floats) -> Floats:
        """Return x for each t."""
        w, h, x0, t0, d0, d1 = self._bin(self.t, t)
        s, up = h / w, np.clip(t - t0, 0.0, h)
        bend = up * (d0 + d1 - 2 * s)
        a, b, c = h * (s - d0) + bend, h * d0 - bend, -s * up
        share = 2 * c / (-b - np.sqrt(np.maximum(b * b - 4 * a * c, 0.0)))
        below, above = np.minimum(t - self.t[0], 0.0), np.maximum(t - self.t[-1], 0.0)
        first, *_, last = self._slopes()
        return np.asarray(x0 + w * share + below / first + above / last)

    def _evaluate(self, x: Floats) -> tuple[Floats, Floats]:
        w, h, x0, t0, d0, d1 = self._bin(self.x, x)
        s, u = h / w, np.clip((x - x0) / w, 0.0, 1.0)
        both = u * (1 - u)
        under = s + (d0 + d1 - 2 * s) * both
        slope = s * s * (d1 * u * u + 2 * s * both + d0 * (1 - u) ** 2) / under**2
        t = t0 + h * (s * u * u + d0 * both) / under
        below, above = np.minimum(x - self.x[0], 0.0), np.maximum(x - self.x[-1], 0.0)
        first, *_, last = self._slopes()
        return t + below * first + above * last, slope

    def _bin(self, knots: Floats, values: Floats) -> tuple[Floats, ...]:
        k = np.clip(np.searchsorted(knots, values) - 1, 0, len(knots) - 2)
        slopes = self._slopes()
        widths, heights = np.diff(self.x), np.diff(self.t)
        return widths[k], heights[k], self.x[k], self.t[k], slopes[k], slopes[k + 1]

    def _slopes(self) -> Floats:
        """Return the slope at each knot: between the secants' harmonic and arithmetic means."""
        w, secant = np.diff(self.x), np.diff(self.t) / np.diff(self.x)
        inner = (w[:-1] + w[1:]) / (w[:-1] / secant[1:] + w[1:] / secant[:-1])
        return np.concatenate([secant[:1], inner, secant[-1:]])


def _step(x: Floats, t: Floats) -> float:
    """Return by how much x rises in the next unit of t, given its last three values."""
    before, last = np.diff(x) / np.diff(t)
    return float(last * min(last / before, 1.0)) if before > 0 else float(last)
