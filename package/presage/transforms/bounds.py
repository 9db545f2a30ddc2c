"""Maps of an interval onto the real line that are nearly the identity in the bulk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Distance to a bound, in widths, below which a value counts as standing on it.
_NEAR = 1e-9


def softplus(v: Floats) -> Floats:
    """Return ln(1 + e^v), positive for every v."""
    return np.asarray(np.logaddexp(0.0, v))


def softplus_inverse(u: Floats) -> Floats:
    """Return ln(e^u - 1) for u > 0: ln u near 0, u far from it."""
    return np.asarray(u + np.log(-np.expm1(-u)))


@dataclass(frozen=True, eq=False)
class BoundMap:
    """y = b((x - bound)/width) - b((location - bound)/width); see `transforms.scale`."""

    location: Floats  # where y = 0 and the unit of y, ``[event]``; width > 0
    width: Floats
    lower: float | None = None  # bounds of x; either, both or none
    upper: float | None = None

    def apply(self, x: Floats) -> Floats:
        """Return y for each x."""
        if self.lower is None and self.upper is None:
            return (x - self.location) / self.width
        return self._map(x) - self._map(self._anchor())

    def inverse(self, y: Floats) -> Floats:
        """Return x for each y."""
        if self.lower is None and self.upper is None:
            return self.location + self.width * y
        v = y + self._map(self._anchor())
        if self.lower is not None and self.upper is not None:
            span = self.upper - self.lower
            return self.lower + span / (1 + np.exp(-np.clip(v / self._unit(), -700, 700)))
        distance = self.width * softplus(v if self.upper is None else -v)
        if self.lower is not None:
            return self.lower + distance
        return float(self.upper or 0.0) - distance

    def log_slope(self, x: Floats) -> Floats:
        """Return ln(dy/dx)."""
        if self.lower is not None and self.upper is not None:
            share = self._share(x)
            span = self.upper - self.lower
            return np.log(self._unit() / (span * share * (1 - share)))
        log_width = np.log(self.width) + np.zeros_like(x)
        if self.lower is None and self.upper is None:
            return -log_width
        return -np.log(-np.expm1(-self._distance(x))) - log_width

    def _map(self, x: Floats) -> Floats:
        if self.lower is not None and self.upper is not None:
            share = self._share(x)
            return self._unit() * np.log(share / (1 - share))
        mapped = softplus_inverse(self._distance(x))
        return mapped if self.upper is None else -mapped

    def _anchor(self) -> Floats:
        """Return the location, moved to a tenth of a width inside the bounds where needed."""
        low = None if self.lower is None else self.lower + 0.1 * self.width
        high = None if self.upper is None else self.upper - 0.1 * self.width
        if low is not None and high is not None:
            middle = (low + high) / 2
            low, high = np.minimum(low, middle), np.maximum(high, middle)
        return np.clip(self.location, low, high)

    def _distance(self, x: Floats) -> Floats:
        """Return the distance to the one bound in widths."""
        if self.lower is not None:
            return np.maximum((x - self.lower) / self.width, _NEAR)
        return np.maximum((float(self.upper or 0.0) - x) / self.width, _NEAR)

    def _share(self, x: Floats) -> Floats:
        lower, upper = float(self.lower or 0.0), float(self.upper or 0.0)
        return np.clip((x - lower) / (upper - lower), _NEAR, 1 - _NEAR)

    def _unit(self) -> Floats:
        """Return what makes the logit's slope at the location 1/width."""
        lower, upper = float(self.lower or 0.0), float(self.upper or 0.0)
        share = self._share(self._anchor())
        return (upper - lower) * share * (1 - share) / self.width
