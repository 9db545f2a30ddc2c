"""Opening ROOT files and trees, with clear errors for whatever may be wrong with them."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from presage.extras import extra
from presage.labels import nearest
from presage.studies.events.root import ntuple
from presage.studies.events.root.errors import RootError, TooLargeError
from presage.studies.events.root.finding import RootFile

#: Classes that hold events.
TREES = ("TTree", "TNtuple", "TNtupleD", ntuple.KIND)


@contextmanager
def reading(file: RootFile) -> Iterator[None]:
    """Turn whatever goes wrong inside the ROOT library into an error that names the file.

    A damaged file can make its reader raise nearly any exception.
    """
    try:
        yield
    except (RootError, GeneratorExit):
        raise
    except Exception as error:
        raise file.bad(
            f"the file cannot be read, it is damaged or of an unknown kind "
            f"({type(error).__name__}: {[*str(error).strip().splitlines(), '-'][0]})"
        ) from error


@contextmanager
def open_tree(file: RootFile, name: str, limit: int) -> Iterator[Any]:
    """Open a tree by its name, with directories inside the file before it."""
    with _open(file) as handle:
        yield _tree(handle, file, name, limit)


def tree_names(file: RootFile) -> list[str]:
    """Return the names of the trees in a file."""
    with _open(file) as handle, reading(file):
        return _trees(handle)


def _trees(handle: Any) -> list[str]:
    return sorted(k for k, kind in handle.classnames(cycle=False).items() if kind in TREES)


@contextmanager
def _open(file: RootFile) -> Iterator[Any]:
    with extra("root", "reading ROOT files"):
        import uproot

    _check_header(file)
    with reading(file):
        handle = uproot.open(file.path, handler=uproot.MemmapSource)
    with handle:
        yield handle


def _check_header(file: RootFile) -> None:
    """Check the first bytes: magic, and the length that the header tells."""
    try:
        with file.path.open("rb") as stream:
            head, size = stream.read(20), stream.seek(0, os.SEEK_END)
    except OSError as error:
        raise file.bad(f"the file cannot be read: {error.strerror}") from error
    if size == 0:
        raise file.bad("the file is empty (0 bytes)")
    if not head.startswith(b"root"):
        raise file.bad(f"not a ROOT file, it begins with {head[:8]!r}")
    if len(head) < 20:
        raise file.bad(f"truncated, only {size} bytes are there")
    version, _ = struct.unpack(">ii", head[4:12])
    (end,) = (
        struct.unpack(">q", head[12:20])
        if version >= 1_000_000
        else struct.unpack(">i", head[12:16])
    )
    if size < end:
        raise file.bad(
            f"truncated, it has {size} bytes of the {end} that its header tells; copy it again"
        )


def _tree(handle: Any, file: RootFile, name: str, limit: int) -> Any:
    with reading(file):
        trees, cycles = _trees(handle), handle.classnames()
        kinds = {**handle.classnames(cycle=False), **cycles}
    if name not in kinds:
        listed = f" (its trees: {', '.join(trees)})" if trees else " (it holds no tree)"
        raise file.bad(f"no tree {name!r}{nearest(name, trees)}{listed}")
    if kinds[name] not in TREES:
        raise file.bad(f"{name!r} is a {kinds[name]}; only TTrees and RNTuples are read")
    with reading(file):
        declared = handle.key(name).data_uncompressed_bytes
        if declared > limit:
            raise TooLargeError(file.path, f"the description of tree {name!r}", declared, limit)
        tree = handle[name]
        if kinds[name] == ntuple.KIND:
            ntuple.check(tree, file, limit)
        _check_cycles(handle, file, name, [c for c in cycles if c.startswith(f"{name};")], limit)
        return tree


def _check_cycles(handle: Any, file: RootFile, name: str, cycles: list[str], limit: int) -> None:
    """Refuse a newest cycle of a tree that has fewer entries than an earlier one.

    Earlier cycles are what was saved while a tree was being filled; the newest has all of it.
    """
    if len(cycles) < 2:
        return
    keys = {cycle: handle.key(cycle) for cycle in cycles}
    entries = {
        cycle: handle[cycle].num_entries
        for cycle, key in keys.items()
        if key.fClassName in TREES[:-1] and key.data_uncompressed_bytes <= limit
    }
    newest = entries.get(f"{name};{handle.key(name).fCycle}", math.inf)
    if max(entries.values(), default=0) > newest:
        shown = ", ".join(f"'{cycle}' with {n}" for cycle, n in entries.items())
        raise file.bad(f"there are several trees {name!r}; name the one that is meant: {shown}")
