"""Arrays that xarray reads piece by piece when they are indexed: stored ones, over many shards."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from presage.labels import Array
from presage.lineage import attributes_of
from presage.recipe import Recipe
from presage.store.verified import Stamp, trust

#: Store, recipe as JSON, and range of samples.
Address = tuple[str, str, int, int]


@dataclass(frozen=True)
class Rows:
    """The raw arrays of a stored dataset, shard by shard: what minibatches are cut from."""

    sample_dim: str
    names: tuple[str, ...]  # variables, ragged counts included
    #: ``(start, stop, {name: array})`` in order and without gaps; arrays are memory-mapped and
    #: cover exactly ``stop - start`` samples.
    shards: list[tuple[int, int, dict[str, Array]]]
    ragged: Mapping[str, str]  # variable → ragged dimension, for variables stored flat
    dims: Mapping[str, tuple[str, ...]]  # variable → stored dims
    attributes: Mapping[str, Mapping[str, Any]]  # variable → its attributes
    coordinates: Mapping[Any, xr.Variable]  # of the other dimensions


def cut_samples(
    arrays: Mapping[str, Array], ragged: Mapping[str, str], low: int, high: int
) -> dict[str, Array]:
    """Return samples ``[low, high)`` of arrays; `ragged` is as of :class:`Rows`."""
    rows = {}
    for dim in set(ragged.values()):
        edges = np.concatenate([[0], np.cumsum(arrays[f"{dim}_count"])])
        rows[dim] = slice(int(edges[low]), int(edges[high]))
    return {n: a[rows[ragged[n]]] if n in ragged else a[low:high] for n, a in arrays.items()}


class PiecedArray(BackendArray):
    """An array whose rows are had piece by piece; the other axes are whole in each."""

    name: str  # of the variable
    unit: str
    recipe: str  # of its dataset, canonical JSON
    start: int  # number of the first sample
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @abstractmethod
    def _read(self, key: tuple[Any, ...]) -> Array:
        """Return what a key of whole numbers, slices and arrays, one an axis, selects."""

    def __getitem__(self, key: Any) -> Any:
        support = indexing.IndexingSupport.OUTER
        return indexing.explicit_indexing_adapter(
            _with_plain_empty(key, self.shape), self.shape, support, self._read
        )

    def _rows(
        self,
        rows: NDArray[Any],
        rest: tuple[Any, ...],
        pieces: NDArray[np.intp],
        piece: Callable[[int], tuple[Array, int]],
    ) -> Array:
        """Return rows, each from its piece, of which `piece` gives the array and the first row."""
        sample = _outer_rows(np.empty((0, *self.shape[1:]), self.dtype), rest)
        out = np.empty((len(rows), *sample.shape[1:]), self.dtype)
        order = np.argsort(pieces, kind="stable")
        cuts = np.flatnonzero(np.diff(pieces[order])) + 1
        for chosen in np.split(order, cuts) if len(order) else ():
            array, first = piece(int(pieces[chosen[0]]))
            out[chosen] = _outer_rows(array[rows[chosen] - first], rest)
        return out


class StoredArray(PiecedArray):
    """One variable over all shards of a dataset, `pieces` joined along the first axis.

    Other processes get its address and not gigabytes: `reopen` gives the same array there, whose
    `verified` files need not be hashed again.
    """

    def __init__(
        self,
        pieces: list[Array],
        name: str,
        unit: str,
        address: Address,
        reopen: Callable[..., StoredArray],
        verified: tuple[Stamp, ...] = (),
    ) -> None:
        self.pieces, self.name, self.unit = pieces, name, unit
        self.root, self.recipe, self.start, self.stop = address
        self.reopen, self.verified = reopen, verified
        self.dtype = pieces[0].dtype
        lengths = [len(piece) for piece in pieces]
        self.shape = (sum(lengths), *pieces[0].shape[1:])
        self.edges = np.concatenate([[0], np.cumsum(lengths)])

    def __reduce__(self) -> tuple[Callable[..., StoredArray], tuple[Any, ...]]:
        address = self.root, self.recipe, self.start, self.stop
        return _reopen, (self.reopen, (self.name, address), self.verified)

    def _read(self, key: tuple[Any, ...]) -> Array:
        first, rest = key[0], key[1:]
        if isinstance(first, (int, np.integer)):
            shard = int(np.searchsorted(self.edges, first, side="right")) - 1
            row: Array = self.pieces[shard][int(first) - self.edges[shard]]
            return np.asarray(_outer_rows(row[np.newaxis], rest)[0])
        if isinstance(first, slice):
            return self._read_slice(first, rest)
        return self._read_rows(np.asarray(first), rest)

    def _read_slice(self, rows: slice, rest: tuple[Any, ...]) -> Array:
        start, stop, step = rows.indices(self.shape[0])
        if step != 1:
            return self._read_rows(np.arange(start, stop, step), rest)
        parts = []
        first = int(np.searchsorted(self.edges, start, side="right")) - 1
        last = int(np.searchsorted(self.edges, stop, side="left"))
        for piece, begin in zip(self.pieces[first:last], self.edges[first:last], strict=True):
            part = piece[max(start - begin, 0) : stop - begin]
            if len(part):
                parts.append(_outer_rows(part, rest))
        if not parts:
            return _outer_rows(self.pieces[0][:0], rest)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _read_rows(self, rows: NDArray[Any], rest: tuple[Any, ...]) -> Array:
        shards = np.searchsorted(self.edges, rows, side="right") - 1
        return self._rows(rows, rest, shards, lambda k: (self.pieces[k], self.edges[k]))


def _with_plain_empty(key: Any, shape: tuple[int, ...]) -> Any:
    """Write empty slices as ``0:0``; xarray fails on those of a negative step."""
    if isinstance(key, indexing.VectorizedIndexer):
        return key
    parts = (
        slice(0, 0, 1) if isinstance(part, slice) and not range(n)[part] else part
        for part, n in zip(key.tuple, shape, strict=True)
    )
    return type(key)(tuple(parts))


def _reopen(
    function: Callable[..., StoredArray], arguments: tuple[Any, ...], verified: tuple[Stamp, ...]
) -> StoredArray:
    trust(verified)
    return function(*arguments)


def _outer_rows(array: Array, key: tuple[Any, ...]) -> Array:
    """Index the trailing axes one after the other: rows first, then each by its own key."""
    dropped = 0
    for axis, part in enumerate(key, start=1):
        array = array[(slice(None),) * (axis - dropped) + (part,)]
        dropped += int(isinstance(part, (int, np.integer)))
    return array


def labelled(
    variables: Mapping[str, tuple[tuple[str, ...], PiecedArray, Mapping[str, Any]]],
    coordinates: Mapping[Any, xr.Variable],
    recipe: Recipe,
    sample: str,
    span: tuple[int, int],
) -> xr.Dataset:
    """Return samples ``[start, stop)`` of a recipe, of which only what is asked for is read.

    Variables are given as dims, array and attributes.
    """
    number = xr.Variable((sample,), pd.RangeIndex(*span), {"long_name": "sample number"})
    return xr.Dataset(
        {
            name: xr.Variable(dims, indexing.LazilyIndexedArray(array), dict(attributes))
            for name, (dims, array, attributes) in variables.items()
        },
        coords={**coordinates, sample: number},
        attrs=attributes_of(recipe, sample),
    )
