"""Publishing a file: it is there whole, or it is not there.

A file is written through a :class:`Sink` under a temporary name in its own directory, read
back, flushed to the disk, and then *linked* to its name. Linking fails when the name exists,
so among several writers the first wins and nothing is ever overwritten. Where hard links are
not to be had, a lock file guards a rename instead. The file is locked by its writer meanwhile:
what nobody holds was left by one that died, and is swept.

Who may read it is said by the umask and, in a folder that a group shares (its set-group-ID
bit is set), by that folder.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import shutil
import socket
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from presage.labels import LabelError
from presage.store import locks

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK, errno.EACCES}
_PIECE = 8 << 20  # bytes read back at a time

#: Most bytes of a sidecar or a note.
SMALL = 16 << 20
#: What reading a text raises that is not what it was written as.
MISREAD = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


class StoreError(RuntimeError):
    """The store cannot do what was asked; the message says why and what to do."""


class Sink(io.RawIOBase):
    """A new file to write into: it never fails, and tells of the first failure afterwards.

    The HDF5 library and PyTorch's writer do not survive a failed write: they hide the cause
    behind another error, say that all is well, or crash the process at the next use or at
    exit. What was written is read back at once and compared.

    Parameters
    ----------
    path
        It must not exist yet. Until :meth:`release` nobody takes it for abandoned.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = locks.create(path)
        self._error: OSError | None = None
        with self._noted():
            share(path, 0o060)

    def readable(self) -> bool:
        """Return True: what was written is read back."""
        return True

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place and return it."""
        return os.lseek(self._descriptor, offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self.seek(0, os.SEEK_CUR)

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer and return how many bytes; all of it where that fails."""
        count = len(view := memoryview(buffer).cast("B"))
        with self._noted():
            count = os.readv(self._descriptor, [view])
        return count  # noqa: RET504 (where reading fails it is what was asked for)

    def truncate(self, size: int | None = None) -> int:
        """Cut off or extend, and return the new size."""
        length = self.tell() if size is None else size
        with self._noted():
            os.ftruncate(self._descriptor, length)
        return length

    def write(self, data: Any) -> int:
        """Write bytes and return how many they are, whether that went well or not."""
        view, done = memoryview(data).cast("B"), 0
        with self._noted():
            while self._error is None and done < len(view):
                done += self._put(view[done : done + _PIECE])
        return len(view)

    def _put(self, piece: memoryview) -> int:
        start = self.tell()
        count = os.write(self._descriptor, piece)
        if os.pread(self._descriptor, count, start) != piece[:count]:
            raise OSError(errno.EIO, "what was written reads back differently")
        return count

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._error = self._error or error

    def finish(self) -> None:
        """Flush to the disk; raise the first failure."""
        with self._noted():
            os.fsync(self._descriptor)
        if self._error is not None:
            raise self._error

    def release(self) -> None:
        """Close the file, which may be under another name by now, and let go of it."""
        self.close()
        os.close(self._descriptor)


Write = Callable[[Sink], object]
Check = Callable[[Path], None]


def text(content: str) -> Write:
    """Return what writes a text, as UTF-8 in every locale."""
    return lambda sink: sink.write(content.encode())


def small_text(path: Path, most: int = SMALL) -> str:
    """Return a text that may be anybody's.

    Raises
    ------
    ValueError
        It is no regular file (a pipe would be waited for without end), has more than `most`
        bytes, or is not UTF-8.
    OSError
        It is not there, or cannot be read.
    """
    if os.path.lexists(path) and not path.is_file():
        raise ValueError("it is no regular file")
    size = path.stat().st_size
    if size > most:
        raise ValueError(f"it has {size} bytes, at most {most} were expected")
    return path.read_text(encoding="utf-8")


def unchecked(temporary: Path) -> None:
    """Take what was written as it is: it was compared with what was handed over."""


def publish(path: Path, write: Write, check: Check = unchecked) -> bool:
    """Make `path` hold what `write` writes, whole or not at all; False where it was there first.

    The directory has to be there. `check` is called with the temporary name of what was
    written, and raises when it is wrong.

    Raises
    ------
    StoreError
        The disk is full.
    OSError
        Any other failure of the file system; the temporary is gone.
    """
    with publishing(path, write, check) as first:
        return first


