"""Labelled arrays of users as tensors of a problem: names, order, bounds; and their score."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from presage.labels import LabelError

if TYPE_CHECKING:
    from presage.studies.pdf.problem import Problem

Values = xr.DataArray | Tensor | np.ndarray
#: Events whose density is worked out at once.
_AT_ONCE = 1 << 20


def checked_theta(problem: Problem, theta: Values) -> Tensor:
    """Return parameters ``(*, P)``; see :meth:`Problem.check_theta`."""
    names = [r.name for r in problem.prior]
    values = _tensor(problem, theta, "parameter", names, ())
    if not bool(torch.isfinite(values).all()):
        raise LabelError(f"{problem.name}: theta holds numbers that are not finite")
    flat = values.reshape(-1, len(names))
    outside = (flat < problem.low) | (flat > problem.high)
    if bool(outside.any()):
        row, column = (int(i) for i in outside.nonzero()[0])
        r = problem.prior[column]
        raise LabelError(
            f"{problem.name}: {r.name} = {float(flat[row, column]):g} is outside the prior "
            f"[{r.low:g}, {r.high:g}]"
        )
    unphysical = ~problem.physical(flat)
    if bool(unphysical.any()):
        shown = _shown(names, flat[unphysical][0])
        raise LabelError(f"{problem.name}: {shown} is unphysical, where the prior is zero")
    return values


def checked_events(problem: Problem, events: Values) -> Tensor:
    """Return events ``(*, E, F)``; see :meth:`Problem.check_events`."""
    names = [f.name for f in problem.features]
    values = _tensor(problem, events, "feature", names, ("event",))
    if values.dim() < 2 or (values.numel() == 0 and not problem.empty_sets):
        raise LabelError(f"{problem.name}: a set of events is empty; give at least one event")
    if values.numel() == 0:
        return values
    for column, feature in enumerate(problem.features):
        one = values[..., column]
        if not bool(torch.isfinite(one).all()):
            count = int((~torch.isfinite(one)).sum())
            raise LabelError(f"{problem.name}: {count} values of {feature.name} are not finite")
        low, high = float(one.min()), float(one.max())
        if low < feature.lower or high > feature.upper:
            raise LabelError(
                f"{problem.name}: {feature.name} should lie in [{feature.lower:g}, "
                f"{feature.upper:g}] {feature.unit}, got {low:g} to {high:g}"
            )
    outside = ~problem.supported(values)
    if bool(outside.any()):
        raise LabelError(
            f"{problem.name}: {int(outside.sum())} events cannot occur, the first with "
            f"{_shown(names, values[outside][0])}"
        )
    return values


def scored(problem: Problem, dataset: xr.Dataset) -> xr.DataArray:
    """Return the log density of every event; see :meth:`Problem.score`."""
    theta, events = dataset["theta"], dataset["events"]
    rows = [str(d) for d in theta.dims if d != "parameter"]
    parameters = checked_theta(problem, theta.transpose(*rows, "parameter"))
    if "event_count" in dataset:
        counts = dataset["event_count"].values
        values = _scored_flat(problem, parameters, events, np.asarray(counts, dtype=np.int64))
        return _log_prob(values, events.isel(feature=0))
    others = [str(d) for d in events.dims if d not in (*rows, "event", "feature")]
    events = events.transpose(*rows, *others, "event", "feature")
    parameters = parameters.reshape(*parameters.shape[:-1], *[1] * len(others), -1)
    if not rows:
        values = problem.log_prob(parameters, checked_events(problem, events)).cpu()
        return _log_prob(values, events.isel(feature=0))
    step = max(1, _AT_ONCE // max(1, math.prod(events.shape[1:-1])))
    pieces = [
        problem.log_prob(parameters[i : i + step], checked_events(problem, events[i : i + step]))
        for i in range(0, events.shape[0], step)
    ]
    return _log_prob(torch.cat(pieces).cpu(), events.isel(feature=0))


def _scored_flat(
    problem: Problem, theta: Tensor, events: xr.DataArray, counts: np.ndarray
) -> Tensor:
    """Return the log density of the events of sets of unequal size, which lie end to end."""
    if len(theta) != len(counts) or int(counts.sum()) != events.sizes.get("event"):
        raise LabelError(
            f"{problem.name}: {len(counts)} sets of {int(counts.sum())} events together, but "
            f"{len(theta)} theta and {events.sizes.get('event')} events"
        )
    if not counts.sum():
        return torch.zeros(0, dtype=torch.float64)
    sets = torch.split(checked_events(problem, events), counts.tolist())
    pairs = zip(theta, sets, strict=True)
    return torch.cat([problem.log_prob(one, points) for one, points in pairs]).cpu()


def _log_prob(values: Tensor, like: xr.DataArray) -> xr.DataArray:
    """Label log densities with the dimensions of the events."""
    return xr.DataArray(
        values.numpy(),
        dims=like.dims,
        coords={n: c for n, c in like.coords.items() if not str(n).startswith("feature")},
        name="log_prob",
        attrs={"long_name": "natural logarithm of the density of an event", "units": "1"},
    )


def _shown(names: list[str], values: Tensor) -> str:
    return ", ".join(f"{n} = {v:g}" for n, v in zip(names, values.tolist(), strict=True))


def _tensor(
    problem: Problem, array: Values, last: str, names: list[str], before: tuple[str, ...]
) -> Tensor:
    """Return an array with the named dimension last, checked for its names."""
    if isinstance(array, xr.DataArray):
        array = _in_order(problem, array, last, names, before).values
    if isinstance(array, np.ndarray):  # a copy: what a store maps is read-only
        array = torch.from_numpy(np.array(array, dtype=np.float64))
    values = torch.as_tensor(array).to(device=problem.device, dtype=torch.float64)
    if values.shape[-1:] != (len(names),):
        raise LabelError(
            f"{problem.name}: expected {len(names)} {last}s ({', '.join(names)}) along the last "
            f"dimension, got shape {tuple(values.shape)}"
        )
    return values


def _in_order(
    problem: Problem, array: xr.DataArray, last: str, names: list[str], before: tuple[str, ...]
) -> xr.DataArray:
    """Return an array with its dimensions and the names along the last one in order."""
    for dim in (*before, last):
        if dim not in array.dims:
            raise LabelError(f"{problem.name}: expected a dimension {dim!r}, got dims {array.dims}")
    if last in array.coords:
        found = [str(name) for name in array[last].values]
        if sorted(found) != sorted(names):
            raise LabelError(
                f"{problem.name} has the {last}s {', '.join(names)}; these are "
                f"{', '.join(found)}: of another problem?"
            )
        array = array.sel({last: names})
    return array.transpose(..., *before, last)
