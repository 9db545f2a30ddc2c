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

from presage.labels import LabelError
from presage.models.fitted import FitError, Fitted
from presage.models.set_law import SetLaw
from presage.models.set_network import SetNetwork
from presage.models.set_verdict import judged
from presage.models.threads import one_thread


@dataclass(frozen=True, eq=False, repr=False)
class FittedEncoder(Fitted):
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

    @property
    def sizes(self) -> tuple[int, int]:
        """Fewest and most events of the sets that it was trained with."""
        low, high = self.declaration["trained_events"]
        return int(low), int(high)

    @one_thread()
    def encode(self, events: xr.DataArray) -> xr.DataArray:
        """Return what posteriors are conditioned on, ``[..., number]``, log10 N last.

        Raises
        ------
        LabelError
            Other features, an empty set, or NaN.
        """
        sets, labels = self.sets_of(events)
        values = torch.stack(list(self.summaries(sets))).numpy()
        title = "estimate and pooled features, log10 of the number of events last"
        return labels.array(values, ("number",), "features", title)

    @one_thread()
    def point(self, events: xr.DataArray) -> xr.DataArray:
        """Return the point estimate ``[..., parameter]``, put into the box of the parameters.

        Raises
        ------
        LabelError
            As :meth:`encode`.
        """
        sets, labels = self.sets_of(events)
        return labels.array(
            self.points(sets), ("parameter",), "theta", "point estimate",
            {"parameter": self.declaration["parameter"]},
        )  # fmt: skip

    @one_thread()
    def p_value(self, events: xr.DataArray) -> xr.DataArray:
        """Return how likely a set of the training is to look as unusual as each set, ``[...]``.

        See :mod:`presage.models.set_law`. NaN for fewer events than were ever trained with, and
        for a model that knows no law of its training sets; ``attrs["note"]`` then says why.

        Raises
        ------
        LabelError
            As :meth:`encode`.

        Warns
        -----
        UnlikeTrainingWarning
            The smallest is below 1 % over the number of sets.
        """
        return self.p_values(*self.sets_of(events))

    def law(self, train: xr.Dataset, held_out: NDArray[np.int64]) -> xr.Dataset:
        """Return the law of the training sets; theta are left out in turn, not `held_out`."""
        return SetLaw.fit(self.sets, self.declaration["inputs"], train, self.sizes[0])

    # -- tensors -------------------------------------------------------------------------------

    def sets_of(self, events: xr.DataArray) -> tuple[list[Tensor], SetLabels]:
        """Return sets one by one ``(E, F)`` in float64, and their labels.

        Raises
        ------
        LabelError
            As :meth:`encode`.
        """
        labels = SetLabels.of(events)
        rows = labels.rows(events, self.declaration["inputs"]["names"])
        for row in rows:
            if not len(row) or np.isnan(row).any():
                raise LabelError("a set of events is empty, or holds NaN before its last event")
        return [torch.from_numpy(row) for row in rows], labels

    def summaries(self, sets: Sequence[Tensor], size: int = 0) -> Iterator[Tensor]:
        """Yield what posteriors are conditioned on, ``(K,)``, for each set.

        With a `size` sets count as sets of that many events: what a posterior needs that has
        never seen another.

        Raises
        ------
        FitError
            A set lies so far from all of the training that the network overflows.
        """
        network, dtype = self.sets, self.sets.point_head.weight.dtype
        for events in sets:
            with torch.inference_mode():
                pooled = network.encode(events.to(dtype)[None])
                if size:
                    pooled[..., -1] = math.log10(size)
                summary = network.summary(pooled)[0]
            check_finite(summary)
            yield summary

    def p_values(self, sets: Sequence[Tensor], labels: SetLabels) -> xr.DataArray:
        """Return :meth:`p_value` of sets ``(E, F)``, labelled."""
        values, note = judged(self, sets)
        title = "p-value of the set among those of the training"
        return labels.array(values, (), "p_value", title).assign_attrs(note=note)

    def points(self, sets: Sequence[Tensor], size: int = 0) -> NDArray[np.float64]:
        """Return the point estimates ``(N, P)`` of sets, inside the box."""
        low, high = (np.asarray(self.declaration[end]) for end in ("low", "high"))
        rows = torch.stack([row[: len(low)] for row in self.summaries(sets, size)])
        unit: NDArray[np.float64] = rows.double().clamp(0, 1).numpy()
        return np.asarray(low + (high - low) * unit)


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
        """Return the labels of an array whose dimensions `own` belong to one set.

        Raises
        ------
        LabelError
            It is no labelled array, or has no set.
        """
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

    def rows(self, events: xr.DataArray, features: Sequence[str]) -> list[NDArray[Any]]:
        """Return the events of each set ``(E, F)``, features in order, without filled-up ends.

        Raises
        ------
        LabelError
            Other features.
        """
        own = sorted(map(str, events["feature"].values)) if "feature" in events.coords else []
        if own == sorted(features):
            events = events.sel(feature=list(features))
        named = not own or own == sorted(features)
        if not named or events.sizes.get("feature") != len(features) or "event" not in events.dims:
            raise LabelError(
                f"events are [..., event, feature] with the features {', '.join(features)}; got "
                f"{dict(events.sizes)}" + (f" with {', '.join(own)}" if own else "")
            )
        values = events.transpose(*self.dims, "event", "feature").values
        flat = np.asarray(values, dtype=np.float64).reshape(self.number, *values.shape[-2:])
        return [row if events.ndim == 2 else filled(row) for row in flat]

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
            attrs={"long_name": title, "units": "1"},
        )


def filled(row: NDArray[Any]) -> NDArray[Any]:
    """Return a set ``(E, F)`` without the events after its last one, NaN in all features."""
    there = ~np.isnan(row).all(-1)
    return row[np.flip(np.cumsum(np.flip(there))) > 0]


def check_finite(values: Tensor) -> None:
    """Refuse to go on with numbers that a network cannot have meant.

    Raises
    ------
    FitError
        Some are not finite.
    """
    if not bool(torch.isfinite(values).all()):
        raise FitError(
            "the model has no finite answer for this set; its events lie far from all that it "
            "was trained with"
        )
