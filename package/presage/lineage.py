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
#: What of a user's files a dataset does not hold, in words.
LEFT_OUT = "presage_left_out"


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
    if dataset.attrs[SAMPLE] not in dataset.indexes:
        raise LabelError(
            f"the dataset lost its sample numbers, the index {dataset.attrs[SAMPLE]!r}; keep it, "
            "or store what you have with store.adopt(dataset, name)"
        )
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


def input_parent(value: Any) -> Parent:
    """Name what a product was made from: a dataset in hand, or anything with a key, as a fit.

    Raises
    ------
    LabelError
        It is neither.
    """
    if isinstance(value, xr.Dataset):
        return parent_of(value)
    key = getattr(value, "key", None)
    if not isinstance(key, str):
        raise LabelError(
            f"an input is a dataset of a store or a fit with a key, got {type(value).__name__}"
        )
    return Parent(key)


def flat_start(dim: str) -> str:
    """Return the name of the coordinate that says where each sample's part of `dim` begins."""
    return f"{dim}_start"


def ragged_rows(dataset: xr.Dataset, dim: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each sample's part of a ragged dimension begins, and how long it is.

    Raises
    ------
    LabelError
        The lengths do not add up to what is there, and nothing says where parts begin.
    """
    counts = np.asarray(dataset[f"{dim}_count"].values, dtype=np.int64)
    if flat_start(dim) in dataset.coords:
        return np.asarray(dataset[flat_start(dim)].values, dtype=np.int64), counts
    if int(counts.sum()) != dataset.sizes[dim]:
        raise LabelError(
            f"'{dim}_count' adds up to {int(counts.sum())}, but {dim!r} has {dataset.sizes[dim]} "
            "values: samples were selected without their ragged rows; use presage.take(...)"
        )
    return np.cumsum(counts) - counts, counts


def with_starts(dataset: xr.Dataset) -> xr.Dataset:
    """Add for each ragged dimension the coordinate that says where each sample's part begins.

    Selecting samples then selects their addresses with them, and `isel` stays harmless.
    """
    dim = sample_dim(dataset)
    for counts in list(dataset.data_vars.values()):
        flat = counts.attrs.get("sample_dimension")
        if flat is None:
            continue
        sizes = np.asarray(counts.values, dtype=np.int64)
        about = {"long_name": f"where the sample's part of {flat} begins"}
        starts = xr.Variable((dim,), np.cumsum(sizes) - sizes, about)
        dataset = dataset.assign_coords({flat_start(str(flat)): starts})
    return dataset


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
        The samples asked for. Flat ragged variables are cut to the same samples and packed,
        which plain `isel` does not do: it leaves them whole.

    Raises
    ------
    LabelError
        As :func:`ragged_rows`.
    """
    chosen = dataset.isel({sample_dim(dataset): positions})
    ragged = [str(a.attrs["sample_dimension"]) for a in dataset.data_vars.values()
              if "sample_dimension" in a.attrs]  # fmt: skip
    for dim in ragged:
        starts, counts = (part[positions] for part in ragged_rows(dataset, dim))
        tight = bool((starts[1:] == starts[:-1] + counts[:-1]).all())
        index: Any = flat_rows(starts, counts)
        if tight:  # one run of values: a slice costs no memory
            first = int(starts[0]) if len(starts) else 0
            index = slice(first, first + int(counts.sum()))
        parts = {v: a.isel({dim: index}) for v, a in dataset.data_vars.items() if dim in a.dims}
        chosen = chosen.drop_vars([v for v in chosen.variables if dim in chosen[v].dims])
        chosen = chosen.assign(parts)[list(dataset.data_vars)]
    return with_starts(chosen) if ragged else chosen


def flat_rows(starts: NDArray[Any], counts: NDArray[Any]) -> NDArray[np.int64]:
    """Return the flat positions of ragged rows: for each row `starts[r] + 0 … counts[r] - 1`."""
    counts = np.asarray(counts, dtype=np.int64)
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    shift = np.repeat(np.asarray(starts, dtype=np.int64) - (ends - counts), counts)
    rows: NDArray[np.int64] = np.arange(total, dtype=np.int64) + shift
    return rows
