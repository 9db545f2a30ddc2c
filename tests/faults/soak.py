"""Fifty SIGKILLs of generation and fifty of training, at random moments; not part of CI.

    python tests/faults/soak.py [--kills 50] [--seed 0] [--folder DIR]

After every kill what is visible must be byte-correct; at the end the rerun must complete,
with the bits of a run that nobody disturbed, and leave no temporary. `--steps` also runs
the failpoints of every scenario with every kind of error at every step.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "package")]

import numpy as np  # noqa: E402
import torch  # noqa: E402

import fit_toys  # noqa: E402
from faults import toys  # noqa: E402
from faults.killing import GENERATE, TRAIN, kill_after  # noqa: E402
from presage.fitting import fit  # noqa: E402
from presage.generate import simulate  # noqa: E402
from presage.store import Store  # noqa: E402

SLOW = toys.Waves(delay=0.01)


def expect(good: bool, what: str) -> None:
    """Stop with a message when a law does not hold."""
    if not good:
        raise SystemExit(f"FAULT: {what}")


def soak_generation(folder: Path, kills: int, rng: np.random.Generator) -> None:
    store, done, total = Store(folder / "generate"), 0, 16 * kills
    while done < kills:
        workers = int(rng.integers(1, 3))
        program = GENERATE.format(delay=SLOW.delay, n=total, root=str(store.root), workers=workers)
        done += kill_after(program, float(rng.uniform(0, 0.5 if workers == 1 else 2.0)))
        there = Store(store.root).samples(SLOW.recipe())
        if there:
            opened = Store(store.root).open(SLOW.recipe())
            expect(toys.same(opened, toys.truth(SLOW, there)), f"other values after kill {done}")
        if there >= total:
            total *= 2
        print(f"generation: kill {done}, {there} of {total} samples", flush=True)
    toys.small_shards()
    made = simulate(SLOW, total, store=store, progress=False)
    expect(toys.same(made, toys.truth(SLOW, total)), "the rerun has other values")
    expect(not toys.leftovers(store), f"left over: {toys.leftovers(store)}")


def soak_training(folder: Path, kills: int, rng: np.random.Generator) -> None:
    epochs = 3 * kills
    settings = {"epochs": epochs, "batch_size": 16, "ema": 0.9, "keep": "best"}
    store, whole_store = Store(folder / "train"), Store(folder / "whole")
    model, done = fit_toys.Toy(dropout=0.2), 0
    while done < kills:
        killed = kill_after(
            TRAIN.format(root=str(store.root), epochs=epochs), float(rng.uniform(0, 0.6))
        )
        expect(killed, f"training was done after {done} kills; give it more epochs")
        done += killed
        print(f"training: kill {done}", flush=True)
    finished = fit(model, fit_toys.stored(store), store=store, progress=False, **settings)
    whole = fit(model, fit_toys.stored(whole_store), store=whole_store, progress=False, **settings)
    for name, tensor in whole.network.state_dict().items():
        expect(torch.equal(tensor, finished.network.state_dict()[name]), f"{name} differs")
    same = np.array_equal(whole.history.loss, finished.history.loss)
    expect(same, "the loss history differs")
    expect(not toys.leftovers(store), f"left over: {toys.leftovers(store)}")


def every_step(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(TESTS / "faults" / "failpoints.py"), str(folder), "--all"],
        env={"PYTHONPATH": ":".join(sys.path[:2]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    for scenario, result in json.loads(done.stdout).items():
        expect(not result["wrong"], "\n".join(result["wrong"]))
        print(f"failpoints: {scenario}, {len(result['steps'])} steps", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--steps", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        rng = np.random.default_rng(arguments.seed)
        soak_generation(folder, arguments.kills, rng)
        soak_training(folder, arguments.kills, rng)
        if arguments.steps:
            every_step(folder)
    print("no fault")


if __name__ == "__main__":
    main()
