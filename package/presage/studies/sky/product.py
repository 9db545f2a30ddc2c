"""The product ``sky_residuals``: what was kept of every method, as one labelled dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import xarray as xr
from scipy.stats import norm

from presage.analysis.fourier import Array, Modes
from presage.analysis.spectra import Spectra, powers
from presage.studies.sky.scales import BAND_NAMES, Scales

#: Method → its title, in the order of tables and figures.
METHODS = {
    "limit": "Limit: true Wiener filter",
    "wiener_other": "Other sky's Wiener filter",
    "wiener_learned": "Learned Wiener filter",
    "pca": "PCA",
    "pca_transfer": "PCA with transfer function",
    "polynomial": "Log–log polynomial",
    "fastica": "FastICA",
    "network": "U-Net over PCA",
    "network_wiener": "U-Net over learned filter",
}
#: Title of the limit whose covariances were measured, on all cubes.
MEASURED = "Limit: Wiener filter, measured"
_NAMES = {"ratio": "power_ratio", "correlation": "correlation", "residual": "residual"}
#: Spectra → the ending of their variables, and the dims of their bins.
_ENDINGS = {"plane": "", "1d": "_1d", "parallel": "_parallel", "band": "_band"}
#: Of the bands whose coverage is counted.
LEVELS = (0.68, 0.95)


@dataclass(eq=False)
class Tally:
    """What is kept of one method."""

    spectra: dict[str, Spectra]
    inside: list[Array] = field(default_factory=list)  # [sample, level] of each part
    cubes: list[xr.DataArray] = field(default_factory=list)
    errors: list[xr.DataArray] = field(default_factory=list)

    def update(
        self, found: xr.DataArray | xr.Dataset, truth: xr.DataArray, scales: Scales,
        true_modes: tuple[Modes, Modes], shown: int,
    ) -> None:  # fmt: skip
        """Take in what the method made of some skies, of which the first `shown` are kept."""
        signal = found["signal"] if isinstance(found, xr.Dataset) else found
        signal = signal.transpose(*truth.dims)
        box, sphere = scales.transform(signal)
        found_powers = powers(box, true_modes[0])
        for name in _ENDINGS:
            self.spectra[name].add(box, found_powers)
        self.spectra["angular"].update(sphere, true_modes[1])
        if shown:
            self.cubes.append(signal.isel(sample=slice(0, shown)).astype(np.float32))
        if isinstance(found, xr.Dataset) and "signal_error" in found:
            error = found["signal_error"].broadcast_like(truth).transpose(*truth.dims)
            off = np.abs(signal.values - truth.values).reshape(len(truth), -1)
            limits = error.values.reshape(len(truth), -1)
            within = [(off < norm.ppf(0.5 + level / 2) * limits).mean(axis=1) for level in LEVELS]
            self.inside.append(np.stack(within, axis=-1))
            if shown:
                self.errors.append(error.isel(sample=slice(0, shown)).astype(np.float32))


def assembled(
    tallies: Mapping[str, Tally], cubes: Mapping[str, Sequence[xr.DataArray]]
) -> xr.Dataset:
    """Return the product of some methods, the limit among them, and of cubes in parts."""
    methods = list(tallies)
    data: dict[str, xr.DataArray] = {}
    for name, ending in _ENDINGS.items():
        data |= _ratios({m: t.spectra[name] for m, t in tallies.items()}, ending)
    angular = {m: t.spectra["angular"].finish() for m, t in tallies.items()}
    ratio = _stacked({m: s["ratio"] for m, s in angular.items()})
    data["angular_power_ratio"] = ratio.rename(k_perpendicular="multipole")
    first = tallies[methods[0]].spectra
    plane, line = first["plane"].finish(), first["1d"].finish()
    data |= {"power_true": plane["power_true"], "mode_count": plane["mode_count"],
             "power_true_1d": line["power_true"]}  # fmt: skip
    data |= {name: _shown(parts) for name, parts in cubes.items() if parts}
    if cubes["truth"]:
        data["cleaned"] = _stacked({m: _shown(t.cubes) for m, t in tallies.items()})
    data |= _bands(tallies, data.get("truth"))
    product = xr.Dataset(data).drop_vars(["sample"], errors="ignore")
    titles = np.array([METHODS.get(m, m.replace("_", " ")) for m in methods], dtype=object)
    product = product.assign_coords(cleaner_title=("cleaner", titles))
    product["multipole"].attrs = {"units": "1", "long_name": "multipole"}
    return product


def _ratios(spectra: Mapping[str, Spectra], ending: str) -> dict[str, xr.DataArray]:
    """Return what is said of methods in some bins, among it the residual over the limit's."""
    found = {m: s.finish() for m, s in spectra.items()}
    limit = spectra.get("limit", next(iter(spectra.values()))).samples[3]
    data = {}
    for old, new in _NAMES.items():
        for error in ("", "_error"):
            data[f"{new}{ending}{error}"] = _stacked({m: f[old + error] for m, f in found.items()})
    over = {m: _over(s.samples[3], limit) for m, s in spectra.items()}
    for place, error in ((0, ""), (1, "_error")):
        arrays = {m: found[m]["residual"].copy(data=o[place]) for m, o in over.items()}
        stacked = _stacked(arrays)
        stacked.attrs = {"units": "1", "long_name": "residual power over the limit's"}
        data[f"ratio_to_limit{ending}{error}"] = stacked
    return {name: _renamed(array, ending) for name, array in data.items()}


