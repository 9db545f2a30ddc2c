"""Users' ROOT files as a source of events.

Files are searched, their branches named, events selected by a cut, and labels taken from
branches or from paths. Only the named branches are read, in chunks of bounded memory, and
every event that is left out is counted.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self, cast

import numpy as np

from presage.hashes import Stamp, content_hashes, stamp
from presage.labels import Array, Parameter, Variable
from presage.simulator import Reader
from presage.studies.events.root import branches
from presage.studies.events.root.columns import Column, Columns, Names, aliases_of, columns_of
from presage.studies.events.root.errors import RootError, RootWarning
from presage.studies.events.root.files import (
    Paths,
    RootFile,
    find,
    open_tree,
    path_labels,
    path_names,
)
from presage.studies.events.root.layout import FEDHEX, Layout
from presage.studies.events.root.selection import Selection, parse_cut
from presage.studies.events.root.survey import Survey, groups, show
from presage.studies.events.root.values import Values

MEBIBYTE = 2**20


@dataclass(frozen=True)
class RootReader(Reader):
    """Events of ROOT files.

    Parameters
    ----------
    files
        A file, a directory that is searched for ``.root`` files with all below it, or
        several of them.
    tree
        Name of the tree.
    columns
        Name or Variable → expression over branches: what is measured. A plain name is a
        float32 without unit or bounds.
    labels
        Name or Parameter → expression: what the events are conditioned on, a grid's
        labels or any quantity. A plain name is a float64; a single-precision branch is
        then read as the decimal number it stands for, 9.025 and not 9.0249996.
    path
        Labels in paths: ``Phi_{phi_label}_omega_{omega_label}`` finds 1870 and 9.025 in
        ``Phi_1870_omega_9p025``. Its names can be used in every expression; without
        `labels` they are the labels.
    aliases
        Name → expression, for use in other expressions.
    cut
        A condition; events for which it is false, or has no value, are left out.
    min_events
        Labels with fewer events are left out, with a warning.
    invalid
        What to do with values that are NaN, infinite or beyond their variable's bounds:
        ``"raise"``, or ``"drop"`` the event, with a warning.
    memory
        Bytes of uncompressed data read at a time, and the largest basket accepted; about
        five times as much is in use.

    Raises
    ------
    RootError
        Wrong settings; files are not looked at before they are needed.

    Notes
    -----
    Expressions are those of :class:`~presage.studies.events.root.expression.Expression`:
    arithmetic, comparisons, ``and or not``, ``x[i]`` with an index branch, functions. An
    index of -1, or one beyond the end, gives a missing value, and an event in which a
    column or label is missing is left out.

    Examples
    --------
    >>> reader = RootReader(
    ...     "dimuons.root",
    ...     tree="events",
    ...     columns={Variable("mass", unit="GeV", lower=0.0): "M"},
    ...     labels={"eta1": "eta1", "eta2": "eta2"},
    ...     cut="Q1 != Q2 and pt1 > 20",
    ... )
    >>> [v.title for v in reader.variables]
    ['mass [GeV]']
    """

    files: Paths
    tree: str = "Events"
    columns: Columns = ()
    labels: Columns = ()
    path: str = ""
    aliases: Mapping[str, str] | Iterable[tuple[str, str]] = ()
    cut: str = ""
    min_events: int = 0
    invalid: str = "raise"
    memory: int = 64 * MEBIBYTE

    name: ClassVar[str] = "root-events"
    version: ClassVar[int] = 1
    sample_dim: ClassVar[str] = "event"

    def __post_init__(self) -> None:
        labels = self.labels or {name: name for name in path_names(self.path)}
        for attribute, value in (
            ("columns", columns_of(self.columns, Variable, "float32")),
            ("labels", columns_of(labels, Parameter, "float64")),
            ("aliases", aliases_of(self.aliases)),
        ):
            object.__setattr__(self, attribute, value)
        self._check_settings()

    def _check_settings(self) -> None:
        if not self.columns:
            raise RootError("columns= is empty; name what to read, as {'phi_mass': 'branch'}")
        if self.invalid not in ("raise", "drop"):
            raise RootError(f"invalid= is 'raise' or 'drop', not {self.invalid!r}")
        if self.min_events < 0 or self.memory < MEBIBYTE:
            raise RootError(
                f"min_events is at least 0 and memory at least {MEBIBYTE} bytes, "
                f"got {self.min_events} and {self.memory}"
            )
        if self.min_events and not self.labels:
            raise RootError("min_events= counts events per label, and there are no labels")
        both = sorted(set(self._aliases) & set(path_names(self.path)))
        if both:
            raise RootError(f"{both[0]!r} is an alias and a label in path=; rename one")
        if self.cut:
            parse_cut(self.cut)
        _ = self.schema  # equal names are an error here

    @classmethod
    def of(cls, files: Paths, layout: Layout, **settings: Any) -> Self:
        """Return a reader of files in a known layout.

        Parameters
        ----------
        files
            As in the class.
        layout
            Where columns and labels stand.
        settings
            Further settings, or others in place of the layout's.
        """
        known = {
            "tree": layout.tree,
            "columns": layout.columns,
            "labels": layout.labels,
            "cut": layout.cut,
        }
        return cls(files, **{**known, **settings})

    @classmethod
    def fedhex(cls, files: Paths, **settings: Any) -> Self:
        """Return a reader in the production configuration of FEDHEX: see :data:`FEDHEX`.

        At least 150 events a label are asked for unless `settings` say otherwise.
        """
        return cls.of(files, FEDHEX, **{"min_events": 150, **settings})

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The labels' declarations."""
        return tuple(c.variable for c in self._labels if isinstance(c.variable, Parameter))

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The columns' declarations."""
        return tuple(column.variable for column in self._columns)

    @property
    def _columns(self) -> tuple[Column, ...]:
        return cast(tuple[Column, ...], self.columns)  # since __post_init__

    @property
    def _labels(self) -> tuple[Column, ...]:
        return cast(tuple[Column, ...], self.labels)

    @property
    def _aliases(self) -> dict[str, str]:
        return dict(self.aliases)

    @cached_property
    def found(self) -> tuple[RootFile, ...]:
        """The files, in the order in which they are read."""
        return find(self.files)

    @cached_property
    def contents(self) -> dict[str, str]:
        """Relative path → SHA-256 of each file."""
        hashes = content_hashes([file.path for file in self.found])
        for file, digest in zip(self.found, hashes, strict=True):
            if isinstance(digest, OSError):
                raise RootError(f"{file.path} cannot be read: {digest.strerror}") from digest
        return {f.name: str(digest) for f, digest in zip(self.found, hashes, strict=True)}

    @cached_property
    def _stamps(self) -> dict[str, Stamp]:
        return {file.name: stamp(file.path) for file in self.found}

    def identity(self) -> Mapping[str, Any]:
        """Return the settings, and every file by relative path and hash of its content.

        Where the files lie, and how much memory is used, is no part of it.
        """
        settings = {
            name: getattr(self, name)
            for name in ("tree", "columns", "labels", "path", "aliases", "cut", "min_events")
        }
        _ = self._stamps  # what is hashed now is what must be read later
        named = {file.name: path_labels(self.path, file) for file in self.found if self.path}
        return {**settings, "invalid": self.invalid, "files": self.contents, "in_paths": named}

    def survey(self) -> Survey:
        """Read everything once and return how many events there are and why others are not.

        Raises
        ------
        RootError
            As :meth:`chunks`, but too few events are no error.
        """
        survey = Survey()
        for _ in self._selected(survey, count=bool(self._labels) and self.min_events > 0):
            pass
        return survey

    def chunks(self) -> Iterator[dict[str, Array]]:
        """Yield name → array ``[event]`` of labels and columns, file by file.

        With `min_events` the events are first counted; they are kept in memory meanwhile
        where they fit into `memory` bytes, and read a second time where they do not.

        Raises
        ------
        RootError
            A file, branch or value is not as declared, or too few events remain.
        """
        survey = Survey()
        if not self.min_events:
            yield from self._selected(survey)
            survey.check(self.tree)
            self._say(survey)
            return
        held: list[dict[str, Array]] = []
        size = 0
        for chunk in self._selected(survey, count=True):
            size += sum(array.nbytes for array in chunk.values())
            held.append(chunk)
            if size > self.memory:
                held.clear()
        survey.check(self.tree)
        good = survey.enough(self.min_events, self.parameters)
        self._say(survey, good)
        for chunk in self._selected(Survey()) if size > self.memory else held:
            kept = self._with_labels(chunk, good, len(good) == len(survey.labels))
            if kept:
                yield kept

    @property
    def _selection(self) -> Selection:
        return Selection(
            (*self._labels, *self._columns),
            self.cut,
            self._aliases,
            path_names(self.path),
            self.invalid == "drop",
        )

    @property
    def _label_names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    def _with_labels(
        self, chunk: dict[str, Array], good: set[tuple[float, ...]], every: bool
    ) -> dict[str, Array]:
        """Return a chunk's events whose label is among the good ones; nothing for none."""
        if every:
            return chunk
        rows, which = groups([chunk[name] for name in self._label_names])
        keep = np.array([tuple(row) in good for row in rows.tolist()])[which]
        if keep.all():
            return chunk
        return {name: array[keep] for name, array in chunk.items()} if keep.any() else {}

    def _say(self, survey: Survey, good: set[tuple[float, ...]] | None = None) -> None:
        """Warn of what was left out beyond the cut."""
        if survey.invalid:
            warnings.warn(
                f"{survey.invalid} events have a value that is not finite or beyond a bound "
                f"and are left out. {survey}",
                RootWarning,
                stacklevel=3,
            )
        few = {} if good is None else {k: n for k, n in survey.labels.items() if k not in good}
        if few:
            shown = "; ".join(
                f"{show(label, self._label_names)}: {few[label]}" for label in sorted(few)[:3]
            )
            warnings.warn(
                f"{len(few)} of {len(survey.labels)} labels have fewer than "
                f"min_events={self.min_events} events and are left out, "
                f"{sum(few.values())} events in all ({shown}{', ...' if len(few) > 3 else ''})",
                RootWarning,
                stacklevel=3,
            )

    def _selected(self, survey: Survey, count: bool = False) -> Iterator[dict[str, Array]]:
        """Yield the selected events of all files, counting into `survey`."""
        plan = self._selection
        for file in self.found:
            survey.files += 1
            if stamp(file.path) != self._stamps[file.name]:
                raise RootError(f"{file.path} was changed while it was in use; start again")
            constants = {k: Values(np.asarray(x)) for k, x in path_labels(self.path, file).items()}
            with open_tree(file, self.tree, self.memory) as tree:
                for start, entries, given in branches.read(tree, plan.branches, file, self.memory):
                    given.update(constants)
                    names = Names(given, plan.aliases)
                    survey.entries += entries
                    chunk = plan.events(names, file, start, entries, survey)
                    if count:
                        survey.count(chunk, self._label_names)
                    names.release()
                    if len(next(iter(chunk.values()))):
                        yield chunk
                    del chunk
