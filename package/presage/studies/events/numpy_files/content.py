"""What a NumPy file holds, arrays by name read a few rows at a time, and what stands where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from presage.exchange.numpy_archive import MAGIC, NumpyFileError, mapped, open_archive, read_header
from presage.labels import Array, Parameter, Variable, nearest
from presage.studies.events.columns import Pair
from presage.studies.events.numpy_files.pickled import read_dict

#: Names of the two arrays of FEDHEX's files: measured values, and the labels.
DATA, LABELS = "data", "cond"
#: Name of the only array of a file.
ONLY = "array"


class Readable(Protocol):
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

    arrays: dict[str, Readable]  # name → rows of numbers, ``[n]`` or ``[n, columns]``
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
    """Open a NumPy file: ``.npz``, or ``.npy`` with an array, named columns or a dictionary."""
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


# -- where columns and labels stand ------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """One column: array and number of the column in it."""

    variable: Variable
    array: str
    column: int


def uses(places: Iterable[Place]) -> list[str]:
    """Return the arrays that are read, each once."""
    return list(dict.fromkeys(place.array for place in places))


def find(content: Content, pairs: Sequence[Pair], where: str) -> list[Place]:
    """Return where labels and columns stand, by declaration and name in the file."""
    labels = [pair for pair in pairs if isinstance(pair[0], Parameter)]
    columns = [pair for pair in pairs if not isinstance(pair[0], Parameter)]
    if ONLY in content.arrays:
        places = _in_order(content, ONLY, (*columns, *labels), "columns and labels", where)
    elif DATA in content.arrays and LABELS in content.arrays:
        places = [
            *_in_order(content, LABELS, labels, "labels", where),
            *_in_order(content, DATA, columns, "columns", where),
        ]
    elif content.constants or DATA in content.arrays or LABELS in content.arrays:
        missing = LABELS if DATA in content.arrays else DATA
        raise NumpyFileError(
            f"{where} has no array {missing!r}{nearest(missing, content.names)}; it needs "
            f"{DATA!r} [n, columns] and {LABELS!r} [n, labels]"
        )
    else:
        places = [_by_name(content, variable, name, where) for variable, name in pairs]
    _check_numbers(content, places, where)
    return places


def _in_order(
    content: Content, array: str, named: Sequence[Pair], what: str, where: str
) -> list[Place]:
    """Return one place for each column of an array."""
    shape = content.arrays[array].shape
    width = shape[1] if len(shape) == 2 else 1
    names = [variable.name for variable, _ in named]
    if len(shape) not in (1, 2) or width != len(names):
        raise NumpyFileError(
            f"{where}: {array!r} has shape {shape}, and {len(names)} {what} are declared "
            f"({', '.join(names)}); expected [events, {len(names)}]"
        )
    renamed = next((name for variable, name in named if name != variable.name), None)
    if renamed is not None:
        raise NumpyFileError(
            f"{where}: its columns have no names, so none is {renamed!r}; list the variables in "
            "the order of the columns"
        )
    return [Place(variable, array, number) for number, (variable, _) in enumerate(named)]


def _by_name(content: Content, variable: Variable, name: str, where: str) -> Place:
    if name not in content.arrays:
        raise NumpyFileError(f"{where} has no column {name!r}{nearest(name, content.arrays)}")
    shape = content.arrays[name].shape
    if len(shape) != 1:
        raise NumpyFileError(f"{where}: column {name!r} should be [events], got shape {shape}")
    return Place(variable, name, 0)


def _check_numbers(content: Content, places: Iterable[Place], where: str) -> None:
    """Refuse arrays of unequal length, and what are no numbers."""
    arrays = {name: content.arrays[name] for name in uses(places)}
    for name, array in arrays.items():
        if array.dtype.kind not in "iuf":
            raise NumpyFileError(f"{where}: {name!r} holds {array.dtype}, not numbers")
    lengths = {name: array.shape[0] for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise NumpyFileError(f"{where}: its arrays hold different numbers of events ({shown})")
    if not next(iter(lengths.values())):
        raise NumpyFileError(f"{where}: there are no events in it")
