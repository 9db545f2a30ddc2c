"""Two datasets of events as one: the grid, and the labels that were added to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import xarray as xr

from presage.analysis.labelled import declared
from presage.labels import Arrays, LabelError, Parameter, Variable, require
from presage.simulator import Reader
from presage.transforms.weights import weight_declared

#: Events handed on at once.
_CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class JoinedEvents(Reader):
    """The events of two stored datasets, one after the other.

    Both are parents of the result, so a model that is trained on it says which labels its
    events were simulated at, and when they were added.

    Parameters
    ----------
    first, second
        Stored events with the same columns and units.

    Raises
    ------
    LabelError
        The second lacks a column of the first, has it in another unit, or has more.
    """

    first: xr.Dataset
    second: xr.Dataset

    name: ClassVar[str] = "joined_events"
    version: ClassVar[int] = 1
    sample_dim: ClassVar[str] = "event"

    def __post_init__(self) -> None:
        for what, events in (("first", self.first), ("second", self.second)):
            declared(events, f"the {what} events")
        known = (*self.parameters, *self.variables)
        require(self.second, known, self.sample_dim)
        surplus = sorted(set(map(str, self.second.data_vars)) - {v.name for v in known})
        if surplus:
            raise LabelError(f"the second events have a column more than the first: {surplus[0]}")

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The labels, as the first dataset declares them."""
        return declared(self.first)[1]

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables, as the first dataset declares them, its weight among them."""
        weight = weight_declared(self.first, self.sample_dim)
        return (*declared(self.first)[2], *([] if weight is None else [weight]))

    def chunks(self) -> Iterator[Arrays]:
        """Yield the events of the first, then those of the second."""
        names = [str(name) for name in self.first.data_vars]
        for events in (self.first, self.second):
            size = events.sizes[self.sample_dim]
            for start in range(0, size, _CHUNK):
                part = events.isel({self.sample_dim: slice(start, start + _CHUNK)})
                yield {name: part[name].values for name in names}
