"""Trained maps of cubes, applied only where they were trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from presage.labels import LabelError, require
from presage.models.fitted_map import FittedMap
from presage.transforms.channels import Channels


def declared_channels(array: xr.DataArray, along: str) -> dict[str, Any]:
    """Return the channels of an array along a dimension, in JSON's terms."""
    channels = Channels.of(array, along)
    return {"values": channels.values.tolist(), "unit": channels.unit}


@dataclass(frozen=True, eq=False, repr=False)
class FittedCubes(FittedMap):
    """A trained map of cubes, which knows the channels and sizes that it was trained at."""

    def apply(
        self, dataset: xr.Dataset, *, batch_size: int = 4, along: str = "", length: int = 0
    ) -> xr.Dataset:
        """Return what the network makes of each sample; see :meth:`FittedMap.apply`.

        Raises
        ------
        LabelError
            As there, or the channels are others than those trained on, in another order or
            unit, or another number of pixels lies across.
        """
        require(dataset, self.takes, self.sample_dim)
        layout, told = self.declaration["layout"], self.declaration["channels"]
        for variable in self.takes:
            array = dataset[variable.name]
            if layout["along"] in array.dims:
                here = Channels.of(array, layout["along"])
                values = np.asarray(told["values"])
                replace(here, values=values, unit=told["unit"]).check(here)
            for dim, size in self.declaration["sizes"][variable.name].items():
                if array.sizes[dim] != size:
                    raise LabelError(
                        f"{variable.name!r} should have {size} points of {dim!r}, as in the "
                        f"training; got {array.sizes[dim]}"
                    )
        return super().apply(dataset, batch_size=batch_size, along=along, length=length)
