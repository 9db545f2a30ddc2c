"""What is worked out of counted bins: densities, pulls, ratios, their errors, what chance gives.

Everything that shows bins reads these numbers and defines none: the residuals product holds
them, figures and tables and the dashboard draw them.

A *pull* is the difference of two shares over its error were both samples one distribution.
With g of n events in a bin and r of m in the other sample's, q = (g + r)/(n + m) is their
common share, and the pull (g/n − r/m)/√(q (1/n + 1/m)). Each sample's own counts would give an
empty bin of the smaller sample no error, and the larger a huge pull. Events with weights give
their share the variance Σw² / (Σw)² instead, which may go with the bin as weights do.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

#: Events that the smaller sample is expected to have in a bin, or a cell, that is judged.
FEW, FEW_2D = 10, 5
#: What is counted; with weights, the variances as well.
COUNTED = (
    *(f"{n}{s}" for n in ("counts", "underflow", "overflow") for s in ("", "_variance")),
    "events",
    "sum_of_weights",
)
#: Bins, in each direction, that say how weights vary.
_AROUND = 5
_ORDER = ("source", "label", "variable", "bin")
_ORDER_2D = ("source", "label", "pair", "bin_x", "bin_y")
#: Name → what it is.
STATISTICS = {
    "bin_density": "density of the events",
    "bin_density_error": "statistical error of the density",
    "bin_pull": "difference to the other sample / statistical error",
    "bin_ratio": "ratio to the other sample, minus 1",
    "bin_ratio_error": "statistical error of the ratio",
    "bin_ratio_floor": "statistical error of the ratio of two samples of one distribution",
    "bin_few": "too few events to judge",
    "pull_2d": "pull of cells with enough events",
}


def bin_statistics(
    histograms: xr.Dataset, against: str | None = "reference", *, joint: bool = True
) -> xr.Dataset:
    """Return what follows from the counts of several samples.

    Parameters
    ----------
    histograms
        ``counts[source, label, variable, bin]``, ``events[source, label]``,
        ``edges[label, variable, edge]`` and, where there are pairs,
        ``counts_2d[source, label, pair, bin_x, bin_y]``.
    against
        The source that all are held against; None: nothing, only densities are returned.
    joint
        Whether cells are wanted.

    Returns
    -------
    xarray.Dataset
        ``bin_density``, ``bin_density_error`` (in 1 / unit of the variable), ``bin_pull``,
        ``bin_ratio`` (minus 1), ``bin_ratio_error``, ``bin_ratio_floor`` (that of two samples of
        one distribution), ``[source, label, variable, bin]``, NaN where they are not defined;
        ``bin_few``, where the smaller sample is expected to have fewer than :data:`FEW` events;
        ``pull_2d``
        ``[source, label, pair, bin_x, bin_y]``, NaN where it would have fewer than
        :data:`FEW_2D`. All float32 but for ``bin_few``.
    """
    counts, events = histograms["counts"].astype(float), histograms["events"].astype(float)
    per = events.where(events > 0) * histograms["edges"].diff("edge").rename(edge="bin")
    spread = variance_of(histograms, "counts")
    found = {"bin_density": counts / per, "bin_density_error": spread**0.5 / per}
    if against is not None:
        base = histograms.drop_vars("edges").sel(source=against, drop=True)
        r, m = base["counts"].astype(float), base["events"].astype(float)
        n, others = events.where(events > 0), histograms["source"] != against
        share = r.where(r > 0) / m
        own = variance_of(base, "counts")
        variance = spread / n**2 + own / m**2
        found |= {
            "bin_pull": pull_of(base, histograms).where(others),
            "bin_ratio": (counts / n / share - 1).where(others),
            "bin_ratio_error": (variance**0.5 / share).where(others),
            "bin_ratio_floor": ratio_floor(base, n).where(others),
            "bin_few": ~enough(base, histograms),
        }
        if joint and histograms.sizes.get("pair"):
            # One source at a time: cells are many.
            cells = [
                pull_of(base, histograms.sel(source=[name]), "counts_2d", FEW_2D).astype("f4")
                for name in histograms["source"].values
            ]
            found["pull_2d"] = xr.concat(cells, dim="source").where(others)
    return xr.Dataset(
        {
            name: array.transpose(*(_ORDER_2D if name == "pull_2d" else _ORDER))
            .astype(array.dtype if name == "bin_few" else np.float32)
            .assign_attrs(long_name=STATISTICS[name], units="1")
            for name, array in found.items()
        }
    ).assign_attrs(few_events=FEW, few_events_2d=FEW_2D)


def variance_of(sample: xr.Dataset, counts: str) -> xr.DataArray:
    """Return the variance of counts: of events without weights the counts."""
    found = sample.get(f"{counts}_variance")
    return sample[counts].astype(float) if found is None else found.astype(float)


def ratio_floor(reference: xr.Dataset, n: xr.DataArray) -> xr.DataArray:
    """Return the error of the ratio to a reference's bins, of `n` events of its distribution."""
    r, m = reference["counts"].astype(float), reference["events"].astype(float)
    seen = r.where(r > 0)
    if has_weights(reference):
        found: xr.DataArray = ((variance_of(reference, "counts") / seen + m / n) / seen) ** 0.5
        return found
    plain: xr.DataArray = ((1 + m / n) / seen) ** 0.5
    return plain


