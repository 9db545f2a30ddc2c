"""What became of the events of a set of files, and which labels have enough of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from presage.labels import Array, Parameter
from presage.labels.equality import MOST_LABELS, merge
from presage.labels.errors import few
from presage.studies.events.columns import Tally
from presage.studies.events.root.errors import BadFileError, RootError


@dataclass
class Survey(Tally):
    """Numbers of events, counted while files are read."""

    files: int = 0
    entries: int = 0
    cut: int = 0  # entries that fail the cut; a missing value in it counts as failed
    #: Label → its events; only counted where a minimum is asked for.
    labels: Counter[tuple[float, ...]] = field(default_factory=Counter)
    bad: list[BadFileError] = field(default_factory=list)  # files that cannot be used

    def add(self, other: Survey, names: Sequence[str]) -> None:
        """Add what was counted in another file.

        Raises
        ------
        RootError
            There are so many labels that they cannot be labels.
        """
        for name in ("files", "entries", "cut", "missing", "invalid", "kept"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.labels.update(other.labels)
        self._check_labels(names)

    def __str__(self) -> str:
        return (
            f"{self.kept} events of {self.entries} entries in {self.files} file(s); left out: "
            f"{self.cut} by the cut, {self.missing} with a missing value, "
            f"{self.invalid} with a value that is not finite or beyond a bound"
            + (f", {len(self.bad)} file(s) that cannot be used" if self.bad else "")
        )

    def said(self, where: str = "") -> list[str]:
        """Return which files and events were left out, a sentence each."""
        shown = few([f"{_short(error.path)}: {error.reason}" for error in self.bad])
        files = f"{len(self.bad)} file(s) cannot be used and are left out ({shown})"
        return [*([files] if self.bad else []), *super().said(where)]

    def too_few(
        self, good: Container[tuple[float, ...]], least: int, names: Sequence[str]
    ) -> list[str]:
        """Return which labels are left out for having too few events, in a sentence if any."""
        out = {label: number for label, number in self.labels.items() if label not in good}
        shown = few([f"{show(label, names)}: {out[label]}" for label in sorted(out)])
        told = (
            f"{len(out)} of {len(self.labels)} labels have fewer than min_events={least} events "
            f"and are left out, {sum(out.values())} events in all ({shown})"
        )
        return [told] if out else []

    def count(self, chunk: Mapping[str, Array], names: Sequence[str]) -> None:
        """Count the labels of a chunk; as many are refused as in :meth:`add`."""
        rows, which = groups([chunk[name] for name in names])
        numbers = np.bincount(which, minlength=len(rows))
        self.labels.update(dict(zip(map(tuple, rows.tolist()), numbers.tolist(), strict=True)))
        self._check_labels(names)

    def _check_labels(self, names: Sequence[str]) -> None:
        if len(self.labels) > MOST_LABELS:
            raise RootError(
                f"more than {MOST_LABELS} different labels ({', '.join(names)}): "
                "are they continuous? then read them with min_events=0"
            )

    def enough(self, least: int, parameters: Sequence[Parameter]) -> set[tuple[float, ...]]:
        """Return the labels, in each of their spellings, that have at least `least` events.

        Raises
        ------
        RootError
            None has.
        """
        labels = list(self.labels)
        counts = np.array([self.labels[label] for label in labels], dtype=np.int64)
        table = np.array(labels, dtype=float).reshape(len(labels), len(parameters))
        number = merge(table, counts, parameters, "the files")[1]
        full = np.bincount(number, weights=counts) >= least
        good = {label for label, k in zip(labels, number.tolist(), strict=True) if full[k]}
        if not good and self.labels:
            label, most = self.labels.most_common(1)[0]
            names = [parameter.name for parameter in parameters]
            raise RootError(
                f"too few events: no label has min_events={least}; "
                f"the fullest, {show(label, names)}, has {most}. {self}"
            )
        return good

    def check(self, tree: str) -> None:
        """Refuse an outcome without events.

        Raises
        ------
        RootError
            Nothing was read, or nothing remained.
        """
        if self.entries == 0:
            raise RootError(f"tree {tree!r} has no entries in any of {self.files} file(s)")
        if self.kept == 0:
            raise RootError(f"no event remains: {self}")


def show(label: Sequence[float], names: Sequence[str]) -> str:
    """Return a label as text: ``phi_label=2464.0, omega_label=5.125``."""
    return ", ".join(f"{name}={value:.10g}" for name, value in zip(names, label, strict=True))


def _short(path: Path) -> str:
    """Return a file's name with its folder's, which often holds the label."""
    return "/".join(path.parts[-2:])


def groups(columns: Sequence[Array]) -> tuple[Array, Array]:
    """Return the distinct rows of some columns ``[row, column]``, and each event's row.

    Runs of equal rows are found first: files mostly hold one label each.
    """
    events = len(columns[0])
    if events == 0:
        return np.empty((0, len(columns))), np.empty(0, dtype=np.intp)
    new = np.zeros(events, dtype=bool)
    new[0] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    starts = np.flatnonzero(new)
    table = np.column_stack([np.asarray(column)[starts] for column in columns])
    rows, which = np.unique(table, axis=0, return_inverse=True)
    return rows, np.repeat(which.reshape(-1), np.diff(starts, append=events))
