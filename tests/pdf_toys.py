"""Posteriors of the study `pdf` that are made in a second, and products and stores of them.

The reference is exact: importance sampling of the gaussian problem from a normal proposal.
The "estimate" is a broadened, shifted copy of it, so that figures have something to show.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from presage.analysis import calibration as checking
from presage.recipe import Parent, Recipe
from presage.store import Store
from presage.studies.pdf import exhibits
from presage.studies.pdf.draws import Draws
from presage.studies.pdf.gaussian import Gaussian

SIZES = (10, 30, 100, 300, 1000)


def observed(problem: Any, count: int, seed: int = 3) -> xr.Dataset:
    """Return theta and events of `count` observations, as the simulator labels them."""
    draws = Draws(np.random.default_rng(seed))
    theta = problem.draw_theta(draws, count)
    events = problem.events(theta, draws, 1, problem.n_events)
    coords = {c.name: c.variable() for c in problem.coordinates}
    return xr.Dataset(
        {
            "theta": (("sample", "parameter"), theta.numpy()),
            "events": (("sample", "repeat", "event", "feature"), events.numpy()),
        },
        coords=coords,
    )


def exact(problem: Any, events: np.ndarray, n: int, rng: np.random.Generator) -> xr.Dataset:
    """Return weighted draws of the exact posterior ``theta [observation, draw, parameter]``."""
    theta, weight = [], []
    for points in events:
        value = problem.likelihood(torch.from_numpy(points).double())
        centre, spread = _proposal(points)
        drawn = centre + rng.standard_t(5, (40 * n, 5)) * spread
        inside = (drawn > problem.low.numpy()) & (drawn < problem.high.numpy())
        drawn = drawn[inside.all(axis=1)]
        pull = (drawn - centre) / spread
        proposal = -3 * np.log1p(pull**2 / 5).sum(axis=1)
        theta.append(drawn[:n])
        weight.append((value(torch.from_numpy(drawn)).numpy() - proposal)[:n])
        chosen = rng.choice(len(drawn), n, p=_normed(value, drawn, proposal))
        theta[-1], weight[-1] = drawn[chosen], np.zeros(n)
    return labelled(problem, np.stack(theta)).assign(
        log_weight=(("observation", "draw"), np.stack(weight))
    )


def _normed(value: Any, drawn: np.ndarray, proposal: np.ndarray) -> np.ndarray:
    log = value(torch.from_numpy(drawn)).numpy() - proposal
    weight = np.exp(log - log.max())
    return weight / weight.sum()


def _proposal(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n = len(points)
    mean, width = points.mean(axis=0), points.std(axis=0)
    rho = np.clip(np.corrcoef(points.T)[0, 1], -0.75, 0.75)
    centre = np.concatenate([np.clip(mean, -1.9, 1.9), np.clip(width, 0.6, 1.9), [rho]])
    spread = np.concatenate([width / n**0.5, width / (2 * n) ** 0.5, [(1 - rho**2) / n**0.5]])
    return centre, 1.3 * np.minimum(spread, 0.7)


def labelled(problem: Any, theta: np.ndarray) -> xr.Dataset:
    names = np.array([r.name for r in problem.prior], dtype=object)
    dims = ("observation", "draw", "parameter")
    return xr.Dataset({"theta": (dims, theta)}, coords={"parameter": names})


@cache
def posteriors(count: int = 4, draws: int = 1000, sizes: tuple[int, ...] = SIZES) -> xr.Dataset:
    """Return a posteriors product of the gaussian problem."""
    problem, rng = Gaussian(n_events=max(sizes)), np.random.default_rng(1)
    data = observed(problem, count)
    kinds: dict[str, dict[int, xr.Dataset]] = {kind: {} for kind in exhibits.KINDS}
    for size in sizes:
        events = data["events"].values[:, 0, :size]
        reference = exact(problem, events, draws, rng)
        theta = reference["theta"].values
        centre, low, high = theta.mean(axis=1, keepdims=True), problem.low.numpy(), problem.high
        wide = centre + (theta - centre) * rng.uniform(1.0, 1.15, 5)
        wide = wide + 0.25 * theta.std(axis=1, keepdims=True) * rng.standard_normal((1, 1, 5))
        kinds["estimate"][size] = labelled(problem, np.clip(wide, low + 1e-6, high.numpy() - 1e-6))
        kinds["corrected"][size] = exact(problem, events, draws, rng)
        kinds["reference"][size] = reference
    numbers = _numbers(count, sizes, rng)
    about = {"n_theta": 10_000, "encoder": "e" * 64, "posterior": "f" * 64}
    return exhibits.posteriors_product(problem, data, kinds, numbers, attributes=about)


def _numbers(count: int, sizes: tuple[int, ...], rng: np.random.Generator) -> xr.Dataset:
    dims, shape = ("observation", "size"), (count, len(sizes))
    accuracy = np.stack([rng.uniform(0.52, 0.6, shape), rng.uniform(0.5, 0.51, shape)], axis=-1)
    return xr.Dataset(
        {
            "efficiency": (dims, rng.uniform(0.2, 0.8, shape)),
            "pareto_k": (dims, rng.uniform(-0.1, 0.6, shape)),
            "c2st": ((*dims, "kind"), accuracy),
            "c2st_floor": (dims, rng.uniform(0.495, 0.51, shape)),
        },
        coords={
            "observation": np.arange(count),
            "size": list(sizes),
            "kind": np.array(["estimate", "corrected"], dtype=object),
        },
    )


@cache
def calibration(number: int = 1000, draw_count: int = 200, wide: float = 1.0) -> xr.Dataset:
    """Return a calibration product; with `wide` above 1 of posteriors that are too narrow."""
    problem, rng = Gaussian(n_events=1000), np.random.default_rng(0)
    names = [r.name for r in problem.prior]
    centre = rng.uniform(0.3, 0.7, (number, 5))
    box = [xr.DataArray(np.full(5, edge), coords={"parameter": names}) for edge in (0.0, 1.0)]
    truth = xr.DataArray(
        centre + 0.05 * wide * rng.standard_normal((number, 5)),
        dims=("observation", "parameter"), coords={"parameter": names},
    )  # fmt: skip
    draws = xr.DataArray(
        centre[:, None] + 0.05 * rng.standard_normal((number, draw_count, 5)),
        dims=("observation", "draw", "parameter"), coords={"parameter": names},
    )  # fmt: skip
    quantities = [
        {"theta": a, "log_likelihood": -((a - draws.mean("draw")) ** 2).sum("parameter"),
         "density_x": _at_points(a)}
        for a in (truth, draws)
    ]  # fmt: skip
    checks = checking.calibration(*quantities).merge(checking.tarp(truth, draws, *box))
    checks["efficiency"] = ("observation", rng.beta(4, 3, number))
    checks["pareto_k"] = ("observation", rng.normal(0.2, 0.2, number))
    some = np.where(np.arange(number) < 200, rng.uniform(size=number), np.nan)
    checks["p_value"] = (("observation", "draw"), some[:, None])
    return exhibits.calibration_product(problem, checks)


def _at_points(theta: xr.DataArray) -> xr.DataArray:
    """Return a curve at two points, labelled as ranks of curves are."""
    points = xr.DataArray([0.5, 2.0], coords={"at": ["density_x(0.5)", "density_x(2)"]})
    return theta.isel(parameter=0, drop=True) * points


def store_with(
    root: Path, product: xr.Dataset, checked: xr.Dataset | None = None, seed: int = 0
) -> tuple[Store, str]:
    """Return a store with the products and what they descend from, and the first one's key."""
    store, problem = Store(root), Gaussian(n_events=1000)
    events = Recipe("gaussian", 1, {"n_events": 1000}, seed=2)
    fit = Recipe("fit-posterior", 1, {"bins": 16}, parents=(Parent(events.key, 0, 10_000),))
    store.put(events, xr.Dataset({"theta": ("sample", np.arange(5.0))}))
    store.put_file(fit, "declaration.json", lambda sink: sink.write(b"{}"))
    recipe = exhibits.recipe(exhibits.POSTERIORS, problem, [fit], seed=seed)
    store.put(recipe, product)
    if checked is not None:
        store.put(exhibits.recipe(exhibits.CALIBRATION, problem, [fit], seed=seed), checked)
    return store, recipe.key
