"""Labels of an events dataset: which there are, where they lie, holding some of them out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from presage.analysis.labelled import FEWEST, Labels, declared, distinct_labels, label_table
from presage.labels import LabelError, Variable, unitless
from presage.labels.equality import positions
from presage.lineage import take
from presage.transforms.weights import weights_of

#: A label may be given to this share of the distance to the next one.
TOLERANCE = 0.05


def unique_labels(events: xr.Dataset) -> xr.Dataset:
    """Return each label once, with the number of its events.

    Returns
    -------
    xarray.Dataset
        One variable per label column and ``events``, along ``label``; sorted.
    """
    parameters, _, table, counts = _labels(events)
    names = [parameter.name for parameter in parameters]
    columns = {n: ("label", table[:, i], dict(events[n].attrs)) for i, n in enumerate(names)}
    number = ("label", counts, unitless("events"))
    return xr.Dataset({**columns, "events": number})


def hold_out(events: xr.Dataset, labels: Labels) -> tuple[xr.Dataset, xr.Dataset]:
    """Split events by label.

    Parameters
    ----------
    events
        Events with label columns.
    labels
        What to hold out: one label, several, or a dataset that has them. A label matches the
        nearest one there is, if that is closer than 5 % of the step to its neighbour in every
        coordinate.

    Returns
    -------
    train, held_out : xarray.Dataset
        Selections of `events`; both know which of its samples they hold.

    Raises
    ------
    LabelError
        A label matches none; the nearest is named. Or nothing is left to train on.
    """
    held = _at(events, labels)
    if held.all():
        raise LabelError("every label was held out; nothing is left to train on")
    return take(events, np.flatnonzero(~held)), take(events, np.flatnonzero(held))


def at_labels(events: xr.Dataset, labels: Labels) -> xr.Dataset:
    """Return the events at some labels, which are matched as in :func:`hold_out`."""
    return take(events, np.flatnonzero(_at(events, labels)))


def _at(events: xr.Dataset, labels: Labels) -> NDArray[np.bool_]:
    """Return which events are at these labels, ``[event]``."""
    parameters, codes, there, _ = _labels(events)
    chosen = [match(there, label, parameters) for label in label_table(labels, parameters)]
    if not chosen:
        raise LabelError("at least one label is needed")
    found = np.zeros(len(there), dtype=bool)
    found[chosen] = True
    return np.asarray(found[codes])


def _labels(
    events: xr.Dataset,
) -> tuple[Sequence[Variable], NDArray[Any], NDArray[np.float64], NDArray[np.int64]]:
    """Return declarations, number of each event's label, labels and how many events they have."""
    _, parameters, _ = declared(events)
    columns = [events[parameter.name].values for parameter in parameters]
    return parameters, *distinct_labels(columns, parameters, "the events")


def match(
    there: NDArray[np.float64], label: Sequence[float], parameters: Sequence[Variable]
) -> int:
    """Return the number of the label meant, see :func:`hold_out`."""
    names = [parameter.name for parameter in parameters]
    wanted = label_table([label], parameters)[0]
    if not np.isfinite(wanted).all():
        raise LabelError(f"a label is finite numbers, got {tuple(map(float, wanted))}")
    same = int(positions(wanted[None], there, parameters)[0])
    if same >= 0:
        return same
    steps = np.array([_step(there[:, k], wanted[k]) for k in range(len(names))])
    distance = np.abs(there - wanted) / steps
    nearest = int(distance.max(axis=1).argmin())
    if distance[nearest].max() > TOLERANCE:
        shown = ", ".join(f"{n} = {v:g}" for n, v in zip(names, there[nearest], strict=True))
        raise LabelError(f"there is no label {tuple(map(float, wanted))}; the nearest is {shown}")
    return nearest


def _step(values: NDArray[np.float64], at: float) -> float:
    """Return the distance between the grid values around `at`; the value itself for one."""
    grid = np.unique(values)
    if len(grid) < 2:
        return max(abs(float(grid[0])), 1.0)
    place = int(np.clip(np.searchsorted(grid, at), 1, len(grid) - 1))
    return float(grid[place] - grid[place - 1])


