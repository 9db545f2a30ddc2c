"""Samples of any range, cut out of whole blocks, and the plan of shards to publish."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from presage.labels import Array, Arrays, Schema
from presage.lineage import flat_rows
from presage.simulator import Simulator

#: Bytes of a shard, about.
SHARD_BYTES = 64 << 20


def shard_samples(source: Simulator) -> int:
    """Return how many samples a full shard holds: whole blocks, about `SHARD_BYTES`."""
    size = 0
    sizes = source.schema.sizes()
    for variable in source.schema.variables:
        values = int(np.prod([sizes.get(d, 64) for d in variable.dims], dtype=np.int64))
        size += np.dtype(variable.dtype).itemsize * values
    return max(1, SHARD_BYTES // max(1, size * source.block_size)) * source.block_size


def plan(source: Simulator, missing: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Cut the missing ranges at the edges of shards."""
    step = shard_samples(source)
    tasks = []
    for start, stop in missing:
        edges = [start, *range((start // step + 1) * step, stop, step), stop]
        tasks += list(pairwise(edges))
    return tasks


def every(tasks: list[tuple[int, int]], shard: tuple[int, int], step: int) -> list[tuple[int, int]]:
    """Return the tasks of job I out of N; they are told apart by the number of their shard."""
    index, count = shard
    if not 0 <= index < count:
        raise ValueError(f"shard I/N needs 0 <= I < N, got {index}/{count}")
    return [task for task in tasks if (task[0] // step) % count == index]


def make(source: Simulator, seed: int, start: int, stop: int) -> dict[str, Array]:
    """Return samples ``[start, stop)``: whole blocks are simulated, then cut to the range."""
    size = source.block_size
    out: dict[str, Array] | None = None
    pieces: list[dict[str, Array]] = []
    for index in range(start // size, -(-stop // size)):
        first = index * size
        low, high = max(start, first), min(stop, first + size)
        piece = cut(source.block(seed, index), source.schema, low - first, high - first)
        if source.ragged:
            pieces.append(piece)
            continue
        if out is None:
            out = {n: np.empty((stop - start, *a.shape[1:]), a.dtype) for n, a in piece.items()}
        for name, array in piece.items():
            out[name][low - start : high - start] = array
    if out is not None:
        return out
    return {name: np.concatenate([p[name] for p in pieces]) for name in pieces[0]}


def cut(arrays: dict[str, Array], schema: Schema, low: int, high: int) -> dict[str, Array]:
    """Return samples ``[low, high)`` of a block, flat ragged arrays included."""
    flat: dict[str, Any] = {}
    for dim in schema.ragged:
        counts = np.asarray(arrays[f"{dim}_count"])
        starts = np.cumsum(counts) - counts
        flat[dim] = flat_rows(starts[low:high], counts[low:high])
    cut = {}
    for name, (dims, _) in schema.stored().items():
        cut[name] = arrays[name][flat[dims[0]]] if dims[0] in flat else arrays[name][low:high]
    return cut


def length(arrays: Arrays, schema: Schema) -> int:
    """Return how many samples a block of arrays holds."""
    name = next(n for n, (dims, _) in schema.stored().items() if dims[0] == schema.sample)
    return len(arrays[name])
