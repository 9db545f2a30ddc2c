"""Arrays and datasets against what was declared of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from presage.labels.circle import on_circle
from presage.labels.errors import LabelError, nearest
from presage.labels.schema import Schema
from presage.labels.variables import Parameter, Variable

Array = NDArray[Any]
#: One block of samples: variable name to array, the sample dimension first.
Arrays = Mapping[str, Array]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def check_arrays(arrays: Arrays, schema: Schema, samples: int, source: str) -> dict[str, Array]:
    """Check one block of arrays against a schema and return it in declared types.

    In every array the sample dimension (or a ragged one) is first, and the block holds as many
    `samples`; `source` is who made it, for the error.

    Raises
    ------
    LabelError
        A variable is missing, unknown, of wrong shape, not finite or beyond a bound, or two
        disagree on the length of a dimension.
    """
    layout = schema.stored()
    for name in arrays:
        if name not in layout:
            raise LabelError(f"{source} returned undeclared {name!r}{nearest(name, layout)}")
    checked: dict[str, Array] = {}
    lengths = {schema.sample: samples, **schema.sizes()}
    for name, (dims, variable) in layout.items():
        if name not in arrays:
            raise LabelError(f"{source} did not return the declared variable {name!r}")
        array = _in_declared_type(np.asarray(arrays[name]), variable, source)
        if variable.period is not None and not isinstance(variable, Parameter):
            array = on_circle(array, variable, source)
        _check_shape(array, name, dims, lengths, source)
        lengths.update(zip(dims, array.shape, strict=True))
        _check_values(array, variable, source)
        checked[name] = array
        flat = name.removesuffix("_count")
        if flat != name and flat in schema.ragged:
            lengths[flat] = int(array.sum())
    return checked


def numbers_of(given: Any, what: str) -> Floats:
    """Return what was given as an array of numbers; LabelError says that `what` is none."""
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise LabelError(f"{what}: numbers are needed, got {given!r:.100}") from None


def _check_shape(
    array: Array, name: str, dims: tuple[str, ...], lengths: Mapping[str, int], source: str
) -> None:
    """Refuse a shape that contradicts the lengths known so far; others are free."""
    expected = tuple(lengths.get(dim, -1) for dim in dims)
    same = array.ndim == len(dims) and all(
        want in (-1, got) for want, got in zip(expected, array.shape, strict=True)
    )
    if not same:
        shown = ", ".join(
            f"{d}={'any' if n < 0 else n}" for d, n in zip(dims, expected, strict=True)
        )
        raise LabelError(f"{source}: {name!r} should be [{shown}], got shape {array.shape}")


def stored_as(values: Array, dtype: str | np.dtype[Any]) -> Array:
    """Return values in another type; floats become the nearest whole number, none is cut off."""
    whole = np.dtype(dtype).kind in "iu" and values.dtype.kind == "f"
    return (np.rint(values) if whole else values).astype(dtype)


def _in_declared_type(array: Array, variable: Variable, source: str) -> Array:
    """Convert to the declared type; refuse what would lose more than precision."""
    want = np.dtype(variable.dtype)
    kinds = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
    if array.size and kinds.get(array.dtype.kind, 4) > kinds.get(want.kind, 4):
        raise LabelError(
            f"{source}: {variable.name!r} has dtype {array.dtype}, declared {want}; "
            "convert it or declare what it is"
        )
    with np.errstate(over="ignore"):  # becomes infinite, which is refused by name
        converted = np.ascontiguousarray(array, dtype=want)
    if want.kind in "iu" and not np.can_cast(array.dtype, want) and (converted != array).any():
        raise LabelError(f"{source}: {variable.name!r} holds values beyond {want}")
    check_whole(array, converted, variable, source)
    return converted


def check_whole(given: Array, stored: Array, variable: Variable, source: str) -> None:
    """Refuse whole numbers that are rounded where they are stored: numbers of events, of runs."""
    if given.dtype.kind not in "iu" or stored.dtype.kind != "f" or not given.size:
        return
    exact = 2 ** (np.finfo(stored.dtype).nmant + 1)
    if max(int(given.max()), -int(given.min())) <= exact:
        return
    with np.errstate(invalid="ignore"):  # beyond the largest, which is lost too
        lost = np.flatnonzero(stored.astype(given.dtype) != given)
    if lost.size:
        raise LabelError(
            f"{source}: {variable.name!r} holds whole numbers that {variable.dtype} rounds "
            f"({given.flat[lost[0]]} to {int(stored.flat[lost[0]])}); declare it dtype='int64'"
        )


def _check_values(array: Array, variable: Variable, source: str) -> None:
    """Refuse NaN, infinities and values beyond a physical bound; one pass, no temporaries."""
    if variable.missing is not None:
        array = array[array != np.asarray(variable.missing).astype(array.dtype)]
    if array.size == 0 or array.dtype.kind not in "fiu":
        return
    if variable.gaps:
        low, high = np.fmin.reduce(array, axis=None), np.fmax.reduce(array, axis=None)
        if np.isnan(low):  # nothing but gaps
            return
    else:
        low, high = array.min(), array.max()  # NaN propagates through both
    if not (math.isfinite(low) and math.isfinite(high)):
        bad = np.isinf(array) if variable.gaps else ~np.isfinite(array)
        hint = "" if variable.gaps else "; declare gaps=True if NaN stands for no value"
        raise LabelError(
            f"{source}: {variable.name!r} holds {np.count_nonzero(bad)} values that are not "
            f"finite{hint if np.isnan(array).any() else ''}"
        )
    lower, upper = variable.bounds
    if lower is not None and low < float(lower):
        raise LabelError(f"{source}: {variable.name!r} reaches {low}, below its bound {lower}")
    if upper is not None and high > float(upper):
        raise LabelError(f"{source}: {variable.name!r} reaches {high}, above its bound {upper}")


def require(dataset: xr.Dataset, variables: Iterable[Variable], sample: str) -> None:
    """Check that a dataset holds these variables with their dims and units.

    They are what a model or a metric was declared for; `sample` is the sample dimension.

    Raises
    ------
    LabelError
        It is none, or a variable is missing, or has other dims or another unit; the message
        names it.
    """
    if not isinstance(dataset, xr.Dataset):
        raise LabelError(
            f"a dataset of xarray is needed, got {type(dataset).__name__}; of a table of pandas "
            "xr.Dataset.from_dataframe(frame) makes one, to which units are given in .attrs"
        )
    for variable in variables:
        if variable.name not in dataset:
            raise LabelError(
                f"the dataset has no variable {variable.name!r}"
                f"{nearest(variable.name, map(str, dataset.variables))}"
            )
        array = dataset[variable.name]
        got = tuple(str(dim) for dim in array.dims)
        if set(got) != {sample, *variable.dims}:
            raise LabelError(
                f"{variable.name!r} should have dims {(sample, *variable.dims)}, got {got}"
            )
        unit = str(array.attrs.get("units", "1"))
        if unit != variable.unit:
            raise LabelError(
                f"{variable.name!r} should be in {variable.unit!r}, got {unit!r}; convert it first"
            )
