"""A posterior as ArviZ reads it: one tree of labelled groups, one netCDF file.

The groups are those of ArviZ: ``posterior`` ``[chain, draw, parameter]``, ``sample_stats``,
``observed_data``, ``constant_data`` and, where given, ``prior``. Draws that are independent make
one chain. The log-likelihood of the whole set stands in ``sample_stats``: the group of that name
is for single events, which leave-one-out methods take apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from presage.labels import LabelError, unitless
from presage.studies.pdf.ensemble import load_arviz
from presage.studies.pdf.problem import Problem
from presage.studies.pdf.reference import parameter_coordinates

#: Variables of a dataset of draws that are statistics of each draw.
_STATISTICS = {
    "log_prob": "lp",
    "log_weight": "log_weight",
    "log_prior": "log_prior",
    "log_likelihood": "log_likelihood",
}
#: Numbers about the whole sample, kept as attributes of the posterior.
_VERDICTS = (
    "efficiency", "pareto_k", "log_evidence", "clipped", "correctable", "reliable", "agreement",
    "p_value",
)  # fmt: skip


def tree(
    problem: Problem,
    posterior: xr.Dataset,
    events: xr.DataArray,
    *,
    truth: xr.DataArray | None = None,
    prior: xr.Dataset | None = None,
    chains: int = 1,
) -> xr.DataTree:
    """Return the posterior of one observation as a tree of groups.

    Parameters
    ----------
    problem
        What it is about.
    posterior
        ``theta`` ``[draw, parameter]`` with whatever there is of ``log_prob``,
        ``log_weight``, ``log_likelihood``; of one observation: select it first.
    events
        ``[event, feature]``.
    truth
        ``[parameter]``, where it is known.
    prior
        ``theta`` ``[draw, parameter]`` drawn from the prior.
    chains
        Chains that the draws are dealt out to. Independent draws need one; ArviZ's
        diagnostics compare two or more.

    Returns
    -------
    xarray.DataTree
        For :func:`to_arviz`, or ``to_netcdf``.

    Raises
    ------
    LabelError
        More than one observation, or fewer draws than chains.
    """
    extra = set(posterior["theta"].dims) - {"draw", "parameter"}
    if extra or set(events.dims) != {"event", "feature"}:
        raise LabelError(
            "a tree holds one observation: theta [draw, parameter] and events [event, feature], "
            f"got {posterior['theta'].dims} and {events.dims}; select one with isel first"
        )
    length = posterior.sizes["draw"] // chains if chains > 0 else 0
    if length == 0:
        raise LabelError(f"{posterior.sizes['draw']} draws make no {chains} chains")
    dealt = _dealt(posterior, chains, length)
    about = {"problem": problem.name, "inference_library": "presage"}
    verdicts = {
        n: float(posterior[n]) for n in _VERDICTS if n in posterior and not posterior[n].dims
    }
    titles = unitless("parameters of the distribution")
    theta = _with_parameters(dealt["theta"].assign_attrs(titles), problem)
    groups = {
        "posterior": theta.to_dataset(name="theta").assign_attrs({**about, **verdicts}),
        "sample_stats": _statistics(dealt, about),
        "observed_data": _observed(problem, events).assign_attrs(about),
        "constant_data": _constants(problem, truth).assign_attrs(about),
    }
    if prior is not None:
        drawn = _dealt(prior[["theta"]], 1, prior.sizes["draw"])["theta"].assign_attrs(titles)
        groups["prior"] = _with_parameters(drawn, problem).to_dataset(name="theta")
    built: xr.DataTree = xr.DataTree.from_dict({k: v for k, v in groups.items() if v.variables})
    return built


def to_arviz(posterior: xr.DataTree) -> Any:
    """Return what the installed ArviZ works on: InferenceData before 1.0, else the tree itself.

    Parameters
    ----------
    posterior
        Of :func:`tree`, or read from its netCDF file with ``xarray.open_datatree``.
    """
    arviz = load_arviz()
    data = getattr(arviz, "InferenceData", None)
    return posterior if data is None else data.from_datatree(posterior)


def _dealt(draws: xr.Dataset, chains: int, length: int) -> xr.Dataset:
    """Return ``[chain, draw, ...]``; draws that fill no chain are left out."""
    names = ["theta", *(n for n in _STATISTICS if n in draws)]
    cut = draws[names].drop_vars("draw", errors="ignore").isel(draw=slice(0, chains * length))
    scalars = [n for n in cut.coords if not cut[n].dims]
    found = xr.Dataset(coords={"chain": np.arange(chains), "draw": np.arange(length)})
    for name, array in cut.drop_vars(scalars).data_vars.items():
        rest = [d for d in array.dims if d != "draw"]
        moved = array.transpose("draw", *rest)
        values = moved.values.reshape(chains, length, *moved.shape[1:])
        found[name] = (("chain", "draw", *rest), values, array.attrs)
    return found


def _with_parameters(theta: xr.DataArray, problem: Problem) -> xr.DataArray:
    return theta.assign_coords({"parameter": parameter_coordinates(problem)["parameter"].values})


def _statistics(dealt: xr.Dataset, about: dict[str, Any]) -> xr.Dataset:
    """Return log density, weight and prior of each draw under ArviZ's names."""
    there = {old: new for old, new in _STATISTICS.items() if old in dealt}
    return dealt[list(there)].rename(there).assign_attrs(about)


def _observed(problem: Problem, events: xr.DataArray) -> xr.Dataset:
    coordinates = {c.name: c.variable() for c in problem.coordinates if c.along == "feature"}
    plain = events.transpose("event", "feature").drop_vars(
        [n for n in events.coords if n != "feature"], errors="ignore"
    )
    named = plain.assign_coords(feature=coordinates.pop("feature").values)
    attrs = {"long_name": "observed events"}
    return named.assign_attrs(attrs).to_dataset(name="events").assign_coords(coordinates)


def _constants(problem: Problem, truth: xr.DataArray | None) -> xr.Dataset:
    """Return the prior's box, and the truth where there is one."""
    coordinates = parameter_coordinates(problem)
    names = {"parameter_low": "prior_low", "parameter_high": "prior_high"}
    found = xr.Dataset({new: coordinates[old] for old, new in names.items()})
    found = found.assign_coords(parameter=coordinates["parameter"].values)
    if truth is not None:
        found["truth"] = ("parameter", truth.sel(parameter=found["parameter"]).values
                          if "parameter" in truth.coords else truth.values,
                          unitless("true parameters"))  # fmt: skip
    return found
