"""Filling a recipe: only the samples that are missing, on any executor.

Samples are made block by block and published shard by shard. A shard is a range of sample
numbers, so asking for more appends files and rewrites none, and an interrupted run goes on
where it stopped. Sample i is the same whoever makes it: results do not depend on workers,
on shards or on what was there before.
"""

from __future__ import annotations

from concurrent.futures import Executor

import xarray as xr

from presage.generate.reading import read_all, warn_if_source_changed
from presage.generate.samples import Spans, cut_at, every, plan, shard_samples, share, wanted
from presage.generate.tasks import Job, run
from presage.simulator import Reader, Source
from presage.store import Store

#: Workers that an executor is assumed to have when nothing else is said.
_WORKERS = 16


def simulate(
    source: Source,
    n: int | None = None,
    *,
    seed: int = 0,
    store: Store | None = None,
    workers: int = 1,
    executor: Executor | None = None,
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
        ``dask.distributed`` client; `workers` then says how many it has, if it is many.
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
        No room, the source is not deterministic, or its input files changed meanwhile.
    """
    store = store or Store()
    if isinstance(source, Reader):
        return read_all(source, n, store, progress)
    simulator, n = wanted(source, n, "simulate")
    job = Job(simulator, seed, str(store.root.resolve()), simulator.recipe(seed))
    _fill(job, store, plan(simulator, store.missing(job.recipe, n)), workers, executor, progress)
    return store.open(job.recipe, 0, n)


def simulate_shard(
    source: Source,
    n: int | None,
    shard: tuple[int, int],
    *,
    seed: int = 0,
    store: Store | None = None,
    workers: int = 1,
    executor: Executor | None = None,
    progress: bool = True,
) -> int:
    """Make one job's part of the first `n` samples; for array jobs without a scheduler.

    N jobs that are given the same `n` and (0, N) to (N - 1, N), at the same time or not,
    make all samples together; afterwards :func:`simulate` finds them and makes none.

    Parameters
    ----------
    source
        A simulator.
    n
        Number of samples that all jobs make together.
    shard
        ``(I, N)``: which of how many jobs this is, from 0.
    seed, store, workers, executor, progress
        As in :func:`simulate`.

    Returns
    -------
    int
        Samples made; those that were there before are not counted.

    Raises
    ------
    ValueError, LabelError, StoreError
        As in :func:`simulate`.
    """
    store = store or Store()
    simulator, n = wanted(source, n, "simulate")
    job = Job(simulator, seed, str(store.root.resolve()), simulator.recipe(seed))
    step = min(shard_samples(simulator), share(simulator, n, max(1, shard[1])))
    tasks = every(cut_at(store.missing(job.recipe, n), step), shard, step)
    return _fill(job, store, tasks, workers, executor, progress)


def _fill(
    job: Job, store: Store, tasks: Spans, workers: int, executor: Executor | None, progress: bool
) -> int:
    """Make and publish ranges of samples; return how many samples that were."""
    total = sum(stop - start for start, stop in tasks)
    if not tasks:
        store.entry(job.recipe).tidy()
        return 0
    if executor is not None or workers > 1:
        # Small enough that no worker waits long for the last one; an executor does not tell
        # how many workers it has.
        many = workers if workers > 1 else _WORKERS
        tasks = cut_at(tasks, min(shard_samples(job.source), share(job.source, total, 4 * many)))
    warn_if_source_changed(job.source, job.recipe, store)
    store.entry(job.recipe).prepare()
    run(job, tasks, workers, executor, progress)
    return total
