"""When two values are the same label: the one definition that everything goes by.

A mass that was written as float32 and read back, a number computed as 0.1 + 0.2, an angle
and the same angle one turn further are each one label in several spellings. Two values of a
parameter are the same where they differ by at most `tolerance` times

- the larger of both, without their signs;
- its period, where it has one, whole periods left out;
- the smallest value that is not negligible, where both are negligible beside it: that makes
  0 and 1e-17 the same among 1, 2 and 3, but not 0 and 1e-20 among powers of ten.

Being the same is not transitive. Of a chain of neighbours those with most events stand for
the label, the smallest of equals first, and every other one is read as the nearest of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from presage.labels.caller import warn_caller
from presage.labels.variables import TOLERANCE, Variable

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: More distinct labels than this are no labels but a continuous quantity.
MOST_LABELS = 100_000


class LabelMergeWarning(UserWarning):
    """Labels that differ by no more than their tolerance are taken for one."""


def merge(
    table: Floats,
    counts: Integers,
    parameters: Sequence[Variable],
    source: str | None = None,
) -> tuple[Floats, Integers]:
    """Return each label once, and which of them every given one is.

    The rows of the table ``[row, parameter]`` are different, each a spelling of a label with as
    many events as `counts` says; `source` is what the warning calls them, None for no warning.

    Returns
    -------
    labels, number
        ``[label, parameter]``, in ascending order where the rows are or where some were merged,
        and the number of each row's label, ``[row]``.

    Warns
    -----
    LabelMergeWarning
        Rows were merged; both spellings and their events are named.
    """
    rows = np.arange(len(table), dtype=np.int64)
    if len(table) > MOST_LABELS:
        return table, rows
    read = np.stack([_read(*one, counts) for one in zip(table.T, parameters, strict=True)], axis=1)
    if np.array_equal(read, table):
        return table, rows
    labels, number = np.unique(read, axis=0, return_inverse=True)
    number = number.reshape(-1)
    if source is not None and len(labels) < len(table):
        _say(table, counts, number, parameters, source)
    return labels, number


def positions(wanted: Floats, known: Floats, parameters: Sequence[Variable]) -> Integers:
    """Return where each wanted label is among the known ones, -1 where it is not.

    Both are ``[label, parameter]``, float64, their columns declared by `parameters`.
    """
    if not len(known) or not len(wanted):
        return np.full(len(wanted), -1, dtype=np.int64)
    places = []
    for k, parameter in enumerate(parameters):
        values, inverse = np.unique(known[:, k], return_inverse=True)
        number = np.bincount(inverse.reshape(-1), minlength=len(values))
        kept = np.unique(_read(values, parameter, number))
        both = np.concatenate([known[:, k], wanted[:, k]])
        found, same = _nearest(both, kept, parameter, _negligible(both, parameter))
        places.append(np.where(same, found, -1))
    _, rows = np.unique(np.stack(places, axis=1), axis=0, return_inverse=True)
    rows = rows.reshape(-1)
    first = np.full(int(rows.max()) + 1, -1, dtype=np.int64)
    first[rows[: len(known)][::-1]] = np.arange(len(known))[::-1]
    lost = np.any([place[len(known) :] < 0 for place in places], axis=0)
    return np.where(lost, -1, first[rows[len(known) :]])


def beyond(values: Floats, low: float, high: float, parameter: Variable) -> NDArray[np.bool_]:
    """Return which values lie below `low` or above `high` and are no spelling of them.

    On a circle there is no beyond.
    """
    if parameter.period is not None:
        return np.zeros(values.shape, dtype=bool)
    out = (values < low) | (values > high)
    at_end = _same(values, low, parameter, 0.0) | _same(values, high, parameter, 0.0)
    return np.asarray(out & ~at_end)


def _read(column: Floats, parameter: Variable, counts: Integers) -> Floats:
    """Return the value that each value of a column is read as."""
    values, inverse = np.unique(column, return_inverse=True)
    inverse = inverse.reshape(-1)
    circle = np.argsort(_turned(values, parameter), kind="stable")  # neighbours side by side
    zero = _negligible(values, parameter)
    linked = _same(values[circle], np.roll(values[circle], -1), parameter, zero)
    if parameter.period is None or len(values) == 1:
        linked[-1] = False
    if not linked.any():
        return column
    start = int(np.argmin(linked)) + 1  # a chain may cross the end of a period
    circle, linked = np.roll(circle, -start), np.roll(linked, -start)
    chain = np.concatenate([[0], np.cumsum(~linked[:-1])])
    events = np.bincount(inverse, weights=counts, minlength=len(values))[circle]
    kept: dict[int, list[float]] = {}
    for place in np.lexsort((values[circle], -events)):
        value, others = values[circle[place]], kept.setdefault(int(chain[place]), [])
        if not _same(np.array(others), value, parameter, zero).any():
            others.append(float(value))
    spelled = np.sort(np.concatenate(list(kept.values())))
    return np.asarray(spelled[_nearest(values, spelled, parameter, zero)[0]][inverse])


def _nearest(
    wanted: Floats, known: Floats, parameter: Variable, zero: float
) -> tuple[Integers, NDArray[np.bool_]]:
    """Return the nearest of the known values (ascending), and whether it is the same."""
    at = _turned(known, parameter)
    order = np.argsort(at, kind="stable")
    above = np.searchsorted(at[order], _turned(wanted, parameter))
    if parameter.period is None:
        pair = np.clip([above - 1, above], 0, len(known) - 1)
    else:
        pair = np.array([above - 1, above]) % len(known)
    pair = order[pair]
    apart = np.stack([_apart(known[one], wanted, parameter) for one in pair])
    found = np.where(apart[1] < apart[0], pair[1], pair[0])
    return found, _same(known[found], wanted, parameter, zero)


def _same(a: Floats, b: Floats | float, parameter: Variable, zero: float) -> NDArray[np.bool_]:
    tolerance = _tolerance(parameter)
    apart = _apart(a, b, parameter)
    if parameter.period is not None:
        return np.asarray(apart <= tolerance * parameter.period)
    size = np.maximum(np.abs(a), np.abs(b))
    return np.asarray(((apart <= tolerance * size) | (size <= zero)) & (apart < math.inf))


def _apart(a: Floats, b: Floats | float, parameter: Variable) -> Floats:
    """Return how far values are apart, on a circle the shorter way."""
    apart = np.abs(a - b)
    if parameter.period is None:
        return np.asarray(apart)
    turned = np.mod(apart, parameter.period)
    return np.asarray(np.minimum(turned, parameter.period - turned))


def _turned(values: Floats, parameter: Variable) -> Floats:
    """Return values within one period."""
    return values if parameter.period is None else np.mod(values, parameter.period)


def _negligible(values: Floats, parameter: Variable) -> float:
    """Return the size up to which values of a column count as zero, beside the others."""
    if parameter.period is not None or values.min() > 0 or values.max() < 0:
        return 0.0
    size = np.unique(np.abs(values))
    small = np.flatnonzero(size[:-1] < _tolerance(parameter) * size[1:])
    return float(_tolerance(parameter) * size[small[-1] + 1]) if small.size else 0.0


def _tolerance(parameter: Variable) -> float:
    return float(getattr(parameter, "tolerance", TOLERANCE))


def _say(
    table: Floats,
    counts: Integers,
    number: Integers,
    parameters: Sequence[Variable],
    source: str,
) -> None:
    """Warn of rows that were merged."""

    def show(row: Floats, events: int) -> str:
        pairs = zip(parameters, row.tolist(), strict=True)
        return f"{', '.join(f'{p.name}={v!r}' for p, v in pairs)} ({events})"

    members = np.bincount(number)
    shown = []
    for label in np.flatnonzero(members > 1)[:3]:
        rows = np.flatnonzero(number == label)
        rows = rows[np.argsort(-counts[rows], kind="stable")]
        shown.append(" with ".join(show(table[row], int(counts[row])) for row in rows[:3]))
    merged = int((members > 1).sum())
    more = ", ..." if merged > len(shown) else ""
    warn_caller(
        f"{source}: {merged} labels come in {int(members[members > 1].sum())} spellings that "
        f"differ by no more than the tolerance of their parameters, and are taken for one each "
        f"(events in brackets): {'; '.join(shown)}{more}. Where they are different labels, "
        "declare Parameter(tolerance=0)",
        LabelMergeWarning,
    )
