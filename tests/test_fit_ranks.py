"""Training by two processes of torchrun: the same steps, shared."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import fit_toys
from presage.fit import fit
from presage.store import Store

ROOT = Path(__file__).resolve().parents[1]
#: The last batch has one sample, so that one process has none of it.
SETTINGS = {
    "epochs": 2,
    "batch_size": 63,
    "precision": "64-true",
    "ema": 0.9,
    "keep": "best",
    "clip": 1.0,
    "accumulate": 2,
    "progress": False,
}

PROGRAM = f"""
import os, sys
sys.path[:0] = [{str(ROOT / "package")!r}, {str(ROOT / "tests")!r}]
import fit_toys, torch
from presage.fit import fit
from presage.store import Store

class Fragile(fit_toys.Network):
    left = 5
    def loss(self, batch):
        if self.training:
            Fragile.left -= 1
            if Fragile.left == 0:
                raise KeyboardInterrupt
        return super().loss(batch)

class FragileToy(fit_toys.Toy):
    network = Fragile

def run(name, spec):
    store = Store(sys.argv[1] + "/" + name)
    return fit(spec, fit_toys.stored(store), store=store, checkpoint_every=1, **{SETTINGS!r})

plain = run("plain", fit_toys.Toy())
whole = run("whole", fit_toys.Toy(dropout=0.3))
try:
    run("parts", FragileToy(dropout=0.3))
    raise SystemExit("it was not stopped")
except KeyboardInterrupt:
    pass
parts = run("parts", fit_toys.Toy(dropout=0.3))
for name, tensor in whole.network.state_dict().items():
    if not torch.equal(tensor, parts.network.state_dict()[name]):
        raise SystemExit(name + " differs after resuming")
if list(whole.history.loss.values) != list(parts.history.loss.values):
    raise SystemExit("the history differs after resuming")
losses = {{"loss": torch.tensor(plain.history.loss.values)}}
torch.save({{**plain.network.state_dict(), **losses}}, sys.argv[1] + "/" + os.environ["RANK"])
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):
    alone = fit(fit_toys.Toy(), fit_toys.dataset(), **SETTINGS)
    expected = {**alone.network.state_dict(), "loss": torch.tensor(alone.history.loss.values)}
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [sys.executable, *command, str(program), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for rank in "01":
        together = torch.load(tmp_path / rank, weights_only=True)
        for name, tensor in expected.items():
            torch.testing.assert_close(together[name], tensor, rtol=1e-9, atol=1e-12, msg=name)
    stored = Store(tmp_path / "plain")
    assert [e.state for e in stored.list()] == ["complete", "complete"]
