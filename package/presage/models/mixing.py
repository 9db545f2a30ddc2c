"""Linear maps that differ from shell to shell of the transverse wave number, and their start.

What is homogeneous across the sky is correlated only within one transverse wave vector k, so the
best linear answer multiplies the channels x(k) of each by a matrix that depends on |k| alone,

    y(k) = sum_b h_b(|k|) M_b x(k),

with h_b the hat functions of a few nodes in ln |k|. The M_b that come nearest to a target in the
mean square solve normal equations in the (h_b x); that is the Wiener filter of these inputs,
found from samples. No convolution reaches as far, for an F x F matrix mixes all channels at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Across(NamedTuple):
    """How the axes across are transformed.

    Attributes
    ----------
    sizes, spacing
        Points of each periodic axis and their distance.
    """

    sizes: tuple[int, ...]
    spacing: tuple[float, ...]

    def wave_number(self) -> NDArray[np.float64]:
        """Return |k| in cycles per unit of each mode of a real transform, flat; 0 is the mean."""
        if not self.sizes:
            return np.zeros(1)
        axes = [np.fft.fftfreq(n, d) for n, d in zip(self.sizes, self.spacing, strict=True)]
        axes[-1] = np.fft.rfftfreq(self.sizes[-1], self.spacing[-1])
        grid: NDArray[np.float64] = np.sqrt(sum(k**2 for k in np.meshgrid(*axes, indexing="ij")))
        return grid.ravel()

    def multiplicity(self) -> NDArray[np.float64]:
        """Return how many modes of the whole plane each stands for, flat."""
        if not self.sizes:
            return np.ones(1)
        last = np.full(self.sizes[-1] // 2 + 1, 2.0)
        last[0] = 1.0
        if self.sizes[-1] % 2 == 0:
            last[-1] = 1.0
        return np.broadcast_to(last, (*self.sizes[:-1], len(last))).ravel()

    def nodes(self, count: int) -> tuple[float, ...]:
        """Return up to `count` wave numbers of modes, about evenly spaced in their logarithm.

        Before them stands one for k = 0, which holds a mean that is like nothing else: without a
        matrix of its own it would decide that of the lowest shell.
        """
        k = np.unique(self.wave_number())
        if len(k) < 3 or count == 1:
            return (1.0,)
        wanted = np.geomspace(k[1], k[-1], count)
        nearest = np.abs(k[1:, None] / wanted - 1).argmin(0)
        return (0.1 * float(k[1]), *np.unique(k[1:][nearest]).tolist())

    def hats(self, nodes: Sequence[float]) -> NDArray[np.float64]:
        """Return ``[node, mode]``: piecewise linear in ln k, one in sum, level beyond the ends."""
        ln_k = np.log(np.maximum(self.wave_number(), nodes[0]))
        at = np.log(np.asarray(nodes))
        return np.stack([np.interp(ln_k, at, one) for one in np.eye(len(nodes))])

    def segments(self, nodes: Sequence[float]) -> list[tuple[NDArray[np.int64], list[int]]]:
        """Return the modes between each two nodes and which nodes those are; none is empty."""
        k = self.wave_number()
        if len(nodes) == 1:
            return [(np.arange(len(k)), [0])]
        after = np.searchsorted(np.asarray(nodes)[1:-1], k, side="right")
        found = [(np.flatnonzero(after == b), [b, b + 1]) for b in range(len(nodes) - 1)]
        return [(at, pair) for at, pair in found if len(at)]

    def modes(self, x: Tensor) -> Tensor:
        """Return ``(*, C, mode)``, complex, of ``(*, C, *sizes)``."""
        if not self.sizes:
            return x[..., None] + 0j
        axes = tuple(range(-len(self.sizes), 0))
        plane: Tensor = torch.fft.rfftn(x, dim=axes, norm="ortho")
        return plane.flatten(-len(self.sizes))

    def fields(self, modes: Tensor) -> Tensor:
        """Return ``(*, C, *sizes)`` of ``(*, C, mode)``."""
        if not self.sizes:
            return modes.real[..., 0]
        plane = modes.reshape(*modes.shape[:-1], *self.sizes[:-1], self.sizes[-1] // 2 + 1)
        axes = tuple(range(-len(self.sizes), 0))
        fields: Tensor = torch.fft.irfftn(plane, s=self.sizes, dim=axes, norm="ortho")
        return fields


class Mixing(nn.Module):
    """The map y(k) = sum_b h_b M_b x(k), ``matrix`` ``[node, row, column]``.

    Parameters
    ----------
    across
        The axes across.
    nodes
        Wave numbers of the hats.
    rows, columns
        Numbers of each mode given and taken.
    """

    matrix: Tensor

    def __init__(self, across: Across, nodes: Sequence[float], rows: int, columns: int) -> None:
        super().__init__()
        self.across = across
        self.register_buffer("matrix", torch.zeros(len(nodes), rows, columns))
        segments, hats = across.segments(nodes), across.hats(nodes)
        order = np.concatenate([at for at, _ in segments])
        self.pairs = [pair for _, pair in segments]
        self.counts = [len(at) for at, _ in segments]
        for name, values in (("order", order), ("back", np.argsort(order))):
            self.register_buffer(name, torch.as_tensor(values), persistent=False)
        near = np.concatenate(
            [np.resize(hats[pair][:, at], (2, len(at))) for at, pair in segments], 1
        )
        self.register_buffer("hats", torch.as_tensor(near, dtype=torch.float32), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the fields ``(*, R, *sizes)`` of the fields ``(*, C, *sizes)``."""
        return self.across.fields(self.of_modes(self.across.modes(x)))

    def of_modes(self, modes: Tensor, matrix: Tensor | None = None) -> Tensor:
        """Return the modes ``(*, R, mode)`` of modes ``(*, C, mode)``; also by another matrix."""
        matrix = self.matrix if matrix is None else matrix
        order, back, hats = (self.get_buffer(name) for name in ("order", "back", "hats"))
        parts = torch.split(torch.view_as_real(modes.index_select(-1, order)), self.counts, -2)
        made = []
        for part, hat, pair in zip(
            parts, torch.split(hats, self.counts, -1), self.pairs, strict=True
        ):
            both = torch.cat([part * hat[i, :, None] for i in range(len(pair))], -3)
            joined = torch.cat([matrix[b] for b in pair], -1)
            made.append((joined @ both.flatten(-2)).reshape(*part.shape[:-3], -1, *part.shape[-2:]))
        return torch.view_as_complex(torch.cat(made, -2)).index_select(-1, back)


