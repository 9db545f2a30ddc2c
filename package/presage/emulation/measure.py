"""The residuals of drawn events, with the rivals drawn from the flow's own training events."""

from __future__ import annotations

from typing import Any

import xarray as xr

from presage.analysis import residuals as analysis
from presage.analysis.labelled import declared, label_table
from presage.analysis.residuals import Residuals
from presage.emulation.split import hold_out
from presage.labels import LabelError
from presage.lineage import parent_of, recipe_of
from presage.recipe import Parent
from presage.store import Store, StoreError


def residuals(
    drawn: xr.Dataset,
    held_out: xr.Dataset,
    *,
    train: xr.Dataset | None = None,
    store: Store | None = None,
    **settings: Any,
) -> Residuals:
    """Compare drawn events with held-out ones, beside the floor and the classical rivals.

    Parameters
    ----------
    drawn
        Events drawn from a trained flow with :func:`presage.sample`.
    held_out
        Events at labels that the flow was not trained on.
    train
        What it was trained on. Found by itself where `held_out` and the training events
        are the two parts of one :func:`presage.hold_out`.
    store
        Where all of them are; ``Store()`` by default.
    settings
        Further settings of :func:`presage.analysis.residuals.residuals`: `floor`, `bins`,
        `classifier`, `metrics`, `seed`, `progress`.

    Raises
    ------
    LabelError
        The training events cannot be found; give them.
    """
    store = store or Store()
    if train is None:
        train = _training_events(drawn, held_out, store)
    return analysis.residuals(drawn, held_out, train=train, store=store, **settings)


def _training_events(drawn: xr.Dataset, held_out: xr.Dataset, store: Store) -> xr.Dataset:
    trained_on = _trained_on(drawn, store)
    ours = parent_of(held_out)
    if trained_on.key == ours.key:
        # The other part of the same events: all samples there were, without these labels.
        stop = max(trained_on.stop, ours.stop)
        events = store.open(ours.key, 0, stop)
        labels = label_table(held_out, declared(held_out)[1])
        train, _ = hold_out(events, labels.tolist())
        if parent_of(train) == trained_on:
            return train
    raise LabelError(
        "the events that the flow was trained on are not the other part of these held-out "
        "events; give residuals(..., train=...) to have its rivals drawn from them"
    )


def _trained_on(drawn: xr.Dataset, store: Store) -> Parent:
    try:
        return store.find(recipe_of(drawn).parents[0].key).parents[0]
    except (IndexError, StoreError) as error:
        raise LabelError(
            f"drawn= should be events drawn from a stored flow with presage.sample ({error})"
        ) from error
