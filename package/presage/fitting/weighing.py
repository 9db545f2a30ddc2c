"""What samples count for where their model does not say.

A density of columns makes an array of it, negative weights made up for by neighbours
(:mod:`presage.models.event_weights`). Of all other models the loop weighs the losses, by each
sample's weight over the mean of all; a model that declares the weight among its variables, or
prepares it under its name, counts by itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from presage.batches import BatchSource, Labelled
from presage.fitting.errors import FitError
from presage.labels import Floats, Weight
from presage.lineage import sample_dim
from presage.rng import generator
from presage.store.identity import made_rows
from presage.transforms.weights import weight_declared, weights_of

#: Weights that the mean is taken of at most, and of samples that are made when they are read.
_STORED, _MADE = 1 << 24, 1 << 14


#: Of the column of weights where events had none.
_NAME = "bootstrap_weight"


class Weighing(NamedTuple):
    """The column of weights, and what is 1."""

    name: str
    mean: float

    def of(self, weights: Tensor) -> Tensor:
        """Return what samples with these weights count for."""
        if weights.device.type == "cpu":  # elsewhere it would wait for the device
            _check(weights.numpy(), self.name)
        return weights / self.mean


def weighing(source: BatchSource) -> Weighing | None:
    """Return how samples are weighed; None where all count alike.

    FitError says that weights are negative or all zero, LabelError that they are no weights.
    """
    sample = sample_dim(source.dataset)
    found = weight_declared(source.dataset, sample)
    if found is None:
        return None
    column = source.dataset[[found.name]]
    stored = isinstance(source, Labelled) and made_rows(column[found.name].variable) is None
    some = slice(None, None, max(source.samples // _STORED, 1)) if stored else slice(_MADE)
    weights = weights_of(column.isel({sample: some}), sample, "the training samples")
    mean = 0.0 if weights is None else _check(weights, found.name).mean()
    if not mean > 0:
        raise FitError(f"the weights {found.name!r} of the training samples are all zero")
    return Weighing(found.name, float(mean))


def resampled(source: BatchSource, number: int) -> BatchSource:
    """Return a dataset whose samples count as in a bootstrap sample.

    What a sample counts for is multiplied by a number from an exponential law of mean 1: the
    Bayesian bootstrap (Rubin 1981, Ann. Stat. 9, 130), which leaves none out, so that no label
    is without events.
    """
    if not isinstance(source, Labelled) or source.fresh:
        raise FitError("resample= counts the samples of a dataset that stays the same")
    dataset, sample = source.dataset, sample_dim(source.dataset)
    counts = generator("resample", number, 0).exponential(size=source.samples)
    found = weight_declared(dataset, sample)
    weight = found or Weight(_NAME)
    counted = counts if found is None else counts * dataset[found.name].values
    return Labelled(dataset.assign({weight.name: (sample, counted, weight.attributes())}))


def _check(weights: Floats, name: str) -> Floats:
    negative = int(np.count_nonzero(weights < 0))
    if negative:
        raise FitError(
            f"{negative} of {len(weights)} weights {name!r} are negative, and what is subtracted "
            "leaves this model's loss without a least value. A density of columns, such as "
            "presage.models.SplineFlow, makes up for it; else make them positive first, label by "
            "label: presage.transforms.cells.without_negative"
        )
    return weights