class NormalEquations:
    """Sums from which the matrices of a :class:`Mixing` are solved, float64.

    Modes weigh as much as the target's power there is small, so that all shells count alike;
    the mean across, which is a single number of each sample, is left out.

    Parameters
    ----------
    across, nodes
        Of the mixing.
    power
        Mean square of the target's modes, ``[mode]``.
    """

    def __init__(self, across: Across, nodes: Sequence[float], power: NDArray[np.float64]) -> None:
        self.segments, self.hats = across.segments(nodes), torch.as_tensor(across.hats(nodes))
        weight = across.multiplicity() / np.maximum(power, 1e-12 * power.max())
        if across.sizes:
            weight = weight * (across.wave_number() > 0)
        self.root = torch.as_tensor(np.sqrt(weight))
        self.gram: Tensor | None = None
        self.right: Tensor | None = None

    def update(self, x: Tensor, y: Tensor) -> None:
        """Take in modes ``[sample, C, mode]`` of inputs and ``[sample, R, mode]`` of targets."""
        nodes, columns = len(self.hats), x.shape[1]
        if self.gram is None or self.right is None:
            self.gram = torch.zeros(nodes, columns, nodes, columns, dtype=torch.float64)
            self.right = torch.zeros(nodes, columns, y.shape[1], dtype=torch.float64)
        for at, pair in self.segments:
            root, hats = self.root[at], self.hats[pair][:, at]
            rows = real_rows(torch.cat([x[..., at] * (root * hat) for hat in hats], 1))
            gram, right = rows.T @ rows, rows.T @ real_rows(y[..., at] * root)
            for i, b in enumerate(pair):
                mine = slice(i * columns, (i + 1) * columns)
                self.right[b] += right[mine]
                for j, c in enumerate(pair):
                    self.gram[b, :, c] += gram[mine, j * columns : (j + 1) * columns]

    def solve(self, ridge: float) -> Tensor:
        """Return the matrices, ``[node, R, C]``.

        Parameters
        ----------
        ridge
            Added to the diagonal as a share of it. Above the squared rounding of float32, so that
            what a projection removed exactly is not divided by its rounding.
        """
        assert self.gram is not None
        assert self.right is not None
        square = self.gram.flatten(2).flatten(0, 1)
        diagonal = square.diagonal()
        square = square + torch.diag(ridge * diagonal + 1e-30 * diagonal.max())
        solved: Tensor = torch.linalg.solve(square, self.right.flatten(0, 1))
        return solved.reshape(self.right.shape).transpose(1, 2)


def real_rows(modes: Tensor) -> Tensor:
    """Return real and imaginary parts as rows, ``[sample · mode · 2, C]``."""
    return torch.view_as_real(modes).permute(0, 2, 3, 1).flatten(0, 2)
