"""Who is at work on a file: locks that the system lets go of, across process namespaces."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from presage.store import locks

HOLD = """
import os, sys
from pathlib import Path
from presage.store import locks
locks.create(Path(sys.argv[1]))
print(os.getpid(), flush=True)
input()
"""
APART = ["unshare", "--user", "--map-root-user", "--pid", "--mount-proc", "--fork", "--kill-child"]


def apart() -> list[str]:
    """Return the words that put a command into a process namespace of its own."""
    if not shutil.which("unshare") or subprocess.run([*APART, "true"], check=False).returncode:
        pytest.skip("process namespaces are not to be had here")
    return APART


def test_a_file_is_held_across_process_namespaces_until_its_process_is_killed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "held"
    with subprocess.Popen(
        [*apart(), sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "1\n"  # the number of many a process elsewhere
        assert not locks.remove_abandoned(path, 0, 60)
        with pytest.raises(FileExistsError):
            locks.create(path)
        holder.kill()
        holder.wait()
        while not locks.remove_abandoned(path, 0, 60):  # its child dies a moment later
            pass
    assert not path.exists()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_without_locks_age_decides_by_the_clock_of_the_mount(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, "no locks here")

    monkeypatch.setattr(locks.fcntl, "fcntl", refuse)
    monkeypatch.setattr("time.time", lambda: 4e9)  # a clock that is far ahead
    path = tmp_path / "held"
    os.close(locks.create(path))
    assert abs(locks.age(path)) < 60
    assert not locks.remove_abandoned(path, 0, 60)
    assert not locks.remove_abandoned(path, 0, 60)
    with locks.alone(path):  # which keeps nobody out
        pass
    os.close(locks.create(path))
    assert locks.remove_abandoned(path, 60, 0)


def test_one_at_a_time_holds_a_lock_file(tmp_path: Path) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(5):
            with locks.alone(tmp_path / "lock"):
                inside += 1
                most = max(most, inside)
                time.sleep(0.001)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert list(tmp_path.iterdir()) == []


def test_whether_a_colleagues_file_is_held_is_seen_by_reading_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, opened = tmp_path / "theirs", os.open
    held = locks.create(path)

    def refuse(name: object, flags: int, *mode: int) -> int:
        if name == path and flags & os.O_RDWR and not flags & os.O_CREAT:
            raise OSError(errno.EROFS, "not yours")
        return opened(name, flags, *mode)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(os, "open", refuse)
    assert not locks.remove_abandoned(path, 0, 0)
    os.close(held)
    assert not locks.remove_abandoned(path, 60, 60)
    assert locks.remove_abandoned(path, 0, 60)


def test_nobody_waits_for_a_lock_in_a_folder_that_may_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = locks.create(tmp_path / "lock")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match="may not write"), locks.alone(tmp_path / "lock"):
        pass
    os.close(held)


def test_who_waits_long_asks_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, waits = locks.create(tmp_path / "lock"), []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if sum(waits) > 60:
            os.close(held)

    monkeypatch.setattr("time.sleep", sleep)
    with locks.alone(tmp_path / "lock"):
        assert len(waits) < 70
    assert waits[0] < 0.1
