"""Trained maps of labelled arrays: a cube for each cube, a waveform for each tone.

A specification says in its declaration which variables the network ``takes``, by name, and
which it ``gives``, as declarations. The network is called with a batch, name → ``[sample, ...]``
in the dimensions declared, and returns one: several heads (a signal, and the square of its
error) are several names. A recurrent one is called with ``(batch, carry)``, None at first, and
returns ``(batch, carry)``, as in training by segments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from presage.labels import LabelError, Variable, nearest, require, stored_as
from presage.models.fitted import Fitted, declared_variables

Batch = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False, repr=False)
class FittedMap(Fitted):
    """A trained map from variables of a sample to others.

    Examples
    --------
    ``unet.apply(cubes)`` has the cleaned cubes and their squared errors, labelled as the cubes
    are; ``student.apply(tones, along="time", length=44_100)`` carries its state from second to
    second, so that memory stays bounded.
    """

    @property
    def takes(self) -> list[Variable]:
        """Declarations of what it reads."""
        names = self.declaration["takes"]
        return [v for v in declared_variables(self.declaration) if v.name in names]

    @property
    def gives(self) -> list[Variable]:
        """Declarations of what it returns."""
        return declared_variables({"variables": self.declaration["gives"]})

    def apply(
        self, dataset: xr.Dataset, *, batch_size: int = 64, along: str = "", length: int = 0
    ) -> xr.Dataset:
        """Return what the network makes of each sample.

        Parameters
        ----------
        dataset
            With the variables that it takes, in any order of dimensions.
        batch_size
            Samples at a time.
        along, length
            For a recurrent network: a dimension that is gone through in parts of this length,
            the state carried from part to part.

        Returns
        -------
        xarray.Dataset
            The variables that it gives, with the coordinates of their dimensions.

        Raises
        ------
        LabelError
            A variable is missing or has other dimensions or another unit, the network gives
            something else than was declared, or `length` is not at least 1 of a dimension that
            the inputs have.
        """
        require(dataset, self.takes, self.sample_dim)
        if along and (length < 1 or not any(along in v.dims for v in self.takes)):
            known = {dim for v in self.takes for dim in v.dims}
            raise LabelError(
                f"parts have a length of at least 1 along a dimension of the inputs, got {length} "
                f"along {along!r}{nearest(along, known)}"
            )
        parts: dict[str, list[Any]] = {v.name: [] for v in self.gives}
        for start in range(0, dataset.sizes[self.sample_dim], batch_size):
            few = dataset.isel({self.sample_dim: slice(start, start + batch_size)})
            made = list(self._segments(few, along, length))
            for variable in self.gives:
                place = variable.dims.index(along) + 1 if along in variable.dims else 0
                pieces = [self._named(segment, variable) for segment in made]
                parts[variable.name].append(np.concatenate(pieces, place) if along else pieces[0])
        return self._labelled(parts, dataset)

    def _segments(self, few: xr.Dataset, along: str, length: int) -> Iterator[Batch]:
        """Yield what the network gives for each part of some samples."""
        arrays = {
            v.name: torch.as_tensor(
                np.array(few[v.name].transpose(self.sample_dim, *v.dims).values), dtype=self.dtype
            )
            for v in self.takes
        }
        with torch.inference_mode():
            if not along:
                yield self.network(arrays)
                return
            carry = None
            for start in range(0, few.sizes[along], length):
                segment = {
                    v.name: arrays[v.name].narrow(
                        v.dims.index(along) + 1, start, min(length, few.sizes[along] - start)
                    )
                    if along in v.dims
                    else arrays[v.name]
                    for v in self.takes
                }
                made, carry = self.network(segment, carry)
                yield made

    def _named(self, made: Batch, variable: Variable) -> Any:
        """Return one of the arrays that the network gave."""
        if variable.name not in made or made[variable.name].dim() != len(variable.dims) + 1:
            got = {name: tuple(array.shape) for name, array in made.items()}
            raise LabelError(
                f"{self.model.name} was declared to give {variable.name!r} "
                f"[{', '.join((self.sample_dim, *variable.dims))}]; its network gave {got}"
            )
        return made[variable.name].cpu().numpy()

    def _labelled(self, parts: Mapping[str, list[Any]], like: xr.Dataset) -> xr.Dataset:
        columns = {}
        for v in self.gives:
            values = stored_as(np.concatenate(parts[v.name]), v.dtype)
            columns[v.name] = ((self.sample_dim, *v.dims), values, v.attributes())
        dims = {dim for names, *_ in columns.values() for dim in names}
        coords = {k: c for k, c in like.coords.items() if c.dims and set(c.dims) <= dims}
        return xr.Dataset(columns, coords=coords, attrs={"model": self.key})
