"""Trained encoders of sets of events: from labelled sets to numbers that say what they hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from presage.labels import LabelError, unitless
from presage.models.fitted import FitError, Fitted
from presage.models.set_law import SetLaw
from presage.models.set_network import SetNetwork
from presage.models.set_verdict import judged
from presage.models.threads import one_thread


class FittedSets(Fitted):
    """What was trained with sets of events."""

    @property
    def sizes(self) -> tuple[int, int]:
        """Fewest and most events of the sets that it was trained with."""
        low, high = self.declaration["trained_events"]
        return int(low), int(high)


@dataclass(frozen=True, eq=False, repr=False)
class FittedEncoder(FittedSets):
    """A trained encoder of sets.

    Events are labelled ``[..., event, feature]`` in any order, NaN in all features of an event
    where a shorter set ends. What is returned has the dimensions that count sets.

    Examples
    --------
    ``encoder = ps.fit(ps.models.SetEncoder(), sets)``, then ``encoder.encode(events)`` has the
    numbers of each set, and ``encoder.point(events)`` its estimate of the parameters.
    """

    @property
    def sets(self) -> SetNetwork:
        """The network, which takes tensors ``(*, E, F)``."""
        return cast(SetNetwork, self.network)

    @one_thread()
    def encode(self, events: xr.DataArray, *, size: int = 0) -> xr.DataArray:
        """Return what posteriors are conditioned on, ``[..., number]``, log10 N last.

        Parameters
        ----------
        events
            See the class.
        size
            Sets count as sets of that many events: what a posterior needs that has never seen
            another.

        Raises
        ------
        LabelError
            Other features, or NaN.
        FitError
            A set lies so far from all of the training that the network overflows.
        """
        sets, labels = self._sets(events)
        values = torch.stack(list(self.each(sets, size))).numpy()
        title = "estimate and pooled features, log10 of the number of events last"
        return labels.array(values, ("number",), "features", title)

    def point(self, events: xr.DataArray, *, size: int = 0) -> xr.DataArray:
        """Return the point estimate ``[..., parameter]``, put into the box of the parameters.

        Arguments and errors as of :meth:`encode`.
        """
        names, low, high = (self.declaration[key] for key in ("parameter", "low", "high"))
        edges = [xr.DataArray(edge, dims="parameter") for edge in (low, high)]
        unit = self.encode(events, size=size)[..., : len(names)].rename(number="parameter")
        point = edges[0] + (edges[1] - edges[0]) * unit.astype(np.float64).clip(0, 1)
        about = unitless("point estimate")
        return (
            point.transpose(*unit.dims)
            .assign_coords(parameter=names)
            .rename("theta")
            .assign_attrs(about)
        )

    @one_thread()
    def p_value(self, events: xr.DataArray) -> xr.DataArray:
        """Return how likely a set of the training is to look as unusual as each set, ``[...]``.

        See :mod:`presage.models.set_law`. NaN for fewer events than were ever trained with, and
        for a model that knows no law of its training sets; ``attrs["note"]`` then says why.

        Raises
        ------
        LabelError
            Other features, or NaN.

        Warns
        -----
        UnlikeTrainingWarning
            The smallest is below 1 % over the number of sets.
        """
        sets, labels = self._sets(events)
        values, note = judged(self, sets)
        title = "p-value of the set among those of the training"
        return labels.array(values, (), "p_value", title).assign_attrs(note=note)

    def law(self, train: xr.Dataset, held_out: NDArray[np.int64]) -> xr.Dataset:
        """Return the law of the training sets; theta are left out in turn, not `held_out`."""
        return SetLaw.fit(self.sets, self.declaration["inputs"], train, self.sizes[0])

    def each(self, sets: Sequence[Tensor], size: int = 0) -> Iterator[Tensor]:
        """Yield :meth:`encode` of sets ``(E, F)``, one ``(K,)`` after the other."""
        network, dtype = self.sets, self.sets.point_head.weight.dtype
        for events in sets:
            with torch.inference_mode():
                pooled = network.encode(events.to(dtype)[None])
                if size:
                    pooled[..., -1] = math.log10(size)
                summary = network.summary(pooled)[0]
            check_finite(summary)
            yield summary

    def _sets(self, events: xr.DataArray) -> tuple[list[Tensor], SetLabels]:
        """Return sets one by one ``(E, F)`` in float64, and their labels."""
        labels, names = SetLabels.of(events), self.declaration["inputs"]["names"]
        found = [str(n) for n in events["feature"].values] if "feature" in events.coords else names
        if sorted(found) != sorted(names) or events.sizes.get("feature") != len(names):
            raise LabelError(
                f"events are [..., event, feature] with the features {', '.join(names)}; got "
                f"{dict(events.sizes)} with {', '.join(found)}"
            )
        events = events.sel(feature=names) if "feature" in events.coords else events
        sets = [torch.from_numpy(row.astype(np.float64)) for row in labels.rows(events)]
        if any(bool(one.isnan().any()) for one in sets):
            raise LabelError("events hold NaN: only all features after a set's last event may")
        return sets, labels


@dataclass(frozen=True)
class SetLabels:
    """The dimensions that count sets, in order, with their lengths and coordinates."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    coords: dict[str, xr.DataArray]

    @property
    def number(self) -> int:
        """How many sets there are."""
        return math.prod(self.shape)

    @classmethod
    def of(cls, array: xr.DataArray, own: Sequence[str] = ("event", "feature")) -> SetLabels:
        """Return the labels of an array whose dimensions `own` belong to one set."""
        if not isinstance(array, xr.DataArray):
            raise LabelError(
                f"events should be a labelled xarray.DataArray, got {type(array).__name__}; "
                'xr.DataArray(values, dims=("event", "feature"))'
            )
        dims = tuple(str(d) for d in array.dims if d not in own)
        shape = tuple(array.sizes[d] for d in dims)
        if math.prod(shape) == 0:
            raise LabelError(f"there is no set of events along {dims}")
        coords = {str(k): c for k, c in array.coords.items() if set(c.dims) <= set(dims)}
        return cls(dims, shape, coords)

    def each(self, events: xr.DataArray) -> Iterator[xr.DataArray]:
        """Yield :meth:`rows` labelled, ``[event, feature]``."""
        names = {"feature": events["feature"]} if "feature" in events.coords else {}
        for row in self.rows(events):
            yield xr.DataArray(row, dims=("event", "feature"), coords=names)

    def rows(self, events: xr.DataArray) -> Iterator[NDArray[Any]]:
        """Yield the events of each set ``(E, F)``, without filled-up ends."""
        for dim in ("event", "feature"):
            if dim not in events.dims:
                raise LabelError(
                    f"events should be [..., event, feature]: expected a dimension {dim!r}, got "
                    f"dims {events.dims}"
                )
        ordered = events.transpose(*self.dims, "event", "feature")
        if ordered.dtype.kind not in "fiu":
            raise LabelError(f"events should be numbers, got {ordered.dtype}")
        values = ordered.values
        for row in values.reshape(self.number, *values.shape[-2:]):
            there = ~np.isnan(row).all(-1)
            yield row[np.flip(np.cumsum(np.flip(there))) > 0]

    def array(
        self, values: Any, dims: tuple[str, ...], name: str, title: str, coords: Any = None
    ) -> xr.DataArray:
        """Return one labelled value, or array along `dims`, for each set."""
        values = np.asarray(values)
        return xr.DataArray(
            values.reshape((*self.shape, *values.shape[1:])),
            dims=(*self.dims, *dims),
            coords={**self.coords, **(coords or {})},
            name=name,
            attrs=unitless(title),
        )


def check_finite(values: Tensor) -> None:
    """Refuse to go on with numbers that a network cannot have meant."""
    if not bool(torch.isfinite(values).all()):
        raise FitError(
            "the model has no finite answer for this set; its events lie far from all that it "
            "was trained with"
        )
