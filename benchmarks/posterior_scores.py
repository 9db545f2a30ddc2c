"""How far posteriors of several makers are from the exact ones, of the same observations.

A posterior is a dataset ``theta [observation, draw, parameter]`` with the estimate's
``log_prob [observation, draw]``, normalised over the physical part of the prior. Because the
density of events is known, every one can be weighed and so corrected.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from presage.analysis.c2st import c2st
from presage.analysis.importance import importance
from presage.rng import generator
from presage.studies.pdf.draws import Draws
from presage.studies.pdf.information import fisher_information
from presage.studies.pdf.problem import Problem
from presage.studies.pdf.target import Target

#: Fewest effective draws that a classifier can tell anything of.
_EFFECTIVE = 200


@dataclass(frozen=True)
class Scores:
    """Distance of one maker's posteriors from the reference, over all observations."""

    # Accuracy of a classifier, mean and largest.
    c2st: float
    worst: float
    # Of the draws with importance weights, over the observations with enough effective draws; NaN
    # where there are none.
    corrected: float
    corrected_worst: float
    weighed: float  # Share of the observations that have enough.
    # Median effective share of the draws; largest shape of the weights.
    efficiency: float
    pareto_k: float
    # Posterior standard deviation over the reference's: mean, and the one farthest from 1.
    deviation: float
    deviation_extreme: float
    error: float  # RMSE of the posterior mean over that of the reference's mean.
    reliable: float  # Share of the references that can be trusted.


def score(
    problem: Problem, events: xr.DataArray, truth: xr.DataArray, exact: xr.Dataset, made: xr.Dataset
) -> Scores:
    """Hold posteriors against the exact ones.

    Parameters
    ----------
    problem
        With prior and density.
    events
        ``[observation, event, feature]``.
    truth
        ``[observation, parameter]``.
    exact, made
        Draws of the reference, and of the maker that is judged.
    """
    plain = c2st(exact["theta"], made["theta"].isel(draw=slice(0, exact.sizes["draw"])))
    weights = importance(log_target(problem, events, made["theta"]), made["log_prob"])
    mended = c2st(exact["theta"], made["theta"], log_weight=weights["log_weight"])["accuracy"]
    enough = weights["efficiency"].values * made.sizes["draw"] >= _EFFECTIVE
    corrected = mended.values[enough] if enough.any() else np.array([np.nan])
    ratio = (made["theta"].std("draw") / exact["theta"].std("draw")).values
    width = truth["parameter_high"] - truth["parameter_low"]
    errors = [
        float((((d["theta"].mean("draw") - truth) / width) ** 2).mean() ** 0.5)
        for d in (made, exact)
    ]
    return Scores(
        float(plain["accuracy"].mean()),
        float(plain["accuracy"].max()),
        float(corrected.mean()),
        float(corrected.max()),
        float(enough.mean()),
        float(weights["efficiency"].median()),
        float(weights["pareto_k"].max()),
        float(ratio.mean()),
        float(ratio.flat[np.abs(np.log(ratio)).argmax()]),
        errors[0] / errors[1],
        float(exact["reliable"].mean()),
    )


def log_target(problem: Problem, events: xr.DataArray, theta: xr.DataArray) -> xr.DataArray:
    """Return the unnormalised log posterior of draws, ``[observation, draw]``."""
    rows = []
    with torch.no_grad():
        for place in range(events.sizes["observation"]):
            one = events.isel(observation=place).transpose("event", "feature")
            points = torch.from_numpy(
                theta.isel(observation=place).transpose("draw", "parameter").values.copy()
            )
            target = Target.of(problem, problem.check_events(one))
            likelihood, prior = target.parts(points)
            rows.append((likelihood + prior).numpy())
    return xr.DataArray(np.stack(rows), dims=("observation", "draw"))


def labelled(problem: Problem, theta: np.ndarray, log_prob: np.ndarray) -> xr.Dataset:
    """Return draws ``[k, n, P]`` and their log density ``[k, n]`` as a dataset."""
    names = [r.name for r in problem.prior]
    return xr.Dataset(
        {
            "theta": (("observation", "draw", "parameter"), theta),
            "log_prob": (("observation", "draw"), log_prob),
        },
        coords={"parameter": names},
    )


def physical(problem: Problem, made: xr.Dataset, n: int) -> xr.Dataset:
    """Return the first `n` physical draws of each observation, the density normalised again.

    Raises
    ------
    RuntimeError
        An observation has fewer.
    """
    theta, log_prob = [], []
    for place in range(made.sizes["observation"]):
        values = made["theta"].values[place]
        good = problem.physical(torch.from_numpy(values.copy())).numpy()
        good &= np.isfinite(values).all(axis=-1)
        if good.sum() < n:
            raise RuntimeError(f"{good.sum()} of {len(good)} draws are physical, {n} are needed")
        theta.append(values[good][:n])
        log_prob.append(made["log_prob"].values[place][good][:n] - np.log(good.mean()))
    return labelled(problem, np.stack(theta), np.stack(log_prob))


def prior_draws(problem: Problem, observations: int, n: int) -> xr.Dataset:
    """Return the prior as everybody's posterior."""
    draws = Draws(generator("benchmark-posterior-prior", 0, 0))
    theta = torch.stack([problem.draw_theta(draws, n) for _ in range(observations)])
    return labelled(problem, theta.numpy(), problem.log_prior(theta).numpy())


def fisher_draws(problem: Problem, exact: xr.Dataset, events: int, n: int) -> xr.Dataset:
    """Return normal laws of the Fisher information around the most probable reference draw.

    Raises
    ------
    RuntimeError
        Hardly any of one lies within the prior.
    """
    best = exact["log_prob"].argmax("draw")
    mode = exact["theta"].isel(draw=best).transpose("observation", "parameter")
    fisher = fisher_information(problem, mode, events)["information"]
    rng = generator("benchmark-posterior-fisher", 0, 0)
    theta, log_prob = [], []
    for centre, matrix in zip(mode.values, fisher.values, strict=True):
        factor = np.linalg.cholesky(np.linalg.inv(matrix))
        unit = rng.standard_normal((40 * n, len(centre)))
        points = centre + unit @ factor.T
        inside = np.isfinite(problem.log_prior(torch.from_numpy(points)).numpy())
        if inside.sum() < n:
            raise RuntimeError(f"{inside.mean():.1%} of a normal law lie within the prior")
        norm = np.log(np.diag(factor)).sum() + 0.5 * len(centre) * np.log(2 * np.pi)
        density = -0.5 * (unit**2).sum(axis=1) - norm - np.log(inside.mean())
        theta.append(points[inside][:n])
        log_prob.append(density[inside][:n])
    return labelled(problem, np.stack(theta), np.stack(log_prob))
