"""The cleaners that others use, beside the Wiener filters: what a network has to be better than.

Each takes a sky as it was observed and returns the signal that it finds, ``clean(observed)``:

* a polynomial in log T over log nu, fitted to every line of sight, weighted by the noise;
* independent components (FastICA) of every sky by itself. Where so many components are kept that
  whitening spans them, their sum is a projection on as many principal components of that sky, and
  so what is left is PCA's, of the sky itself instead of the training's;
* principal components over frequency, of the training skies;
* the same, corrected for the signal they take: a known signal m is added to the data d, the basis
  fitted anew, and T(k) = P(clean(d + m) - clean(d), m) / P(m, m) is divided by, mode by mode
  (Switzer et al. 2015; Cunnington et al. 2023), where half of the signal and more is left.

What can be chosen is chosen on training skies, where the signal is known. Gaussian processes are
not among them: their kernel matrices are those of the Wiener filter, at many times its cost.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from sklearn.decomposition import FastICA
from sklearn.exceptions import ConvergenceWarning

from presage.analysis.fourier import Array
from presage.analysis.spectra import Spectra
from presage.labels import LabelError
from presage.studies.sky.scales import Scales
from presage.studies.sky.skies import Sky
from presage.transforms.pca import PCA
from presage.transforms.wiener import Wiener

#: From an observed sky to the signal: an array, or ``signal`` beside ``signal_error``.
Cleaner = Callable[[xr.DataArray], xr.DataArray | xr.Dataset]

#: Name of a pool, which is that of its variable as well.
POOLS = ("foreground", "signal", "noise")
#: Skies that choices are made on, and that are held in memory at a time.
CHOSEN_ON, CHUNK = 32, 8
#: Where a transfer function is less nothing is divided by it: it would amplify what is not signal.
LEAST = 0.5
DEGREES = (2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 22)


def observed(pools: Mapping[str, xr.Dataset], where: slice = slice(None)) -> xr.DataArray:
    """Return skies as they are observed, float64: the sum of the pools' cubes, one to one.

    Parameters
    ----------
    pools
        ``foreground``, ``signal`` and ``noise``: datasets with a variable of that name.
    where
        Which samples.

    Raises
    ------
    LabelError
        A pool is missing, or they are not equally long.
    """
    missing = [name for name in POOLS if name not in pools]
    if missing:
        raise LabelError(f"pools are {', '.join(POOLS)}; there is no {missing[0]!r}")
    parts = [pools[name][name].isel(sample=where) for name in POOLS]
    if len({part.sizes["sample"] for part in parts}) > 1:
        sizes = {name: p.sizes["sample"] for name, p in zip(POOLS, parts, strict=True)}
        raise LabelError(f"pools are added one to one and are equally long, got {sizes}")
    first = parts[0]
    values = np.array(first.values, dtype=np.float64)
    for part in parts[1:]:
        values += part.transpose(*first.dims).values
    seen = first.copy(data=values).rename("observed").assign_attrs(long_name="observed sky")
    # Pools that are parts of others have other numbers.
    return seen.assign_coords(sample=parts[1]["sample"])


@dataclass(frozen=True, eq=False)
class Examples:
    """What cleaners are fitted to: training skies of which everything is known.

    Parameters
    ----------
    sky
        What they are skies of.
    pools
        As of :func:`observed`.
    basis
        Principal components of the training skies.
    modes
        How many of them are removed.
    """

    sky: Sky
    pools: Mapping[str, xr.Dataset]
    basis: PCA
    modes: int

    def chunks(self) -> Iterator[tuple[xr.DataArray, xr.DataArray, xr.DataArray]]:
        """Yield observed skies, their signals, and the signals of other skies."""
        signal = self.pools["signal"]["signal"]
        count = min(CHOSEN_ON, *(pool.sizes["sample"] for pool in self.pools.values()))
        for start in range(0, count, CHUNK):
            where = slice(start, min(start + CHUNK, count))
            own = signal.isel(sample=where)
            others = (np.arange(where.start, where.stop) + count // 2) % count
            yield observed(self.pools, where), own, own.copy(data=signal.isel(sample=others).values)


@dataclass(frozen=True, eq=False)
class LogPolynomial:
    """A polynomial in log T over log nu along every line of sight.

    Parameters
    ----------
    degree
        Of the polynomial.
    weight
        Of the channels ``[frequency]``, one over the error of log T; equal if None.
    logarithmic
        False fits T itself, as cubes of both signs and visibilities need.
    """

    degree: int
    weight: Array | None = None
    logarithmic: bool = True

    @property
    def settings(self) -> dict[str, Any]:
        """What was chosen."""
        return {"degree": self.degree, "logarithmic": self.logarithmic}

    def clean(self, data: xr.DataArray) -> xr.DataArray:
        """Return what is left of the data without the fit.

        Raises
        ------
        LabelError
            Temperatures that have no logarithm.
        """
        values = data.transpose(..., "frequency").values.astype(np.float64)
        if self.logarithmic and not (values > 0).all():
            raise LabelError(
                f"{int((values <= 0).sum())} temperatures are not positive and have no logarithm; "
                "fit with logarithmic=False"
            )
        x = np.log(data["frequency"].values / np.median(data["frequency"].values))
        basis = np.polynomial.legendre.legvander(x / np.abs(x).max(), self.degree)
        weight = np.ones(len(x)) if self.weight is None else self.weight
        fit = basis @ np.linalg.pinv(basis * weight[:, None]) * weight
        if self.logarithmic:
            left = values - np.exp(np.log(values) @ fit.T)
        else:
            left = values - values @ fit.T
        order = [d for d in data.dims if d != "frequency"] + ["frequency"]
        return data.transpose(*order).copy(data=left).transpose(*data.dims)


@dataclass(frozen=True, eq=False)
class IndependentComponents:
    """FastICA of the spectra of every sky by itself.

    Parameters
    ----------
    components
        How many are taken out.
    """

    components: int

    @property
    def settings(self) -> dict[str, Any]:
        """What was chosen."""
        return {"components": self.components}

    def clean(self, data: xr.DataArray) -> xr.DataArray:
        """Return what is left of the data without their independent components."""
        dims = ["sample"] if "sample" in data.dims else []
        order = [*dims, *(d for d in data.dims if d not in (*dims, "frequency")), "frequency"]
        values = data.transpose(*order).values.astype(np.float64)
        flat = values.reshape(*values.shape[: len(dims)], -1, values.shape[-1])
        left = [self._left(one) for one in (flat if dims else [flat])]
        return (
            data.transpose(*order).copy(data=np.reshape(left, values.shape)).transpose(*data.dims)
        )

    def _left(self, spectra: Array) -> Array:
        """Return spectra ``[line of sight, frequency]`` without components."""
        model = FastICA(self.components, whiten="unit-variance", random_state=0, max_iter=50)
        with warnings.catch_warnings():
            # The sum of the components is the same from the first turn on.
            warnings.simplefilter("ignore", ConvergenceWarning)
            sources = model.fit_transform(spectra)
        return np.asarray(spectra - model.inverse_transform(sources))


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """Principal components of the training skies, and a correction for the signal they take.

    Parameters
    ----------
    basis
        Of the training.
    modes
        How many are removed.
    scales, transfer
        Bins and T ``[k_perpendicular, k_parallel]`` that modes are divided by; none if None.
    """

    basis: PCA
    modes: int
    scales: Scales | None = None
    transfer: Array | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What was chosen."""
        return {"modes": self.modes, "corrected": self.transfer is not None}

    def clean(self, data: xr.DataArray) -> xr.DataArray:
        """Return the data without the components."""
        cleaned = self.basis.clean(data, self.modes)
        if self.scales is None or self.transfer is None:
            return cleaned
        bins = self.scales.spectra()["plane"]
        factor = 1 / np.where(self.transfer < LEAST, 1.0, self.transfer)
        return self.scales.box.scaled(cleaned, lambda modes: bins.of(modes, factor, outside=1.0))


