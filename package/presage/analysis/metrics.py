"""The numbers that say how far generated events are from reference events at one label.

:func:`measure` compares the events themselves, :func:`binned` their histograms. Every
metric has an expectation for two samples of one distribution (:func:`chance` and
:func:`binned_chance`), by which a study without a second Monte Carlo sample can still say
where the floor is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from presage.analysis import distances
from presage.analysis.labelled import Floats

#: Metric → (dims after source and label, long name). The order is that of the product.
METRICS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "w1_over_std": (("variable",), "Wasserstein distance / standard deviation"),
    "w1_over_sigma68": (("variable",), "Wasserstein distance / half the 68 % interval"),
    "mean_shift": (("variable",), "shift of the trimmed mean / trimmed standard deviation"),
    "std_shift": (("variable",), "relative change of the trimmed standard deviation"),
    "cdf_error": (("variable", "quantile"), "CDF minus reference CDF at its quantiles"),
    "ks": (("variable",), "Kolmogorov-Smirnov distance"),
    "correlation_shift": (("pair",), "shift of the trimmed correlation"),
    "bin_difference": (("variable",), "mean absolute relative bin difference, noise included"),
    "bin_residual": (("variable",), "rms relative bin residual, noise subtracted, inner bins"),
    "bin_residual_outer": (("variable",), "rms relative bin residual, outermost bins"),
    "chi2_per_ndf": (("variable",), "chi-squared per degree of freedom"),
    "chi2_per_ndf_10k": (("variable",), "chi-squared per degree of freedom at 10 000 events each"),
    "equivalent_events": (("variable",), "Monte Carlo events of the same Wasserstein distance"),
    "auc": ((), "area under a classifier's ROC curve, held-out events"),
    "auc_error": ((), "standard error of the AUC"),
}


@dataclass(frozen=True)
class Sample:
    """Events of one label, sorted once per variable.

    Parameters
    ----------
    events
        Float64 ``[event, variable]``.
    """

    events: Floats

    def __len__(self) -> int:
        return len(self.events)

    @cached_property
    def columns(self) -> tuple[Floats, ...]:
        """Each variable's values in ascending order."""
        return tuple(np.sort(self.events, axis=0).T.copy())

    @cached_property
    def moments(self) -> Floats:
        """Mean and standard deviation of the inner 99 %, ``[2, variable]``."""
        inner = [distances.trimmed(column) for column in self.columns]
        return np.array([[x.mean() for x in inner], [x.std() for x in inner]])

    @cached_property
    def correlations(self) -> Floats:
        """Trimmed correlation of every pair of variables, ``[pair]``."""
        matrix = distances.correlation(self.events)
        pairs = combinations(range(self.events.shape[1]), 2)
        return np.array([matrix[pair] for pair in pairs])

    @cached_property
    def constants(self) -> Floats:
        """Constant of the W1 law for each variable."""
        return np.array([distances.wasserstein_constant(x) for x in self.columns])


def measure(reference: Sample, other: Sample) -> dict[str, Floats]:
    """Compare two samples of one label.

    Parameters
    ----------
    reference, other
        What is true, and what is judged; any sizes.

    Returns
    -------
    dict
        Metric → ``[variable]``, ``[variable, quantile]`` or ``[pair]``; NaN where a
        variable of the reference is constant.
    """
    pairs = list(zip(reference.columns, other.columns, strict=True))
    w1 = np.array([distances.wasserstein(a, b) for a, b in pairs])
    mean, width = reference.moments
    w1_over_std = _over(w1, np.array([a.std() for a, _ in pairs]))
    sizes = len(other), len(reference)
    return {
        "w1_over_std": w1_over_std,
        "w1_over_sigma68": _over(w1, np.array([distances.sigma68(a) for a, _ in pairs])),
        "mean_shift": _over(other.moments[0] - mean, width),
        "std_shift": _over(other.moments[1] - width, width),
        "cdf_error": np.array([distances.cdf_error(a, b) for a, b in pairs]),
        "ks": np.array([distances.kolmogorov(a, b) for a, b in pairs]),
        "correlation_shift": other.correlations - reference.correlations,
        "equivalent_events": np.array(
            [
                distances.equivalent_size(value, constant, *sizes)
                for value, constant in zip(w1_over_std, reference.constants, strict=True)
            ]
        ),
    }


