"""Pooled features of every stored set, as a dataset: the encoder runs once, not every epoch.

A set of E stored events also holds smaller ones: events of one set are independent given
theta, so any part chosen without looking at them is an exact set of its size. Each theta
has `repeat` sets and of each set as many disjoint parts as asked for: its *views*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from presage.labels import Arrays, Coordinate, LabelError, Parameter, Variable
from presage.lineage import ragged_rows
from presage.models.fitted_encoder import FittedEncoder
from presage.models.pooling import pool
from presage.models.set_network import SetNetwork
from presage.models.sets import check_sets
from presage.rng import generator
from presage.simulator import Derived

#: Events that the encoder's layers hold at once.
_EVENTS_AT_ONCE = 1 << 15
_BLOCK_EVENTS, _LARGEST_BLOCK = 1 << 21, 256


@dataclass(frozen=True, eq=False)
class PooledFeatures(Derived):
    """Features of sets and of parts of sets; theta is carried along.

    Parameters
    ----------
    data
        Stored sets: ``theta`` and ``events``.
    encoder
        A trained :class:`~presage.models.sets.SetEncoder` in the same store.
    sizes
        Numbers of events of the parts; empty for whole sets only.
    per_size
        The most disjoint parts of one size that are taken from a set.

    Raises
    ------
    LabelError
        A size is larger than the sets, or the sets are ragged and `sizes` is not empty.
    """

    encoder: FittedEncoder
    sizes: tuple[int, ...] = ()
    per_size: int = 2

    name: ClassVar[str] = "pooled_features"
    version: ClassVar[int] = 1
    tolerance: ClassVar[float] = 1e-4

    def __post_init__(self) -> None:
        check_sets(self.data)
        if not isinstance(self.encoder, FittedEncoder):
            raise LabelError(f"an encoder of sets is needed, got {self.encoder!r}")
        sizes = tuple(int(n) for n in self.sizes)
        object.__setattr__(self, "sizes", sizes)
        if self._ragged and sizes:
            raise LabelError(
                "these sets have as many events as the experiment saw, which says something about "
                "theta: parts of them are no such sets; give sizes=()"
            )
        stored = self.data.sizes["event"]
        if any(n < 1 or n > stored for n in sizes):
            raise LabelError(f"sizes lie between 1 and the {stored} stored events, got {sizes}")

    @property
    def _repeats(self) -> int:
        return int(self.data.sizes.get("repeat", 1))

    @property
    def _ragged(self) -> bool:
        return "event_count" in self.data

    @cached_property
    def _views(self) -> tuple[tuple[int, int], ...]:
        """(events, parts) of each size; the order of the views of one set."""
        if self._ragged:
            return ((0, 1),)
        stored = self.data.sizes["event"]
        return tuple((n, min(stored // n, self.per_size)) for n in self.sizes or (stored,))

    @property
    def block_size(self) -> int:  # type: ignore[override]  # of the class elsewhere, here of the size
        """Samples of a block."""
        events = self._repeats * self.data.sizes["event"]
        if self._ragged:
            events //= self.data.sizes[self.sample_dim]
        return int(min(max(_BLOCK_EVENTS // events, 1), _LARGEST_BLOCK))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """``theta`` as the sets have it."""
        return (Parameter("theta", ("parameter",), "float64", "1", "parameters"),)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """``features`` ``[view, number]``."""
        name = "pooled features, log10 of the number of events last"
        return (Variable("features", ("view", "number"), "float32", "1", name),)

    @property
    def lengths(self) -> Mapping[str, int]:
        """Views of a theta, and numbers of a view."""
        views = self._repeats * sum(parts for _, parts in self._views)
        return {"view": views, "number": self.encoder.sets.features}

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """Names and ranges of the parameters, and the events of each view."""
        carried = [f"parameter{end}" for end in ("", "_low", "_high", "_title", "_edges")]
        own = [n for size, parts in self._views for n in [size] * parts]
        counts = own * self._repeats
        return (
            *(coordinate(self.data[name]) for name in carried if name in self.data.coords),
            Coordinate("view_events", tuple(counts), "1", "events of the view, 0: any", "view"),
        )

    def convert(self, samples: xr.Dataset, rng: np.random.Generator) -> Arrays:
        """Return theta and the features of every view; nothing here is random."""
        network = self.encoder.sets
        dtype = network.point_head.weight.dtype
        if self._ragged:
            return self._whole(samples)
        array = samples["events"].transpose(..., "repeat", "event", "feature").values
        theta = samples["theta"].transpose(..., "parameter").values
        order = view_order(array.shape[-2])
        rows = max(1, _EVENTS_AT_ONCE // array.shape[-2])
        flat = array.reshape(-1, *array.shape[-2:])
        with torch.inference_mode():
            parts = [
                self._pooled(network, torch.as_tensor(flat[i : i + rows][:, order]).to(dtype))
                for i in range(0, len(flat), rows)
            ]
        features = torch.cat(parts).view(len(array), -1, network.features)
        return {"theta": theta, "features": features.numpy()}

    def _whole(self, samples: xr.Dataset) -> Arrays:
        """Return theta and the features of ragged sets, one by one."""
        events = samples["events"].transpose("event", "feature").values
        rows = zip(*ragged_rows(samples, "event"), strict=True)
        sets = [torch.tensor(events[start : start + count]) for start, count in rows]
        theta = samples["theta"].transpose(..., "parameter").values
        features = torch.stack(list(self.encoder.each(sets)))[:, None]
        return {"theta": theta, "features": features.numpy()}

    def _pooled(self, network: SetNetwork, events: Tensor) -> Tensor:
        """Return ``(sets, views, number)``; the events' own network runs once."""
        each = network.events(events)
        found = []
        for size, parts in self._views:
            cut: list[Any] = [
                t[:, : size * parts].reshape(len(t), parts, size, -1) for t in each
            ]  # fmt: skip
            found.append(network.summary(network.finish(pool(*cut))))
        return torch.cat(found, 1)


def view_order(events: int) -> NDArray[np.int64]:
    """Return in which order the events of a set are dealt to its views.

    One shuffling for all sets, in case a simulator leaves its events in some order.
    """
    order: NDArray[np.int64] = generator("presage.studies.pdf.features", 0, events).permutation(
        events
    )
    return order


def coordinate(array: xr.DataArray) -> Coordinate:
    """Return a coordinate of a dataset as a declaration."""
    values: Any = tuple(v.item() if hasattr(v, "item") else str(v) for v in array.values)
    dim = str(array.dims[0])
    about = str(array.attrs.get("long_name", ""))
    return Coordinate(str(array.name), values, "1", about, "" if dim == array.name else dim)
