"""Where what was gathered at once is cut into batches, and ragged variables given a mask."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from presage.batches.shares import Share
from presage.labels import Array


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