@dataclass(frozen=True, eq=False)
class Filter:
    """A Wiener filter, with the error that it claims.

    Parameters
    ----------
    wiener
        With the covariances that it believes in.
    """

    wiener: Wiener

    def clean(self, data: xr.DataArray) -> xr.Dataset:
        """Return ``signal``, and ``signal_error`` of each channel."""
        cleaned = self.wiener.clean(data)
        return xr.Dataset({"signal": cleaned, "signal_error": self.error})

    @cached_property
    def error(self) -> xr.DataArray:
        """Root of the posterior variance in a pixel ``[frequency]``."""
        left = self.wiener.residual_covariance()
        if "component" in left.dims:  # half of the variance in each part
            left = 0.5 * left.sel(component="real", drop=True)
        dim, count = self.wiener.dim, self.wiener.mode_count.values
        variance = np.einsum("...sff,s->...f", left.transpose(..., "shell", dim, f"{dim}_other"),
                             count / count.sum())  # fmt: skip
        coords = {d: left[d] for d in (*self.wiener.apart, dim)}
        return xr.DataArray(np.sqrt(variance), coords, [*self.wiener.apart, dim])


def polynomial(examples: Examples) -> LogPolynomial:
    """Return the polynomial of the degree whose rest is most like the signal of training skies."""
    first, _, _ = next(examples.chunks())
    positive = "component" not in first.dims and bool((first > 0).all())
    mean = np.sqrt((first**2).mean([d for d in first.dims if d != "frequency"]).values)
    noise = np.sqrt(examples.sky.beam.noise(examples.sky.patch, examples.sky.receiver))
    weight = (mean if positive else np.ones_like(mean)) / noise
    scales = Scales(examples.sky)
    fits = {d: LogPolynomial(d, weight, positive) for d in DEGREES if 2 * d <= len(mean)}
    bins = {degree: scales.whole_band() for degree in fits}
    for seen, signal, _ in examples.chunks():
        truth = scales.box.transform(signal)
        for degree, fit in fits.items():
            bins[degree].update(scales.box.transform(fit.clean(seen)), truth)
    return fits[max(fits, key=lambda d: float(bins[d].finish()["correlation"].squeeze()))]


