"""Exact draws from a bilinear density.

A bilinear density is a mixture of the nodes' hat functions with the nodes' masses as
weights. So an event is a node from the inverse CDF of the masses (rows of Q2 one after the
other: the marginal of v, then the conditional of u) and, around it, two triangular
variates by their inverse CDF. What is drawn is what is scored.
"""

from __future__ import annotations

import torch
from torch import Tensor

from presage.studies.pdf.mceg.grid import Grid


def draw(grid: Grid, coefficients: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Draw points u and v ``(T, E)`` of the square, for coefficients ``(T, R + 1)`` of a grid.

    `uniform` ``(3, T, E)`` lies in [0, 1).
    """
    cumulative = grid.masses(coefficients).cumsum(-1)
    sought = uniform[0] * cumulative[:, -1:]
    node = torch.searchsorted(cumulative, sought, right=True)
    node.clamp_(max=cumulative.shape[-1] - 1)
    columns = grid.nodes[0]
    j = torch.div(node, columns, rounding_mode="floor")
    i = node - j * columns
    left, right = grid.steps
    return _across(i, uniform[1], columns - 1), grid.v[j] + _hat(uniform[2], left[j], right[j])


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
