"""Columns of samples by name: which are variables and which parameters, and their checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from presage.labels import (
    LabelError,
    Parameter,
    Variable,
    Weight,
    check_one_weight,
    nearest,
    present,
    real,
)
from presage.labels.circle import emptiest, opened
from presage.labels.names import check_label_names

Floats = NDArray[np.float64]
Columns = Mapping[str, ArrayLike]


def declared(
    dataset: xr.Dataset, sample: str = "event", source: str = "the dataset"
) -> tuple[tuple[Variable, ...], tuple[Parameter, ...]]:
    """Return the variables and parameters that a labelled dataset declares.

    They lie along `sample`, parameters with the attribute ``role="parameter"``; arrays without that
    dimension are passed over, and so are weights. Errors call the dataset `source`.

    Raises
    ------
    LabelError
        Nothing but parameters, a variable that is not one number per sample, or two weights.
    """
    variables: list[Variable] = []
    parameters: list[Parameter] = []
    weights: list[str] = []
    for array in dataset.data_vars.values():
        if sample not in array.dims:
            continue
        if array.ndim != 1:
            raise LabelError(
                f"{source}: {array.name!r} should be one number per {sample}, has dims "
                f"{array.dims}; split it into one column per quantity"
            )
        variable = Variable.of(array, sample)
        if isinstance(variable, Weight):
            weights.append(variable.name)
        elif isinstance(variable, Parameter):
            parameters.append(real(variable))
        else:
            variables.append(variable)
    check_label_names(parameters, f"{source}: a label")
    check_one_weight(weights, source)
    if not variables:
        raise LabelError(f"{source} has no variable along {sample!r} besides its parameters")
    return tuple(variables), tuple(parameters)


def entry(variable: Variable) -> dict[str, Any]:
    """Return a declaration in JSON's terms."""
    return {**asdict(variable), "dims": list(variable.dims)}


def from_entry(kind: type[Any], text: Mapping[str, Any]) -> Any:
    """Rebuild a variable or parameter from :func:`entry`'s terms."""
    return kind(**{**text, "dims": tuple(text["dims"])})


def cut_open(variable: Variable, x: Floats) -> Variable:
    """Return a variable with a period as one between two bounds, cut where `x` has fewest."""
    if variable.period is None:
        return variable
    cut = emptiest(x, variable)
    return replace(variable, lower=cut, upper=cut + variable.period)


def turned(x: Floats, variable: Variable) -> Floats:
    """Return x within the bounds of a variable that was :func:`cut_open`."""
    return x if variable.period is None else opened(x, float(variable.lower or 0), variable.period)


def inside(x: Floats, variable: Variable) -> Floats:
    """Move x strictly inside the bounds, as seen in the type it is stored in, and within that."""
    kind = np.dtype(variable.dtype)
    kind = kind if kind.kind == "f" else np.dtype(np.float64)
    high = float(np.finfo(kind).max)
    low = -high
    if variable.lower is not None:
        low = _next(variable.lower, np.inf, kind)
    if variable.upper is not None:
        high = _next(variable.upper, -np.inf, kind)
    return np.clip(x, low, high)


def _next(bound: float, towards: float, kind: np.dtype[Any]) -> float:
    rounded = kind.type(bound)
    beyond = float(rounded) > bound if towards > 0 else float(rounded) < bound
    return float(rounded if beyond else np.nextafter(rounded, kind.type(towards)))


def check_bounds(x: Floats, variable: Variable) -> None:
    """Refuse values beyond a bound by more than the rounding of their stored type."""
    kind = np.dtype(variable.dtype)
    slack = float(np.finfo(kind).eps) if kind.kind == "f" else 0.0
    for bound, sign, word in ((variable.lower, 1, "below"), (variable.upper, -1, "above")):
        if bound is not None and x.size:
            worst = float((sign * x).min()) * sign
            if sign * (worst - bound) < -slack * abs(bound):
                raise LabelError(
                    f"{variable.name!r} reaches {worst}, {word} its declared bound {bound}; "
                    "cut these events away or declare another bound"
                )


def columns_of(arrays: Columns, wanted: Sequence[Variable], what: str) -> dict[str, Floats]:
    """Return the wanted columns as float64, checked."""
    result: dict[str, Floats] = {}
    for variable in wanted:
        name = variable.name
        if name not in arrays:
            raise LabelError(f"no {what} {name!r}{nearest(name, arrays)}")
        column = np.atleast_1d(np.asarray(arrays[name], dtype=np.float64))
        if column.ndim != 1:
            raise LabelError(f"{name!r} should be one number per event, got shape {column.shape}")
        lacking = np.count_nonzero(~present(np.asarray(arrays[name]), variable))
        if lacking and variable.missing is not None:
            raise LabelError(
                f"{name!r} has no value ({variable.missing:g}) in {lacking} events; leave them "
                "out: presage.labels.present says which values are there"
            )
        if not np.isfinite(column).all():
            bad = int(np.count_nonzero(~np.isfinite(column)))
            raise LabelError(f"{name!r} holds {bad} values that are not finite")
        result[name] = column
    sizes = {column.size for column in result.values()}
    if len(sizes) > 1:
        lengths = ", ".join(f"{name} {column.size}" for name, column in result.items())
        raise LabelError(f"columns should have one length, got {lengths}")
    return result
