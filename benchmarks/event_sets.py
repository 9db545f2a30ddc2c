"""Sets of events: made, read, trained on; in one process and in several; and how much they hold.

Four parts, each a benchmark of its own: ``event_sets.generation``, ``.epoch``,
``.processes`` and ``.memory``; ``event_sets`` runs them all.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.core import Result, paired, seconds, side_by_side
from benchmarks.generation import beside_floor
from presage.batches import Batches
from presage.generate import on_the_fly, simulate
from presage.generate.samples import shard_samples
from presage.models import SetEncoder
from presage.models.threads import one_thread
from presage.store import Store
from presage.studies.pdf.draws import Draws
from presage.studies.pdf.problem import Problem
from presage.studies.pdf.problems import problem

_SEED = 1
_EVENTS = 1000
#: Samples that are generated; of the epochs; of one theta after the other.
_MADE = {"small": 1_024, "full": 10_240}
_EPOCH = {"small": 256, "full": 1_024}
_SINGLE = {"small": 16, "full": 64}
_BATCH = 64
_ROUNDS = 3
_EPOCHS_OF = ("gaussian", "simplified_dis", "realistic_dis", "mceg")


# -- generation -----------------------------------------------------------------------------


def generation(size: str, folder: Path) -> list[Result]:
    """Time `simulate` beside drawing the same numbers and writing the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name in ("gaussian", "simplified_dis"):
        source = problem(name, n_events=_EVENTS)
        _, floor = beside_floor(source, _MADE[size], folder / name, rounds=_ROUNDS)
        found.append(replace(floor, name=f"event_sets/{name}: draw + write"))
    source = problem("mceg", n_events=_EVENTS)
    blocks = max(2, _MADE[size] // source.block_size // 4)
    with one_thread():
        source.block(_SEED, 0)  # works out what does not depend on theta
        began = time.process_time()
        for index in range(1, 1 + blocks):
            source.block(_SEED, index)
        each = (time.process_time() - began) / (blocks * source.block_size)
    note = f"{blocks * source.block_size} theta of {_EVENTS} events, one thread, processor time"
    return [
        *found,
        Result("event_sets/mceg theta", 1e3 * each, "ms", note=note),
        Result("event_sets/mceg events", _EVENTS / each, "1/s per core"),
    ]


# -- epochs ---------------------------------------------------------------------------------


def epoch(size: str, folder: Path) -> list[Result]:
    """Time an epoch of training from the cache, on the fly, and one theta at a time."""
    found = []
    for name in _EPOCHS_OF:
        found += _epochs(name, _EPOCH[size], _SINGLE[size], folder / name)
    return found


def _epochs(name: str, samples: int, single: int, folder: Path) -> list[Result]:
    source = problem(name, n_events=_EVENTS)
    stored = simulate(source, samples, seed=_SEED, store=Store(folder), progress=False)
    model = SetEncoder(hidden=(64, 64), resample="none")
    network = model.build(model.prepare(stored).declaration)
    cache = Batches(stored, _BATCH, shuffle="aligned")
    fly = Batches(on_the_fly(source, samples, seed=_SEED), _BATCH)
    numbers = itertools.count()

    def original() -> float:
        return samples / single * seconds(lambda: _train(network, _one_by_one(source, single)))

    def timed(batches: Batches, act: Callable[[Iterable[Any]], None]) -> float:
        return seconds(lambda: act(_tensors(batches, next(numbers))))

    with one_thread():
        times = side_by_side(
            {
                "read": lambda: timed(cache, _read),
                "make": lambda: timed(fly, _read),
                "cache": lambda: timed(cache, lambda b: _train(network, b)),
                "fly": lambda: timed(fly, lambda b: _train(network, b)),
                "original": original,
            },
            rounds=_ROUNDS,
        )
    middle = {what: statistics.median(t) for what, t in times.items()}
    shown = ", ".join(f"{what} {t:.2f} s" for what, t in middle.items())
    note = f"{samples} sets of {_EVENTS} events, batches of {_BATCH}: {shown}"
    bars = (2.0, 10.0) if name == "mceg" else (None, None)
    named = f"event_sets/{name} epoch"
    return [
        Result(f"{named}: on the fly / cache", paired(times["fly"], times["cache"]), "×", bars[0],
               note=note),
        Result(f"{named}: one theta at a time / cache", paired(times["original"], times["cache"]),
               "×", bars[1], note=f"measured with {single} theta"),
        Result(f"{named}: one theta at a time / on the fly",
               paired(times["original"], times["fly"]), "×"),
        Result(f"{named}: samples alone, on the fly / cache", paired(times["make"], times["read"]),
               "×", note="without a network"),
    ]  # fmt: skip


def _tensors(batches: Batches, number: int) -> Iterator[dict[str, torch.Tensor]]:
    for batch in batches.epoch(number):
        yield {name: torch.from_numpy(array) for name, array in batch.items()}


def _read(batches: Iterable[Any]) -> None:
    for batch in batches:
        batch["events"].sum()


def _train(network: Any, batches: Iterable[Any]) -> None:
    optimizer = torch.optim.Adam(network.parameters(), 1e-4)
    for batch in batches:
        optimizer.zero_grad()
        network.loss(batch).mean().backward()
        optimizer.step()


def _one_by_one(source: Problem, samples: int) -> Iterator[dict[str, torch.Tensor]]:
    """Simulate as the original did: in the training loop, one theta after the other."""
    draws = Draws(np.random.default_rng(_SEED))
    for _ in range(-(-samples // _BATCH)):
        thetas, sets = [], []
        for _ in range(min(_BATCH, samples)):
            theta = source.draw_theta(draws, 1)
            thetas.append(theta)
            with torch.no_grad():
                sets.append(source.events(theta, draws, 1, source.n_events).float())
        yield {"theta": torch.cat(thetas), "events": torch.cat(sets)}


# -- several processes ----------------------------------------------------------------------


def processes(size: str, folder: Path) -> list[Result]:
    """Time one and two processes that are there already, and the same tasks on dask."""
    source = problem("mceg", n_events=_EVENTS)
    samples = _MADE[size]
    numbers = itertools.count()

    def timed(executor: Executor, workers: int) -> float:
        store = Store(folder / str(next(numbers)))
        how: dict[str, Any] = {"executor": executor, "workers": workers, "progress": False}
        took = seconds(lambda: simulate(source, samples, seed=_SEED, store=store, **how))
        shutil.rmtree(store.root, ignore_errors=True)
        return took

    with _pool(1) as one, _pool(2) as two, _dask() as dask:
        contenders = {"one": lambda: timed(one, 4), "two": lambda: timed(two, 4)}
        if dask is not None:
            contenders["dask"] = lambda: timed(dask, 4)
        times = side_by_side(contenders, rounds=_ROUNDS)
    middle = {what: statistics.median(t) for what, t in times.items()}
    note = f"mceg, {samples} sets of {_EVENTS} events; processes started before"
    speed = Result("event_sets/two processes", paired(times["one"], times["two"]), "×", 1.8,
                   note=f"{note}: {middle['one']:.2f} s, {middle['two']:.2f} s")  # fmt: skip
    name = "event_sets/dask overhead of a shard"
    if dask is None:
        return [speed, Result(name, None, "%", 5, most=True, note="needs distributed")]
    tasks = -(-samples // (source.block_size * max(1, samples // (16 * source.block_size))))
    more = statistics.median(d - o for d, o in zip(times["dask"], times["one"], strict=True))
    shard = shard_samples(source) * middle["one"] / samples
    share = 100 * more / tasks / shard
    note = (
        f"one worker of dask for one of a pool: {1e3 * more / tasks:.1f} ms more for each of "
        f"{tasks} tasks, of a shard of 64 MB that takes {shard:.2f} s"
    )
    return [speed, Result(name, share, "%", 5, most=True, note=note)]


@contextmanager
def _pool(workers: int) -> Iterator[Executor]:
    """Give processes that have imported everything."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _warm) as pool:
        list(pool.map(_idle, [0.5] * workers))
        yield pool


def _warm() -> None:
    torch.set_num_threads(1)
    problem("mceg", n_events=10).block(0, 0)


def _idle(duration: float) -> None:
    time.sleep(duration)


@contextmanager
def _dask() -> Iterator[Executor | None]:
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        yield None
        return
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    cluster_of: Any = LocalCluster
    client_of: Any = Client
    with cluster_of(**options) as cluster, client_of(cluster) as client:
        client.run(_warm)
        yield client.get_executor()


# -- memory ---------------------------------------------------------------------------------

_CHILD = r"""
import json, resource, sys
sys.path[:0] = json.loads(sys.argv[2])
import numpy, torch
from presage.batches import Batches
from presage.generate import on_the_fly
from presage.models import SetEncoder
from presage.studies.pdf.gaussian import Gaussian

what, sets = sys.argv[1], int(sys.argv[3])
data = on_the_fly(Gaussian(n_events=100_000), sets)
model = SetEncoder(hidden=(64, 64))
network = model.build(model.prepare(data.isel(sample=slice(0, 1))).declaration)
if what == "one":
    with torch.no_grad():
        network.encode(torch.from_numpy(data["events"][0].values))
elif what == "features":
    with torch.no_grad():
        for batch in Batches(data, 16).torch():
            network.encode(batch["events"])
else:
    optimizer = torch.optim.Adam(network.parameters())
    for batch in Batches(data, 4).torch():
        network.loss(batch).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def memory(size: str, _: Path) -> list[Result]:
    """Measure the peak of processes of their own, imports included."""
    sets = {"small": 16, "full": 256}[size]
    labels = {
        "one": "encoding one set of 1e5 events",
        "features": f"features of {sets} such sets, on the fly, batches of 16",
        "train": f"a training epoch of {sets} such sets, on the fly, batches of 4",
    }
    found = []
    for what, label in labels.items():
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, what, json.dumps(sys.path), str(sets)],
            check=True, capture_output=True, text=True, encoding="utf-8"
        )  # fmt: skip
        peak = int(done.stdout) / 1e9
        found.append(Result(f"event_sets/{label}", peak, "GB", 4, most=True))
    return found
