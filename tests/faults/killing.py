"""Programs that generate or train, to be killed from outside at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]

GENERATE = """
from faults import toys
from presage.generate import simulate
from presage.store import Store
toys.small_shards()
print("ready", flush=True)
simulate(toys.Waves(delay={delay}), {n}, store=Store({root!r}), workers={workers}, progress=False)
print("done", flush=True)
"""

TRAIN = """
import fit_toys
from presage.fitting import fit
from presage.store import Store
store = Store({root!r})
train = fit_toys.stored(store)
print("ready", flush=True)
fit(fit_toys.Toy(dropout=0.2), train, store=store, checkpoint_every=1, epochs={epochs},
    batch_size=16, ema=0.9, keep="best", progress=False)
print("done", flush=True)
"""


def start(program: str) -> subprocess.Popen[str]:
    """Start a program in a session of its own, so that its workers die with it."""
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent / "package")])
    # Tests that run in the background of a script begin with interruptions ignored.
    heard = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    guarded = "if __name__ == '__main__':\n" + "".join(
        f"    {line}\n" for line in (heard + program.strip()).splitlines()
    )
    return subprocess.Popen(
        [sys.executable, "-c", guarded],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def kill_after(program: str, seconds: float) -> bool:
    """Run a program and kill it that long after it is ready; return False if it was done."""
    process = start(program)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(seconds)
    killed = process.poll() is None
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        killed = False
    process.wait()
    process.stdout.close()
    return killed
