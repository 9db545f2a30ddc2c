"""Users' NumPy files as a source of events."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import numpy as np

from presage.exchange.numpy_archive import NumpyFileError
from presage.inputs import MEBIBYTE, FileInput, LeftOut
from presage.labels import Array, Parameter, Variable
from presage.studies.events.columns import (
    ColumnReader,
    Tally,
    declare,
    invalid,
    lacking,
    with_weight,
)
from presage.studies.events.numpy_files.content import Place, as_table, find, opened, uses
from presage.studies.events.numpy_files.whitening import KINDS, Undo
from presage.studies.events.root.layout import FEDHEX

#: Names or declarations in the order of the columns, or → name of the column in the file.
Columns = Iterable[str | Variable] | Mapping[str, str] | Mapping[Variable, str]


@dataclass(frozen=True)
class NumpyReader(ColumnReader):
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
    weight
        Name of the column that says what each event counts for, which becomes ``weight``, a
        :class:`~presage.labels.Weight`; a file without names has that Weight among its `columns`.
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
    >>> from pathlib import Path
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
    memory: int = 16 * MEBIBYTE
    weight: str = field(default="", kw_only=True)

    name: ClassVar[str] = "numpy-events"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        columns = declare(self.columns, Variable, "float32", NumpyFileError)
        for name, value in (
            ("file", FileInput.of_reader(self.file)),
            ("columns", with_weight(columns, self.weight)),
            ("labels", declare(self.labels, Parameter, "float64", NumpyFileError)),
        ):
            object.__setattr__(self, name, value)
        self.check(NumpyFileError, whitening=KINDS, invalid=("raise", "drop"))

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
        where, tally = self.input.name, Tally()
        with opened(self.input.path, where) as content:
            places = find(content, self.pairs, where)
            undo = Undo.of(content, self.whitening, self.memory, where)
            for arrays in content.chunks(uses(places), self.memory):
                chunk = self._kept(_taken(places, undo.apply(arrays)), tally)
                if len(next(iter(chunk.values()))):
                    yield chunk
        total = tally.missing + tally.invalid + tally.kept
        left_out = LeftOut(f"{tally.kept} events of {total}", tuple(tally.said(f"{where}: ")))
        left_out.warn()
        return left_out

    def _kept(self, chunk: dict[str, Array], tally: Tally) -> dict[str, Array]:
        """Return the events that have all values and, with ``invalid="drop"``, valid ones."""
        variables = [variable for variable, _ in self.pairs]
        missing = lacking(chunk, variables)
        if missing is not None:
            chunk = {name: array[~missing] for name, array in chunk.items()}
            tally.missing += int(np.count_nonzero(missing))
        for variable in variables if self.invalid == "drop" else ():
            values = chunk[variable.name]
            if np.dtype(variable.dtype).kind == "f":
                with np.errstate(over="ignore"):  # it is infinite then
                    values = values.astype(variable.dtype)
            bad, _ = invalid(values, variable)
            if bad is not None:
                chunk = {name: array[~bad] for name, array in chunk.items()}
                tally.invalid += int(np.count_nonzero(bad))
        tally.kept += len(next(iter(chunk.values())))
        return chunk


def _taken(places: Iterable[Place], arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return variable → values ``[event]``."""
    return {
        place.variable.name: np.ascontiguousarray(as_table(arrays[place.array])[:, place.column])
        for place in places
    }
