"""How the densities of columns are best trained, by how many events there are.

Measured on grids of labels of the study `events` with 5 000 to 10^6 events, at other labels than
those that results are reported at. What matters is the number of steps, which grows with the
cube root of the events, and a learning rate that falls to nothing and grows with the root of the
batch; twice as high a rate gained a tenth between the labels and lost a third at their edge.
Averaging the weights, decoupled weight decay and keeping the weights of the best validation loss
gained nothing, wider networks little. Twice the steps of half the batch, given even labels beside
their logarithms, took a sample of 48 500 events from 4 900 to 9 800 equivalent ones and another
from 7 500 to 6 500.
"""

from __future__ import annotations

import math
from typing import Any

import xarray as xr

from presage.lineage import sample_dim
from presage.models.event_weights import effective_events

#: Steps and batch at so many events.
_EVENTS, _STEPS, _BATCH = 48_500, 3500, 1024
_MOST_EPOCHS, _RATE, _HIGHEST = 64, 5e-3, 1e-2
_MOST_BATCH = 13  # as a power of 2


def training(dataset: xr.Dataset) -> dict[str, Any]:
    """Return settings of :func:`presage.fit` that suit a dataset.

    Parameters
    ----------
    dataset
        Flat over its sample dimension; with weights its effective events decide.
    """
    rows = max(dataset.sizes[sample_dim(dataset)], 1)
    alike, epochs = _passes(rows)
    batch, worth = alike, max(effective_events(dataset), 1)
    if worth < rows:  # as many effective events in a batch, and no longer than without weights
        alike, fewer = _passes(worth)
        batch = min(alike * 2 ** round(math.log2(rows / worth)), 2**_MOST_BATCH)
        epochs = min(fewer, epochs)
    return {
        "epochs": epochs,
        "batch_size": batch,
        "learning_rate": min(_RATE * math.sqrt(alike / _BATCH), _HIGHEST),
        # Quick second moments and a short rise: the fits are a few thousand steps long.
        "optimizer": {"name": "adam", "betas": (0.9, 0.99)},
        "schedule": {"name": "one_cycle", "rise": 0.1, "start": 0.1},
    }


def _passes(events: float) -> tuple[int, int]:
    """Return batch and epochs for so many events."""
    size = events / _EVENTS
    # Several steps an epoch, however few events there are.
    most = min(_MOST_BATCH, max(int(math.log2(events / 8)) if events >= 8 else 0, 0))
    batch = 2 ** min(round(math.log2(_BATCH * math.sqrt(size))), most)
    epochs = min(max(round(_STEPS * size ** (1 / 3) * batch / events), 1), _MOST_EPOCHS)
    return batch, epochs
