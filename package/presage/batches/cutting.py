"""From the plan's shares to batches: what is gathered at once, and where it is cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from presage.batches.epoch import Epoch
from presage.batches.rows import Rows
from presage.batches.shares import Share
from presage.batches.tables import Pool
from presage.labels import Array

_PLAN_STEPS = 64  # steps that are looked up in the plan at once


def filler(rows: Rows) -> Callable[[Share, Pool], tuple[Share, dict[str, Array]]]:
    """Return what the reading thread does; it must not refer back to its reader."""
    return lambda share, pool: (share, rows.gather(share.positions, pool, share))


def shares(
    rows: Rows, epoch: Epoch, steps: range, ranks: tuple[int, int], ahead: bool
) -> Iterator[Share]:
    """Yield what is gathered at once, and let the kernel read what comes later."""
    many = steps.step * max(1, _PLAN_STEPS // steps.step) if steps.step > 1 else 1
    for first in range(steps.start, steps.stop, many):
        count = min(many, steps.stop - first)
        for run in epoch.runs(first, count) if ahead else ():
            rows.read_ahead(*run)
        yield from epoch.share(first, count, *ranks).split(steps.step)


def cuts(
    share: Share, arrays: Mapping[str, Array], flat: Mapping[str, str]
) -> dict[str, list[int]]:
    """Return where each batch begins in each array, and where the last one ends."""
    along: dict[str, list[int]] = {}
    for dim in set(flat.values()):
        upto = np.concatenate([[0], np.cumsum(arrays[f"{dim}_count"], dtype=np.int64)])
        along[dim] = upto[share.ends].tolist()
    return {name: along[flat[name]] if name in flat else share.ends for name in arrays}


def padded(arrays: Mapping[str, Array], flat: Mapping[str, str]) -> dict[str, Array]:
    """Give flat ragged variables, name → dimension, a rectangle, with a mask of what is there.

    The arrays hold ``<dim>_count`` for every ragged dimension.
    """
    out = dict(arrays)
    for dim in dict.fromkeys(flat.values()):
        counts = arrays[f"{dim}_count"]
        longest = int(counts.max()) if len(counts) else 0
        mask = np.arange(longest) < counts[:, np.newaxis]
        out[f"{dim}_mask"] = mask
        for name in (n for n, d in flat.items() if d == dim):
            values = arrays[name]
            out[name] = np.zeros((*mask.shape, *values.shape[1:]), values.dtype)
            out[name][mask] = values
    return out
