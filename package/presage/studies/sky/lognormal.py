"""Densities that are never negative, with exactly the power that was asked for.

A lognormal field delta = exp(G - <G^2>/2) - 1 of a Gaussian G has the correlation
1 + xi(r) = exp(xi_G(r)) (Coles & Jones 1991). So G is given xi_G = ln(1 + xi), both on the grid of
the simulated box: its Fourier transform is the power of G, and delta has exactly xi.
On a periodic box sum xi = 0 would leave sum ln(1 + xi) < 0, a negative power of G at k = 0;
the box's mean density therefore varies a little, by that constant in xi which makes it 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.fft import irfftn, rfftn

from presage.labels import LabelError
from presage.studies.sky.cosmology import Array

#: Largest share of the variance of G that may be asked of modes with negative power.
_NEGATIVE = 1e-6


class Underlying(NamedTuple):
    """The Gaussian field under a lognormal one."""

    #: Variance of each mode of G, as that of delta was given.
    power: Array
    #: <G^2>.
    variance: float
    #: Variance of the mode k = 0 of delta.
    zero: float


def underlying(power: Array, shape: tuple[int, ...]) -> Underlying:
    """Return the Gaussian field whose lognormal one has this power.

    `power` is the variance of every mode of ``rfftn(delta, norm="ortho")``, `shape` the box's.

    Raises
    ------
    LabelError
        The correlation is -1 or below somewhere, or no Gaussian field has the power needed.
    """
    correlation = irfftn(power, s=shape)
    if correlation.min() <= -1:
        raise LabelError(
            "a lognormal signal needs a correlation above -1 everywhere, got "
            f"{correlation.min():.3g}; take a smaller bias, larger cells or lognormal=False"
        )
    constant = 0.0
    for _ in range(8):  # Newton's method: sum ln(1 + xi + constant) = 0
        total = 1 + correlation + constant
        constant -= float(np.log(total).sum() / (1 / total).sum())
    gaussian = rfftn(np.log1p(correlation + constant)).real
    negative = -gaussian[gaussian < 0].sum() / gaussian.sum()
    if negative > _NEGATIVE:
        raise LabelError(
            f"no Gaussian field gives a lognormal one of this power: {negative:.2%} of its "
            "variance would be negative; take a smaller bias, larger cells or lognormal=False"
        )
    return Underlying(
        np.maximum(gaussian, 0), float(np.log1p(correlation.flat[0] + constant)),
        constant * correlation.size,
    )  # fmt: skip
