"""Datasets made elsewhere: what they declare, and an identity from their content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from presage.labels import Array, Coordinate, LabelError, Schema, Variable, check_arrays, nearest
from presage.lineage import SAMPLE, flat_start, take
from presage.recipe import Recipe
from presage.store.files import StoreError
from presage.store.sidecar import describe

PRODUCER = "adopted"


def own_sample(dataset: xr.Dataset) -> str | None:
    """Return the sample dimension that a dataset names itself, None when it has none."""
    sample = dataset.attrs.get(SAMPLE)
    return str(sample) if sample in dataset.dims else None


def without_origin(dataset: xr.Dataset) -> xr.Dataset:
    """Return the dataset without the attributes that say which stored one it was."""
    kept = {k: v for k, v in dataset.attrs.items() if not str(k).startswith("presage_")}
    return dataset.drop_attrs(deep=False).assign_attrs(kept)


def product_recipe(dataset: xr.Dataset, name: str) -> Recipe:
    """Return the recipe of a product: values, dimensions and attributes are its identity."""
    variables = {str(n): v for n, v in dataset.variables.items()}
    hashes = describe({n: np.asarray(v.values) for n, v in variables.items()})
    content = {
        n: {**hashes[n], "dims": list(map(str, v.dims)), "attributes": _plain(v.attrs)}
        for n, v in variables.items()
    }
    fields = {"name": name, "content": content, "attributes": _plain(dataset.attrs), "sample": ""}
    return Recipe(PRODUCER, 1, fields)


def adopted_samples(
    dataset: xr.Dataset, name: str, sample: str
) -> tuple[Recipe, Schema, dict[str, Array]]:
    """Return recipe, schema and arrays of a dataset of samples."""
    if sample not in dataset.dims:
        raise StoreError(f"no dimension {sample!r}{nearest(sample, map(str, dataset.dims))}")
    if not dataset.sizes[sample]:
        raise StoreError(f"{name!r} holds no sample along {sample!r}")
    ragged = tuple(str(a.attrs["sample_dimension"]) for a in _counts(dataset))
    packed = take(without_origin(dataset).assign_attrs({SAMPLE: sample}), slice(None))
    coordinates = _coordinates(packed, sample, ragged, numbered=own_sample(dataset) == sample)
    along = [str(n) for n, c in packed.coords.items() if sample in c.dims and n != sample]
    starts = [flat_start(dim) for dim in ragged]
    columns = packed.drop_vars([n for n in starts if n in packed.coords]).reset_coords(
        [n for n in along if n not in starts]
    )
    counts = {f"{dim}_count" for dim in ragged}
    variables, arrays = [], {}
    for key, array in columns.data_vars.items():
        ordered = _ordered(array, sample, ragged)
        arrays[str(key)] = np.asarray(ordered.values)
        if key not in counts:
            variables.append(_declared(ordered, sample))
    schema = Schema(sample, tuple(variables), coordinates, ragged)
    checked = check_arrays(arrays, schema, packed.sizes[sample], name)
    return _samples_recipe(dataset, name, schema, checked), schema, checked


def _samples_recipe(
    dataset: xr.Dataset, name: str, schema: Schema, arrays: Mapping[str, Array]
) -> Recipe:
    hashes = describe(arrays)
    content = {
        n: {**hashes[n], "dims": list(dims), "attributes": _plain(variable.attributes())}
        for n, (dims, variable) in schema.stored().items()
    }
    labels = describe({c.name: c.variable().values for c in schema.coordinates})
    fixed = {
        c.name: {
            **labels[c.name],
            "attributes": _plain(c.variable().attrs),
            **({"dim": c.dim} if c.dim else {}),
        }
        for c in schema.coordinates
    }
    fields = {
        "name": name,
        "content": content,
        "coordinates": fixed,
        "attributes": _plain(without_origin(dataset).attrs),
        "sample": schema.sample,
    }
    return Recipe(PRODUCER, 1, fields)


def _counts(dataset: xr.Dataset) -> list[xr.DataArray]:
    """Return the variables with the lengths of ragged dimensions, checked for their names."""
    counts = [a for a in dataset.data_vars.values() if "sample_dimension" in a.attrs]
    for array in counts:
        dim = array.attrs["sample_dimension"]
        if array.name != f"{dim}_count":
            raise StoreError(f"{array.name!r} counts {dim!r}; rename it to '{dim}_count'")
    return counts


def _ordered(array: xr.DataArray, sample: str, ragged: tuple[str, ...]) -> xr.DataArray:
    """Return an array with the dimension first that its samples are stored along.

    Booleans, which netCDF does not have, become 0 and 1, and bytes the machine's order.
    """
    for first in (*ragged, sample):
        if first in array.dims:
            native = array.dtype.newbyteorder("=")
            kept = array.astype("int8" if array.dtype.kind == "b" else native, copy=False)
            return kept.transpose(first, ...)
    raise StoreError(
        f"{array.name!r} has no dimension {sample!r}, only {array.dims}; drop it with "
        "drop_vars, or keep what is not of single samples as a product with store.put"
    )


def _declared(array: xr.DataArray, sample: str) -> Variable:
    """Read the declaration back; NaN that is there is allowed to be."""
    try:
        variable = Variable.of(array, sample)
    except (LabelError, TypeError) as error:  # numpy does not take every type's name back
        raise LabelError(f"{array.name!r} cannot be kept with samples: {error}") from None
    if array.dtype.kind == "f" and not variable.gaps and bool(np.isnan(array.values).any()):
        return replace(variable, gaps=True)
    return variable


def _coordinates(
    dataset: xr.Dataset, sample: str, ragged: tuple[str, ...], numbered: bool
) -> tuple[Coordinate, ...]:
    """Return the fixed coordinates; `numbered`: those of the samples are presage's own numbers."""
    found = []
    for key, array in dataset.coords.items():
        name = str(key)
        whole = array.dtype.kind in "iu"
        counted = whole and (numbered or bool((array.values == np.arange(array.size)).all()))
        if name == sample and not counted:
            raise StoreError(
                f"samples are numbered from 0, so the coordinate {name!r} of {array.dtype} would "
                f"be lost; make it a variable with reset_index({name!r}) and rename"
            )
        if sample in array.dims:
            continue  # numbers, or a column of its own
        if array.ndim != 1 or array.dims[0] in ragged or not _is_plain(array):
            raise StoreError(
                f"the coordinate {name!r} with dims {array.dims} of {array.dtype} cannot be kept "
                "with samples, only numbers or text along one fixed dimension; drop it "
                "with drop_vars"
            )
        values = tuple(array.values.tolist())
        unit = str(array.attrs.get("units", "1"))
        dim = "" if array.dims == (name,) else str(array.dims[0])
        found.append(Coordinate(name, values, unit, str(array.attrs.get("long_name", "")), dim))
    return tuple(found)


def _is_plain(array: xr.DataArray) -> bool:
    text = array.dtype.kind in "OT" and all(isinstance(v, str) for v in array.values)
    return text or array.dtype.kind in "iufU"


def _plain(value: Any) -> Any:
    """Return attributes in terms that a recipe can hold."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value if isinstance(value, (bool, int, float)) else str(value)
