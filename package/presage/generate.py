"""Filling a recipe: only the samples that are missing, on any executor.

Samples are made block by block and published shard by shard. A shard is a fixed range of
sample numbers, so asking for more appends files and rewrites none, and an interrupted run
goes on where it stopped. Sample i is the same whoever makes it: results do not depend on
workers, on shards or on what was there before.
"""

from __future__ import annotations

import multiprocessing
import time
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import (
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from presage.labels import Array, Arrays, LabelError, Schema, check_arrays
from presage.lineage import flat_rows
from presage.recipe import Recipe
from presage.simulator import Reader, Simulator, Source
from presage.store import Rows, Store, StoreError, StoreWarning

#: Bytes of a shard, about.
SHARD_BYTES = 64 << 20
_MANY = 1 << 40


def simulate(
    source: Source,
    n: int | None = None,
    *,
    seed: int = 0,
    store: Store | None = None,
    workers: int = 1,
    executor: Executor | None = None,
    shard: tuple[int, int] | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Return the first `n` samples of a source, making only those the store lacks.

    Parameters
    ----------
    source
        A simulator, or a reader of users' files.
    n
        Number of samples; a reader gives all it has when None.
    seed
        Seed of the random numbers.
    store
        Where datasets live; ``Store()`` by default.
    workers
        Processes to start (spawned); 1 works in this process.
    executor
        Any ``concurrent.futures.Executor`` in place of own processes, for example that of a
        ``dask.distributed`` client.
    shard
        ``(I, N)``: make only every N-th shard, beginning with the I-th, for array jobs; the
        return value then holds what is there.
    progress
        Show a bar once it takes longer than two seconds.

    Returns
    -------
    xarray.Dataset
        Labelled and memory-mapped.

    Raises
    ------
    ValueError
        `n` is missing or below 1.
    LabelError
        The source returned something other than it declares.
    StoreError
        No room, or the source is not deterministic.
    """
    store = store or Store()
    if isinstance(source, Reader):
        return _read_all(source, n, store, progress)
    if not isinstance(source, Simulator):
        raise TypeError(f"simulate needs a Simulator or a Reader, got {type(source).__name__}")
    n = source.length if n is None else n
    if n is None or n < 1:
        raise ValueError(f"simulate needs a number of samples n of at least 1, got {n!r}")
    if source.length is not None and n > source.length:
        raise ValueError(
            f"{source.name} has {source.length} samples to work on, {n} were asked for"
        )
    recipe = source.recipe(seed)
    tasks = plan(source, store.missing(recipe, n))
    if shard is not None:
        tasks = _every(tasks, shard, shard_samples(source))
    if tasks:
        _warn_if_source_changed(source, recipe, store)
        store.entry(recipe).prepare()
        with _executor(workers, executor, len(tasks)) as pool:
            _run(source, seed, store, tasks, pool, progress)
    if shard is not None:
        return store.open(recipe, 0, None)
    return store.open(recipe, 0, n)


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


def make(source: Simulator, seed: int, start: int, stop: int) -> dict[str, Array]:
    """Return samples ``[start, stop)``: whole blocks are simulated, then cut to the range."""
    size = source.block_size
    out: dict[str, Array] | None = None
    pieces: list[dict[str, Array]] = []
    for index in range(start // size, -(-stop // size)):
        first = index * size
        low, high = max(start, first), min(stop, first + size)
        piece = _cut(source.block(seed, index), source.schema, low - first, high - first)
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


def verify(
    source: Source,
    n: int | None = None,
    *,
    seed: int = 0,
    store: Store | None = None,
    fraction: float = 0.01,
    choice: int = 0,
) -> int:
    """Simulate a random part of the stored samples again and compare.

    Bit for bit, or to the simulator's declared ``tolerance`` where it runs a network.

    Parameters
    ----------
    source
        What made them.
    n
        Look at the first `n` samples; all that are stored by default.
    seed
        Seed they were made with.
    store
        Where they are.
    fraction
        Share of the blocks to look at; at least one.
    choice
        Which random part.

    Returns
    -------
    int
        Number of samples compared.

    Raises
    ------
    StoreError
        A sample differs; the message names the first.
    """
    store = store or Store()
    recipe = source.recipe(seed)
    n = store.samples(recipe) if n is None else n
    if not isinstance(source, Simulator):
        return _verify_reader(source, store.open(recipe, 0, n))
    blocks = -(-n // source.block_size)
    count = min(blocks, max(1, round(fraction * blocks)))
    picked = np.sort(np.random.default_rng(choice).choice(blocks, count, replace=False))
    compared = 0
    for index in picked:
        start, stop = index * source.block_size, min(n, (index + 1) * source.block_size)
        fresh = make(source, seed, int(start), int(stop))
        stored = store.rows(recipe, int(start), int(stop))
        _compare(fresh, stored, recipe, int(start), source.tolerance)
        compared += int(stop - start)
    return compared


def repair(
    source: Source, n: int, *, seed: int = 0, store: Store | None = None, workers: int = 1
) -> xr.Dataset:
    """Hash every stored file again, put faulty ones aside, and make what is missing."""
    store = store or Store()
    recipe = source.recipe(seed)
    entry = store.entry(recipe)
    for path in entry.finished():
        problem = entry.problem(path, again=True)
        if problem:
            entry.quarantine(path, problem)
    return simulate(source, n, seed=seed, store=store, workers=workers)


def _cut(arrays: dict[str, Array], schema: Schema, low: int, high: int) -> dict[str, Array]:
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


def _every(
    tasks: list[tuple[int, int]], shard: tuple[int, int], step: int
) -> list[tuple[int, int]]:
    index, count = shard
    if not 0 <= index < count:
        raise ValueError(f"shard I/N needs 0 <= I < N, got {index}/{count}")
    return [task for task in tasks if (task[0] // step) % count == index]


def _task(source: Simulator, seed: int, root: str, start: int, stop: int) -> int:
    """Make and publish one shard; runs in a worker."""
    began = time.perf_counter()
    arrays = make(source, seed, start, stop)
    return _publish(source, seed, root, start, arrays, time.perf_counter() - began)


def _publish(
    source: Simulator, seed: int, root: str, start: int, arrays: dict[str, Array], seconds: float
) -> int:
    provenance = {"source": source.source_hash(), "seconds": seconds}
    Store(root).add(source.recipe(seed), source.schema, arrays, start, provenance)
    return _length(arrays, source.schema)


def _run(
    source: Simulator,
    seed: int,
    store: Store,
    tasks: list[tuple[int, int]],
    pool: Executor | None,
    progress: bool,
) -> None:
    total = sum(stop - start for start, stop in tasks)
    root = str(store.root.resolve())
    with tqdm(
        total=total, desc=source.name, unit_scale=True, delay=2.0, disable=not progress
    ) as bar:
        counts = (
            _run_here(source, seed, root, tasks)
            if pool is None
            else _run_there(source, seed, root, tasks, pool)
        )
        for count in counts:
            bar.update(count)


def _run_here(
    source: Simulator, seed: int, root: str, tasks: list[tuple[int, int]]
) -> Iterator[int]:
    """Make each shard while a thread still writes the one before."""
    with ThreadPoolExecutor(1) as writer:
        pending: Future[int] | None = None
        for start, stop in tasks:
            began = time.perf_counter()
            arrays = make(source, seed, start, stop)
            seconds = time.perf_counter() - began
            if pending is not None:
                yield pending.result()
            pending = writer.submit(_publish, source, seed, root, start, arrays, seconds)
        if pending is not None:
            yield pending.result()


def _run_there(
    source: Simulator, seed: int, root: str, tasks: list[tuple[int, int]], pool: Executor
) -> Iterator[int]:
    futures = [pool.submit(_task, source, seed, root, start, stop) for start, stop in tasks]
    try:
        for future in as_completed(futures):
            yield future.result()
    except BaseException:
        for future in futures:
            future.cancel()
        raise


@contextmanager
def _executor(workers: int, executor: Executor | None, tasks: int) -> Iterator[Executor | None]:
    if executor is not None:
        yield executor
    elif workers <= 1 or tasks <= 1:
        yield None
    else:
        # Spawned, not forked: a fork copies locks that other threads hold.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(workers, tasks), mp_context=context) as pool:
            yield pool


def _read_all(source: Reader, n: int | None, store: Store, progress: bool) -> xr.Dataset:
    """Publish a reader's chunks in order; what was published before is passed over."""
    recipe = source.recipe()
    total = store.finished(recipe)
    if total is None:
        _warn_if_source_changed(source, recipe, store)
        store.entry(recipe).prepare()
        total = _read_chunks(source, recipe, store, progress)
        store.finish(recipe, total)
    if total == 0:
        raise LabelError(f"{source.name} found no samples; loosen the cut or check the files")
    if n is not None and n > total:
        raise LabelError(f"{source.name} holds {total} samples, {n} were asked for")
    return store.open(recipe, 0, total if n is None else n)


def _read_chunks(source: Reader, recipe: Recipe, store: Store, progress: bool) -> int:
    position = 0
    there = _covered(store.missing(recipe, _MANY))
    with tqdm(desc=source.name, unit_scale=True, delay=2.0, disable=not progress) as bar:
        for arrays in _gather(source):
            count = _length(arrays, source.schema)
            checked = check_arrays(arrays, source.schema, count, source.name)
            for low, high in there(position, position + count):
                piece = _cut(checked, source.schema, low - position, high - position)
                provenance = {"source": source.source_hash()}
                store.add(recipe, source.schema, piece, low, provenance)
            position += count
            bar.update(count)
    return position


def _covered(missing: list[tuple[int, int]]) -> Any:
    """Return a function that gives the parts of a range which are still missing."""

    def parts(start: int, stop: int) -> list[tuple[int, int]]:
        cuts = [(max(start, low), min(stop, high)) for low, high in missing]
        return [(low, high) for low, high in cuts if low < high]

    return parts


def _length(arrays: Arrays, schema: Schema) -> int:
    name = next(n for n, (dims, _) in schema.stored().items() if dims[0] == schema.sample)
    return len(arrays[name])


def _gather(source: Reader) -> Iterator[dict[str, Array]]:
    """Join small chunks to shards of about `SHARD_BYTES`."""
    held: list[Arrays] = []
    size = 0
    for chunk in source.chunks():
        held.append(chunk)
        size += sum(np.asarray(a).nbytes for a in chunk.values())
        if size >= SHARD_BYTES:
            yield {name: np.concatenate([c[name] for c in held]) for name in held[0]}
            held, size = [], 0
    if held:
        yield {name: np.concatenate([c[name] for c in held]) for name in held[0]}


def _verify_reader(source: Source, stored: xr.Dataset) -> int:
    if not isinstance(source, Reader):
        raise TypeError(f"verify needs a Simulator or a Reader, got {type(source).__name__}")
    position = 0
    for chunk in source.chunks():
        count = _length(chunk, source.schema)
        for name, array in chunk.items():
            held = stored[name].isel({source.sample_dim: slice(position, position + count)})
            if not np.array_equal(held.values, np.asarray(array, held.dtype)):
                raise StoreError(f"{source.name}: {name!r} differs in samples from {position} on")
        position += count
    return position


def _compare(
    fresh: dict[str, Array], stored: Rows, recipe: Recipe, start: int, tolerance: float
) -> None:
    for name, array in fresh.items():
        held = np.concatenate([arrays[name] for _, _, arrays in stored.shards])
        if held.shape == array.shape and held.tobytes() == array.tobytes():
            continue
        first = f"a sample from {start} on"
        if held.shape == array.shape and name not in stored.ragged:
            differs = held != array
            if tolerance and array.dtype.kind == "f":
                differs = np.abs(held - array) > tolerance * np.abs(array).max()
            if not differs.any():
                continue
            first = f"sample {start + int(np.argmax(differs.reshape(len(held), -1).any(axis=1)))}"
        raise StoreError(
            f"{recipe.producer} ({recipe.key[:16]}): {name!r} of {first} is not what its recipe "
            "gives; remove the dataset and generate it again, and raise the simulator's version "
            "if its code was changed on purpose"
        )


def _warn_if_source_changed(source: Source, recipe: Recipe, store: Store) -> None:
    marks = store.entry(recipe).sidecars("shard-*.nc")
    before = {m.provenance.get("source") for m in marks} - {None, ""}
    if before and source.source_hash() not in before:
        warnings.warn(
            f"the code of {source.name} changed since its first samples were made, but its "
            f"version is still {source.version}; raise the version if results differ",
            StoreWarning,
            stacklevel=4,
        )
