"""What a Gaussian cloud looks like: a covariance [D, D], and how it varies over the labels.

What varies are factors on its widths. With r the label's place in steps (:meth:`Layout.steps`),
they are a smooth function of the label and not of its number in a list: only what is smooth can
be interpolated. Widths are scaled rather than matrices added up, so the covariance is positive
definite at every label, also between and beyond those of the grid, and a cloud's root never has
to be computed event by event.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from presage.labels import LabelError
from presage.rng import generator

Floats = NDArray[np.float64]


class Covariance(ABC):
    """A positive definite matrix."""

    @property
    @abstractmethod
    def matrix(self) -> Floats:
        """The covariance ``[D, D]``."""

    @property
    def root(self) -> Floats:
        """Its Cholesky factor, the lower triangle ``[D, D]``."""
        return np.asarray(np.linalg.cholesky(self.matrix), dtype=np.float64)


@dataclass(frozen=True)
class Diag(Covariance):
    """Independent widths.

    Parameters
    ----------
    sigma
        Standard deviation along each variable.
    """

    sigma: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", _positive(self.sigma))

    @property
    def matrix(self) -> Floats:
        """The covariance ``[D, D]``."""
        return np.diag(np.square(self.sigma))


@dataclass(frozen=True)
class Full(Covariance):
    """Correlated variables.

    Parameters
    ----------
    variances
        Diagonal of the covariance, D numbers.
    off_diagonals
        Its upper triangle row by row, D (D - 1)/2 numbers.
    """

    variances: tuple[float, ...]
    off_diagonals: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "variances", tuple(map(float, self.variances)))
        object.__setattr__(self, "off_diagonals", tuple(map(float, self.off_diagonals)))
        size = len(self.variances)
        if len(self.off_diagonals) != size * (size - 1) // 2:
            raise LabelError(
                f"{size} variances need {size * (size - 1) // 2} off-diagonals, "
                f"got {len(self.off_diagonals)}"
            )
        numbers = (*self.variances, *self.off_diagonals)
        if not (numbers and np.isfinite(numbers).all()):
            raise LabelError(f"a covariance is made of finite numbers, got {numbers}")
        smallest = float(np.linalg.eigvalsh(self.matrix)[0])
        if not smallest > 0:
            raise LabelError(f"the covariance is not positive definite: an eigenvalue {smallest}")

    @property
    def matrix(self) -> Floats:
        """The covariance ``[D, D]``."""
        size = len(self.variances)
        upper = np.zeros((size, size))
        upper[np.triu_indices(size, 1)] = self.off_diagonals
        return upper + upper.T + np.diag(self.variances)


@dataclass(frozen=True)
class Sampled(Covariance):
    """A covariance drawn at random: a Wishart matrix with mean diag(sigma^2).

    With nu degrees of freedom it is S A A^T S/nu, S = diag(sigma), where the lower triangle A has
    normal numbers below its diagonal and A_ii^2 ~ chi^2(nu - i), i = 0..D - 1 (M. S. Bartlett,
    Proc. R. Soc. Edinb. 53 (1933) 260). The numbers come from a seed of its own, so the matrix
    is a function of these fields whatever the seed of the events.

    Parameters
    ----------
    sigma
        Root of the mean variance along each variable.
    seed
        Seed of the matrix.
    degrees
        nu, at least D; by default D + 2. Few give strong correlations, many give nearly none.
    """

    sigma: tuple[float, ...]
    seed: int = 0
    degrees: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", _positive(self.sigma))
        size = len(self.sigma)
        object.__setattr__(self, "degrees", int(self.degrees) or size + 2)
        if self.degrees < size:
            raise LabelError(
                f"a covariance of {size} variables needs at least {size} degrees of freedom, "
                f"got {self.degrees}"
            )
        if self.seed != int(self.seed) or self.seed < 0:
            raise LabelError(f"the seed should be a non-negative integer, got {self.seed!r}")

    @property
    def root(self) -> Floats:
        """Its Cholesky factor ``[D, D]``."""
        size = len(self.sigma)
        rng = generator("gaussians/sampled-covariance", self.seed, 0)
        factor = np.tril(rng.standard_normal((size, size)), -1)
        factor += np.diag(np.sqrt(rng.chisquare(self.degrees - np.arange(size))))
        return np.asarray(factor * np.array(self.sigma)[:, None] / math.sqrt(self.degrees))

    @property
    def matrix(self) -> Floats:
        """The covariance ``[D, D]``."""
        return np.asarray(self.root @ self.root.T)


COVARIANCES: dict[str, type[Covariance]] = {"diag": Diag, "full": Full, "sampled": Sampled}


def _positive(sigma: tuple[float, ...]) -> tuple[float, ...]:
    numbers = tuple(map(float, np.atleast_1d(sigma)))
    if not numbers or not all(s > 0 and math.isfinite(s) for s in numbers):
        raise LabelError(f"standard deviations should be positive, got {numbers}")
    return numbers


class Variation(ABC):
    """Factors on the standard deviations, by the label's place."""

    @abstractmethod
    def factors(self, steps: Floats) -> Floats:
        """Return factors ``[label, D]``, or ``[label, 1]`` for all, at places r ``[label]``."""


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
        _check_growth(self.growth)

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
            _check_growth(growth)

    def factors(self, steps: Floats) -> Floats:
        """Return (1 + g_j)^(r/2) ``[label, D]``."""
        rates = 0.5 * np.log1p(self.growth)
        return np.exp(rates[:, None] * steps).T


VARIATIONS: dict[str, type[Variation]] = {
    "repeat": Repeat, "radial_mod": RadialMod, "diag_mod": DiagMod,
}  # fmt: skip


def _check_growth(growth: float) -> None:
    if not (growth > -1 and math.isfinite(growth)):
        raise LabelError(f"a growth should be above -1, got {growth}")
