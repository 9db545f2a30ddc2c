"""What figures, notebooks and the dashboard show of this study, as two labelled products.

A notebook makes each one once and keeps it in the store::

    recipe = exhibits.recipe(exhibits.POSTERIORS, problem, [observed, encoder, posterior])
    shown = store.compute(recipe, lambda: exhibits.posteriors_product(
        problem,
        observed,                                      # theta, events of K observations
        {"estimate": {100: draws_100, 1000: draws_1000},   # kind -> size -> draws
         "corrected": {...}, "reference": {...}},
        numbers=numbers,                               # efficiency, c2st, p_value...
    ))
    posterior_figures.corner_figure(shown, observation=0, size=1000)

    recipe = exhibits.recipe(exhibits.CALIBRATION, problem, [held_out, encoder, posterior])
    checked = store.compute(recipe, lambda: exhibits.calibration_product(problem, checks))

`draws` are datasets with ``theta`` ``[observation, draw, parameter]`` and, if they are
weighted, ``log_weight`` ``[observation, draw]``. The smaller sets are the first events of the
largest. A kind that could not be made at some size is left out there; what would be shown of
it is NaN. What the browser needs (contours that hold 68 and 95 % of the draws, smoothed
marginals, bands of curves) is worked out here, so that nobody waits for it later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from presage.analysis import bands, corner
from presage.labels import LabelError, check_name, unitless
from presage.lineage import input_parent
from presage.models.threads import one_thread
from presage.recipe import Recipe
from presage.studies.pdf.calibration_product import calibration_product
from presage.studies.pdf.completing import completed
from presage.studies.pdf.posterior_parts import (
    KINDS,
    Posteriors,
    against_reference,
    band_parts,
    corner_parts,
    equal_draws,
    grid_of,
    kinds_and_sizes,
)
from presage.studies.pdf.problem import Problem

__all__ = [
    "CALIBRATION", "CALIBRATION_VERSION", "KINDS", "POSTERIORS", "POSTERIORS_VERSION",
    "calibration_product", "completed", "posteriors_product", "recipe",
]  # fmt: skip

POSTERIORS, CALIBRATION = "pdf_posteriors", "pdf_calibration"
#: Raised whenever the numbers change.
POSTERIORS_VERSION, CALIBRATION_VERSION = 3, 1
_VERSIONS = {POSTERIORS: POSTERIORS_VERSION, CALIBRATION: CALIBRATION_VERSION}
_NUMBERS = {
    "efficiency": (("observation", "size"), "effective share of importance-weighted draws"),
    "pareto_k": (("observation", "size"), "shape of the tail of importance weights"),
    "c2st": (("observation", "size", "kind"), "accuracy of a classifier against the reference"),
    "c2st_floor": (("observation", "size"), "accuracy of a classifier between two references"),
    "p_value": (("observation", "size"), "p-value of the set among those of the training"),
    "reliable": (("observation", "size"), "1 where the reference can be trusted"),
}


def recipe(
    product: str, problem: Problem, inputs: Iterable[Any] = (), seed: int = 0, **settings: Any
) -> Recipe:
    """Return the recipe of :data:`POSTERIORS` or :data:`CALIBRATION`, its place in the store.

    Inputs are datasets of a store and fits (anything with a ``key``) that it was made from; the
    settings are what else decides about its numbers (draws, sizes).
    """
    check_name("product", product, _VERSIONS)
    parents = tuple(input_parent(value) for value in inputs)
    fields = {"problem": problem.name, "n_events": problem.n_events, **settings}
    return Recipe(product, _VERSIONS[product], fields, seed=seed, parents=parents)


@one_thread()
def posteriors_product(
    problem: Problem,
    observed: xr.Dataset,
    posteriors: Posteriors,
    numbers: xr.Dataset | None = None,
    draws: int = 2000,
    curve_draws: int = 1000,
    seed: int = 0,
    attributes: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Return everything that is shown of the posteriors of some observations.

    Parameters
    ----------
    problem
        With its prior, features and curves.
    observed
        ``theta`` ``[observation, parameter]`` (the truth) and ``events``
        ``[observation, event, feature]``, the largest set; a dataset of the simulator
        (``sample``, one ``repeat``) will do.
    posteriors
        Kind ("estimate", "corrected", "reference") → number of events → draws.
    numbers
        Any of ``efficiency``, ``pareto_k``, ``c2st_floor``, ``p_value``, ``reliable``
        ``[observation, size]`` and ``c2st`` ``[observation, size, kind]``.
    draws
        At most so many are kept of each posterior; weighted ones are resampled.
    curve_draws
        Curves are evaluated at so many of them: evolution takes its time.
    seed
        Of the resampling.
    attributes
        Kept with the product: ``n_theta``, keys of encoder and posterior.

    Returns
    -------
    xarray.Dataset
        ``draws`` ``[observation, size, kind, draw, parameter]``, ``contour``
        ``[observation, size, kind, pair, mass, vertex, axis]``, ``marginal``
        ``[observation, size, kind, parameter, point]`` over the range ``shown``, for each
        curve NAME the ``NAME_band`` ``[observation, size, kind, level, NAME_grid]`` and
        ``NAME_true``, ``sd_ratio`` and ``mean_shift`` to the reference, and the numbers.
    """
    observed = as_observed(problem, observed)
    kinds, sizes = kinds_and_sizes(posteriors, observed.sizes["event"])
    kept = equal_draws(problem, posteriors, kinds, sizes, observed.sizes["observation"],
                        draws, seed)  # fmt: skip
    low, high = (edge.cpu().numpy() for edge in (problem.low, problem.high))
    first = _coordinates(observed, kinds, sizes)
    lead = ("observation", "size", "kind")
    data: dict[str, Any] = {
        "draws": ((*lead, "draw", "parameter"), kept.astype(np.float32),
                  unitless("equally weighted draws of the posterior")),
        "theta": observed["theta"].variable,
        "events": observed["events"].variable,
        **corner_parts(kept, low, high, observed["theta"].values, lead),
        **against_reference(kept, kinds, lead),
    }  # fmt: skip
    few = kept[..., :: -(-kept.shape[3] // curve_draws), :]
    for curve in problem.curves:
        first[f"{curve.name}_grid"] = grid_of(curve)
        data |= band_parts(problem, curve, few, observed["theta"].values, lead)
    product = xr.Dataset(data, coords=first)
    product = product.assign(_numbers(numbers, product))
    return product.assign_attrs(
        {"problem": problem.name, "curves": ",".join(c.name for c in problem.curves),
         "draw_count": kept.shape[3], **dict(attributes or {})}
    )  # fmt: skip


def as_observed(problem: Problem, observed: xr.Dataset) -> xr.Dataset:
    """Return ``theta`` and ``events`` with the dims observation, event, parameter, feature."""
    for name in ("theta", "events"):
        if name not in observed:
            raise LabelError(f"observed holds no {name!r}, only {sorted(map(str, observed))}")
    found = observed[["theta", "events"]]
    if "sample" in found.dims and "observation" not in found.dims:
        found = found.drop_indexes("sample", errors="ignore").rename(sample="observation")
    if "repeat" in found.dims:
        if found.sizes["repeat"] != 1:
            raise LabelError(
                f"observed holds {found.sizes['repeat']} repeats of each theta: choose one, "
                "observed.isel(repeat=0)"
            )
        found = found.isel(repeat=0, drop=True)
    problem.check_theta(found["theta"])
    problem.check_events(found["events"])
    found = found.transpose("observation", "event", "parameter", "feature")
    return found.assign_coords(observation=np.arange(found.sizes["observation"])).load()


def _coordinates(observed: xr.Dataset, kinds: list[str], sizes: list[int]) -> dict[str, Any]:
    names = [str(name) for name in observed["parameter"].values]
    pairs = [f"{names[x]},{names[y]}" for x, y in corner.pairs_of(len(names))]
    kept = (("parameter",), ("feature",))
    along = {str(name): c for name, c in observed.coords.items() if c.dims in kept}
    return {
        **along,
        "observation": ("observation", observed["observation"].values, unitless("observation")),
        "size": ("size", sizes, unitless("events of an observation that were used")),
        "kind": ("kind", np.array(kinds, dtype=object), unitless("which posterior")),
        "pair": ("pair", np.array(pairs, dtype=object), unitless("parameters along x and y")),
        "mass": ("mass", list(corner.LEVELS), unitless("share of the draws inside a contour")),
        "level": ("level", list(bands.LEVELS), unitless("quantile of a band")),
    }


def _numbers(numbers: xr.Dataset | None, product: xr.Dataset) -> dict[str, Any]:
    """Return every number of merit in the product's order; NaN where none was given."""
    given = xr.Dataset() if numbers is None else numbers
    for name in map(str, given.data_vars):
        check_name("number", name, _NUMBERS)
    found = {}
    for name, (dims, words) in _NUMBERS.items():
        shape = {d: product[d] for d in dims}
        blank = xr.DataArray(np.nan, coords=shape, dims=dims)
        if name in given:
            blank = given[name].reindex(shape).transpose(*dims)
        found[name] = (dims, blank.values.astype(float), unitless(words))
    return found
