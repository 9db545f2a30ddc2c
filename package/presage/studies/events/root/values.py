"""Columns of a ROOT tree in memory, and what is computed with them.

There is one value per event, or a list of values per event.

A list per event is kept as ROOT and Awkward keep it: one flat array and the offsets at
which each event's part begins. Missing values (an index of -1, an index beyond the end)
are marked beside the data and travel with it; nothing is ever taken from another event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from presage.labels import Array
from presage.studies.events.root.errors import RootError


@dataclass(frozen=True)
class Values:
    """Values of one branch or of one expression."""

    #: ``()`` for a constant, ``(event,)`` for one value per event; of a list per event all joined.
    data: Array
    #: ``(event + 1,)``, from 0 to ``len(data)``; event i has ``data[offsets[i]:offsets[i + 1]]``.
    #: None unless there is a list per event.
    offsets: Array | None = None
    #: False where the value is missing, same shape as `data`; None when none is.
    valid: Array | None = None

    @property
    def starts(self) -> Array:
        """Where each event's list begins."""
        return _offsets(self)[:-1]

    @property
    def counts(self) -> Array:
        """Length of each event's list."""
        return np.diff(_offsets(self))

    @property
    def known(self) -> Array:
        """`valid` as an array."""
        return np.ones(self.data.shape, bool) if self.valid is None else self.valid

    def as_whole(self, text: str) -> Values:
        """Return values that may stand as an index."""
        if self.data.dtype.kind != "i":
            found = "true or false" if self.data.dtype.kind == "b" else str(self.data.dtype)
            raise RootError(f"an index must be a whole number, but {text!r} is {found}")
        return self


def _offsets(values: Values) -> Array:
    if values.offsets is None:
        raise RootError("one value per event where a list per event is needed")
    return values.offsets


def align(values: Sequence[Values]) -> tuple[list[Values], Array | None]:
    """Bring operands to one shape: a value per event is repeated along the lists.

    They are returned with the offsets that all have; constants are left alone.
    """
    lists = [v.offsets for v in values if v.offsets is not None]
    if not lists:
        return list(values), None
    offsets = lists[0]
    for other in lists[1:]:
        if other is not offsets and not np.array_equal(other, offsets):
            raise RootError("lists of different lengths meet; pick one value of each with [i]")
    counts = np.diff(offsets)
    return [v if v.data.ndim == 0 else _along(v, offsets, counts) for v in values], offsets


def _along(values: Values, offsets: Array, counts: Array) -> Values:
    if values.offsets is not None:
        return values
    valid = None if values.valid is None else np.repeat(values.valid, counts)
    return Values(np.repeat(values.data, counts), offsets, valid)


def elementwise(function: Callable[..., Array], *values: Values) -> Values:
    """Apply a function value by value; the result is missing where an operand is."""
    aligned, offsets = align(values)
    data = np.asarray(function(*(v.data for v in aligned)))
    return Values(data, offsets, _all_valid(aligned, data))


def _all_valid(values: Sequence[Values], data: Array) -> Array | None:
    masks = [v.valid for v in values if v.valid is not None]
    if not masks:
        return None
    joined = masks[0]
    for mask in masks[1:]:
        joined = joined & mask
    return np.broadcast_to(joined, data.shape)


def negation(value: Values) -> Values:
    """Logical not; missing stays missing."""
    return Values(~value.data, value.offsets, value.valid)


def conjunction(first: Values, second: Values) -> Values:
    """Logical and of three-valued truth: false and missing is false."""
    (a, b), offsets = align((first, second))
    if a.valid is None and b.valid is None:
        return Values(np.asarray(a.data & b.data), offsets)
    valid = (a.known & b.known) | (a.known & ~a.data) | (b.known & ~b.data)
    data = (a.data & a.known) & (b.data & b.known)
    return Values(np.asarray(data), offsets, np.asarray(valid))


def disjunction(first: Values, second: Values) -> Values:
    """Logical or of three-valued truth: true or missing is true."""
    return negation(conjunction(negation(first), negation(second)))


def choose(condition: Values, yes: Values, no: Values) -> Values:
    """Take `yes` where the condition holds, else `no`."""
    (c, a, b), offsets = align((condition, yes, no))
    data = np.where(c.data, a.data, b.data)
    if c.valid is None and a.valid is None and b.valid is None:
        return Values(data, offsets)
    return Values(data, offsets, c.known & np.where(c.data, a.known, b.known))


