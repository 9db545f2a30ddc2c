"""A trained conditional network in physical units: log p of labelled events, and samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from presage.labels import require, stored_as
from presage.labels.caller import warn_caller
from presage.models.density import DensityNetwork
from presage.models.event_law import (
    ENOUGH,
    MOST,
    RangeWarning,
    event_law,
    event_p_values,
    strange_labels,
    warn_of_events,
)
from presage.models.prepared import stack
from presage.transforms.scale import LabelScale

#: Rows handled at once: what they become in between stays in the caches.
ROWS = 16384
#: How often an event beyond all training events is drawn again.
_AGAIN = 8


class ConditionalFlow:
    """A trained flow in physical units: log p of labelled events, and samples.

    Parameters
    ----------
    network
        What a specification's ``build`` made, trained: a :class:`DensityNetwork`.
    declaration, state
        As in :class:`Prepared`.
    seen
        The law of what it was trained on, of :func:`event_law`, where there is one.
    """

    def __init__(
        self,
        network: nn.Module,
        declaration: Mapping[str, Any],
        state: Mapping[str, ArrayLike],
        seen: xr.Dataset | None = None,
    ) -> None:
        self.network = cast(DensityNetwork, network)
        self.declaration, self.seen = declaration, seen
        self.scale = LabelScale.from_state(state, declaration)
        self._dtype = next((p.dtype for p in network.parameters()), torch.float32)
        self.sample_dim = str(declaration["sample"])

    @classmethod
    def of(cls, fitted: Any) -> ConditionalFlow:
        """Return what :func:`presage.fit` or :func:`presage.load` returned, in physical units."""
        return cls(fitted.network, fitted.declaration, fitted.state, fitted.seen)

    def log_prob(self, dataset: xr.Dataset) -> xr.DataArray:
        """Return the natural logarithm of the density, in the inverse units of the variables.

        Parameters
        ----------
        dataset
            Labelled events with the declared variables and parameters.

        Raises
        ------
        LabelError
            A variable is missing or has another unit.

        Warns
        -----
        UnlikeTrainingWarning
            Events are so improbable that one call in a hundred at most has such.
        RangeWarning
            Labels are outside the trained range.
        """
        columns = self._columns(dataset)
        standard = self._standard(columns)
        if self.seen is not None:
            warn_of_events(self.seen, -standard, columns)
            self.warn_of_labels(self._outermost(columns))
        values = standard + self.scale.log_det(columns, columns)
        units = " ".join(f"{v.unit}-1" for v in self.scale.variables if v.unit != "1") or "1"
        return xr.DataArray(
            values,
            dims=self.sample_dim,
            coords={k: v for k, v in dataset.coords.items() if v.dims == (self.sample_dim,)},
            name="log_prob",
            attrs={"long_name": "natural logarithm of the density", "units": f"ln({units})"},
        )

    def p_value(self, dataset: xr.Dataset) -> xr.DataArray:
        """Return how likely an event of the training is to have as low a density, ``[event]``.

        Among training events 1 % are below 0.01; NaN where the model was stored without the law
        of its events.

        Raises
        ------
        LabelError
            As :meth:`log_prob`.
        """
        columns = self._columns(dataset)
        values = np.full(len(next(iter(columns.values()))), np.nan)
        if self.seen is not None:
            values = event_p_values(self.seen, -self._standard(columns))
        title = "p-value of the event among those of the training"
        return xr.DataArray(
            values, dims=self.sample_dim, name="p_value", attrs={"long_name": title, "units": "1"}
        )

    def strange_labels(self, table: NDArray[np.float64]) -> list[str]:
        """Say which labels ``[label, parameter]`` are beyond the trained ones or far from all."""
        ranges = self.declaration["trained_range"]
        return strange_labels(table, self.scale.parameters, ranges, self.seen)

    def warn_of_labels(self, table: NDArray[np.float64]) -> None:
        """Warn of what :meth:`strange_labels` says of labels ``[label, parameter]``."""
        for text in self.strange_labels(table):
            warn_caller(text, RangeWarning)

    def law(self, train: xr.Dataset, held_out: NDArray[np.int64]) -> xr.Dataset:
        """Return what this flow's training events and labels were like.

        Parameters
        ----------
        train
            What it was trained on.
        held_out
            Positions that were kept from it: their scores alone count, where they are enough.
        """
        total = train.sizes[self.sample_dim]
        rows = held_out if len(held_out) >= ENOUGH else np.arange(total)
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST)).round().astype(int)]
        everything = self._columns(train)
        scores = -self._standard({name: column[rows] for name, column in everything.items()})
        return event_law(scores, everything, self.scale.variables, self.scale.parameters)

    def _outermost(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return the labels at the ends of each parameter, ``[label, parameter]``."""
        names = [p.name for p in self.scale.parameters]
        if not names or not len(columns[names[0]]):
            return np.zeros((0, len(names)))
        ends = [end(columns[name]) for name in names for end in (np.argmin, np.argmax)]
        return np.array([[columns[name][k] for name in names] for k in ends], dtype=np.float64)

    def _columns(self, dataset: xr.Dataset) -> dict[str, NDArray[Any]]:
        known = (*self.scale.variables, *self.scale.parameters)
        require(dataset, known, self.sample_dim)
        return {variable.name: np.asarray(dataset[variable.name].values) for variable in known}

    def _standard(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return log p of each event in coordinates relative to its label."""
        target = stack(self.scale.apply(columns, columns))
        condition = self._condition(columns, len(target))

        def density(start: int, stop: int) -> Tensor:
            own = None if condition is None else condition[start:stop]
            return self.network.log_prob(own, self._tensor(target[start:stop]))

        return self._by_rows(density, len(target))

    def sample(
        self, labels: Mapping[str, ArrayLike], rng: np.random.Generator, n: int | None = None
    ) -> dict[str, NDArray[Any]]:
        """Draw one event for each label.

        What lies far out and beyond all training events, at whichever label, is drawn again: a
        few in 10^4 at most, by which :meth:`log_prob` would be larger.

        Parameters
        ----------
        labels
            Parameter name → ``[event]``.
        rng
            Source of the normal draws; the same generator gives the same events.
        n
            Number of events, needed only where there are no parameters.

        Returns
        -------
        dict
            Variable name → ``[event]`` in the declared type, strictly inside its bounds.
        """
        columns = {name: np.atleast_1d(np.asarray(value)) for name, value in labels.items()}
        names = [parameter.name for parameter in self.scale.parameters]
        events = columns[names[0]].size if names and names[0] in columns else int(n or 0)
        drawn = self._draw(columns, rng, events)
        for _ in range(_AGAIN):
            (again,) = self.scale.unseen(drawn, columns).nonzero()
            if not again.size:
                break
            own = {name: column[again] for name, column in columns.items()}
            for name, column in self._draw(own, rng, again.size).items():
                drawn[name][again] = column
        return {v.name: stored_as(drawn[v.name], v.dtype) for v in self.scale.variables}

    def _draw(
        self, columns: Mapping[str, NDArray[Any]], rng: np.random.Generator, events: int
    ) -> dict[str, NDArray[np.float64]]:
        normal = rng.standard_normal((events, self.network.numbers), dtype=np.float32)
        condition = self._condition(columns, events)

        def draw(start: int, stop: int) -> Tensor:
            own = None if condition is None else condition[start:stop]
            return self.network.draw(own, self._tensor(normal[start:stop]))

        drawn = self._by_rows(draw, events).reshape(events, len(self.scale.variables))
        z = {v.name: drawn[:, i] for i, v in enumerate(self.scale.variables)}
        return self.scale.inverse(z, columns)

    def _condition(self, columns: Mapping[str, ArrayLike], events: int) -> Tensor | None:
        if not self.scale.parameters:
            return None
        return self._tensor(self.scale.features(columns, events).astype(np.float32))

    def _tensor(self, array: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(array).to(self._dtype)

    def _by_rows(self, function: Callable[[int, int], Tensor], rows: int) -> NDArray[np.float64]:
        """Run `function(start, stop)` over chunks of rows, in evaluation mode."""
        was_training = self.network.training
        self.network.eval()
        try:
            with torch.inference_mode():
                parts = [
                    function(start, min(start + ROWS, rows)).double().numpy()
                    for start in range(0, rows, ROWS)
                ]
        finally:
            self.network.train(was_training)
        return np.concatenate(parts) if parts else np.zeros(0)
