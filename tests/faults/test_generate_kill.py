"""Generation in processes that are killed without warning, again and again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from faults import toys
from faults.killing import GENERATE, kill_after, start
from faults.test_killed import until
from presage.generate import samples, simulate, verify
from presage.store import Store, StoreError, files
from test_locks import HOLD

N = 400
SLOW = toys.Waves(delay=0.01)


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "SHARD_BYTES", 1)


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    return toys.truth(SLOW, N)


def program(store: Store, workers: int = 1) -> str:
    return GENERATE.format(delay=SLOW.delay, n=N, root=str(store.root), workers=workers)


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_random_moments_ends_with_the_same_bits(
    workers: int, tmp_path: Path, expected: dict[str, np.ndarray]
) -> None:
    store = Store(tmp_path / "store")
    rng = np.random.default_rng(workers)
    killed, reached = 0, 0
    for _ in range(2):
        killed += kill_after(program(store, workers), float(rng.uniform(0.2, 1.2)))
        there = Store(store.root).samples(SLOW.recipe())
        assert there >= reached, "what was published stays"
        reached = there
        if there:
            cut = {name: array[:there] for name, array in expected.items()}
            assert toys.same(Store(store.root).open(SLOW.recipe()), cut)
    assert killed
    made = simulate(SLOW, N, store=store, progress=False)
    assert toys.same(made, expected)
    assert toys.leftovers(store) == []
    assert Store(store.root).check(SLOW.recipe()) == []


def test_two_runs_at_once_make_one_dataset(tmp_path: Path, expected: dict[str, np.ndarray]) -> None:
    store = Store(tmp_path / "store")
    runs = [start(program(store)) for _ in range(2)]
    for run in runs:
        out, _ = run.communicate(timeout=600)
        assert run.returncode == 0
        assert out.split() == ["ready", "done"]
    assert toys.same(store.open(SLOW.recipe()), expected)
    assert verify(SLOW, store=store, fraction=0.1) > 0
    assert toys.leftovers(store) == []
    shards = list(store.entry(SLOW.recipe()).folder.glob("shard-*.nc"))
    assert len(shards) == N // SLOW.block_size


def test_a_simulator_that_fails_leaves_what_was_made_before(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    with pytest.raises(RuntimeError, match="the detector is off"):
        simulate(Failing(), 40, store=store, progress=False)
    there = store.samples(Failing().recipe())
    assert there in (8, 16)
    assert toys.leftovers(store) == []


class Failing(toys.Waves):
    """Fails in its third block."""

    def block(self, seed: int, index: int) -> dict[str, np.ndarray]:
        if index == 2:
            raise RuntimeError("the detector is off")
        return super().block(seed, index)


class Killed(toys.Waves):
    """Its fourth block is too large for the memory of the machine."""

    def block(self, seed: int, index: int) -> dict[str, np.ndarray]:
        if index == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().block(seed, index)


def test_a_worker_that_is_killed_is_a_sentence(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    with pytest.raises(StoreError, match=r"fault-waves was killed.*with fewer workers"):
        simulate(Killed(), 40, store=store, workers=2, progress=False)
    assert store.missing(Killed().recipe(), 40)
    store.entry(Killed().recipe()).prepare()  # which clears what its siblings were at
    assert toys.leftovers(store) == []


def test_what_a_process_left_that_ended_and_nobody_waited_for_is_cleared(tmp_path: Path) -> None:
    left = tmp_path / f".file.{files._host()}@01234567.tmp"
    words = [sys.executable, "-c", HOLD, str(left)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as ended:
        assert ended.stdout is not None
        ended.stdout.readline()
        files.sweep(tmp_path)
        assert left.exists()
        ended.kill()
        assert until(lambda: files.sweep(tmp_path) or not left.exists())
