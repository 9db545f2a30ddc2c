"""Label-aware scaling: coordinates in which samples at different labels look alike.

A reconstructed mass at label 5000 GeV and one at 300 GeV have densities that share a shape
but neither place nor width. A density model then spends its capacity on moving a peak.
For every variable x at a condition c this module removes both, exactly and invertibly:

    u = g(x),   y = b((u - lower)/s(c)) - b((l(c) - lower)/s(c)),   b(v) = ln(e^v - 1)
    z = (o(y) - mean)/std

- g, the stretch, is the identity, or a logarithm or root (:mod:`presage.transforms.stretch`);
- l(c), the location: the parameter that the variable `follows`, where the events are within
  a few widths of it, else a smooth fit of their medians whose errors count in widths;
- s(c), the width: a smooth fit of half the central 68 % interval, on a logarithmic scale
  (or mean and standard deviation of the bulk, :mod:`presage.transforms.place`);
- b, the inverse softplus, sends the bound to minus infinity and is the identity away from
  it: y is close to (u - l)/s in the bulk, and no z maps beyond the bound. An upper bound is
  the mirror image, two bounds use the logit, none the identity;
- o, the outer map, is asinh, which compresses tails: an event 10^6 widths out stands at 15.
  Or it makes y standard normal by its quantiles (:mod:`presage.transforms.quantile_map`); always
  to do so was tried, and left a third fewer equivalent events of a resonance between its labels;
- mean and std are those of the events of all labels together.

What is not the usual (identity, medians, asinh) is chosen from the training events, where it
describes labels that were left out better (:mod:`presage.transforms.choice`).

A variable with a period is cut open where it has fewest events, and then has two bounds.

The statistics come from groups of events: one per label, or, where conditions are
continuous, cells of a k-d split. Every quantile is robust, so outliers change nothing.
Nothing is measured against the sample as a whole, so that labels may run over decades.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from presage.labels import LabelError, Parameter, Variable, nearest
from presage.labels.circle import wrapped
from presage.transforms.bounds import BoundMap
from presage.transforms.choice import Judge
from presage.transforms.columns import (
    Columns,
    Floats,
    check_bounds,
    columns_of,
    cut_open,
    declared,
    entry,
    from_entry,
    inside,
    turned,
)
from presage.transforms.place import Place
from presage.transforms.quantile_map import QuantileMap
from presage.transforms.reach import Reach
from presage.transforms.smooth import Smooth, features_of, groups, origins, periodic_features
from presage.transforms.stretch import Stretch, entry_of

#: asinh(y) is cut here on the way back: 10^25 widths out, and float32 still holds it.
_FAR = 60.0
#: An end of all events is in the tail of a label's that is so many widths away.
_TAIL = 3.0


@dataclass(frozen=True, eq=False)
class _Column:
    """The fitted scaling of one variable."""

    variable: Variable
    place: Place
    quantiles: QuantileMap | None = None  # the outer map; None: asinh
    mean: float = 0.0
    std: float = 1.0
    seen: tuple[float, float] = (-np.inf, np.inf)  # range of x in training
    reach: Reach | None = None  # and of z; None: endless

    def entry(self) -> dict[str, Any]:
        """Return what is not the usual, in JSON's terms."""
        stretch = self.place.stretch
        own: dict[str, Any] = {} if stretch.kind == "linear" else {"stretch": entry_of(stretch)}
        return own if self.quantiles is None else {**own, "outer": "quantiles"}

    def said(self) -> list[str]:
        """Return the same in words."""
        words = [self.place.stretch.said(self.variable.name)]
        return [word for word in [*words, "quantiles" if self.quantiles else ""] if word]

    def outer(self, y: Floats) -> Floats:
        return np.arcsinh(y) if self.quantiles is None else self.quantiles.apply(y)

    def outer_inverse(self, t: Floats) -> Floats:
        t = np.clip(t, -_FAR, _FAR)
        return np.sinh(t) if self.quantiles is None else self.quantiles.inverse(t)

    def outer_log_slope(self, y: Floats) -> Floats:
        if self.quantiles is None:
            return -np.log(np.hypot(1.0, y))
        return self.quantiles.apply_and_log_slope(y)[1]

    def beyond(self, x: Floats, condition: Mapping[str, Floats], design: Floats) -> Floats:
        """Return by how many widths all of the training is on one side of the label, ``[event]``.

        That side is x's.
        """
        location, width = self.place(condition, design)
        low, high = (self.place.stretch.apply(np.array(end)) for end in self.seen)
        return np.asarray(np.where(x < self.seen[0], location - low, high - location) / width)