@contextlib.contextmanager
def publishing(path: Path, write: Write, check: Check = unchecked) -> Iterator[bool]:
    """Publish as :func:`publish` does; in the block nobody takes the new file for abandoned."""
    with _written(path, write, check) as temporary:
        first = _claim(temporary, path)
        fsync(path.parent)
        _remove(temporary)
        yield first


def replace(path: Path, write: Write, check: Check = unchecked) -> None:
    """Make `path` hold what `write` writes, in place of what it held before.

    For unfinished state such as checkpoints, and for files that leave the store: a reader
    sees the old file or the new one.
    """
    make_folder(path.parent)
    with _written(path, write, check) as temporary:
        temporary.replace(path)
        fsync(path.parent)


@contextlib.contextmanager
def _written(path: Path, write: Write, check: Check) -> Iterator[Path]:
    """Give the name of a temporary that holds what `write` writes; remove it afterwards."""
    temporary = path.with_name(f".{path.name}.{_host()}@{uuid.uuid4().hex[:8]}.tmp")
    try:
        sink = Sink(temporary)
        try:
            try:
                write(sink)
            finally:
                sink.finish()
            check(temporary)
            yield temporary
        finally:
            _remove(temporary)
            sink.release()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(path.parent) from error
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def _remove(temporary: Path) -> None:
    """Remove a temporary; one that stays all the same is swept once its writer is gone."""
    for _ in range(2):
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
            return


def make_folder(folder: Path, above: bool = True) -> None:
    """Make a folder and those above it; a group that shares the one above shares it too."""
    if folder.is_dir():
        return
    if above and folder.parent != folder:
        make_folder(folder.parent)
    try:
        folder.mkdir(exist_ok=True)
    except PermissionError as error:
        why = "you may not write here; name a store of your own (store=, --store)"
        raise PermissionError(error.errno, why, str(folder)) from error
    share(folder, 0o070)


def share(path: Path, bits: int) -> None:
    """Give the group those rights to a new file or folder that it has to a shared folder."""
    above = path.parent.stat().st_mode
    mode = stat.S_IMODE(path.stat().st_mode)
    shared = mode | (above & bits)
    if above & stat.S_ISGID and shared != mode:
        path.chmod(shared)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say in a sentence what a library raises at a file that it cannot read.

    Raises
    ------
    StoreError
        Whatever was raised in the block, except for errors of presage's own, files that are
        not there or may not be read, and a want of memory.
    """
    try:
        yield
    except (StoreError, LabelError, FileNotFoundError, PermissionError, MemoryError):
        raise
    except Exception as error:  # every library has errors of its own
        raise StoreError(f"{path} cannot be read: {_short(error)}") from error


#: What HDF5 says in its own terms.
_WORDS = {
    "file signature not found": "it is no netCDF or HDF5 file, or is damaged at its beginning",
    "truncated file": "it is cut off; copy it again",
}


def _short(error: Exception) -> str:
    """Return an error in one line; HDF5 says the system's words in the middle of its own."""
    for theirs, ours in _WORDS.items():
        if theirs in str(error):
            return ours
    words = re.search("error message = '([^']+)'", str(error))
    if words:
        return words[1]
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    line = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {line[:200]}"


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
    make_folder(folder)
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


def sweep(folder: Path, name: str = "*") -> None:
    """Remove temporaries and locks, of one file or of all, whose writers are no longer alive."""
    for lock in folder.glob(f".{name}.lock"):
        locks.remove_abandoned(lock, locks.GRACE, locks.GRACE)
    for temporary in folder.glob(f".{name}.*.tmp"):
        # The locks of another machine may not be seen here.
        here = temporary.name.rpartition("@")[0].endswith(f".{_host()}")
        locks.remove_abandoned(temporary, 0.0 if here else locks.DAY, locks.DAY)


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
    with locks.alone(path.with_name(f".{path.name}.lock"), locks.GRACE, locks.GRACE):
        if path.exists():
            return False
        temporary.rename(path)
        return True


def _host() -> str:
    return "".join(c if c.isalnum() else "-" for c in socket.gethostname()) or "host"
