"""Training data in a network's coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from presage.labels.missing import complete
from presage.lineage import sample_dim
from presage.models.event_weights import Counted
from presage.transforms.columns import declared
from presage.transforms.event_scale import EventScale
from presage.transforms.weights import weights_of

#: Name of the array of what each sample counts for in the loss; no variable can be called so.
WEIGHT = "weight of the sample"


@dataclass(frozen=True)
class Prepared:
    """Training data in a network's coordinates, and how they were reached.

    Parameters
    ----------
    arrays
        Name → float32 array, rows in the dataset's order; None where batches stream.
    state
        Fitted numbers of the transforms, saved with the weights.
    declaration
        What the model is declared for, in JSON's terms.
    kept
        Positions of the rows in the dataset, where samples without a value were left out.
    said
        What was chosen from the data, in a line for whoever trains; empty for nothing.
    """

    arrays: dict[str, NDArray[np.float32]] | None
    state: dict[str, NDArray[np.float64]]
    declaration: dict[str, Any]
    kept: NDArray[np.int64] | None = None
    said: str = ""


def prepare_columns(dataset: xr.Dataset, cells: bool = False) -> Prepared:
    """Fit the scaling to a dataset of one number per sample and variable, and apply it.

    Parameters
    ----------
    dataset
        Flat over its samples.
    cells
        Whether the network takes whole numbers and atoms as cells.

    Returns
    -------
    Prepared
        ``target`` ``[sample, column]`` and what else :meth:`EventScale.points` gives; with
        parameters ``condition`` ``[sample, feature]``, with weights :data:`WEIGHT` ``[sample]``.
    """
    sample = sample_dim(dataset)
    variables, parameters = declared(dataset, sample)
    known = (*variables, *parameters)
    columns = {v.name: dataset[v.name].values for v in known}
    weights = weights_of(dataset, sample, "the training events")
    there = complete(columns, known, "the training samples")
    if there is not None:
        columns = {name: column[there] for name, column in columns.items()}
        weights = None if weights is None else weights[there]
    counted = None if weights is None else Counted.of(weights, columns, variables, parameters)
    fair = columns if counted is None else {n: c[counted.fair] for n, c in columns.items()}
    scale = EventScale.fit(fair, variables, parameters, cells)
    arrays = scale.points(columns, np.random.default_rng(1))[0]
    if counted is not None:
        arrays[WEIGHT] = counted.loss
    ranges = {}
    if scale.parameters:
        arrays["condition"] = scale.features(columns).astype(np.float32)
        ranges = {
            p.name: [float(np.min(columns[p.name])), float(np.max(columns[p.name]))]
            for p in scale.parameters
        }
    declaration = {**scale.declaration(), "sample": sample, "trained_range": ranges}
    kept = None if there is None else np.flatnonzero(there)
    if there is not None:
        declaration["left_out"] = int(np.count_nonzero(~there))
    return Prepared(arrays, scale.state(), declaration, kept, scale.said())
