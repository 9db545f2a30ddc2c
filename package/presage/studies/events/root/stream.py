"""The selected events of a reader's files, one file after the other, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from presage.hashes import stamp
from presage.labels import Array
from presage.studies.events.root import branches
from presage.studies.events.root.branches import Branches
from presage.studies.events.root.columns import Names
from presage.studies.events.root.errors import BadFileError, RootError, TooLargeError, joined
from presage.studies.events.root.finding import RootFile
from presage.studies.events.root.gathering import Gathered
from presage.studies.events.root.opening import open_tree
from presage.studies.events.root.selection import Selection
from presage.studies.events.root.survey import Survey
from presage.studies.events.root.values import Values


@dataclass(frozen=True)
class Stream:
    """Files, and what is taken from them."""

    gathered: Gathered
    selection: Selection
    tree: str
    label_names: tuple[str, ...]
    skip: bool  # whether bad files are left out
    memory: int  # bytes
    hint: Callable[[Sequence[BadFileError]], str]  # what is said below an error of bad files

    def events(self, survey: Survey, count: bool = False) -> Iterator[dict[str, Array]]:
        """Yield the selected events of all files, counting into `survey`.

        A bad file does not end it: the others are looked at too, so that all are named.
        """
        survey.bad = list(self.gathered.bad)
        for file in self.gathered.files:
            part = Survey(files=1)
            try:
                chunks = self._of_file(file, part, count)
                if self.skip:
                    chunks = self._whole(file, chunks)
                for chunk in chunks:
                    if self.skip or not survey.bad:
                        yield chunk
                survey.add(part, self.label_names)
            except BadFileError as error:
                if self.skip and isinstance(error, TooLargeError):
                    raise
                survey.bad.append(error)
        if survey.bad and not (self.skip and survey.files):
            total = len(self.gathered.files) + len(self.gathered.bad)
            raise joined(survey.bad, total, self.hint(survey.bad))

    def _whole(
        self, file: RootFile, chunks: Iterator[dict[str, Array]]
    ) -> Iterator[dict[str, Array]]:
        """Yield a file's events only once all were read: none of a file that is damaged."""
        held = held_in(chunks, self.memory)
        yield from self._of_file(file, Survey(), False) if held is None else held

    def _of_file(self, file: RootFile, survey: Survey, count: bool) -> Iterator[dict[str, Array]]:
        """Yield the selected events of one file."""
        if not _unchanged(file):
            raise RootError(f"{file.path} was changed while it was in use; start again")
        constants = {k: Values(np.asarray(x)) for k, x in file.labels.items()}
        with open_tree(file, self.tree, self.memory) as tree:
            known = Branches.of(tree, file)
            plan = self.selection.resolved(known)
            for start, entries, given in branches.read(known, plan.branches, self.memory):
                names = Names(given | constants, plan.aliases)
                survey.entries += entries
                chunk = plan.events(names, file, start, entries, survey)
                if count:
                    survey.count(chunk, self.label_names)
                given.clear()  # the next chunk has the memory to itself
                names.clear()
                if len(next(iter(chunk.values()))):
                    yield chunk
                del chunk


def _unchanged(file: RootFile) -> bool:
    try:
        return stamp(file.path) == file.stamp
    except OSError:
        return False


def held_in(chunks: Iterator[dict[str, Array]], memory: int) -> list[dict[str, Array]] | None:
    """Return all chunks where they fit into memory, None where they do not; all are read."""
    held: list[dict[str, Array]] = []
    size = 0
    for chunk in chunks:
        size += sum(array.nbytes for array in chunk.values())
        held.append(chunk)
        if size > memory:
            held.clear()
    return held if size <= memory else None