def fastica(examples: Examples) -> IndependentComponents:
    """Return independent components, as many as principal ones are removed."""
    return IndependentComponents(examples.modes)


def pca(examples: Examples) -> PrincipalComponents:
    """Return the principal components."""
    return PrincipalComponents(examples.basis, examples.modes)


def pca_transfer(examples: Examples) -> PrincipalComponents:
    """Return the principal components, with what they take of known signals put back."""
    scales = Scales(examples.sky)
    plain = PCA.fit(seen for seen, _, _ in examples.chunks())
    mocked = PCA.fit(seen + mock.values for seen, _, mock in examples.chunks())
    bins: Spectra = scales.spectra()["plane"]
    for seen, _, mock in examples.chunks():
        with_mock = mocked.clean(seen + mock.values, examples.modes)
        kept = with_mock - plain.clean(seen, examples.modes)
        bins.update(scales.box.transform(kept), scales.box.transform(mock))
    found = bins.finish()
    here = scales.perpendicular[1:] <= scales.signal_left[1]
    transfer = np.where(here[:, None], found["cross"] / found["power_true"], 1.0)
    return PrincipalComponents(examples.basis, examples.modes, scales, transfer)


#: Method → what fits it to examples; each has ``clean(observed)``.
RIVALS: dict[str, Callable[[Examples], LogPolynomial | IndependentComponents | PrincipalComponents]]
RIVALS = {
    "pca": pca,
    "pca_transfer": pca_transfer,
    "polynomial": polynomial,
    "fastica": fastica,
}
