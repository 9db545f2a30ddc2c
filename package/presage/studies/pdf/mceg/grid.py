"""The density of events on a grid, as a few numbers per theta times a fixed table.

F2 at a node is a row of theory times the state of theta, and the states vary in few
directions (see reduction): the table holds, per node, the coefficients of those.

Between nodes the density in (u, v) is bilinear: a mixture of the nodes' hat functions with the
nodes' masses as weights. It integrates exactly, is drawn from exactly, and its norm is affine
in the combinations as well. A constant share `FLOOR`
of the reference is added: where a steep theta has next to no events at all (x near 1), F2
is lost in rounding, and a density may not be negative.

At events of the prior the logarithm of the density differs from direct inversion by 1.5e-4
(rms; median 3e-5, largest 1e-3 of 2000) with 240 x 200 nodes, a quarter of that with twice as
many each way. The reduction adds 1e-8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from presage.studies.pdf.mceg.kinematics import Kinematics, bend, phase_space, unbend
from presage.studies.pdf.mceg.prior import spread
from presage.studies.pdf.mceg.reduction import REFERENCE, Reduction, reduce
from presage.studies.pdf.mceg.theory import F2, Theory

#: Parameters that the reduction sees, and every how many nodes it looks at.
_TRAINED, _EVERY = 768, (8, 8)
#: Events per theta from which on it is less work to fill the grid for each theta.
_DENSE = 128
#: Share of the reference in the density.
FLOOR = 1e-7


@dataclass(frozen=True)
class Grid:
    """Bilinear density of (u, v) on so many nodes in each (j, i), v first."""

    theory: Theory
    kinematics: Kinematics
    nodes: tuple[int, int]

    # -- nodes -------------------------------------------------------------------------------

    @cached_property
    def q2(self) -> Tensor:
        """Q2 of the rows, ``(nv,)``: even in log Q2, one row on the bottom threshold."""
        low, high = math.log(self.kinematics.q2_min), math.log(self.kinematics.q2_max)
        middle = math.log(self.theory.coupling.threshold)
        count = self.nodes[1]
        even = torch.linspace(low, high, count, dtype=torch.float64)
        if low < middle < high:
            below = min(max(round((count - 1) * (middle - low) / (high - low)), 1), count - 2)
            parts = (
                torch.linspace(low, middle, below + 1, dtype=torch.float64),
                torch.linspace(middle, high, count - below, dtype=torch.float64)[1:],
            )
            even = torch.cat(parts)
        q2 = even.exp()
        q2[0], q2[-1] = self.kinematics.q2_min, self.kinematics.q2_max
        return q2.to(self.theory.device)

    @cached_property
    def v(self) -> Tensor:
        """The rows' v, ``(nv,)``."""
        return 1 / self.kinematics.q2_min - 1 / self.q2

    @cached_property
    def u(self) -> Tensor:
        """The columns' u, ``(nu,)``, even."""
        return torch.linspace(0, 1, self.nodes[0], dtype=torch.float64, device=self.theory.device)

    @cached_property
    def steps(self) -> tuple[Tensor, Tensor]:
        """Distances in v to the rows before and after, ``(nv,)`` each; 0 beyond the edges."""
        steps = torch.nn.functional.pad(self.v.diff(), (1, 1))
        return steps[:-1], steps[1:]

    @cached_property
    def areas(self) -> Tensor:
        """Integrals of the nodes' hat functions, ``(nv · nu,)``."""
        across = torch.full_like(self.u, 1 / (self.nodes[0] - 1))
        across[[0, -1]] *= 0.5
        before, after = self.steps
        along = 0.5 * (before + after)
        return (along[:, None] * across).flatten()

    def row(self, j: int) -> tuple[Tensor, Tensor]:
        """Return x ``(nu,)`` of row `j`, and the factor from F2 to the density in (u, v)."""
        q2 = self.q2[j]
        low, high = self._edges[0][j], self._edges[1][j]
        x = unbend(low + (high - low) * self.u)
        return x, phase_space(x, self.kinematics.inelasticity(x, q2), high - low)

    @cached_property
    def _edges(self) -> tuple[Tensor, Tensor]:
        low, high = self.kinematics.bounds(self.q2)
        return bend(low), bend(high)

    # -- tables ------------------------------------------------------------------------------

    @cached_property
    def reduction(self) -> Reduction:
        """The combinations, from F2 at some of the nodes and at the very end of the range."""
        columns, lines = (_some(*pair) for pair in zip(self.nodes, _EVERY, strict=True))
        rows = [
            self.theory.inverted(self._evolved[j], self.row(j)[0][columns]) for j in lines.tolist()
        ]
        table = torch.cat(rows)
        table = table / (table @ self._reference)[:, None]
        theta = spread(_TRAINED, self.theory.flavours, self.theory.device)
        return reduce(self.theory, table, theta)

    @cached_property
    def _evolved(self) -> Tensor:
        """Coefficients ``(nv, 3, K)`` of F2 at every row."""
        return self.theory.coefficients(F2, self.q2)

    @cached_property
    def _reference(self) -> Tensor:
        theta = torch.tensor(REFERENCE, dtype=torch.float64, device=self.theory.device)
        return self.theory.state(theta)

    @cached_property
    def table(self) -> Tensor:
        """Density at the nodes times their areas, per combination; ``(nv · nu, R + 1)``."""
        vectors = torch.cat([self.reduction.modes, FLOOR * self._reference[:, None]], 1)
        rows = []
        for j, evolved in enumerate(self._evolved):
            x, factor = self.row(j)
            rows.append(self.theory.inverted(evolved, x) @ vectors * factor[:, None])
        table = torch.cat(rows)
        table[:, -1].clamp_(min=1e-300)
        return table * self.areas[:, None]

    @cached_property
    def norm(self) -> Tensor:
        """Integral of the density per combination, ``(R + 1,)``."""
        return self.table.sum(0)

    # -- use ---------------------------------------------------------------------------------

    def coefficients(self, theta: Tensor) -> Tensor:
        """Return the combinations of `theta` ``(*, 4)``, ``(*, R + 1)``; the last one is 1."""
        found = self.reduction.combinations(theta)
        return torch.cat([found, torch.ones_like(found[..., :1])], -1)

    def masses(self, coefficients: Tensor) -> Tensor:
        """Return density times area of every node, ``(T, nv · nu)`` for ``(T, R + 1)``."""
        return coefficients @ self.table.T

    def draw(self, coefficients: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Draw points u and v ``(T, E)`` of the square, for coefficients ``(T, R + 1)``.

        An event is a node from the inverse CDF of the masses (rows of Q2 one after the other:
        the marginal of v, then the conditional of u) and, around it, two triangular variates by
        their inverse CDF. `uniform` ``(3, T, E)`` lies in [0, 1).
        """
        cumulative = self.masses(coefficients).cumsum(-1)
        sought = uniform[0] * cumulative[:, -1:]
        node = torch.searchsorted(cumulative, sought, right=True)
        node.clamp_(max=cumulative.shape[-1] - 1)
        columns = self.nodes[0]
        j = torch.div(node, columns, rounding_mode="floor")
        i = node - j * columns
        left, right = self.steps
        v = self.v[j] + _hat(uniform[2], left[j], right[j])
        return _across(i, uniform[1], columns - 1), v

    def density(self, coefficients: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Return the density in (u, v) ``(*, E)``, not normalised, for coefficients ``(*, R + 1)``.

        Leading dimensions broadcast.
        """
        if u.numel() < _DENSE * coefficients[..., 0].numel():
            return (self.rows(u, v) @ coefficients[..., None])[..., 0]
        nodes, weights = self.corners(u, v)
        lead = np.broadcast_shapes(coefficients.shape[:-1], u.shape[:-1])
        index = nodes.movedim(0, -2).flatten(-2).expand(*lead, -1)
        masses = self.masses(coefficients).expand(*lead, -1)
        found = masses.gather(-1, index).reshape(*lead, 4, u.shape[-1])
        return (found * weights.movedim(0, -2)).sum(-2)

    def corners(self, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the nodes around points ``(*,)`` and their weights, ``(4, *)`` each."""
        columns, rows = self.nodes
        place = u.clamp(0, 1) * (columns - 1)
        i = place.floor().clamp(max=columns - 2)
        s = place - i
        j = torch.searchsorted(self.v, v.contiguous(), right=True).sub_(1).clamp(0, rows - 2)
        t = ((v - self.v[j]) / (self.v[j + 1] - self.v[j])).clamp(0, 1)
        first = j * columns + i.long()
        nodes = torch.stack([first, first + 1, first + columns, first + columns + 1])
        weights = torch.stack([(1 - s) * (1 - t), s * (1 - t), (1 - s) * t, s * t])
        return nodes, weights / self.areas[nodes]

    def rows(self, u: Tensor, v: Tensor) -> Tensor:
        """Return rows ``(*, R + 1)``: times the combinations, the density in (u, v) there."""
        nodes, weights = self.corners(u, v)
        total = weights[0, ..., None] * self.table[nodes[0]]
        for node, weight in zip(nodes[1:], weights[1:], strict=True):
            total.addcmul_(weight[..., None], self.table[node])
        return total


def _some(count: int, step: int) -> Tensor:
    """Return every so many of `count` indices, and the last ones."""
    return torch.tensor(sorted({*range(0, count, step), *range(count - 4, count)}))


def _across(i: Tensor, uniform: Tensor, cells: int) -> Tensor:
    """Return u from evenly spaced hats; halves at the two edges."""
    place = (i + _triangle(uniform)).abs()
    return (cells - (cells - place).abs()) / cells


def _triangle(uniform: Tensor) -> Tensor:
    """Return variates of the triangle on [-1, 1]."""
    side = 2 * uniform - 1
    return torch.copysign(1 - (1 - side.abs()).sqrt(), side)


def _hat(uniform: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Return the offset from a node whose hat reaches `left` down and `right` up."""
    side = uniform * (left + right) - left
    reach = torch.where(side < 0, left, right)
    share = (side.abs() / reach).clamp(max=1.0)
    return torch.copysign(reach * (1 - (1 - share).sqrt()), side)
