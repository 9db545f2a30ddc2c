"""Maps that are statistically alike everywhere, as modes across: their wave numbers and shells.

Where a field has no preferred place, its modes of different transverse wave vectors k are
uncorrelated, and where it has no preferred direction those of one |k|, a shell, are alike. Modes
are those of an orthonormal Fourier transform over the named dims, so that white noise of variance
v per pixel has variance v in every mode. Maps are taken as periodic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import scipy.fft
import xarray as xr

from presage.labels import LabelError, nearest
from presage.transforms.channels import Matrix, joined

#: Wave numbers that differ by this share of the least one belong to one shell.
SAME = 1e-6


@dataclass(frozen=True)
class Across:
    """The grid that modes belong to."""

    dims: tuple[str, ...]
    pixels: tuple[int, ...]
    spacing: tuple[float, ...]
    unit: str

    @classmethod
    def of(cls, data: xr.DataArray | xr.Dataset, dims: Sequence[str]) -> Across:
        """Read the grid of an array.

        Raises
        ------
        LabelError
            A dimension or its coordinate is missing, is unevenly spaced, or has another unit.
        """
        dims, spacing = tuple(dims), []
        for dim in dims:
            if dim not in data.dims or dim not in data.coords:
                raise LabelError(
                    f"maps across {dims} need a dimension and coordinate {dim!r}, got "
                    f"{tuple(map(str, data.dims))}{nearest(dim, map(str, data.dims))}"
                )
            steps = np.diff(data[dim].values.astype(np.float64))
            if len(steps) == 0 or not np.allclose(steps, steps[0], rtol=1e-3) or steps[0] == 0:
                raise LabelError(f"{dim!r} should be evenly spaced, in 2 pixels or more")
            spacing.append(abs(float(steps.mean())))
        units = {str(data[dim].attrs.get("units", "1")) for dim in dims}
        if len(units) != 1:
            raise LabelError(f"{dims} should have one unit, got {sorted(units)}; convert one")
        return cls(dims, tuple(data.sizes[dim] for dim in dims), tuple(spacing), units.pop())

    def check(self, other: Across) -> None:
        """Refuse maps on another grid; where they lie does not matter.

        Raises
        ------
        LabelError
            Another unit, pixel size or number of pixels.
        """
        if other.unit != self.unit:
            raise LabelError(f"{self.dims} should be in {self.unit!r}, got {other.unit!r}")
        if not np.allclose(other.spacing, self.spacing, rtol=1e-4):
            raise LabelError(
                f"another pixel size: expected {self.spacing} {self.unit} along {self.dims}, "
                f"got {other.spacing}"
            )
        if other.pixels != self.pixels:
            raise LabelError(
                f"expected {self.pixels} pixels along {self.dims}, got {other.pixels}; modes of "
                "another area are other modes, cut the maps or fit on such an area"
            )

    def wave_number(self, is_complex: bool, signed: bool = False) -> Matrix:
        """Return |k| of every mode, 2 pi / `unit`; with `signed` k itself, of one dimension.

        Of real maps only half of the modes are kept, as ``rfftn`` does.
        """
        grid = list(zip(self.pixels, self.spacing, strict=True))
        axes = [2 * np.pi * np.fft.fftfreq(*one) for one in grid]
        if not is_complex:
            axes[-1] = 2 * np.pi * np.fft.rfftfreq(*grid[-1])
        if signed:
            if len(axes) != 1 or not is_complex:
                raise LabelError("only complex maps along one dimension have signed wave numbers")
            return np.asarray(axes[0])
        return np.asarray(np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij"))))

    def shells(self, is_complex: bool = False, signed: bool = False) -> xr.DataArray:
        """Return the distinct wave numbers, ascending, as ``wave_number`` ``[shell]``."""
        found = np.unique(self.wave_number(is_complex, signed))
        step = np.abs(found[np.abs(found) > 0]).min()
        apart = np.diff(found, prepend=-np.inf) > SAME * step
        attributes = {"units": f"rad/{self.unit}", "long_name": "wave number across"}
        return xr.DataArray(found[apart], dims="shell", attrs=attributes, name="wave_number")


@dataclass(frozen=True, eq=False)
class Modes:
    """Maps ``[map, channel, *dims]`` as modes, sorted by their shells, and back.

    Parameters
    ----------
    across
        The grid.
    wave_number
        Of the shells, ascending; a mode belongs to the nearest one. Where some are negative
        they are those of one dimension, with their signs.
    is_complex
        Whether the maps are; real ones have half of the modes.
    """

    across: Across
    wave_number: Matrix
    is_complex: bool

    @cached_property
    def shell(self) -> Matrix:
        """Which shell each mode belongs to, flat."""
        signed = bool((self.wave_number < 0).any())
        edges = 0.5 * (self.wave_number[1:] + self.wave_number[:-1])
        own = self.across.wave_number(self.is_complex, signed)
        return np.asarray(np.searchsorted(edges, own.ravel()))

    @cached_property
    def weight(self) -> Matrix:
        """How many modes of the whole plane each one stands for: 2 where its mirror is left out."""
        last = self.across.pixels[-1]
        column = np.arange(last if self.is_complex else last // 2 + 1)
        alone = self.is_complex | (column == 0) | (2 * column == last)
        return np.resize(np.where(alone, 1.0, 2.0), self.shell.shape)

    @cached_property
    def count(self) -> Matrix:
        """Modes of the whole plane in each shell."""
        return np.bincount(self.shell, self.weight, minlength=len(self.wave_number))

    @cached_property
    def order(self) -> Matrix:
        """Modes, one shell after the other."""
        return np.argsort(self.shell, kind="stable")

    def spans(self, columns: int) -> list[slice]:
        """Return which of `columns` columns of :meth:`rows` belong to each shell."""
        each = columns // len(self.shell)
        edges = np.searchsorted(self.shell[self.order], np.arange(len(self.wave_number) + 1))
        return [slice(a * each, b * each) for a, b in pairwise(edges.tolist())]

    def rows(self, maps: Matrix) -> Matrix:
        """Return modes complex128 ``[channel, mode x map]``, one shell after the other."""
        axes = range(2, maps.ndim)
        transform = scipy.fft.fftn if self.is_complex else scipy.fft.rfftn
        wide = maps.astype(np.complex128 if self.is_complex else np.float64, copy=False)
        modes = transform(wide, axes=axes, norm="ortho").reshape(*maps.shape[:2], -1)
        moved = np.ascontiguousarray(modes.transpose(1, 2, 0)[:, self.order])
        return moved.reshape(maps.shape[1], -1)

    def maps(self, rows: Matrix) -> Matrix:
        """Return the maps of what :meth:`rows` returned."""
        *first, last = self.across.pixels
        shape = (*first, last if self.is_complex else last // 2 + 1)
        modes = np.empty((rows.shape[1] // len(self.shell), len(rows), len(self.shell)), complex)
        modes[..., self.order] = rows.reshape(len(rows), len(self.shell), -1).transpose(2, 0, 1)
        field, axes = modes.reshape(*modes.shape[:2], *shape), range(2, 2 + len(shape))
        if self.is_complex:
            return np.asarray(scipy.fft.ifftn(field, axes=axes, norm="ortho"))
        return np.asarray(scipy.fft.irfftn(field, s=self.across.pixels, axes=axes, norm="ortho"))


def arranged(data: xr.DataArray, apart: Sequence[str], dim: str, across: Across) -> xr.DataArray:
    """Return joined values as ``[*apart, *others, dim, *across]``."""
    values = joined(data)
    others = [str(d) for d in values.dims if d not in (*apart, dim, *across.dims)]
    return values.transpose(*apart, *others, dim, *across.dims)


def check_whole(maps: Matrix, live: Matrix, across: Across) -> None:
    """Refuse maps ``[..., channel, *across]`` with missing values in live channels."""
    missing = int((~np.isfinite(np.compress(live, maps, axis=-1 - len(across.dims)))).sum())
    if missing:
        raise LabelError(
            f"modes across {across.dims} need whole maps; {missing} values are missing or "
            "infinite. PCA.clean takes gaps"
        )


def living(maps: Matrix, live: Matrix) -> Matrix:
    """Return maps ``[map, channel, *across]`` with dead channels set to 0."""
    if live.all():
        return maps
    return np.where(live.reshape(-1, *[1] * (maps.ndim - 2)), maps, 0.0)
