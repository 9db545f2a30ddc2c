"""Files that somebody is at work on, told by a lock that the system lets go of at his death.

Numbers of processes say nothing from one container to the next, and clocks differ. The lock is
on one byte far beyond the content, so that it is in nobody's way, not even where a lock forbids
reading. Where a mount has no locks, or keeps them to one machine, age decides, by its own clock.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

#: Seconds after which what another machine, or a mount without locks, keeps counts as abandoned.
DAY = 24 * 3600.0
#: The same where somebody is at work for moments only.
GRACE = 10.0
_FAR = 1 << 62


def take(descriptor: int) -> bool | None:
    """Lock an open file until it is closed; False where it is held, None where that cannot be.

    One that is open for reading alone, such as a colleague's, may be locked by several readers.
    """
    if fcntl is None:
        return None
    try:
        if sys.platform == "linux":  # of the opened file, not of the process: threads are apart
            reads = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
            kind = fcntl.F_RDLCK if reads else fcntl.F_WRLCK
            byte = struct.pack("hhqqi4x", kind, os.SEEK_SET, _FAR, 1, 0)
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, byte)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EAGAIN, errno.EACCES) else None
    return True


def create(path: Path) -> int:
    """Make a new file, held until its descriptor is closed, and return that.

    Raises
    ------
    FileExistsError
        It is there.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        while take(descriptor) is False:  # somebody looks whether it is abandoned
            time.sleep(0.001)
        if _is_named(descriptor, path):
            return descriptor
        os.close(descriptor)


@contextlib.contextmanager
def abandoned(path: Path, after: float, unsure: float) -> Iterator[bool]:
    """Whether nobody is at work on a file, or it is gone; in the block that stays so.

    Parameters
    ----------
    path
        Which.
    after
        Seconds since its last change until it counts, once nobody holds it.
    unsure
        The same where files cannot be locked.

    Raises
    ------
    OSError
        It can be told of no such file: a folder, or one that may not be read.
    """
    try:
        descriptor = _opened(path)
    except FileNotFoundError:
        yield True
        return
    try:
        yield _is_abandoned(descriptor, path, after, unsure)
    finally:
        os.close(descriptor)


def remove_abandoned(path: Path, after: float, unsure: float) -> bool:
    """Remove a file that nobody is at work on, see :func:`abandoned`; return whether it is gone."""
    with contextlib.suppress(OSError), abandoned(path, after, unsure) as dead:
        if dead:
            path.unlink(missing_ok=True)
            return True
    return False


def age(path: Path) -> float:
    """Return the seconds since a file's last change, by the clock of its file system."""
    with tempfile.TemporaryFile(dir=path.parent, prefix=".age.", suffix=".tmp") as now:
        return os.fstat(now.fileno()).st_ctime - path.stat().st_ctime


@contextlib.contextmanager
def alone(path: Path, after: float = 0.0, unsure: float = 0.0) -> Iterator[None]:
    """Hold the lock file at `path`; others wait here until the block or the process has ended.

    Parameters
    ----------
    path
        It is made, and removed afterwards.
    after, unsure
        As for :func:`abandoned`; by default nobody is kept out where there are no locks.

    Raises
    ------
    PermissionError
        The folder cannot be written to, so that waiting would be in vain.
    """
    wait = 0.02
    while True:
        try:
            descriptor = create(path)
            break
        except FileExistsError:
            if remove_abandoned(path, after, unsure):
                continue
            if not os.access(path.parent, os.W_OK):
                raise PermissionError(errno.EACCES, "you may not write here", str(path)) from None
            time.sleep(wait)
            wait = min(2 * wait, 1.0)  # many may wait for hours, each asking a server of files
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # one that stays is seen to be abandoned
            path.unlink()
        os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR)  # as some mounts need it for a lock
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return os.open(path, os.O_RDONLY)


def _is_abandoned(descriptor: int, path: Path, after: float, unsure: float) -> bool:
    taken = take(descriptor)
    if taken is False or not _is_named(descriptor, path):
        return False
    least = after if taken else unsure
    return least <= 0 or age(path) >= least


def _is_named(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
