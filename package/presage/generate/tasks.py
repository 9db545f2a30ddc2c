"""Making and publishing ranges of samples, in this process or by an executor."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import (
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from contextlib import contextmanager
from dataclasses import dataclass

from tqdm import tqdm

from presage.generate.samples import Portion, Spans, portions
from presage.recipe import Recipe
from presage.simulator import Simulator
from presage.store import Store, StoreError


@dataclass(frozen=True)
class Job:
    """What is made, where it goes, and the recipe that was meant at the start."""

    source: Simulator
    seed: int
    root: str
    recipe: Recipe

    def publish(self, portion: Portion) -> None:
        """Publish samples, if their recipe still is what it was when work began.

        Raises
        ------
        StoreError
            It is another: a file whose content counts was edited meanwhile.
        """
        source = self.source
        if source.recipe(self.seed) != self.recipe:
            raise StoreError(
                f"what {source.name} is made from was changed while it ran, so samples from "
                f"{portion.start} on fit neither the old recipe ({self.recipe.key[:16]}) nor the "
                "new one, and were not kept; run again, and leave its input files as they are"
            )
        provenance = {"source": source.source_hash(), "seconds": portion.seconds}
        store = Store(self.root)
        store.add(self.recipe, source.schema, portion.arrays, portion.start, provenance)


def run(job: Job, tasks: Spans, workers: int, executor: Executor | None, progress: bool) -> None:
    """Make and publish ranges of samples, with a progress bar."""
    total = sum(stop - start for start, stop in tasks)
    with (
        _executor(workers, executor, len(tasks)) as pool,
        tqdm(
            total=total, desc=job.source.name, unit_scale=True, delay=2.0, disable=not progress
        ) as bar,
    ):
        if pool is None:
            _run_here(job, tasks, bar.update)
        else:
            _run_there(job, tasks, pool, bar.update)


def _run_here(job: Job, tasks: Spans, advance: Callable[[int], object]) -> None:
    """Make each shard while a thread still writes the one before."""
    with ThreadPoolExecutor(1) as writer:
        pending: Future[None] | None = None
        for start, stop in tasks:
            for portion in portions(job.source, job.seed, start, stop, advance):
                if pending is not None:
                    pending.result()
                pending = writer.submit(job.publish, portion)
        if pending is not None:
            pending.result()


def _run_there(job: Job, tasks: Spans, pool: Executor, advance: Callable[[int], object]) -> None:
    futures = [pool.submit(_task, job, start, stop) for start, stop in tasks]
    try:
        for future in as_completed(futures):
            advance(future.result())
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def _task(job: Job, start: int, stop: int) -> int:
    """Make and publish samples ``[start, stop)``; runs in a worker."""
    for portion in portions(job.source, job.seed, start, stop, _silent):
        job.publish(portion)
    return stop - start


def _silent(samples: int) -> None:
    """Show nothing."""


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
