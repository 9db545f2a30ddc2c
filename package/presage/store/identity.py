"""What a dataset in hand is: the stored samples it says, or something that was changed.

xarray keeps attributes through arithmetic, so a dataset that says it is ``resonance 4aef…``
may hold other numbers. What identifies values are the arrays themselves: a variable that
was never loaded knows which stored array it reads, and one in memory can be compared.
"""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import xarray as xr
from xarray.core import indexing

from presage.labels import nearest
from presage.lineage import (
    KEY,
    SAMPLE,
    flat_start,
    parent_of,
    recipe_of,
    sample_numbers,
    take,
)
from presage.positions import Rows, listed, same
from presage.recipe import Parent, Recipe
from presage.store.files import StoreError
from presage.store.lazy import PiecedArray, StoredArray
from presage.store.made import MadeArray
from presage.store.store import Store

A = TypeVar("A", bound=PiecedArray)


def parents_of(dataset: xr.Dataset, store: Store | None = None) -> dict[str, Parent]:
    """Return for each data variable which stored samples it holds.

    Parameters
    ----------
    dataset
        A stored dataset, a selection of its samples or variables, or several stored
        datasets with the same samples merged into one.
    store
        Where to look up values that are in memory; by default where its lazy variables read.

    Returns
    -------
    dict
        Variable → the dataset it came from and the range (and choice) of its samples.

    Raises
    ------
    StoreError
        A variable was changed, added or renamed since, or selected along another
        dimension; or values are in memory and no store is known.
    LabelError
        The dataset did not come from a store, or lost its sample numbers.
    """
    main = parent_of(dataset)
    if SAMPLE not in dataset.attrs:
        return {str(name): main for name in dataset.data_vars}
    found: dict[str, Parent] = {}
    loaded = []
    for name, array in dataset.data_vars.items():
        lazy = _lazy_rows(array.variable, PiecedArray)  # type: ignore[type-abstract]
        if lazy is None:
            loaded.append(str(name))
            continue
        found[str(name)] = _origin(dataset, str(name), *lazy, main)
        if isinstance(lazy[0], StoredArray):
            store = store or Store(lazy[0].root)
    if loaded:
        _compare_loaded(dataset, loaded, store, main)
    return {str(name): found.get(str(name), main) for name in dataset.data_vars}


def stored_rows(variable: xr.Variable) -> tuple[StoredArray, Rows | None] | None:
    """Return the stored array behind a variable that was never loaded, and which rows of it.

    Returns
    -------
    array, rows
        Rows are None for all of them in order. The whole is None when the values are in
        memory, or other axes than the first were selected from.
    """
    return _lazy_rows(variable, StoredArray)


def made_rows(variable: xr.Variable) -> tuple[MadeArray, Rows | None] | None:
    """Return the same for a variable that is made when it is read."""
    return _lazy_rows(variable, MadeArray)


def _lazy_rows(variable: xr.Variable, kind: type[A]) -> tuple[A, Rows | None] | None:
    data: Any = variable._data  # xarray has no public way to ask what a lazy array reads
    while isinstance(data, (indexing.MemoryCachedArray, indexing.CopyOnWriteArray)):
        data = data.array
    if not isinstance(data, indexing.LazilyIndexedArray):
        return None
    array, key = data.array, data.key.tuple
    if not isinstance(array, kind) or len(key) != len(array.shape):
        return None
    for part, length in zip(key[1:], array.shape[1:], strict=True):
        if not isinstance(part, slice) or part.indices(length) != (0, length, 1):
            return None
    first = key[0]
    if isinstance(first, slice):
        span = range(*first.indices(array.shape[0]))
        if span == range(array.shape[0]):
            return array, None
        return array, span if span.step > 0 else np.arange(span.start, span.stop, span.step)
    if isinstance(first, np.ndarray):
        rows = first.astype(np.int64, copy=False)  # one list for all variables
        return array, np.where(rows < 0, rows + array.shape[0], rows) if (rows < 0).any() else rows
    return None


