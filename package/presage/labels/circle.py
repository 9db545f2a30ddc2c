"""Angles and phases: values that mean the same one period apart.

A circle has to be cut open before numbers on it are sorted, averaged or mapped to a line.
It is cut where there are fewest events, so that no peak is cut in two: distances between
distributions on the line are then those along the circle, but for the few events that
would come together across the cut.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from presage.labels.errors import LabelError
from presage.labels.variables import Variable

Floats = NDArray[np.float64]

#: Cells that a circle is divided into to find where it is emptiest, and how many count as one.
_CELLS, _WIDE = 72, 5


def turn_of(variable: Variable) -> tuple[float, float]:
    """Return where the range of a variable with a period begins, and its length."""
    if variable.period is None:
        raise LabelError(f"{variable.name} has no period")
    start = -variable.period / 2 if variable.lower is None else variable.lower
    return start, variable.period


def wrapped(values: NDArray[Any], variable: Variable) -> NDArray[Any]:
    """Return values within the one period that a variable is declared on, in their type.

    They lie from its start on and below its end, as seen in the variable's stored type.
    """
    start, period = turn_of(variable)
    kind = np.dtype(variable.dtype) if np.dtype(variable.dtype).kind == "f" else np.dtype(float)
    turned = opened(values, start, period).astype(kind)
    low, high = kind.type(start), kind.type(start + period)
    low = low if float(low) >= start else np.nextafter(low, kind.type(np.inf))
    high = high if float(high) < start + period else np.nextafter(high, kind.type(-np.inf))
    return np.clip(turned, low, high).astype(values.dtype)


def opened(values: NDArray[Any], cut: Floats | float, period: float) -> Floats:
    """Return values moved by whole periods to lie from `cut` on, float64."""
    return np.asarray(cut + np.mod(values.astype(float) - cut, period))


def emptiest(values: NDArray[Any], variable: Variable) -> float:
    """Return where on the circle there are fewest values, within the declared range."""
    start, period = turn_of(variable)
    share = np.mod((values.astype(float) - start) / period, 1.0)
    counts = np.bincount((share * _CELLS).astype(int) % _CELLS, minlength=_CELLS)
    shifts = range(-(_WIDE // 2), _WIDE // 2 + 1)
    around = np.sum([np.roll(counts, shift) for shift in shifts], axis=0)
    # Of equally empty places the one in the middle of the longest gap.
    least = np.flatnonzero(around == around.min())
    after = np.diff(least, append=least[0] + _CELLS)
    breaks = np.flatnonzero(after > 1)
    if not len(breaks):
        return float(start)
    runs = np.diff(breaks, prepend=breaks[-1] - len(least))
    longest = int(runs.argmax())
    middle = least[breaks[longest]] - (runs[longest] - 1) / 2
    return float(start + period * np.mod((middle + 0.5) / _CELLS, 1.0))


def on_circle(values: NDArray[Any], variable: Variable, source: str) -> NDArray[Any]:
    """Return values of a new dataset within the declared range.

    Values one turn further are brought back; what lies further off is another unit.
    """
    start, period = turn_of(variable)
    slack = 4 * float(np.finfo(values.dtype).eps) * (abs(start) + period)
    counted = np.isfinite(values)
    if variable.missing is not None:
        counted &= values != np.asarray(variable.missing).astype(values.dtype)
    beyond = counted & ((values < start - slack) | (values > start + period + slack))
    if not beyond.any():
        return values
    far = values[beyond][np.abs(values[beyond] - (start + period / 2)).argmax()]
    if not start - period <= far <= start + 2 * period:
        raise LabelError(
            f"{source}: {variable.name!r} reaches {far:.6g}, but has a period of {period:.6g} from "
            f"{start:.6g} on: is it in another unit (degrees have a period of 360, radians of "
            f"{2 * math.pi:.6g}), or has it a value for what is missing (missing=)?"
        )
    return np.where(beyond, wrapped(values, variable), values)
