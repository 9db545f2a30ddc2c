"""Samples of any range, cut out of whole blocks, and the plan of what is made where."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from presage.labels import Array, LabelError, Schema
from presage.simulator import Simulator, Source
from presage.store.lazy import cut_samples

#: Bytes of a shard, about.
SHARD_BYTES = 64 << 20
#: Seconds of simulation after which a smaller shard is published, to lose little if killed.
SHARD_SECONDS = 30.0
#: Length of a dimension that nothing is known of.
_USUAL = 64

Spans = list[tuple[int, int]]


@dataclass(frozen=True)
class Portion:
    """Samples from `start` on that are published as one shard, and the seconds they took."""

    start: int
    arrays: dict[str, Array]
    seconds: float


def wanted(source: Source, n: int | None, what: str) -> tuple[Simulator, int]:
    """Return the simulator, and how many samples `what` is to make of it."""
    if not isinstance(source, Simulator):
        kind = f"the class {source.__name__}" if isinstance(source, type) else type(source).__name__
        raise TypeError(f"{what} needs a Simulator with its settings, as Resonance(), got {kind}")
    n = source.length if n is None else n
    if not isinstance(n, (int, np.integer)) or n < 1:
        raise LabelError(f"{what} needs a number of samples n of at least 1, got {n!r}")
    if source.length is not None and n > source.length:
        raise LabelError(
            f"{source.name} has {source.length} samples to work on, {n} were asked for"
        )
    return source, n


def shard_samples(source: Simulator) -> int:
    """Return how many samples a full shard holds: whole blocks, about `SHARD_BYTES`."""
    size = 0
    sizes = {**source.lengths, **source.schema.sizes()}
    for variable in source.schema.variables:
        values = int(np.prod([sizes.get(d, _USUAL) for d in variable.dims], dtype=np.int64))
        size += np.dtype(variable.dtype).itemsize * values
    return max(1, SHARD_BYTES // max(1, size * source.block_size)) * source.block_size


def plan(source: Simulator, missing: Iterable[tuple[int, int]]) -> Spans:
    """Cut the missing ranges at the edges of shards."""
    return cut_at(missing, shard_samples(source))


def cut_at(spans: Iterable[tuple[int, int]], step: int) -> Spans:
    """Cut ranges at the multiples of `step`."""
    tasks = []
    for start, stop in spans:
        edges = [start, *range((start // step + 1) * step, stop, step), stop]
        tasks += list(pairwise(edges))
    return tasks


def share(source: Simulator, samples: int, parts: int) -> int:
    """Return the step, in whole blocks, that cuts `samples` into at most about `parts`."""
    return source.block_size * max(1, -(-samples // (parts * source.block_size)))


def every(tasks: Spans, shard: tuple[int, int], step: int) -> Spans:
    """Return the tasks of job I out of N; they are told apart by the number of their step."""
    index, count = shard
    if not 0 <= index < count:
        raise ValueError(f"shard I/N needs 0 <= I < N, got {index}/{count}")
    return [task for task in tasks if (task[0] // step) % count == index]


def make(source: Simulator, seed: int, start: int, stop: int) -> dict[str, Array]:
    """Return samples ``[start, stop)``: whole blocks are simulated, then cut to the range."""
    return join(list(blocks(source, seed, start, stop)), source)


def portions(
    source: Simulator,
    seed: int,
    start: int,
    stop: int,
    advance: Callable[[int], object],
    threads: int = 1,
) -> Iterator[Portion]:
    """Make samples ``[start, stop)``, to be published as soon as it is worth a file.

    `advance` is called with the number of samples after each block; so many `threads` make blocks
    side by side, where the simulator allows it.
    """
    held: list[dict[str, Array]] = []
    size, first, position, began = 0, start, start, time.perf_counter()
    for piece in blocks(source, seed, start, stop, threads):
        held.append(piece)
        size += sum(array.nbytes for array in piece.values())
        made = source.schema.samples_in(piece)
        position += made
        advance(made)
        seconds = time.perf_counter() - began
        if size >= SHARD_BYTES or seconds >= SHARD_SECONDS or position == stop:
            portion = Portion(first, join(held, source), seconds)
            held, size = [], 0  # before the next is begun: a shard is in memory once
            yield portion
            first, began = position, time.perf_counter()


def blocks(
    source: Simulator, seed: int, start: int, stop: int, threads: int = 1
) -> Iterator[dict[str, Array]]:
    """Simulate the blocks of ``[start, stop)`` in order, each cut to the range."""
    size = source.block_size

    def block(index: int) -> dict[str, Array]:
        first = index * size
        low, high = max(start, first), min(stop, first + size)
        return cut(source.block(seed, index), source.schema, low - first, high - first)

    indices = range(start // size, -(-stop // size))
    if threads == 1 or not source.thread_safe or len(indices) == 1:
        yield from map(block, indices)
        return
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Future[dict[str, Array]]] = deque()
        for index in indices:
            ahead.append(pool.submit(block, index))
            if len(ahead) > 2 * threads:  # bounded: no more in memory than are waited for
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def join(pieces: list[dict[str, Array]], source: Simulator) -> dict[str, Array]:
    """Put blocks one after the other."""
    if len(pieces) == 1:
        return pieces[0]
    for name, (dims, _) in source.schema.stored().items():
        shapes = sorted({piece[name].shape[1:] for piece in pieces})
        if len(shapes) > 1:
            raise LabelError(
                f"{source.name}: {name!r} is {shapes[0]} along {dims[1:]} in one block and "
                f"{shapes[-1]} in another; a length that differs is named in ragged"
            )
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def cut(arrays: dict[str, Array], schema: Schema, low: int, high: int) -> dict[str, Array]:
    """Return samples ``[low, high)`` of a block, flat ragged arrays included."""
    if low == 0 and high == schema.samples_in(arrays):
        return arrays
    first = {name: dims[0] for name, (dims, _) in schema.stored().items()}
    ragged = {name: dim for name, dim in first.items() if dim != schema.sample}
    return cut_samples({name: arrays[name] for name in first}, ragged, low, high)
