"""Coordinates in which the parameters of a curve are not tangled, with unit Jacobian.

Of a curve

    ln F = ln A0 + delta ln Q^2 + (a + 1) ln x + b ln(1 - x) + ln(1 + c x + d x^2)

values fix the whole, and of the first four numbers only what is left once c and d are known:
their posteriors are narrow and bent. With (k0, k1, k2) the least-squares fit of 1, ln x and
ln(1 - x) to the last term, the numbers (ln A0 + k0, delta, a + k1, b + k2) are linear in
ln F, so they are nearly normal and nearly independent of c and d. At given c and d this is
a translation: its Jacobian is 1, whatever the fit. A constant triangular matrix of
determinant 1 then makes equal errors of ln F into equal, independent errors.

In place of c stands e = c + m(d), which is 0 where the curve is no longer positive, see
:mod:`.realistic_dis`. The matrix is upper triangular, so taken in the order d, e, and then of b, a,
delta, ln A0, the edges of the prior are edges of each coordinate, given those before it.
"""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from presage.studies.pdf.realistic_dis import room

#: Ranges that the fit is over: uniform in x, and in ln Q^2.
_X, _LOG_Q2 = (1e-3, 0.9), (0.0, float(np.log(1e3)))
#: Nodes of Gauss's rule; the least value of 1 + c x + d x^2.
_NODES, _LEAST = 64, 1e-6
#: How many of the parameters, the first ones, are linear in ln F.
_MOVED = 4
#: The least e: where it is 0 the prior is, too.
_KEPT = 1e-9


class CurveCoordinates:
    """Straight coordinates of (logA0, delta, a, b, c, d) in a box.

    Parameters
    ----------
    low, high
        Edges, ``(6,)``, float64.
    """

    names: ClassVar[tuple[str, ...]] = ("logA0", "delta", "a", "b", "c", "d")

    def __init__(self, low: Tensor, high: Tensor) -> None:
        self.low, self.high = low, high

    def forward(self, theta: Tensor) -> Tensor:
        """Return z ``(*, 6)`` of theta ``(*, 6)``."""
        moved = (theta[..., :_MOVED] + self._offset(theta)) @ self._matrix.to(theta).T
        c, d = theta[..., _MOVED:].unbind(-1)
        return torch.cat((moved, torch.stack((c + room(d)[0], d), -1)), -1).flip(-1)

    def inverse(self, z: Tensor) -> Tensor:
        """Return theta ``(*, 6)`` of z ``(*, 6)``, inside the box and where the curve is positive.

        What rounding has put outside is put on the edge.
        """
        c, d = self._plane(z)
        plane = torch.stack((c, d), -1)
        moved = z.flip(-1)[..., :_MOVED] @ self._back.to(z).T - self._offset(plane)
        low, high = (edge[:_MOVED].to(z) for edge in (self.low, self.high))
        return torch.cat((moved.clamp(low, high), plane), -1)

    def edges(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return where each coordinate begins and ends, given those before it, ``(*, 6)``."""
        c, d = self._plane(z)
        moved, back = z.flip(-1)[..., :_MOVED], self._back.to(z)
        # Of theta_i = sum_{j >= i} back_ij z_j - offset_i, what is fixed by those before.
        known = moved @ back.triu(1).T - self._offset(torch.stack((c, d), -1))
        found = []
        for edge in (self.low.to(z), self.high.to(z)):
            first = (edge[:_MOVED] - known) / back.diagonal()
            e = (edge[4] + room(d)[0]).clamp(min=_KEPT)
            found.append(torch.cat((first, torch.stack((e, edge[5].expand_as(d)), -1)), -1))
        low, high = found
        return low.flip(-1), high.flip(-1)

    def _plane(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return c and d of z, put into the box."""
        d = z[..., 0].clamp(float(self.low[5]), float(self.high[5]))
        c = z[..., 1].clamp(min=_KEPT) - room(d)[0]
        return c.clamp(float(self.low[4]), float(self.high[4])), d

    def _offset(self, theta: Tensor) -> Tensor:
        """Return (k0, 0, k1, k2), ``(*, 4)``, of numbers of which c and d are the last."""
        x, fit = (part.to(theta) for part in self._fit)
        c, d = theta[..., -2, None], theta[..., -1, None]
        return (1 + c * x + d * x.square()).clamp(min=_LEAST).log() @ fit

    @cached_property
    def _fit(self) -> tuple[Tensor, Tensor]:
        """Return the nodes ``(E,)`` and the fit's matrix ``(E, 4)``."""
        x, weight = _nodes()
        columns = np.stack((np.ones_like(x), np.log(x), np.log1p(-x)), -1)
        gram = columns.T @ (columns * weight[:, None])
        fit = np.zeros((len(x), _MOVED))
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
        return torch.as_tensor(upper / np.prod(np.diag(upper)) ** (1 / _MOVED))

    @cached_property
    def _back(self) -> Tensor:
        found: Tensor = torch.linalg.inv(self._matrix)
        return found


def _nodes() -> tuple[np.ndarray, np.ndarray]:
    """Return places in x and weights of sum 1."""
    place, weight = np.polynomial.legendre.leggauss(_NODES)
    low, high = _X
    return low + (high - low) * (place + 1) / 2, weight / 2
