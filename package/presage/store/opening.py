"""The one door through which HDF5 files, netCDF-4 among them, are opened for reading."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from presage.foreign import file_size, most_bytes
from presage.hashes import Stamp, stamp
from presage.progress import CLOCK, Bar
from presage.store import hdf5
from presage.store.files import StoreError, reading

_SECONDS = 10  # of CPU time to read foreign files apart, and one more for each MB of them
_MEMORY = 1 << 30  # bytes of address space for it, and four times a file's largest chunk
_OUTCOMES: dict[Stamp, tuple[str, str]] = {}  # of each file that was read apart


@contextmanager
def opened(path: Path, *, foreign: bool = False) -> Iterator[hdf5.Content]:
    """Open an HDF5 file that does not lead out of itself, and say what it is made of.

    A `foreign` one, which is none of the store's, is read apart first (:func:`read_apart`).

    Raises
    ------
    LabelError
        It is no regular file.
    StoreError
        It cannot be read, or is refused (:func:`presage.store.hdf5.look`).
    """
    most = most_bytes(file_size(path))
    with reading(path):
        try:
            if foreign:
                _raise_outcome(path)
            with h5py.File(path, "r", locking=None if foreign else False) as file:
                yield hdf5.look(file, most)
        except hdf5.RefusedError as error:
            raise StoreError(f"{path.name} {error}") from None


def read_apart(paths: Iterable[Path]) -> None:
    """Read the HDF5 files among `paths` in another process, and note what becomes of each.

    The library may fail there, and use up the time and memory that the process is given; where a
    system limits neither (Windows), time alone is limited, and macOS lets it have the memory. A
    file is read once while it is unchanged; :func:`opened` raises what went wrong.
    """
    stamps = {path.absolute(): stamp(path) for path in paths if path.is_file()}
    todo = [p for p, now in stamps.items() if now not in _OUTCOMES and h5py.is_hdf5(p)]
    while todo:
        outcomes, ended = _run(todo)
        if len(outcomes) < len(todo):  # the next one was too much
            outcomes.append(("refused", f"is refused: the process that read it {ended}"))
        _OUTCOMES.update((stamps[p], found) for p, found in zip(todo, outcomes, strict=False))
        todo = todo[len(outcomes) :]


def _raise_outcome(path: Path) -> None:
    read_apart([path])
    outcome, said = _OUTCOMES.get(stamp(path), ("", ""))
    if outcome:
        del _OUTCOMES[stamp(path)]  # it may have been the disk, or want of time
        raise hdf5.RefusedError(said) if outcome == "refused" else OSError(said)


def _run(paths: list[Path]) -> tuple[list[tuple[str, str]], str]:
    """Return what became of the files, up to one at which the process ended, and how it did."""
    sizes = [path.stat().st_size for path in paths]
    seconds = [_SECONDS + size // 1_000_000 for size in sizes]
    files = list(zip(map(str, paths), map(most_bytes, sizes), seconds, strict=True))
    task = json.dumps({"memory": _MEMORY, "files": files})
    given = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
    shown = paths[0].name if len(paths) == 1 else f"{len(paths)} files"
    try:
        with Bar(desc=f"checking {shown}", bar_format=CLOCK, leave=False):
            done = subprocess.run(
                [sys.executable, "-P", hdf5.__file__], env={**os.environ, **given},
                input=task.encode(), capture_output=True, check=False,
                timeout=30 + 2 * sum(seconds),
            )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        out, ended = late.stdout or b"", f"did not end within {late.timeout:.0f} s"
    else:
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        out, ended = done.stdout, f"crashed ({done.returncode}) {last}".rstrip()
        if done.returncode == -getattr(signal, "SIGXCPU", 0):
            at = min(out.count(b"\n"), len(paths) - 1)
            ended = f"did not end within {seconds[at]} s"
    return [tuple(json.loads(line)) for line in out.rpartition(b"\n")[0].splitlines()], ended