def choose_held_out(
    events: xr.Dataset, interior: int | None = None, edge: int | None = None, minimum: int = FEWEST
) -> list[tuple[float, ...]]:
    """Choose labels to hold out: some inside the grid, some on its edge, well spread.

    Parameters
    ----------
    events
        Events on a grid of labels.
    interior, edge
        How many of each; by default 4, of a small grid a third, and of inner ones at least 1.
    minimum
        Events a label must have to be chosen, as many as it is judged by later; with weights,
        effective ones.

    Raises
    ------
    LabelError
        The grid has too few such labels.
    """
    parameters, codes, points, counts = _labels(events)
    weights = weights_of(events, declared(events)[0], "the events")
    if weights is None:
        enough = counts >= minimum
    else:  # so many events of weight 1 is each label worth
        sums, squares = (np.bincount(codes, weights**k, len(counts)) for k in (1, 2))
        enough = sums * np.abs(sums) >= (1 - 1e-9) * minimum * squares
    ends = at_ends(points, parameters)
    rim, corners = ends.any(axis=1), (ends | (np.ptp(points, axis=0) == 0)).all(axis=1)
    events_of = "events" if weights is None else "effective events, (Σw)² / Σw²,"
    chosen: list[tuple[float, ...]] = []
    for given, mask, what in ((interior, ~rim, "interior"), (edge, rim, "edge")):
        candidates = points[mask & enough]
        want = _few(len(candidates), what) if given is None else given
        if len(candidates) < want:
            raise LabelError(
                f"{want} {what} labels with at least {minimum} {events_of} were wanted, "
                f"there are {len(candidates)} of {len(points)} ({(mask & ~enough).sum()} more have "
                f"fewer); hold out fewer ({what}={len(candidates)}; -p {what} "
                f"{len(candidates)}), or give more events, or events at more labels"
            )
        chosen += _spread(candidates, points, want, corners)
    return chosen


def _few(there: int, what: str) -> int:
    """Return how many of so many labels are held out by default."""
    return min(4, max(there // 3, 1 if what == "interior" else 0))


def at_ends(points: NDArray[np.float64], parameters: Sequence[Variable]) -> NDArray[np.bool_]:
    """Return which labels stand at an end of each parameter's range, ``[label, parameter]``.

    A label at an end of any is on the edge of the grid. A parameter that does not vary has no
    ends, and neither has a circle beside others that have; alone it is cut open at its seam.
    """
    straight = np.array([parameter.period is None for parameter in parameters])
    varies = np.ptp(points, axis=0) > 0
    ends = (points == points.min(axis=0)) | (points == points.max(axis=0))
    return np.asarray(ends & varies & (straight | ~(varies & straight).any()))


def _spread(
    candidates: NDArray[np.float64],
    points: NDArray[np.float64],
    number: int,
    corners: NDArray[np.bool_],
) -> list[tuple[float, ...]]:
    """Pick `number` candidates far from one another, beginning near the middle."""
    if number == 0:
        return []
    corner = {tuple(row) for row in points[corners]}
    kept = np.array([row for row in candidates if tuple(row) not in corner])
    pool = kept if len(kept) >= number else candidates
    scale = np.where(np.ptp(points, axis=0) > 0, np.ptp(points, axis=0), 1.0)
    unit = (pool - points.mean(axis=0)) / scale
    # A first pick a little off the middle keeps the picks from lining up.
    picked = [int(np.abs(unit - 0.11).sum(axis=1).argmin())]
    while len(picked) < number:
        distance = np.linalg.norm(unit[:, None] - unit[picked], axis=2).min(axis=1)
        inward = 1.0 - 0.5 * np.linalg.norm(unit, axis=1)
        picked.append(int((distance * inward).argmax()))
    return [tuple(map(float, pool[index])) for index in picked]
