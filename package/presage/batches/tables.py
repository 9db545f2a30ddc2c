"""Gathering rows: shards of arrays in, one contiguous buffer out.

The rows of a batch are ascending, so each shard gives one run of them, copied by one
``numpy.take`` straight from the memory-mapped file into the buffer. ``mode="clip"`` is what
makes NumPy write there without a temporary; positions were checked before.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from presage.labels import Array
from presage.lineage import flat_rows
from presage.positions import Positions, Rows, pick
from presage.store.mapping import is_mapped, join

_CACHE_LINE = 64


class Buffers:
    """Memory by name, used again from chunk to chunk; it grows and never shrinks.

    Parameters
    ----------
    reuse
        False gives fresh memory each time.
    """

    def __init__(self, reuse: bool = True) -> None:
        self.reuse = reuse
        self._held: dict[str, NDArray[np.uint8]] = {}
        self._parts: dict[str, Buffers] = {}

    def get(self, name: str, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Array:
        """Return an array of this shape and type with undefined values."""
        size = math.prod(shape) * dtype.itemsize
        held = self._held.get(name)
        if held is None or len(held) < size:
            raw = np.empty(size + _CACHE_LINE, np.uint8)
            start = -raw.ctypes.data % _CACHE_LINE
            held = raw[start : start + size]
            if self.reuse:
                self._held[name] = held
        return held[:size].view(dtype).reshape(shape)

    def within(self, name: str) -> Buffers:
        """Return buffers of their own for a part that uses the same names as others."""
        return self._parts.setdefault(name, Buffers(self.reuse))


@dataclass(frozen=True)
class Table:
    """Arrays that count samples alike and are cut into the same shards."""

    edges: NDArray[np.int64]  # where shards begin, and where the last one ends ``[shards + 1]``
    #: Name → one array ``[rows of the shard, ...]`` for each shard.
    dense: Mapping[str, Sequence[Array]] = field(default_factory=dict)
    #: Name → (ragged dimension, one array ``[sum of counts, ...]`` for each shard).
    flat: Mapping[str, tuple[str, Sequence[Array]]] = field(default_factory=dict)
    #: Ragged dimension → lengths of the rows, one array for each shard.
    counts: Mapping[str, Sequence[Array]] = field(default_factory=dict)
    #: Row of each position, ascending, where that is not the position itself.
    numbers: Rows | None = None
    _starts: dict[str, list[NDArray[np.int64]]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        whole = {name: join(pieces) for name, pieces in self.dense.items()}
        if not self.flat and whole and all(array is not None for array in whole.values()):
            object.__setattr__(self, "dense", {name: [array] for name, array in whole.items()})
            object.__setattr__(self, "edges", self.edges[[0, -1]])
        starts = {
            dim: [np.cumsum(c, dtype=np.int64) - c.astype(np.int64) for c in pieces]
            for dim, pieces in self.counts.items()
        }
        object.__setattr__(self, "_starts", starts)

    @property
    def row_bytes(self) -> int:
        """Mean bytes of a row."""
        total = sum(piece.nbytes for piece in self._pieces())
        return -(-total // max(int(self.edges[-1]), 1))

    @property
    def mapped(self) -> bool:
        """Whether the arrays lie in mapped files."""
        return any(is_mapped(piece) for piece in self._pieces())

    def _pieces(self) -> Iterator[Array]:
        for pieces in (*self.dense.values(), *(column for _, column in self.flat.values())):
            yield from pieces

    def gather(
        self, positions: Positions, buffers: Buffers, names: Container[str] | None = None
    ) -> dict[str, Array]:
        """Return the rows at these positions; ascending runs are fast, any order is right.

        Dense ones are ``[position, ...]``; ragged ones flat, one row after the other, with
        ``<dim>_count`` ``[position]``, which is there whatever `names` say.
        """
        rows = pick(self.numbers, positions)
        segments = list(self._segments(rows))
        out: dict[str, Array] = {}
        for name, pieces in self.dense.items():
            if names is None or name in names:
                out[name] = _take(pieces, segments, len(rows), buffers, name)
        for dim, pieces in self.counts.items():
            out[f"{dim}_count"] = _take(pieces, segments, len(rows), buffers, f"{dim}_count")
            begins = _take(self._starts[dim], segments, len(rows), buffers, f"{dim} begin")
            inner = _inner(segments, begins, out[f"{dim}_count"])
            total = sum(len(local) for _, local, _, _ in inner)
            for name, (ragged, columns) in self.flat.items():
                if ragged == dim and (names is None or name in names):
                    out[name] = _take(columns, inner, total, buffers, name)
        return out

    def take(self, name: str, positions: Positions, out: Array) -> None:
        """Copy one dense variable's rows at these positions to `out` ``[position, ...]``."""
        rows = pick(self.numbers, positions)
        _copy(self.dense[name], self._segments(rows), out)

    def views(self, name: str, positions: Positions) -> Iterator[Array]:
        """Yield one dense variable's rows at these positions, each flat and where it lies."""
        rows = pick(self.numbers, positions)
        for shard, local, _, _ in self._segments(rows):
            yield from (self.dense[name][shard][row].reshape(-1) for row in local)

    def runs(self, start: int, stop: int) -> Iterator[Array]:
        """Yield views of all dense rows that lie between two positions."""
        if self.numbers is not None:
            start, stop = int(self.numbers[start]), int(self.numbers[stop - 1]) + 1
        for shard, (low, high) in enumerate(zip(self.edges[:-1], self.edges[1:], strict=True)):
            a, b = max(start, int(low)) - int(low), min(stop, int(high)) - int(low)
            if a < b:
                yield from (pieces[shard][a:b] for pieces in self.dense.values())

    def _segments(self, rows: Positions) -> Iterator[Segment]:
        """Yield (shard, rows within it, and their span in the output)."""
        if len(self.edges) == 2:
            yield 0, rows, 0, len(rows)
            return
        shards = np.searchsorted(self.edges, rows, side="right") - 1
        local = rows - self.edges[shards]
        cuts = np.flatnonzero(np.diff(shards)) + 1
        bounds = [0, *cuts.tolist(), len(rows)]
        owners = shards[bounds[:-1]].tolist() if len(rows) else []
        for shard, low, high in zip(owners, bounds, bounds[1:], strict=False):
            yield shard, local[low:high], low, high


Segment = tuple[int, NDArray[np.int64], int, int]


def _take(
    pieces: Sequence[Array], segments: list[Segment], total: int, buffers: Buffers, name: str
) -> Array:
    out = buffers.get(name, (total, *pieces[0].shape[1:]), pieces[0].dtype)
    _copy(pieces, segments, out)
    return out


def _copy(pieces: Sequence[Array], segments: Iterable[Segment], out: Array) -> None:
    for shard, local, low, high in segments:
        pieces[shard].take(local, 0, out[low:high], "clip")


def _inner(segments: list[Segment], begins: Array, counts: Array) -> list[Segment]:
    """Turn segments of rows into segments of the values along a ragged dimension."""
    inner: list[Segment] = []
    done = 0
    for shard, _, low, high in segments:
        local = flat_rows(begins[low:high], counts[low:high])
        if len(local):
            inner.append((shard, local, done, done + len(local)))
        done += len(local)
    return inner