def chance(reference: Sample, n: int) -> dict[str, Floats]:
    """Return what :func:`measure` gives on average for `n` events of the same distribution.

    Signed metrics are given as expected absolute values.
    """
    m = len(reference)
    laws = [distances.expected(column, n, m) for column in reference.columns]
    result = {name: np.array([law[name] for law in laws]) for name in laws[0]}
    spread = math.sqrt(2 / math.pi * (1 / n + 1 / m))
    result["correlation_shift"] = spread * (1 - reference.correlations**2)
    result["equivalent_events"] = np.full(len(laws), float(n))
    return result


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
        ``bin_difference``, ``bin_residual``, ``bin_residual_outer``, ``chi2_per_ndf`` and
        ``chi2_per_ndf_10k``, ``[label, variable]``. The residuals are
        √max(0, mean r² − mean Var r) over the bins, weighted by the reference's events: the
        rms relative density error as events see it. Unweighted, the emptiest bins would
        drown the others in noise.
    """
    r, g = reference["counts"].astype(float), other["counts"].astype(float)
    m, n = reference["events"].astype(float), other["events"].astype(float)
    seen = r.where(r > 0)
    ratio = (g / n) / (seen / m)
    variance = ratio**2 * ((1 / g.where(g > 0)).fillna(0.0) + 1 / seen)
    excess = (ratio - 1) ** 2 - variance
    outer = outermost(r.sizes["bin"])
    chi2 = _chi2(reference, other)
    reach = n * m / (n + m)
    return xr.Dataset(
        {
            "bin_difference": abs(ratio - 1).weighted(r).mean("bin"),
            "bin_residual": _sqrt(excess.weighted(r * ~outer).mean("bin")),
            "bin_residual_outer": _sqrt(excess.weighted(r * outer).mean("bin")),
            "chi2_per_ndf": chi2,
            "chi2_per_ndf_10k": 1 + (chi2 - 1) * 5000 / reach,
        }
    )


def binned_chance(reference: xr.Dataset, n: xr.DataArray) -> xr.Dataset:
    """Return what :func:`binned` gives on average for `n` events ``[label]`` by chance."""
    r, m = reference["counts"].astype(float), reference["events"].astype(float)
    outer = outermost(r.sizes["bin"])

    def residual(chosen: xr.DataArray) -> xr.DataArray:
        # Each bin adds noise (1 + m/n) / Σr of relative width √2 to the weighted mean, and
        # E√max(0, Z) = 0.411 √σ for Z normal of width σ.
        counts = r * chosen
        noise = _sqrt(2 * (counts > 0).sum("bin")) * (1 + m / n) / counts.sum("bin")
        return 0.411 * _sqrt(noise)

    one = xr.ones_like(r.isel(bin=0, drop=True))
    width = _sqrt((1 + m / n) / r.where(r > 0))
    return xr.Dataset(
        {
            "bin_difference": math.sqrt(2 / math.pi) * width.weighted(r).mean("bin"),
            "bin_residual": residual(~outer),
            "bin_residual_outer": residual(outer),
            "chi2_per_ndf": one,
            "chi2_per_ndf_10k": one,
        }
    )


def outermost(bins: int) -> xr.DataArray:
    """Return which bins are the first and the last, ``[bin]``."""
    number = np.arange(bins)
    return xr.DataArray((number == 0) | (number == bins - 1), dims="bin")


def _chi2(reference: xr.Dataset, other: xr.Dataset) -> xr.DataArray:
    """Two-sample chi-squared per degree of freedom, the overflows as two more bins."""
    r, g = (_all_bins(sample) for sample in (reference, other))
    m, n = reference["events"].astype(float), other["events"].astype(float)
    total = (r + g).where(r + g > 0)
    terms = (_sqrt(n / m) * r - _sqrt(m / n) * g) ** 2 / total
    ndf = terms.count("bin") - 1
    return (terms.sum("bin") / ndf.where(ndf > 0)).transpose("label", "variable")


def _all_bins(sample: xr.Dataset) -> xr.DataArray:
    parts = [sample["counts"], sample["underflow"], sample["overflow"]]
    return xr.concat(parts, dim="bin", coords="minimal", compat="override").astype(float)


def _sqrt(value: xr.DataArray) -> xr.DataArray:
    root: xr.DataArray = np.sqrt(value.clip(min=0.0))  # type: ignore[assignment]
    return root


def _over(value: NDArray[Any], width: NDArray[Any]) -> Floats:
    over: Floats = np.divide(value, width, out=np.full(len(value), np.nan), where=width > 0)
    return over
