"""The exact posterior of an observation, beside which every estimate stands.

All problems have their density, so the posterior is known up to its norm. Draws of a proposal
made at its modes are weighted and chosen by weight, none twice (:mod:`.proposal`); ensemble
Monte Carlo is the second, independent way (:mod:`.ensemble`). `check=True` does both and says
whether they agree. A problem that nearly knows its posterior proposes itself (`Problem.nearly`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from presage.analysis.c2st import c2st
from presage.analysis.importance import PARETO_BAR, efficiency, importance, resample
from presage.labels import Floats, LabelError, check_name, unitless
from presage.models.fitted_encoder import SetLabels
from presage.models.threads import one_thread
from presage.recipe import Recipe
from presage.rng import generator
from presage.store import Store
from presage.studies.pdf.ensemble import Chains, ensemble
from presage.studies.pdf.mixture import Mixture, fitted
from presage.studies.pdf.problem import Problem
from presage.studies.pdf.proposal import Known, proposal
from presage.studies.pdf.target import Target, sets_with_bar

#: Raised whenever the draws become others.
VERSION = 2
#: Ways to draw.
METHODS = ("importance", "mcmc")
#: Fields of a problem that say what it would simulate, not what it is.
_SIMULATED = ("n_events", "n_repeat", "towards_edges")
#: Effective draws of the proposal for each draw that is kept; draws for each, at most.
_SPARE, _MOST = 3.0, 40.0
#: Proposals that are tried, components of one fitted again, efficiency that asks for one.
_ATTEMPTS, _REFIT, _LOW = 3, 10, 0.05
#: Efficiency above which the shape of the largest weights says nothing.
_EQUAL = 0.99


@one_thread()
def reference(
    problem: Problem,
    events: xr.DataArray,
    n: int = 2000,
    *,
    method: str = "importance",
    check: bool = False,
    seed: int = 0,
    store: Store | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Draw from the exact posterior of each observation.

    Parameters
    ----------
    problem
        With prior and density.
    events
        ``[*, event, feature]``: one observation, or many of any dimensions. Sets of unequal
        size are filled up with NaN at the end.
    n
        Draws of each posterior.
    method
        ``"importance"``, or ``"mcmc"`` for draws of the ensemble.
    check
        Do it both ways and compare: adds ``r_hat``, ``ess`` ``[*, parameter]`` and
        ``agreement`` ``[*]``, the accuracy C2ST between the two, with ``agreement_floor``
        and the largest difference ``mean_pull`` of means in standard errors.
    seed
        Of all random numbers.
    store
        Keeps the draws, addressed by the problem and the content of the events.
    progress
        Whether a bar is shown, after two seconds.

    Returns
    -------
    xarray.Dataset
        ``theta`` ``[*, draw, parameter]``; ``log_likelihood``, ``log_prior`` and ``log_prob``,
        the normalised posterior's, ``[*, draw]``; ``efficiency``, ``pareto_k``,
        ``log_evidence``, ``clipped`` ``[*]``; ``reliable`` ``[*]``: 1 where k̂ is below 0.7 or
        the weights are nearly equal, at most 1 % of the weight was cut off, and the chains, if
        any, converged.
    """
    check_name("method", method, METHODS)

    def make() -> xr.Dataset:
        bar = sets_with_bar(problem, events, "reference posteriors", progress)
        found = [
            _one(Target.of(problem, one), n, method, check, generator("pdf-reference", seed, i))
            for i, one in enumerate(bar)
        ]
        return _labelled(found, problem, events, method)

    if store is None:
        return make()
    settings = {"n": n, "method": method, "check": check}
    return store.compute(
        recipe_for("pdf_reference", VERSION, problem, events, settings, seed), make
    )


def recipe_for(
    name: str,
    version: int,
    problem: Problem,
    events: xr.DataArray,
    settings: Mapping[str, Any],
    seed: int = 0,
) -> Recipe:
    """Return the recipe of something computed from the content of events and a problem.

    How many events and sets, and which theta, the problem itself would simulate does not matter.
    """
    fields = {k: v for k, v in problem.identity().items() if k not in _SIMULATED}
    rest = SetLabels.of(events).dims
    values = events.transpose(*rest, "event", "feature").values.astype(np.float64)
    content = {
        "problem": {"name": problem.name, "version": problem.version, "fields": fields},
        "events": np.nan_to_num(values, nan=1e300),
        "features": [str(f) for f in events["feature"].values]
        if "feature" in events.coords
        else [],
        "dims": list(rest),
        **settings,
    }
    return Recipe(name, version, content, seed=seed)


def _one(
    target: Target, n: int, method: str, check: bool, rng: np.random.Generator
) -> dict[str, Any]:
    """Return the draws of one posterior and what is known about them."""
    found = _trusted(target, n, rng)
    if method == "mcmc" or check:
        places = found["z"][rng.permutation(len(found["z"]))]
        chains = ensemble(target, places, rng)
        found |= {"r_hat": chains.r_hat, "ess": chains.ess, "converged": chains.converged}
        if check:
            found |= _agreement(found["z"], chains, rng)
        if method == "mcmc":
            found["z"] = chains.thinned(n)
    found["theta"] = target.theta(found.pop("z"))
    likelihood, prior = target.parts(found["theta"])
    found |= {"log_likelihood": likelihood, "log_prior": prior}
    found["log_prob"] = likelihood + prior - found["log_evidence"]
    found["reliable"] = _sound(found) and found["clipped"] <= 0.01 and found.get("converged", True)
    if method == "mcmc":
        found["reliable"] = found["converged"]
    return {k: v.cpu().numpy() if hasattr(v, "cpu") else v for k, v in found.items()}


