"""The Wiener filter over one named dimension, for every shell of modes across by itself.

Problem: take from maps x = s + c at many frequencies what is signal s, where both signal and
contaminant c (foregrounds, noise) are known by their covariances.
Idea: where both are statistically alike everywhere, modes of different transverse wave vectors
are uncorrelated, and for each shell of them there is one matrix over frequency,

    W = S (S + C)^-1,

the linear map with the least residual power, and for Gaussian fields the posterior mean: no
method can do better there. What it leaves of the signal is S - W S, the posterior covariance.

Everything is float64: the foregrounds' eigenvalues span 13 decades, and S + C is solved by
Cholesky decomposition, never inverted. The filter is linear: covariances are second moments about
zero, and a mean spectrum m of the contaminant is a part N m m^T (of N pixels) of the shell k = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import scipy.linalg
import xarray as xr

from presage.labels import LabelError, from_complex, nearest, unitless
from presage.transforms.across import Across, Modes, arranged, check_whole, living
from presage.transforms.channels import COMPONENT, NAN, Channels, Matrix, joined, like, stored_type

#: Values that are filtered at a time.
BLOCK = 1 << 22
SIGNAL, CONTAMINANT, WAVE = "signal_covariance", "contaminant_covariance", "wave_number"


class Wiener:
    """A filter for every shell of modes.

    Parameters
    ----------
    dataset
        What :meth:`from_covariances` or a fit made, perhaps read back from the store: variables
        ``signal_covariance`` and ``contaminant_covariance`` ``[shell, frequency,
        frequency_other]``, coordinates ``wave_number`` ``[shell]`` and those of the maps.

    Raises
    ------
    LabelError
        The dataset is no such filter.

    Examples
    --------
    >>> axis = {"units": "deg"}
    >>> sky = xr.DataArray(np.random.default_rng(0).normal(size=(3, 8, 8)),
    ...     dims=("frequency", "y", "x"), coords={"frequency": [1.0, 2.0, 3.0],
    ...     "y": ("y", np.arange(8.0), axis), "x": ("x", np.arange(8.0), axis)})
    >>> shells = Across.of(sky, ("y", "x")).shells()
    >>> one = xr.DataArray(np.eye(3), dims=("frequency", "frequency_other"),
    ...                    coords={"frequency": sky.frequency}).expand_dims(shell=shells.size)
    >>> one = one.assign_coords(wave_number=shells)
    >>> half = Wiener.from_covariances(one, one, sky).clean(sky)
    >>> bool(abs(half - sky / 2).max() < 1e-12)
    True
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        for name in (SIGNAL, CONTAMINANT, WAVE):
            if name not in dataset.variables:
                known = map(str, dataset.variables)
                raise LabelError(f"not a Wiener filter: {name!r} is missing{nearest(name, known)}")
        if not {"channels", "across"} <= set(dataset.attrs):
            raise LabelError("not a Wiener filter: attributes 'channels' and 'across' name dims")
        self.dataset = dataset.load()
        self.dim = str(dataset.attrs["channels"])
        self.across = Across.of(dataset, str(dataset.attrs["across"]).split(","))
        own = ("shell", self.dim, f"{self.dim}_other", COMPONENT)
        self.apart = tuple(str(d) for d in dataset[SIGNAL].dims if d not in own)
        self.channels = Channels.of(dataset[SIGNAL], self.dim)
        self._modes = Modes(self.across, dataset[WAVE].values, self.channels.is_complex)
        both = self._matrices(SIGNAL) + self._matrices(CONTAMINANT)
        pooled = both.diagonal(axis1=-2, axis2=-1)
        self._live = np.isfinite(pooled).all(axis=tuple(range(pooled.ndim - 1)))

    @classmethod
    def from_covariances(
        cls,
        signal: xr.DataArray,
        contaminant: xr.DataArray,
        grid: xr.DataArray | xr.Dataset,
        across: Sequence[str] = ("y", "x"),
        dim: str = "frequency",
    ) -> Wiener:
        """Make the filter of known covariances.

        Parameters
        ----------
        signal, contaminant
            Covariances of modes, ``[shell, dim, dim_other]``, of maps in one unit; complex, or with
            ``component``, for complex maps. Further dims have a filter for each of their
            coordinate's values. `signal` has the coordinate ``wave_number`` (ascending) that
            :meth:`Across.shells` gives: a mode takes the filter of the nearest one.
        grid
            Maps, or a dataset with such dims: their coordinates across.
        across, dim
            Names of the dims of the maps, one or two, and of the channels.

        Raises
        ------
        LabelError
            Dims or coordinates are missing, or the wave number has another unit than the maps.
        """
        if WAVE not in signal.coords:
            raise LabelError("the signal's covariance needs the coordinate 'wave_number' [shell]")
        wave, unit = signal[WAVE], f"rad/{Across.of(grid, across).unit}"
        if wave.attrs.get("units") != unit or not (np.diff(wave.values) > 0).all():
            raise LabelError(
                f"'wave_number' should ascend and be in {unit!r}, got {wave.attrs.get('units')!r}"
            )
        matrix = ("shell", dim, f"{dim}_other")
        apart = [str(d) for d in signal.dims if d not in (*matrix, COMPONENT)]
        coordinates = {d: signal[d] for d in (*apart, dim)} | {
            f"{dim}_other": signal[dim].rename({dim: f"{dim}_other"}),
            WAVE: wave.reset_coords(drop=True),
            **{d: grid[d] for d in across},
        }
        arrays = {
            name: _parts(joined(array).reset_coords(drop=True).transpose(*apart, *matrix))
            for name, array in ((SIGNAL, signal), (CONTAMINANT, contaminant))
        }
        attributes = {"channels": dim, "across": ",".join(across)}
        return cls(xr.Dataset(arrays, attrs=attributes).assign_coords(coordinates))

    def __repr__(self) -> str:
        kind = "complex" if self.channels.is_complex else "real"
        shells = self.dataset.sizes["shell"]
        return f"Wiener({self.dim!r}, {len(self._live)} channels, {shells} shells, {kind})"

    def _matrices(self, name: str) -> Matrix:
        array = joined(self.dataset[name])
        order = (*self.apart, "shell", self.dim, f"{self.dim}_other")
        return np.asarray(array.transpose(*order).values)

    @property
    def mode_count(self) -> xr.DataArray:
        """Modes of the whole plane in each ``shell``."""
        return xr.DataArray(self._modes.count, dims="shell", attrs=unitless("modes of the shell"))

    @cached_property
    def gain(self) -> xr.DataArray:
        """W = S (S + C)^-1 by shell, 0 for dead channels."""
        signal = self._matrices(SIGNAL)
        total = signal + self._matrices(CONTAMINANT)
        gain = np.zeros_like(signal)
        inside = np.ix_(self._live, self._live)
        for place in np.ndindex(*signal.shape[:-2]):
            gain[place][inside] = _filter(signal[place][inside], total[place][inside])
        return xr.DataArray(gain, joined(self.dataset[SIGNAL]).coords, self._order)

    @property
    def _order(self) -> tuple[str, ...]:
        return (*self.apart, "shell", self.dim, f"{self.dim}_other")

    def residual_covariance(self, truth: Wiener | None = None) -> xr.DataArray:
        """Return the covariance of clean(s + c) - s, ``[shell, dim, dim_other]``.

        Parameters
        ----------
        truth
            A filter with the true covariances, of the same shells; by default this one's own
            are true, and the result, S - S (S + C)^-1 S, is the posterior covariance.
        """
        gain = self.gain.values
        true = self if truth is None else truth
        signal, contaminant = true._matrices(SIGNAL), true._matrices(CONTAMINANT)
        if truth is None:
            left = signal - gain @ signal
            left = 0.5 * (left + left.swapaxes(-1, -2).conj())
        else:
            lost = np.eye(gain.shape[-1]) - gain
            left = lost @ signal @ lost.swapaxes(-1, -2).conj()
            left = left + gain @ contaminant @ gain.swapaxes(-1, -2).conj()
        array = self.gain.copy(data=left).assign_attrs(self.dataset[SIGNAL].attrs)
        return _parts(array.assign_attrs(long_name="covariance of the residual"))

    def clean(self, data: xr.DataArray) -> xr.DataArray:
        """Return the filtered maps: what is signal in them, as far as that can be known.

        Parameters
        ----------
        data
            Maps with the filter's dims at any position, and any others. Linear, without a mean
            taken out.

        Returns
        -------
        xarray.DataArray
            Dims, coordinates, attributes and float type of `data`; NaN in channels that were dead
            where the filter was fitted.

        Raises
        ------
        LabelError
            Other channels or pixels than the filter's; values that are missing.
        """
        self.channels.check(Channels.of(data, self.dim))
        self.across.check(Across.of(data, self.across.dims))
        for dim in self.apart:
            if dim not in data.coords or not np.array_equal(data[dim], self.dataset[dim]):
                raise LabelError(f"the filter belongs to other values of {dim!r} than the data's")
        maps = arranged(data, self.apart, self.dim, self.across)
        shape = [maps.sizes[d] for d in self.apart]
        flat = maps.values.reshape(*shape, -1, len(self._live), *self.across.pixels)
        check_whole(flat, self._live, self.across)
        out = np.empty(flat.shape, stored_type(data))
        step = max(1, BLOCK // int(np.prod(flat.shape[len(shape) + 1 :])))
        for place in np.ndindex(*shape):
            gain = self.gain.values[place]
            for start in range(0, flat.shape[len(shape)], step):
                some = slice(start, start + step)
                out[place][some] = self._filtered(flat[place][some], gain)
        result = maps.copy(data=out.reshape(maps.shape))
        return like(result.transpose(*(d for d in data.dims if d != COMPONENT)), data)

    def _filtered(self, maps: Matrix, gain: Matrix) -> Matrix:
        """Filter maps ``[map, channel, *across]`` by the gain ``[shell, channel, channel]``."""
        rows = self._modes.rows(living(maps, self._live))
        # A real gain acts on real and imaginary parts alike: half of the work.
        parts = rows if np.iscomplexobj(gain) else rows.view(np.float64)
        filtered = np.empty_like(parts)
        for one, span in zip(gain, self._modes.spans(parts.shape[1]), strict=True):
            np.matmul(one, parts[:, span], out=filtered[:, span])
        out = self._modes.maps(filtered.view(np.complex128))
        out[:, ~self._live] = NAN if self.channels.is_complex else np.nan
        return out


def _filter(signal: Matrix, total: Matrix) -> Matrix:
    """Return signal @ inverse(total), by Cholesky; by eigenvectors where rounding forbids it."""
    try:
        solved = scipy.linalg.cho_solve(scipy.linalg.cho_factor(total), signal)
        return np.asarray(solved.conj().T)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(total)
        floor = len(values) * np.finfo(np.float64).eps * values[-1]
        inverse = np.where(values > floor, 1.0 / np.maximum(values, floor), 0.0)
        return np.asarray((signal @ vectors * inverse) @ vectors.conj().T)


def _parts(array: xr.DataArray) -> xr.DataArray:
    """Return complex values as they are stored, with ``component``."""
    return from_complex(array) if array.dtype.kind == "c" else array
