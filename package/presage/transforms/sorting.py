"""Events put next to those of the same label, in blocks that stay in the cache.

A gather of ten million events in random order waits for the memory at every event. Here
each block of events is sorted by itself, and its runs of one label are then written where
they belong: reading and writing are sequential, and blocks are shared among threads.
The order within a label is that of the events, whatever the number of threads.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from presage.labels import Floats

Item = TypeVar("Item")
Made = TypeVar("Made")

#: Events of a block: its columns and indices fit a core's second-level cache.
BLOCK = 1 << 16
_NOTHING: Floats = np.zeros(0)


def in_order(action: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """Yield ``action(item)`` for each item in order, on all cores where there is more than one.

    For actions that spend their time in NumPy or torch, which let go of the interpreter.
    """
    items = list(items)
    if _cores() == 1 or len(items) < 2:
        yield from map(action, items)
        return
    with ThreadPoolExecutor(min(_cores(), 8, len(items))) as pool:
        yield from pool.map(action, items)


def side_by_side(action: Callable[[Item], Made], items: Iterable[Item]) -> list[Made]:
    """Return what :func:`in_order` yields, when all is done."""
    return list(in_order(action, items))


def distinct(columns: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], Floats]:
    """Give numbers to the distinct rows of `columns`, in ascending order.

    Parameters
    ----------
    columns
        Each ``[event]``.

    Returns
    -------
    codes, table
        The number of each event's row, as small an integer as will do; the distinct rows,
        float64 ``[row, column]``.
    """
    values = [np.unique(_bits(c[:: max(1, len(c) // 4096)]).view(float)) for c in columns]
    for _ in range(2):  # once more with the rare values that the first look missed
        lookups = [_Lookup.of(one) for one in values]
        if None in lookups or math.prod(map(len, values)) > 1 << 16:
            break
        codes, seen, lost = _look_up(columns, [lookup for lookup in lookups if lookup])
        if not any(map(len, lost)):
            places = np.unravel_index(seen, [len(one) for one in values])
            rows = [one[place] for one, place in zip(values, places, strict=True)]
            return codes, np.stack(rows, axis=1)
        values = [np.unique(np.concatenate(pair)) for pair in zip(values, lost, strict=True)]
    return _distinct_by_hashing(columns)


def by_code(
    codes: NDArray[Any], kinds: int, columns: Sequence[NDArray[Any]]
) -> tuple[NDArray[np.int64], list[NDArray[Any]]]:
    """Return where each code's events begin, ``[kind + 1]``, and the columns in that order.

    Parameters
    ----------
    codes
        Number of each event, ``[event]``, below `kinds`.
    kinds
        How many numbers there are.
    columns
        Each ``[event]``.
    """
    blocks = _blocks(len(codes))
    if kinds > BLOCK // 16 or len(blocks) < 2:  # runs within a block would be short
        order = np.argsort(codes, kind="stable")
        counts = np.bincount(codes, minlength=kinds)
        return _starts(counts), side_by_side(lambda column: column[order], columns)
    counts = np.stack(side_by_side(lambda rows: np.bincount(codes[rows], minlength=kinds), blocks))
    starts = _starts(counts.sum(axis=0))
    first = starts[:-1] + np.cumsum(counts, axis=0) - counts  # of each block, for each number
    made = [np.empty(len(codes), dtype=column.dtype) for column in columns]

    def place(block: int) -> None:
        rows = blocks[block]
        order = np.argsort(codes[rows], kind="stable")
        runs = np.concatenate([[0], np.cumsum(counts[block])[:-1]])
        target = np.repeat(first[block] - runs, counts[block])
        target += np.arange(len(target))
        for column, new in zip(columns, made, strict=True):
            new[target] = column[rows][order]

    side_by_side(place, range(len(blocks)))
    return starts, made


@dataclass(frozen=True)
class _Lookup:
    """The place of each value of a column among its few distinct ones.

    A multiplication spreads the values' bits over a table in which no two collide: a label
    is then found by one look, in a fraction of the time of a hash table or a bisection.
    """

    values: Floats
    factor: np.uint64
    shift: np.uint64
    table: NDArray[np.uint8]

    @classmethod
    def of(cls, values: Floats) -> _Lookup | None:
        """Return None for more than 256 values, or where no table is found."""
        if not 0 < len(values) <= 256:
            return None
        rng = np.random.Generator(np.random.Philox(0))
        for bits in range(len(values).bit_length() + 1, 17):
            for _ in range(8):
                factor = rng.integers(1 << 63, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
                shift = np.uint64(64 - bits)
                slots = (_bits(values) * factor) >> shift
                if len(np.unique(slots)) == len(values):
                    table = np.zeros(1 << bits, dtype=np.uint8)
                    table[slots] = np.arange(len(values))
                    return cls(values, factor, shift, table)
        return None

    def find(self, column: NDArray[Any]) -> tuple[NDArray[np.uint8], Floats]:
        """Return the place of each value, and the distinct values that have none."""
        bits = _bits(column)
        slots = bits * self.factor
        slots >>= self.shift
        places = self.table[slots]
        wrong = self.values[places] != bits.view(float)
        return places, np.unique(bits.view(float)[wrong]) if wrong.any() else _NOTHING


def _look_up(
    columns: Sequence[NDArray[Any]], lookups: Sequence[_Lookup]
) -> tuple[NDArray[np.uint16], NDArray[np.int64], list[Floats]]:
    """Return the number of each row, which combinations occur, and the unknown values."""
    kinds = math.prod(len(lookup.values) for lookup in lookups)
    codes = np.empty(len(columns[0]), dtype=np.uint16)

    def number(rows: slice) -> tuple[NDArray[np.int64], list[Floats]]:
        both: NDArray[np.int64] = np.zeros(len(codes[rows]), dtype=np.int64)
        lost = []
        for lookup, column in zip(lookups, columns, strict=True):
            places, unknown = lookup.find(column[rows])
            lost.append(unknown)
            both *= len(lookup.values)
            both += places
        codes[rows] = both
        return np.bincount(both, minlength=kinds), lost

    counts, lost = zip(*side_by_side(number, _blocks(len(codes))), strict=True)
    seen = np.flatnonzero(sum(counts))
    if len(seen) < kinds:
        rank = np.zeros(kinds, dtype=np.uint16)
        rank[seen] = np.arange(len(seen))
        codes = rank[codes]
    return codes, seen, [np.concatenate(parts) for parts in zip(*lost, strict=True)]


def _bits(column: NDArray[Any]) -> NDArray[np.uint64]:
    """Return the bits of each value as float64; adding makes −0 and 0 the same."""
    return (column.astype(float) + 0.0).view(np.uint64)


def _distinct_by_hashing(columns: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], Floats]:
    codes: NDArray[Any] = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        found, values = pd.factorize(column)
        codes = codes * len(values) + found
        if len(values) > 1:  # keep the numbers small, so that any count of parameters fits
            codes = pd.factorize(codes)[0]
    first = np.full(int(codes.max(initial=-1)) + 1, -1, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    table = np.stack([np.asarray(c)[first].astype(float) for c in columns], axis=1)
    order = np.lexsort(table.T[::-1])
    rank = np.empty(len(order), dtype=np.uint16 if len(order) <= 1 << 16 else np.int64)
    rank[order] = np.arange(len(order))  # 16-bit numbers get NumPy's radix sort
    return rank[codes], table[order]


def _blocks(events: int) -> list[slice]:
    return [slice(i, i + BLOCK) for i in range(0, events, BLOCK)]


def _starts(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


@cache
def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
