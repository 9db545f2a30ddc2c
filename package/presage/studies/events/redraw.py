"""Drawing events again until all of them pass a cut, at the label they were asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.intp]
Columns = tuple[NDArray[Any], ...]
#: Numbers of the events to draw → their columns, and which of them pass the cut.
Draw = Callable[[Numbers], tuple[Columns, NDArray[np.bool_]]]


def until_kept(draw: Draw, events: int, rounds: int, fewest: int = 1024) -> tuple[Columns, Numbers]:
    """Draw events, numbered from 0, and those that fail the cut again, at most so many `rounds`.

    `draw` is given numbers of events; one may be given several times, which are independent tries.
    Where less than `fewest` events are left, each has several tries a round: a small call costs as
    much as a larger one, and rare events are found in fewer rounds.

    Returned are what `draw` gave for each event, ``[event]``, and the numbers of the events that
    never passed; what stands in their columns means nothing.
    """
    columns, kept = draw(np.arange(events))
    failed = np.flatnonzero(~kept)
    for _ in range(rounds):
        if failed.size == 0:
            break
        failed = _again(draw, columns, failed, fewest)
    return columns, failed


def _again(draw: Draw, columns: Columns, failed: Numbers, fewest: int) -> Numbers:
    """Draw failed events again, in place, and return those that failed again.

    Of several tries of one event the first good one counts.
    """
    tries = max(1, fewest // failed.size)
    shape = (tries, failed.size)
    again, kept = draw(np.tile(failed, tries))
    kept = kept.reshape(shape)
    first = kept.argmax(axis=0), np.arange(failed.size)
    for column, new in zip(columns, again, strict=True):
        column[failed] = new.reshape(shape)[first]
    return failed[~kept.any(axis=0)]
