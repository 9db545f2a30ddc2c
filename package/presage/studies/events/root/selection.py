"""Which entries of a tree become events: cut, missing values, bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from presage.labels import Array, Parameter, Variable
from presage.labels.checks import check_whole
from presage.studies.events.columns import invalid, lacking
from presage.studies.events.root.branches import Branches
from presage.studies.events.root.columns import Names, branches_needed
from presage.studies.events.root.errors import RootError
from presage.studies.events.root.expression import Expression
from presage.studies.events.root.finding import RootFile
from presage.studies.events.root.resolving import resolve
from presage.studies.events.root.survey import Survey, groups
from presage.studies.events.root.values import Values

SINGLE = np.dtype(np.float32)


def parse_cut(text: str) -> Expression:
    """Parse a cut, so that an error says that it is one."""
    try:
        return Expression(text)
    except RootError as error:
        raise RootError(f"cut: {error}") from None


@dataclass(frozen=True)
class Selection:
    """Expressions, parsed, and what they come down to."""

    columns: Sequence[tuple[Variable, Expression]]  # what each event holds, labels included
    cut: Expression | None  # condition, if any
    aliases: Mapping[str, Expression]  # name → expression
    path_labels: tuple[str, ...]  # names that paths give
    drop: bool  # leave out events with invalid values instead of raising

    @property
    def sums(self) -> bool:
        """Whether lists are added up in any of it."""
        return any(e.sums for e in (*self._used, *self.aliases.values()))

    @property
    def _used(self) -> list[Expression]:
        return [e for _, e in self.columns] + ([self.cut] if self.cut else [])

    @cached_property
    def branches(self) -> tuple[str, ...]:
        """Names of the branches that are read."""
        return branches_needed(self._used, self.aliases, self.path_labels)

    def resolved(self, branches: Branches) -> Selection:
        """Return the selection with all names made out for one tree."""
        defined = {*self.aliases, *self.path_labels}
        return replace(
            self,
            columns=[(v, resolve(e, branches, defined)) for v, e in self.columns],
            cut=resolve(self.cut, branches, defined) if self.cut else None,
            aliases={n: resolve(e, branches, defined) for n, e in self.aliases.items()},
        )

    def events(
        self, names: Names, file: RootFile, start: int, entries: int, survey: Survey
    ) -> dict[str, Array]:
        """Return the selected events of one chunk, column by column."""
        keep = self._passing(names, file, entries).copy()
        passed = int(np.count_nonzero(keep))
        survey.cut += entries - passed
        found = {v.name: _per_event(e, names, v.name, file, entries) for v, e in self.columns}
        for value in found.values():
            if value.valid is not None:
                keep = keep & value.valid
        chunk = {v.name: _stored(found[v.name].data, v, keep, file) for v, _ in self.columns}
        missing = lacking(chunk, [variable for variable, _ in self.columns])
        if missing is not None:
            chunk = {name: array[~missing] for name, array in chunk.items()}
            keep[keep] = ~missing
        complete = int(np.count_nonzero(keep))
        survey.missing += passed - complete
        good = self._good(chunk, file, lambda i: start + int(np.flatnonzero(keep)[i]))
        if good is not None:
            chunk = {name: array[good] for name, array in chunk.items()}
        kept = len(next(iter(chunk.values())))
        survey.invalid += complete - kept
        survey.kept += kept
        return chunk

    def _passing(self, names: Names, file: RootFile, entries: int) -> Array:
        """Return which entries pass the cut; a missing value does not."""
        if self.cut is None:
            return np.ones(entries, dtype=bool)
        value = _per_event(self.cut, names, "cut", file, entries)
        if value.data.dtype.kind == "f":
            raise RootError(f"cut: {self.cut.text!r} is a number, not a condition; compare it")
        return value.data.astype(bool) & value.known

    def _good(
        self, chunk: Mapping[str, Array], file: RootFile, entry: Callable[[int], int]
    ) -> Array | None:
        """Return which events have only finite values within bounds; ``None`` for all."""
        good: Array | None = None
        for variable, _ in self.columns:
            bad, why = invalid(chunk[variable.name], variable)
            if bad is None:
                continue
            if not self.drop:
                first = int(np.flatnonzero(bad)[0])
                raise RootError(
                    f"{file.path}: {variable.name!r} is {why} in {np.count_nonzero(bad)} of "
                    f"{bad.size} selected events, first {chunk[variable.name][first]} in entry "
                    f"{entry(first)}; give invalid='drop' to leave them out"
                )
            good = ~bad if good is None else good & ~bad
        return good


def _per_event(
    expression: Expression, names: Names, what: str, file: RootFile, entries: int
) -> Values:
    """Return an expression's values, one for each entry."""
    try:
        value = expression.evaluate(names)
    except RootError as error:
        raise file.bad(f"{what}: {error}") from None
    text = expression.text
    if value.offsets is not None:
        hint = "any(...)" if value.data.dtype.kind == "b" else f"{text}[0]"
        raise file.bad(
            f"{what}: {text!r} gives a list per event where one value is needed; "
            f"pick one, as {hint}"
        )
    if value.data.ndim == 0:
        valid = None if value.valid is None else np.broadcast_to(value.valid, entries)
        return Values(np.broadcast_to(value.data, entries), None, valid)
    return value


def _stored(data: Array, variable: Variable, keep: Array, file: RootFile) -> Array:
    """Return the selected values in the variable's type."""
    chosen = data[keep]
    if isinstance(variable, Parameter) and (chosen.dtype, variable.dtype) == (SINGLE, "float64"):
        return _as_decimals(chosen)
    with np.errstate(over="ignore", invalid="ignore"):
        stored = chosen.astype(variable.dtype, copy=False)
    if stored.dtype.kind in "iu" and not np.array_equal(stored, chosen):
        raise file.bad(
            f"{variable.name!r} is declared {variable.dtype}, but holds {chosen.dtype} values "
            "that do not fit; declare it float32 or float64"
        )
    check_whole(chosen, stored, variable, str(file.path))
    return stored


def _as_decimals(labels: Array) -> Array:
    """Return single-precision labels as the doubles that read the same: 9.025, not 9.0249996.

    They then equal what stands in a path, and what a user types.
    """
    rows, which = groups([labels])
    return np.array([float(str(value)) for value in rows[:, 0]], dtype=np.float64)[which]
