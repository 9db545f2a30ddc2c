r"""Pulls: the differences of bins over their statistical error, and how they are spread.

For two samples of one distribution a pull is close to a standard normal variable. The pulls
of many bins, variables and labels, put into one histogram, therefore show at a glance
whether a model errs more than chance does: a width above 1 in all, tails from single bins,
a mean off zero where one side is always too high.

*What chance gives.* Counts of a sample of fixed size share its events: with p the
probability of a bin, pulls have the covariance δ − √(p p'), thus the width √(1−p) and not 1
(0.987 for 40 equal bins, less where one bin holds much). The expected width and the
scatter of mean and width given here follow from that.
"""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtr

from presage.labels import LabelError, nearest

#: Expected events of the smaller sample below which a bin's pull is not close to normal.
LOW_COUNT = 10
#: Bins of the histogram; the outermost take all that lies beyond.
BINS = 40


def clear_pulls(reference: xr.Dataset, other: xr.Dataset) -> xr.DataArray:
    """Return the pulls of bins with enough events, ``[label, variable, bin]``, NaN elsewhere.

    Parameters
    ----------
    reference, other
        ``counts[label, variable, bin]`` and ``events[label]``.
    """
    r, g = reference["counts"].astype(float), other["counts"].astype(float)
    m, n = reference["events"].astype(float), other["events"].astype(float)
    share = ((g + r) / (n + m)).where((g + r) * np.minimum(n, m) >= LOW_COUNT * (n + m))
    pull: xr.DataArray = (g / n - r / m) / (share * (1 / n + 1 / m)) ** 0.5
    return pull.transpose("label", "variable", "bin")


def pulls_by_chance(reference: xr.Dataset, n: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Return scatter of the mean and expected width of :func:`clear_pulls`, ``[label, variable]``.

    Parameters
    ----------
    reference
        As above: the distribution.
    n
        Events of the other sample ``[label]``.
    """
    p = _shares(reference, n)
    bins = p.count("bin")
    root = (p**0.5).sum("bin")
    mean = ((bins - root**2).clip(min=0.0)) ** 0.5 / bins.where(bins > 0)
    return mean, (1 - p).mean("bin") ** 0.5


def pull_histogram(
    product: xr.Dataset, source: str | None = None, reach: float | None = None
) -> xr.Dataset:
    """Return the pulls of all bins and labels as one histogram for each variable.

    Parameters
    ----------
    product
        Of :func:`presage.analysis.compare.compare`.
    source
        Whose pulls; by default the model's.
    reach
        The histogram goes from minus to plus this; by default 5, or so many times 5 as
        hold 95 % of the pulls.

    Returns
    -------
    xarray.Dataset
        ``pulls[variable, pull]``, their number in each bin of ``pull``, and
        ``expected[variable, pull]``, that of unit normal pulls; ``mean``, ``width``,
        ``mean_by_chance`` (its scatter), ``width_by_chance`` and ``width_scatter``,
        ``[variable]``, of all labels together. Those of each label are ``pull_mean`` and
        ``pull_width`` in `product`.

    Raises
    ------
    LabelError
        There is no such source, or it is an expectation without events.
    """
    source = source or str(product.attrs["model"])
    known = [str(name) for name in product["source"].values]
    if source not in known:
        raise LabelError(f"no source {source!r}{nearest(source, known)}")
    counted = product[["counts", "events"]]
    reference, other = (counted.sel(source=s, drop=True) for s in ("reference", source))
    if not int(other["events"].sum()):
        raise LabelError(f"{source!r} is an expectation, not a sample: it has no pulls")
    pulls = clear_pulls(reference, other).stack(place=("label", "bin"))
    number = pulls.count("place")
    edges = np.linspace(-1, 1, BINS + 1) * (reach or _reach(pulls.values))
    inside = pulls.values.clip(edges[0], edges[-1])
    rows = [np.histogram(x[np.isfinite(x)], edges)[0] for x in inside]
    normal = np.diff(ndtr(np.concatenate([[-np.inf], edges[1:-1], [np.inf]])))
    mean, width, scatter = _together(reference, other["events"])
    squares = (pulls**2).mean("place") - pulls.mean("place") ** 2
    found = xr.Dataset(
        {
            "pulls": (("variable", "pull"), np.array(rows)),
            "expected": number * xr.DataArray(normal, dims="pull"),
            "mean": pulls.mean("place"),
            "width": squares**0.5,
            "mean_by_chance": mean,
            "width_by_chance": width,
            "width_scatter": scatter,
        },
        coords={
            "pull": (
                "pull",
                (edges[1:] + edges[:-1]) / 2,
                {"long_name": f"pull of {source}", "units": "1"},
            )
        },
        attrs={"source": source, "low_count": LOW_COUNT, "reach": float(edges[-1])},
    )
    for name, text in _NAMES.items():
        found[name].attrs = {"long_name": text, "units": "1"}
    return found.assign_coords({n: product[n] for n in ("title", "unit") if n in product.coords})


_NAMES = {
    "pulls": "bins of such a pull",
    "expected": "bins of such a pull if pulls were unit normal",
    "mean": "mean pull",
    "width": "standard deviation of the pulls",
    "mean_by_chance": "standard deviation of the mean pull by chance",
    "width_by_chance": "expected standard deviation of the pulls by chance",
    "width_scatter": "standard deviation of the pulls' width by chance",
}


def _reach(pulls: NDArray[np.float64]) -> float:
    far = np.abs(pulls[np.isfinite(pulls)])
    return 5.0 * max(1.0, math.ceil(np.quantile(far, 0.95) / 5)) if len(far) else 5.0


def _shares(reference: xr.Dataset, n: xr.DataArray) -> xr.DataArray:
    """Probability of each bin, NaN where its pull is not taken."""
    m = reference["events"].astype(float)
    p = reference["counts"] / m
    return p.where(p * np.minimum(n, m) >= LOW_COUNT)


def _together(
    reference: xr.Dataset, n: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Scatter of the mean, width, and scatter of the width of all labels' pulls, ``[variable]``.

    Σ over pairs of bins of the squared covariance is Σ(1−p)² + (Σp)² − Σp².
    """
    p = _shares(reference, n)
    bins, total = p.count("bin"), p.count(("label", "bin"))
    mean = ((bins - (p**0.5).sum("bin") ** 2).clip(min=0.0)).sum("label") ** 0.5 / total
    width = (1 - p).mean(("label", "bin")) ** 0.5
    squares = ((1 - p) ** 2).sum("bin") + p.sum("bin") ** 2 - (p**2).sum("bin")
    return mean, width, math.sqrt(2) * squares.sum("label") ** 0.5 / total / (2 * width)
