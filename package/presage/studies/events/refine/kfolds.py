"""Where does interpolation fail: every label held out once, each fold by a model of its own.

The result is an ordinary residuals product (tables, figures and the dashboard take it as it
is) in which every label is held out. The rivals are treated alike: their events, too, are
made from the labels of the other folds only.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any, Protocol

import numpy as np
import xarray as xr

from presage.analysis.compare import compare
from presage.analysis.labelled import FEWEST, Floats, Integers, Labels, declared, group, label_table
from presage.analysis.residuals import RIVALS, VERSION, Residuals
from presage.emulation.sampling import RangeWarning, sample
from presage.emulation.split import at_labels, hold_out
from presage.emulation.transport import HeldOut
from presage.labels import LabelError
from presage.lineage import parent_of
from presage.progress import Bar
from presage.recipe import Recipe
from presage.store import Store
from presage.studies.events.refine.folds import folds_of


class Trainer(Protocol):
    """What trains a model on events: :class:`presage.studies.events.Training`, for one."""

    def fit(self, campaign: Any, progress: bool = ...) -> Any:
        """Train on ``campaign.train``, in ``campaign.store``."""


@dataclass(frozen=True)
class Fold:
    """One fold: what is trained on, and the labels that are held out."""

    train: xr.Dataset  # events at all other labels
    labels: Floats  # held-out labels ``[label, parameter]``
    sizes: Integers  # events to draw at each of them
    store: Store  # where everything is kept

    def draw(self, fitted: Any, seed: int, progress: bool) -> xr.Dataset:
        """Draw at the held-out labels."""
        return _drawn(fitted, self.labels, self.sizes.tolist(), seed, self.store, progress)


def _drawn(
    fitted: Any,
    labels: Floats,
    n: int | list[int],
    seed: int,
    store: Store,
    progress: bool = False,
) -> xr.Dataset:
    """Draw at labels that a fold's model need not have seen around."""
    with warnings.catch_warnings():
        # The edge of the grid is held out on purpose; the product says which labels those are.
        warnings.simplefilter("ignore", RangeWarning)
        return sample(
            fitted, labels=labels.tolist(), n=n, seed=seed, store=store, progress=progress
        )


@dataclass(frozen=True, repr=False)
class KFold(Residuals):
    """Residuals in which every label is held out, with ``fold[label]``, and the folds' models."""

    fits: tuple[Any, ...]  # the trained model of each fold
    store: Store  # where they are
    #: Function that does the same with more events: labels, folds, settings and truth stay.
    again: Callable[[xr.Dataset], KFold]
    held_out: HeldOut  # what was simulated and drawn at the labels of each fold

    def disagreement(
        self, labels: Floats, *, n: int = 1000, seed: int = 0, progress: bool = True
    ) -> Floats:
        """Return the mean W1/std between the models of two folds, worst variable, ``[label]``.

        It is a sign of error that needs no truth. From each model `n` events are drawn at each
        of the labels ``[label, parameter]``; all are given the same normal numbers, so that
        their chance differences nearly cancel. The store keeps the events.
        """
        bar = Bar(self.fits, desc="candidates", unit="model", disable=not progress)
        drawn = []
        for fit in bar:
            events = _drawn(fit, labels, n, seed, self.store)
            grouped = group(events, "the drawn events")
            where = grouped.find(labels)
            drawn.append(np.stack([np.sort(grouped.sample(int(i)), axis=0).T for i in where]))
        width = np.mean([columns.std(axis=2) for columns in drawn], axis=0)
        apart = [np.abs(a - b).mean(axis=2) / width for a, b in combinations(drawn, 2)]
        return np.asarray(np.mean(apart, axis=0).max(axis=1), dtype=float)


