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

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrc, kolmogi
from tqdm import tqdm

from presage.labels import LabelError
from presage.rng import generator

Floats = NDArray[np.float64]

#: Coverage that is looked at.
LEVELS = (0.68, 0.95)
#: Points at which distribution functions are compared, and simulations that bands come from.
_POINTS, _SIMULATIONS = 100, 10_000
#: Numbers that are compared at once.
_AT_ONCE = 1 << 24


def ranks(
    truth: Mapping[str, xr.DataArray] | xr.DataArray,
    draws: Mapping[str, xr.DataArray] | xr.DataArray,
    *,
    observation: str = "observation",
    dim: str = "draw",
    seed: int = 0,
    progress: bool = False,
) -> xr.DataArray:
    """Count the draws below the truth.

    Parameters
    ----------
    truth
        ``[observation]``, or ``[observation, x]`` for a quantity of several values (a
        parameter vector, a curve on a grid); or name → such an array.
    draws
        The same with a dimension of draws: plain draws, not weighted ones.
    observation, dim
        Names of the dimensions.
    seed
        Of ties: a truth equal to k draws takes one of their k + 1 places at random.
    progress
        Whether a bar is shown, after two seconds.

    Returns
    -------
    xarray.DataArray
        ``rank`` ``[observation, quantity]``, whole numbers from 0 to
        ``attrs["draw_count"]``; quantities are called by the coordinate along their last
        dimension, or ``name[i]`` where that has none.

    Raises
    ------
    LabelError
        Names, coordinates or dimensions differ, or values are NaN.
    """
    truths = {"": truth} if isinstance(truth, xr.DataArray) else dict(truth)
    drawn = {"": draws} if isinstance(draws, xr.DataArray) else dict(draws)
    if list(truths) != list(drawn):
        raise LabelError(f"truth has {', '.join(truths)}; draws have {', '.join(drawn)}")
    rng = generator("calibration-ranks", seed, 0)
    names: list[str] = []
    columns: list[Floats] = []
    bar = tqdm(truths.items(), desc="ranks", unit="quantity", delay=2.0, disable=not progress)
    counts = {array.sizes.get(dim, 0) for array in drawn.values()}
    for name, value in bar:
        labels, true, sample = _matched(name, value, drawn[name], observation, dim)
        names += labels
        columns.append(_counted(true, sample, rng))
    if len(counts) != 1:
        raise LabelError(f"quantities have different numbers of draws: {sorted(counts)}")
    if len(set(names)) < len(names):
        raise LabelError(f"two quantities have the same name: {', '.join(sorted(names))}")
    first = next(iter(truths.values()))
    coords = {observation: first.coords[observation]} if observation in first.coords else {}
    return xr.DataArray(
        np.concatenate(columns, axis=1).astype(np.int64),
        dims=(observation, "quantity"),
        coords={**coords, "quantity": np.array(names, dtype=object)},
        name="rank",
        attrs={"long_name": "draws below the truth", "units": "1", "draw_count": counts.pop()},
    )


def places(rank: xr.DataArray, seed: int = 0) -> xr.DataArray:
    """Return places in (0, 1) of ranks, exactly uniform where ranks are: (rank + u) / (D + 1)."""
    rng = generator("calibration-places", seed, 0)
    count = _draw_count(rank)
    found: xr.DataArray = (rank + rng.random(rank.shape)) / (count + 1)
    return found.rename("place").assign_attrs(long_name="place of the truth", units="1")


