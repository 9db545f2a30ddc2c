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

from presage.analysis.bin_statistics import (
    FEW,
    counted,
    has_weights,
    pull_of,
    variance_of_share,
)
from presage.analysis.labelled import Floats
from presage.labels import LabelError, check_name, unitless

#: Bins of the histogram; the outermost take all that lies beyond.
BINS = 40
#: Step of pulls that may take any value: as good as none.
_NO_STEP = 1e-6


def clear_pulls(reference: xr.Dataset, other: xr.Dataset) -> xr.DataArray:
    """Return :func:`pull_of` bins with enough events, ``[label, variable, bin]``, NaN elsewhere."""
    return pull_of(reference, other, least=FEW).transpose("label", "variable", "bin")


def pulls_by_chance(
    reference: xr.Dataset, n: xr.DataArray, over: tuple[str, ...] = ("bin",)
) -> xr.Dataset:
    """Return what chance gives of mean and width of :func:`clear_pulls` of `n` events ``[label]``.

    Put together are the pulls `over` the bins of each label, or over ``("label", "bin")``.

    Returns
    -------
    xarray.Dataset
        ``mean``, the scatter of the mean, which is 0 on average; ``width``, the expected rms,
        and ``scatter``, the standard deviation of that.

    Notes
    -----
    Σ over pairs of bins of the covariance is B − (Σ√p)², that of its square
    Σ(1−p)² + (Σp)² − Σp².
    """
    p = shares(reference, n)
    labels, number = [dim for dim in over if dim != "bin"], p.count(over)
    number = number.where(number > 0)
    mean = (p.count("bin") - (p**0.5).sum("bin") ** 2).clip(min=0.0).sum(labels) ** 0.5 / number
    width = (1 - p).mean(over) ** 0.5
    squares = (((1 - p) ** 2).sum("bin") + p.sum("bin") ** 2 - (p**2).sum("bin")).sum(labels)
    scatter = (2 * squares) ** 0.5 / number / (2 * width.where(width > 0))
    moments = {"mean": mean, "width": width, "scatter": scatter}
    return xr.Dataset({k: v.reset_coords(drop=True) for k, v in moments.items()})


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
        ``pulls[variable, pull]``, their number in each bin of ``pull`` (each spread over
        the step between the values that whole counts allow), and
        ``expected[variable, pull]``, that of unit normal pulls; ``mean``, ``width``,
        ``mean_by_chance`` (its scatter), ``width_by_chance`` and ``width_scatter``,
        ``[variable]``, of all labels together. Those of each label are ``pull_mean`` and
        ``pull_width`` in `product`.
    """
    source = source or str(product.attrs["model"])
    known = [str(name) for name in product["source"].values]
    check_name("source", source, known)
    bins = counted(product)
    reference, other = (bins.sel(source=s, drop=True) for s in ("reference", source))
    if not float(other["events"].sum()):
        raise LabelError(f"{source!r} is an expectation, not a sample: it has no pulls")
    place = ("label", "bin")
    pulls = clear_pulls(reference, other)
    number = pulls.count(place)
    edges = np.linspace(-1, 1, BINS + 1) * (reach or _reach(pulls.values))
    rows = _spread(pulls, _step(reference, other), edges)
    normal = np.diff(ndtr(np.concatenate([[-np.inf], edges[1:-1], [np.inf]])))
    law = pulls_by_chance(reference, other["events"], place)
    squares = (pulls**2).mean(place) - pulls.mean(place) ** 2
    found = xr.Dataset(
        {
            "pulls": (("variable", "pull"), rows),
            "expected": number * xr.DataArray(normal, dims="pull"),
            "mean": pulls.mean(place),
            "width": squares**0.5,
            "mean_by_chance": law["mean"],
            "width_by_chance": law["width"],
            "width_scatter": law["scatter"],
        },
        coords={
            "pull": (
                "pull",
                (edges[1:] + edges[:-1]) / 2,
                unitless(f"pull of {source}"),
            )
        },
        attrs={"source": source, "few_events": FEW, "reach": float(edges[-1])},
    )
    for name, text in _NAMES.items():
        found[name].attrs = unitless(text)
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


def _step(reference: xr.Dataset, other: xr.Dataset) -> xr.DataArray:
    """Return how far apart the values are that a bin's pull can take.

    Counts are whole: g/n − r/m is a multiple of gcd(n, m)/(nm). Sums of weights may take any value.
    """
    if has_weights(reference, other):
        return xr.full_like(reference["counts"], _NO_STEP, dtype=float)
    m, n = reference["events"], other["events"]
    total = (reference["counts"] + other["counts"]).transpose("label", "variable", "bin")
    variance = total.where(total > 0) / (n * m).astype(float)
    step: xr.DataArray = xr.apply_ufunc(np.gcd, n, m) / (n * m).astype(float) / variance**0.5
    return step


def _spread(pulls: xr.DataArray, step: xr.DataArray, edges: Floats) -> Floats:
    """Count pulls ``[variable, pull]``, each over the step that it stands for.

    Where both samples are of one size, one bin in ten or so has a pull of exactly 0. Counted
    as points these would make a peak at one side of 0 and a gap at the other.
    """
    inner = edges[1:-1]
    rows = []
    for variable in pulls["variable"].values:
        chosen = (array.sel(variable=variable).values.ravel() for array in (pulls, step))
        pull, wide = next(chosen), next(chosen)
        known = np.isfinite(pull)
        below = ((inner[:, None] - pull[known]) / wide[known] + 0.5).clip(0, 1).sum(axis=1)
        rows.append(np.diff(np.concatenate([[0.0], below, [known.sum()]])))
    return np.array(rows)


def shares(reference: xr.Dataset, n: xr.DataArray) -> xr.DataArray:
    """Probability of each bin, NaN where its pull is not taken."""
    m = reference["events"].astype(float)
    p = reference["counts"] / m
    if has_weights(reference):
        worst = np.maximum(p / n, variance_of_share(reference, "counts", p))
        return p.where((p > 0) & (p**2 >= FEW * worst))
    return p.where(p * np.minimum(n, m) >= FEW)
