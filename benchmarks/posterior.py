"""Posteriors of sets of events: ours, NPE of `sbi`, and two that need no training.

Both see as many sets, each of parameters of its own (ours half of them towards the edges of the
prior), and sbi's trains for as long as ours did, in seconds of one processor core. All answer for
the same observations at several numbers of events, and are held against the exact posterior. The
baselines are the prior, and the normal law of the Fisher information around the best point.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from benchmarks.core import Result, aligned
from benchmarks.posterior_scores import (
    Scores,
    fisher_draws,
    labelled,
    physical,
    prior_draws,
    score,
)
from presage.models.inputs import fit_features, to_scale
from presage.models.threads import one_thread
from presage.store import Store
from presage.studies.pdf.campaign import Campaign
from presage.studies.pdf.inference import Inference
from presage.studies.pdf.problem import Problem
from presage.studies.pdf.reference import reference
from presage.studies.pdf.training import PRESETS, Training

#: Which interpreter has sbi.
VARIABLE = "PRESAGE_BENCH_SBI"
PROBLEMS = ("gaussian", "simplified_dis", "realistic_dis", "mceg")
#: Largest mean accuracy at few and at many events; the others are harder.
_C2ST = {"gaussian": (0.55, 0.60), "simplified_dis": (0.55, 0.60)}
_HARDER, _CORRECTED, _EFFICIENCY, _SECONDS = (0.65, 0.65), 0.52, (0.5, 0.3), 600.0
#: Settings of sbi's network and training: the best of those tried in the same time.
_RIVAL = {
    "flow": "zuko_nsf", "width": 64, "embedded": 32, "pooling": "mean", "batch": 64, "rate": 1e-3,
    "patience": 20,
}  # fmt: skip
#: How much the rival draws for each draw that is compared: some are not physical. It reads the
#: whole set again for the density of every draw, so there are no more.
_SPARE = 1.5


@dataclass(frozen=True)
class Plan:
    """How much is simulated, trained and compared."""

    # Sets of events, each of other parameters, and events of a set.
    samples: int
    events: int
    sizes: tuple[int, ...]  # Numbers of events that are compared.
    observations: int  # Sets that are observed.
    # Draws of each posterior, and those that are weighed.
    draws: int
    corrected: int
    training: dict[str, Any] = field(default_factory=dict)  # Settings that differ from the study's.


_QUICK = {"sizes": (50, 200), "encoder_epochs": 2, "epochs": 20}
PLANS = {
    "small": Plan(2000, 200, (50, 200), 4, 1000, 2000, _QUICK),
    "full": Plan(100_000, 1000, (100, 1000), 10, 2000, 10_000),
}


@dataclass(frozen=True)
class Row:
    """One line of the table: who, of which problem, at how many events."""

    problem: str
    size: int
    maker: str
    scores: Scores | None
    seconds: float | None = None
    draws_per_second: float | None = None
    note: str = ""


def run(size: str, folder: Path, problems: Iterable[str] = PROBLEMS) -> list[Result]:
    """Compare on each problem; print the table and return what has a bar."""
    plan, results = PLANS[size], []
    with one_thread():
        for name in problems:
            rows = list(_compare(name, plan, folder / name))
            print(_table(rows), flush=True)
            results += _results(rows, size == "full")
    return results


def _compare(name: str, plan: Plan, folder: Path) -> Iterator[Row]:
    campaign = Campaign(
        Store(folder / "store"),
        name,
        plan.samples,
        plan.events,
        n_observations=plan.observations,
        n_calibration=1,
    )
    campaign.make()
    trained = _ours(campaign, plan)
    if VARIABLE in os.environ:
        trained["sbi"] = _rival(campaign, plan, trained["presage"].seconds, folder / "sbi")
    for events in plan.sizes:
        observed = _observed(campaign, events)
        exact = reference(
            campaign.single, observed["events"], plan.draws, store=campaign.store, progress=False
        ).rename(sample="observation")
        yield from _judged(campaign.single, plan, observed, exact, trained)
    if VARIABLE not in os.environ:
        note = f"not run: set {VARIABLE} to a Python that has sbi, see benchmarks/peers.txt"
        yield Row(name, 0, "sbi", None, note=note)


@dataclass(frozen=True)
class Maker:
    """Posteriors for each number of events, and what they cost."""

    posteriors: dict[int, xr.Dataset]
    seconds: float
    draws_per_second: float
    note: str = ""


def _judged(
    problem: Problem, plan: Plan, observed: xr.Dataset, exact: xr.Dataset, trained: dict[str, Maker]
) -> Iterator[Row]:
    """Yield the scores of everybody at one number of events."""
    events, count = observed["events"].rename(sample="observation"), observed.sizes["event"]
    truth = observed["theta"].rename(sample="observation")
    makers: dict[str, Any] = {
        **{name: lambda m=maker: m.posteriors[count] for name, maker in trained.items()},
        "Fisher": lambda: fisher_draws(problem, exact, count, plan.corrected),
        "prior": lambda: prior_draws(problem, observed.sizes["sample"], plan.corrected),
    }
    for name, make in makers.items():
        known = trained.get(name)
        cost = (known.seconds, known.draws_per_second, known.note) if known else (None, None, "")
        try:
            own = known is not None and name != "sbi"
            made = physical(problem, make(), plan.corrected if own else plan.draws)
            scores = score(problem, events, truth, exact, made)
            yield Row(problem.name, count, name, scores, *cost)
        except (RuntimeError, ValueError) as error:
            yield Row(problem.name, count, name, None, *cost[:2], note=str(error)[:80])


def _observed(campaign: Campaign, count: int) -> xr.Dataset:
    """Return the observations with their first events only."""
    return campaign.observations.isel(repeat=0, event=slice(0, count)).load()


def _ours(campaign: Campaign, plan: Plan) -> dict[str, Maker]:
    """Train as the study does."""
    training = Training(**{**PRESETS.get(campaign.problem, {}), **plan.training})
    began = time.process_time()
    trained = training.fit(campaign.train, campaign.store, progress=False)
    took = time.process_time() - began
    inference = Inference(campaign.single, trained.encoder, trained.posterior)
    return {"presage": _asked(inference, campaign, plan, took)}


def _asked(inference: Inference, campaign: Campaign, plan: Plan, took: float) -> Maker:
    """Draw for every observation."""
    posteriors, speed = {}, []
    for count in plan.sizes:
        events = _observed(campaign, count)["events"]
        began = time.process_time()
        drawn = inference.sample(events, plan.corrected, probe=False)
        speed.append(drawn["log_prob"].size / (time.process_time() - began))
        posteriors[count] = drawn.rename(sample="observation")
    return Maker(posteriors, took, float(np.median(speed)))


def _rival(campaign: Campaign, plan: Plan, budget: float, folder: Path) -> Maker:
    """Let sbi train on the same sets for as long, in its own interpreter."""
    problem = campaign.single
    folder.mkdir(parents=True)
    # It knows nothing of theta drawn towards edges.
    flat = replace(campaign, towards_edges=0.0)
    flat.make()
    _export(flat, plan, folder)
    settings = {
        "budget": budget, "threads": 1, "seed": 0, "observed": plan.sizes, "events": plan.events,
        "sizes": sorted({*plan.sizes, plan.events}), "draws": int(_SPARE * plan.draws),
        "low": problem.low.tolist(), "high": problem.high.tolist(), **_RIVAL,
    }  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    script, place = Path(__file__).resolve().with_name("sbi_npe.py"), folder.resolve()
    told = subprocess.run(
        [os.environ[VARIABLE], str(script), str(place)], capture_output=True, text=True,
        cwd=place,  # sbi leaves logs where it runs
        env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False, encoding="utf-8"
    )  # fmt: skip
    if told.returncode:
        raise RuntimeError(f"{os.environ[VARIABLE]} failed: {told.stderr[-2000:]}")
    posteriors = {}
    for count in plan.sizes:
        with np.load(folder / f"draws_{count}.npz") as found:
            posteriors[count] = labelled(problem, found["theta"], found["log_prob"])
    took = json.loads((folder / "timing.json").read_text(encoding="utf-8"))
    return Maker(
        posteriors,
        took["cpu"],
        took["draws_per_second"],
        f"{took['epochs']} epochs",
    )


def _export(campaign: Campaign, plan: Plan, folder: Path) -> None:
    """Write sets on the scales that our networks see them on, standardised, in float32."""
    data = campaign.train
    fitted = fit_features(data["events"].isel(sample=slice(0, 200)))
    mean, std = (torch.tensor(fitted[name], dtype=torch.float64) for name in ("shift", "width"))

    def scaled(values: np.ndarray) -> np.ndarray:
        on_scale = to_scale(torch.from_numpy(values.astype(np.float64)), fitted)
        return ((on_scale - mean) / std).float().numpy()

    np.save(folder / "theta.npy", data["theta"].values)
    shape = data["events"].shape
    held = np.lib.format.open_memmap(folder / "events.npy", "w+", np.float32, shape)
    for first in range(0, shape[0], 100):
        rows = slice(first, first + 100)
        held[rows] = scaled(data["events"].isel(sample=rows).values)
    held.flush()
    for count in plan.sizes:
        observed = _observed(campaign, count)["events"]
        np.save(folder / f"observed_{count}.npy", scaled(observed.values))


_HEAD = (
    "problem", "N", "posterior", "C2ST", "worst", "corrected", "worst", "weighed", "efficiency",
    "k", "sd ratio", "farthest", "RMSE ratio", "reliable", "training s", "draws/s", "",
)  # fmt: skip


def _table(rows: list[Row]) -> str:
    """Return all that was measured, one posterior a line."""
    lines = [_HEAD]
    for row in rows:
        s = row.scores
        numbers = [""] * 11 if s is None else [
            f"{s.c2st:.3f}", f"{s.worst:.3f}", f"{s.corrected:.3f}", f"{s.corrected_worst:.3f}",
            f"{s.weighed:.0%}", f"{s.efficiency:.1%}", f"{s.pareto_k:.2f}", f"{s.deviation:.2f}",
            f"{s.deviation_extreme:.2f}", f"{s.error:.3f}", f"{s.reliable:.0%}",
        ]  # fmt: skip
        cost = ["" if v is None else f"{v:.0f}" for v in (row.seconds, row.draws_per_second)]
        size = str(row.size) if row.size else ""
        lines.append((row.problem, size, row.maker, *numbers, *cost, row.note))
    return aligned(lines)


def _results(rows: list[Row], full: bool) -> list[Result]:
    """Return what there are bars for; they hold at full size only."""
    found = []
    sizes = sorted({row.size for row in rows if row.scores})
    for row in rows:
        if row.maker != "presage" or row.scores is None:
            continue
        place = sizes.index(row.size) and 1
        other = next((r for r in rows if (r.size, r.maker) == (row.size, "sbi")), None)
        name = f"posterior/{row.problem}, N = {row.size}"
        bars = (
            ("C2ST", "c2st", _C2ST.get(row.problem, _HARDER)[place], True),
            ("C2ST corrected", "corrected", _CORRECTED, True),
            ("efficiency", "efficiency", _EFFICIENCY[place], False),
            ("RMSE ratio", "error", 1.05, True),
        )
        for what, field_name, bar, most in bars:
            value, theirs = (
                None if r is None or r.scores is None else getattr(r.scores, field_name)
                for r in (row, other)
            )
            note = "" if theirs is None else f"sbi {theirs:.3g}"
            found.append(
                Result(f"{name}: {what}", value, "", bar if full else None, most, note=note)
            )
        if place == 0:
            bar = _SECONDS if full else None
            found.append(Result(f"{name}: training", row.seconds, "s of one core", bar, True))
    return found
