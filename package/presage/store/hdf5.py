"""HDF5 files, netCDF-4 among them, looked through before anything in them is read.

A file may lead to others (external links and storage, virtual arrays), declare more than it
holds, or go round in circles: :func:`look` sees that from headers alone, whenever one is opened.
What headers do not tell (a chunk that inflates without end, a text that stands for thousands, a
damage at which the library loops or crashes) is found by reading it all, which this file does when
it is run as a script: in a process of its own, of limited time and memory, without presage.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5g, h5l, h5o, h5z

_DEPTH = 100  # of groups within groups
_PIECE = 16 << 20  # bytes the script reads at a time
_TEXTS = 64 << 10  # the same of references to texts, each of which may be long
_BARE = b"This is a netCDF dimension but not a netCDF variable"


class RefusedError(ValueError):
    """A file that is not read; the message follows on its name."""


@dataclass(frozen=True)
class Content:
    """What an open file is made of: each thing once, by the first of its paths."""

    file: h5py.File
    groups: tuple[str, ...]  # the file's own is ""
    arrays: dict[str, h5py.Dataset]
    soft_links: tuple[str, ...]  # which were not followed
    largest_chunk: int  # bytes


def look(file: h5py.File, most: int) -> Content:
    """Return what a file of at most so many bytes of arrays is made of, following hard links alone.

    Raises
    ------
    RefusedError
        It leads to another file, or declares more.
    """
    groups, arrays, soft, seen = [], {}, [], set()
    unpacked = largest = 0
    todo: list[tuple[str, Any]] = [("", file.id)]
    while todo:
        path, item = todo.pop()
        is_array = isinstance(item, h5d.DatasetID)
        if is_array:  # counted by each of its names, since each can be read
            whole, chunk = sizes(item, path)
            unpacked, largest = unpacked + whole, max(largest, chunk)
        place = h5o.get_info(item).addr
        if place in seen:
            continue
        seen.add(place)
        if is_array:
            arrays[path] = h5py.Dataset(item)
        elif path.count("/") == _DEPTH:
            raise RefusedError(f"has more than {_DEPTH} groups within one another")
        elif not isinstance(item, h5py.h5t.TypeID):
            groups.append(path)
            links = _links(item, path)
            soft += [_join(path, name) for name, kind in links if kind == h5l.TYPE_SOFT]
            hard = (name for name, kind in reversed(links) if kind == h5l.TYPE_HARD)
            todo += [(_join(path, name), h5o.open(item, name)) for name in hard]
    if (declared := max(unpacked, largest)) > most:
        raise RefusedError(
            f"declares {declared} bytes of arrays, and one of its size may have {most}: measured "
            "numbers do not compress like that"
        )
    return Content(file, tuple(groups), arrays, tuple(soft), largest)


def _links(group: h5g.GroupID, path: str) -> list[tuple[bytes, int]]:
    """Return name and kind of the links of a group, all of which stay within the file."""
    links: list[tuple[bytes, int]] = []
    group.links.iterate(lambda name, info: links.append((name, info.type)), info=True)
    # All of them before the first is opened, which a name with a slash would do by another one.
    for name, kind in links:
        if kind not in (h5l.TYPE_HARD, h5l.TYPE_SOFT) or b"/" in name:
            raise RefusedError(
                f"leads to another file by its link {_join(path, name)!r}; copy what is meant "
                "into the file"
            )
    return links


def _join(path: str, name: bytes) -> str:
    return f"{path}/{name.decode('utf-8', 'surrogateescape')}".lstrip("/")


def sizes(array: h5d.DatasetID, path: str) -> tuple[int, int]:
    """Return the bytes of an array and of one of its chunks; refuse one that is elsewhere."""
    plan = array.get_create_plist()
    layout = plan.get_layout()
    # First of all: to ask a virtual array for its shape may open the others.
    if layout == h5d.VIRTUAL or plan.get_external_count():
        raise RefusedError(f"has the values of {path!r} in other files; copy them into it")
    width = array.get_type().get_size()
    size = math.prod(array.shape or ()) * width
    if size > _PIECE and _is_bare(array):
        size = 0
    return size, math.prod(plan.get_chunk()) * width if layout == h5d.CHUNKED else 0


def _is_bare(array: h5d.DatasetID) -> bool:
    """Whether it is only the length of a dimension, as netCDF keeps it, and is not read."""
    name = h5py.Dataset(array).attrs.get("NAME", b"")
    return isinstance(name, bytes) and name.startswith(_BARE)


# -- the script ---------------------------------------------------------------------------------


def read_all(path: str, most: int, memory: int) -> None:
    """Read what of a file can hold a surprise: attributes, chunks, text."""
    _limit("RLIMIT_AS", memory)
    with h5py.File(path, "r") as file:
        content = look(file, most)
        _limit("RLIMIT_AS", memory + 4 * content.largest_chunk)
        texts = 0
        for values in itertools.chain(_attributes(content), _chunks(content)):
            texts += _weight(values)
            if texts > most:
                raise MemoryError


def _attributes(content: Content) -> Iterator[Any]:
    groups = (content.file[group or "/"] for group in content.groups)
    for held in (*groups, *content.arrays.values()):
        for name in held.attrs:
            with _unlike_numpy():
                yield held.attrs[name]


def _chunks(content: Content) -> Iterator[Any]:
    for array in content.arrays.values():
        with _unlike_numpy():
            for part in _parts(array):
                values = array[part]
                yield values if array.dtype.hasobject else ""  # numbers are counted by headers


def _parts(array: h5py.Dataset) -> Iterator[tuple[slice, ...]]:
    """Return parts of whole chunks; none of an array that is stored as it is.

    Those of a filter that only the calling process has cannot be read here.
    """
    plan, text = array.id.get_create_plist(), array.dtype.hasobject
    filters = [plan.get_filter(number)[0] for number in range(plan.get_nfilters())]
    plain = array.chunks is None and not text
    if array.shape is None or plain or not all(map(h5z.filter_avail, filters)):
        return iter(())
    step = list(array.chunks or [1] * array.ndim)
    room = (_TEXTS if text else _PIECE) // array.dtype.itemsize
    for axis in reversed(range(array.ndim)):
        step[axis] *= max(1, min(-(-array.shape[axis] // step[axis]), room // math.prod(step)))
    cuts = (
        [slice(at, at + width) for at in range(0, length, width)]
        for length, width in zip(array.shape, step, strict=True)
    )
    return itertools.product(*cuts)


def _weight(value: Any) -> int:
    """Return the bytes of a value, with those that it only refers to."""
    if isinstance(value, np.ndarray):
        value = value.tolist() if value.dtype.hasobject else value.data
    return sum(map(_weight, value)) if isinstance(value, (list, tuple)) else sys.getsizeof(value)


@contextlib.contextmanager
def _unlike_numpy() -> Iterator[None]:
    """Pass over what h5py has no type for; nothing of it is ever read."""
    with contextlib.suppress(TypeError, NotImplementedError, UnicodeDecodeError):
        yield


def _limit(name: str, most: int) -> None:
    """Limit what this process may use, where the system knows such limits."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        kind = getattr(resource, name)
        resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


def main() -> None:
    """Read the files that standard input names, and print of each what became of it."""
    task = json.load(sys.stdin)
    _limit("RLIMIT_CORE", 0)
    for path, most, seconds in task["files"]:
        _limit("RLIMIT_CPU", math.ceil(time.process_time()) + seconds)
        print(json.dumps(_outcome(path, most, task["memory"])), flush=True)


def _outcome(path: str, most: int, memory: int) -> tuple[str, str]:
    try:
        read_all(path, most, memory)
    except RefusedError as error:
        return "refused", str(error)
    except MemoryError:
        return "refused", "unpacks to far more bytes than it declares"
    except Exception as error:  # noqa: BLE001 (whatever the library says of a damaged file)
        return "failed", str(error)
    return "", ""


if __name__ == "__main__":
    main()
