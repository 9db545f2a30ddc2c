"""Label-aware scaling: coordinates in which samples at different labels look alike.

A reconstructed mass at label 5000 GeV and one at 300 GeV have densities that share a shape
but neither place nor width. A density model then spends its capacity on moving a peak.
For every variable x at a condition c this module removes both, exactly and invertibly:

    y = b((x - lower)/s(c)) - b((l(c) - lower)/s(c)),   b(u) = ln(e^u - 1)
    z = (asinh(y) - mean)/std

- l(c), the location: the parameter that the variable `follows`, where the medians are within
  a few widths of it, else a smooth fit of the medians whose errors count in widths;
- s(c), the width: a smooth fit of half the central 68 % interval, on a logarithmic scale;
- b, the inverse softplus, sends the bound to minus infinity and is the identity away from
  it: y is close to (x - l)/s in the bulk, and no z maps beyond the bound. An upper bound is
  the mirror image, two bounds use the logit, none the identity;
- asinh compresses tails: an event 10^6 widths out stands at 15;
- mean and std are those of the events of all labels together. (To make them standard normal by
  their quantiles was tried: a third fewer equivalent events at labels that were held out.)

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
from presage.transforms.smooth import Smooth, features_of, groups, origins, periodic_features

#: asinh(y) is cut here on the way back: 10^25 widths out, and float32 still holds it.
_FAR = 60.0
#: Errors of ln(width) count in this, and a variable follows a parameter within so many widths.
_LOG_WIDTH, _FOLLOWS = 0.1, 3.0
#: An end of all events is in the tail of a label's that is so many widths away.
_TAIL = 3.0


@dataclass(frozen=True, eq=False)
class _Column:
    """The fitted scaling of one variable."""

    variable: Variable
    location: Smooth | None  # None: the followed parameter itself
    log_width: Smooth
    mean: float = 0.0
    std: float = 1.0
    seen: tuple[float, float] = (-np.inf, np.inf)

    def place(self, condition: Mapping[str, Floats], design: Floats) -> tuple[Floats, Floats]:
        """Return location and width ``[event]`` at each event's condition."""
        width = np.exp(self.log_width(design))
        if self.location is None:
            location = condition[str(self.variable.follows)]
        else:
            location = self.location(design)
        return location, width

    def bound_map(self, condition: Mapping[str, Floats], design: Floats) -> BoundMap:
        location, width = self.place(condition, design)
        return BoundMap(location, width, self.variable.lower, self.variable.upper)


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
    ) -> Self:
        """Fit the scaling to samples.

        Parameters
        ----------
        arrays
            Name → ``[event]`` for all variables and parameters.
        variables, parameters
            What to scale and what it depends on.

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
        begins = origins(condition, parameters)
        raw = features_of(condition, parameters, begins, events)
        centre, spread = raw.mean(axis=0), raw.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        design = (raw - centre) / spread
        members = groups(design)
        periodic = periodic_features(parameters)
        lines = [cut_open(variable, values[variable.name]) for variable in variables]
        columns = tuple(
            _fit_column(line, turned(values[line.name], line), condition, design, members, periodic)
            for line in lines
        )
        return cls(tuple(variables), tuple(parameters), begins, centre, spread, columns)

    @classmethod
    def fit_dataset(cls, dataset: xr.Dataset, sample: str = "event") -> Self:
        """Fit to a labelled dataset: its parameters are the condition, the rest is scaled."""
        variables, parameters = declared(dataset, sample)
        arrays = {v.name: dataset[v.name].values for v in (*variables, *parameters)}
        return cls.fit(arrays, variables, parameters)

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

    def apply(self, x: Columns, condition: Columns) -> dict[str, Floats]:
        """Return the scaled columns z.

        Parameters
        ----------
        x
            Variable name → ``[event]``.
        condition
            Parameter name → ``[event]``.
        """
        return {
            name: (np.arcsinh(y) - column.mean) / column.std
            for name, column, _, _, y in self._mapped(x, condition)
        }

    def inverse(self, z: Columns, condition: Columns) -> dict[str, Floats]:
        """Return the columns x whose scaling is z; never at or beyond a bound."""
        values = columns_of(z, self.variables, "variable")
        result: dict[str, Floats] = {}
        for column, bounds in self._maps(values, condition):
            t = values[column.variable.name] * column.std + column.mean
            x = bounds.inverse(np.sinh(np.clip(t, -_FAR, _FAR)))
            result[column.variable.name] = inside(x, column.variable)
        circles = [v for v in self.variables if v.period is not None]
        return result | {v.name: wrapped(result[v.name], v) for v in circles}

    def unseen(self, x: Columns, condition: Columns) -> NDArray[np.bool_]:
        """Return which events have a value beyond all those of the fit, ``[event]``.

        An end counts only where it is far out in the tail of the label: at labels whose own
        events go beyond it, as at a corner of the grid, that is no reason for doubt.
        """
        values = columns_of(x, self.variables, "variable")
        labels = columns_of(condition, self.parameters, "parameter")
        found = np.zeros(next(iter(values.values())).size, dtype=bool)
        beyond = []
        for column in self.columns:
            value = turned(values[column.variable.name], column.variable)
            out = np.flatnonzero((value < column.seen[0]) | (value > column.seen[1]))
            own = {name: label[out] for name, label in labels.items()}
            location, width = column.place(own, self._design(own, out.size))
            low, high = (column.seen[0] - location) / width, (column.seen[1] - location) / width
            far = np.where(value[out] < column.seen[0], -low, high) > _TAIL
            beyond.append(out[far])
        found[np.concatenate(beyond)] = True
        return found

    def log_det(self, x: Columns, condition: Columns) -> Floats:
        """Return the sum over variables of log |dz/dx|, ``[event]``."""
        total: Floats | None = None
        for _, column, bounds, values, y in self._mapped(x, condition):
            term = bounds.log_slope(values) - _log_hypot1(y) - np.log(column.std)
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
            state |= {f"{name}.width.{k}": v for k, v in column.log_width.state().items()}
            if column.variable.period is not None:
                state[f"{name}.cut"] = np.array([column.variable.lower], dtype=float)
            if column.location is not None:
                state |= {f"{name}.location.{k}": v for k, v in column.location.state().items()}
        return state

    def declaration(self) -> dict[str, Any]:
        """Return variables and parameters in JSON's terms."""
        return {
            "variables": [entry(variable) for variable in self.variables],
            "parameters": [entry(parameter) for parameter in self.parameters],
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
            columns = tuple(_restore(variable, numbers) for variable in variables)
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

    def _maps(
        self, values: Mapping[str, Floats], condition: Columns
    ) -> list[tuple[_Column, BoundMap]]:
        labels = columns_of(condition, self.parameters, "parameter")
        events = next(iter(values.values())).size
        for name, label in labels.items():
            if label.size != events:
                raise LabelError(f"{name!r} has {label.size} values for {events} events")
        design = self._design(labels, events)
        return [(column, column.bound_map(labels, design)) for column in self.columns]

    def _mapped(
        self, x: Columns, condition: Columns
    ) -> list[tuple[str, _Column, BoundMap, Floats, Floats]]:
        values = columns_of(x, self.variables, "variable")
        result = []
        for column, bounds in self._maps(values, condition):
            name = column.variable.name
            values[name] = turned(values[name], column.variable)
            check_bounds(values[name], column.variable)
            result.append((name, column, bounds, values[name], bounds.apply(values[name])))
        return result


def _restore(variable: Variable, numbers: Mapping[str, Floats]) -> _Column:
    name = variable.name
    if variable.period is not None:
        cut = float(numbers[f"{name}.cut"][0])
        variable = replace(variable, lower=cut, upper=cut + variable.period)
    mean, std = numbers[f"{name}.standard"]
    seen = numbers.get(f"{name}.seen", np.array([-np.inf, np.inf]))
    followed = f"{name}.location.coefficients" not in numbers
    return _Column(
        variable=variable,
        location=None if followed else Smooth.from_state(numbers, f"{name}.location."),
        log_width=Smooth.from_state(numbers, f"{name}.width."),
        mean=float(mean),
        std=float(std),
        seen=(float(seen[0]), float(seen[1])),
    )


def _old_origins(parameters: Sequence[Parameter]) -> Floats:
    """Return the origins of models of version 1, which stored none."""
    bound = [p.lower if p.upper is None and p.period is None else None for p in parameters]
    return np.array([np.nan if lower is None else lower for lower in bound], dtype=float)


def _fit_column(
    variable: Variable,
    x: Floats,
    condition: Mapping[str, Floats],
    design: Floats,
    members: list[NDArray[np.intp]],
    periodic: NDArray[np.bool_],
) -> _Column:
    check_bounds(x, variable)
    middle = np.array([np.median(x[group]) for group in members])
    centres = np.array([design[group].mean(axis=0) for group in members])
    weights = np.sqrt([float(group.size) for group in members])
    half = _half_widths(x, members, variable)
    location = None
    followed = condition.get(str(variable.follows))
    if followed is None or not _close(middle, followed, half, members):
        bounds = [b for b in (variable.lower, variable.upper) if b is not None]
        origin = bounds[0] if bounds else 0.0
        location = Smooth.fit(centres, middle, weights, periodic, half, origin)
        # Within a cell of continuous conditions the location moves: that is no width.
        half = _half_widths(x, members, variable, location(design))
    log_width = Smooth.fit(centres, np.log(half), weights, periodic, _LOG_WIDTH)
    column = _Column(variable, location, log_width)
    z = np.arcsinh(column.bound_map(condition, design).apply(x))
    mean, std = float(z.mean()), float(z.std())
    seen = float(x.min()), float(x.max())
    return replace(column, mean=mean, std=std if std > 1e-12 else 1.0, seen=seen)


def _close(middle: Floats, followed: Floats, half: Floats, members: list[NDArray[np.intp]]) -> bool:
    """Return whether most groups' medians are within a few widths of the parameter."""
    label = np.array([followed[group].mean() for group in members])
    return bool(np.median(np.abs(middle - label) / half) < _FOLLOWS)


def _half_widths(
    x: Floats, members: list[NDArray[np.intp]], variable: Variable, place: Floats | None = None
) -> Floats:
    """Return half the central 68 % of each group about its place, above 0 for constant ones."""
    about = x if place is None else x - place
    quantiles = np.array([np.quantile(about[group], (0.01, 0.16, 0.84, 0.99)) for group in members])
    size = np.abs([np.median(x[group]) for group in members])
    half = (quantiles[:, 2] - quantiles[:, 1]) / 2
    kind = np.dtype(variable.dtype)
    resolved = 4 * np.finfo(kind if kind.kind == "f" else np.float64).eps * size
    half = np.maximum(half, np.maximum(1e-3 * (quantiles[:, 3] - quantiles[:, 0]), resolved))
    varied = half > resolved
    if varied.any():  # what does not vary is as wide as the narrowest that does
        return np.asarray(np.where(varied, half, half[varied].min()))
    return np.full(len(half), 1e-3 * float(size.max()) or 1e-12)


def _log_hypot1(y: Floats) -> Floats:
    """Return ln sqrt(1 + y^2) without overflow."""
    return np.asarray(np.log(np.hypot(1.0, y)))
