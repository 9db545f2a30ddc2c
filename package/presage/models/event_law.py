"""What events and labels a flow was trained with, and what is unlike them.

Minus log p of an event, in the coordinates that are relative to its label, is a score that
is usual among held-out events up to some value and then falls off exponentially, whatever the
density: that gives each event a p-value (:mod:`presage.transforms.tail`). A label is compared
with the range of the trained ones, and with their distance from one another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from presage.labels import Floats, Parameter, Variable
from presage.labels.caller import warn_caller
from presage.labels.equality import beyond
from presage.transforms.distinct_labels import distinct_labels
from presage.transforms.tail import SURE, UnlikeTrainingWarning, alarming, log_tail

#: Events whose scores are kept, and the fewest held-out ones that are enough.
MOST, ENOUGH = 50_000, 10_000
#: Labels that are kept.
_LABELS = 5000
#: Grid steps from the nearest trained label beyond which a label is far from all.
_STEPS = 1.6
#: Share of the combinations of values that there are labels at, from which they are a grid.
_FILLED = 0.25


class RangeWarning(UnlikeTrainingWarning):
    """A flow is asked for labels beyond those it was trained on, or far from all of them."""


def event_law(
    scores: Floats,
    events: Mapping[str, ArrayLike],
    variables: Sequence[Variable],
    parameters: Sequence[Parameter],
) -> xr.Dataset:
    """Return what stands beside a flow's weights.

    `scores` are minus log p of some events; `events` all of the training, their labels among them.

    Returns
    -------
    xarray.Dataset
        ``score`` ``[event]``, ascending; ``lowest``, ``highest`` ``[variable]``; ``label``
        ``[label, parameter]``.
    """
    columns = [np.asarray(events[p.name]) for p in parameters]
    labels = distinct_labels(columns, parameters)[1] if columns else np.zeros((1, 0))
    kept = labels[np.linspace(0, len(labels) - 1, min(len(labels), _LABELS)).round().astype(int)]
    ends = [[float(end(np.asarray(events[v.name]))) for v in variables] for end in (np.min, np.max)]
    return xr.Dataset(
        {
            "score": ("event", np.sort(scores), {"long_name": "minus log p in scaled coordinates"}),
            "lowest": ("variable", ends[0]),
            "highest": ("variable", ends[1]),
            "label": (("label", "parameter"), kept),
        },
        coords={
            "variable": np.array([v.name for v in variables], dtype=object),
            "parameter": np.array([p.name for p in parameters], dtype=object),
        },
        attrs={"summary": f"p-values of events are counted among {len(scores)}, "
                          f"labels compared with {len(labels)}"},
    )  # fmt: skip


def event_p_values(seen: xr.Dataset, scores: Floats) -> Floats:
    """Return the p-value of each event from minus its log p."""
    return np.exp(log_tail(seen["score"].values, scores, SURE))


def warn_of_events(seen: xr.Dataset, scores: Floats, events: Mapping[str, ArrayLike]) -> None:
    """Warn where some events are so rare that one call in a hundred at most has such.

    Warns
    -----
    UnlikeTrainingWarning
        Names how many, the rarest of them, and what about it was never seen.
    """
    values = event_p_values(seen, scores)
    rare = alarming(values)
    if not len(rare):
        return
    first = int(rare[0])
    own = {str(n): float(np.asarray(events[str(n)])[first]) for n in seen["variable"].values}
    ends = [
        f"{name} = {own[name]:.6g}, seen {low:.6g} to {high:.6g}"
        for name, low, high in zip(own, seen["lowest"].values, seen["highest"].values, strict=True)
        if not low <= own[name] <= high
    ]
    shown = ends or [f"{name} = {value:.6g}" for name, value in own.items()]
    warn_caller(
        f"{len(rare)} of {len(values)} events are unlike those that the flow was trained with, "
        f"the rarest p = {max(float(values[first]), 1e-300):.1g} ({', '.join(shown)}): their "
        "density is a guess",
        UnlikeTrainingWarning,
    )


def strange_labels(
    table: Floats,
    parameters: Sequence[Parameter],
    ranges: Mapping[str, Sequence[float]],
    seen: xr.Dataset | None,
) -> list[str]:
    """Say where a label ``[label, parameter]`` is beyond the trained `ranges`, or far from all.

    A sentence for each parameter whose range is left, or one for the label that is the furthest
    from all that were `seen`; the nearest of these is named. None of that for a model that was
    stored without the law of its events.
    """
    said = []
    for k, parameter in enumerate(parameters):
        low, high = ranges[parameter.name]
        out = np.flatnonzero(beyond(table[:, k], low, high, parameter))
        if out.size:
            near = "" if seen is None else f"; {_nearest(seen, table, parameters, out[0])[1]}"
            said.append(
                f"{parameter.name} = {table[out[0], k]:g} is outside the trained range "
                f"[{low:g}, {high:g}] {parameter.unit}: the flow extrapolates{near}"
            )
    if said or seen is None or not len(parameters):
        return said
    found = [_nearest(seen, table, parameters, row) for row in range(len(table))]
    row = max(range(len(found)), key=lambda row: found[row][0], default=0)
    if found and found[row][0] > _STEPS:
        steps, near = found[row]
        said.append(
            f"{_named(parameters, table[row])} is {steps:.1f} grid steps from any trained "
            f"label: the flow guesses; {near}"
        )
    return said


def _nearest(
    seen: xr.Dataset, table: Floats, parameters: Sequence[Parameter], row: int | np.integer[Any]
) -> tuple[float, str]:
    """Return how many steps the nearest trained label is away, and its name."""
    known = seen["label"].values
    axes = [np.unique(column) for column in known.T]
    # Scattered labels fill next to nothing of the grid of their values: steps are then larger.
    filled = len(known) / np.prod([len(values) for values in axes], dtype=float)
    step = 1.0 if filled > _FILLED else float(filled ** (-1 / len(axes)))
    far = np.zeros(len(known))
    for k, (values, parameter) in enumerate(zip(axes, parameters, strict=True)):
        period = parameter.period
        own = np.interp(table[row, k], values, np.arange(len(values)), period=period)
        away = np.abs(np.searchsorted(values, known[:, k]) - own)
        away = away if period is None else np.minimum(away, len(values) - away)
        far = np.maximum(far, away / step)
    best = int(far.argmin())
    return float(far[best]), f"the nearest trained label is {_named(parameters, known[best])}"


def _named(parameters: Sequence[Parameter], label: Floats) -> str:
    return ", ".join(f"{p.name} = {v:g}" for p, v in zip(parameters, label, strict=True))
