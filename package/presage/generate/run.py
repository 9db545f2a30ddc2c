"""Filling a recipe: only the samples that are missing, on any executor.

Samples are made block by block and published shard by shard. A shard is a fixed range of
sample numbers, so asking for more appends files and rewrites none, and an interrupted run
goes on where it stopped. Sample i is the same whoever makes it: results do not depend on
workers, on shards or on what was there before.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import (
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from contextlib import contextmanager

import xarray as xr
from tqdm.auto import tqdm

from presage.generate.reading import read_all
from presage.generate.samples import every, length, make, plan, shard_samples
from presage.generate.versions import warn_if_source_changed
from presage.labels import Array
from presage.simulator import Reader, Simulator, Source
from presage.store import Store


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
        return read_all(source, n, store, progress)
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
        tasks = every(tasks, shard, shard_samples(source))
    if tasks:
        warn_if_source_changed(source, recipe, store)
        store.entry(recipe).prepare()
        with _executor(workers, executor, len(tasks)) as pool:
            _run(source, seed, store, tasks, pool, progress)
    else:
        store.entry(recipe).tidy()
    if shard is not None:
        return store.open(recipe, 0, None)
    return store.open(recipe, 0, n)


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
    return length(arrays, source.schema)


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