def ecdf_bands(observations: int, level: float = 0.95, points: int = _POINTS) -> xr.Dataset:
    """Return bands that the distribution function of uniform numbers stays in as a whole.

    At each point they are binomial quantiles, all with the one probability that makes
    `level` of simulated functions stay inside at every point (arXiv:2103.10522, section 2).

    Parameters
    ----------
    observations
        How many numbers there are.
    level
        Probability of staying inside everywhere.
    points
        Points i / `points` at which one looks.

    Returns
    -------
    xarray.Dataset
        ``ecdf_low`` and ``ecdf_high`` ``[fraction]``, inclusive.
    """
    smallest = _smallest_p(observations, points)
    tail = float(np.quantile(smallest, 1 - level)) / 2
    z = np.arange(1, points) / points
    counts = np.arange(observations + 1)
    below = bdtr(counts[:, None], observations, z)
    low = (below > tail).argmax(axis=0)
    high = (below >= 1 - tail).argmax(axis=0)
    low, high = (np.concatenate([[0], edge, [observations]]) for edge in (low, high))
    about = {"units": "1", "level": level, "observations": observations}
    return xr.Dataset(
        {
            "ecdf_low": ("fraction", low / observations, {"long_name": "lower edge", **about}),
            "ecdf_high": ("fraction", high / observations, {"long_name": "upper edge", **about}),
        },
        coords={"fraction": np.arange(points + 1) / points},
    )


def uniformity(place: xr.DataArray, points: int = _POINTS) -> xr.DataArray:
    """Return for each quantity the chance that calibrated places look less uniform.

    Parameters
    ----------
    place
        ``[observation, quantity]`` of :func:`places`.
    points
        As of :func:`ecdf_bands`: a value below 1 - level leaves those bands.

    Returns
    -------
    xarray.DataArray
        ``p_value`` ``[quantity]``.
    """
    values = place.transpose("quantity", ...).values
    count = values.shape[1]
    z = np.arange(1, points) / points
    below = np.stack([(values < edge).sum(axis=1) for edge in z], axis=1)
    found = _two_sided(below, count, z).min(axis=1)
    null = np.sort(_smallest_p(count, points))
    p = (1 + np.searchsorted(null, found * (1 + 1e-9), side="right")) / (1 + len(null))
    attrs = {"long_name": "chance of places less uniform", "units": "1"}
    return xr.DataArray(p, dims="quantity", coords={"quantity": place["quantity"]}, attrs=attrs)


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
                {"long_name": w, "units": "1"},
            )
            for n, (v, w) in columns.items()
        },
        coords={"quantity": place["quantity"], "level": asked},
        attrs={"family": family, "observations": count},
    )


def tarp(
    truth: xr.DataArray,
    draws: xr.DataArray,
    low: xr.DataArray,
    high: xr.DataArray,
    *,
    observation: str = "observation",
    dim: str = "draw",
    over: str = "parameter",
    seed: int = 0,
    level: float = 0.95,
    points: int = _POINTS,
) -> xr.Dataset:
    """Test the coverage of balls around random points.

    For each observation a point is drawn in the box; the credibility of the truth is the
    share of draws nearer to the point than the truth, in units of the box.

    Parameters
    ----------
    truth, draws
        ``[observation, parameter]`` and ``[observation, draw, parameter]``.
    low, high
        Edges of the box, ``[parameter]``.
    observation, dim, over
        Names of the dimensions.
    seed
        Of the points and of ties.
    level
        Probability that a calibrated posterior stays below the bound.
    points
        Steps of the credibility.

    Returns
    -------
    xarray.Dataset
        ``expected_coverage`` ``[credibility]``, ``tarp_distance`` = max |ECP - α| over all α,
        and its ``tarp_bound`` (Kolmogorov's; 0.043 for 1000 observations).
    """
    columns = [a.transpose(..., over).values for a in (low, high)]
    true = (truth.transpose(observation, over).values - columns[0]) / (columns[1] - columns[0])
    unit = (draws.transpose(observation, dim, over).values - columns[0]) / (columns[1] - columns[0])
    rng = generator("tarp", seed, 0)
    centre = rng.random(true.shape)
    reach = np.square(true - centre).sum(axis=1)
    nearer = np.square(unit - centre[:, None]).sum(axis=2)
    rank = _counted(reach[:, None], nearer[:, :, None], rng)[:, 0]
    alpha = np.sort((rank + rng.random(len(rank))) / (nearer.shape[1] + 1))
    count = len(alpha)
    steps = np.arange(count)
    distance = max((alpha - steps / count).max(), ((steps + 1) / count - alpha).max())
    grid = np.arange(points + 1) / points
    root = math.sqrt(count)
    bound = float(kolmogi(1 - level)) / (root + 0.12 + 0.11 / root)  # Stephens 1970
    covered = np.searchsorted(alpha, grid, side="right") / count
    found = xr.Dataset(coords={"credibility": grid})
    for name, dims, values, what in (
        ("expected_coverage", ("credibility",), covered, "expected coverage"),
        ("tarp_distance", (), float(distance), "largest distance from calibration"),
        ("tarp_bound", (), bound, "distance that calibrated ones stay below"),
    ):
        found[name] = (dims, values, {"long_name": what, "units": "1"})
    return found


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