def pick(values: Values, index: Values) -> Values:
    """Return ``values[index]``, event by event.

    There is a list of values per event, and one whole number per event (or for all events) or a
    list of them. A negative index, or one beyond the list's end, gives a missing value.
    """
    starts, counts, offsets = values.starts, values.counts, index.offsets
    if offsets is not None:
        starts, counts = np.repeat(starts, index.counts), np.repeat(counts, index.counts)
    valid = (index.data >= 0) & (index.data < counts)
    if index.valid is not None:
        valid &= index.valid
    if values.data.size == 0:
        return Values(np.zeros(valid.shape, values.data.dtype), offsets, valid)
    position = np.where(valid, starts + index.data, 0)
    if values.valid is not None:
        valid &= values.valid[position]
    return Values(values.data[position], offsets, None if valid.all() else valid)


def select(values: Values, mask: Values) -> Values:
    """Return the values of each list for which the mask, a list of the same length, holds."""
    (mask,), offsets = align((mask,))
    if offsets is None or not np.array_equal(offsets, _offsets(values)):
        raise RootError("a selection such as x[x > 1] needs a condition on the same list")
    keep = mask.data & mask.known
    valid = None if values.valid is None else values.valid[keep]
    running = np.concatenate(([0], np.cumsum(keep)))
    return Values(values.data[keep], running[offsets], valid)


#: Reductions of a list to one value: ufunc and what an empty list gives; None: missing.
REDUCTIONS: dict[str, tuple[np.ufunc, float | None]] = {
    "any": (np.logical_or, 0),
    "all": (np.logical_and, 1),
    "sum": (np.add, 0),
    "min": (np.minimum, None),
    "max": (np.maximum, None),
}


def reduce(name: str, values: Values) -> Values:
    """Reduce each event's list by one of :data:`REDUCTIONS`; missing entries are passed over."""
    if values.valid is not None:
        values = select(values, Values(values.valid, values.offsets))
    ufunc, empty = REDUCTIONS[name]
    filled = values.counts > 0
    kind = bool if name in ("any", "all") else values.data.dtype
    if name == "sum":  # single precision loses the small ones among a thousand
        kind = np.dtype("float64" if values.data.dtype.kind == "f" else "int64")
    data = np.full(filled.shape, empty or 0, dtype=kind)
    if filled.any():
        # Empty lists have no extent, so the filled ones' starts cut the data exactly.
        data[filled] = ufunc.reduceat(values.data, values.starts[filled], dtype=kind)
    return Values(data, None, filled if empty is None and not filled.all() else None)


def lengths(values: Values) -> Values:
    """Return the length of each event's list."""
    return Values(values.counts)


def double(ufunc: Callable[..., Array]) -> Callable[..., Array]:
    """Return a function that computes in double precision, whatever comes."""

    def function(*arrays: Array) -> Array:
        return ufunc(*(np.asarray(a, np.float64) for a in arrays))

    return function


def exact(ufunc: Callable[..., Array]) -> Callable[..., Array]:
    """Return a function that keeps whole numbers whole, and is double precision otherwise."""

    def function(*arrays: Array) -> Array:
        whole = all(a.dtype.kind in "bi" for a in arrays)
        return ufunc(*(np.asarray(a, np.int64 if whole else np.float64) for a in arrays))

    return function


def _round(x: Array, digits: Array) -> Array:
    return np.round(np.asarray(x, np.float64), int(digits))


#: Functions of one value or several, applied value by value: name → (arguments, function).
FUNCTIONS: dict[str, tuple[int, Callable[..., Array]]] = {
    **{
        name: (1, double(getattr(np, name)))
        for name in (
            "sqrt", "exp", "log", "log10", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh",
            "arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "floor", "ceil",
        )
    },
    "isfinite": (1, np.isfinite),
    "abs": (1, np.abs),
    "hypot": (2, double(np.hypot)),
    "arctan2": (2, double(np.arctan2)),
    "minimum": (2, exact(np.minimum)),
    "maximum": (2, exact(np.maximum)),
    "round": (2, _round),
}  # fmt: skip
