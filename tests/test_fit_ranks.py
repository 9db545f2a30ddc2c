"""Training by several processes of torchrun: the same steps, shared."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import fit_toys
import fly_toys
import source_toys
from presage.fitting import fit
from presage.generate import on_the_fly
from presage.models import SetEncoder
from presage.store import Store
from presage.studies.pdf.gaussian import Gaussian

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
import fit_toys, source_toys, torch
from presage.fitting import fit
from presage.store import Store

FragileToy = fit_toys.fragile(fit_toys.Toy)
FragileToy.network.left = 5

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
skies = source_toys.skies(Store(sys.argv[1] + "/skies"), samples=200)
pairs = fit(source_toys.Restorer(), skies, loss=source_toys.absolute, **{SETTINGS!r})
losses = {{"loss": torch.tensor(plain.history.loss.values), **pairs.network.state_dict()}}
torch.save({{**plain.network.state_dict(), **losses}}, sys.argv[1] + "/" + os.environ["RANK"])
torch.distributed.destroy_process_group()
"""


def torchrun(program: str, folder: Path, processes: int) -> None:
    """Run a program in several processes of torchrun, with a folder as its argument."""
    path = folder / "program.py"
    path.write_text(program)
    command = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    done = subprocess.run(
        [sys.executable, *command, str(path), str(folder)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):
    alone = fit(fit_toys.Toy(), fit_toys.dataset(), **SETTINGS)
    expected = {**alone.network.state_dict(), "loss": torch.tensor(alone.history.loss.values)}
    skies = source_toys.skies(Store(tmp_path / "alone"), samples=200)
    pairs = fit(source_toys.Restorer(), skies, loss=source_toys.absolute, **SETTINGS)
    expected |= pairs.network.state_dict()
    torchrun(PROGRAM, tmp_path, 2)
    for rank in "01":
        together = torch.load(tmp_path / rank, weights_only=True)
        for name, tensor in expected.items():
            torch.testing.assert_close(together[name], tensor, rtol=1e-9, atol=1e-12, msg=name)
    stored = Store(tmp_path / "plain")
    assert [e.state for e in stored.list()] == ["complete", "complete"]


# -- sets of events, simulated by every process for itself ----------------------------------

#: One step of plain descent: what the weights change by is the gradient.
STEP = {"epochs": 1, "batch_size": 450, "optimizer": "sgd", "learning_rate": 1.0}
STEP |= {"schedule": "constant", "validation": 0.1, "progress": False, "device": "cpu"}
#: The last batch has fewer samples than there are processes.
EPOCHS = {"epochs": 3, "batch_size": 64, "learning_rate": 0.01, "precision": "64-true"}
EPOCHS |= {"validation": 0.1, "progress": False, "device": "cpu"}
ENCODER = {"hidden": (8, 8), "seeds": 2, "values": 3, "head": (8,), "resample": "none"}

SETS_PROGRAM = f"""
import sys
sys.path[:0] = [{str(ROOT / "package")!r}, {str(ROOT / "tests")!r}]
import torch
import fly_toys
from presage.cli import main
from presage.fitting import fit
from presage.generate import on_the_fly
from presage.models import SetEncoder
from presage.store import Store
from presage.studies.pdf.gaussian import Gaussian
import test_fit_ranks as given

folder = sys.argv[1]
step = fit(SetEncoder(**given.ENCODER), on_the_fly(Gaussian(n_events=40), 500), **given.STEP)
try:
    fit(given.FragileStreaming(), on_the_fly(fly_toys.Sets(), 450, fresh=True),
        store=Store(folder + "/parts"), checkpoint_every=1, **given.EPOCHS)
    raise SystemExit("it was not stopped")
except KeyboardInterrupt:
    pass
try:
    main(["train", "pdf", "gaussian", *given.COMMAND, "--store", folder + "/command"])
except SystemExit as stop:
    if stop.code:
        raise
if torch.distributed.get_rank() == 0:
    torch.save(step.network.state_dict(), folder + "/step")
torch.distributed.destroy_process_group()
"""
COMMAND = ["--num-samples", "600", "--num_events", "40", "--encoder-epochs", "1"]
for name, value in {"hidden": "[8]", "head": "[8]", "epochs": "1", "sizes": "[40]"}.items():
    COMMAND += ["-p", name, value]


FragileStreaming = fit_toys.fragile(fly_toys.Streaming)
FragileStreaming.network.left = 10  # batches, then it is stopped from the keyboard


@pytest.mark.slow
def test_four_processes_simulate_and_train_as_one(tmp_path):
    torchrun(SETS_PROGRAM, tmp_path, 4)
    model, sets = SetEncoder(**ENCODER), on_the_fly(Gaussian(n_events=40), 500)
    together = torch.load(tmp_path / "step", weights_only=True)
    torch.manual_seed(0)
    begun = model.build(model.prepare(sets).declaration).state_dict()
    alone = fit(model, sets, **STEP).network.state_dict()
    for name, tensor in alone.items():  # float32 gradients of 1 and of 4 processes
        gradient, other = tensor - begun[name], together[name] - begun[name]
        scale = float(gradient.abs().max())
        torch.testing.assert_close(other, gradient, rtol=0, atol=1e-6 * max(scale, 1.0), msg=name)
    assert any(float((t - begun[n]).abs().max()) > 1e-3 for n, t in alone.items())
    # Four processes began, one goes on, with the very samples that were still to come.
    fresh = on_the_fly(fly_toys.Sets(), 450, fresh=True)
    whole = fit(fly_toys.Streaming(), fresh, **EPOCHS)
    fly_toys.Sets.made.clear()
    parts = fit(fly_toys.Streaming(), fresh, store=Store(tmp_path / "parts"), **EPOCHS)
    assert not set(range(1, 25)) & set(fly_toys.Sets.made)  # the epoch that was done
    for name, tensor in whole.network.state_dict().items():
        torch.testing.assert_close(parts.network.state_dict()[name], tensor, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(parts.history["loss"], whole.history["loss"], rtol=1e-9)
    # The command: samples were shared among the processes, each was made once.
    held = Store(tmp_path / "command")
    producers = sorted(entry.producer for entry in held.list())
    assert producers == ["fit-posterior_flow", "fit-set_encoder", "gaussian", "pooled_features"]
    assert held.samples(Gaussian(n_events=40).recipe()) == 600
    assert {entry.state for entry in held.list()} == {"complete"}
