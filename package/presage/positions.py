"""Positions of samples: listed, a range, or worked out when they are asked for.

Of a thousand million samples a list of positions takes 8 GB. What follows a rule is kept as the
rule: a range, or a function of the places in the list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Computed:
    """A list of `count` positions of which `at` gives those at some places of the list."""

    count: int
    at: Callable[[Positions], Positions]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, places: Any) -> Any:
        if isinstance(places, slice):
            places = np.arange(*places.indices(self.count))
        return self.at(np.asarray(places, np.int64))

    def __iter__(self) -> Iterator[np.int64]:
        return iter(self[:])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        every: Positions = self[:]
        return every.astype(dtype or np.int64, copy=False)


#: Positions in any of these forms; a range ascends.
Rows = Positions | range | Computed


def pick(rows: Rows | None, places: Positions) -> Positions:
    """Return the positions at some places of a list; None is that of all positions in order."""
    if rows is None:
        return places
    found: Positions = rows.start + rows.step * places if isinstance(rows, range) else rows[places]
    return found


def listed(rows: Rows) -> Positions:
    """Return all positions of a list as an array."""
    if isinstance(rows, range):
        return np.arange(rows.start, rows.stop, rows.step)
    return np.asarray(rows)


def as_index(rows: Rows) -> slice | Positions:
    """Return what indexes an array by these positions; a range is a slice."""
    if isinstance(rows, range):
        return slice(rows.start, rows.stop, rows.step)
    return np.asarray(rows)


def same(one: Rows | None, other: Rows | None) -> bool:
    """Say whether two lists are the same."""
    if one is None or other is None:
        return one is other
    if isinstance(one, range) and isinstance(other, range):
        return one == other
    return one is other or np.array_equal(listed(one), listed(other))
