"""How a Gaussian cloud varies over the labels: factors on its widths.

With r the label's place in steps (:meth:`Layout.steps`), a smooth function of the label and not
its number in a list: only what is smooth can be interpolated. Widths are scaled rather than
matrices added up, so the covariance is positive definite at every label, also between and
beyond those of the grid, and a cloud's root never has to be computed event by event.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from presage.labels import LabelError

Floats = NDArray[np.float64]


class Variation(ABC):
    """Factors on the standard deviations, by the label's place."""

    @abstractmethod
    def factors(self, steps: Floats) -> Floats:
        """Return factors ``[label, D]``, or ``[label, 1]`` for all variables alike.

        Parameters
        ----------
        steps
            Places r of the labels ``[label]``.
        """


@dataclass(frozen=True)
class Repeat(Variation):
    """The same cloud at every label."""

    def factors(self, steps: Floats) -> Floats:
        """Return 1 ``[label, 1]``."""
        return np.ones((len(steps), 1))


@dataclass(frozen=True)
class RadialMod(Variation):
    """A cloud that grows as a whole: covariance times (1 + g)^r.

    Parameters
    ----------
    growth
        g, above -1; negative ones shrink.
    """

    growth: float = 0.1

    def __post_init__(self) -> None:
        _check(self.growth)

    def factors(self, steps: Floats) -> Floats:
        """Return (1 + g)^(r/2) ``[label, 1]``."""
        return np.exp(0.5 * math.log1p(self.growth) * steps)[:, None]


@dataclass(frozen=True)
class DiagMod(Variation):
    """A cloud that grows along each variable at a rate of its own.

    Variance j is multiplied by (1 + g_j)^r, correlations stay: covariance ij gets the factor
    ((1 + g_i)(1 + g_j))^(r/2).

    Parameters
    ----------
    growth
        g of each variable, above -1.
    """

    growth: tuple[float, ...] = (0.1, -0.05)

    def __post_init__(self) -> None:
        object.__setattr__(self, "growth", tuple(map(float, np.atleast_1d(self.growth))))
        for growth in self.growth:
            _check(growth)

    def factors(self, steps: Floats) -> Floats:
        """Return (1 + g_j)^(r/2) ``[label, D]``."""
        rates = 0.5 * np.log1p(self.growth)
        return np.exp(rates[:, None] * steps).T


VARIATIONS: dict[str, type[Variation]] = {
    "repeat": Repeat, "radial_mod": RadialMod, "diag_mod": DiagMod,
}  # fmt: skip


def _check(growth: float) -> None:
    if not (growth > -1 and math.isfinite(growth)):
        raise LabelError(f"a growth should be above -1, got {growth}")
