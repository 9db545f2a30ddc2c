r"""The posterior of a measured structure function, nearly: a grid in (c, d), normal in the rest.

The logarithm of a measured value is linear in beta = (logA0, delta, a, b) once c and d are known,

    ln F - ln x - ln P(x) = logA0 + delta ln Q^2 + a ln x + b ln(1 - x) + noise,

with normal noise. So beta given (c, d) is normal about its least squares, with one covariance for
all (c, d), cut off at the edges of the prior; and what is left of (c, d) is exp(-RSS / 2 sigma^2)
times the share of that normal law inside the edges. Cells of the plane are halved until this
varies little in each, those without weight are left out, and inside a cell its logarithm is linear.
Importance weights undo what all this gets wrong, see :mod:`.reference`.

The plane is that of (e, d) with e = c + m(d), the distance from where P is no longer positive.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from presage.labels import Floats
from presage.models.cells import log_between, log_normal, normal_between

#: Cells along each side at first, halvings at most, and cells at most.
_FIRST, _HALVINGS, _MOST = 16, 9, 20_000
#: A cell without weight is so far below the best; where -ln p bends less than this over half a
#: cell, it is small enough.
_NOTHING, _STRAIGHT = 25.0, 0.1
#: Numbers that are worked on at once; the smallest P.
_AT_ONCE, _LEAST = 1 << 22, 1e-9


@dataclass(frozen=True)
class CurvePosterior:
    """The law of theta ``(*, 6)`` given values of the curve.

    Parameters
    ----------
    x, log_q2, log_value
        Of the events, ``(E,)``, float64.
    noise
        Standard deviation of `log_value`.
    low, high
        Edges of the prior, ``(6,)``.
    room
        m of d: c + m(d) > 0 is where the curve is positive; and its slope.
    """

    x: Tensor
    log_q2: Tensor
    log_value: Tensor
    noise: float
    low: Tensor
    high: Tensor
    room: Callable[[Tensor], tuple[Tensor, Tensor]]

    def sample(self, rng: np.random.Generator, n: int) -> Tensor:
        """Draw theta ``(n, 6)``."""
        cells = self._cells
        which = torch.as_tensor(rng.choice(len(cells.share), size=n, p=cells.share))
        bend = cells.slope[which] * cells.size
        # Of a density exp(b u) on 0 < u < 1.
        uniform = torch.as_tensor(rng.random((n, 2)))
        steep = torch.where(bend.abs() < 1e-6, 1e-6, bend)
        place = torch.log1p(uniform * torch.expm1(-steep.abs())) / -steep.abs()
        place = torch.where(steep > 0, 1 - place, place)
        e, d = ((cells.index[which] + place) * cells.size + cells.origin).unbind(-1)
        plane = torch.stack((e - self.room(d)[0], d), -1)
        mean = self._mean(plane)
        normal = torch.as_tensor(rng.standard_normal((n, 4)))
        return torch.cat((self._kept(mean, normal)[0], plane), -1)

    def log_prob(self, theta: Tensor) -> Tensor:
        """Return the log density of theta ``(n, 6)``, ``(n,)``; -inf in cells without weight."""
        cells, plane = self._cells, theta[:, 4:]
        moved = torch.stack((plane[:, 0] + self.room(plane[:, 1])[0], plane[:, 1]), -1)
        place = (moved - cells.origin) / cells.size
        index = place.floor()
        which, known = cells.find(index)
        bend = cells.slope[which] * cells.size
        steep = torch.where(bend.abs() < 1e-6, 1e-6, bend)
        inside = steep * (place - index) - (torch.expm1(steep) / steep).log()
        density = torch.as_tensor(cells.share)[which].log() + inside.sum(-1)
        mean = self._mean(plane)
        normal = (theta[:, :4] - mean) @ self._whiten.T
        _, shares = self._kept(mean, normal, inside=True)
        density = density + (log_normal(normal) - shares).sum(-1) - cells.size.log().sum()
        density = density + self._whiten.diagonal().log().sum()
        return torch.where(known, density, -math.inf)

    # -- beta given (c, d) -----------------------------------------------------------------

    @cached_property
    def _design(self) -> Tensor:
        one = torch.ones_like(self.x)
        return torch.stack((one, self.log_q2, self.x.log(), (-self.x).log1p()), -1)

    @cached_property
    def _inverse(self) -> Tensor:
        found: Tensor = torch.linalg.inv(self._design.T @ self._design)
        return found

    @cached_property
    def _whiten(self) -> Tensor:
        """Return the lower triangle that makes beta - mean into normal numbers, ``(4, 4)``."""
        found: Tensor = torch.linalg.inv(torch.linalg.cholesky(self._inverse)) / self.noise
        return found

    def _curve(self, plane: Tensor) -> Tensor:
        """Return P of (c, d) ``(n, 2)`` at each event, ``(n, E)``."""
        c, d = plane[:, :1], plane[:, 1:]
        return (1 + c * self.x + d * self.x.square()).clamp(min=_LEAST)

    def _mean(self, plane: Tensor) -> Tensor:
        """Return the least squares beta of (c, d) ``(n, 2)``, ``(n, 4)``."""
        fit = self._inverse @ self._design.T
        rest = self.log_value - self.x.log()
        parts = torch.split(plane, max(1, _AT_ONCE // len(self.x)))
        return torch.cat([(rest - self._curve(part).log()) @ fit.T for part in parts])

    def _kept(self, mean: Tensor, normal: Tensor, inside: bool = False) -> tuple[Tensor, Tensor]:
        """Keep one number of beta after the other between the edges of the prior.

        Of `normal` numbers ``(n, 4)``, whose beta may be `inside` already. Returns beta
        ``(n, 4)``, and ln of the share of each one's normal law that is between the edges.
        """
        factor, shares = torch.linalg.inv(self._whiten), []
        for i in range(mean.shape[1]):
            known = mean[:, i] + normal[:, :i] @ factor[i, :i]
            low, high = ((edge[i] - known) / factor[i, i] for edge in (self.low, self.high))
            shares.append(log_between(low, high))
            if not inside:
                own = normal_between(normal[:, i], low, high)
                normal = torch.cat((normal[:, :i], own[:, None], normal[:, i + 1 :]), 1)
        return mean + normal @ factor.T, torch.stack(shares, -1)

    # -- (c, d) ----------------------------------------------------------------------------

    @cached_property
    def _cells(self) -> _Cells:
        """Halve cells until the logarithm of the density is straight in each."""
        edges = torch.stack((self.low[4:], self.high[4:]))
        far = edges[1, 0] + self.room(edges[1, 1:])[0]
        origin = torch.stack((torch.zeros_like(far[0]), edges[0, 1]))
        size = (torch.stack((far[0], edges[1, 1])) - origin) / _FIRST
        side = torch.arange(_FIRST, dtype=torch.float64)
        index = torch.cartesian_prod(side, side)
        halves = torch.cartesian_prod(*torch.tensor([[0.0, 1.0]] * 2).double())
        for level in range(_HALVINGS + 1):
            value, slope, bend = self._heights((index + 0.5) * size + origin)
            top = value + (slope.abs() * size / 2).sum(-1)
            kept = top > value.max() - _NOTHING
            index, value, slope = index[kept], value[kept], slope[kept]
            matters = value > value.max() - 8
            rough = ((bend[kept][matters] * size**2) / 8 > _STRAIGHT).any(-1)
            if not bool(rough.any()) or 4 * len(index) > _MOST or level == _HALVINGS:
                break
            index = (2 * index[:, None] + halves).flatten(0, 1)
            size = size / 2
        steep = torch.where((slope * size).abs() < 1e-6, 1e-6, slope * size)
        logs = value + (2 * (steep / 2).sinh() / steep).log().sum(-1)
        share = (logs - logs.max()).exp().numpy()
        return _Cells(index, share / share.sum(), slope, size, origin)

    def _heights(self, moved: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return ln p of places (e, d) ``(n, 2)`` but for a constant, its slopes and its bends."""
        parts = torch.split(moved, max(1, _AT_ONCE // len(self.x)))
        found = zip(*map(self._heights_of, parts), strict=True)
        value, slope, bend = (torch.cat(part) for part in found)
        return value, slope, bend

    def _heights_of(self, moved: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        room, rise = self.room(moved[:, 1])
        plane = torch.stack((moved[:, 0] - room, moved[:, 1]), -1)
        curve = self._curve(plane)
        rest = self.log_value - self.x.log() - curve.log()
        beta = rest @ self._design @ self._inverse
        left = rest - beta @ self._design.T
        in_c = self.x / curve
        along = torch.stack((in_c, (self.x - rise[:, None]) * in_c), 1)  # of ln P, by e and by d
        slope = (left[:, None] * along).sum(-1) / self.noise**2
        seen = along @ self._design  # what beta makes up for
        bend = along.square().sum(-1) - ((seen @ self._inverse) * seen).sum(-1)
        value = -0.5 * left.square().sum(-1) / self.noise**2
        _, shares = self._kept(beta, torch.zeros_like(beta))
        return value + shares.sum(-1), slope, bend / self.noise**2


@dataclass(frozen=True)
class _Cells:
    """Cells of one size in the plane of (e, d)."""

    index: Tensor  # ``(K, 2)``, whole numbers
    share: Floats  # of the law, summing to 1
    slope: Tensor  # of its logarithm, ``(K, 2)``
    size: Tensor  # ``(2,)``
    origin: Tensor

    def find(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return which cells have these numbers ``(n, 2)``, and whether there are such."""
        keys, order = self._number(self.index).sort()
        place = torch.searchsorted(keys, self._number(index)).clamp(max=len(keys) - 1)
        return order[place], keys[place] == self._number(index)

    @staticmethod
    def _number(index: Tensor) -> Tensor:
        return index[:, 0] * (1 << 20) + index[:, 1]
