"""Observed sets of events out of a labelled array, checked by their problem."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from presage.labels import LabelError
from presage.studies.pdf.problem import Problem
from presage.studies.pdf.target import coords_of_sets, dims_of_sets


def observed_sets(
    problem: Problem, events: xr.DataArray
) -> tuple[list[Tensor], tuple[str, ...], dict[str, Any]]:
    """Return sets one by one ``(E, F)`` in float64, and the dimensions that count them.

    Parameters
    ----------
    problem
        Checks features, support, and that no set is empty.
    events
        ``[..., event, feature]`` in any order; NaN in all features where a shorter set ends.

    Returns
    -------
    tuple
        The sets, the names of their dimensions and the coordinates along these.

    Raises
    ------
    LabelError
        No labelled array, no set, or what :meth:`Problem.check_events` refuses.
    """
    if not isinstance(events, xr.DataArray):
        raise LabelError(
            f"events should be a labelled xarray.DataArray, got {type(events).__name__}; "
            'xr.DataArray(values, dims=("event", "feature"))'
        )
    dims = tuple(dims_of_sets(events))
    names = [f.name for f in problem.features]
    own = sorted(map(str, events["feature"].values)) if "feature" in events.coords else []
    if own == sorted(names):
        events = events.sel(feature=names)
    if not {"event", "feature"} <= set(events.dims):
        problem.check_events(events)
    array = np.asarray(events.transpose(*dims, "event", "feature").values)
    rows = array.reshape(math.prod(array.shape[:-2]), *array.shape[-2:])
    if len(rows) == 0:
        raise LabelError(f"{problem.name}: there is no set of events along {dims}")
    sets = [_checked(problem, row, events) for row in rows]
    return sets, dims, coords_of_sets(events)


def theta_of_sets(
    problem: Problem, theta: xr.DataArray, dims: tuple[str, ...]
) -> tuple[Tensor, tuple[str, ...]]:
    """Return theta ``(sets or 1, rows, P)`` and its dimensions that do not count sets.

    Parameters
    ----------
    problem
        Knows the parameters' names and order.
    theta
        ``[..., parameter]``.
    dims
        The dimensions that count sets: theta has all of them, or none.

    Raises
    ------
    LabelError
        No such dimension, other parameters, or some of `dims` only.
    """
    names = [r.name for r in problem.prior]
    if not isinstance(theta, xr.DataArray) or "parameter" not in theta.dims:
        raise LabelError("theta should be a labelled array with a dimension 'parameter'")
    if "parameter" in theta.coords:
        found = [str(name) for name in theta["parameter"].values]
        if sorted(found) != sorted(names):
            raise LabelError(
                f"{problem.name} has the parameters {', '.join(names)}; these are "
                f"{', '.join(found)}: of another problem?"
            )
        theta = theta.sel(parameter=names)
    own = tuple(str(d) for d in theta.dims if d not in (*dims, "parameter"))
    shared = tuple(d for d in dims if d in theta.dims)
    if shared and shared != dims:
        raise LabelError(f"theta has {shared} of the dimensions {dims} of events: all or none")
    values = theta.transpose(*shared, *own, "parameter").values.astype(np.float64)
    sets = math.prod(theta.sizes[d] for d in shared)
    return torch.from_numpy(values.reshape(sets, -1, len(names)).copy()), own


def _checked(problem: Problem, row: np.ndarray, events: xr.DataArray) -> Tensor:
    """Return one set without what fills its end."""
    if row.dtype.kind not in "fiu":
        raise LabelError(f"{problem.name}: events should be numbers, got {row.dtype}")
    filled = np.isnan(row).all(-1)
    ended = filled & (np.cumsum(~filled) == (~filled).sum())  # only after the last event
    kept = row[~ended] if events.ndim > 2 else row
    coords = {"feature": events["feature"]} if "feature" in events.coords else {}
    return problem.check_events(xr.DataArray(kept, dims=("event", "feature"), coords=coords)).cpu()
