"""Users' ROOT files as a source of events.

Files are searched, their branches named, events selected by a cut, and labels taken from
branches or from paths. Only the named branches are read, in chunks of bounded memory, and
every event that is left out is counted.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from presage.inputs import MEBIBYTE, LeftOut
from presage.labels import Array, Parameter, Variable
from presage.studies.events.columns import ColumnReader, Pair, declare, with_weight
from presage.studies.events.root.branches import Branches
from presage.studies.events.root.columns import Column, Columns, aliases_of
from presage.studies.events.root.errors import BadFileError, RootError
from presage.studies.events.root.expression import Expression
from presage.studies.events.root.finding import Paths, RootFile, find, split_tree
from presage.studies.events.root.gathering import Gathered, gather
from presage.studies.events.root.grammar import quoted
from presage.studies.events.root.layout import FEDHEX, Layout
from presage.studies.events.root.opening import open_tree
from presage.studies.events.root.path_labels import path_names
from presage.studies.events.root.selection import Selection, parse_cut
from presage.studies.events.root.stream import Stream, held_in
from presage.studies.events.root.suggestion import suggest
from presage.studies.events.root.survey import Survey, groups


@dataclass(frozen=True)
class RootReader(ColumnReader):
    """Events of ROOT files.

    Parameters
    ----------
    files
        A file, a directory that is searched for ``.root`` files with all below it, links
        included, a pattern such as ``grid/*/events.root`` or ``grid/**/a*.root``, or several of
        them; ``~`` and ``$NAME`` are expanded. ``events.root:tree`` names the tree too.
    tree
        Name of the tree, a TTree or an RNTuple.
    columns
        Name or Variable → expression over branches: what is measured; alone it is read from the
        branch that is called so. A plain name is a float32 without unit or bounds. A branch of
        an unusual name is quoted, ``"jet pt"``.
    labels
        Name or Parameter → expression: what the events are conditioned on, a grid's
        labels or any quantity. A plain name is a float64; a single-precision branch is
        then read as the decimal number it stands for, 9.025 and not 9.0249996.
    path
        Labels in paths: ``Phi_{phi_label}_omega_{omega_label}`` finds 1870 and 9.025 in
        ``Phi_1870_omega_9p025``, and -0.5 in ``..._m0p5``. Its names can be
        used in every expression; without `labels` they are the labels.
    aliases
        Name → expression, for use in other expressions.
    weight
        Expression for what each event counts for, such as ``"genWeight * puWeight"``; it becomes
        the column ``weight``, a :class:`~presage.labels.Weight`. Negative ones are fine.
    cut
        A condition; events for which it is false, or has no value, are left out.
    min_events
        Labels with fewer events are left out, with a warning.
    invalid
        What to do with values that are NaN, infinite or beyond their variable's bounds:
        ``"raise"``, or ``"drop"`` the event, with a warning.
    bad_files
        What to do with files that cannot be read, lack the tree or a branch, or have no labels
        in their path: ``"raise"``, all of them named, or ``"skip"`` them whole, with a warning.
    duplicates
        What to do with files of the same content, by links or copied: ``"raise"``, ``"skip"``
        all but the first, or ``"keep"`` them, so that their events count twice.
    memory
        Bytes of uncompressed data read at a time, and the largest basket, or column of a
        cluster, that is accepted; about five times as much is in use.

    Raises
    ------
    RootError
        Wrong settings; files are not looked at before they are needed.

    Notes
    -----
    Expressions are those of :class:`~presage.studies.events.root.expression.Expression`:
    arithmetic, comparisons, ``and or not``, ``x[i]`` with an index branch, functions. An
    index of -1, or one beyond the end, gives a missing value, and an event in which a
    column or label is missing is left out and counted; so is one that holds the number which
    ``Variable(missing=-999)`` declares, or NaN with ``missing=math.nan``.

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
    bad_files: str = "raise"
    duplicates: str = "raise"
    memory: int = 64 * MEBIBYTE
    weight: str = field(default="", kw_only=True)

    name: ClassVar[str] = "root-events"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        files, tree = split_tree(self.files)
        if tree and self.tree not in (tree, type(self).tree):
            raise RootError(f"files= names the tree {tree!r}, and tree= is {self.tree!r}")
        labels = self.labels or {name: name for name in path_names(self.path)}
        columns = declare(self.columns, Variable, "float32", RootError)
        for attribute, value in (
            ("files", files),
            ("tree", tree or self.tree),
            ("columns", self._readable(with_weight(columns, self.weight))),
            ("labels", self._readable(declare(labels, Parameter, "float64", RootError))),
            ("aliases", aliases_of(self.aliases)),
        ):
            object.__setattr__(self, attribute, value)
        self._check_settings()

    def _readable(self, pairs: tuple[Pair, ...]) -> tuple[Column, ...]:
        """Return columns with expressions that can be parsed; a bare ``jet pt`` gets quotes."""
        found = []
        for variable, text in pairs:
            try:
                Expression(text)
            except RootError as error:
                if not isinstance(text, str) or not self._is_branch(text.strip()):
                    raise RootError(f"{variable.name}: {error}") from None
                text = quoted(text.strip())
            found.append(Column(variable, text))
        return tuple(found)

    def _is_branch(self, name: str) -> bool:
        """Whether the first file that can be opened has a branch of this name."""
        with suppress(RootError):
            for file in find(self.files).files:
                with suppress(BadFileError), open_tree(file, self.tree, self.memory) as tree:
                    return bool(Branches.of(tree, file).paths(name))
        return False

    def _check_settings(self) -> None:
        known = {"invalid": ("raise", "drop"), "bad_files": ("raise", "skip")}
        self.check(RootError, **known, duplicates=("raise", "skip", "keep"))
        if self.min_events < 0:
            raise RootError(f"min_events is at least 0, got {self.min_events}")
        if self.min_events and not self.labels:
            raise RootError("min_events= counts events per label, and there are no labels")
        both = sorted(set(dict(self.aliases)) & set(path_names(self.path)))
        if both:
            raise RootError(f"{both[0]!r} is an alias and a label in path=; rename one")
        if self.cut:
            parse_cut(self.cut)

    @classmethod
    def of(cls, files: Paths, layout: Layout, **settings: Any) -> Self:
        """Return a reader of files in a known layout; `settings` go before the layout's."""
        known = {name: getattr(layout, name) for name in ("tree", "columns", "labels", "cut")}
        return cls(files, **{**known, **settings})

    @classmethod
    def fedhex(cls, files: Paths, **settings: Any) -> Self:
        """Return a reader in the production configuration of FEDHEX: see :data:`FEDHEX`.

        At least 150 events a label are asked for unless `settings` say otherwise.
        """
        return cls.of(files, FEDHEX, **{"min_events": 150, **settings})

    @cached_property
    def _gathered(self) -> Gathered:
        return gather(self.files, self.path, self.duplicates)

    @property
    def found(self) -> tuple[RootFile, ...]:
        """The files, in the order in which they are read."""
        return self._gathered.files

    @property
    def contents(self) -> dict[str, str]:
        """Relative path → SHA-256 of each file."""
        return {file.name: file.sha256 for file in self.found}

    def identity(self) -> Mapping[str, Any]:
        """Return the settings, and every file by relative path and hash of its content.

        Where the files lie, and how much memory is used, is no part of it; nor is what to do
        with bad files and copies, for the files that are looked at are named.
        """
        settings = {
            name: getattr(self, name)
            for name in ("tree", "columns", "labels", "path", "aliases", "cut", "min_events")
        }
        if self._gathered.bad and self.bad_files == "raise":
            self.survey()  # which names all bad files, not only those that cannot be hashed
        named = {file.name: file.labels for file in self.found if self.path}
        if self._selection.sums:  # earlier versions added up single precision in single precision
            settings["sums"] = "float64"
        return {**settings, "invalid": self.invalid, "files": self.contents, "in_paths": named}

    def survey(self) -> Survey:
        """Read everything once and return how many events there are and why others are not.

        Raises
        ------
        RootError
            As :meth:`chunks`, but too few events are no error.
        """
        survey = Survey()
        for _ in self._stream.events(survey, count=self.min_events > 0):
            pass
        return survey

    def chunks(self) -> Generator[dict[str, Array], None, LeftOut]:
        """Yield name → array ``[event]`` of labels and columns, file by file.

        With `min_events` the events are first counted; they are kept in memory meanwhile
        where they fit into `memory` bytes, and read a second time where they do not.

        Returns
        -------
        LeftOut
            What of the files is not in it, of which there were warnings.

        Raises
        ------
        RootError
            A file, branch or value is not as declared, or too few events remain.
        """
        survey = Survey()
        if not self.min_events:
            yield from self._stream.events(survey)
            survey.check(self.tree)
            return self._left_out(survey)
        held = held_in(self._stream.events(survey, count=True), self.memory)
        survey.check(self.tree)
        good = survey.enough(self.min_events, self.parameters)
        left_out = self._left_out(survey, good)
        for chunk in self._stream.events(Survey()) if held is None else held:
            kept = self._with_labels(chunk, good, len(good) == len(survey.labels))
            if kept:
                yield kept
        return left_out

    @cached_property
    def _selection(self) -> Selection:
        return Selection(
            [(variable, Expression(text)) for variable, text in self.pairs],
            parse_cut(self.cut) if self.cut else None,
            {name: Expression(text) for name, text in dict(self.aliases).items()},
            path_names(self.path),
            self.invalid == "drop",
        )

    @cached_property
    def _stream(self) -> Stream:
        return Stream(
            self._gathered, self._selection, self.tree, self._label_names,
            self.bad_files == "skip", self.memory, self._hint,
        )  # fmt: skip

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

    def _left_out(self, survey: Survey, good: set[tuple[float, ...]] | None = None) -> LeftOut:
        """Warn of what was left out beyond the cut."""
        said = [*self._gathered.said, *survey.said()]
        if good is not None:
            said += survey.too_few(good, self.min_events, self._label_names)
        left_out = LeftOut(str(survey), tuple(said))
        left_out.warn()
        return left_out

    def _hint(self, bad: Sequence[BadFileError]) -> str:
        """Return how another layout is described, where it was the known one that did not fit."""
        if self.columns != FEDHEX.columns:
            return ""
        paths = {error.path for error in bad}
        described = suggest(
            [f for f in self.found if f.path in paths], self.files, self.tree, self.memory
        )
        return described and (
            "These are not in FEDHEX's layout, which is the default. Any other is described in a "
            ".toml file, whose path is then given in place of the folder's (docs/files.md); for "
            f"these files it could begin so:\n\n{described}\n"
        )