@dataclass(frozen=True, eq=False)
class LabelScale:
    """A fitted scaling of several variables, see the module.

    Made by :meth:`fit`; all methods take and return columns by name.
    """

    variables: tuple[Variable, ...]  # what is scaled; bounds and `follows` are respected
    parameters: tuple[Parameter, ...]  # what it is conditioned on; none is fine
    origins: Floats  # where the logarithm of each parameter begins, NaN for none ``[parameter]``
    centre: Floats  # standardisation of the condition's features ``[feature]``
    spread: Floats
    columns: tuple[_Column, ...]  # one fitted scaling for each variable

    @classmethod
    def fit(
        cls,
        arrays: Columns,
        variables: Sequence[Variable],
        parameters: Sequence[Parameter] = (),
        there: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> Self:
        """Fit the scaling to samples.

        Parameters
        ----------
        arrays
            Name → ``[event]`` for all variables and parameters.
        variables, parameters
            What to scale and what it depends on.
        there
            Of variables that not every event has: which do, name → ``[event]``.

        Raises
        ------
        LabelError
            No events, a missing column, one of another length or not finite, values beyond
            a declared bound.
        """
        values = columns_of(arrays, variables, "variable")
        condition = columns_of(arrays, parameters, "parameter")
        events = next(iter(values.values())).size if values else 0
        if events == 0:
            raise LabelError("a scaling is fitted to at least one event of at least one variable")
        begins, centre, spread = standardisation(condition, parameters, events)
        design = (features_of(condition, parameters, begins, events) - centre) / spread
        everything = _Events(condition, design, groups(design), periodic_features(parameters))
        columns = []
        for variable in variables:
            x, events_there = values[variable.name], everything
            if there is not None and variable.name in there:
                (rows,) = there[variable.name].nonzero()
                x, events_there = x[rows], everything.at(rows)
            line = cut_open(variable, x)
            columns.append(_fit_column(line, turned(x, line), events_there, len(variables) == 1))
        return cls(tuple(variables), tuple(parameters), begins, centre, spread, tuple(columns))

    @classmethod
    def fit_dataset(cls, dataset: xr.Dataset, sample: str = "event") -> Self:
        """Fit to a labelled dataset: its parameters are the condition, the rest is scaled."""
        variables, parameters = declared(dataset, sample)
        arrays = {v.name: dataset[v.name].values for v in (*variables, *parameters)}
        return cls.fit(arrays, variables, parameters)

    def said(self) -> str:
        """Return in a line which coordinates are not the usual; empty where all are."""
        return "; ".join(
            f"{column.variable.name} by {' and '.join(column.said())}"
            for column in self.columns
            if column.said()
        )

    def features(self, condition: Columns, events: int | None = None) -> Floats:
        """Return the standardised features ``[event, feature]`` of conditions.

        Parameters
        ----------
        condition
            Parameter name → ``[event]``.
        events
            Number of events, needed only where there is no parameter.
        """
        columns = columns_of(condition, self.parameters, "parameter")
        return self._design(columns, events)

    def apply(
        self, x: Columns, condition: Columns, names: Sequence[str] | None = None
    ) -> dict[str, Floats]:
        """Return the scaled columns z.

        Parameters
        ----------
        x
            Variable name → ``[event]``.
        condition
            Parameter name → ``[event]``.
        names
            Of some variables alone.
        """
        return {
            name: (column.outer(y) - column.mean) / column.std
            for name, column, _, _, y in self._mapped(x, condition, names)
        }

    def inverse(
        self, z: Columns, condition: Columns, names: Sequence[str] | None = None
    ) -> dict[str, Floats]:
        """Return the columns x whose scaling is z; never at or beyond a bound."""
        columns = self._named(names)
        values = columns_of(z, [column.variable for column in columns], "variable")
        result: dict[str, Floats] = {}
        for column, bounds in self._maps(columns, values, condition):
            t = values[column.variable.name] * column.std + column.mean
            x = column.place.stretch.inverse(bounds.inverse(column.outer_inverse(t)))
            result[column.variable.name] = inside(x, column.variable)
        circles = [v for v in self.variables if v.period is not None and v.name in result]
        return result | {v.name: wrapped(result[v.name], v) for v in circles}

    def unseen(self, x: Columns, condition: Columns) -> NDArray[np.bool_]:
        """Return which events have a value beyond all those of the fit, ``[event]``.

        That is in coordinates relative to the label, or in the variable's own. In its own an end
        counts only where it is far out in the tail of the label: at labels whose own events go
        beyond it, as at a corner of the grid, that is no reason for doubt.
        """
        labels = columns_of(condition, self.parameters, "parameter")
        found = np.zeros(len(np.atleast_1d(x[self.variables[0].name])), dtype=bool)
        for _, column, _, value, y in self._mapped(x, condition):
            z = (column.outer(y) - column.mean) / column.std
            if column.reach is not None:
                found |= column.reach.passed(z, self._design(labels, z.size))
            out = np.flatnonzero((value < column.seen[0]) | (value > column.seen[1]))
            own = {label: numbers[out] for label, numbers in labels.items()}
            far = column.beyond(value[out], own, self._design(own, out.size)) > _TAIL
            found[out[far]] = True
        return found

    def log_det(self, x: Columns, condition: Columns, names: Sequence[str] | None = None) -> Floats:
        """Return the sum over variables, or some of them, of log |dz/dx|, ``[event]``."""
        total: Floats | None = None
        for _, column, bounds, values, y in self._mapped(x, condition, names):
            stretch = column.place.stretch
            term = bounds.log_slope(stretch.apply(values)) + stretch.log_slope(values)
            term = term + column.outer_log_slope(y) - np.log(column.std)
            total = term if total is None else total + term
        return np.zeros(0) if total is None else total

    def state(self) -> dict[str, Floats]:
        """Return the fitted numbers, name → array; with :meth:`declaration` that is all."""
        state = {
            "features.origins": self.origins, "features.centre": self.centre,
            "features.spread": self.spread,
        }  # fmt: skip
        for column in self.columns:
            name = column.variable.name
            state[f"{name}.standard"] = np.array([column.mean, column.std])
            state[f"{name}.seen"] = np.array(column.seen)
            if column.reach is not None:
                state |= {f"{name}.reach.{k}": v for k, v in column.reach.state().items()}
            place = column.place
            state |= {f"{name}.width.{k}": v for k, v in place.log_width.state().items()}
            if column.quantiles is not None:
                state |= {f"{name}.quantiles.{k}": v for k, v in column.quantiles.state().items()}
            if column.variable.period is not None:
                state[f"{name}.cut"] = np.array([column.variable.lower], dtype=float)
            if place.location is not None:
                state |= {f"{name}.location.{k}": v for k, v in place.location.state().items()}
        return state

    def declaration(self) -> dict[str, Any]:
        """Return variables and parameters in JSON's terms, and what is not the usual of each."""
        chosen = {c.variable.name: c.entry() for c in self.columns if c.entry()}
        return {
            "variables": [entry(variable) for variable in self.variables],
            "parameters": [entry(parameter) for parameter in self.parameters],
            **({"coordinates": chosen} if chosen else {}),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, ArrayLike], declaration: Mapping[str, Any]) -> Self:
        """Rebuild what :meth:`state` and :meth:`declaration` describe, bit for bit.

        Raises
        ------
        LabelError
            An entry is missing.
        """
        variables = tuple(from_entry(Variable, entry) for entry in declaration["variables"])
        parameters = tuple(from_entry(Parameter, entry) for entry in declaration["parameters"])
        numbers = {name: np.asarray(value, dtype=np.float64) for name, value in state.items()}
        try:
            chosen = declaration.get("coordinates", {})
            columns = tuple(_restore(v, numbers, chosen.get(v.name, {})) for v in variables)
            return cls(
                variables,
                parameters,
                numbers.get("features.origins", _old_origins(parameters)),
                numbers["features.centre"],
                numbers["features.spread"],
                columns,
            )
        except KeyError as error:
            raise LabelError(
                f"the state of a scaling lacks {error}{nearest(str(error), numbers)}"
            ) from error

    def _design(self, condition: Mapping[str, Floats], events: int | None) -> Floats:
        if condition:
            events = next(iter(condition.values())).size
        raw = features_of(condition, self.parameters, self.origins, events or 0)
        return np.asarray((raw - self.centre) / self.spread)

    def _named(self, names: Sequence[str] | None) -> Sequence[_Column]:
        return [c for c in self.columns if names is None or c.variable.name in names]

    def _maps(
        self, columns: Sequence[_Column], values: Mapping[str, Floats], condition: Columns
    ) -> list[tuple[_Column, BoundMap]]:
        labels = columns_of(condition, self.parameters, "parameter")
        events = next(iter(values.values())).size
        for name, label in labels.items():
            if label.size != events:
                raise LabelError(f"{name!r} has {label.size} values for {events} events")
        design = self._design(labels, events)
        return [(column, column.place.bound_map(labels, design)) for column in columns]

    def _mapped(
        self, x: Columns, condition: Columns, names: Sequence[str] | None = None
    ) -> list[tuple[str, _Column, BoundMap, Floats, Floats]]:
        columns = self._named(names)
        values = columns_of(x, [column.variable for column in columns], "variable")
        result = []
        for column, bounds in self._maps(columns, values, condition):
            name = column.variable.name
            values[name] = turned(values[name], column.variable)
            check_bounds(values[name], column.variable)
            y = bounds.apply(column.place.stretch.apply(values[name]))
            result.append((name, column, bounds, values[name], y))
        return result


