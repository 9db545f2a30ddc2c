"""Trained densities of columns, in physical units: events drawn at labels, and log p of events.

Event i of a draw is a function of (model, labels, seed, i): a longer draw begins with a shorter
one, and :func:`presage.sample`, which keeps the events in a store, draws the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, cast

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from torch import Tensor

from presage.labels import Floats, LabelError, Parameter, Variable, require, stored_as, unitless
from presage.labels.caller import warn_caller
from presage.labels.schedule import schedule
from presage.lineage import SAMPLE
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
from presage.models.event_weights import fair_events
from presage.models.fitted import Fitted
from presage.models.prepared import Prepared, prepare_columns
from presage.models.training import training
from presage.rng import generator
from presage.transforms.distinct_labels import Labels, label_table
from presage.transforms.event_scale import EventScale
from presage.transforms.weights import weights_of

#: Rows handled at once: what they become in between stays in the caches.
ROWS = 16384
#: How often an event beyond all training events is drawn again.
_AGAIN = 8
#: Events that share a generator, and its name: as those that a store keeps have them.
BLOCK, STREAM = 32768, "flow_sample"


@dataclass(frozen=True, eq=False)
class _Settled:
    """Columns of drawn events at labels, as a network was trained to see them."""

    scale: EventScale
    labels: Mapping[str, NDArray[Any]]

    def __call__(self, own: Tensor, values: Tensor, before: Tensor) -> Tensor:
        known = before.double().numpy()
        settled = [
            self.scale.settled(k, values[:, i].double().numpy(), known, self.labels)
            for i, k in enumerate(own.tolist())
        ]
        return torch.from_numpy(np.stack(settled, axis=1)).to(values)

    def at(self, rows: Tensor) -> _Settled:
        own = rows.numpy()
        return _Settled(self.scale, {name: label[own] for name, label in self.labels.items()})


@dataclass(frozen=True, eq=False, repr=False)
class FittedDensity(Fitted):
    """A trained density of columns at labels: draws events, and gives log p of events.

    Examples
    --------
    ``flow = ps.fit(ps.models.SplineFlow(), train)``, then ``flow.sample([(2464, 5.1)], 1000)``
    is a dataset of events at that label, and ``flow.log_prob(events)`` has one number for each
    event, in the variables' own units.
    """

    @cached_property
    def scale(self) -> EventScale:
        """Between physical units and those of the network."""
        return EventScale.from_state(self.state, self.declaration)

    @property
    def _density(self) -> DensityNetwork:
        return cast(DensityNetwork, self.network)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The labels it was trained at, with their range."""
        ranges = self.declaration["trained_range"]
        names = [f.name for f in fields(Variable)]
        return tuple(
            Parameter(
                **{name: getattr(p, name) for name in names},
                low=ranges[p.name][0],
                high=ranges[p.name][1],
            )
            for p in self.scale.parameters
        )

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What it draws."""
        return self.scale.variables

    def log_prob(self, dataset: xr.Dataset) -> xr.DataArray:
        """Return the natural logarithm of the density, in the inverse units of the variables.

        Of whole numbers, and of values that have a probability of their own, it is that of the
        probability: the base measure counts them. It is exact where the network takes cells, see
        :mod:`presage.transforms.event_scale`, else an estimate.

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
        values = standard + self.scale.log_det(columns)
        continuous = [v for v in self.variables if not self.scale.kinds[v.name].counted]
        per = " ".join(f"{v.unit}-1" for v in continuous if v.unit != "1")
        title = "natural logarithm of the density" + (f" in {per}" if per else "")
        return xr.DataArray(
            values,
            dims=self.sample_dim,
            coords={k: v for k, v in dataset.coords.items() if v.dims == (self.sample_dim,)},
            name="log_prob",
            attrs=unitless(title),
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
        return xr.DataArray(values, dims=self.sample_dim, name="p_value", attrs=unitless(title))

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
        everything = self._columns(train)
        weights = weights_of(train, self.sample_dim)
        if weights is not None:  # scores of events that, counted alike, have the weighted law
            fair = fair_events(weights, everything, self.variables, self.parameters)
            among = fair[np.isin(fair, rows)]
            rows = among if len(among) else rows
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST)).round().astype(int)]
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
        rounds = self.scale.rounds
        logs = np.stack([self._log_prob_of(columns, number) for number in range(rounds)])
        return logs[0] if rounds == 1 else np.asarray(logsumexp(logs, axis=0) - np.log(rounds))

    def _log_prob_of(self, columns: Mapping[str, NDArray[Any]], number: int) -> NDArray[np.float64]:
        arrays, added = self.scale.points(columns, number=number)
        condition = self._condition(columns, len(added))
        tensors = {name: self._tensor(array) for name, array in arrays.items()}
        if condition is not None:
            tensors["condition"] = condition

        def density(start: int, stop: int) -> Tensor:
            return self._density.log_prob_of({n: t[start:stop] for n, t in tensors.items()})

        return self._by_rows(density, len(added)) + added

    def sample(
        self, labels: Labels | None = None, n: int | Sequence[int] = 10_000, *, seed: int = 0
    ) -> xr.Dataset:
        """Draw `n` events at each label, in memory; :func:`presage.sample` keeps them in a store.

        Parameters
        ----------
        labels
            Tuples in the order of the parameters, name → value, or a dataset whose distinct
            labels are meant; None for a density without parameters.
        n
            Events at each label: one number, or one for each (kept to within a few events).
        seed
            Of the normal draws.

        Returns
        -------
        xarray.Dataset
            Variables and label columns over ``event``, the labels in turn.

        Raises
        ------
        LabelError
            No label, one that is not finite or lacks a parameter, or `n` below 1.

        Warns
        -----
        RangeWarning
            A label lies outside the range of the training labels, or far from all of them.
        """
        table, sizes = self.asked(labels, n)
        self.warn_of_labels(table)
        weights = None if len(set(sizes)) == 1 else np.array(sizes, dtype=np.float64)
        total = sum(sizes)
        blocks = []
        for index in range(-(-total // BLOCK)):  # whole ones: event i whatever the total
            start = index * BLOCK
            rows = schedule(start, start + BLOCK, len(table), weights)
            at = {p.name: table[rows, k] for k, p in enumerate(self.scale.parameters)}
            blocks.append({**at, **self.draw(at, generator(STREAM, seed, index), BLOCK)})
        columns = {}
        for v in (*self.parameters, *self.variables):
            values = np.concatenate([block[v.name] for block in blocks])[:total]
            columns[v.name] = ("event", stored_as(values, v.dtype), v.attributes())
        return xr.Dataset(
            columns,
            coords={"event": ("event", np.arange(total), {"long_name": "sample number"})},
            attrs={SAMPLE: "event", "model": self.key},
        )

    def asked(self, labels: Labels | None, n: int | Sequence[int]) -> tuple[Floats, list[int]]:
        """Return labels ``[label, parameter]``, and how many events are wanted at each.

        Raises
        ------
        LabelError
            As :meth:`sample`.
        """
        parameters = self.scale.parameters
        if labels is None and parameters:
            names = ", ".join(p.name for p in parameters)
            raise LabelError(
                f"at which labels? Give tuples of ({names}), or a dataset that has them"
            )
        table = np.zeros((1, 0)) if labels is None else label_table(labels, parameters)
        if not np.isfinite(table).all():
            raise LabelError(f"labels must be finite numbers, got {table.tolist()}")
        if not len(table):
            raise LabelError("at least one label is needed, got none")
        sizes = np.broadcast_to(n, len(table)) if np.ndim(n) == 0 else np.asarray(n)
        if sizes.dtype.kind not in "iu" or sizes.shape != (len(table),) or sizes.min() < 1:
            raise LabelError(
                f"n is at least 1 event a label, one number or {len(table)} of them; got {n!r}"
            )
        return table, [int(size) for size in sizes]

    def draw(
        self, labels: Mapping[str, ArrayLike], rng: np.random.Generator, n: int | None = None
    ) -> dict[str, NDArray[Any]]:
        """Draw one event for each label.

        What lies beyond the training events of like labels, relative to its label, is drawn again
        (:mod:`presage.transforms.reach`): a few in 10^4 at most, by which :meth:`log_prob` would be
        larger.

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
        normal = rng.standard_normal((events, self._density.numbers), dtype=np.float32)
        condition = self._condition(columns, events)

        one_by_one = self.scale.exact and not self.scale.continuous

        def draw(start: int, stop: int) -> Tensor:
            own = None if condition is None else condition[start:stop]
            numbers = self._tensor(normal[start:stop])
            if not one_by_one:
                return self._density.draw(own, numbers)
            at = {p.name: columns[p.name][start:stop] for p in self.scale.parameters}
            return self._density.draw_settled(own, numbers, _Settled(self.scale, at))

        drawn = self._by_rows(draw, events).reshape(events, len(self.scale.columns))
        return self.scale.inverse(drawn, columns)

    def _condition(self, columns: Mapping[str, ArrayLike], events: int) -> Tensor | None:
        if not self.scale.parameters:
            return None
        return self._tensor(self.scale.features(columns, events).astype(np.float32))

    def _tensor(self, array: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(array).to(self.dtype)

    def _by_rows(self, function: Callable[[int, int], Tensor], rows: int) -> NDArray[np.float64]:
        """Run `function(start, stop)` over chunks of rows."""
        with torch.inference_mode():
            parts = [
                function(start, min(start + ROWS, rows)).double().numpy()
                for start in range(0, rows, ROWS)
            ]
        return np.concatenate(parts) if parts else np.zeros(0)


class DensityModel:
    """A specification whose network is a :class:`~presage.models.density.DensityNetwork`."""

    fitted: ClassVar[type[FittedDensity]] = FittedDensity

    def prepare(self, dataset: xr.Dataset) -> Prepared:
        """Fit the scaling to training events, flat over their samples, and return them scaled."""
        return prepare_columns(dataset, bool(getattr(self, "takes_cells", False)))

    def training(self, dataset: xr.Dataset) -> dict[str, Any]:
        """Return the settings of a training that suit `dataset`, for those not given."""
        return training(dataset)
