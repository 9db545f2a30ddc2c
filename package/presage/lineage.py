"""Where the samples of a dataset in hand come from.

A dataset that the store opened carries its recipe in its attributes and the absolute
number of each sample as the index of the sample dimension. Both survive `isel`, `sel` and
slicing, so any subset can be named exactly: by key and range, or by key and the hash of
the sample numbers.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from presage.labels import LabelError
from presage.recipe import Parent, Recipe

KEY = "presage_key"
PRODUCER = "presage_producer"
RECIPE = "presage_recipe"
SAMPLE = "presage_sample"


def attributes_of(recipe: Recipe, sample: str = "") -> dict[str, str]:
    """Return the attributes by which a dataset says what it is."""
    attributes = {KEY: recipe.key, PRODUCER: recipe.producer, RECIPE: recipe.json}
    return {**attributes, SAMPLE: sample} if sample else attributes


def recipe_of(dataset: xr.Dataset) -> Recipe:
    """Return the recipe that a stored dataset carries.

    Raises
    ------
    LabelError
        The dataset did not come from a store.
    """
    if RECIPE not in dataset.attrs:
        raise LabelError(
            "the dataset did not come from a store (no recipe in its attributes); "
            "store it first with Store.adopt(dataset, name)"
        )
    return Recipe.from_json(dataset.attrs[RECIPE])


def sample_dim(dataset: xr.Dataset) -> str:
    """Return the name of the dimension that counts samples.

    Raises
    ------
    LabelError
        The dataset does not say, and has not exactly one dimension.
    """
    if SAMPLE in dataset.attrs:
        return str(dataset.attrs[SAMPLE])
    if len(dataset.dims) == 1:
        return str(next(iter(dataset.dims)))
    raise LabelError(
        f"which of {tuple(map(str, dataset.dims))} counts samples? set attrs['{SAMPLE}']"
    )


def sample_numbers(dataset: xr.Dataset) -> pd.Index[Any]:
    """Return the absolute number of each sample, a memory-free range where they are one."""
    dim = sample_dim(dataset)
    if dim not in dataset.dims:
        raise LabelError(
            f"the dataset has no sample dimension {dim!r} any more: it was reduced, and only "
            "its attributes still name where it came from"
        )
    if dim in dataset.indexes:
        return dataset.indexes[dim]
    return pd.RangeIndex(dataset.sizes[dim])


def parent_of(dataset: xr.Dataset) -> Parent:
    """Name the samples in hand: key and range, with a hash where the range has holes.

    Parameters
    ----------
    dataset
        A stored dataset or any selection of its samples.

    Raises
    ------
    LabelError
        The dataset did not come from a store, or holds no sample.
    """
    key = recipe_of(dataset).key
    if SAMPLE not in dataset.attrs:
        return Parent(key)
    numbers = sample_numbers(dataset)
    if len(numbers) == 0:
        raise LabelError(f"the selection of {dataset.attrs[PRODUCER]} holds no sample")
    if isinstance(numbers, pd.RangeIndex) and numbers.step == 1:
        return Parent(key, int(numbers.start), int(numbers.stop))
    values: NDArray[np.int64] = np.asarray(numbers, dtype=np.int64)
    start, stop = int(values.min()), int(values.max()) + 1
    if len(values) == stop - start and bool((np.diff(values) == 1).all()):
        return Parent(key, start, stop)
    return Parent(key, start, stop, hashlib.sha256(values.astype("<i8").tobytes()).hexdigest())


def take(dataset: xr.Dataset, positions: Any) -> xr.Dataset:
    """Select samples by position, ragged variables included.

    Parameters
    ----------
    dataset
        A labelled dataset with a sample dimension.
    positions
        Slice or integer array of positions along the sample dimension.

    Returns
    -------
    xarray.Dataset
        The samples asked for. Flat ragged dimensions are cut to the same samples, which
        plain `isel` cannot know to do.
    """
    dim = sample_dim(dataset)
    chosen = dataset.isel({dim: positions})
    for name, counts in dataset.data_vars.items():
        flat = counts.attrs.get("sample_dimension")
        if flat is None:
            continue
        sizes = np.asarray(counts)
        starts = np.cumsum(sizes) - sizes
        rows = np.arange(len(sizes))[positions]
        chosen = chosen.drop_vars([v for v in chosen.variables if flat in chosen[v].dims])
        index = flat_rows(starts[rows], sizes[rows])
        parts = {v: a.isel({flat: index}) for v, a in dataset.data_vars.items() if flat in a.dims}
        chosen = chosen.assign(parts).assign({name: chosen[name]})
    return chosen


def flat_rows(starts: NDArray[Any], counts: NDArray[Any]) -> NDArray[np.int64]:
    """Return the flat positions of ragged rows: for each row `starts[r] + 0 … counts[r] - 1`."""
    counts = np.asarray(counts, dtype=np.int64)
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    shift = np.repeat(np.asarray(starts, dtype=np.int64) - (ends - counts), counts)
    return np.arange(total, dtype=np.int64) + shift
