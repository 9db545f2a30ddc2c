r"""An estimate made exact: its draws weighted by exact posterior over estimated density.

The likelihood of every problem is known, so an estimate that covers the posterior needs no
trust: with w ∝ L(θ) π(θ) / q(θ) its draws stand for the exact posterior. How many draws that
leaves (the efficiency), and whether the largest weights can be averaged at all (k̂), is a
verdict on the estimate too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from presage.analysis.importance import PARETO_BAR, efficiency, importance, resample
from presage.labels import LabelError, unitless
from presage.labels.caller import warn_caller
from presage.models.fitted_encoder import SetLabels
from presage.models.threads import one_thread
from presage.studies.pdf.problem import Problem
from presage.studies.pdf.target import Target, sets_with_bar

#: Share of the weight that may be cut off when draws are chosen.
CLIPPED_BAR = 0.01
#: Draws whose weights are looked at, and the efficiency below which an estimate is poor.
PROBES, POOR = 200, 0.1


class PoorEstimateWarning(UserWarning):
    """Importance weights leave hardly any draw of an estimate: it is far from the posterior."""


def probed(problem: Problem, estimate: xr.Dataset, events: xr.DataArray) -> xr.DataArray:
    """Return the efficiency ``[*]`` of an estimate's first draws, and warn where it is poor.

    Parameters are as of :func:`weigh`. Where a few of the weights have all the weight, so few
    draws say too much: the efficiency is at least one draw's share.

    Warns
    -----
    PoorEstimateWarning
        It is below 10 % for a set.
    """
    few = estimate.isel(draw=slice(PROBES))
    parts = log_posterior(problem, few["theta"], events, progress=False)
    ratio = (
        parts["log_likelihood"]
        + parts["log_prior"]
        - few["log_prob"].drop_vars("draw", errors="ignore")
    )
    there = ratio.max("draw") > -np.inf  # weights of no draw at all have no sum
    share = xr.apply_ufunc(efficiency, ratio.where(there, 0.0), input_core_dims=[["draw"]])
    found: xr.DataArray = share.where(there, 0.0)
    poor = np.flatnonzero(found.values < POOR)
    if len(poor):
        warn_caller(
            f"the estimate of {len(poor)} of {found.size} sets (the first: number {poor[0]}) is "
            "far from the posterior: importance weights leave "
            f"{float(found.min()):.1%} of the draws at worst, below 10%; take "
            "presage.studies.pdf.reference.reference(problem, events), which is exact, or "
            "presage.studies.pdf.correction.correct of many more draws",
            PoorEstimateWarning,
        )
    return found.assign_attrs(unitless(f"effective share of {few.sizes['draw']} weighted draws"))


def weigh(
    problem: Problem, estimate: xr.Dataset, events: xr.DataArray, *, progress: bool = True
) -> xr.Dataset:
    """Weigh the draws of an estimate so that they stand for the exact posterior.

    Parameters
    ----------
    problem
        With prior and density.
    estimate
        ``theta`` ``[*, draw, parameter]`` and ``log_prob`` ``[*, draw]``, the estimate's own
        log density there, in units of theta.
    events
        ``[*, event, feature]``, the observations, of the same other dimensions.
    progress
        Whether a bar is shown, after two seconds.

    Returns
    -------
    xarray.Dataset
        The estimate with ``log_likelihood``, ``log_prior``, ``log_weight`` ``[*, draw]``,
        ``efficiency``, ``pareto_k``, ``log_evidence`` ``[*]``.
    """
    for name in ("theta", "log_prob"):
        if name not in estimate:
            raise LabelError(f"the estimate has no {name!r}: draw it with its density")
    rest = SetLabels.of(events).dims
    needed = {*rest, "draw", "parameter"}
    if set(estimate["theta"].dims) != needed:
        raise LabelError(
            f"the estimate's theta should have the dims {sorted(needed)}, as the events have "
            f"{events.dims}; got {estimate['theta'].dims}"
        )
    for dim in rest:
        if estimate.sizes[dim] != events.sizes[dim]:
            raise LabelError(
                f"{estimate.sizes[dim]} estimates, {events.sizes[dim]} sets of events along {dim!r}"
            )
    parts = log_posterior(problem, estimate["theta"], events, progress=progress)
    target = parts["log_likelihood"] + parts["log_prior"]
    weights = importance(target, estimate["log_prob"].drop_vars("draw", errors="ignore"))
    return estimate.drop_vars("draw", errors="ignore").assign(
        {**parts.data_vars, **weights.data_vars}
    )


def correct(
    problem: Problem,
    estimate: xr.Dataset,
    events: xr.DataArray,
    n: int | None = None,
    *,
    seed: int = 0,
    progress: bool = True,
) -> xr.Dataset:
    """Return plain draws of the exact posterior, chosen from those of an estimate.

    Parameters
    ----------
    problem, estimate, events, progress
        As of :func:`weigh`. Draw many more than are to be kept: for 2000 of them, 40 000 at an
        efficiency of 35 % and 300 000 at one of 4 % were enough for a C2ST of 0.50 (measured
        on `gaussian`, an estimate 1.5 times too wide, and one 2 times and a width off).
    n
        Draws to keep, none twice; by default a third of the smallest effective number, at
        least 1 and at most a third of the draws.
    seed
        Of the choice.

    Returns
    -------
    xarray.Dataset
        ``theta``, ``log_prob`` (now the exact posterior's), ``log_likelihood``, ``log_prior``
        of the chosen draws; ``efficiency``, ``pareto_k``, ``log_evidence``, ``clipped`` and
        ``correctable`` ``[*]``: 1 where k̂ < 0.7 and at most 1 % of the weight was cut off.
        Where it is 0 the draws are no better than the estimate; ``attrs["verdict"]`` says so
        in words.
    """
    weighted = weigh(problem, estimate, events, progress=progress)
    draws = weighted.sizes["draw"]
    if n is None:
        n = max(1, int(float(weighted["efficiency"].min()) * draws / 3))
    along = weighted[["theta", "log_likelihood", "log_prior"]]
    kept = resample(along, weighted["log_weight"], n, seed=seed)
    kept["log_prob"] = kept["log_likelihood"] + kept["log_prior"] - weighted["log_evidence"]
    kept["log_prob"].attrs.update(long_name="logarithm of the posterior's density", units="1")
    for name in ("efficiency", "pareto_k", "log_evidence", "p_value"):
        if name in weighted:
            kept[name] = weighted[name]
    sound = (kept["pareto_k"] < PARETO_BAR) & (kept["clipped"] <= CLIPPED_BAR)
    kept["correctable"] = sound.astype(np.int8).assign_attrs(
        long_name="1 where the corrected draws can be trusted", units="1"
    )
    attrs = {"problem": problem.name, "kind": "corrected", "verdict": _verdict(kept, n, draws)}
    return kept.assign_attrs(attrs)


@one_thread()
def log_posterior(
    problem: Problem, theta: xr.DataArray, events: xr.DataArray, *, progress: bool = True
) -> xr.Dataset:
    """Return ``log_likelihood`` and ``log_prior`` of draws given their observations.

    Parameters are ``[*, draw, parameter]`` or, one for each observation, ``[*, parameter]``;
    `events` are ``[*, event, feature]``.
    """
    labels = SetLabels.of(events)
    rest = labels.dims
    along = [str(d) for d in theta.dims if d not in (*rest, "parameter")]
    names = [r.name for r in problem.prior]
    chosen = theta.sel(parameter=names) if "parameter" in theta.coords else theta
    ordered = chosen.transpose(*rest, *along, "parameter")
    flat = torch.as_tensor(ordered.values, dtype=torch.float64, device=problem.device)
    rows = flat.reshape(labels.number, -1, len(names))
    found: list[tuple[Tensor, Tensor]] = []
    bar = sets_with_bar(problem, events, "likelihoods", progress)
    with torch.no_grad():
        for one, points in zip(bar, rows, strict=True):
            found.append(Target.of(problem, one).parts(points))
    coords = {k: c for k, c in ordered.coords.items() if "parameter" not in c.dims}
    coords.pop("draw", None)
    said = ("logarithm of the likelihood", "logarithm of the prior's density")
    columns: dict[str, Any] = {}
    for i, (name, what) in enumerate(zip(("log_likelihood", "log_prior"), said, strict=True)):
        values = torch.stack([pair[i] for pair in found]).cpu().numpy()
        shaped = values.reshape(ordered.shape[:-1])
        columns[name] = ((*rest, *along), shaped, unitless(what))
    return xr.Dataset(columns, coords=coords)


def _verdict(kept: xr.Dataset, n: int, draws: int) -> str:
    """Say in a sentence how far the correction can be trusted."""
    sound = np.atleast_1d(kept["correctable"].values)
    share = f"efficiency {float(kept['efficiency'].median()):.1%} in the median"
    if sound.all():
        return f"corrected: {n} of {draws} draws kept, {share}"
    return (
        f"{int((sound == 0).sum())} of {sound.size} not corrected: the estimate is too far from "
        f"the posterior for {draws} draws ({share}, k̂ up to {float(kept['pareto_k'].max()):.2f}, "
        f"{float(kept['clipped'].max()):.1%} of the weight cut off); draw more, keep fewer, or "
        "use the reference"
    )
