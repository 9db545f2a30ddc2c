"""The calibration product: ranks, their distribution functions with bands, coverage, efficiency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import binom

from presage.labels import LabelError, nearest
from presage.studies.pdf.posterior_parts import about
from presage.studies.pdf.problem import Problem

Floats = NDArray[np.float64]

#: What may be given, with its dims.
CHECKS = {
    "rank": ("observation", "quantity"),
    "coverage": ("quantity", "level"),
    "expected_coverage": ("credibility",),
    "ecdf_low": ("fraction",),
    "ecdf_high": ("fraction",),
    "efficiency": ("observation",),
    "pareto_k": ("observation",),
    "c2st": ("observation",),
    "p_value": ("observation", "statistic"),
}
#: Masses of the central intervals whose coverage is counted.
LEVELS = (0.5, 0.68, 0.9, 0.95)
#: Steps at which distribution functions of ranks are compared with the uniform one.
_STEPS = 100
#: Largest difference of a distribution function of n values from the true one, times sqrt(n),
#: which chance exceeds in one of twenty cases (Kolmogorov).
KOLMOGOROV = 1.358


def calibration_product(
    problem: Problem, checks: xr.Dataset, attributes: Mapping[str, Any] | None = None
) -> xr.Dataset:
    """Return everything that is shown of a calibration.

    Parameters
    ----------
    problem
        What it is about.
    checks
        ``rank`` ``[observation, quantity]``, how many of ``attrs["draw_count"]`` draws are
        below the truth, and any of ``expected_coverage`` ``[credibility]`` (TARP, with the
        coordinate ``credibility``), ``efficiency``, ``pareto_k``, ``c2st`` ``[observation]``,
        ``p_value`` ``[observation, statistic]``, ``coverage`` ``[quantity, level]``,
        ``ecdf_low``, ``ecdf_high`` ``[fraction]``. The last three follow from the ranks
        where they are not given.
    attributes
        Kept with the product: ``n_events``, ``kind`` ("estimate"), keys of the fits.

    Returns
    -------
    xarray.Dataset
        The checks, ``ecdf_difference`` ``[quantity, fraction]`` with the band that all of a
        calibrated quantity's curve stays in, 95 times of 100, and ``coverage_error``.

    Raises
    ------
    LabelError
        Something unknown, no ranks, or ranks beyond the number of draws.
    """
    for name in map(str, checks.data_vars):
        if name not in CHECKS:
            raise LabelError(f"no check {name!r}{nearest(name, CHECKS)}")
    if "rank" not in checks:
        raise LabelError("a calibration needs ranks: rank [observation, quantity]")
    given = {n: checks[n].transpose(*CHECKS[str(n)]) for n in checks.data_vars}
    rank, count = given["rank"], _draw_count(checks)
    if not 0 <= int(rank.min()) <= int(rank.max()) <= count:
        raise LabelError(f"ranks go from 0 to {count}, got {int(rank.min())} to {int(rank.max())}")
    product = xr.Dataset({**_ecdf(rank, count, given), **_coverage(rank, count, given), **given})
    number = rank.sizes["observation"]
    attrs = {"problem": problem.name, "draw_count": count, "observations": number,
             "n_events": problem.n_events, "kind": "estimate",
             "tarp_bound": KOLMOGOROV / np.sqrt(number), **dict(attributes or {})}  # fmt: skip
    return product.assign_attrs(attrs)


def _draw_count(checks: xr.Dataset) -> int:
    count = checks["rank"].attrs.get("draw_count", checks.attrs.get("draw_count"))
    if count is None:
        raise LabelError("ranks need attrs['draw_count']: among how many draws they are")
    return int(count)


def _ecdf(rank: xr.DataArray, count: int, given: Mapping[Any, xr.DataArray]) -> dict[str, Any]:
    """Return the share of ranks below each of some ranks, minus what uniform ones have."""
    edges = np.unique(np.linspace(0, count + 1, _STEPS + 1).round().astype(int))
    if "ecdf_low" in given:
        edges = (given["ecdf_low"]["fraction"].values * (count + 1)).round().astype(int)
    steps = edges / (count + 1)  # exactly: ranks have count + 1 values
    ordered = np.sort(rank.values, axis=0)
    below = np.stack([np.searchsorted(column, edges, side="left") for column in ordered.T])
    fraction = xr.DataArray(steps, dims="fraction", attrs=about("rank over number of draws"))
    found = {
        "ecdf_difference": xr.DataArray(
            below / len(ordered) - steps,
            coords={"quantity": rank["quantity"], "fraction": fraction},
            attrs=about("distribution function of the ranks - uniform"),
        )
    }
    if "ecdf_low" in given:
        return found
    low, high = simultaneous_band(len(ordered), steps)
    for name, edge in (("ecdf_low", low), ("ecdf_high", high)):
        found[name] = xr.DataArray(
            edge, coords={"fraction": fraction}, attrs=about("95 % simultaneous band")
        )
    return found


def simultaneous_band(
    number: int, steps: Floats, mass: float = 0.95, trials: int = 4000
) -> tuple[Floats, Floats]:
    """Return the band that the ECDF difference of uniform values stays in as a whole.

    Parameters
    ----------
    number
        Values of which the distribution function is.
    steps
        Where it is looked at, ``(S,)`` ascending in [0, 1].
    mass
        Probability to stay inside everywhere.
    trials
        Simulated sets, with a fixed seed.

    References
    ----------
    T. Säilynoja, P.-C. Bürkner, A. Vehtari, Stat. Comput. 32 (2022) 32, sec. 2.2.
    """
    rng = np.random.default_rng(0)
    share = np.diff(np.concatenate([[0.0], steps, [1.0]]))
    counts = rng.multinomial(number, share / share.sum(), trials)[:, :-1].cumsum(axis=1)
    tail = np.minimum(binom.cdf(counts, number, steps), binom.sf(counts - 1, number, steps))
    gamma = float(np.quantile(2 * tail.min(axis=1), 1 - mass))
    low, high = (binom.ppf(q, number, steps) / number - steps for q in (gamma / 2, 1 - gamma / 2))
    return low, high


def _coverage(rank: xr.DataArray, count: int, given: Mapping[Any, xr.DataArray]) -> dict[str, Any]:
    """Return the share of truths inside central intervals, with its binomial error."""
    if "coverage" in given:
        coverage = given["coverage"]
    else:
        level = xr.DataArray(list(LEVELS), dims="level", attrs=about("mass of the interval"))
        level = level.assign_coords(level=level)
        # A rank stands for the interval between two draws; it counts by its share inside.
        start, end = (1 - level) / 2 * (count + 1), (1 + level) / 2 * (count + 1)
        upper = xr.where(rank + 1 < end, rank + 1, end)
        lower = xr.where(rank > start, rank, start)
        coverage = (upper - lower).clip(0, 1).mean("observation").transpose("quantity", "level")
    expected = coverage["level"]
    error = (expected * (1 - expected) / rank.sizes["observation"]) ** 0.5
    return {
        "coverage": coverage.assign_attrs(about("share of truths inside the central interval")),
        "coverage_error": error.assign_attrs(about("standard error of a calibrated coverage")),
    }
