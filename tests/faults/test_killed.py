"""Runs and workers whose parent is killed without warning: what lives on, and what is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.killing import GENERATE, start
from presage.pipeline import scratch
from presage.pipeline.scratch import LOCK, in_use, sweep

RUN = """
from pathlib import Path
from presage.pipeline import run_study
from presage.studies import Study
study = Study("toy", "A toy", ("1_sleep",))
run_study(study, notebooks=Path({notebooks!r}), store={store!r}, progress=False)
"""
CELL = """
import os, pathlib, time
pathlib.Path({pid!r}).write_text(str(os.getpid()))
time.sleep(600)
"""


def children(pid: int) -> list[int]:
    """Return all processes below one, as /proc knows them."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        for child in (task / "children").read_text().split():
            found += [int(child), *children(int(child))]
    return found


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # a container's first process may not collect its dead


def until(condition: Callable[[], object], seconds: float = 120.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(condition())


pytestmark = pytest.mark.skipif(
    not Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists(), reason="needs /proc"
)


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    program = GENERATE.format(delay=0.2, n=4000, root=str(tmp_path / "store"), workers=2)
    process = start(program)
    try:
        assert until(lambda: len(children(process.pid)) >= 3)  # two workers and a helper
        assert until(lambda: list((tmp_path / "store").rglob("shard-*.json")))
        workers = children(process.pid)
        process.kill()  # it alone
        process.wait()
        assert until(lambda: not any(map(lives, workers)))
    finally:
        with_its_session(process)


@pytest.mark.parametrize(("times", "delay"), [(1, 0.2), (2, 0.2), (3, 30.0)])
def test_interruptions_end_parent_and_workers(tmp_path: Path, times: int, delay: float) -> None:
    """Also one that follows at once, and also while a block takes long."""
    program = GENERATE.format(delay=delay, n=4000, root=str(tmp_path / "store"), workers=2)
    process = start(program)
    try:
        assert until(lambda: len(children(process.pid)) >= 3)
        if times < 3:
            assert until(lambda: list((tmp_path / "store").rglob("shard-*.json")))
        else:
            time.sleep(3.0)  # into the first blocks
        workers = children(process.pid)
        for _ in range(times):
            os.killpg(process.pid, signal.SIGINT)  # Ctrl-C reaches the whole group
            time.sleep(0.02)
        assert until(lambda: process.poll() is not None, 20.0)
        assert until(lambda: not any(map(lives, workers)))
    finally:
        with_its_session(process)


def test_a_killed_run_leaves_no_kernel_and_what_it_leaves_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from test_pipeline import notebook

    scratch_place = tmp_path / "tmp"
    scratch_place.mkdir()
    notebooks, pid = tmp_path / "notebooks", tmp_path / "pid"
    notebooks.mkdir()
    (notebooks / "1_sleep.ipynb").write_text(notebook(["", CELL.format(pid=str(pid))]))
    monkeypatch.setenv("TMPDIR", str(scratch_place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    process = start(RUN.format(notebooks=str(notebooks), store=str(tmp_path / "store")))
    runs = tmp_path / "runs"
    try:
        assert until(lambda: pid.exists() and pid.read_text())
        assert sweep(runs) == []  # it is at work
        process.kill()
        process.wait()
        assert until(lambda: not lives(int(pid.read_text())))
        left = [*runs.glob("toy/.*"), *scratch_place.glob("presage-*")]
        assert len(left) == 2
        assert sorted(sweep(runs)) == sorted(left)
        assert not any(folder.exists() for folder in left)
    finally:
        with_its_session(process)


def with_its_session(process: subprocess.Popen[str]) -> None:
    """Kill what a failed test would leave."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def test_only_what_is_ours_and_abandoned_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    runs = tmp_path / "runs" / "toy"
    others = [
        tmp_path / "tmp" / "presage-data",  # no lock: somebody's own
        runs / ".ipynb_checkpoints",
        runs / ("a" * 16),
        runs / f".{'b' * 16}-{'c' * 8}",  # no lock, and young
    ]
    for folder in others:
        folder.mkdir(parents=True)
        (folder / "file").touch()
    dead = runs / f".{'d' * 16}-{'e' * 8}"
    with in_use(dead), in_use(tmp_path / "tmp" / "presage-live"):
        assert sweep(runs.parent) == []
    dead.joinpath(LOCK).touch()  # as a killed process leaves it
    assert sweep(runs.parent) == [dead]
    assert all((folder / "file").exists() for folder in others)
    monkeypatch.setattr(scratch.locks, "DAY", -1.0)
    assert sweep(runs.parent) == [others[-1]]  # an earlier version's, after a day
