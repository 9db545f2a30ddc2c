"""The metrics of histograms that share their edges, and what chance alone gives of each."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import xarray as xr
from scipy.special import gammaln

from presage.analysis.bin_statistics import enough, has_weights, pull_of, ratio_floor, variance_of
from presage.analysis.distances import HALF_NORMAL
from presage.analysis.pull_histogram import clear_pulls, pulls_by_chance, shares


def binned(reference: xr.Dataset, other: xr.Dataset) -> xr.Dataset:
    """Compare histograms that share their edges.

    Parameters
    ----------
    reference, other
        ``counts[label, variable, bin]``, ``underflow`` and ``overflow[label, variable]`` and
        ``events[label]``, any order of dims.

    Returns
    -------
    xarray.Dataset
        ``bin_difference``, ``bin_residual``, ``bin_residual_outer``, ``chi2_per_ndf``,
        ``chi2_per_ndf_10k``, ``pull_mean`` and ``pull_width``, ``[label, variable]``. The
        residuals are √max(0, mean r² − mean Var r) over the bins, weighted by their events:
        the rms relative density error as events see it. Unweighted, the emptiest bins would
        drown the others in noise. ``chi2_per_ndf_10k`` is what the excess of χ²/ndf over 1
        would be in samples of 10 000 events, and 1 where there is none: subtracted from small
        samples, noise would make it negative. Of pulls, those of
        :func:`presage.analysis.pull_histogram.clear_pulls` are taken.

    Notes
    -----
    With q the share of a bin in both samples together, r² − Var r is taken as
    ((g/n − r/m)² − (1 − q)(g/n² + r/m²))/q²: its mean is zero for equal distributions
    however few events there are, where a variance from the ratio would be biased.
    """
    r, g = reference["counts"].astype(float), other["counts"].astype(float)
    m, n = reference["events"].astype(float), other["events"].astype(float)
    seen = r.where(r > 0)
    ratio = (g / n) / (seen / m)
    share = (g + r) / (n + m)
    own, others = (variance_of(sample, "counts") for sample in (reference, other))
    noise = (others / n**2 + own / m**2) * (1 - share)
    excess = ((g / n - r / m) ** 2 - noise) / share.where(share > 0) ** 2
    if has_weights(reference, other):  # where their sum may be nothing, there is no ratio
        excess = excess.where(enough(reference, other))
    outer = outermost(r.sizes["bin"])
    chi2 = _chi2(reference, other)
    pulls = clear_pulls(reference, other)
    return xr.Dataset(
        {
            "bin_difference": abs(ratio - 1).weighted(r).mean("bin"),
            "bin_residual": _sqrt(excess.weighted(share * ~outer).mean("bin")),
            "bin_residual_outer": _sqrt(excess.weighted(share * outer).mean("bin")),
            "chi2_per_ndf": chi2,
            "chi2_per_ndf_10k": 1 + (chi2 - 1).clip(min=0.0) * 5000 / (n * m / (n + m)),
            "pull_mean": pulls.mean("bin"),
            "pull_width": _sqrt((pulls**2).mean("bin")),
        }
    )


def binned_chance(reference: xr.Dataset, n: xr.DataArray) -> xr.Dataset:
    """Return what :func:`binned` gives on average for `n` events ``[label]`` by chance."""
    r, m = reference["counts"].astype(float), reference["events"].astype(float)
    outer = outermost(r.sizes["bin"])
    spread = variance_of(reference, "counts") / r.where(r > 0)  # of a bin's weights; 1 without
    seen = r.where(shares(reference, n).notnull()) if has_weights(reference) else r

    def residual(which: xr.DataArray) -> xr.DataArray:
        # A bin of T events adds noise (1/n + 1/m) √2 √(1 − 1/T) to the weighted mean.
        counts = seen * which
        events = counts * (1 + n / m)
        bins = (1 - 1 / events.where(events > 1)).sum("bin")
        noise = _sqrt(2 * bins) * (1 / n + 1 / m) / (counts.sum("bin") / m)
        if has_weights(reference):
            each = (1 / n + spread / m) ** 2 * (1 - 1 / events.where(events > 1))
            noise = _sqrt(2 * each.sum("bin")) / (counts.sum("bin") / m)
        noise = noise.where(counts.sum("bin") > 0)
        factor: xr.DataArray = xr.apply_ufunc(_root_of_excess, bins, vectorize=True)
        return factor * _sqrt(noise)

    one = xr.ones_like(r.isel(bin=0, drop=True))
    width = ratio_floor(reference, n)
    pulls = pulls_by_chance(reference, n)
    total = _all_bins(reference).where(lambda counts: counts > 0)
    excess = xr.apply_ufunc(_excess, total.count("bin") - 1, vectorize=True)
    return xr.Dataset(
        {
            "bin_difference": HALF_NORMAL * width.weighted(r).mean("bin"),
            "bin_residual": residual(~outer),
            "bin_residual_outer": residual(outer),
            "chi2_per_ndf": one,
            "chi2_per_ndf_10k": 1 + excess * 5000 * (1 / n + 1 / m),
            "pull_mean": HALF_NORMAL * pulls["mean"],
            "pull_width": pulls["width"],
        }
    )


def outermost(bins: int) -> xr.DataArray:
    """Return which bins are the first and the last, ``[bin]``."""
    number = np.arange(bins)
    return xr.DataArray((number == 0) | (number == bins - 1), dims="bin")


def _chi2(reference: xr.Dataset, other: xr.Dataset) -> xr.DataArray:
    """Two-sample chi-squared per degree of freedom, the overflows as two more bins."""
    if has_weights(reference, other):
        pulls = pull_of(_with_all_bins(reference), _with_all_bins(other))
        ndf = pulls.count("bin") - 1
        return ((pulls**2).sum("bin") / ndf.where(ndf > 0)).transpose("label", "variable")
    r, g = (_all_bins(sample) for sample in (reference, other))
    m, n = reference["events"].astype(float), other["events"].astype(float)
    total = (r + g).where(r + g > 0)
    terms = (_sqrt(n / m) * r - _sqrt(m / n) * g) ** 2 / total
    ndf = terms.count("bin") - 1
    return (terms.sum("bin") / ndf.where(ndf > 0)).transpose("label", "variable")


def _with_all_bins(sample: xr.Dataset) -> xr.Dataset:
    found = {f"counts{suffix}": _all_bins(sample, suffix) for suffix in ("", "_variance")}
    return xr.Dataset({**found, **sample[["events", "sum_of_weights"]]})


def _all_bins(sample: xr.Dataset, suffix: str = "") -> xr.DataArray:
    parts = [sample[f"{name}{suffix}"] for name in ("counts", "underflow", "overflow")]
    return xr.concat(parts, dim="bin", coords="minimal", compat="override").astype(float)


@cache
def _excess(ndf: float) -> float:
    """E max(0, χ²/ndf − 1): half the mean absolute deviation of a gamma distribution."""
    half = ndf / 2
    return math.exp(half * math.log(half) - half - math.lgamma(half + 1)) if ndf > 0 else 0.0


@cache
def _root_of_excess(bins: float) -> float:
    """E√max(0, Z), Z a χ² of `bins` degrees, standardised: 0.33 for two, 0.41 for many."""
    if bins <= 0:
        return 0.0
    x = np.linspace(bins, bins + 12 * math.sqrt(2 * bins) + 12, 2001)
    density = np.exp((bins / 2 - 1) * np.log(x / 2) - x / 2 - gammaln(bins / 2)) / 2
    height = np.sqrt((x - bins) / math.sqrt(2 * bins)) * density
    return float(np.trapezoid(height, x))


def _sqrt(value: xr.DataArray) -> xr.DataArray:
    root: xr.DataArray = np.sqrt(value.clip(min=0.0))  # type: ignore[assignment]
    return root