def kfold(
    events: xr.Dataset,
    training: Trainer,
    *,
    labels: Labels | None = None,
    folds: int = 5,
    scheme: str = "spread",
    truth: xr.Dataset | None = None,
    floor: xr.Dataset | None = None,
    bins: int = 40,
    classifier: bool = False,
    rivals: bool = True,
    minimum: int = FEWEST,
    seed: int = 0,
    store: Store | None = None,
    progress: bool = True,
) -> KFold:
    """Hold every label out once and compare what is drawn there with the truth.

    Parameters
    ----------
    events
        Events on a grid of labels, from the store.
    training
        The model and its settings; one is trained for each fold, and kept.
    labels
        Labels to hold out in turn; others are in every training. By default all that have
        at least `minimum` events to be judged by.
    folds, scheme, seed
        See :func:`folds_of`; the seed is also that of the drawn events.
    truth
        A larger sample to compare with, at these labels or more; by default `events`.
    floor
        A second, independent sample of the truth.
    bins, classifier
        As in :func:`presage.analysis.compare.compare`.
    rivals
        Whether to draw the classical rivals too, each from its fold's training events.
    minimum
        Fewest events that a label is judged by.
    store
        Where all of them are; ``Store()`` by default.
    progress
        Show bars.

    Returns
    -------
    KFold
        Residuals with all labels held out; the coordinate ``fold[label]`` says with which
        others.

    Raises
    ------
    LabelError
        As :func:`folds_of`; fewer than two labels can be judged; a label is not among the events.
    """
    store = store or Store()
    reference = events if truth is None else truth
    table, sizes = _judged(events, reference, labels, minimum)
    number = folds_of(table, folds, scheme, seed)
    reference, floor = _only(reference, table), None if floor is None else _only(floor, table)
    parts = [
        Fold(_others(events, table[number == k]), table[number == k], sizes[number == k], store)
        for k in range(int(number.max()) + 1)
    ]
    bar = Bar(parts, desc=f"{len(parts)} folds", unit="fold", disable=not progress)
    fits = tuple(training.fit(fold, progress) for fold in bar)
    drawn = [fold.draw(fit, seed, progress) for fold, fit in zip(parts, fits, strict=True)]
    how: dict[str, Any] = {"bins": bins, "classifier": classifier, "minimum": minimum}

    def make() -> xr.Dataset:
        candidates = {"flow": joined(drawn), **(_rivals(parts, seed) if rivals else {})}
        everywhere = table.tolist()
        product = compare(
            reference, candidates, floor=floor, held_out_labels=everywhere, seed=seed,
            progress=progress, **how,
        )  # fmt: skip
        about = {"long_name": "labels of one number were held out together"}
        return product.assign_coords(fold=("label", number, about))

    inputs = {"reference": reference, "floor": floor, "events": events}
    inputs |= {f"fold {k}": part for k, part in enumerate(drawn)}
    folding: dict[str, Any] = {"folds": int(folds), "scheme": scheme}
    recipe = _recipe(inputs, {**folding, **how, "rivals": rivals}, seed)
    again = partial(
        kfold, training=training, labels=table.tolist(), truth=reference, floor=floor,
        rivals=False, seed=seed, store=store, progress=progress, **folding, **how,
    )  # fmt: skip
    held_out = HeldOut(reference, tuple(drawn))
    return KFold(store.compute(recipe, make), fits, store, again, held_out)


def _others(events: xr.Dataset, held: Floats) -> xr.Dataset:
    """Return the events at all labels but these."""
    left = len(group(events).table) - len(held)
    if left < 2:
        raise LabelError(
            f"holding out {len(held)} labels leaves {left} to train on, and nothing to "
            "interpolate between; take more folds, or events at more labels"
        )
    return hold_out(events, held.tolist())[0]


def _recipe(inputs: Mapping[str, xr.Dataset | None], settings: dict[str, Any], seed: int) -> Recipe:
    """Return the recipe of the product, which is one of residuals."""
    there = {name: dataset for name, dataset in inputs.items() if dataset is not None}
    return Recipe(
        "residuals",
        VERSION,
        {"kfold": settings, "inputs": list(there)},
        seed=seed,
        parents=tuple(parent_of(dataset) for dataset in there.values()),
    )


def _rivals(parts: Sequence[Fold], seed: int) -> dict[str, xr.Dataset]:
    """Draw the classical rivals at the labels of each fold, from its own training events."""
    return {
        name: joined([draw(f.train, f.labels.tolist(), f.sizes.tolist(), seed) for f in parts])
        for name, draw in RIVALS.items()
    }


def _judged(
    events: xr.Dataset, reference: xr.Dataset, labels: Labels | None, minimum: int
) -> tuple[Floats, Integers]:
    """Return the labels to hold out, in ascending order, and the reference events of each."""
    parameters = declared(events, "the events")[1]
    grouped = group(reference, "the truth")
    known = group(events, "the events")
    table = known.table if labels is None else label_table(labels, parameters)
    table = table[np.lexsort(table.T[::-1])]
    known.find(table)
    where = grouped.find(table)
    sizes, enough = grouped.sizes[where], grouped.effective[where] >= minimum
    if enough.sum() < 2:
        raise LabelError(
            f"{int(enough.sum())} labels have at least {minimum} events to be judged by; K folds "
            "need two: give a larger truth=, or a smaller minimum="
        )
    return table[enough], sizes[enough]


def _only(events: xr.Dataset, table: Floats) -> xr.Dataset:
    """Return the events at some labels; the very dataset where those are all it has."""
    grouped = group(events)
    if len(grouped.table) == len(table):
        return events
    return at_labels(events, table.tolist())


def joined(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Put events datasets of the same columns one after the other, in memory."""
    first = parts[0]
    dim = declared(first)[0]
    columns = {
        name: (dim, np.concatenate([part[name].values for part in parts]), dict(array.attrs))
        for name, array in first.data_vars.items()
    }
    return xr.Dataset(columns, attrs={"presage_sample": dim})
