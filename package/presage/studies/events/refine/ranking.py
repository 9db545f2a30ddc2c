r"""Which labels to simulate next: the largest expected error per unit of cost.

*Expected error.* Two signs of it are known where nothing was simulated:

1. K folds measure, at every label, the error e of a model that has not seen it. What chance
   alone gives, the floor f, is taken off, :math:`\sqrt{\max(0, e^2 - f^2)}`, and the worst
   variable counts. Its square is interpolated linearly between the labels, with the weights
   of the cell around the candidate that moment morphing uses.
2. The models of the folds disagree, see :meth:`.KFold.disagreement`. That needs no truth, but says
   nothing of a fault that all of them share.

Neither is an error bar. Spearman's correlation with the error that a model of all labels has
at 85 candidates is 0.52 for the first, 0.58 for the second and 0.63 for their geometric mean
(ten repeats of ``benchmarks/refine.py``), which therefore is the expected error.

*Cost.* Simulated events per accepted one, relative to the cheapest label: where a cut leaves
few events, more have to be simulated for the same number.

*Selection* is greedy. A label that is simulated takes most of the (squared) error around it
away, by :math:`1 - \exp(-d^2/2\ell^2)` at d steps of the grid, so that the next one is looked
for elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from presage.analysis.judging import model_of
from presage.analysis.labelled import Floats, Integers, Labels
from presage.analysis.morphing import label_weights
from presage.analysis.report import parameters_of
from presage.labels import LabelError, Variable, unitless
from presage.lineage import parent_of
from presage.recipe import Parent, Recipe
from presage.rng import generator
from presage.studies.events.refine.kfolds import KFold
from presage.studies.events.refine.places import Steps, candidates_of

#: Raised whenever the numbers change.
VERSION = 1
#: Reach of a simulated label in steps of the grid, l.
REACH = 0.5
#: Candidates at which the folds' models are compared: those of the largest K-fold error.
MOST = 1000

Cost = Callable[[Floats], Floats]


def label_errors(product: xr.Dataset, metric: str = "w1_over_std") -> xr.DataArray:
    """Return the error of the model at each label, noise subtracted, of its worst variable.

    Parameters
    ----------
    product
        Of :func:`kfold`, or other residuals.
    metric
        One of :data:`presage.analysis.metrics.METRICS` that is given for each variable.

    Returns
    -------
    xarray.DataArray
        ``[label]``.
    """
    error = abs(product[metric].sel(source=model_of(product), drop=True))
    floor = abs(product[metric].sel(source="floor", drop=True))
    excess = (error**2 - floor**2).clip(min=0.0) ** 0.5
    worst = excess.max([dim for dim in excess.dims if dim != "label"])
    return worst.rename("error").assign_attrs(
        long_name=f"{metric} of the worst variable, noise subtracted", units="1"
    )


def rank(
    kfold: KFold,
    *,
    candidates: Labels | int | None = None,
    cost: Cost | None = None,
    metric: str = "w1_over_std",
    reach: float = REACH,
    seed: int = 0,
    progress: bool = True,
) -> xr.Dataset:
    """Rank labels by the error expected there per unit of cost.

    Parameters
    ----------
    kfold
        Of :func:`kfold`.
    candidates
        Labels of your own; a number of quasi-random ones within the range of the labels; by
        default the midpoints between neighbouring labels.
    cost
        Function of labels ``[label, parameter]`` that returns relative costs above 0, such
        as :func:`cost_by_counts` makes. By default all cost the same.
    metric
        What is meant by error.
    reach
        How far a chosen label helps, in steps of the grid.
    seed
        Of quasi-random candidates, and of the events by which the models are compared.
    progress
        Show bars.

    Returns
    -------
    xarray.Dataset
        Best first, along ``rank`` from 1 on: the label's parameters as coordinates,
        ``kfold_error``, ``disagreement``, ``expected_error``, ``cost``, ``score`` (the ratio
        of the last two) and ``remaining_score``, what is left of it once all labels before
        are simulated. Kept in the store.

    Raises
    ------
    LabelError
        A candidate lies outside the range of the labels, is one of them, or given twice; a
        cost is not a number above 0.
    """
    product = kfold.dataset
    declared = [Variable.of(product[name], sample="label") for name in parameters_of(product)]
    table = np.stack([product[p.name].values for p in declared], axis=1)
    if not reach > 0:
        raise LabelError(f"reach is a distance above 0 in steps of the grid, got {reach!r}")
    chosen = candidates_of(table, candidates, declared, seed)
    steps = Steps(table)
    squared = interpolated(steps, chosen, label_errors(product, metric).values ** 2)
    if len(chosen) > MOST:
        best = np.sort(np.argsort(-squared, kind="stable")[:MOST])
        chosen, squared = chosen[best], squared[best]
    costs = _checked_costs(chosen, cost)

    def make() -> xr.Dataset:
        apart = kfold.disagreement(chosen, seed=seed, progress=progress)
        expected = np.sqrt(np.sqrt(squared) * apart)
        order, left = _greedy(steps.at(chosen), (expected / costs) ** 2, reach)
        columns = _columns(np.sqrt(squared), apart, expected, costs)
        ranked = {name: ("rank", v[order], about) for name, (v, about) in columns.items()}
        text = "score that is left once all labels before are simulated"
        ranked["remaining_score"] = ("rank", np.sqrt(left), unitless(text))
        return xr.Dataset(ranked, _coordinates(chosen[order], declared), {"metric": metric})

    fields = {"candidates": chosen, "costs": costs, "metric": metric, "reach": float(reach)}
    parents = (parent_of(product), *(Parent(fit.key) for fit in kfold.fits))
    recipe = Recipe("label_ranking", VERSION, fields, seed=seed, parents=parents)
    return kfold.store.compute(recipe, make)


def _columns(kfold_error: Floats, apart: Floats, expected: Floats, costs: Floats) -> dict[str, Any]:
    told = {
        "kfold_error": (kfold_error, "K-fold error, interpolated"),
        "disagreement": (apart, "W1/std between the folds' models"),
        "expected_error": (expected, "expected error"),
        "cost": (costs, "relative cost of an event"),
        "score": (expected / costs, "expected error / cost"),
    }
    return {name: (v, unitless(text)) for name, (v, text) in told.items()}


def _coordinates(labels: Floats, declared: list[Variable]) -> dict[str, Any]:
    number = np.arange(1, len(labels) + 1)
    about = unitless("order in which to simulate")
    coordinates = {
        p.name: ("rank", labels[:, i], p.attributes() | {"role": "parameter"})
        for i, p in enumerate(declared)
    }
    return {"rank": ("rank", number, about), **coordinates}


def interpolated(steps: Steps, labels: Floats, values: Floats) -> Floats:
    """Return values ``[label]`` known at the labels of `steps`, interpolated linearly."""
    # The corners of a cell are among the nearest labels; all of a large grid would take long.
    number = min(len(steps.places), 4 * 2 ** steps.places.shape[1])
    found = []
    for place in steps.at(labels):
        squared = ((steps.places - place) ** 2).sum(axis=1)
        near = np.sort(np.argsort(squared, kind="stable")[:number])
        found.append(label_weights(steps.places[near], place).mixing @ values[near])
    return np.array(found)


def _greedy(places: Floats, score: Floats, reach: float) -> tuple[Integers, Floats]:
    """Order candidates by what is left of their score after those before; and what that is."""
    left = np.array(score, dtype=float)
    order, remaining = [], []
    for _ in range(len(score)):
        best = int(left.argmax())
        order.append(best)
        remaining.append(left[best])
        squared = ((places - places[best]) ** 2).sum(axis=1)
        left *= -np.expm1(-squared / (2 * reach**2))
        left[best] = -1.0
    return np.array(order, dtype=np.int64), np.array(remaining)


def cost_by_counts(counts: xr.Dataset) -> Cost:
    """Return the cost function of uneven counts: events simulated for each one kept.

    Parameters
    ----------
    counts
        Labels and ``events`` along ``label``, of
        :func:`presage.emulation.split.unique_labels`. As many are taken to have been
        simulated at each label; between labels, logarithms are interpolated.
    """
    steps = Steps(np.stack([counts[name].values for name in parameters_of(counts)], axis=1))
    events = np.maximum(np.asarray(counts["events"].values, dtype=float), 1.0)
    logarithm = np.log(events.max() / events)
    return lambda labels: np.exp(interpolated(steps, labels, logarithm))


def _checked_costs(labels: Floats, cost: Cost | None) -> Floats:
    costs = np.ones(len(labels)) if cost is None else np.asarray(cost(labels), dtype=float)
    if costs.shape != (len(labels),) or not (np.isfinite(costs) & (costs > 0)).all():
        raise LabelError(
            f"cost(labels) should return {len(labels)} numbers above 0, one for each candidate; "
            f"got shape {costs.shape}, {costs.ravel()[:3]}"
        )
    return costs


def table(ranking: xr.Dataset, number: int = 10) -> pd.DataFrame:
    """Return the first `number` labels of a ranking, one row each, with units."""
    rows = ranking.isel(rank=slice(0, number))
    units = {n: str(rows[n].attrs.get("units", "1")) for n in parameters_of(ranking, "rank")}
    heads = {n: n if unit == "1" else f"{n} [{unit}]" for n, unit in units.items()}
    shown = ("kfold_error", "disagreement", "expected_error", "cost", "score", "remaining_score")
    return pd.DataFrame(
        {head: rows[name].values for name, head in heads.items()}
        | {name.replace("_", " "): rows[name].values for name in shown},
        index=pd.Index(rows["rank"].values, name="rank"),
    )


def first(ranking: xr.Dataset, number: int) -> xr.Dataset:
    """Return the `number` best candidates."""
    if int(number) != number or not 1 <= number <= ranking.sizes["rank"]:
        raise LabelError(
            f"1 to {ranking.sizes['rank']} labels can be chosen (so many candidates there are), "
            f"got {number!r}"
        )
    return ranking.isel(rank=slice(0, int(number)))


def at_random(ranking: xr.Dataset, budget: float, seed: int = 0) -> xr.Dataset:
    """Return candidates chosen at random that cost `budget` together, or as near below as fits.

    They are taken in a random order; one that would go beyond the budget is passed over.
    """
    order = generator("presage.refine.random", seed, 0).permutation(ranking.sizes["rank"])
    taken, spent = [], 0.0
    for place in order:
        price = float(ranking["cost"][place])
        if spent + price <= budget * (1 + 1e-9):
            taken.append(int(place))
            spent += price
    return ranking.isel(rank=taken)