def _draw_count(rank: xr.DataArray) -> int:
    if "draw_count" not in rank.attrs:
        raise LabelError("rank should carry attrs['draw_count'], how many draws there were")
    return int(rank.attrs["draw_count"])


def _matched(
    name: str, truth: xr.DataArray, draws: xr.DataArray, observation: str, dim: str
) -> tuple[list[str], Floats, Floats]:
    """Return names of the columns, truth ``(L, Q)`` and draws ``(L, D, Q)``."""
    said = name or "the quantity"
    rest = [d for d in truth.dims if d != observation]
    if observation not in truth.dims or len(rest) > 1 or set(draws.dims) != {*truth.dims, dim}:
        raise LabelError(
            f"{said}: expected truth [{observation}] or [{observation}, x] and draws with "
            f"{dim!r} besides, got {truth.dims} and {draws.dims}"
        )
    try:
        truth, draws = xr.align(truth, draws, join="exact", exclude=[dim])
    except ValueError as error:
        raise LabelError(f"{said}: truth and draws are not of the same labels: {error}") from error
    true = truth.transpose(observation, *rest).values.astype(float)
    sample = draws.transpose(observation, dim, *rest).values.astype(float)
    if np.isnan(true).any() or np.isnan(sample).any():
        raise LabelError(f"{said} holds NaN")
    if not rest:
        return [name or str(truth.name or "quantity")], true[:, None], sample[..., None]
    along = str(rest[0])
    if along in truth.coords and truth[along].dtype.kind in "OUT":
        return [str(v) for v in truth[along].values], true, sample
    prefix = name or str(truth.name or along)
    return [f"{prefix}[{i}]" for i in range(truth.sizes[along])], true, sample


def _counted(true: Floats, sample: Floats, rng: np.random.Generator) -> Floats:
    """Return how many draws ``(L, D, Q)`` are below the truth ``(L, Q)``, ties at random."""
    rows = max(1, _AT_ONCE // max(1, sample[0].size))
    pieces = []
    for start in range(0, len(true), rows):
        part = slice(start, start + rows)
        edge = true[part, None]
        below = (sample[part] < edge).sum(axis=1)
        equal = (sample[part] == edge).sum(axis=1)
        pieces.append(below + rng.integers(0, equal + 1))
    return np.concatenate(pieces)


def _two_sided(counts: NDArray[Any], observations: int, z: Floats) -> Floats:
    """Return two-sided binomial p-values of counts ``(*, points)`` at probabilities z."""
    grid = np.arange(observations + 1)[:, None]
    below = bdtr(grid, observations, z)
    above = np.where(grid > 0, bdtrc(np.maximum(grid - 1, 0), observations, z), 1.0)
    table = np.minimum(1.0, 2 * np.minimum(below, above))
    found: Floats = table[counts, np.arange(len(z))]
    return found


@lru_cache(maxsize=32)
def _smallest_p(observations: int, points: int) -> Floats:
    """Return the smallest p-value over all points for simulated uniform numbers."""
    rng = generator("ecdf-bands", observations, points)
    counts = rng.multinomial(observations, np.full(points, 1 / points), size=_SIMULATIONS)
    below = counts.cumsum(axis=1)[:, :-1]
    smallest: Floats = _two_sided(below, observations, np.arange(1, points) / points).min(axis=1)
    return smallest


def _binomial_limits(count: int, p: Floats, tail: float) -> tuple[Floats, Floats]:
    """Return shares beyond each of which at most `tail` of binomial counts lie."""
    grid = np.arange(count + 1)[:, None]
    below = bdtr(grid, count, p)
    low = (below > tail).argmax(axis=0) / count
    high = (below >= 1 - tail).argmax(axis=0) / count
    return low, high
