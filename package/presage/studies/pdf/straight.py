"""Coordinates in which the parameters of a curve are not tangled, with unit Jacobian.

Of a curve

    ln F = ln A0 + delta ln Q^2 + (a + 1) ln x + b ln(1 - x) + ln(1 + c x + d x^2)

values fix the whole, and of the first four numbers only what is left once c and d are known:
their posteriors are narrow and bent. With (k0, k1, k2) the least-squares fit of 1, ln x and
ln(1 - x) to the last term, the numbers (ln A0 + k0, delta, a + k1, b + k2) are linear in
ln F, so they are nearly normal and nearly independent of c and d. At given c and d this is
a translation: its Jacobian is 1, whatever the fit. A constant triangular matrix of
determinant 1 then makes equal errors of ln F into equal, independent errors.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

#: Ranges that the fit is over: uniform in x, and in ln Q^2.
_X, _LOG_Q2 = (1e-3, 0.9), (0.0, float(np.log(1e3)))
#: Nodes of Gauss's rule; the least value of 1 + c x + d x^2, for unphysical draws.
_NODES, _LEAST = 64, 1e-6


class CurveCoordinates:
    """Straight coordinates of (ln A0, delta, a, b) given (c, d).

    Attributes
    ----------
    moved
        How many parameters, the first ones, are moved; they have no bounds then.
    names
        The parameters, in order.
    """

    moved = 4
    names = ("logA0", "delta", "a", "b", "c", "d")

    def forward(self, theta: Tensor) -> Tensor:
        """Return the moved numbers ``(*, 4)`` of theta ``(*, 6)``, float64."""
        return (theta[..., : self.moved] + self._offset(theta)) @ self._matrix.T

    def inverse(self, straight: Tensor, theta: Tensor) -> Tensor:
        """Return theta ``(*, 6)`` of the moved numbers and a theta with the right c and d."""
        first = straight @ self._back.T - self._offset(theta)
        return torch.cat((first, theta[..., self.moved :]), -1)

    def _offset(self, theta: Tensor) -> Tensor:
        """Return (k0, 0, k1, k2), ``(*, 4)``."""
        x, fit = self._fit
        c, d = theta[..., 4, None], theta[..., 5, None]
        return (1 + c * x + d * x.square()).clamp(min=_LEAST).log() @ fit

    @cached_property
    def _fit(self) -> tuple[Tensor, Tensor]:
        """Return the nodes ``(E,)`` and the fit's matrix ``(E, 4)``."""
        x, weight = _nodes()
        columns = np.stack((np.ones_like(x), np.log(x), np.log1p(-x)), -1)
        gram = columns.T @ (columns * weight[:, None])
        fit = np.zeros((len(x), self.moved))
        fit[:, [0, 2, 3]] = np.linalg.solve(gram, (columns * weight[:, None]).T).T
        return torch.as_tensor(x), torch.as_tensor(fit)

    @cached_property
    def _matrix(self) -> Tensor:
        """Return the upper Cholesky factor of the mean of u u^T, of determinant 1, ``(4, 4)``."""
        x, weight = _nodes()
        low, high = _LOG_Q2
        middle, spread = 0.5 * (low + high), (high - low) / np.sqrt(12)
        log_q2 = np.array((middle - spread, middle + spread))  # mean and variance of a uniform
        parts = [
            np.stack((np.ones_like(x), np.full_like(x, value), np.log(x), np.log1p(-x)), -1)
            for value in log_q2
        ]
        gram = sum(u.T @ (u * weight[:, None]) for u in parts) / len(parts)
        upper = np.linalg.cholesky(gram).T
        return torch.as_tensor(upper / np.prod(np.diag(upper)) ** (1 / self.moved))

    @cached_property
    def _back(self) -> Tensor:
        found: Tensor = torch.linalg.inv(self._matrix)
        return found


def _nodes() -> tuple[np.ndarray, np.ndarray]:
    """Return places in x and weights of sum 1."""
    place, weight = np.polynomial.legendre.leggauss(_NODES)
    low, high = _X
    return low + (high - low) * (place + 1) / 2, weight / 2
