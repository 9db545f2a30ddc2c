"""Maps that are statistically alike everywhere, as modes across: their wave numbers and shells.

Where a field has no preferred place, its modes of different transverse wave vectors k are
uncorrelated, and where it has no preferred direction those of one |k|, a shell, are alike. Modes
are those of an orthonormal Fourier transform over the named dims, so that white noise of variance
v per pixel has variance v in every mode. Maps are taken as periodic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
import xarray as xr

from presage.labels import LabelError, nearest
from presage.transforms.channels import Matrix

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
        axes = [
            2 * np.pi * (np.fft.fftfreq if is_complex or not last else np.fft.rfftfreq)(n, step)
            for n, step, last in zip(self.pixels, self.spacing, self._last(), strict=True)
        ]
        if signed:
            if len(axes) != 1 or not is_complex:
                raise LabelError("only complex maps along one dimension have signed wave numbers")
            return np.asarray(axes[0])
        return np.asarray(np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij"))))

    def _last(self) -> list[bool]:
        return [i == len(self.dims) - 1 for i in range(len(self.dims))]

    def shells(self, is_complex: bool = False, signed: bool = False) -> xr.DataArray:
        """Return the distinct wave numbers, ascending, as ``wave_number`` ``[shell]``."""
        found = np.unique(self.wave_number(is_complex, signed))
        step = np.abs(found[np.abs(found) > 0]).min()
        apart = np.diff(found, prepend=-np.inf) > SAME * step
        attributes = {"units": f"rad/{self.unit}", "long_name": "wave number across"}
        return xr.DataArray(found[apart], dims="shell", attrs=attributes, name="wave_number")

    def shell_of(self, wave_number: Matrix, is_complex: bool) -> Matrix:
        """Return which shell, of ascending wave numbers, each mode is nearest to, flat."""
        signed = bool((wave_number < 0).any())
        edges = 0.5 * (wave_number[1:] + wave_number[:-1])
        return np.searchsorted(edges, self.wave_number(is_complex, signed).ravel())

    def modes(self, maps: Matrix) -> Matrix:
        """Return modes complex128 ``[channel, mode, map]`` of maps ``[map, channel, *dims]``."""
        axes = range(2, maps.ndim)
        transform = scipy.fft.fftn if np.iscomplexobj(maps) else scipy.fft.rfftn
        wide = maps.astype(np.complex128 if np.iscomplexobj(maps) else np.float64, copy=False)
        modes = transform(wide, axes=axes, norm="ortho")
        return np.asarray(modes.reshape(*maps.shape[:2], -1).transpose(1, 2, 0))

    def maps(self, modes: Matrix, is_complex: bool) -> Matrix:
        """Return maps ``[map, channel, *dims]`` of what :meth:`modes` returned."""
        shape = [*self.pixels[:-1], self.pixels[-1] if is_complex else self.pixels[-1] // 2 + 1]
        flat = modes.transpose(2, 0, 1)
        field = flat.reshape(*flat.shape[:2], *shape)
        axes = range(2, field.ndim)
        if is_complex:
            return np.asarray(scipy.fft.ifftn(field, axes=axes, norm="ortho"))
        return np.asarray(scipy.fft.irfftn(field, s=self.pixels, axes=axes, norm="ortho"))