def _trusted(target: Target, n: int, rng: np.random.Generator) -> dict[str, Any]:
    """Draw by importance, and again from a proposal fitted to that while it cannot be trusted."""
    mixture, tried = proposal(target, rng), []
    for _ in range(_ATTEMPTS):
        z, log_weight, said = _weighed(target, mixture, n, rng)
        tried.append((z, log_weight, said))
        if _sound(said) and said["efficiency"] > _LOW:
            break
        weight = np.exp(log_weight)
        mixture = fitted(z, weight / weight.sum(), rng, _REFIT)
    z, log_weight, said = min(tried, key=lambda one: (not _sound(one[2]), one[2]["pareto_k"]))
    there = int(np.isfinite(log_weight).sum())
    if there < n:
        raise LabelError(
            f"{target.problem.name}: of {len(z)} draws of the proposal {there} lie in the "
            f"posterior, {n} are wanted; ask for fewer"
        )
    points = xr.Dataset({"z": (("draw", "coordinate"), z)})
    weights = xr.DataArray(log_weight, dims="draw")
    kept = resample(points, weights, n, seed=int(rng.integers(2**31)))
    return {"z": kept["z"].values, "clipped": float(kept["clipped"]), **said}


def _sound(said: Mapping[str, float]) -> bool:
    """Whether weights can be averaged: no long tail, or all of them nearly equal."""
    return said["pareto_k"] < PARETO_BAR or said["efficiency"] > _EQUAL


def _weighed(
    target: Target, mixture: Mixture | Known, n: int, rng: np.random.Generator
) -> tuple[Floats, Floats, dict[str, float]]:
    """Draw from the proposal as often as its efficiency asks for, with log weights."""
    pieces, logs, total = [], [], 0
    wanted = max(int(_SPARE * n), 2000)
    while total < wanted:
        z = mixture.sample(rng, max(wanted - total, 500))
        pieces.append(z)
        logs.append(np.stack([target.log_prob(z), mixture.log_prob(z)]))
        total += len(z)
        ratio = np.concatenate([a[0] - a[1] for a in logs])
        share = float(efficiency(ratio)) if np.isfinite(ratio).any() else 0.0
        peak = float(np.exp(ratio.max() - logsumexp(ratio))) if share > 0 else 1.0
        # Enough that the choice adds little noise, and that no draw is due more than once.
        wanted = int(min(max(_SPARE * n / max(share, 1e-3), 1.5 * n * peak * total), _MOST * n))
    z, (goal, drawn_from) = np.concatenate(pieces), np.concatenate(logs, axis=1)
    weights = importance(xr.DataArray(goal, dims="draw"), xr.DataArray(drawn_from, dims="draw"))
    said = {k: float(weights[k]) for k in ("efficiency", "pareto_k", "log_evidence")}
    return z, weights["log_weight"].values, said


def _agreement(z: Floats, chains: Chains, rng: np.random.Generator) -> dict[str, float]:
    """Return how well the two ways agree."""
    other = chains.thinned(len(z))
    arrays = [xr.DataArray(a, dims=("draw", "parameter")) for a in (z, other)]
    told = c2st(*arrays, seed=int(rng.integers(2**31)))
    error = z.std(axis=0) * np.sqrt(1 / len(z) + 1 / np.minimum(chains.ess, len(z)))
    pull = np.abs(z.mean(axis=0) - chains.z.mean(axis=(0, 1))) / error
    return {
        "agreement": float(told["accuracy"]),
        "agreement_floor": float(told["floor"]),
        "mean_pull": float(pull.max()),
    }


_ALONG = {
    "theta": (("draw", "parameter"), "parameters drawn from the exact posterior"),
    "log_likelihood": (("draw",), "logarithm of the likelihood"),
    "log_prior": (("draw",), "logarithm of the prior's density"),
    "log_prob": (("draw",), "logarithm of the posterior's density"),
    "efficiency": ((), "effective share of the proposal's draws"),
    "pareto_k": ((), "shape of the largest weights"),
    "log_evidence": ((), "logarithm of the evidence"),
    "clipped": ((), "share of the weight that was cut off"),
    "reliable": ((), "1 where the draws can be trusted"),
    "r_hat": (("parameter",), "split R-hat of the ensemble"),
    "ess": (("parameter",), "bulk effective sample size of the ensemble"),
    "agreement": ((), "accuracy of a classifier between the two ways"),
    "agreement_floor": ((), "accuracy that equal laws stay below"),
    "mean_pull": ((), "largest difference of means in standard errors"),
}


def _labelled(
    found: list[dict[str, Any]], problem: Problem, events: xr.DataArray, method: str
) -> xr.Dataset:
    """Join observations into one dataset with the dimensions of the events."""
    labels = SetLabels.of(events)
    dataset = xr.Dataset(coords=labels.coords | parameter_coordinates(problem))
    for name, (dims, what) in _ALONG.items():
        if name in found[0]:
            values = np.stack([np.asarray(one[name]) for one in found])
            values = values.astype(np.int8 if name == "reliable" else float)
            values = values.reshape((*labels.shape, *values.shape[1:]))
            dataset[name] = ((*labels.dims, *dims), values, unitless(what))
    return dataset.assign_attrs(problem=problem.name, kind="reference", method=method)


def parameter_coordinates(problem: Problem) -> dict[str, xr.Variable]:
    """Return names, ranges and titles of the parameters, as a problem's datasets have them."""
    return {c.name: c.variable() for c in problem.coordinates if c.along == "parameter"}
