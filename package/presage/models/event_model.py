"""What all models of flat events share: their coordinates, and the law of what they have seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from presage.models.conditional import ConditionalFlow
from presage.models.prepared import Prepared, prepare_columns


class EventModel:
    """A model whose network is a :class:`~presage.models.density.DensityNetwork`."""

    def prepare(self, dataset: xr.Dataset) -> Prepared:
        """Fit the scaling to training events, flat over their samples, and return them scaled."""
        return prepare_columns(dataset)

    def seen(self, fitted: Any, train: xr.Dataset, held_out: NDArray[np.int64]) -> xr.Dataset:
        """Return the law of the training events; see :meth:`ConditionalFlow.law`."""
        return ConditionalFlow.of(fitted).law(train, held_out)
