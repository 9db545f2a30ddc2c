"""The files of one dataset: found, told apart by content, labelled by their paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from presage.hashes import Stamp, content_hashes, stamp
from presage.labels.errors import few
from presage.studies.events.root.errors import BadFileError, RootError
from presage.studies.events.root.finding import Paths, RootFile, find
from presage.studies.events.root.path_labels import path_labels


@dataclass(frozen=True)
class Input:
    """One file that is read."""

    file: RootFile  # name and path
    sha256: str  # hash of its content
    stamp: Stamp  # what changes when its content does
    labels: dict[str, float]  # the labels in its path


@dataclass(frozen=True)
class Gathered:
    """What is read and what is not."""

    inputs: tuple[Input, ...]  # the files, in the order in which they are read
    #: Folders that cannot be listed; files that cannot be opened or whose path has no labels.
    bad: tuple[BadFileError, ...]
    said: tuple[str, ...]  # what was passed over or is there twice, a sentence each


def gather(paths: Paths, pattern: str, duplicates: str) -> Gathered:
    """Find, hash and label the files; for the arguments see :class:`RootReader`.

    Raises
    ------
    RootError
        There is no file, or one is there twice.
    """
    found = find(paths)
    bad = [BadFileError(path, reason) for path, reason in found.unread]
    inputs = []
    for file, sha256 in zip(
        found.files, content_hashes([f.path for f in found.files]), strict=True
    ):
        try:
            if isinstance(sha256, OSError):
                raise file.bad(f"the file cannot be read: {sha256.strerror}")
            labels = path_labels(pattern, file)
            inputs.append(Input(file, sha256, stamp(file.path), labels))
        except BadFileError as error:
            bad.append(error)
    once, twice = _told_apart(inputs)
    said = [*found.said(), *_about_twice(twice, duplicates)]
    return Gathered(tuple(inputs if duplicates == "keep" else once), tuple(bad), tuple(said))


def _told_apart(inputs: Sequence[Input]) -> tuple[list[Input], list[tuple[Input, Input]]]:
    """Return the files without repetitions, and each repetition with what it repeats."""
    once: list[Input] = []
    twice: list[tuple[Input, Input]] = []
    seen: dict[str, Input] = {}
    for item in inputs:
        # Content tells all: one path given twice, links of either kind, and copies. Files of
        # 0 bytes are all alike, and are told to be empty.
        first = seen.setdefault(item.sha256, item) if item.stamp[0] else item
        if first is item:
            once.append(item)
        else:
            twice.append((item, first))
    return once, twice


def _about_twice(twice: Sequence[tuple[Input, Input]], duplicates: str) -> list[str]:
    if not twice:
        return []
    if duplicates == "raise":
        raise RootError(
            f"{_shown(twice, lambda file: file.path)}; its events would count twice. "
            "duplicates='skip' reads each content once, 'keep' counts all (a setting of the "
            'reader: in a .toml description, duplicates = "skip")'
        )
    kept = "all are counted" if duplicates == "keep" else "each is read once"
    return [f"{len(twice)} file(s) repeat others, {kept}: {_shown(twice, lambda f: f.name)}"]


def _shown(twice: Sequence[tuple[Input, Input]], name: Callable[[RootFile], Any]) -> str:
    told = []
    for item, first in twice:
        if item.file.path == first.file.path:
            told.append(f"{name(item.file)} is given twice")
        else:
            linked = item.file.path.samefile(first.file.path)
            same = "is the same file as" if linked else "is a copy of"
            told.append(f"{name(item.file)} {same} {name(first.file)}")
    return few(told, 5)
