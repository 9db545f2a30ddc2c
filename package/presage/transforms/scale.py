"""Label-aware scaling: coordinates in which samples at different labels look alike.

A reconstructed mass at label 5000 GeV and one at 300 GeV have densities that share a shape
but neither place nor width. A density model then spends its capacity on moving a peak.
For every variable x at a condition c this module removes both, exactly and invertibly:

    y = b((x - lower)/s(c)) - b((l(c) - lower)/s(c)),   b(u) = ln(e^u - 1)
    z = (asinh(y) - mean)/std

- l(c), the location: the parameter that the variable `follows`, else a smooth fit of the
  medians;
- s(c), the width: a smooth fit of half the central 68 % interval, a low-order polynomial
  of the conditions, on a logarithmic scale;
- b, the inverse softplus, sends the bound to minus infinity and is the identity away from
  it: y is close to (x - l)/s in the bulk, and no z maps beyond the bound. An upper bound is
  the mirror image, two bounds use the logit, none the identity;
- asinh compresses tails: an event 10^6 widths out stands at z of order 10.

A variable with a period is cut open where it has fewest events, and then has two bounds.

The statistics come from groups of events: one per label, or, where conditions are
continuous, cells of a k-d split. Every quantile is robust, so outliers change nothing.
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
from presage.transforms.smooth import Smooth, features_of, groups, periodic_features

#: asinh(y) is cut here on the way back: 10^25 widths out, and float32 still holds it.
_FAR = 60.0


@dataclass(frozen=True, eq=False)
class _Column:
    """The fitted scaling of one variable."""

    variable: Variable
    location: Smooth | None  # None: the followed parameter itself
    log_width: Smooth
    mean: float
    std: float

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

    Parameters
    ----------
    variables
        What is scaled; bounds and `follows` are respected.
    parameters
        What it is conditioned on; none is fine.
    centre, spread
        Standardisation of the condition's features ``[feature]``.
    columns
        One fitted scaling for each variable.
    """

    variables: tuple[Variable, ...]
    parameters: tuple[Parameter, ...]
    centre: Floats
    spread: Floats
    columns: tuple[_Column, ...]

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
        raw = features_of(condition, parameters, events)
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
        return cls(tuple(variables), tuple(parameters), centre, spread, columns)

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
        return {name: (np.arcsinh(y) - column.mean) / column.std
                for name, column, _, _, y in self._mapped(x, condition)}  # fmt: skip

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

    def log_det(self, x: Columns, condition: Columns) -> Floats:
        """Return the sum over variables of log |dz/dx|, ``[event]``."""
        total: Floats | None = None
        for _, column, bounds, values, y in self._mapped(x, condition):
            term = bounds.log_slope(values) - _log_hypot1(y) - np.log(column.std)
            total = term if total is None else total + term
        return np.zeros(0) if total is None else total

    def state(self) -> dict[str, Floats]:
        """Return the fitted numbers, name → array; with :meth:`declaration` that is all."""
        state = {"features.centre": self.centre, "features.spread": self.spread}
        for column in self.columns:
            name = column.variable.name
            state[f"{name}.standard"] = np.array([column.mean, column.std])
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
        raw = features_of(condition, self.parameters, events or 0)
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
    mean, std = numbers[f"{name}.standard"]
    if variable.period is not None:
        cut = float(numbers[f"{name}.cut"][0])
        variable = replace(variable, lower=cut, upper=cut + variable.period)
    followed = f"{name}.location.coefficients" not in numbers
    return _Column(
        variable=variable,
        location=None if followed else Smooth.from_state(numbers, f"{name}.location."),
        log_width=Smooth.from_state(numbers, f"{name}.width."),
        mean=float(mean),
        std=float(std),
    )


def _fit_column(
    variable: Variable,
    x: Floats,
    condition: Mapping[str, Floats],
    design: Floats,
    members: list[NDArray[np.intp]],
    periodic: NDArray[np.bool_],
) -> _Column:
    check_bounds(x, variable)
    quantiles = np.array([np.quantile(x[group], (0.16, 0.5, 0.84)) for group in members])
    half = (quantiles[:, 2] - quantiles[:, 0]) / 2
    centres = np.array([design[group].mean(axis=0) for group in members])
    weights = np.sqrt([float(group.size) for group in members])
    floor = _smallest_width(x)
    log_width = Smooth.fit(centres, np.log(np.maximum(half, floor)), weights, periodic)
    location = None
    if variable.follows not in condition:
        location = Smooth.fit(centres, quantiles[:, 1], weights, periodic)
    column = _Column(variable, location, log_width, 0.0, 1.0)
    t = np.arcsinh(column.bound_map(condition, design).apply(x))
    std = float(t.std())
    return _Column(variable, location, log_width, float(t.mean()), std if std > 1e-12 else 1.0)


def _smallest_width(x: Floats) -> float:
    """Return a width below which a group counts as constant."""
    low, middle, high = np.quantile(x, (0.01, 0.5, 0.99))
    overall = high - low if high > low else float(x.max() - x.min())
    return float(1e-4 * overall) or float(1e-3 * abs(middle)) or 1.0


def _log_hypot1(y: Floats) -> Floats:
    """Return ln sqrt(1 + y^2) without overflow."""
    return np.asarray(np.log(np.hypot(1.0, y)))
