"""What simulating the chosen labels gains, against as much simulation at random labels.

Both arms add their labels to the grid, train anew, and are judged as before: by K folds over
the labels of the original grid, in the same folds, with the same seeds and against the same
truth. The added labels are in every training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from presage.analysis.judging import model_of
from presage.analysis.labelled import declared
from presage.analysis.report import parameters_of
from presage.emulation.grid import LabelledSimulator
from presage.emulation.split import unique_labels
from presage.generate import simulate
from presage.labels import LabelError, unitless
from presage.lineage import parent_of
from presage.progress import Bar
from presage.recipe import Recipe
from presage.simulator import Reader
from presage.studies.events.refine.joined import JoinedEvents
from presage.studies.events.refine.kfolds import KFold
from presage.studies.events.refine.outcome import BEFORE, CHOSEN, RANDOM, Gain, Request
from presage.studies.events.refine.ranking import at_random, first, label_errors

#: Raised whenever the numbers change.
VERSION = 1


def refine(
    events: xr.Dataset,
    simulator: Any,
    before: KFold,
    ranking: xr.Dataset,
    *,
    labels: int = 10,
    random: int = 1,
    events_per_label: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Gain | Request:
    """Simulate the best candidates, train anew, and compare with random candidates.

    Parameters
    ----------
    events
        Events on the original grid.
    simulator
        What made them. A :class:`~presage.emulation.grid.LabelledSimulator` is asked
        for the same at other labels; a reader of files cannot be.
    before
        Of :func:`kfold`, on these events; each arm is judged in the same way.
    ranking
        Of :func:`rank`, from `before`.
    labels
        How many of the best candidates are simulated.
    random
        How often as much is simulated at random candidates.
    events_per_label
        Events at each added label; by default the mean of the grid.
    seed
        Of the added events, which must differ from the seeds of the grid and of its truth,
        and of the random choice.
    progress
        Show bars.

    Returns
    -------
    Gain or Request
        What was gained; for a reader of files, the labels to ask for. Kept in the store.

    Raises
    ------
    LabelError
        Fewer than one label or more than there are candidates, or a simulator of other
        labels than those of the events.
    """
    chosen, store = first(ranking, labels), before.store
    if isinstance(simulator, Reader):
        asked = Recipe("label_request", VERSION, {"labels": labels}, parents=(parent_of(ranking),))
        return Request(store.compute(asked, lambda: chosen))
    _check_simulator(simulator, events)
    each = events_per_label or round(float(unique_labels(events)["events"].mean()))
    if each < 1 or random < 1:
        raise LabelError(
            "events_per_label and random, how often labels are chosen at random, are at least 1; "
            f"got {each} and {random}"
        )
    names = [RANDOM] if random == 1 else [f"{RANDOM} {i}" for i in range(1, random + 1)]
    budget = float(chosen["cost"].sum())
    arms = {CHOSEN: chosen}
    arms |= {name: at_random(ranking, budget, seed + i) for i, name in enumerate(names)}
    products = {BEFORE: before.dataset}
    for name, added in (bar := Bar(arms.items(), unit="arm", disable=not progress)):
        bar.set_description(name)
        source, n = simulator.at_labels(labels_of(added)), each * added.sizes["rank"]
        more = simulate(source, n, seed=seed, store=store, progress=progress)
        both = simulate(JoinedEvents(events, more), store=store, progress=progress)
        products[name] = before.again(both).dataset
    fields = {"arms": list(products), "labels": int(labels), "events_per_label": int(each)}
    parents = tuple(parent_of(dataset) for dataset in (ranking, *products.values()))
    recipe = Recipe("refinement", VERSION, fields, seed=seed, parents=parents)
    return Gain(store.compute(recipe, lambda: gained(products, arms)))


def gained(products: Mapping[str, xr.Dataset], arms: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Put K-fold residuals of the same labels, by arm, beside each other.

    The first is before anything was added; `arms` has the labels that each added, rows of a
    ranking. There are ``w1_over_std``, ``floor`` and ``error[arm, label]`` of the worst variable,
    the last with the noise subtracted; ``added[arm, place]`` and ``added_<parameter>``, which
    labels were added; ``cost[arm]``.
    """
    first_product = next(iter(products.values()))
    rows = {
        "w1_over_std": [_worst(p, model_of(p)) for p in products.values()],
        "floor": [_worst(p, "floor") for p in products.values()],
        "error": [label_errors(p).values for p in products.values()],
    }
    about = {
        "w1_over_std": "W1/std of the worst variable, each label held out once",
        "floor": "what chance alone gives",
        "error": "W1/std of the worst variable, noise subtracted",
    }
    data: dict[str, Any] = {
        name: (("arm", "label"), np.stack(values), unitless(about[name]))
        for name, values in rows.items()
    }
    coords = {
        name: ("label", first_product[name].values, dict(first_product[name].attrs))
        for name in (*parameters_of(first_product), "region")
    }
    data |= _added(list(products), arms, parameters_of(first_product))
    coords["arm"] = ("arm", np.array(list(products), dtype=object), {})
    return xr.Dataset(data, coords)


def _worst(product: xr.Dataset, source: str) -> Any:
    return product["w1_over_std"].sel(source=source).max("variable").values


def _added(names: list[str], arms: Mapping[str, xr.Dataset], parameters: list[str]) -> Any:
    """Return which labels each arm added, padded to the longest, and what they cost."""
    most = max(added.sizes["rank"] for added in arms.values())
    shape = len(names), most
    there = np.zeros(shape, dtype=np.int8)
    columns = {name: np.full(shape, np.nan) for name in parameters}
    cost = np.zeros(len(names))
    for i, name in enumerate(names):
        if name in arms:
            number = arms[name].sizes["rank"]
            there[i, :number] = 1
            cost[i] = float(arms[name]["cost"].sum())
            for parameter, column in columns.items():
                column[i, :number] = arms[name][parameter].values
    dims = ("arm", "place")
    attrs = {p: dict(next(iter(arms.values()))[p].attrs) for p in parameters}
    for about in attrs.values():
        about["long_name"] = f"added {about.get('long_name', 'label')}"
        about.pop("role", None)
    return {
        "added": (dims, there, unitless("a label was added")),
        **{f"added_{p}": (dims, column, attrs[p]) for p, column in columns.items()},
        "cost": ("arm", cost, unitless("cost of the added labels")),
    }


def labels_of(ranking: xr.Dataset) -> list[tuple[float, ...]]:
    """Return the labels of a ranking, or of part of one, as tuples."""
    columns = [ranking[name].values for name in parameters_of(ranking, "rank")]
    return [tuple(row) for row in np.stack(columns, axis=1).tolist()]


def _check_simulator(simulator: Any, events: xr.Dataset) -> None:
    if not isinstance(simulator, LabelledSimulator):
        raise LabelError(
            f"{getattr(simulator, 'name', type(simulator).__name__)} cannot simulate new labels; "
            "a LabelledSimulator can"
        )
    theirs = [parameter.name for parameter in simulator.parameters]
    ours = [parameter.name for parameter in declared(events, "the events")[1]]
    if ours != theirs:
        raise LabelError(
            f"the events have the labels {', '.join(ours)}, "
            f"{simulator.name} simulates {', '.join(theirs)}"
        )