def variance_of_share(sample: xr.Dataset, counts: str, share: xr.DataArray) -> xr.DataArray:
    """Return the variance of a sample's share of the events, were `share` the true one.

    Of weights, how Σw² goes with the share is taken from a few bins around: a bin's own fluctuates
    with what is in it, and pulls would lean to one side.
    """
    events, found = sample["events"].astype(float), sample.get(f"{counts}_variance")
    if found is None:
        return share / events
    found, content = found.astype(float), sample[counts].astype(float)
    around = {str(dim): _AROUND for dim in found.dims if str(dim).startswith("bin")}
    near, expected = (
        a.rolling(around, center=True, min_periods=1).sum() for a in (found, share * events)
    )
    # A few events around say little of it, and none nothing: then it is that of all, 1.
    shrunk = (near + FEW) / (expected + FEW)
    spread = (near / expected).where(expected > 0, 1.0)
    spread = spread.where(spread > shrunk, shrunk)
    alike = (abs(found - content) <= 1e-6 * content).all(list(around))  # one weight for all
    variance: xr.DataArray = share / events * spread.where(~alike, 1.0)
    return variance


def has_weights(*samples: xr.Dataset) -> bool:
    """Return whether some of these histograms hold sums of weights."""
    return any("sum_of_weights" in sample for sample in samples)


def counted(product: xr.Dataset) -> xr.Dataset:
    """Return what was counted in bins, and the numbers of events."""
    return product[[name for name in COUNTED if name in product]]


def enough(
    one: xr.Dataset, other: xr.Dataset, counts: str = "counts", least: float = FEW
) -> xr.DataArray:
    """Return in which bins the smaller of two samples is expected to have `least` events.

    Of events with weights, so many effective ones: what has no larger relative error than they.
    """
    if has_weights(one, other):
        share = _common_share(one, other, counts)
        worst = np.maximum(
            variance_of_share(one, counts, share), variance_of_share(other, counts, share)
        )
        clear: xr.DataArray = (share > 0) & (share**2 >= least * worst)
        return clear
    total = one[counts].astype(float) + other[counts]
    m, n = (sample["events"].astype(float) for sample in (one, other))
    found: xr.DataArray = total * np.minimum(n, m) >= least * (n + m)
    return found


def pull_of(
    one: xr.Dataset, other: xr.Dataset, counts: str = "counts", least: float = 0
) -> xr.DataArray:
    """Return the pulls of the `other` sample's bins, NaN where :func:`enough` says no.

    Both hold `counts` and ``events``; one of them may have the dimension ``source`` besides.
    """
    r, g = (sample[counts].astype(float) for sample in (one, other))
    m, n = (sample["events"].astype(float) for sample in (one, other))
    judged = enough(one, other, counts, least) & (g + r > 0)
    if has_weights(one, other):
        share = _common_share(one, other, counts)
        variance = variance_of_share(one, counts, share) + variance_of_share(other, counts, share)
        weighted: xr.DataArray = (g / n - r / m) / variance.where(judged) ** 0.5
        return weighted
    share = ((g + r) / (n + m)).where(judged)
    pull: xr.DataArray = (g / n - r / m) / (share * (1 / n + 1 / m)) ** 0.5
    return pull


def _common_share(one: xr.Dataset, other: xr.Dataset, counts: str) -> xr.DataArray:
    total = one[counts].astype(float) + other[counts]
    share: xr.DataArray = total / (one["events"] + other["events"])
    return share
