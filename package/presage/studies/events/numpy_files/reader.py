"""Users' NumPy files as a source of events."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import numpy as np

from presage.exchange.numpy_archive import NumpyFileError
from presage.inputs import FileInput, LeftOut
from presage.labels import Array, Parameter, Variable, nearest, present
from presage.simulator import Reader
from presage.studies.events.numpy_files.columns import Place, find, uses
from presage.studies.events.numpy_files.content import as_table, opened
from presage.studies.events.numpy_files.whitening import KINDS, Undo
from presage.studies.events.root.layout import FEDHEX

Declared = TypeVar("Declared", bound=Variable)
#: Names or declarations in the order of the columns, or → name of the column in the file.
Columns = Iterable[str | Variable] | Mapping[str, str] | Mapping[Variable, str]
_MEBIBYTE = 2**20
#: Largest file that is looked at: a guard against naming a disk.
_LARGEST = 1 << 40


@dataclass(frozen=True)
class NumpyReader(Reader):
    """Events of one NumPy file.

    =========================================  ==============================================
    file                                       columns and labels are
    =========================================  ==============================================
    ``.npy`` with a dictionary (FEDHEX's), or  the columns of ``data [n, D]`` and of
    ``.npz`` with arrays of these names        ``cond [n, P]``, in order
    ``.npz`` with an array ``[n]`` a name,     found by name
    ``.npy`` with named columns
    ``.npy [n, D + P]``                        its columns in order, labels last
    ``.npy [n, D, 2]`` (FEDHEX's other one)    ``[:, :, 0]`` and ``[:, :, 1]``
    =========================================  ==============================================

    Nothing in a file is run: of the pickle that a dictionary is, only what describes text,
    numbers and arrays is followed. Arrays are read a few rows at a time.

    Parameters
    ----------
    file
        The file; its content is hashed here, and is its identity.
    columns
        What is measured: names or Variables in the order of the file's columns, or a mapping
        from them to the names of its columns. By default FEDHEX's two masses.
    labels
        What the events are conditioned on, likewise: names or Parameters.
    whitening
        How the numbers were scaled, which is undone. ``"auto"`` sees it from a dictionary's
        constants and numbers; ``"linear"`` and ``"logit"`` are FEDHEX's two ways; ``"none"``
        takes the numbers as they are. Labels become the shortest decimal numbers within
        rounding, 9.025 and not 9.024999999999999.
    invalid
        What to do with values that are NaN, infinite or beyond their variable's bounds:
        ``"raise"``, or ``"drop"`` the event, with a warning.
    memory
        Bytes that are read at a time; a few times as much is in use.

    Raises
    ------
    InputError
        There is no such file.
    NumpyFileError
        Wrong settings; the file's content is not looked at before it is needed.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "pairs.npy"
    >>> np.save(path, [[91.2, 1.5], [90.7, 1.5]])
    >>> reader = NumpyReader(path, columns=["mass"], labels=["eta"])
    >>> [chunk["eta"].tolist() for chunk in reader.chunks()]
    [[1.5, 1.5]]
    """

    file: FileInput | str | os.PathLike[str]
    columns: Columns = tuple(column.variable for column in FEDHEX.columns)
    labels: Columns = tuple(column.variable for column in FEDHEX.labels)
    whitening: str = "auto"
    invalid: str = "raise"
    memory: int = 16 * _MEBIBYTE

    name: ClassVar[str] = "numpy-events"
    version: ClassVar[int] = 1
    sample_dim: ClassVar[str] = "event"

    def __post_init__(self) -> None:
        if not isinstance(self.file, FileInput):
            object.__setattr__(self, "file", FileInput(Path(self.file), _LARGEST))
        object.__setattr__(self, "columns", _declared(self.columns, Variable, "float32"))
        object.__setattr__(self, "labels", _declared(self.labels, Parameter, "float64"))
        if not self._columns:
            raise NumpyFileError("columns= is empty; name what to read, as ['phi_mass']")
        for name, given, known in (
            ("whitening", self.whitening, KINDS),
            ("invalid", self.invalid, ("raise", "drop")),
        ):
            if given not in known:
                raise NumpyFileError(f"{name}={given!r} is not known{nearest(str(given), known)}")
        if self.memory < _MEBIBYTE:
            raise NumpyFileError(f"memory is at least {_MEBIBYTE} bytes, got {self.memory}")
        _ = self.schema  # equal names are an error here

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The labels' declarations."""
        return tuple(v for v, _ in self._labels if isinstance(v, Parameter))

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The columns' declarations."""
        return tuple(variable for variable, _ in self._columns)

    @property
    def _columns(self) -> tuple[tuple[Variable, str], ...]:
        return cast(tuple[tuple[Variable, str], ...], self.columns)  # since __post_init__

    @property
    def _labels(self) -> tuple[tuple[Variable, str], ...]:
        return cast(tuple[tuple[Variable, str], ...], self.labels)

    @property
    def input(self) -> FileInput:
        """The file, by its content."""
        return cast(FileInput, self.file)

    def identity(self) -> Mapping[str, Any]:
        """Return the settings and the file's content; where it lies is no part of it."""
        names = ("file", "columns", "labels", "whitening", "invalid")
        settings = {name: getattr(self, name) for name in names}
        if any(v.gaps for v in (*self.parameters, *self.variables)):
            settings["gaps"] = "left out"  # earlier versions kept them
        return settings

    def chunks(self) -> Generator[dict[str, Array], None, LeftOut]:
        """Yield name → array ``[event]`` of labels and columns.

        Returns
        -------
        LeftOut
            What of the file is not in it, of which there were warnings.

        Raises
        ------
        InputError
            The file was changed since it was named.
        NumpyFileError
            It is damaged, holds what is not read, or not what was declared.
        """
        self.input.check_unchanged()
        where, missing, dropped, total = self.input.name, 0, 0, 0
        with opened(self.input.path, where) as content:
            places = find(content, self._columns, self._labels, where)
            undo = Undo.of(content, self.whitening, self.memory, where)
            for arrays in content.chunks(uses(places), self.memory):
                chunk = _taken(places, undo.apply(arrays))
                total += len(next(iter(chunk.values())))
                chunk, lost = self._present(chunk)
                missing += lost
                if self.invalid == "drop":
                    chunk, lost = self._valid(chunk)
                    dropped += lost
                if len(next(iter(chunk.values()))):
                    yield chunk
        said = [
            f"{where}: {number} of {total} events have {what} and are left out"
            for number, what in (
                (missing, "a missing value"),
                (dropped, "a value that is not finite or beyond a bound"),
            )
            if number
        ]
        left_out = LeftOut(f"{total - missing - dropped} events of {total}", tuple(said))
        left_out.warn()
        return left_out

    def _present(self, chunk: dict[str, Array]) -> tuple[dict[str, Array], int]:
        """Return the events without a number that is declared to stand for none, and the rest."""
        columns = (*self.parameters, *self.variables)
        declared = [v for v in columns if v.gaps or v.missing is not None]
        if not declared:
            return chunk, 0
        # NaN that nobody declared is no missing value but an invalid one.
        keep = np.logical_and.reduce(
            [present(chunk[v.name], v) | (np.isnan(chunk[v.name]) & (not v.gaps)) for v in declared]
        )
        return {n: a[keep] for n, a in chunk.items()}, int(np.count_nonzero(~keep))

    def _valid(self, chunk: dict[str, Array]) -> tuple[dict[str, Array], int]:
        """Return the events whose values are all finite and within bounds, and how many not."""
        keep = np.ones(len(next(iter(chunk.values()))), dtype=bool)
        for variable in (*self.parameters, *self.variables):
            with np.errstate(invalid="ignore", over="ignore"):
                values = chunk[variable.name].astype(variable.dtype)
            keep &= np.isfinite(chunk[variable.name]) & np.isfinite(values)
            lower, upper = variable.bounds
            if lower is not None:
                keep &= ~(values < lower)
            if upper is not None:
                keep &= ~(values > upper)
        lost = len(keep) - int(np.count_nonzero(keep))
        return ({n: a[keep] for n, a in chunk.items()} if lost else chunk), lost


def _declared(given: Columns, kind: type[Declared], dtype: str) -> tuple[tuple[Variable, str], ...]:
    """Return declarations and the names of their columns, declared by default as numbers."""
    if isinstance(given, str):
        raise NumpyFileError(f"columns and labels are lists of names, as [{given!r}]")
    pairs: list[Any] = list(given.items()) if isinstance(given, Mapping) else list(given)
    found: list[tuple[Variable, str]] = []
    for item in pairs:
        own, column = item if isinstance(item, tuple) else (item, "")
        if isinstance(own, str):
            own = kind(own, dtype=dtype)
        elif not isinstance(own, kind):
            own = kind(**{f.name: getattr(own, f.name) for f in fields(Variable)})
        found.append((own, column or own.name))
    return tuple(found)


def _taken(places: Iterable[Place], arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return variable → values ``[event]``."""
    return {
        place.variable.name: np.ascontiguousarray(as_table(arrays[place.array])[:, place.column])
        for place in places
    }
