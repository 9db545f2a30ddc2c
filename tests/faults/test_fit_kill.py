"""Training in a process that is killed without warning, again and again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import fit_toys
from presage.fitting import fit, load
from presage.store import Store

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"epochs": 4, "batch_size": 16, "ema": 0.9, "keep": "best", "progress": False}
TOY = fit_toys.Toy(dropout=0.2)

PROGRAM = """
import sys, time
sys.path[:0] = [{package!r}, {tests!r}]
import fit_toys
from presage.fitting import fit
from presage.store import Store
from test_kill_settings import SETTINGS, TOY

class Slow(fit_toys.Network):
    def loss(self, batch):
        time.sleep(0.005 if self.training else 0.0)
        return super().loss(batch)

class SlowToy(fit_toys.Toy):
    network = Slow

store = Store({store!r})
print("ready", flush=True)
train = fit_toys.stored(store)
fit(SlowToy(dropout=TOY.dropout), train, store=store, checkpoint_every=1, **SETTINGS)
print("done", flush=True)
"""


def program(store: Store) -> str:
    text = PROGRAM.format(
        package=str(ROOT / "package"), tests=str(ROOT / "tests"), store=str(store.root)
    )
    values = f"SETTINGS, TOY = {SETTINGS!r}, fit_toys.{TOY!r}"
    return text.replace("from test_kill_settings import SETTINGS, TOY", values)


def start(store: Store) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program(store)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def checkpoints(store: Store) -> list[Path]:
    return sorted(store.root.glob("fit-toy/*/work/epoch-*.pt"))


def kill_after_some_steps(store: Store) -> bool:
    """Kill a run once it has got further than it was; return False when it finished first."""
    before = {p.name for p in checkpoints(store)}
    process = start(store)
    try:
        deadline = time.monotonic() + 600
        while process.poll() is None and time.monotonic() < deadline:
            if len({p.name for p in checkpoints(store)} - before) > 0:
                time.sleep(0.03)
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.002)
        return process.wait(timeout=600) == -signal.SIGKILL
    finally:
        process.kill()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.slow
def test_killed_twice_ends_with_the_same_bits(tmp_path):
    whole_store, store = Store(tmp_path / "whole"), Store(tmp_path / "parts")
    whole = fit(TOY, fit_toys.stored(whole_store), store=whole_store, **SETTINGS)
    fit_toys.stored(store)
    assert [kill_after_some_steps(store) for _ in range(2)] == [True, True]
    assert checkpoints(store), "a whole checkpoint is left"
    finished = fit(TOY, fit_toys.stored(store), store=store, **SETTINGS)
    assert finished.key == whole.key
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, finished.network.state_dict()[name]), name
    np.testing.assert_array_equal(finished.history.loss, whole.history.loss)
    again = load(whole.key, store, models={"toy": fit_toys.Toy})
    np.testing.assert_array_equal(again.history.validation_loss, whole.history.validation_loss)
