"""Making and publishing ranges of samples, in this process or by an executor."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread, current_thread, main_thread
from typing import Any

from presage.generate.samples import Portion, Spans, portions
from presage.progress import Bar
from presage.recipe import Recipe
from presage.simulator import Simulator
from presage.store import Store, StoreError

_STOP = 1


@dataclass(frozen=True)
class Job:
    """What is made, where it goes, and the recipe that was meant at the start."""

    source: Simulator
    seed: int
    root: str
    recipe: Recipe

    def publish(self, portion: Portion) -> None:
        """Publish samples, if their recipe still is what it was when work began."""
        source = self.source
        if source.recipe(self.seed) != self.recipe:
            raise StoreError(
                f"what {source.name} is made from was changed while it ran, so samples from "
                f"{portion.start} on fit neither the old recipe ({self.recipe.key[:16]}) nor the "
                "new one, and were not kept; run again, and leave its input files as they are"
            )
        provenance = {"source": source.source_hash(), "seconds": portion.seconds}
        store = Store(self.root)
        store.add(
            self.recipe,
            source.schema,
            portion.arrays,
            portion.start,
            provenance,
            tolerance=source.tolerance,
            noise=source.noise,
        )


def run(job: Job, tasks: Spans, workers: int, executor: Executor | None, progress: bool) -> None:
    """Make and publish ranges of samples, with a progress bar."""
    total = sum(stop - start for start, stop in tasks)
    made = multiprocessing.get_context("spawn").RawArray("q", len(tasks) + 1)
    with (
        _executor(workers, executor, made) as pool,
        Bar(total=total, desc=job.source.name, unit_scale=True, disable=not progress) as bar,
    ):
        if pool is None:
            _run_here(job, tasks, bar.update)
        else:
            _run_there(job, tasks, pool, made, bar.update)


def _run_here(job: Job, tasks: Spans, advance: Callable[[int], object]) -> None:
    """Make each shard while a thread still writes the one before."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    with ThreadPoolExecutor(1) as writer:
        pending: Future[None] | None = None
        for start, stop in tasks:
            for portion in portions(job.source, job.seed, start, stop, advance, threads):
                if pending is not None:
                    pending.result()
                pending = writer.submit(job.publish, portion)
        if pending is not None:
            pending.result()


def _run_there(
    job: Job, tasks: Spans, pool: Executor, made: Any, advance: Callable[[int], object]
) -> None:
    """Wait for all tasks; `made` says how far each one is, where it shares memory with us."""
    waiting = {pool.submit(_task, job, number, *span) for number, span in enumerate(tasks)}
    shown = finished = 0
    try:
        while waiting:
            done, waiting = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
            finished += sum(future.result() for future in done)
            now = max(shown, finished, sum(made[:-1]))
            advance(now - shown)
            shown = now
    except BaseException as error:
        for future in waiting:
            future.cancel()
        made[-1] = _STOP
        # The second is dask's, which need not be installed.
        if isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker":
            raise StoreError(
                f"a worker process of {job.source.name} was killed, for want of memory perhaps; "
                "what is published stays: run again, with fewer workers"
            ) from error
        raise


#: In a worker of ours: how many samples each task has made; the last place tells it to stop.
_made: Any = None


def _begin(made: Any) -> None:
    """Remember in a new worker where to tell how far it is; workers do not share cores."""
    global _made
    _made = made
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: the parent decides
    Thread(target=_end_with_parent, daemon=True).start()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for libraries that are not loaded yet
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


def _end_with_parent() -> None:
    """Wait in a worker's thread for its parent's end, killed or not, and end at once too."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _task(job: Job, number: int, start: int, stop: int) -> int:
    """Make and publish samples ``[start, stop)``; runs in a worker."""

    def advance(samples: int) -> None:
        if _made is not None:
            if _made[-1] == _STOP:
                raise InterruptedError("told to stop")
            _made[number] += samples  # a slot for each task: no lock, which a kill would keep

    for portion in portions(job.source, job.seed, start, stop, advance):
        job.publish(portion)
    return stop - start


@contextmanager
def _executor(workers: int, executor: Executor | None, made: Any) -> Iterator[Executor | None]:
    if executor is not None:
        yield executor
    elif workers <= 1 or len(made) <= 2:
        yield None
    else:
        # Spawned, not forked: a fork copies locks that other threads hold.
        context = multiprocessing.get_context("spawn")
        many = min(workers, len(made) - 1)
        with _ended_by_hand(made), ProcessPoolExecutor(many, context, _begin, (made,)) as pool:
            yield pool


@contextmanager
def _ended_by_hand(made: Any) -> Iterator[None]:
    """Let Ctrl-C stop the work once, and only then wait for the workers; a second one kills them.

    A pool whose end is interrupted does not know its workers any more, and the program that
    waits for them hangs.
    """
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not ours or current_thread() is not main_thread():
        yield
        return
    others = {*multiprocessing.active_children()}

    def end(*_: Any) -> None:
        if made[-1] != _STOP:
            made[-1] = _STOP
            raise KeyboardInterrupt
        for worker in {*multiprocessing.active_children()} - others:
            worker.kill()

    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