def _restore(
    variable: Variable, numbers: Mapping[str, Floats], chosen: Mapping[str, Any]
) -> _Column:
    name = variable.name
    if variable.period is not None:
        cut = float(numbers[f"{name}.cut"][0])
        variable = replace(variable, lower=cut, upper=cut + variable.period)
    mean, std = numbers[f"{name}.standard"]
    seen = numbers.get(f"{name}.seen", np.array([-np.inf, np.inf]))
    followed = f"{name}.location.coefficients" not in numbers
    stretch = Stretch(**chosen.get("stretch", {}))
    place = Place(
        variable=stretch.of(variable),
        stretch=stretch,
        location=None if followed else Smooth.from_state(numbers, f"{name}.location."),
        log_width=Smooth.from_state(numbers, f"{name}.width."),
    )
    outer = QuantileMap.from_state(numbers, f"{name}.quantiles.") if "outer" in chosen else None
    reach = Reach.from_state(numbers, f"{name}.reach.")
    ends = float(seen[0]), float(seen[1])
    return _Column(variable, place, outer, float(mean), float(std), ends, reach)


def standardisation(
    condition: Mapping[str, Floats], parameters: Sequence[Parameter], events: int
) -> tuple[Floats, Floats, Floats]:
    """Return where logarithms of parameters begin, and centre and spread of the features."""
    begins = origins(condition, parameters)
    raw = features_of(condition, parameters, begins, events)
    centre, spread = raw.mean(axis=0), raw.std(axis=0)
    return begins, centre, np.where(spread > 0, spread, 1.0)


