"""The convolutions of a U-Net whose axes are periodic or not, each by itself.

Weights and activations lie in memory channel by channel at each point (`channels_last`): on two
cores a 3 x 3 x 3 convolution of 8 to 16 channels is then two to four times as fast, and the usual
factors (3 x 1 x 1 after 1 x 3 x 3, or by depth) gain nothing over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

_CONVOLUTIONS: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED: dict[int, Any] = {
    1: nn.ConvTranspose1d,
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}


def in_memory(axes: int) -> torch.memory_format:
    """Return how arrays with so many axes lie in memory."""
    formats = {2: torch.channels_last, 3: torch.channels_last_3d}
    return formats.get(axes, torch.contiguous_format)


class _Around(torch.autograd.Function):
    """One more neighbour at both ends of a ring.

    As a function with a gradient of its own, for that of `cat` and `narrow` fills and adds three
    whole arrays.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, axis: int) -> Tensor:
        """Return `x` with its last slice before it and its first after it."""
        ctx.axis = axis
        return torch.cat((x.narrow(axis, x.shape[axis] - 1, 1), x, x.narrow(axis, 0, 1)), axis)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Add what the two slices got to those that they repeat."""
        (gradient,), axis = gradients, ctx.axis
        size = gradient.shape[axis] - 2
        own = gradient.narrow(axis, 1, size).clone(memory_format=in_memory(gradient.dim() - 2))
        own.narrow(axis, size - 1, 1).add_(gradient.narrow(axis, 0, 1))
        own.narrow(axis, 0, 1).add_(gradient.narrow(axis, size + 1, 1))
        return own, None


class Convolution(nn.Module):
    """A convolution over three neighbours on each axis, which keeps the sizes.

    Parameters
    ----------
    before, after
        Channels.
    periodic
        Of each axis; beyond the ends of the others stand zeros.
    """

    def __init__(self, before: int, after: int, periodic: Sequence[bool]) -> None:
        super().__init__()
        self.around = [2 + axis for axis, ring in enumerate(periodic) if ring]
        padding = tuple(0 if ring else 1 for ring in periodic)
        self.layer = _CONVOLUTIONS[len(periodic)](before, after, 3, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[sample, after, *axes]`` of ``[sample, before, *axes]``."""
        for axis in self.around:
            x = _Around.apply(x, axis)  # type: ignore[no-untyped-call]
        made: Tensor = self.layer(x)
        return made


def pointwise(before: int, after: int, axes: int) -> Any:
    """Return a convolution of single points."""
    return _CONVOLUTIONS[axes](before, after, 1)


class Block(nn.Module):
    """Two convolutions, normalised before each, added to what came in."""

    def __init__(self, width: int, groups: int, periodic: Sequence[bool]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.GroupNorm(groups, width), nn.SiLU(), Convolution(width, width, periodic)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return an array of the same shape."""
        added: Tensor = self.layers(x)
        return x + added


class Trunk(nn.Module):
    """A U-Net without its last layer: ``[sample, before, *axes]`` to ``[sample, w0, *axes]``.

    Parameters
    ----------
    before
        Channels that come in.
    widths
        Channels of each level, the finest first.
    blocks
        Blocks on each level, going down as going up.
    periodic, pooled
        Of each axis: whether it is a ring, and whether levels halve it.
    """

    def __init__(
        self, before: int, widths: Sequence[int], blocks: int, periodic: Sequence[bool],
        pooled: Sequence[bool],
    ) -> None:  # fmt: skip
        super().__init__()
        step = tuple(2 if halved else 1 for halved in pooled)
        axes = len(periodic)

        def level(width: int) -> nn.Sequential:
            groups = max(g for g in (1, 2, 4, 8) if width % g == 0 and 4 * g <= max(width, 4))
            return nn.Sequential(*(Block(width, groups, periodic) for _ in range(blocks)))

        self.first = Convolution(before, widths[0], periodic)
        # None on the finest level going down: it would take a third of the time.
        self.down = nn.ModuleList(map(level, widths[1:] or widths))
        self.up = nn.ModuleList(map(level, widths[:-1]))
        pairs = list(pairwise(widths))
        self.coarser = nn.ModuleList(_CONVOLUTIONS[axes](a, b, step, stride=step) for a, b in pairs)
        self.finer = nn.ModuleList(_TRANSPOSED[axes](b, a, step, stride=step) for a, b in pairs)
        self._lay_out(in_memory(axes))

    def _lay_out(self, form: torch.memory_format) -> None:
        for weight in self.parameters():
            if weight.dim() > 3:
                weight.data = weight.data.contiguous(memory_format=form)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of each point."""
        x = self.first(x.contiguous(memory_format=in_memory(x.dim() - 2)))
        if not self.coarser:
            made: Tensor = self.down[0](x)
            return made
        skipped = []
        for coarser, level in zip(self.coarser, self.down, strict=True):
            skipped.append(x)
            x = level(coarser(x))
        for finer, level in zip(reversed(self.finer), reversed(self.up), strict=True):
            x = level(skipped.pop() + finer(x))
        return x
