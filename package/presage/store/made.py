"""Arrays that are made when they are read: samples that no disk holds.

A dataset of them looks and selects like one that the store opened, and names the same
recipe: sample i is a function of (recipe, i), wherever it comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from presage.labels import Array
from presage.store.lazy import PiecedArray


class Maker(Protocol):
    """What makes whole blocks of samples."""

    recipe: str  # canonical JSON
    samples: int  # how many the dataset has
    block_size: int  # block b begins at sample b · block_size
    fresh: bool  # whether epoch e of a training means samples e · samples + i, not i
    threads: int  # blocks that may be made side by side

    def block(self, index: int, names: Iterable[str]) -> Mapping[str, Array]:
        """Make a block; nothing is kept."""

    def remembered(self, index: int, name: str) -> Array:
        """Return one array of a block; the last few blocks are kept."""


class MadeArray(PiecedArray):
    """One variable, made block by block when it is indexed; `shape` has samples first."""

    def __init__(
        self, maker: Maker, name: str, unit: str, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self.maker, self.name, self.unit = maker, name, unit
        self.recipe, self.start = maker.recipe, 0
        self.shape, self.dtype = shape, dtype

    def _read(self, key: tuple[Any, ...]) -> Array:
        first, rest = key[0], key[1:]
        if isinstance(first, (int, np.integer)):
            return np.asarray(self._made(np.array([int(first)]), rest)[0])
        rows = np.arange(*first.indices(self.shape[0])) if isinstance(first, slice) else first
        rows = np.asarray(rows, np.int64)
        return self._made(np.where(rows < 0, rows + self.shape[0], rows), rest)

    def _made(self, rows: Array, rest: tuple[Any, ...]) -> Array:
        size = self.maker.block_size

        def block(number: int) -> tuple[Array, int]:
            return self.maker.remembered(number, self.name), number * size

        return self._rows(rows, rest, rows // size, block)
