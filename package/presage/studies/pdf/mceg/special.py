"""Gamma functions of complex argument, differentiable: torch has them for real numbers only.

The argument is moved by twelve to the right, where Stirling's series (Abramowitz and Stegun,
6.1.40 and 6.3.18) converges to rounding; the recurrence leads back. This holds on the cut
plane away from the negative axis, thus everywhere on a contour that leaves at 135 degrees.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Bernoulli numbers B_2, B_4, ...
_BERNOULLI = (
    1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798,
    -174611 / 330,
)  # fmt: skip
_SHIFT = 12
#: z (z + 11) + k (11 - k) is (z + k)(z + 11 - k): the product of twelve in six factors.
_PAIRS = tuple(k * (_SHIFT - 1 - k) for k in range(_SHIFT // 2))


def _series(z: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """Return the polynomial in 1 / z^2 with these coefficients."""
    square = (z * z).reciprocal()
    total = torch.full_like(z, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * square + coefficient
    return total


_LOG_GAMMA = tuple(b / (2 * k * (2 * k - 1)) for k, b in enumerate(_BERNOULLI, start=1))
_DIGAMMA = tuple(b / (2 * k) for k, b in enumerate(_BERNOULLI, start=1))


def _fall(z: Tensor, b: Tensor) -> Tensor:
    """Return log Gamma(z) - log Gamma(z + b) for large z, without subtracting large numbers."""
    moved = z + b
    ends = _series(z, _LOG_GAMMA) / z - _series(moved, _LOG_GAMMA) / moved
    return ends + b - b * z.log() - (moved - 0.5) * torch.log1p(b / z)


def _rising(z: Tensor) -> Tensor:
    """Return z (z + 1) ... (z + 11)."""
    paired = z * (z + (_SHIFT - 1))
    product = paired
    for pair in _PAIRS[1:]:
        product = product * (paired + pair)
    return product


def beta(z: Tensor, b: Tensor) -> Tensor:
    """Return Euler's beta function B(z, b), broadcast.

    z is complex, at some distance from the poles 0, -1, -2, ...; b real and positive. Right to
    about 1e-13 of its value for abs(z) below 100, and differentiable in both.
    """
    moved = z + b
    ratio = (_fall(z + _SHIFT, b) + torch.lgamma(b)).exp()
    return ratio * _rising(moved) / _rising(z)


def real_beta(a: Tensor, b: Tensor) -> Tensor:
    """Return B(a, b) of real, positive numbers."""
    return (torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)).exp()


def harmonic(z: Tensor) -> Tensor:
    """Return S_1(z) = psi(z + 1) + gamma_E, the harmonic sum continued to complex z."""
    start = z + 1
    total = torch.zeros_like(z)
    for k in range(_SHIFT):
        total = total - (start + k).reciprocal()
    far = start + _SHIFT
    digamma = far.log() - 0.5 / far - _series(far, _DIGAMMA) / (far * far)
    return total + digamma + _EULER


_EULER = 0.5772156649015329
