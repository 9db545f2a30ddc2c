"""Power spectra of labelled cubes: how much is there, how much is right, how much is missing.

Problem: an estimate of a field is judged scale by scale, and differently along the line of sight,
where the box is not periodic, and across it. Three numbers belong together: an estimate that
hides power may look right by any one of them.
Idea: with Fourier modes c of the estimate and t of the truth, averaged over the modes of a bin,

    P_c = <|c|^2>, P_t = <|t|^2>, P_x = Re <c t*>, P_res = <|c - t|^2> = P_c + P_t - 2 P_x
    ratio = P_c / P_t,   correlation r = P_x / sqrt(P_c P_t),   residual = P_res / P_t

The mean over samples is taken of powers, never of ratios; errors are those of the mean, over
samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from presage.analysis.fourier import WAVES, Box, Modes
from presage.labels import LabelError, nearest

Array = NDArray[np.float64]

_POWERS = {
    "power": "power",
    "power_true": "power of the truth",
    "cross": "cross power with the truth",
    "power_residual": "power of the difference from the truth",
}


class Spectra:
    """Powers in bins of wave numbers, over any number of samples, seen one part at a time.

    Parameters
    ----------
    edges
        Of one or more of :data:`WAVES`: bins are (low, high].

    Raises
    ------
    LabelError
        Other wave numbers, or edges that do not ascend.
    """

    def __init__(self, **edges: ArrayLike) -> None:
        for name, values in edges.items():
            if name not in WAVES:
                raise LabelError(f"no wave number {name!r}{nearest(name, WAVES)}")
            ascending = np.asarray(values, dtype=np.float64)
            if ascending.ndim != 1 or (np.diff(ascending) <= 0).any():
                raise LabelError(f"edges of {name} ascend, got {ascending}")
        self.edges = {name: np.asarray(e, dtype=np.float64) for name, e in edges.items()}
        self.shape = tuple(len(e) - 1 for e in self.edges.values())
        self._parts: list[Array] = []
        self._about: Modes | None = None

    def update(self, modes: Modes, truth: Modes | None = None) -> Spectra:
        """Add samples, with the truth of each where there is one."""
        return self.add(modes, powers(modes, truth))

    def add(self, modes: Modes, found: Array) -> Spectra:
        """Add samples of which :func:`powers` is known, as several binnings share it."""
        bins, inside, _ = self._bins(modes)
        size, count = int(np.prod(self.shape)), modes.count[inside]
        rows = found.reshape(-1, found.shape[-1])
        sums = np.stack([np.bincount(bins, count * row[inside], size) for row in rows])
        with np.errstate(invalid="ignore", divide="ignore"):
            means = sums / np.bincount(bins, count, size)
        self._parts.append(means.reshape(*found.shape[:-1], size))
        self._about = modes
        return self

    def finish(self) -> xr.Dataset:
        """Return the means over samples.

        Returns
        -------
        xarray.Dataset
            Over the bins, whose coordinates are the mean wave numbers of their modes: ``power``
            and, with a truth, ``power_true``, ``cross``, ``power_residual``, ``ratio``,
            ``correlation``, ``residual``, each with its standard ``_error`` over samples (NaN
            of one sample), and ``mode_count``, the modes of one sample (of a real field, half of
            them are independent).

        Raises
        ------
        LabelError
            There are no samples.
        """
        if self._about is None:
            raise LabelError("there are no samples to take spectra of")
        values = np.concatenate(self._parts, axis=1)  # [kind, sample, bin]
        power, wave = self._about.units
        arrays = {
            name: (values[i].mean(axis=0), _error(values[i]), power, title)
            for i, (name, title) in enumerate(_POWERS.items())
            if i < len(values)
        }
        if len(values) > 1:
            arrays |= _ratios(values)
        data = {}
        for name, (mean, error, unit, title) in arrays.items():
            data[name] = self._labelled(mean, unit, title)
            data[f"{name}_error"] = self._labelled(error, unit, "standard error of " + title)
        bins, inside, places = self._bins(self._about)
        total = np.bincount(bins, self._about.count[inside], int(np.prod(self.shape)))
        data["mode_count"] = self._labelled(total, "1", "modes").astype(np.int64)
        middles = {
            name: (name, _middles(self._about, name, place, edges),
                   {"units": wave, "long_name": WAVES[name]})
            for (name, edges), place in zip(self.edges.items(), places, strict=True)
        }  # fmt: skip
        return xr.Dataset(data, coords=middles, attrs={"samples": values.shape[1]})

    @property
    def samples(self) -> NDArray[np.float64]:
        """Powers of every sample ``[kind, sample, *bins]``, kinds in the order of the means."""
        joined = np.concatenate(self._parts, axis=1)
        return joined.reshape(*joined.shape[:2], *self.shape)

    def of(self, modes: Modes, values: NDArray[np.float64], outside: float) -> Array:
        """Return for every mode the value ``[*bins]`` of its bin, or what stands outside all."""
        bins, inside, _ = self._bins(modes)
        found = np.full(inside.shape, outside)
        found[inside] = np.asarray(values).ravel()[bins]
        return found

    def _bins(
        self, modes: Modes
    ) -> tuple[NDArray[np.intp], NDArray[np.bool_], list[NDArray[np.intp]]]:
        """Return the bins of the modes that lie in one, which these are, and places by axis."""
        places = [
            np.searchsorted(edges, modes.waves[name] * (1 - 1e-12), side="right") - 1
            for name, edges in self.edges.items()
        ]
        sizes = self.shape
        inside = np.all([(p >= 0) & (p < n) for p, n in zip(places, sizes, strict=True)], axis=0)
        return np.ravel_multi_index(tuple(p[inside] for p in places), sizes), inside, places

    def _labelled(self, values: NDArray[Any], unit: str, title: str) -> xr.DataArray:
        attributes = {"units": unit, "long_name": title}
        return xr.DataArray(values.reshape(self.shape), dims=list(self.edges), attrs=attributes)


def powers(modes: Modes, truth: Modes | None = None) -> Array:
    """Return the power of every mode ``[kind, sample, mode]``, averaged over other dims.

    Kinds are the power itself and, with a truth, its power, cross power and that of the difference.

    Raises
    ------
    LabelError
        The truth has other cells or samples.
    """
    own = modes.values
    if truth is None:
        return np.asarray(_square(own)[None].mean(axis=2))
    other = truth.values
    if other.shape != own.shape:
        raise LabelError(
            f"estimate and truth have the same cells and samples, got modes {own.shape} and "
            f"{other.shape}"
        )
    cross = own.real * other.real + own.imag * other.imag
    return np.stack([a.mean(axis=1) for a in (_square(own), _square(other), cross,
                                              _square(own - other))])  # fmt: skip


def power(cubes: xr.DataArray, box: Box, *, chunk: int = 8, **edges: ArrayLike) -> xr.Dataset:
    """Return the power spectrum of cubes, in bins of one or more wave numbers.

    Parameters
    ----------
    cubes
        May be lazy: `chunk` samples are in memory at a time.
    box
        Its cells.
    edges
        As of :class:`Spectra`.
    """
    spectra = Spectra(**edges)
    for part in _parts(cubes, chunk):
        spectra.update(box.transform(part))
    return spectra.finish()


def compare_spectra(
    estimate: xr.DataArray, truth: xr.DataArray, box: Box, *, chunk: int = 8, **edges: ArrayLike
) -> xr.Dataset:
    """Return how estimates compare with the truth, in bins of one or more wave numbers.

    Parameters
    ----------
    estimate, truth
        Sample by sample of one another; may be lazy: `chunk` samples are in memory at a time.
    box, edges
        As of :func:`power`.

    Returns
    -------
    xarray.Dataset
        Of :meth:`Spectra.finish`.
    """
    spectra = Spectra(**edges)
    for part, other in zip(_parts(estimate, chunk), _parts(truth, chunk), strict=True):
        spectra.update(box.transform(part), box.transform(other))
    return spectra.finish()


def wave_edges(fundamental: float, highest: float, per_decade: float = 10.0) -> Array:
    """Return edges between multiples of a fundamental wave number.

    The lowest multiples have a bin each; then as many bins as fit into a decade. The mode of
    wave number 0 lies in none of them.
    """
    last = max(1, int(np.floor(highest / fundamental * (1 + 1e-9))))
    edges = [1]
    while edges[-1] <= last:
        edges.append(max(edges[-1] + 1, round(edges[-1] * 10 ** (1 / per_decade))))
    return fundamental * (np.array([*edges[:-1], last + 1]) - 0.5)


def _parts(cubes: xr.DataArray, chunk: int) -> Sequence[xr.DataArray]:
    if "sample" not in cubes.dims:
        return [cubes]
    starts = range(0, cubes.sizes["sample"], chunk)
    return [cubes.isel(sample=slice(start, start + chunk)) for start in starts]


def _middles(modes: Modes, name: str, place: NDArray[np.intp], edges: Array) -> Array:
    """Return the mean wave number of the modes in each bin, and the bin's middle without any."""
    within = (place >= 0) & (place < len(edges) - 1)
    count = modes.count[within]
    total = np.bincount(place[within], count, len(edges) - 1)
    summed = np.bincount(place[within], count * modes.waves[name][within], len(edges) - 1)
    return np.where(total > 0, summed / np.maximum(total, 1), 0.5 * (edges[1:] + edges[:-1]))


def _square(values: NDArray[np.complex128]) -> Array:
    return np.asarray(values.real**2 + values.imag**2)


def _error(values: Array) -> Array:
    """Return the standard error of the mean over the first axis."""
    n = len(values)
    if n < 2:
        return np.full(values.shape[1:], np.nan)
    return np.asarray(values.std(axis=0, ddof=1) / np.sqrt(n))


def _ratios(values: Array) -> dict[str, tuple[Array, Array, str, str]]:
    """Return what is a ratio of mean powers, with errors by its first derivatives."""
    estimate, truth, cross, residual = values
    c, t, x, d = (kind.mean(axis=0) for kind in values)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = x / np.sqrt(c * t)
        slope = (cross - r * 0.5 * (estimate * np.sqrt(t / c) + truth * np.sqrt(c / t))) / (
            np.sqrt(c * t)
        )
        found: dict[str, tuple[Any, Any, str]] = {
            "ratio": (c / t, (estimate - c / t * truth) / t, "power over that of the truth"),
            "correlation": (r, slope, "correlation with the truth"),
            "residual": (d / t, (residual - d / t * truth) / t, "residual power over the truth's"),
        }
    return {name: (mean, _error(of), "1", title) for name, (mean, of, title) in found.items()}
