"""Mapped files: no descriptor stays open, and several of them can be seen as one array.

The ``mmap`` of Python before 3.13 keeps a descriptor for each mapping, of which a process has
1024; the system's own needs none once the file is mapped.

A batch whose rows are spread over ten shards costs ten calls where one would do. When each
shard's bytes fill whole pages, they can be shown one after the other in one range of
addresses, and then a single ``take`` gathers the batch. Where that is not possible (other
systems, odd lengths, too many shards) the shards stay apart; nothing else changes.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from presage.labels import Array
from presage.store.files import StoreError

_PAGE = mmap.PAGESIZE
_FAILED = ctypes.c_void_p(-1).value
_LINUX = sys.platform.startswith("linux")
_TO_PLACE = 1 | 2  # Linux: MREMAP_MAYMOVE, MREMAP_FIXED


def map_file(path: Path) -> Array:
    """Return the bytes of a file as a read-only array that reads from disk when looked at.

    Raises
    ------
    StoreError
        The system maps no more files for this process.
    """
    if os.name != "posix":
        return np.asarray(np.memmap(path, mode="r"))
    descriptor = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(descriptor).st_size
        start = _map(size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor)
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
        raise StoreError(
            f"{path} cannot be mapped: this process has as many mappings (vm.max_map_count) or "
            "addresses (ulimit -v) as the system allows; open fewer datasets at once, or "
            "ranges of them"
        ) from error
    finally:
        os.close(descriptor)
    return np.asarray(_Mapping(start, size))


def join(pieces: Sequence[Array]) -> Array | None:
    """Show mapped arrays as one read-only array, one after the other.

    They are contiguous, of one type and equal in all but the first axis; None where it cannot be
    done.
    """
    if not _LINUX or len(pieces) < 2 or not all(map(_is_shared, pieces)):
        return None
    spans = [(piece.ctypes.data, piece.nbytes) for piece in pieces]
    if not _page_by_page(spans):
        return None
    try:
        mapping = _joined(spans)
    except OSError:
        return None
    shape = (sum(len(piece) for piece in pieces), *pieces[0].shape[1:])
    return np.asarray(mapping).view(pieces[0].dtype).reshape(shape)


class _Mapping:
    """Mapped addresses, shown as bytes but for the first few, for as long as this lives."""

    def __init__(self, start: int, length: int, lead: int = 0, parts: int = 1) -> None:
        self._start, self._length, self.parts = start, length, parts
        self.__array_interface__ = {
            "version": 3,
            "shape": (length - lead,),
            "typestr": "|u1",
            "data": (start + lead, True),
        }

    def __del__(self) -> None:
        _libc().munmap(ctypes.c_void_p(self._start), ctypes.c_size_t(self._length))


def is_mapped(array: Array) -> bool:
    """Tell whether an array's memory is a mapped file."""
    return isinstance(_owner(array), (mmap.mmap, _Mapping))


def _is_shared(array: Array) -> bool:
    """Tell whether an array's bytes lie one after the other in one file mapped here."""
    owner = _owner(array)
    return isinstance(owner, _Mapping) and owner.parts == 1 and array.flags.c_contiguous


def _owner(array: Array) -> Any:
    """Return what holds an array's memory."""
    base: Any = array
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    return base


def _page_by_page(spans: Sequence[tuple[int, int]]) -> bool:
    """Tell whether each part begins where the one before ended, at the edge of a page."""
    begins = all(start % _PAGE == 0 for start, _ in spans[1:])
    ends = all((start + length) % _PAGE == 0 for start, length in spans[:-1])
    return begins and ends and all(length for _, length in spans)


def _joined(spans: Sequence[tuple[int, int]]) -> _Mapping:
    """Map what mapped addresses show a second time, one after the other."""
    most = int(Path("/proc/sys/vm/max_map_count").read_text(encoding="utf-8"))
    if Path("/proc/self/maps").read_bytes().count(b"\n") + len(spans) > most // 2:
        raise OSError(errno.ENOMEM, "the other half is for what else this process does")
    lead = spans[0][0] % _PAGE
    whole = lead + sum(length for _, length in spans)
    at = _map(whole, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1)
    mapping = _Mapping(at, whole, lead, len(spans))
    for source, length in spans:
        skipped = source % _PAGE
        # An old length of nothing leaves the shared mapping where it is, and gives another.
        _checked(_libc().mremap(source - skipped, 0, skipped + length, _TO_PLACE, at))
        at += skipped + length
    return mapping


def _map(length: int, protection: int, flags: int, descriptor: int) -> int:
    return _checked(_libc().mmap(None, length, protection, flags, descriptor, 0))


def _checked(address: int) -> int:
    if address == _FAILED:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return address


@cache
def _libc() -> Any:
    library = ctypes.CDLL(None, use_errno=True)
    place, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    library.mmap.restype = place
    library.mmap.argtypes = (place, size, number, number, number, ctypes.c_int64)
    if _LINUX:
        library.mremap.restype = place
        library.mremap.argtypes = (place, size, size, number, place)
    return library


def read_ahead(array: Array) -> None:
    """Ask the kernel to read a mapped array's file from disk, without waiting for it."""
    if not _LINUX or array.nbytes == 0 or not is_mapped(array):
        return
    start = array.ctypes.data // _PAGE * _PAGE
    length = array.ctypes.data + array.nbytes - start
    _libc().madvise(
        ctypes.c_void_p(start), ctypes.c_size_t(length), ctypes.c_int(mmap.MADV_WILLNEED)
    )
