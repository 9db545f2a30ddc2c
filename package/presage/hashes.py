"""SHA-256 of users' files, each read once: remembered until a file's stamp changes.

A tree of 10 GB takes a minute to hash and must be known again in a blink, for every recipe
holds what its files contain. What was hashed is noted in the user's cache folder with the
file's size, inode, and times of content and status; where one of them differs the content is
read again. Nobody can set the last of them back, so a copy that keeps its date is noticed too.

``PRESAGE_REHASH=1`` trusts nothing that other processes have noted; :func:`forget` removes
it for all that come after.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from stat import S_ISREG
from threading import Lock

from presage.progress import Bar

#: Size, inode, and times of the last change of content and of status, in nanoseconds.
Stamp = tuple[int, int, int, int]

REHASH = "PRESAGE_REHASH"
#: Folder of the notes, in place of ``$XDG_CACHE_HOME/presage``.
CACHE = "PRESAGE_CACHE"
#: A file changed so shortly before it was hashed can change again without its times showing
#: it, for clocks of file systems tick; it is hashed again next time.
_TICKS = 2.0
#: Size of the notes from which only this process's are kept.
_LARGEST_NOTES = 32 << 20
_PIECE = 1 << 20

_held: dict[Path, dict[str, tuple[Stamp, str]]] = {}


def stamp(path: Path) -> Stamp:
    """Return what changes whenever a file's content does."""
    status = path.stat()
    if not S_ISREG(status.st_mode):  # a pipe would be waited for without end
        raise OSError(errno.EINVAL, "it is no regular file")
    return status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def content_hashes(paths: Sequence[Path]) -> list[str | OSError]:
    """Return the SHA-256 of files, or the error of those that cannot be read.

    A bar is shown once it takes longer than two seconds.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "empty.txt"
    >>> path.touch()
    >>> str(content_hashes([path])[0])[:16]
    'e3b0c44298fc1c14'
    """
    notes = _notes()
    found: list[str | OSError] = [""] * len(paths)
    new: list[int] = []
    size = 0
    for number, path in enumerate(paths):
        try:
            now = stamp(path)
        except OSError as error:
            found[number] = error
            continue
        noted = notes.get(str(path.absolute()))
        if noted is not None and noted[0] == now:
            found[number] = noted[1]
        else:
            new.append(number)
            size += now[0]
    threads = max(1, min(len(new), os.cpu_count() or 1, 8))
    lock = Lock()
    with (
        Bar(total=size, desc="hashing files", unit="B", unit_scale=True) as bar,
        ThreadPoolExecutor(threads) as pool,
    ):

        def advance(read: int) -> None:
            with lock:
                bar.update(read)

        hashed = pool.map(lambda i: _hashed(paths[i], advance), new)
        fresh = {}
        for number, (result, before) in zip(new, hashed, strict=True):
            found[number] = result
            if before is not None and isinstance(result, str):
                fresh[str(paths[number].absolute())] = (before, result)
    _note(fresh)
    return found


def forget() -> None:
    """Remove all that was noted: every file is hashed again when it is next asked for."""
    _held.clear()
    with contextlib.suppress(OSError):
        _notes_path().unlink()


def _hashed(path: Path, advance: Callable[[int], None]) -> tuple[str | OSError, Stamp | None]:
    """Hash one file; return with it the stamp to note, None where it may not be noted."""
    began = time.time()
    digest, buffer = hashlib.sha256(), bytearray(_PIECE)
    try:
        before = stamp(path)
        with path.open("rb", buffering=0) as file:
            while read := file.readinto(buffer):
                digest.update(memoryview(buffer)[:read])
                advance(read)
        settled = stamp(path) == before and max(before[2:]) < (began - _TICKS) * 1e9
    except OSError as error:
        return error, None
    return digest.hexdigest(), before if settled else None


# -- what is noted: one line a file, "checksum [path, stamp, hash]", the last one counts -------


def _notes_path() -> Path:
    folder, home = os.environ.get(CACHE), os.environ.get("XDG_CACHE_HOME")
    with contextlib.suppress(RuntimeError):  # some batch jobs have no home
        return Path(folder or Path(home or "~/.cache", "presage")).expanduser() / "hashes.jsonl"
    return Path("hashes.jsonl")


def _notes() -> dict[str, tuple[Stamp, str]]:
    """Return path → stamp and hash; what is damaged, or not to be read, is passed over."""
    path = _notes_path()
    if path not in _held:
        held: dict[str, tuple[Stamp, str]] = {}
        if os.environ.get(REHASH, "") in ("", "0"):
            with contextlib.suppress(OSError):
                held.update(_parsed(path.read_bytes().splitlines()))
        _held[path] = held
    return _held[path]


def _parsed(lines: Iterable[bytes]) -> Iterable[tuple[str, tuple[Stamp, str]]]:
    for line in lines:
        checksum, _, text = line.partition(b" ")
        if checksum == b"%08x" % zlib.crc32(text):
            name, size, inode, changed, status, digest = json.loads(text)
            yield name, ((size, inode, changed, status), digest)


def _note(fresh: dict[str, tuple[Stamp, str]]) -> None:
    """Append to the notes: one write, so that those of other processes stay whole lines."""
    path = _notes_path()
    if not fresh or not path.is_absolute():
        return
    _notes().update(fresh)
    lines = [json.dumps([name, *noted, digest]) for name, (noted, digest) in fresh.items()]
    text = "".join(f"{zlib.crc32(line.encode()):08x} {line}\n" for line in lines)
    with contextlib.suppress(OSError):  # a cache: without one everything is hashed each time
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > _LARGEST_NOTES:
            path.unlink()
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # The first line ends whatever a killed process left unfinished.
            os.write(descriptor, b"\n" + text.encode())
        finally:
            os.close(descriptor)
