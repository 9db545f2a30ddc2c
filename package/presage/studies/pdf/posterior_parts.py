"""The parts of the posteriors product: equally weighted draws, contours, marginals, bands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from presage.analysis import bands, corner
from presage.labels import Floats, LabelError, check_name, unitless
from presage.studies.pdf.problem import Curve, Problem

#: Kind of draws -> number of events -> draws.
Posteriors = Mapping[str, Mapping[int, xr.Dataset]]

KINDS = ("estimate", "corrected", "reference")
#: Points of a marginal.
POINTS = 80


def kinds_and_sizes(posteriors: Posteriors, events: int) -> tuple[list[str], list[int]]:
    """Return the kinds in their fixed order, and all sizes ascending."""
    for kind in posteriors:
        check_name("kind of posterior", kind, KINDS)
    sizes = sorted({int(size) for by_size in posteriors.values() for size in by_size})
    if not sizes:
        raise LabelError("there are no posteriors; give kind -> number of events -> draws")
    if sizes[0] < 1 or sizes[-1] > events:
        raise LabelError(
            f"posteriors are of {sizes[0]} to {sizes[-1]} events, observed are {events}"
        )
    return [kind for kind in KINDS if kind in posteriors], sizes


def equal_draws(
    problem: Problem, posteriors: Posteriors, kinds: list[str], sizes: list[int],
    observations: int, most: int, seed: int,
) -> Floats:  # fmt: skip
    """Return draws ``[observation, size, kind, draw, parameter]``, all of one number."""
    given = [found.sizes["draw"] for k in kinds for found in posteriors[k].values()]
    count, names = min(most, *given), [r.name for r in problem.prior]
    kept = np.full((observations, len(sizes), len(kinds), count, len(names)), np.nan)
    rng = np.random.default_rng(seed)
    for k, kind in enumerate(kinds):
        for s, size in enumerate(sizes):
            if size in posteriors[kind]:
                kept[:, s, k] = _of_equal_weight(posteriors[kind][size], names, count, rng)
    if not np.isfinite(kept).any(axis=(1, 2, 3, 4)).all():
        raise LabelError("an observation has no draws at all")
    return kept


def _of_equal_weight(
    found: xr.Dataset, names: list[str], count: int, rng: np.random.Generator
) -> Floats:
    """Return `count` draws of each observation, by weight where there are weights."""
    if "sample" in found.dims and "observation" not in found.dims:
        found = found.drop_indexes("sample", errors="ignore").rename(sample="observation")
    known = [str(name) for name in found["parameter"].values]
    if sorted(known) != sorted(names):
        raise LabelError(f"draws are of the parameters {known}, the problem has {names}")
    theta = found["theta"].transpose("observation", "draw", "parameter").sel(parameter=names).values
    rows = np.linspace(0, theta.shape[1] - 1, count).round().astype(int)
    if "log_weight" not in found:
        return np.asarray(theta[:, rows], dtype=float)
    weights = found["log_weight"].transpose("observation", "draw").values
    chosen = [_systematic(row, count, rng) for row in weights]
    return np.stack([np.asarray(t[c], dtype=float) for t, c in zip(theta, chosen, strict=True)])


def _systematic(log_weight: Floats, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return numbers of draws, each as often as its weight says up to one (Kitagawa 1996)."""
    weight = np.exp(log_weight - np.nanmax(log_weight))
    reached = np.cumsum(np.nan_to_num(weight))
    places = (np.arange(count) + rng.random()) / count * reached[-1]
    found: NDArray[np.int64] = np.minimum(np.searchsorted(reached, places), len(weight) - 1)
    return found


def corner_parts(
    kept: Floats, low: Floats, high: Floats, truth: Floats, lead: tuple[str, ...]
) -> dict[str, Any]:
    """Return contours, marginals and the ranges that hold them."""
    observations, sizes, kinds, _, count = kept.shape
    pairs = corner.pairs_of(count)
    shown = np.empty((observations, sizes, count, 2))
    marginal = np.full((observations, sizes, kinds, count, POINTS), np.nan)
    vertices = corner.VERTICES
    shape = (observations, sizes, kinds, len(pairs), len(corner.LEVELS), vertices, 2)
    contour = np.full(shape, np.nan, dtype=np.float32)
    for place in np.ndindex(observations, sizes):
        known = [k for k in range(kinds) if np.isfinite(kept[(*place, k)]).all()]
        every = [kept[(*place, k)] for k in known] + [truth[place[0]][None]]
        ranges = np.stack([corner.span(part, low, high) for part in every])
        shown[place] = np.stack([ranges[:, 0].min(0), ranges[:, 1].max(0)], axis=1)
        for k in known:
            here = kept[(*place, k)]
            for p in range(count):
                grid = np.linspace(shown[place][p][0], shown[place][p][1], POINTS)
                marginal[(*place, k, p)] = corner.marginal(here[:, p], grid, low[p], high[p])
            for j, pair in enumerate(map(list, pairs)):
                contour[(*place, k, j)] = corner.contours(here[:, pair], low[pair], high[pair])
    return {
        "contour": ((*lead, "pair", "mass", "vertex", "axis"), contour,
                    unitless("lines that hold a share `mass` of the draws; NaN parts them")),
        "marginal": ((*lead, "parameter", "point"), marginal.astype(np.float32),
                     unitless("smoothed density of draws on `point` even steps over `shown`")),
        "shown": (("observation", "size", "parameter", "edge"), shown,
                  unitless("range of a parameter that holds all posteriors and the truth")),
    }  # fmt: skip


def against_reference(kept: Floats, kinds: list[str], lead: tuple[str, ...]) -> dict[str, Any]:
    """Return widths and means in units of the reference's width; NaN where there is none."""
    mean, width = kept.mean(axis=3), kept.std(axis=3, ddof=1)
    if "reference" in kinds:
        k = kinds.index("reference")
        base, unit = mean[:, :, [k]], width[:, :, [k]]
    else:
        base = unit = np.full_like(mean[:, :, :1], np.nan)
    dims = (*lead, "parameter")
    return {
        "sd_ratio": (dims, width / unit, unitless("standard deviation over the reference's")),
        "mean_shift": (dims, (mean - base) / unit, unitless("mean - reference's, over its width")),
    }


def band_parts(
    problem: Problem, curve: Curve, kept: Floats, truth: Floats, lead: tuple[str, ...]
) -> dict[str, Any]:
    """Return a curve's band for every posterior, and the true curve."""
    words = {"long_name": curve.long_name or curve.name, "units": curve.unit}
    name, grid = curve.name, f"{curve.name}_grid"
    band = np.full((*kept.shape[:3], len(bands.LEVELS), len(curve.grid)), np.nan)
    for place in np.ndindex(*kept.shape[:3]):
        if np.isfinite(kept[place]).all():
            band[place] = bands.quantile_band(_curve(problem, curve, kept[place]))
    return {
        f"{name}_band": ((*lead, "level", grid), band.astype(np.float32), words),
        f"{name}_true": (("observation", grid), _curve(problem, curve, truth), words),
    }


def _curve(problem: Problem, curve: Curve, theta: Floats) -> Floats:
    with torch.no_grad():
        # A copy: stored arrays are read-only, of which torch warns.
        given = torch.tensor(np.array(theta, dtype=float), device=problem.device)
        found: Floats = problem.curve(curve, given).cpu().numpy()
    return found


def grid_of(curve: Curve) -> xr.Variable:
    """Return where a curve is evaluated, with what its axis needs."""
    attributes = {"long_name": curve.grid_name, "units": curve.grid_unit,
                  "logarithmic": int(curve.logarithmic)}  # fmt: skip
    return xr.Variable((f"{curve.name}_grid",), np.array(curve.grid), attributes)
