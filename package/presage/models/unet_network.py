"""The network of :class:`~presage.models.unet.UNet`: linear map, U-Net, two heads, losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from presage.models.cubes import Cube, Layout
from presage.models.linear_start import HELD, delay_weights, whitening
from presage.models.mixing import Mixing
from presage.models.unet_blocks import Trunk, pointwise

#: Share of the second head's score in the loss.
_BANDS = 0.1


def mean_square(_: UNetNetwork, rest: Tensor) -> Tensor:
    """Return the mean square of what is left, in units of the target's variance."""
    return rest.square().flatten(1).mean(1)


def log_mean_square(network: UNetNetwork, rest: Tensor) -> Tensor:
    """Return its logarithm, the loss of deep21."""
    return mean_square(network, rest).log()


def log_cosh(_: UNetNetwork, rest: Tensor) -> Tensor:
    """Return the mean of ln cosh, which is a square for small and an absolute for large values."""
    size = rest.abs()
    return (size + nn.functional.softplus(-2 * size) - math.log(2)).flatten(1).mean(1)


def weighed(network: UNetNetwork, rest: Tensor) -> Tensor:
    """Return the mean square of what is left in units of what the linear answer leaves.

    A mean square is ruled by the few modes that cannot be recovered at all. Here each shell across,
    and in it each combination of channels (``"whitened"``) or each delay (``"delay_spectrum"``),
    counts by the ratio to what can be expected of it; 1 is where training begins.
    """
    layout = network.layout
    ratios = network.weighing.of_modes(layout.across.modes(layout.columns([rest])))
    weight = network.get_buffer("mode_share")
    return (ratios.abs().square() * weight).flatten(1).mean(1)


#: Name → loss of each sample, of what is left ``[sample, channel, *axes]`` in the target's scale.
LOSSES: Mapping[str, Callable[[UNetNetwork, Tensor], Tensor]] = {
    "mse": mean_square,
    "log_mse": log_mean_square,
    "log_cosh": log_cosh,
    "delay_spectrum": weighed,
    "whitened": weighed,
}


def half_width(rest: Tensor, band: Tensor, left: Tensor) -> Tensor:
    """Return the pinball score of a band that is to hold 68.27 % of what is left."""
    beyond = rest.abs() - band
    return torch.maximum(HELD * beyond, (HELD - 1) * beyond) / left


def deviation(rest: Tensor, band: Tensor, left: Tensor) -> Tensor:
    """Return r^2/v + ln v, least where v, the square of the band, is the mean of r^2."""
    return (rest / band).square() + 2 * (band / left).log()


#: Name → score of an error, given what is left and the root mean square of that at the start.
BANDS: Mapping[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "half_width": half_width,
    "deviation": deviation,
}


