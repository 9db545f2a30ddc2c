"""Mapped files: read ahead by the kernel, and several of them seen as one array.

A batch whose rows are spread over ten shards costs ten calls where one would do. When each
shard's bytes fill whole pages, the files can be mapped one after the other into one range
of addresses, and then a single ``take`` gathers the batch. Where that is not possible
(other systems, odd lengths) the shards stay apart; nothing else changes.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from presage.labels import Array

_PAGE = mmap.PAGESIZE
_FAILED = ctypes.c_void_p(-1).value
_MAP_FIXED = 0x10  # Linux; Python's mmap does not name it


def join(pieces: Sequence[Array]) -> Array | None:
    """Map the files behind arrays as one read-only array, the pieces one after the other.

    They are contiguous, of one type and equal in all but the first axis; None where it cannot be
    done.
    """
    if not sys.platform.startswith("linux") or len(pieces) < 2:
        return None
    spans = [span for span in map(_span, pieces) if span is not None]
    if len(spans) < len(pieces) or not _page_by_page(spans):
        return None
    try:
        mapping = _Mapping(spans)
    except OSError:
        return None
    shape = (sum(len(piece) for piece in pieces), *pieces[0].shape[1:])
    whole = np.asarray(mapping).view(pieces[0].dtype).reshape(shape)
    return whole if _same_ends(whole, pieces) else None


class _Mapping:
    """Addresses that show parts of files one after the other, for as long as this lives."""

    def __init__(self, spans: Sequence[tuple[str, int, int]]) -> None:
        lead = spans[0][1] % _PAGE
        size = sum(length for _, _, length in spans)
        self._length = -(-(lead + size) // _PAGE) * _PAGE
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self._start = _map(None, self._length, 0, flags, -1, 0)
        at = self._start
        for path, offset, length in spans:
            skipped = offset % _PAGE
            # Pages of the reserved range are replaced by the file's.
            _map_file(at, path, offset - skipped, length + skipped)
            at += length + skipped
        self.__array_interface__ = {
            "version": 3,
            "shape": (size,),
            "typestr": "|u1",
            "data": (self._start + lead, True),
        }

    def __del__(self) -> None:
        start = getattr(self, "_start", None)
        if start is not None:
            _libc().munmap(ctypes.c_void_p(start), ctypes.c_size_t(self._length))


def is_mapped(array: Array) -> bool:
    """Tell whether an array's memory is a mapped file."""
    base: Any = array
    while base is not None:
        if isinstance(base, (mmap.mmap, _Mapping)):
            return True
        base = getattr(base, "base", None)
    return False


def _span(array: Array) -> tuple[str, int, int] | None:
    """Return file, offset and length of the bytes that a mapped array shows."""
    base: Any = array
    while base is not None and not isinstance(base, np.memmap):
        base = getattr(base, "base", None)
    if base is None or base.filename is None or not array.flags.c_contiguous:
        return None
    offset = base.offset + array.ctypes.data - base.ctypes.data
    return str(base.filename), int(offset), array.nbytes


def _page_by_page(spans: Sequence[tuple[str, int, int]]) -> bool:
    """Tell whether each part begins where the one before ended, at the edge of a page."""
    begins = all(offset % _PAGE == 0 for _, offset, _ in spans[1:])
    ends = all((offset + length) % _PAGE == 0 for _, offset, length in spans[:-1])
    return begins and ends and all(length for _, _, length in spans)


def _same_ends(whole: Array, pieces: Sequence[Array]) -> bool:
    """Compare first and last rows: the files were opened again, by name."""
    edges = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])])
    return all(
        whole[low].tobytes() == piece[0].tobytes()
        and whole[high - 1].tobytes() == piece[-1].tobytes()
        for low, high, piece in zip(edges[:-1], edges[1:], pieces, strict=True)
    )


def _map_file(at: int, path: str, offset: int, length: int) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if os.fstat(descriptor).st_size < offset + length:
            raise OSError(f"{path} is shorter than it was")
        flags = mmap.MAP_SHARED | _MAP_FIXED
        _map(at, length, mmap.PROT_READ, flags, descriptor, offset)
    finally:
        os.close(descriptor)


def _map(
    at: int | None, length: int, protection: int, flags: int, descriptor: int, offset: int
) -> int:
    got = _libc().mmap(at, length, protection, flags, descriptor, offset)
    if got == _FAILED:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(got)


@cache
def _libc() -> Any:
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = (
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int64,
    )
    return library


def read_ahead(array: Array) -> None:
    """Ask the kernel to read a mapped array's file from disk, without waiting for it."""
    if not sys.platform.startswith("linux") or array.nbytes == 0 or not is_mapped(array):
        return
    start = array.ctypes.data // _PAGE * _PAGE
    length = array.ctypes.data + array.nbytes - start
    _libc().madvise(
        ctypes.c_void_p(start), ctypes.c_size_t(length), ctypes.c_int(mmap.MADV_WILLNEED)
    )
