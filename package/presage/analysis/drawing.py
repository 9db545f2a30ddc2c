"""Events of simulated labels as templates: what all rivals that train nothing are drawn from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from presage.analysis.labelled import Floats, Grouped, Labels, group, label_table
from presage.labels import LabelError, stored_as
from presage.labels.circle import wrapped
from presage.rng import generator
from presage.transforms.cells import drawn_by_weight, without_negative


def draw_at(
    grouped: Grouped,
    train: xr.Dataset,
    labels: Labels,
    n: int | Sequence[int],
    seed: int,
    name: str,
    draw: Callable[[Floats, int, np.random.Generator], Floats],
) -> xr.Dataset:
    """Draw at each label and join the columns into an events dataset like `train`.

    `draw` draws events ``[event, variable]`` at a label, of a number, with a generator; what it
    draws depends on the method's `name`, the seed and the label alone.
    """
    table = label_table(labels, grouped.parameters)
    if not len(table):
        raise LabelError("no labels were given to draw events at")
    if not np.isfinite(table).all():
        raise LabelError("the labels hold values that are not finite")
    sizes = np.atleast_1d(np.asarray(n, dtype=np.int64))
    if sizes.min() < 1 or sizes.size not in (1, len(table)):
        raise LabelError(
            f"n is the number of events for each label, at least 1: one number or {len(table)} "
            f"of them, got {n!r}"
        )
    sizes = np.broadcast_to(sizes, len(table))
    parts = []
    for target, size in zip(table, sizes.tolist(), strict=True):
        rng = _generator(name, seed, target)
        parts.append(rng.permutation(draw(target, size, rng)))  # any prefix is a fair sample
    drawn = np.concatenate(parts)
    columns = {
        v.name: drawn[:, i] if v.period is None else wrapped(drawn[:, i], v)
        for i, v in enumerate(grouped.variables)
    }
    columns |= {p.name: np.repeat(table[:, i], sizes) for i, p in enumerate(grouped.parameters)}
    like = train.data_vars
    kinds = {v.name: v.dtype for v in (*grouped.variables, *grouped.parameters)}
    events = xr.Dataset(
        {
            key: (grouped.dim, stored_as(columns[str(key)], kinds[str(key)]), dict(like[key].attrs))
            for key in like
            if key in columns  # and no weight: what is drawn counts 1
        },
        coords={grouped.dim: np.arange(len(drawn))},
    )
    events.attrs.update(
        presage_sample=grouped.dim,
        presage_producer=name,
        seed=seed,
        repeated=repeated_share(np.concatenate([drawn, np.repeat(table, sizes, axis=0)], axis=1)),
    )
    return events


def repeated_share(rows: NDArray[Any]) -> float:
    """Return the share of rows ``[event, column]`` that are copies of an earlier one."""
    return float(pd.DataFrame(rows).duplicated().mean())


def simulated(train: xr.Dataset) -> Grouped:
    """Group training events, and refuse a label with a single event.

    Of weights none is negative then, see :mod:`presage.transforms.cells`.
    """
    grouped = group(train, "the training events")
    if grouped.sizes.min() < 2:
        lone = grouped.table[int(grouped.sizes.argmin())]
        raise LabelError(
            f"the training events hold only one event at {grouped.describe(lone)}; "
            "a width needs two: leave that label out"
        )
    if grouped.weights is None or grouped.weights.min() >= 0:
        return grouped
    positive = [
        without_negative(grouped.weights[grouped.rows(label)], grouped.sample(label))
        for label in range(len(grouped.table))
    ]
    return replace(grouped, weights=np.concatenate(positive), worth=grouped.effective)


def resample(
    events: Floats, n: int, rng: np.random.Generator, weights: Floats | None = None
) -> Floats:
    """Choose `n` events; each as often as any other, but for the remainder, or by its weight.

    `weights` ``[event]`` are not negative.
    """
    if weights is not None:
        order = rng.permutation(len(events))
        by_weight: Floats = events[order[drawn_by_weight(weights[order], n)]]
        return by_weight
    rounds = -(-n // len(events))
    order = np.concatenate([rng.permutation(len(events)) for _ in range(rounds)])
    chosen: Floats = events[order[:n]]
    return chosen


def spacing(column: Floats) -> float:
    """Median distance of neighbouring values: one step of the label grid."""
    values = np.unique(column)
    return float(np.median(np.diff(values))) if len(values) > 1 else 1.0


def _generator(name: str, seed: int, label: Floats) -> np.random.Generator:
    digest = hashlib.sha256(np.ascontiguousarray(label, dtype="<f8").tobytes()).digest()
    return generator(name, seed, int.from_bytes(digest[:7], "little"))
