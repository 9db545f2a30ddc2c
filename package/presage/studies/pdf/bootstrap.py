"""Parametric bootstrap of the point estimate, and its variance by the law of total variance.

At the point estimate t of an observation, sets of the same size are simulated and estimated
again. Their scatter is the sampling distribution of the estimator at t.

The law of total variance divides the variance of what is estimated over sets and over
members of an ensemble of encoders, or over draws of a last-layer Laplace approximation,

    Var = E_set[ Var(estimate | set) ] + Var_set( E[estimate | set] ),

into what the training left open (first) and what the finite number of events leaves open
(second).

What it is: a frequentist statement, how far estimates scatter were theta equal to t. What it
is not: a posterior. It uses no prior, but the estimator is shrunk towards the prior's mean
wherever events say little, and then the scatter is too small; the mean of the estimates minus
t, which is returned, shows by how much.

Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import xarray as xr

from presage.labels import LabelError, unitless
from presage.rng import generator
from presage.studies.pdf.draws import Draws
from presage.studies.pdf.inference import Inference
from presage.studies.pdf.laplace import LastLayerLaplace


def bootstrap(
    inference: Inference,
    events: xr.DataArray,
    n: int = 200,
    *,
    members: Sequence[Inference] = (),
    laplace: LastLayerLaplace | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Simulate sets at the point estimate of one observation, and estimate them again.

    Parameters
    ----------
    inference
        Makes the point estimate, and has the problem.
    events
        One observation, ``[event, feature]``.
    n
        Sets to simulate, at least 2.
    members
        Further encoders of the same problem, trained with other seeds: their disagreement is
        the variance given a set.
    laplace
        The variance given a set where there are no members.
    seed
        Of the simulated sets.

    Returns
    -------
    xarray.Dataset
        ``estimate`` and ``truth`` (the same) ``[parameter]``; ``estimates``
        ``[draw, parameter]``, the mean over members for each simulated set; ``bias``;
        ``within_sd`` (training), ``between_sd`` (events) and ``total_sd`` ``[parameter]``.

    Raises
    ------
    LabelError
        More than one observation, `n` below 2, members of another problem, or both `members`
        and `laplace`.
    """
    _check(inference, events, n, members, laplace)
    every = (inference, *members)
    start = np.mean([one.point(events).values for one in every], axis=0)
    sets = simulate_at(inference, start, events.sizes["event"], n, seed)
    points = np.stack([one.point(sets).values for one in every])
    mean = points.mean(0)
    within = points.var(0, ddof=1).mean(0) if members else np.zeros_like(start)
    if laplace is not None:
        within = np.square(laplace.predict(sets)["weight_sd"].values).mean(0)
    between = mean.var(0, ddof=1)
    label = ("parameter",)
    values = {
        "estimate": (label, start, "point estimate, where sets are simulated"),
        "estimates": (("draw", "parameter"), mean, "estimates of simulated sets"),
        "bias": (label, mean.mean(0) - start, "mean of the estimates minus where they began"),
        "within_sd": (label, np.sqrt(within), "scatter given a set: training"),
        "between_sd": (label, np.sqrt(between), "scatter between sets: number of events"),
        "total_sd": (label, np.sqrt(within + between), "root of the sum of both variances"),
    }
    return xr.Dataset(
        {
            name: xr.Variable(dims, array, unitless(title))
            for name, (dims, array, title) in values.items()
        },
        coords={"parameter": [r.name for r in inference.problem.prior]},
        attrs={"kind": "parametric bootstrap: no posterior", "problem": inference.problem.name},
    )


def simulate_at(
    inference: Inference, theta: np.ndarray, events: int, n: int, seed: int
) -> xr.DataArray:
    """Return `n` sets ``[draw, event, feature]`` simulated at one theta ``(P,)``.

    Raises
    ------
    LabelError
        Theta is not physical: nothing can be simulated there.
    """
    problem = replace(inference.problem, n_events=events, n_repeat=1)
    parameters = problem.check_theta(torch.as_tensor(theta))
    draws = Draws(generator("presage.studies.pdf.bootstrap", seed, 0), problem.device)
    with torch.no_grad():
        drawn = problem.events(parameters[None], draws, n, events)[0]
    return xr.DataArray(
        drawn.cpu().numpy(),
        dims=("draw", "event", "feature"),
        coords={"feature": [f.name for f in problem.features]},
        name="events",
        attrs=unitless("sets simulated at the point estimate"),
    )


def _check(
    inference: Inference,
    events: xr.DataArray,
    n: int,
    members: Sequence[Inference],
    laplace: LastLayerLaplace | None,
) -> None:
    if set(events.dims) != {"event", "feature"}:
        raise LabelError(f"one observation [event, feature] at a time, got dims {events.dims}")
    if n < 2:
        raise LabelError(f"a scatter needs at least 2 sets, got n={n}")
    if members and laplace is not None:
        raise LabelError("the variance given a set is that of members or of laplace: give one")
    for one in members:
        if one.problem.name != inference.problem.name:
            raise LabelError(
                f"a member was trained for {one.problem.name}, this is {inference.problem.name}"
            )
