"""Publishing a file: it is there whole, or it is not there.

A file is written under a temporary name in its own directory, flushed to the disk, and
then *linked* to its name. Linking fails when the name exists, so among several writers the
first wins and nothing is ever overwritten. Where hard links are not to be had, a lock file
made with ``O_EXCL`` guards a rename instead.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import time
import uuid
from collections.abc import Callable
from pathlib import Path

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK, errno.EACCES}
_FOREIGN_AGE = 24 * 3600.0  # seconds after which another machine's temporary is taken for dead


class StoreError(RuntimeError):
    """The store cannot do what was asked; the message says why and what to do."""


def publish(path: Path, write: Callable[[Path], None]) -> bool:
    """Make `path` hold what `write` writes, whole or not at all.

    Parameters
    ----------
    path
        Final name; its directory is made when missing.
    write
        Called with the temporary name; writes and closes the file.

    Returns
    -------
    bool
        False when `path` was there first: nothing was changed.

    Raises
    ------
    StoreError
        The disk is full.
    OSError
        Any other failure of the file system; the temporary is gone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{_owner()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        write(temporary)
        fsync(temporary)
        first = _claim(temporary, path)
        fsync(path.parent)
        return first
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(path.parent) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def replace(path: Path, write: Callable[[Path], None]) -> None:
    """Make `path` hold what `write` writes, in place of what it held before.

    For unfinished state such as checkpoints: a reader sees the old file or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{_owner()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        write(temporary)
        fsync(temporary)
        temporary.replace(path)
        fsync(path.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(path.parent) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def disk_full(folder: Path, needed: int = 0) -> StoreError:
    """Return the error that says how much room there is, and how much is needed."""
    free = shutil.disk_usage(folder).free
    wanted = f", about {needed / 1e6:.0f} MB are needed" if needed else ""
    return StoreError(
        f"the disk of {folder} is full: {free / 1e6:.0f} MB free{wanted}; nothing half-written "
        "was kept. Free some room (presage store ls, presage store rm KEY) and run again"
    )


def require_room(folder: Path, needed: int) -> None:
    """Raise :class:`StoreError` when `folder`'s disk has not `needed` bytes to spare."""
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < needed:
        raise disk_full(folder, needed)


def fsync(path: Path) -> None:
    """Flush a file or a directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network mounts cannot flush directories; the data itself was flushed before.
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove temporaries and locks whose writers are no longer alive."""
    if not folder.is_dir():
        return
    for leftover in (*folder.glob(".*.tmp"), *folder.glob(".*.lock")):
        try:
            dead = _is_dead(leftover)
        except FileNotFoundError:
            continue
        if dead:
            leftover.unlink(missing_ok=True)


def _claim(temporary: Path, path: Path) -> bool:
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _claim_by_lock(temporary, path)
    return True


def _claim_by_lock(temporary: Path, path: Path) -> bool:
    lock = path.with_name(f".{path.name}.{_owner()}.lock")
    common = path.with_name(f".{path.name}.lock")
    deadline = time.monotonic() + 60.0
    while True:
        try:
            descriptor = os.open(common, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            break
        except FileExistsError:
            if path.exists():
                return False
            if time.monotonic() > deadline or _lock_is_dead(common):
                common.unlink(missing_ok=True)
            time.sleep(0.01)
    try:
        os.write(descriptor, lock.name.encode())
        if path.exists():
            return False
        temporary.rename(path)
        return True
    finally:
        os.close(descriptor)
        common.unlink(missing_ok=True)


def _owner() -> str:
    """Host, process and its start time: enough to tell a live writer from a dead one."""
    host = "".join(c if c.isalnum() else "-" for c in socket.gethostname()) or "host"
    return f"{host}@{os.getpid()}@{_start_time(os.getpid())}"


def _start_time(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "0"


def _is_dead(leftover: Path) -> bool:
    name = leftover.name
    if name.endswith(".lock") and "@" not in name:
        return _lock_is_dead(leftover)
    return _owner_is_dead(name, leftover)


def _lock_is_dead(lock: Path) -> bool:
    try:
        owner = lock.read_text()
        # A lock just made may not hold its owner yet.
        return _owner_is_dead(owner, lock) if owner else _age(lock) > 10.0
    except FileNotFoundError:
        return False


def _owner_is_dead(name: str, path: Path) -> bool:
    host, at, rest = name.partition("@")
    mine = _owner().partition("@")[0]
    if not at or not host.endswith(f".{mine}"):
        return _age(path) > _FOREIGN_AGE
    pid, _, tail = rest.partition("@")
    start = tail.split(".")[0]
    if not pid.isdigit() or not _alive(int(pid)):
        return True
    return start != _start_time(int(pid))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime
