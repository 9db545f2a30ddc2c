"""Folders of work in progress: kept while their process lives, swept once it was killed.

A lock on a file inside says that somebody works there. The system lets go of it when the process
ends, however it ends; a process's number would say little, for numbers come again.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from presage.store import locks

#: What the lock is called.
LOCK = ".in-use"
#: Start of the names of folders outside of ``runs/``.
PREFIX = "presage-"
#: Names of unfinished folders under ``runs/<study>/``; nothing else there is ever removed.
_UNFINISHED = re.compile(r"\.[0-9a-f]{16}-[0-9a-f]{8}|\.old-[0-9a-f]{12}")


@contextmanager
def in_use(folder: Path) -> Iterator[Path]:
    """Make a folder that :func:`sweep` leaves alone until the block or the process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    unlocked = folder / f"{LOCK}.new"
    with unlocked.open("wb") as file:
        locks.take(file.fileno())  # where files cannot be locked, nothing is swept
        unlocked.rename(folder / LOCK)  # seen only once it is locked
        try:
            yield folder
        finally:
            (folder / LOCK).unlink(missing_ok=True)


@contextmanager
def temporary() -> Iterator[Path]:
    """Make a temporary folder for the time of the block."""
    with in_use(Path(tempfile.mkdtemp(prefix=PREFIX))) as folder:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sweep(runs: Path) -> list[Path]:
    """Remove what killed runs left under `runs` and among temporary files; return what it was."""
    unfinished = [p for p in runs.glob("*/.*") if _UNFINISHED.fullmatch(p.name)]
    temporary = list(Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))
    # One without a lock is of an earlier version, or was killed between two steps.
    left = [p for p in unfinished if _is_abandoned(p, locks.DAY)]
    # There, others may have folders of such a name: it is ours if it has a lock.
    left += [p for p in temporary if _is_abandoned(p, None)]
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)
    return left


def _is_abandoned(folder: Path, old: float | None) -> bool:
    """Return whether nobody works in a folder of ours any more.

    One without a lock is abandoned at an age of `old` seconds; None is never.
    """
    if not hasattr(os, "getuid"):  # on Windows nothing is locked, and nothing swept
        return False
    try:
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            return False
        with (folder / LOCK).open("r+b") as file:
            return locks.take(file.fileno()) is True
    except FileNotFoundError:
        return old is not None and time.time() - status.st_ctime > old
    except OSError:
        return False
