"""What is measured of a trained posterior: beside the exact one, and over many observations.

Two products of the store come out, which figures, notebooks and the dashboard show: the
posteriors of a few observations at several numbers of events, each as estimated, as corrected
by importance weights, and exactly; and the calibration over many observations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr

from presage.analysis.c2st import MINIMUM, c2st
from presage.analysis.importance import resample
from presage.labels import LabelError
from presage.studies.pdf import exhibits
from presage.studies.pdf.calibrate import calibrate as check
from presage.studies.pdf.campaign import Campaign
from presage.studies.pdf.correction import weigh
from presage.studies.pdf.inference import Inference
from presage.studies.pdf.predictive import predictive
from presage.studies.pdf.reference import reference
from presage.studies.pdf.study import STUDY
from presage.studies.settings import StudySettings, setting

#: Values of the first curve whose ranks are looked at.
_PLACES = 3
#: Fewest draws that ranks of corrected posteriors are counted among.
_FEWEST = 20
#: Observations that predictive p-values are simulated for, at most.
_PREDICTED = 200


@dataclass(frozen=True)
class Effort(StudySettings):
    """How many draws are made.

    Parameters
    ----------
    n_draws
        Draws of each posterior that is compared.
    n_proposals
        Draws of the estimate that corrected ones are chosen from.
    n_ranked
        Draws of the estimate for each observation of the calibration.
    n_kept
        Draws that the calibration's corrected posteriors keep of those.
    seed
        Of all of them.
    """

    n_draws: int = setting(2000, least=1)
    n_proposals: int = setting(20_000, least=1)
    n_ranked: int = setting(1000, least=1)
    n_kept: int = setting(100, least=1)
    seed: int = 0

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = STUDY.presets


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
    """
    counts = sorted({int(n) for n in sizes} or {campaign.n_events})
    if counts[0] < 1 or counts[-1] > campaign.n_events:
        raise LabelError(f"sizes lie between 1 and {campaign.n_events} events, got {counts}")
    inputs = [campaign.observations, inference.encoder, inference.posterior]
    recipe = exhibits.recipe(
        exhibits.POSTERIORS, campaign.single, inputs, effort.seed,
        sizes=tuple(counts), draws=effort.n_draws, proposals=effort.n_proposals,
    )  # fmt: skip

    def make() -> xr.Dataset:
        observed = observed_sets(campaign.observations)
        made = {n: _at_size(campaign, inference, observed, n, effort, progress) for n in counts}
        kinds = {kind: {n: made[n][kind] for n in counts} for kind in exhibits.KINDS}
        numbers = xr.concat([made[n]["numbers"] for n in counts], dim=pd.Index(counts, name="size"))
        about = {"n_theta": campaign.n_samples, "n_repeat": campaign.n_repeat, **_keys(inference)}
        return exhibits.posteriors_product(
            campaign.single, observed, kinds, numbers, effort.n_draws, seed=effort.seed,
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
    drawn = inference.sample(events, effort.n_proposals, seed=effort.seed, probe=False)
    estimate = drawn.isel(draw=slice(0, effort.n_draws))
    weighted = weigh(problem, drawn, events, progress=progress)
    count = _worth(weighted, effort.n_draws, least=MINIMUM)
    corrected = resample(weighted[["theta"]], weighted["log_weight"], count, seed=effort.seed)
    exact = reference(
        problem, events, effort.n_draws, seed=effort.seed, store=campaign.store, progress=progress
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
            "p_value": drawn["p_value"],
            "reliable": exact["reliable"],
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
    settings = {"kind": kind, "ranked": effort.n_ranked, "corrected": effort.n_kept}
    recipe = exhibits.recipe(exhibits.CALIBRATION, campaign.single, inputs, effort.seed, **settings)

    def make() -> xr.Dataset:
        observed = observed_sets(campaign.calibration)
        checks = _checks(campaign, inference, observed, kind, effort, progress)
        about = {"kind": kind, "n_theta": campaign.n_samples, **_keys(inference)}
        return exhibits.calibration_product(campaign.single, checks, about)

    return campaign.store.compute(recipe, make)


def _checks(
    campaign: Campaign,
    inference: Inference,
    observed: xr.Dataset,
    kind: str,
    effort: Effort,
    progress: bool,
) -> xr.Dataset:
    """Return ranks and what follows from them, for the estimate or corrected."""
    problem, events, truth = campaign.single, observed["events"], observed["theta"]
    kept = inference.sample(events, effort.n_ranked, seed=effort.seed, probe=False)
    weights: dict[str, xr.DataArray] = {}
    density: xr.DataArray | None = inference.log_prob(truth, events)
    if kind == "corrected":
        weighted = weigh(problem, kept, events, progress=progress)
        weights = {n: weighted[n] for n in ("efficiency", "pareto_k")}
        count = _worth(weighted, effort.n_kept, least=_FEWEST)
        kept = resample(weighted[["theta"]], weighted["log_weight"], count, seed=effort.seed)
        density = None
    checked = check(
        problem, kept, truth, events, points=_PLACES, curves=1, log_prob_at_truth=density,
        seed=effort.seed, progress=progress,
    )  # fmt: skip
    few = slice(0, _PREDICTED)
    p_value = predictive(
        problem,
        kept[["theta"]].isel(observation=few),
        events.isel(observation=few),
        seed=effort.seed,
        progress=progress,
    )["p_value"]
    return checked.assign(
        {**weights, "p_value": p_value.isel(draw=0, drop=True).reindex_like(checked["rank"])}
    )


def _keys(inference: Inference) -> dict[str, Any]:
    return {"encoder": inference.encoder.key, "posterior": inference.posterior.key}
