"""What is measured of a trained posterior: beside the exact one, and over many observations.

Two products of the store come out, which figures, notebooks and the dashboard show: the
posteriors of a few observations at several numbers of events, each as estimated, as corrected
by importance weights, and exactly; and the calibration over many observations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from presage.analysis.c2st import MINIMUM, c2st
from presage.analysis.calibration import calibration, tarp
from presage.analysis.importance import resample
from presage.labels import LabelError
from presage.studies.pdf import exhibits
from presage.studies.pdf.campaign import Campaign
from presage.studies.pdf.correction import log_posterior, weigh
from presage.studies.pdf.inference import Inference
from presage.studies.pdf.predictive import predictive
from presage.studies.pdf.problem import Problem
from presage.studies.pdf.reference import reference

#: Values of the first curve whose ranks are looked at.
_PLACES = 3
#: Fewest draws that ranks of corrected posteriors are counted among.
_FEWEST = 20
#: Observations that predictive p-values are simulated for, at most.
_PREDICTED = 200


@dataclass(frozen=True)
class Effort:
    """How many draws are made.

    Parameters
    ----------
    draws
        Of each posterior that is compared.
    proposals
        Draws of the estimate that corrected ones are chosen from.
    ranked
        Draws of the estimate for each observation of the calibration.
    corrected
        Draws that the calibration's corrected posteriors keep of those.
    seed
        Of all of them.
    """

    draws: int = 2000
    proposals: int = 20_000
    ranked: int = 1000
    corrected: int = 100
    seed: int = 0


def observed_sets(dataset: xr.Dataset) -> xr.Dataset:
    """Return sets of a campaign as observations: ``observation`` in place of ``sample``."""
    one = dataset[["theta", "events"]].isel(repeat=0, drop=True)
    found = one.drop_indexes("sample").rename(sample="observation")
    return found.assign_coords(observation=np.arange(one.sizes["sample"])).load()


def posteriors(
    campaign: Campaign,
    inference: Inference,
    sizes: Sequence[int] = (),
    effort: Effort = Effort(),
    progress: bool = True,
) -> xr.Dataset:
    """Return the posteriors of a campaign's observations, or make them.

    Parameters
    ----------
    campaign
        With its observations made.
    inference
        What was trained.
    sizes
        Numbers of events, the first ones of each observation; all of them where there are none.
    effort
        How many draws.
    progress
        Whether bars are shown.

    Returns
    -------
    xarray.Dataset
        As of :func:`presage.studies.pdf.exhibits.posteriors_product`, from the store.

    Raises
    ------
    LabelError
        More events are asked for than an observation has.
    """
    counts = sorted({int(n) for n in sizes} or {campaign.n_events})
    if counts[0] < 1 or counts[-1] > campaign.n_events:
        raise LabelError(f"sizes lie between 1 and {campaign.n_events} events, got {counts}")
    inputs = [campaign.observations, inference.encoder, inference.posterior]
    settings = {"sizes": tuple(counts), "draws": effort.draws, "proposals": effort.proposals}
    recipe = exhibits.recipe(exhibits.POSTERIORS, campaign.single, inputs, effort.seed, **settings)

    def make() -> xr.Dataset:
        observed = observed_sets(campaign.observations)
        made = {n: _at_size(campaign, inference, observed, n, effort, progress) for n in counts}
        kinds = {kind: {n: made[n][kind] for n in counts} for kind in exhibits.KINDS}
        numbers = xr.concat([made[n]["numbers"] for n in counts], dim=pd.Index(counts, name="size"))
        about = {"n_theta": campaign.n_samples, "n_repeat": campaign.n_repeat, **_keys(inference)}
        return exhibits.posteriors_product(
            campaign.single, observed, kinds, numbers, effort.draws, seed=effort.seed,
            attributes=about,
        )  # fmt: skip

    return campaign.store.compute(recipe, make)


def _at_size(
    campaign: Campaign,
    inference: Inference,
    observed: xr.Dataset,
    size: int,
    effort: Effort,
    progress: bool,
) -> dict[str, xr.Dataset]:
    """Return estimate, corrected, reference and numbers at one number of events."""
    problem, events = campaign.single, observed["events"].isel(event=slice(0, size))
    drawn = inference.sample(events, effort.proposals, seed=effort.seed)
    estimate = drawn.isel(draw=slice(0, effort.draws))
    weighted = weigh(problem, drawn, events, progress=progress)
    count = _worth(weighted, effort.draws, least=MINIMUM)
    corrected = resample(weighted[["theta"]], weighted["log_weight"], count, seed=effort.seed)
    exact = reference(
        problem, events, effort.draws, seed=effort.seed, store=campaign.store, progress=progress
    )
    compared = {"estimate": estimate, "corrected": corrected}
    told = [c2st(exact["theta"], d["theta"], progress=progress) for d in compared.values()]
    kind = pd.Index(list(compared), name="kind")
    numbers = xr.Dataset(
        {
            "efficiency": weighted["efficiency"],
            "pareto_k": weighted["pareto_k"],
            "c2st": xr.concat([t["accuracy"] for t in told], dim=kind),
            "c2st_floor": told[0]["floor"],
        }
    )
    return {"estimate": estimate, "corrected": weighted, "reference": exact, "numbers": numbers}


def _worth(weighted: xr.Dataset, most: int, least: int) -> int:
    """Return how many corrected draws without repeats the worst observation is good for."""
    effective = float(weighted["efficiency"].min()) * weighted.sizes["draw"]
    there = int(xr.DataArray(np.isfinite(weighted["log_weight"])).sum("draw").min())
    return int(min(most, there, max(effective / 2, least)))


def calibrate(
    campaign: Campaign,
    inference: Inference,
    kind: str = "estimate",
    effort: Effort = Effort(),
    progress: bool = True,
) -> xr.Dataset:
    """Return how calibrated a posterior is over a campaign's calibration sets, or find out.

    Parameters
    ----------
    campaign
        With its calibration sets made.
    inference
        What was trained.
    kind
        ``"estimate"``, or ``"corrected"`` by importance weights.
    effort
        How many draws.
    progress
        Whether bars are shown.

    Returns
    -------
    xarray.Dataset
        As of :func:`presage.studies.pdf.exhibits.calibration_product`, from the store. Ranks
        are those of the parameters, of the first curve at a few places, and of the
        log-likelihood.
    """
    if kind not in ("estimate", "corrected"):
        raise LabelError(f'kind is "estimate" or "corrected", got {kind!r}')
    inputs = [campaign.calibration, inference.encoder, inference.posterior]
    settings = {"kind": kind, "ranked": effort.ranked, "corrected": effort.corrected}
    recipe = exhibits.recipe(exhibits.CALIBRATION, campaign.single, inputs, effort.seed, **settings)

    def make() -> xr.Dataset:
        observed = observed_sets(campaign.calibration)
        weighted = _weighted(campaign, inference, observed, effort, progress)
        kept = weighted
        if kind == "corrected":
            along = weighted[["theta", "log_likelihood"]]
            count = _worth(weighted, effort.corrected, least=_FEWEST)
            kept = resample(along, weighted["log_weight"], count, seed=effort.seed)
        checks = _checks(campaign.single, observed, kept, effort.seed, progress)
        checks = checks.assign({n: weighted[n] for n in ("efficiency", "pareto_k")})
        about = {"kind": kind, "n_theta": campaign.n_samples, **_keys(inference)}
        return exhibits.calibration_product(campaign.single, checks, about)

    return campaign.store.compute(recipe, make)


def _weighted(
    campaign: Campaign, inference: Inference, observed: xr.Dataset, effort: Effort, progress: bool
) -> xr.Dataset:
    drawn = inference.sample(observed["events"], effort.ranked, seed=effort.seed)
    return weigh(campaign.single, drawn, observed["events"], progress=progress)


def _checks(
    problem: Problem, observed: xr.Dataset, kept: xr.Dataset, seed: int, progress: bool
) -> xr.Dataset:
    """Return every check that :data:`~.calibration_product.CHECKS` names and draws allow."""
    truth = log_posterior(problem, observed["theta"], observed["events"], progress=progress)
    theta = {"theta": (observed["theta"], kept["theta"])}
    likelihood = {"log_likelihood": (truth["log_likelihood"], kept["log_likelihood"])}
    pairs = {**theta, **_curve_values(problem, observed["theta"], kept["theta"]), **likelihood}
    plain = {n: (t.drop_vars(_extra(t)), d.drop_vars(_extra(d))) for n, (t, d) in pairs.items()}
    ranked = calibration(
        {n: t for n, (t, _) in plain.items()},
        {n: d for n, (_, d) in plain.items()},
        seed=seed,
        progress=progress,
    )
    edges = [
        xr.DataArray(e.cpu().numpy(), dims="parameter", coords={"parameter": observed["parameter"]})
        for e in (problem.low, problem.high)
    ]
    balls = tarp(observed["theta"], kept["theta"], *edges, seed=seed)
    few = slice(0, _PREDICTED)
    p_value = predictive(
        problem,
        kept[["theta"]].isel(observation=few),
        observed["events"].isel(observation=few),
        seed=seed,
        progress=progress,
    )["p_value"]
    return ranked[["rank"]].assign(
        expected_coverage=balls["expected_coverage"],
        p_value=p_value.isel(draw=0, drop=True).reindex(observation=ranked["observation"]),
    )


def _extra(array: xr.DataArray) -> list[str]:
    """Return coordinates that the two sides need not share."""
    return [str(n) for n in array.coords if n not in ("observation", "parameter", "place")]


def _curve_values(
    problem: Problem, truth: xr.DataArray, draws: xr.DataArray
) -> dict[str, tuple[xr.DataArray, xr.DataArray]]:
    """Return the first curve at a few places of its grid, for the truth and for draws."""
    if not problem.curves:
        return {}
    curve = problem.curves[0]
    chosen = np.linspace(0, len(curve.grid) - 1, _PLACES + 2).round().astype(int)[1:-1]
    names = [f"{curve.name} at {curve.grid_name} = {curve.grid[i]:.2g}" for i in chosen]

    def values(theta: xr.DataArray) -> xr.DataArray:
        ordered = theta.transpose(..., "parameter")
        rows = torch.as_tensor(ordered.values.reshape(-1, ordered.shape[-1]), dtype=torch.float64)
        with torch.no_grad():
            pieces = [problem.curve(curve, part)[:, chosen] for part in torch.split(rows, 65536)]
        found = torch.cat(pieces).cpu().numpy().reshape(*ordered.shape[:-1], _PLACES)
        coords = {"observation": theta["observation"], "place": np.array(names, dtype=object)}
        return xr.DataArray(found, dims=(*ordered.dims[:-1], "place"), coords=coords)

    return {curve.name: (values(truth), values(draws))}


def _keys(inference: Inference) -> dict[str, Any]:
    return {"encoder": inference.encoder.key, "posterior": inference.posterior.key}
