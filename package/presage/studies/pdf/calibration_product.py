"""The calibration product: what was checked over many observations, and what follows from ranks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import kolmogi

from presage.analysis import calibration
from presage.labels import LabelError, check_name, unitless
from presage.studies.pdf.problem import Problem

#: What may be given, with its dims.
CHECKS: dict[str, tuple[str, ...]] = {
    "rank": ("observation", "quantity"),
    "uniformity_p": ("quantity",),
    "calibrated": ("quantity",),
    "coverage": ("quantity", "level"),
    "coverage_error": ("quantity", "level"),
    "coverage_low": ("quantity", "level"),
    "coverage_high": ("quantity", "level"),
    "ecdf_low": ("fraction",),
    "ecdf_high": ("fraction",),
    "expected_coverage": ("credibility",),
    "tarp_distance": (),
    "tarp_bound": (),
    "efficiency": ("observation",),
    "pareto_k": ("observation",),
    "c2st": ("observation",),
    "p_value": ("observation",),
}


def calibration_product(
    problem: Problem, checks: xr.Dataset, attributes: Mapping[str, Any] | None = None
) -> xr.Dataset:
    """Return everything that is shown of a calibration.

    Parameters
    ----------
    problem
        What it is about.
    checks
        Of :func:`presage.analysis.calibration.calibration`, merged with that of ``tarp`` and
        any of ``efficiency``, ``pareto_k``, ``c2st`` ``[observation]`` and ``p_value``
        ``[observation]`` (or ``[observation, draw]``: the first one counts). ``rank``
        ``[observation, quantity]`` alone will do: coverage and bands follow from it.
    attributes
        Kept with the product: ``n_events``, ``kind`` ("estimate"), keys of the fits.

    Returns
    -------
    xarray.Dataset
        The checks, and ``ecdf`` ``[quantity, fraction]``: the distribution function of the
        truth's place among the draws, which ``ecdf_low`` and ``ecdf_high`` belong to; the
        same of p-values as ``predictive``, ``predictive_low``, ``predictive_high``.
    """
    given = _known(checks)
    rank, count = given["rank"], _draw_count(checks)
    if not 0 <= int(rank.min()) <= int(rank.max()) <= count:
        raise LabelError(f"ranks go from 0 to {count}, got {int(rank.min())} to {int(rank.max())}")
    place = calibration.places(rank.assign_attrs(draw_count=count))
    number = rank.sizes["observation"]
    if "coverage_low" not in given:
        given = given.merge(calibration.coverage(place), combine_attrs="override")
    if "ecdf_low" not in given:
        given = given.merge(calibration.ecdf_bands(number), combine_attrs="override")
    if "expected_coverage" in given and "tarp_bound" not in given:
        given = given.assign(_tarp(given["expected_coverage"], number))
    product = given.assign(ecdf=_ecdf(place, given["fraction"]))
    titles = [_title(problem, str(name)) for name in product["quantity"].values]
    product = product.assign_coords(quantity_title=("quantity", np.array(titles, dtype=str)))
    if "p_value" in given and bool(given["p_value"].notnull().any()):
        product = product.assign(_predictive(given["p_value"], given["fraction"]))
    said = {"problem": problem.name, "n_events": problem.n_events, "kind": "estimate"}
    counts = {"draw_count": count, "observations": number}
    attrs = {**said, **counts, **dict(attributes or {})}
    return product.drop_attrs(deep=False).assign_attrs(attrs)


def _known(checks: xr.Dataset) -> xr.Dataset:
    """Return the checks with their dims in order; one p-value of each observation."""
    for name in map(str, checks.data_vars):
        check_name("check", name, CHECKS)
    if "rank" not in checks:
        raise LabelError("a calibration needs ranks: rank [observation, quantity]")
    if "p_value" in checks and "draw" in checks["p_value"].dims:
        checks = checks.assign(p_value=checks["p_value"].isel(draw=0, drop=True))
    for name, wanted in CHECKS.items():
        if name not in checks:
            continue
        if set(checks[name].dims) != set(wanted):
            raise LabelError(f"{name} should have the dims {wanted}, got {checks[name].dims}")
        checks = checks.assign({name: checks[name].transpose(*wanted)})
    return checks


def _title(problem: Problem, quantity: str) -> str:
    """Return what axes call a quantity: ``"u(0.1)"`` is the curve u at 0.1."""
    known = {r.name: r.long_name for r in problem.prior}
    known |= {curve.name: curve.long_name for curve in problem.curves}
    name, _, at = quantity.partition("(")
    words = known.get(name) or name.replace("_", " ")
    return f"{words} at {at.removesuffix(')')}" if at else words


def _draw_count(checks: xr.Dataset) -> int:
    count = checks["rank"].attrs.get("draw_count", checks.attrs.get("draw_count"))
    if count is None:
        raise LabelError("ranks need attrs['draw_count']: among how many draws they are")
    return int(count)


def _ecdf(place: xr.DataArray, fraction: xr.DataArray) -> xr.DataArray:
    """Return the share of observations whose place is at most each fraction."""
    ordered = np.sort(place.transpose("observation", "quantity").values, axis=0)
    below = [np.searchsorted(column, fraction.values, side="right") for column in ordered.T]
    return xr.DataArray(
        np.stack(below) / len(ordered),
        dims=("quantity", "fraction"),
        coords={"quantity": place["quantity"], "fraction": fraction},
        attrs=unitless("distribution function of the truth's place among the draws"),
    )


def _tarp(expected: xr.DataArray, number: int) -> dict[str, xr.DataArray]:
    """Return the largest distance of the expected coverage from its credibility, and its bound."""
    bound = kolmogi(0.05) / np.sqrt(number)  # Kolmogorov's
    return {
        "tarp_distance": abs(expected - expected["credibility"])
        .max()
        .assign_attrs(unitless("largest distance from calibration")),
        "tarp_bound": xr.DataArray(
            bound, attrs=unitless("distance that calibrated ones stay below")
        ),
    }


def _predictive(p_value: xr.DataArray, fraction: xr.DataArray) -> dict[str, xr.DataArray]:
    """Return the distribution function of p-values with the band that uniform ones stay in."""
    known = p_value[p_value.notnull().values]  # they may have been simulated for some only
    column = known.expand_dims("quantity").assign_coords(quantity=["p_value"])
    band = calibration.ecdf_bands(known.sizes["observation"])
    band = band.interp(fraction=fraction, kwargs={"bounds_error": True})
    found = {"predictive": _ecdf(column, fraction).isel(quantity=0, drop=True)}
    found |= {f"predictive_{end}": band[f"ecdf_{end}"] for end in ("low", "high")}
    attrs = unitless("distribution function of predictive p-values")
    return {name: array.assign_attrs(attrs) for name, array in found.items()}
