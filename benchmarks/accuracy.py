"""How well labels are interpolated: equivalent events, beside the floor and the best rival.

The labels are those that :func:`choose_held_out` picks, inside the grid and on its edge; no
setting was chosen by looking at them in particular. Three trainings, as the spread between seeds
is as large as that between settings. The case `six` has three labels and three masses.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.core import Result
from presage.analysis.histogram_morphing import histogram_morphing
from presage.analysis.labelled import declared, label_table
from presage.analysis.morphing import moment_morphing
from presage.analysis.residuals import compare
from presage.emulation.grid import LabelledSimulator
from presage.emulation.sampling import sample
from presage.emulation.split import choose_held_out, hold_out
from presage.fitting import Fitted
from presage.generate import simulate
from presage.store import Store
from presage.studies.events import Resonance, Training
from presage.studies.events.gaussians import DiagMod, Full, Gaussians, UnitCube
from presage.studies.events.refine import kfold


@dataclass(frozen=True)
class Case:
    """Events on a grid, and what is trained on them."""

    # The simulator, and how many events.
    source: LabelledSimulator
    events: int
    training: Training  # Model and settings.
    truth: int = 250_000  # Events of truth at each held-out label, and as many drawn.
    seeds: int = 3  # Trainings.
    folded: int = 0  # Events of truth a label when every label is held out once; 0 for none.
    # Bars: least median of the equivalent events, longest training.
    equivalent: float | None = None
    minutes: float | None = None


def _cube() -> Gaussians:
    """Return skew, correlated clouds whose widths vary, at 6 x 6 x 6 labels."""
    layout = UnitCube((6, 6, 6))
    square = layout.sigma[0] ** 2
    cloud = Full((square, 1.5 * square, square), (0.5 * square, -0.3 * square, 0.2 * square))
    growth = DiagMod((0.25, -0.1, 0.1))
    return Gaussians.on(layout, cloud, variation=growth, skew=(4.0, 0.0, -3.0))


def _cases(size: str) -> dict[str, Case]:
    sparse, dense = Resonance.on_grid(weights="acceptance"), Resonance.on_grid(weights="equal")
    six = Training(hidden=(96, 96), epochs=8, batch_size=4096, learning_rate=1e-2)
    if size == "small":
        quick = Training(epochs=2)
        return {
            "sparse": Case(sparse, 48_500, quick, truth=10_000, seeds=1),
            "six": Case(_cube(), 50_000, quick, truth=10_000, seeds=1),
        }
    return {
        "sparse": Case(sparse, 48_500, Training(), folded=100_000, equivalent=5e3),
        "10k a label": Case(dense, 1_000_000, Training(), folded=100_000, equivalent=2e4),
        "six": Case(_cube(), 1_000_000, six, truth=100_000, seeds=1, minutes=10),
    }


def run(size: str, folder: Path) -> list[Result]:
    """Train each case and compare at held-out labels."""
    store = Store(folder / "store")
    return [r for name, case in _cases(size).items() for r in _measure(name, case, store)]


def _measure(name: str, case: Case, store: Store) -> list[Result]:
    events = simulate(case.source, case.events, store=store, progress=False)
    labels = choose_held_out(events, interior=6, edge=4)
    train, _ = hold_out(events, labels)
    again = case.source.at_labels(labels)
    n = case.truth * len(labels)
    truth, floor = (simulate(again, n, seed=seed, store=store, progress=False) for seed in (1, 2))
    candidates, took, flow = {}, [], None
    for seed in range(case.seeds):
        began = time.perf_counter()
        part: Any = SimpleNamespace(train=train, store=store)
        flow = replace(case.training, seed=seed).fit(part, progress=False)
        took.append(time.perf_counter() - began)
        candidates[f"seed {seed}"] = sample(
            flow, labels=labels, n=case.truth, store=store, progress=False
        )
    flows = list(candidates)
    candidates |= {
        "morphing": moment_morphing(train, truth, case.truth),
        "histogram morphing": histogram_morphing(train, truth, case.truth),
    }
    product = compare(truth, candidates, floor=floor, trained_labels=train)
    results = [_training(case, took)]
    for region in ("interior", "edge"):
        there = product.isel(label=np.flatnonzero(product["region"].values == region))
        bar = case.equivalent if region == "interior" else None
        results += [replace(r, name=f"{region}, {r.name}") for r in _figures(there, flows, bar)]
    if isinstance(case.source, Gaussians) and flow is not None:
        results.append(_entropy(case.source, truth, flow))
    if case.folded:
        results += _folded(case, events, store)
    return [replace(r, name=f"accuracy/{name}, {r.name}") for r in results]


def _folded(case: Case, events: xr.Dataset, store: Store) -> list[Result]:
    """Hold every label out once: in five folds, and every second label on a checkerboard."""
    labels = label_table(events, declared(events)[1]).tolist()
    n = case.folded * len(labels)
    again = case.source.at_labels(labels)
    truth, floor = (simulate(again, n, seed=s, store=store, progress=False) for s in (1, 2))
    results = []
    for scheme, folds in (("spread", 5), ("checkerboard", 2)):
        product = kfold(
            events, case.training, folds=folds, scheme=scheme, truth=truth, floor=floor,
            minimum=1, store=store, progress=False,
        ).dataset  # fmt: skip
        there = product.isel(label=np.flatnonzero(product["region"].values == "interior"))
        name = f"all interior labels, {scheme}"
        bar = case.equivalent if scheme == "spread" else None
        results += [replace(r, name=f"{name}, {r.name}") for r in _figures(there, ["flow"], bar)]
    return results


def _training(case: Case, took: Sequence[float]) -> Result:
    value = statistics.median(took) / 60
    note = f"{case.events} events, longest of {len(took)} seeds {max(took):.0f} s"
    return Result("training", value, "min", case.minutes, most=True, note=note)


def _figures(product: xr.Dataset, flows: Sequence[str], bar: float | None) -> list[Result]:
    """Return median and worst over seeds, labels and variables, rivals and floor in the note."""
    size = product["equivalent_events"]
    ours = size.sel(source=list(flows))
    results = [
        Result("equivalent events, median", float(ours.median()), "events", bar,
               note=_others(size, product, "median", "{:.0f}")),
        Result("equivalent events, worst", float(ours.min()), "events",
               note=_others(size, product, "min", "{:.0f}")),
    ]  # fmt: skip
    w1 = product["w1_over_std"]
    for variable in product["variable"].values:
        one = w1.sel(variable=variable)
        chosen = one.sel(source=list(flows))
        results.append(
            Result(f"W1/std {variable}, median", float(chosen.median()), "",
                   note=f"worst {float(chosen.max()):.4f}; " + _others(one, product, "median"))
        )  # fmt: skip
    auc = product["auc"]
    chosen = auc.sel(source=list(flows))
    if chosen.isnull().all():
        return results
    note = f"worst {float(chosen.max()):.4f}; floor {float(auc.sel(source='floor').median()):.4f}"
    return [*results, Result("AUC, median", float(chosen.median()), "", note=note)]


def _others(array: xr.DataArray, product: xr.Dataset, statistic: str, form: str = "{:.4f}") -> str:
    """Return ``"morphing 0.0240; floor 0.0031"``: the same figure of rivals and floor."""
    names = [n for n in ("morphing", "histogram morphing", "floor") if n in product["source"]]
    values = (getattr(array.sel(source=name), statistic)() for name in names)
    return "; ".join(f"{n} {form.format(float(v))}" for n, v in zip(names, values, strict=True))


def _entropy(source: Gaussians, truth: xr.Dataset, flow: Fitted) -> Result:
    """Return mean(log p_true - log p_flow) on the same events: the divergence in nats."""
    columns = {name: truth[name].values for name in truth.data_vars}
    density = flow.log_prob(truth).values
    lost = source.log_prob(columns, columns) - density
    error = float(lost.std()) / len(lost) ** 0.5
    note = f"± {error:.5f}; 0 is the exact density"
    return Result("mean(log p_true - log p_flow)", float(lost.mean()), "nat", note=note)
