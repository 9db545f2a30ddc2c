"""Arrays that are made when they are read: samples that no disk holds.

A dataset of them looks and selects like one that the store opened, and names the same
recipe: sample i is a function of (recipe, i), wherever it comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
from xarray.backends import BackendArray
from xarray.core import indexing

from presage.labels import Array
from presage.store.lazy import outer_rows, with_plain_empty


class Maker(Protocol):
    """What makes whole blocks of samples.

    Attributes
    ----------
    recipe
        Canonical JSON of their recipe.
    samples
        How many the dataset has.
    block_size
        Samples of a block; block b begins at sample b · block_size.
    fresh
        Whether epoch e of a training means samples e · samples + i, not i.
    threads
        Blocks that may be made side by side.
    """

    recipe: str
    samples: int
    block_size: int
    fresh: bool
    threads: int

    def block(self, index: int, names: Iterable[str]) -> Mapping[str, Array]:
        """Make a block; nothing is kept."""

    def remembered(self, index: int, name: str) -> Array:
        """Return one array of a block; the last few blocks are kept."""


class MadeArray(BackendArray):
    """One variable, made block by block when it is indexed.

    Parameters
    ----------
    maker
        Makes the blocks.
    name, unit
        Of the variable.
    shape, dtype
        Of the whole, samples first.
    """

    def __init__(
        self, maker: Maker, name: str, unit: str, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self.maker, self.name, self.unit = maker, name, unit
        self.shape, self.dtype = shape, dtype

    def __getitem__(self, key: Any) -> Any:
        return indexing.explicit_indexing_adapter(
            with_plain_empty(key, self.shape),
            self.shape,
            indexing.IndexingSupport.OUTER,
            self._read,
        )

    def _read(self, key: tuple[Any, ...]) -> Array:
        first, rest = key[0], key[1:]
        if isinstance(first, (int, np.integer)):
            row: Array = self._rows(np.array([int(first)]), rest)[0]
            return row
        rows = np.arange(*first.indices(self.shape[0])) if isinstance(first, slice) else first
        rows = np.asarray(rows, np.int64)
        return self._rows(np.where(rows < 0, rows + self.shape[0], rows), rest)

    def _rows(self, rows: Array, rest: tuple[Any, ...]) -> Array:
        size = self.maker.block_size
        empty = outer_rows(np.empty((0, *self.shape[1:]), self.dtype), rest)
        out = np.empty((len(rows), *empty.shape[1:]), self.dtype)
        blocks = rows // size
        for block in np.unique(blocks):
            chosen = blocks == block
            made = self.maker.remembered(int(block), self.name)
            out[chosen] = outer_rows(made[rows[chosen] - block * size], rest)
        return out