def _origin(
    dataset: xr.Dataset, name: str, array: PiecedArray, rows: Rows | None, main: Parent
) -> Parent:
    """Return the parent of one lazy variable; its samples must be those of the dataset."""
    unit = dataset[name].attrs.get("units", "1")
    changed = (array.name, array.unit) != (name, unit)
    if changed and isinstance(array, MadeArray):
        raise StoreError(
            f"{name!r} in {unit!r} is made as {array.name!r} in {array.unit!r}; keep name and "
            "unit, or store the samples and then what you made of them (store.adopt)"
        )
    if array.name != name:
        raise StoreError(
            f"{name!r} is the stored variable {array.name!r} under another name; keep the name, "
            "or store the renamed dataset with store.adopt(dataset, name)"
        )
    if changed:
        raise StoreError(
            f"{name!r} of {Recipe.from_json(array.recipe).producer} is stored in {array.unit!r}, "
            f"the dataset says {unit!r}; convert values and unit together and keep them with "
            "store.adopt(dataset, name)"
        )
    if dataset[name].dims[:1] == (str(dataset.attrs[SAMPLE]),):
        here = range(array.shape[0]) if rows is None else rows
        if not same(_shifted(here, array.start), _numbers(dataset)):
            raise StoreError(
                f"{name!r} holds other samples than the dataset's index {dataset.attrs[SAMPLE]!r} "
                "says; select samples of the whole dataset, before or after merging"
            )
    key = hashlib.sha256(array.recipe.encode()).hexdigest()
    return Parent(key, main.start, main.stop, main.selection)


def _shifted(rows: Rows, first: int) -> Rows:
    if isinstance(rows, range):
        return range(rows.start + first, rows.stop + first, rows.step)
    return listed(rows) + first


def _numbers(dataset: xr.Dataset) -> Rows:
    numbers = sample_numbers(dataset)
    if isinstance(numbers, pd.RangeIndex):
        return range(numbers.start, numbers.stop, numbers.step)
    return np.asarray(numbers)


def _compare_loaded(
    dataset: xr.Dataset, names: list[str], store: Store | None, main: Parent
) -> None:
    """Compare variables in memory with the same samples in the store."""
    recipe = recipe_of(dataset)
    try:
        whole = (store or Store()).open(recipe, 0, main.stop)
    except StoreError as error:
        raise StoreError(
            f"the values of {', '.join(names)} are in memory, and nothing to compare them with "
            f"was found: {error}. Hand over the dataset as the store opened it, or name its "
            "store with $PRESAGE_STORE"
        ) from error
    for name in names:
        if name not in whole:
            raise StoreError(
                f"{name!r} is not a variable of {recipe.producer} ({dataset.attrs[KEY][:16]})"
                f"{nearest(name, map(str, whole.data_vars))}. A dataset with added columns is "
                "another one: keep it with store.adopt(dataset, name) and use that"
            )
    numbers = np.asarray(sample_numbers(dataset))
    flat = {str(dim) for dim in dataset.dims if flat_start(str(dim)) in dataset.coords}
    ragged = [name for name in names if flat & set(dataset[name].dims)]
    plain = [name for name in names if name not in ragged]
    for name in plain:
        theirs = whole[name]
        if dataset.attrs[SAMPLE] in theirs.dims:
            theirs = theirs.isel({str(dataset.attrs[SAMPLE]): numbers})
        _compare(dataset[name], theirs)
    if ragged:  # their lengths are known to be right by now
        needed = [*ragged, *(f"{dim}_count" for dim in flat)]
        stored, packed = take(whole[needed], numbers), take(dataset[needed], slice(None))
        for name in ragged:
            _compare(packed[name], stored[name])


def _compare(ours: xr.DataArray, theirs: xr.DataArray) -> None:
    if set(ours.dims) == set(theirs.dims):
        theirs = theirs.transpose(*ours.dims)
    same = ours.dims == theirs.dims and np.array_equal(
        ours.values, theirs.values, equal_nan=ours.dtype.kind in "fc"
    )
    if not same or ours.attrs.get("units", "1") != theirs.attrs.get("units", "1"):
        raise StoreError(
            f"{ours.name!r} was changed since the store opened it, so its recipe no longer says "
            "what it is; keep it with store.adopt(dataset, name) and use that"
        )
