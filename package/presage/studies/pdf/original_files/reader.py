"""Files of event sets that the original system wrote, as a source of datasets.

Such a file is called ``{problem}_ns{samples}_ne{events}_nr{repeats}.npz`` and holds
``thetas [sample, parameter]`` and ``events [sample, repeat, event, feature]``, bare. What the
columns are is worked out from their values, see :mod:`.layouts`, and recorded with the data, as
coordinates.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, cast

import numpy as np

from presage.exchange.numpy_archive import Member, NumpyFileError, open_archive
from presage.inputs import MEBIBYTE, FileInput, LeftOut, check_settings
from presage.labels import Array, Coordinate, Parameter, Variable
from presage.simulator import Reader
from presage.studies.pdf.law import set_coordinates
from presage.studies.pdf.original_files.layouts import check_problem
from presage.studies.pdf.original_files.survey import Survey, first_valid, pieces, survey


@dataclass(frozen=True)
class OriginalFile(Reader):
    """Event sets of one ``.npz`` file of the original.

    From the command line: ``presage store import FILE --reader original-event-sets``, and back
    for the original's own loader with ``presage store export KEY FILE --rename theta=thetas``.

    The file is read twice, a few samples at a time: all of it is checked before anything of
    it is stored. Numbers are kept as they are found, and their meaning is recorded in the
    coordinates ``feature``, ``feature_unit`` and ``feature_title``.

    Parameters
    ----------
    file
        The file; its content is hashed here, and is its identity.
    problem
        ``gaussian``, ``simplified_dis``, ``realistic_dis`` or ``mceg``; by default what the
        file or its name says.
    features
        Names of the events' features; by default they are told from their number and values.
    prior
        Range ``(low, high)`` of each parameter; by default the box among the original's that
        holds them all.
    invalid
        What to do with events that are not finite (the original took the logarithm of F2
        that noise had made negative): ``"raise"``, or ``"drop"`` them, with a warning, and
        with them the last ones of the other sets, so that all sets are of one size.
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
    >>> path = Path(tempfile.mkdtemp()) / "gaussian_ns1_ne3_nr1.npz"
    >>> np.savez(path, thetas=[[0.0, 1.0, 1.0, 2.0, 0.5]], events=np.ones((1, 1, 3, 2)))
    >>> OriginalFile(path).coordinates[0].values
    ('mu_x', 'mu_y', 'sigma_x', 'sigma_y', 'rho')
    """

    file: FileInput | str | os.PathLike[str]
    problem: str = ""
    features: tuple[str, ...] = ()
    prior: tuple[tuple[float, float], ...] = ()
    invalid: str = "raise"
    memory: int = 16 * MEBIBYTE

    name: ClassVar[str] = "original-event-sets"
    version: ClassVar[int] = 1
    sample_dim: ClassVar[str] = "sample"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("theta", ("parameter",), "float64", "1", "parameters"),
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "file", FileInput.of_reader(self.file))
        if self.problem:
            check_problem(self.problem, "problem=")
        check_settings(self, NumpyFileError, invalid=("raise", "drop"))
        object.__setattr__(self, "features", tuple(map(str, self.features)))
        object.__setattr__(self, "prior", _ranges(self.prior))

    @property
    def input(self) -> FileInput:
        """The file, by its content."""
        return cast(FileInput, self.file)

    def identity(self) -> Mapping[str, Any]:
        """Return the settings and the file's content; where it lies is no part of it."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "memory"}

    @property
    def variables(self) -> tuple[Variable, ...]:
        """``events`` ``[repeat, event, feature]``, in the file's precision."""
        dims = ("repeat", "event", "feature")
        return (Variable("events", dims, self._survey.dtype, "1", "sets of events"),)

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """Names, ranges, units and formulas of parameters and features."""
        return set_coordinates(self._survey.prior, self._survey.features)

    @cached_property
    def _survey(self) -> Survey:
        """What is known after reading all of the file once."""
        said = (self.problem, self.features, self.prior)
        with self._opened() as members:
            found = survey(members, self.input.path, *said, self.memory)
        if found.lost and (self.invalid == "raise" or not found.shortest):
            raise NumpyFileError(
                f"{self.input.name}: {found.lost} events are not finite, and {found.shortest} are "
                "in the set with the fewest others"
                + ("; invalid='drop' leaves them out" if found.shortest else "")
            )
        return found

    def _opened(self) -> AbstractContextManager[Mapping[str, Member]]:
        self.input.check_unchanged()
        if not self.input.size:
            raise NumpyFileError(f"{self.input.name}: the file is empty (0 bytes)")
        return open_archive(self.input.path, self.input.name)

    def chunks(self) -> Generator[dict[str, Array], None, LeftOut]:
        """Yield ``theta`` and ``events`` of a few samples.

        Returns
        -------
        LeftOut
            What of the file is not in it, of which there was a warning.

        Raises
        ------
        InputError
            The file was changed since it was named.
        NumpyFileError
            It is damaged, or holds what is not read.
        """
        found, where = self._survey, self.input.name
        said = (
            f"{where}: {found.lost} events are not finite and are left out; all sets are cut to "
            f"{found.shortest} events"
        )
        left_out = LeftOut(said=(said,) if found.lost else ())
        left_out.warn()
        low, high = (np.array([getattr(r, end) for r in found.prior]) for end in ("low", "high"))
        with self._opened() as members:
            for theta, events in pieces(members, where, self.memory):
                kept = first_valid(events, found.shortest) if found.lost else events
                # Rounding to float32 takes parameters beyond the edge of their prior.
                yield {"theta": np.clip(theta, low, high), "events": kept}
        return left_out


def _ranges(given: Any) -> tuple[tuple[float, float], ...]:
    try:
        ranges = tuple((float(low), float(high)) for low, high in given)
    except (TypeError, ValueError):
        ranges = ((0.0, 0.0),)
    if not all(-np.inf < low < high < np.inf for low, high in ranges):
        raise NumpyFileError(f"prior= takes (low, high) of each parameter, got {given!r}")
    return ranges
