"""How much memory there is, and what the kernel should read ahead."""

from __future__ import annotations

import ctypes
import ctypes.util
import mmap
import sys
from functools import cache
from pathlib import Path
from typing import Any

from presage.labels import Array

_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def total_memory() -> int:
    """Return the bytes of memory this process may use: the machine's, or its container's.

    Not what happens to be free: the same data must get the same plan tomorrow.
    """
    limits = [_machine_memory()]
    for path in _CGROUP_LIMITS:
        try:
            text = Path(path).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            limits.append(int(text))
    return min(limits)


def _machine_memory() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemTotal:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 8 << 30  # elsewhere than on Linux, a guess on the safe side


def read_ahead(array: Array) -> None:
    """Ask the kernel to read a mapped array's file from disk, without waiting for it."""
    _advise(array, getattr(mmap, "MADV_WILLNEED", None))


def _advise(array: Array, advice: int | None) -> None:
    if advice is None or array.nbytes == 0 or not is_mapped(array):
        return
    start = array.ctypes.data // mmap.PAGESIZE * mmap.PAGESIZE
    length = array.ctypes.data + array.nbytes - start
    call = _madvise()
    if call is not None:  # advice only: what comes back does not matter
        call(ctypes.c_void_p(start), ctypes.c_size_t(length), ctypes.c_int(advice))


def is_mapped(array: Array) -> bool:
    """Tell whether an array's memory is a mapped file."""
    base: Any = array
    while base is not None:
        if isinstance(base, mmap.mmap):
            return True
        base = getattr(base, "base", None)
    return False


@cache
def _madvise() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True), "madvise", None)
