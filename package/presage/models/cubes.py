"""Labelled cubes as the arrays of a convolution: which dimension is what, by name.

A network of cubes works on ``[sample, channel, along, *across]``: some dimensions become
channels, one is gone along (the frequency), the others lie across, those without a period first.
Each is named, and in which order a batch has them is of no consequence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from presage.labels import LabelError, nearest
from presage.lineage import sample_dim
from presage.models.mixing import Across


@dataclass(frozen=True)
class Cube:
    """One variable of a network of cubes.

    Parameters
    ----------
    name
        Of the variable.
    dims
        Its dims, the sample dimension left out, in the order of batches.
    channels
        Those of them that become channels.
    axes
        The others in the network's order: `along`, where the variable has it, then across.
    sizes
        Of the channels' dims.
    """

    name: str
    dims: Sequence[str]
    channels: Sequence[str]
    axes: Sequence[str]
    sizes: Sequence[int]

    @property
    def count(self) -> int:
        """Channels that it gives."""
        return int(np.prod(self.sizes, dtype=int))

    def columns(self, layout: Layout) -> int:
        """Return its numbers at each point across."""
        return self.count * (layout.sizes[0] if layout.along in self.axes else 1)

    def into(self, batch: Tensor) -> Tensor:
        """Return ``[sample, channel, *axes]`` of a batch's array."""
        inner = batch.permute(0, *(1 + self.dims.index(d) for d in (*self.channels, *self.axes)))
        return inner.reshape(len(batch), -1, *inner.shape[1 + len(self.channels) :])

    def out(self, made: Tensor) -> Tensor:
        """Return the array of a batch of ``[sample, channel, *axes]``."""
        names = [*self.channels, *self.axes]
        whole = made.reshape(len(made), *self.sizes, *made.shape[2:])
        return whole.permute(0, *(1 + names.index(dim) for dim in self.dims))


@dataclass(frozen=True)
class Layout:
    """The dimensions of a network's cubes.

    Parameters
    ----------
    along
        The dimension that all channels are mixed along.
    apart, periodic
        Dimensions across, without and with a period.
    sizes
        Of `along`, `apart`, `periodic`, in that order.
    spacing
        Distance of neighbours on each of `periodic`, in its coordinate's unit.
    channels
        Dimensions that become channels.
    """

    along: str
    apart: Sequence[str]
    periodic: Sequence[str]
    sizes: Sequence[int]
    spacing: Sequence[float]
    channels: Sequence[str]

    @classmethod
    def of(
        cls, target: xr.DataArray, sample: str, along: str, periodic: Sequence[str],
        channels: Sequence[str],
    ) -> Layout:  # fmt: skip
        """Read the layout of the cubes that are to be given.

        Parameters
        ----------
        target
            With a sample dimension and any others.
        sample
            Name of the sample dimension.
        along, channels
            As in the class; of `channels` those count that there are.
        periodic
            The periodic dimensions among those across.

        Raises
        ------
        LabelError
            There is no such dimension, or more than three remain for the convolution.
        """
        known = [str(d) for d in target.dims if d != sample]
        for dim in (along, *periodic):
            if dim not in known:
                raise LabelError(
                    f"{target.name!r} has no dimension {dim!r}{nearest(dim, known)}; its dims are "
                    f"{known}"
                )
        inner = [d for d in known if d not in (along, *channels)]
        if len(inner) > 2:
            raise LabelError(
                f"a convolution has three axes at most, {along!r} and two across; {inner} remain. "
                "Name those that are channels in channels=, or stack some"
            )
        apart = [d for d in inner if d not in periodic]
        ordered = [d for d in inner if d in periodic]
        return cls(
            along,
            apart,
            ordered,
            [target.sizes[d] for d in (along, *apart, *ordered)],
            [_spacing(target, d) for d in ordered],
            [d for d in known if d in channels],
        )

    @property
    def axes(self) -> list[str]:
        """Dimensions of the convolution, in order."""
        return [self.along, *self.apart, *self.periodic]

    @property
    def across(self) -> Across:
        """How the periodic axes are transformed."""
        return Across(tuple(self.sizes[1 + len(self.apart) :]), tuple(self.spacing))

    def cube(self, array: xr.DataArray, sample: str) -> Cube:
        """Return how a variable fits in: dims that the cubes do not have become channels.

        Raises
        ------
        LabelError
            It lacks a dimension across, or has another size there.
        """
        dims = [str(d) for d in array.dims if d != sample]
        for dim, size in zip(self.axes, self.sizes, strict=True):
            if dim != self.along and array.sizes.get(dim) != size:
                raise LabelError(
                    f"{array.name!r} should have {size} points of {dim!r}, as the target has; "
                    f"got {dict(array.sizes)}"
                )
        channels = [d for d in dims if d not in (*self.axes, *self.channels)]
        channels += [d for d in self.channels if d in dims]
        axes = [d for d in self.axes if d in dims]
        return Cube(str(array.name), dims, channels, axes, [array.sizes[d] for d in channels])

    def columns(self, arrays: Sequence[Tensor]) -> Tensor:
        """Return ``[sample, *apart, column, *periodic]`` of arrays ``[sample, channel, *axes]``.

        A column is a channel at one point of `along`, or a channel of what does not have it.
        """
        across = len(self.axes) - 1
        flat = [a.flatten(1, a.dim() - across - 1) for a in arrays]
        return torch.cat(flat, 1).movedim(1, 1 + len(self.apart))

    def arrays(self, columns: Tensor, cubes: Sequence[Cube]) -> list[Tensor]:
        """Return ``[sample, channel, *axes]`` of the columns of several variables.

        What does not have `along` is the same all along it.
        """
        inner = columns.movedim(1 + len(self.apart), 1)
        parts = torch.split(inner, [cube.columns(self) for cube in cubes], 1)
        found = []
        for cube, part in zip(cubes, parts, strict=True):
            length = self.sizes[0] if self.along in cube.axes else 1
            wide = part.reshape(len(part), cube.count, length, *part.shape[2:])
            found.append(wide.expand(-1, -1, self.sizes[0], *wide.shape[3:]))
        return found


def _spacing(array: xr.DataArray, dim: str) -> float:
    """Return the mean distance of neighbours on an axis; 1 where it has no numbers."""
    if dim not in array.coords or array[dim].dtype.kind not in "iuf" or array.sizes[dim] < 2:
        return 1.0
    return float(abs(np.diff(array[dim].values.astype(float)).mean()))


def chunks(
    dataset: xr.Dataset, cubes: Mapping[str, Cube], first: int, stop: int, size: int = 16
) -> Iterator[dict[str, Tensor]]:
    """Yield some samples' variables, float64, ``[sample, channel, *axes]``.

    Raises
    ------
    LabelError
        A value is not finite.
    """
    sample = sample_dim(dataset)
    for start in range(first, stop, size):
        few = dataset[list(cubes)].isel({sample: slice(start, min(start + size, stop))}).load()
        made = {}
        for name, cube in cubes.items():
            array = few[name].transpose(sample, *cube.dims).values.astype(np.float64)
            if not np.isfinite(array).all():
                raise LabelError(
                    f"{name!r} has values that are not finite among samples {start} to "
                    f"{start + len(array) - 1}; leave dead channels out, and fill gaps first"
                )
            made[name] = cube.into(torch.from_numpy(array))
        yield made
