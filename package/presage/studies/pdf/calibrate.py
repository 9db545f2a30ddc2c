"""Calibration of a posterior over many observations, in all that theta says.

Ranks of the parameters, of the curves at some points, and of the log-likelihood, which a
posterior that ignores the data fails; balls around random points; and the efficiency of the
importance weights. :func:`~presage.analysis.calibration.calibration` has the statistics.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import xarray as xr

from presage.analysis.calibration import calibration
from presage.analysis.importance import importance
from presage.analysis.tarp import tarp
from presage.labels import LabelError
from presage.models.threads import one_thread
from presage.progress import Bar
from presage.studies.pdf.correction import log_posterior
from presage.studies.pdf.problem import Curve, Problem
from presage.studies.pdf.reference import parameter_coordinates

#: Draws whose curves are worked out at once.
_AT_ONCE = 100_000


@one_thread()
def calibrate(
    problem: Problem,
    posterior: xr.Dataset,
    truth: xr.DataArray,
    events: xr.DataArray,
    *,
    points: int = 5,
    curves: int | None = None,
    log_prob_at_truth: xr.DataArray | None = None,
    levels: tuple[float, ...] = (0.68, 0.95),
    seed: int = 0,
    progress: bool = True,
) -> xr.Dataset:
    """Rank the truth among draws in every quantity, and judge the ranks.

    Parameters
    ----------
    problem
        With its curves and density.
    posterior
        ``theta`` ``[observation, draw, parameter]``, plain draws; with ``log_prob``
        ``[observation, draw]`` the efficiency of importance weights is worked out too.
    truth
        ``[observation, parameter]``, drawn from the prior.
    events
        ``[observation, event, feature]``.
    points
        Points of each curve's grid, ends left out.
    curves
        How many of the problem's curves, the first ones; all when None.
    log_prob_at_truth
        Density of the estimate at the truth, ``[observation]``; adds the quantity
        ``log_prob``, whose coverage is that of the regions of highest density.
    levels
        As of :func:`~presage.analysis.calibration.coverage`.
    seed
        Of ties and of TARP's points.
    progress
        Whether bars are shown, after two seconds.

    Returns
    -------
    xarray.Dataset
        As :func:`~presage.analysis.calibration.calibration`, with ``expected_coverage``
        ``[credibility]``, ``tarp_distance``, ``tarp_bound``, and ``efficiency``,
        ``pareto_k`` ``[observation]`` where there is a ``log_prob``.
    """
    coordinates = parameter_coordinates(problem)
    names = [str(v) for v in coordinates["parameter"].values]
    drawn = _named(posterior["theta"], names)
    true = _named(truth, names)
    quantities = {"theta": (true, drawn)}
    for curve in problem.curves[:curves]:
        at = _thinner(curve, points)
        at_true, at_drawn = (
            _values(problem, at, true, progress),
            _values(problem, at, drawn, progress),
        )
        quantities[curve.name] = (at_true, at_drawn)
    sample = log_posterior(problem, drawn, events, progress=progress)
    at_truth = log_posterior(problem, true, events, progress=False)
    quantities["log_likelihood"] = (at_truth["log_likelihood"], sample["log_likelihood"])
    if log_prob_at_truth is not None:
        if "log_prob" not in posterior:
            raise LabelError("a density at the truth needs log_prob of the draws beside it")
        quantities["log_prob"] = (log_prob_at_truth, posterior["log_prob"])
    found = calibration(
        {n: pair[0] for n, pair in quantities.items()},
        {n: pair[1] for n, pair in quantities.items()},
        upper=["log_prob"], levels=levels, seed=seed, progress=progress,
    )  # fmt: skip
    edges = [
        xr.DataArray(edge.cpu().numpy(), dims="parameter", coords={"parameter": names})
        for edge in (problem.low, problem.high)
    ]
    found = found.assign(tarp(true, drawn, edges[0], edges[1], seed=seed).variables)
    if "log_prob" in posterior:
        target = sample["log_likelihood"] + sample["log_prior"]
        weights = importance(target, posterior["log_prob"].drop_vars("draw", errors="ignore"))
        found = found.assign(weights[["efficiency", "pareto_k"]].data_vars)
    return found.assign_attrs(problem=problem.name, n_events=events.sizes["event"])


def _named(theta: xr.DataArray, names: list[str]) -> xr.DataArray:
    """Return parameters in the problem's order, under their names alone."""
    known = theta.sel(parameter=names) if "parameter" in theta.coords else theta
    beside = [n for n, c in known.coords.items() if "parameter" in c.dims and n != "parameter"]
    plain = known.drop_vars([*beside, "draw"], errors="ignore")
    return plain.assign_coords(parameter=names)


def _thinner(curve: Curve, points: int) -> Curve:
    """Return the curve on a few points of its grid, the ends left out."""
    chosen = np.linspace(0, len(curve.grid) - 1, points + 2).round().astype(int)[1:-1]
    return replace(curve, grid=tuple(curve.grid[i] for i in sorted(set(chosen.tolist()))))


def _values(problem: Problem, curve: Curve, theta: xr.DataArray, progress: bool) -> xr.DataArray:
    """Return a curve ``[*, NAME_point]`` for labelled parameters."""
    moved = theta.transpose(..., "parameter")
    flat = torch.as_tensor(moved.values, dtype=torch.float64, device=problem.device)
    parts = torch.split(flat.reshape(-1, flat.shape[-1]), _AT_ONCE)
    bar = Bar(parts, desc=curve.name, unit="part", disable=not progress)
    with torch.no_grad():
        values = torch.cat([problem.curve(curve, part) for part in bar]).cpu().numpy()
    along = f"{curve.name}_point"
    labels = np.array([f"{curve.name}({x:g})" for x in curve.grid], dtype=object)
    coords = {k: c for k, c in moved.coords.items() if "parameter" not in c.dims}
    return xr.DataArray(
        values.reshape(*moved.shape[:-1], len(labels)),
        dims=(*moved.dims[:-1], along),
        coords={**coords, along: labels},
    )
