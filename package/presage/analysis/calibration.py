r"""Is a posterior as sure as it may be? Ranks of the truth among draws, for many observations.

Where theta comes from the prior and the observation from theta, the truth is one more draw of
the exact posterior: its rank among D draws, in any function of theta, is uniform on 0 … D
(simulation-based calibration, Talts et al. 2018, arXiv:1804.06788). A posterior that equals
the prior passes that in theta; it fails in the log-likelihood, which looks at the data
(Modrák et al. 2023, arXiv:2211.02383). Distribution functions of ranks are held against bands
that all of a calibrated one stays in (Säilynoja et al. 2022, arXiv:2103.10522), distances from
random points give one more test over all parameters (TARP, Lemos et al. 2023,
arXiv:2302.03026), and the coverage of intervals has binomial errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from scipy.special import bdtr

from presage.analysis.ranking import places as places
from presage.analysis.ranking import ranks as ranks
from presage.analysis.tarp import tarp as tarp
from presage.analysis.uniformity import ecdf_bands as ecdf_bands
from presage.analysis.uniformity import uniformity as uniformity
from presage.labels import Floats, unitless

#: Coverage that is looked at.
LEVELS = (0.68, 0.95)


def coverage(
    place: xr.DataArray,
    levels: Sequence[float] = LEVELS,
    *,
    upper: Sequence[str] = (),
    family: float = 0.95,
) -> xr.Dataset:
    """Return how often the truth lies in intervals of given probability.

    Parameters
    ----------
    place
        ``[observation, quantity]`` of :func:`places`.
    levels
        Probabilities of the intervals.
    upper
        Quantities of which the uppermost values count instead of the central ones. For the
        posterior's density that is the region of highest density, in all parameters.
    family
        Probability that *all* coverages of a calibrated posterior stay inside their limits
        (Šidák's correction for the number of tests).

    Returns
    -------
    xarray.Dataset
        ``coverage``, ``coverage_error`` (binomial, at the nominal level), ``coverage_low``
        and ``coverage_high`` (binomial limits), ``[quantity, level]``.
    """
    asked = np.asarray(levels, dtype=float)
    names = [str(q) for q in place["quantity"].values]
    one_sided = np.array([name in upper for name in names])
    values = place.transpose("quantity", ...).values
    depth = np.where(one_sided[:, None], 1 - values, 2 * np.abs(values - 0.5))
    count = values.shape[1]
    share = (depth[:, :, None] <= asked).mean(axis=1)
    tail = (1 - family ** (1 / max(share.size, 1))) / 2
    low, high = _binomial_limits(count, asked, tail)
    columns = {
        "coverage": (share, "share of truths inside"),
        "coverage_error": (np.sqrt(asked * (1 - asked) / count), "binomial error"),
        "coverage_low": (low, "least that chance allows"),
        "coverage_high": (high, "most that chance allows"),
    }
    return xr.Dataset(
        {
            n: (
                ("quantity", "level"),
                np.broadcast_to(v, share.shape),
                unitless(w),
            )
            for n, (v, w) in columns.items()
        },
        coords={"quantity": place["quantity"], "level": asked},
        attrs={"family": family, "observations": count},
    )


def calibration(
    truth: Mapping[str, xr.DataArray],
    draws: Mapping[str, xr.DataArray],
    *,
    upper: Sequence[str] = (),
    levels: Sequence[float] = LEVELS,
    family: float = 0.95,
    seed: int = 0,
    progress: bool = False,
) -> xr.Dataset:
    """Return ranks, bands, uniformity and coverage of every quantity in one dataset.

    Parameters
    ----------
    truth, draws
        As of :func:`ranks`.
    upper, levels, family
        As of :func:`coverage`; `family` is shared by the bands of all quantities and all
        coverages.
    seed
        Of ties.
    progress
        Whether a bar is shown, after two seconds.

    Returns
    -------
    xarray.Dataset
        ``rank``, ``uniformity_p`` ``[quantity]``, ``calibrated`` ``[quantity]`` (1 where neither
        the p-value nor a coverage is beyond what chance allows for so many tests),
        ``coverage`` and its limits, ``ecdf_low``, ``ecdf_high``.
    """
    rank = ranks(truth, draws, seed=seed, progress=progress)
    place = places(rank, seed)
    tests = rank.sizes["quantity"]
    found = xr.Dataset({"rank": rank, "uniformity_p": uniformity(place)})
    found = found.merge(coverage(place, levels, upper=upper, family=family**0.5), join="exact")
    single = family ** (1 / (2 * tests))  # half of what chance may do is left to coverage
    found = found.merge(ecdf_bands(rank.sizes["observation"], single), join="exact")
    inside = (found["coverage"] >= found["coverage_low"] - 1e-12) & (
        found["coverage"] <= found["coverage_high"] + 1e-12
    )
    fine = (found["uniformity_p"] > 1 - single) & inside.all("level")
    found["calibrated"] = fine.astype(np.int8).assign_attrs(
        long_name="1 where within chance, for so many tests", units="1"
    )
    return found.assign_attrs(draw_count=rank.attrs["draw_count"], family=family)


def _binomial_limits(count: int, p: Floats, tail: float) -> tuple[Floats, Floats]:
    """Return shares beyond each of which at most `tail` of binomial counts lie."""
    grid = np.arange(count + 1)[:, None]
    below = bdtr(grid, count, p)
    low = (below > tail).argmax(axis=0) / count
    high = (below >= 1 - tail).argmax(axis=0) / count
    return low, high
