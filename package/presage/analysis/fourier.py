"""Fourier modes of labelled cubes, with the wave number of each, by dimension name.

Modes are those of the unitary transform times the root of a cell's volume, so that white noise of
variance v per cell has the power v * volume, whatever the shape. Along the line of sight the box is
not periodic: there a taper of mean square 1 keeps bright large scales from leaking into faint small
ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.fft
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.signal import get_window

from presage.labels import LabelError, from_complex, nearest, squared, to_complex

Array = NDArray[np.float64]

TAPERS = ("boxcar", "hann", "blackman", "blackmanharris")
#: Wave numbers that modes have.
WAVES = {
    "k_perpendicular": "wave number across",
    "k_parallel": "wave number along the line of sight",
    "k": "wave number",
}


@dataclass(frozen=True, eq=False)
class Modes:
    """Fourier modes ``[sample, other, mode]`` with the wave numbers and the count of each mode."""

    values: NDArray[np.complex128]
    waves: Mapping[str, Array]
    count: Array  # modes of the whole transform that each stands for, 2 where -k is left out
    units: tuple[str, str]  # of power and of wave numbers


@dataclass(frozen=True, eq=False)
class Box:
    """The cells of a cube, by dimension name.

    Parameters
    ----------
    spacing
        Dimension → size of a cell, of all dimensions that are transformed.
    along
        The line of sight: not periodic, tapered. None where only the sky across is transformed.
    taper
        One of :data:`TAPERS`; its mean square is made 1.
    modes
        Dimension → wave number of each place, where places are modes across already (baselines).
    length, wave
        Units of sizes and of wave numbers.

    Raises
    ------
    LabelError
        An unknown taper, a size that is not positive, or no size along the line of sight.

    Examples
    --------
    >>> box = Box({"frequency": 4.0, "y": 10.0, "x": 10.0})
    >>> noise = np.random.default_rng(0).normal(size=(8, 16, 16, 16))
    >>> cubes = xr.DataArray(noise, dims=("sample", "frequency", "y", "x"))
    >>> modes = box.transform(cubes)
    >>> bool(abs(np.mean(np.abs(modes.values) ** 2) / box.volume - 1) < 0.1)
    True
    """

    spacing: Mapping[str, float]
    along: str | None = "frequency"
    taper: str = "hann"
    modes: Mapping[str, Array] = field(default_factory=dict)
    length: str = "Mpc/h"
    wave: str = "h/Mpc"

    def __post_init__(self) -> None:
        if self.taper not in TAPERS:
            raise LabelError(f"no taper {self.taper!r}{nearest(self.taper, TAPERS)}")
        if self.along is not None and self.along not in self.spacing:
            raise LabelError(
                f"spacing needs the size of a cell along {self.along!r}, got {list(self.spacing)}"
            )
        if not all(size > 0 for size in self.spacing.values()):
            raise LabelError(f"sizes of cells are positive, got {dict(self.spacing)}")

    @property
    def volume(self) -> float:
        """Volume of a cell."""
        return float(np.prod(list(self.spacing.values())))

    @property
    def _inner(self) -> list[str]:
        across = [dim for dim in self.spacing if dim != self.along]
        return [*self.modes, *across, *([self.along] if self.along else [])]

    def tapered(self, n: int) -> Array:
        """Return the taper over n cells along the line of sight."""
        window = np.asarray(get_window(self.taper, n), dtype=np.float64)
        return np.asarray(window / np.sqrt(np.mean(window**2)))

    def transform(self, cube: xr.DataArray, sample: str = "sample") -> Modes:
        """Return the modes of a cube.

        Parameters
        ----------
        cube
            All dims that are transformed, in any order; real, complex, or with ``component``.
            Dims that are neither transformed nor modes are averaged over (`sample` excepted).
        sample
            Its samples; a cube without them is one.

        Raises
        ------
        LabelError
            A dimension is missing, or a value is not finite.
        """
        cube = to_complex(cube) if "component" in cube.dims else cube
        cube = cube if sample in cube.dims else cube.expand_dims(sample)
        inner = self._inner
        for dim in inner:
            if dim not in cube.dims:
                raise LabelError(f"the cube has no {dim!r}{nearest(dim, map(str, cube.dims))}")
        values = cube.transpose(sample, ..., *inner).values
        if not np.isfinite(values).all():
            raise LabelError("the cube has values that are not finite; leave those channels out")
        real = values.dtype.kind != "c" and len(self.spacing) > 0
        values = values.astype(np.float64 if real else np.complex128)
        shape = values.shape[-len(inner) :]
        if self.along:
            values *= self.tapered(shape[-1])
        axes = tuple(range(-len(self.spacing), 0))
        turned = scipy.fft.rfftn if real else scipy.fft.fftn
        found = turned(values, axes=axes, norm="ortho") if axes else values + 0j
        found *= np.sqrt(self.volume)
        waves, count = self._waves(dict(zip(inner, shape, strict=True)), inner[-1], real)
        unit = str(cube.attrs.get("units", "1"))
        dims = "" if self.length == "1" else f" ({self.length}){len(self.spacing)}"
        units = squared(unit) + dims, self.wave
        return Modes(found.reshape(len(found), -1, len(count)), waves, count, units)

    def scaled(self, cube: xr.DataArray, scale: Callable[[Modes], Array]) -> xr.DataArray:
        """Return a cube whose modes are multiplied by a function of their wave numbers.

        Parameters
        ----------
        cube
            As of :meth:`transform`; no taper is applied.
        scale
            From modes to one real factor for each ``[mode]``.
        """
        plain = replace(self, taper="boxcar")
        modes = plain.transform(cube)
        joined = to_complex(cube) if "component" in cube.dims else cube
        inner = plain._inner
        order = [*(d for d in joined.dims if d not in inner and d != "sample"), *inner]
        order = ["sample", *order] if "sample" in joined.dims else order
        sizes = [joined.sizes[d] for d in order]
        real = joined.dtype.kind != "c"
        shape = [*sizes[:-1], sizes[-1] // 2 + 1] if real else sizes
        back = scipy.fft.irfftn if real else scipy.fft.ifftn
        values = back(
            (modes.values * scale(modes)).reshape(shape),
            s=[joined.sizes[d] for d in inner if d in self.spacing],
            axes=tuple(range(-len(self.spacing), 0)), norm="ortho",
        ) / np.sqrt(self.volume)  # fmt: skip
        made = joined.transpose(*order).copy(data=values)
        made = made if real or joined is cube else from_complex(made)
        return made.transpose(*cube.dims).assign_attrs(cube.attrs)

    def expected(self, covariance: xr.DataArray, wave: ArrayLike, count: ArrayLike) -> Modes:
        """Return modes whose squares are the expected powers of a field that is known.

        The field is homogeneous across: a mode (unitary transform) across has the covariance
        C over the cells along the line of sight, and the power along is the diagonal of the
        transform of C, tapered, on both sides.

        Parameters
        ----------
        covariance
            ``[shell, along, along_other]`` in this order, perhaps with ``component``.
        wave, count
            Wave number across of each shell, and how many modes it has ``[shell]``.
        """
        full = to_complex(covariance) if "component" in covariance.dims else covariance
        matrices = np.asarray(full.values)
        taper = self.tapered(matrices.shape[-1])
        matrices = matrices * taper[:, None] * taper
        once = np.fft.fft(matrices, axis=-2, norm="ortho")
        both = np.fft.ifft(once, axis=-1, norm="ortho").diagonal(axis1=-2, axis2=-1)
        found = np.sqrt(self.volume * np.clip(both.real, 0.0, None))
        along = _wave(matrices.shape[-1], self.spacing[str(self.along)], False)
        waves = _named(np.abs(np.asarray(wave))[:, None], np.abs(along))
        counts = np.broadcast_to(np.asarray(count, dtype=np.float64)[:, None], found.shape)
        units = str(covariance.attrs.get("units", "1")) + f" ({self.length})3", self.wave
        return Modes(found.reshape(1, 1, -1).astype(complex), waves, counts.ravel(), units)

    def _waves(
        self, shape: Mapping[str, int], halved: str, real: bool
    ) -> tuple[dict[str, Array], Array]:
        """Return the wave numbers of the modes of a cube and how often each counts."""
        axes = {}
        for dim, n in shape.items():
            if dim in self.spacing:
                axes[dim] = _wave(n, self.spacing[dim], real and dim == halved)
            else:
                axes[dim] = np.asarray(self.modes[dim], dtype=np.float64)
        grid = dict(zip(axes, np.meshgrid(*axes.values(), indexing="ij"), strict=True))
        across = [k**2 for dim, k in grid.items() if dim != self.along]
        perpendicular = np.sqrt(sum(across)) if across else np.zeros(())
        parallel = np.abs(grid[self.along]) if self.along else np.zeros(())
        count = np.ones_like(next(iter(grid.values())))
        if real:
            n = shape[halved]
            count[..., 1 : (n + 1) // 2] = 2.0
        return _named(np.asarray(perpendicular), np.asarray(parallel)), count.ravel()


def _wave(n: int, size: float, half: bool) -> Array:
    frequencies = scipy.fft.rfftfreq(n, size) if half else scipy.fft.fftfreq(n, size)
    return np.asarray(2 * np.pi * frequencies)


def _named(perpendicular: Array, parallel: Array) -> dict[str, Array]:
    both = np.hypot(perpendicular, parallel)
    arrays = (perpendicular, parallel, both)
    return {n: np.broadcast_to(a, both.shape).ravel() for n, a in zip(WAVES, arrays, strict=True)}