def _renamed(array: xr.DataArray, ending: str) -> xr.DataArray:
    """Return an array without the one bin across, and with bands by name."""
    if ending not in ("_parallel", "_band"):
        return array
    array = array.isel(k_perpendicular=0, drop=True)
    if ending == "_parallel":
        return array
    array = array.drop_vars("k_parallel").rename(k_parallel="band")
    return array.assign_coords(band=np.array(BAND_NAMES, dtype=object))


def _over(residual: Array, limit: Array) -> tuple[Array, Array]:
    """Return the ratio of mean powers ``[sample, ...]`` and its error, of the same skies."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = residual.mean(axis=0) / limit.mean(axis=0)
        scatter = (residual - ratio * limit) / limit.mean(axis=0)
    n = len(scatter)
    error = scatter.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(ratio.shape, np.nan)
    return ratio, error


def _bands(tallies: Mapping[str, Tally], truth: xr.DataArray | None) -> dict[str, xr.DataArray]:
    """Return the coverage of the methods that claim errors, and their errors."""
    claimed = {m: np.concatenate(t.inside) for m, t in tallies.items() if t.inside}
    if not claimed:
        return {}
    shape = (len(tallies), len(LEVELS))
    share, error = np.full(shape, np.nan), np.full(shape, np.nan)
    for row, method in enumerate(tallies):
        if method in claimed:
            inside = claimed[method]
            share[row] = inside.mean(axis=0)
            if len(inside) > 1:
                error[row] = inside.std(axis=0, ddof=1) / np.sqrt(len(inside))
    coords = {"cleaner": _names(tallies), "level": list(LEVELS)}
    data = {}
    said = {"coverage": "share of pixels within the band", "coverage_error": "its standard error"}
    for (name, title), values in zip(said.items(), (share, error), strict=True):
        attributes = {"units": "1", "long_name": title}
        data[name] = xr.DataArray(values, coords, ("cleaner", "level"), attrs=attributes)
    if truth is not None:
        nan = xr.full_like(truth, np.nan)
        errors = {m: _shown(t.errors) if t.errors else nan for m, t in tallies.items()}
        stacked = _stacked(errors)
        stacked.attrs = {**truth.attrs, "long_name": "error that the method claims"}
        data["signal_error"] = stacked
    return data


def _shown(parts: Sequence[xr.DataArray]) -> xr.DataArray:
    """Return the cubes of skies that are shown, numbered, of visibilities the real part."""
    first = parts[0]
    values = np.concatenate([part.transpose(*first.dims).values for part in parts])
    coords = {n: c for n, c in first.coords.items() if "sample" not in c.dims}
    cubes = xr.DataArray(values, coords, first.dims, attrs=first.attrs).rename(sample="sky")
    cubes = cubes.assign_coords(sky=np.arange(len(values)))
    return real_part(cubes)


def real_part(cubes: xr.DataArray) -> xr.DataArray:
    """Return the real part of visibilities; maps as they are."""
    return cubes.sel(component="real", drop=True) if "component" in cubes.dims else cubes


def _stacked(arrays: Mapping[str, xr.DataArray]) -> xr.DataArray:
    """Return the methods' arrays as one, ``cleaner`` first."""
    first = next(iter(arrays.values()))
    values = np.stack([array.transpose(*first.dims).values for array in arrays.values()])
    coords = {"cleaner": _names(arrays), **first.coords}
    return xr.DataArray(values, coords, ("cleaner", *first.dims), attrs=first.attrs)


def _names(methods: Mapping[str, object]) -> np.ndarray[tuple[int, ...], np.dtype[np.object_]]:
    return np.array(list(methods), dtype=object)
