"""What a NumPy file holds: arrays by name, read a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from presage.exchange.numpy_archive import MAGIC, NumpyFileError, mapped, open_archive, read_header
from presage.labels import Array
from presage.studies.events.numpy_files.pickled import read_dict

#: Names of the two arrays of FEDHEX's files: measured values, and the labels.
DATA, LABELS = "data", "cond"
#: Name of the only array of a file.
ONLY = "array"


class Rows(Protocol):
    """An array whose rows are taken from the first to the last."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape; rows are counted by the first length."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its values."""

    def __getitem__(self, rows: slice) -> Array:
        """Return the next rows."""


def as_table(array: Array) -> Array:
    """Return rows with columns, ``[n, columns]``, of an array that may be ``[n]``."""
    return array[:, None] if array.ndim == 1 else array


@dataclass
class Content:
    """Arrays of one file."""

    arrays: dict[str, Rows]  # name → rows of numbers, ``[n]`` or ``[n, columns]``
    constants: dict[str, Any] = field(default_factory=dict)  # what else a dictionary holds

    @property
    def names(self) -> list[str]:
        """Everything there is."""
        return [*self.arrays, *self.constants]

    def chunks(self, names: Iterable[str], memory: int) -> Iterator[dict[str, Array]]:
        """Yield the rows of these arrays, about `memory` bytes at a time."""
        used = {name: self.arrays[name] for name in names}
        total = next(iter(used.values())).shape[0]
        width = sum(int(np.prod(a.shape[1:])) * max(a.dtype.itemsize, 8) for a in used.values())
        step = max(1, memory // max(width, 1))
        for start in range(0, total, step):
            rows = slice(start, min(start + step, total))
            yield {name: array[rows] for name, array in used.items()}


@contextmanager
def opened(path: Path, where: str) -> Iterator[Content]:
    """Open a NumPy file: ``.npz``, or ``.npy`` with an array, named columns or a dictionary.

    Raises
    ------
    NumpyFileError
        It is none of them, or is damaged.
    """
    with ExitStack() as stack:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
        if not start:
            raise NumpyFileError(f"{where}: the file is empty (0 bytes)")
        if start.startswith(b"PK"):
            yield Content(dict(stack.enter_context(open_archive(path, where))))
        else:
            yield _read_npy(path, where)


def _read_npy(path: Path, where: str) -> Content:
    with path.open("rb") as file:
        header = read_header(file, where)
    if header.dtype.hasobject:
        if header.shape != ():
            raise NumpyFileError(
                f"{where}: an array of Python objects, shape {header.shape}; only numbers, or one "
                "dictionary of arrays, are read"
            )
        return _of_dict(read_dict(path, header.offset, where))
    there = path.stat().st_size - header.offset
    if there != header.nbytes:
        raise NumpyFileError(
            f"{where}: its header declares {header.dtype} of shape {header.shape}, {header.nbytes} "
            f"bytes, and {there} are there"
        )
    array = mapped(path, header.dtype, header.shape, header.offset, header.fortran)
    if header.dtype.names is not None:
        return Content({name: array[name] for name in header.dtype.names})
    if array.ndim == 3 and array.shape[2] == 2:  # FEDHEX's other layout: [n, values, (data, label)]
        return Content({DATA: array[:, :, 0], LABELS: array[:, :, 1]})
    return Content({ONLY: array})


def _of_dict(held: dict[str, Any]) -> Content:
    arrays = {name: value for name, value in held.items() if isinstance(value, np.ndarray)}
    return Content({**arrays}, {n: v for n, v in held.items() if n not in arrays})