def _old_origins(parameters: Sequence[Parameter]) -> Floats:
    """Return the origins of models of version 1, which stored none."""
    bound = [p.lower if p.upper is None and p.period is None else None for p in parameters]
    return np.array([np.nan if lower is None else lower for lower in bound], dtype=float)


@dataclass(frozen=True, eq=False)
class _Events:
    """The events that columns are fitted to."""

    condition: Mapping[str, Floats]  # parameter → ``[event]``
    design: Floats  # ``[event, feature]``
    members: list[NDArray[np.intp]]  # groups of like conditions
    periodic: NDArray[np.bool_]  # ``[feature]``

    def at(self, rows: NDArray[np.intp]) -> _Events:
        design = self.design[rows]
        condition = {name: column[rows] for name, column in self.condition.items()}
        return _Events(condition, design, groups(design), self.periodic)


def _fit_column(variable: Variable, x: Floats, events: _Events, alone: bool) -> _Column:
    check_bounds(x, variable)
    given = (events.condition, events.design, events.members, events.periodic)
    chosen = Judge.of(variable, x, *given, alone).choose()
    place = Place.fit(variable, chosen.stretch, chosen.place, x, *given)
    y = place.bound_map(events.condition, events.design).apply(chosen.stretch.apply(x))
    quantiles = QuantileMap.fit(y) if chosen.quantiles else None
    column = _Column(variable, place, quantiles, seen=(float(x.min()), float(x.max())))
    t = column.outer(y)
    mean, std = float(t.mean()), float(t.std())
    std = std if std > 1e-12 else 1.0
    return replace(column, mean=mean, std=std, reach=Reach.fit((t - mean) / std, events.design))