class UNetNetwork(nn.Module):
    """The best linear answer, and what a U-Net adds to it.

    Only convolutions run in the precision of autocast; scaling, linear map and losses keep that of
    the weights.

    Parameters
    ----------
    settings
        A :class:`~presage.models.unet.UNet`.
    declaration
        As its ``prepare`` makes it.
    """

    def __init__(self, settings: Any, declaration: Mapping[str, Any]) -> None:
        super().__init__()
        self.layout = layout = Layout(**declaration["layout"])
        self.inputs = [Cube(**cube) for cube in declaration["inputs"]]
        self.target = Cube(**declaration["target"])
        self.differenced, self.mixed = declaration["differenced"], declaration["mixed"]
        length = layout.sizes[0]
        self.weights = (
            partial(delay_weights, length=length)
            if settings.loss == "delay_spectrum"
            else whitening
        )
        self.loss_of_rest, self.score = LOSSES[settings.loss], BANDS[settings.bands]
        self.band = settings.bands
        turned = settings.flips
        if turned is None:
            turned = () if layout.channels else layout.periodic
        self.moved = [(d, d in layout.periodic, d in turned) for d in layout.axes]
        across, nodes = layout.across, declaration["nodes"]
        rows, columns = self.target.columns(layout), sum(c.columns(layout) for c in self.inputs)
        for name, size in (("shift", columns), ("width", columns),
                           ("target_width", rows), ("left", rows)):  # fmt: skip
            self.register_buffer(name, torch.ones(size))
        self.linear = Mixing(across, nodes, rows, self.mixed)
        self.weighing = Mixing(across, nodes, rows, rows)
        self.step = settings.linear_step
        if self.step:
            self.change = nn.Parameter(torch.zeros(len(nodes), rows, self.mixed))
        self.register_buffer("mode_share", torch.ones(len(across.multiplicity())))
        place = torch.linspace(-1, 1, layout.sizes[0]).reshape(-1, *[1] * (len(layout.axes) - 1))
        self.register_buffer("place", place, persistent=False)
        self._add_convolutions(settings)

    def _add_convolutions(self, settings: Any) -> None:
        axes, width = self.layout.axes, settings.widths[0]
        ring = [axis in self.layout.periodic for axis in axes]
        halved = [settings.pooled is None or axis in settings.pooled for axis in axes]
        given = sum(cube.count for cube in (*self.inputs, self.target)) + 1
        self.trunk = Trunk(given, settings.widths, settings.blocks, ring, halved)
        self.added = pointwise(width, self.target.count, len(axes))
        hidden = pointwise(width, width, len(axes))
        ratio = pointwise(width, self.target.count, len(axes))
        self.bands = nn.Sequential(hidden, nn.SiLU(), ratio)
        for last in (self.added, ratio):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    @torch.no_grad()
    def start_from(self, state: Mapping[str, NDArray[np.float64]]) -> None:
        """Take over scales and linear map, and the weights of the loss."""
        for name in ("shift", "width", "target_width"):
            self.get_buffer(name).copy_(torch.as_tensor(state[name]))
        self.linear.matrix.copy_(torch.as_tensor(state["matrix"]))
        self.get_buffer("left").copy_(torch.as_tensor(state[self.band]))
        modes = self.layout.across.multiplicity()
        share = torch.as_tensor(modes / modes.mean() / state["power"])
        self.get_buffer("mode_share").copy_(share)
        self.weighing.matrix.copy_(self.weights(torch.as_tensor(state["residual"])))

    # -- what it gives ---------------------------------------------------------------------

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the target, and the error to expect."""
        made, band = self._heads(batch)
        width = self._wide("target_width")
        name = self.target.name
        return {
            name: self.target.out(made * width),
            f"{name}_error": self.target.out(band * width),
        }

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the loss of each sample, ``(B,)``."""
        if self.training:
            batch = self._moved(batch)
        made, band = self._heads(batch)
        with self._exact(made):
            wanted = self.target.into(batch[self.target.name]) / self._wide("target_width")
            rest = wanted - made
            score = self.score(rest.detach(), band, self._wide("left"))
            return self.loss_of_rest(self, rest) + _BANDS * score.flatten(1).mean(1)

    def _heads(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return target and error, ``[sample, channel, *axes]``, in the target's scale."""
        layout, tail = self.layout, (..., *(None,) * len(self.layout.periodic))
        arrays = {cube.name: cube.into(batch[cube.name]) for cube in self.inputs}
        columns = input_columns(layout, self.inputs, self.differenced, arrays)
        with self._exact(columns):
            scaled = (columns - self.get_buffer("shift")[tail]) / self.get_buffer("width")[tail]
            modes = layout.across.modes(scaled.narrow(1 + len(layout.apart), 0, self.mixed))
            matrix = self.linear.matrix + self.step * self.change if self.step else None
            linear = layout.across.fields(self.linear.of_modes(modes, matrix))
            (best,) = layout.arrays(linear, [self.target])
            place = self.get_buffer("place").expand(len(best), 1, *best.shape[2:])
            given = torch.cat((*layout.arrays(scaled, self.inputs), best, place), 1)
        features = self.trunk(given)
        added, bands = self.added(features), self.bands(features.detach())
        with self._exact(columns):
            # ln(e - 1), where softplus is 1.
            ratio = nn.functional.softplus(bands.to(best.dtype) + 0.5413248546129181)
            return best + added.to(best.dtype), ratio * self._wide("left") + 1e-9

    def _moved(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a batch that is moved round rings and turned round, at random."""
        found = dict(batch)
        for (dim, ring, turned), size in zip(self.moved, self.layout.sizes, strict=True):
            at = torch.arange(size)
            if ring:
                at = (at + torch.randint(size, ())) % size
            if turned:
                at = torch.where(torch.rand(()) < 0.5, size - 1 - at, at)
            if not (ring or turned):
                continue
            for cube in (*self.inputs, self.target):
                array = found[cube.name]
                if dim in cube.dims:
                    axis = 1 + list(cube.dims).index(dim)
                    found[cube.name] = array.index_select(axis, at.to(array.device))
        return found

    def _wide(self, name: str) -> Tensor:
        """Return numbers of each row as an array that goes with ``[sample, channel, *axes]``."""
        rows = self.get_buffer(name).reshape(self.target.count, self.layout.sizes[0])
        return rows.reshape(*rows.shape, *[1] * (len(self.layout.axes) - 1))

    @staticmethod
    def _exact(like: Tensor) -> torch.autocast:
        return torch.autocast(like.device.type, enabled=False)


def input_columns(
    layout: Layout, cubes: Sequence[Cube], differenced: Sequence[bool], arrays: Mapping[str, Tensor]
) -> Tensor:
    """Return the columns of the inputs, ``[sample, *apart, column, *periodic]``.

    Parameters
    ----------
    layout, cubes
        Of the inputs, in order.
    differenced
        Of each whether what goes in is its neighbours' difference along `along`.
    arrays
        Name → ``[sample, channel, *axes]``.
    """
    taken = []
    for cube, steps in zip(cubes, differenced, strict=True):
        array = arrays[cube.name]
        if steps:
            array = array.diff(dim=2)
            array = torch.cat((array, array[:, :, -1:]), 2)  # the last step stands twice
        taken.append(array)
    return layout.columns(taken)
