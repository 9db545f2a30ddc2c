"""The files of one dataset: found, told apart by content, labelled by their paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from presage.hashes import content_hashes, stamp
from presage.labels.errors import few
from presage.studies.events.root.errors import BadFileError, RootError
from presage.studies.events.root.finding import Paths, RootFile, find
from presage.studies.events.root.path_labels import path_labels

#: A file, and the one before it that it repeats.
_Pair = tuple[RootFile, RootFile]


@dataclass(frozen=True)
class Gathered:
    """What is read and what is not."""

    files: tuple[RootFile, ...]  # in the order in which they are read
    #: Folders that cannot be listed; files that cannot be opened or whose path has no labels.
    bad: tuple[BadFileError, ...]
    said: tuple[str, ...]  # what was passed over or is there twice, a sentence each


def gather(paths: Paths, pattern: str, duplicates: str) -> Gathered:
    """Find, hash and label the files; for the arguments see :class:`RootReader`."""
    found = find(paths)
    bad = [BadFileError(path, reason) for path, reason in found.unread]
    files = []
    for file, sha256 in zip(
        found.files, content_hashes([f.path for f in found.files]), strict=True
    ):
        try:
            if isinstance(sha256, OSError):
                raise file.bad(f"the file cannot be read: {sha256.strerror}")
            labels = path_labels(pattern, file)
            files.append(replace(file, sha256=sha256, stamp=stamp(file.path), labels=labels))
        except BadFileError as error:
            bad.append(error)
    once, twice = _told_apart(files)
    said = [*found.said(), *_about_twice(twice, duplicates)]
    return Gathered(tuple(files if duplicates == "keep" else once), tuple(bad), tuple(said))


def _told_apart(files: Sequence[RootFile]) -> tuple[list[RootFile], list[_Pair]]:
    """Return the files without repetitions, and each repetition with what it repeats."""
    once: list[RootFile] = []
    twice: list[_Pair] = []
    seen: dict[str, RootFile] = {}
    for file in files:
        # Content tells all: one path given twice, links of either kind, and copies. Files of
        # 0 bytes are all alike, and are told to be empty.
        first = seen.setdefault(file.sha256, file) if file.stamp and file.stamp[0] else file
        if first is file:
            once.append(file)
        else:
            twice.append((file, first))
    return once, twice


def _about_twice(twice: Sequence[_Pair], duplicates: str) -> list[str]:
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


def _shown(twice: Sequence[_Pair], name: Callable[[RootFile], Any]) -> str:
    told = []
    for file, first in twice:
        if file.path == first.path:
            told.append(f"{name(file)} is given twice")
        else:
            same = "is the same file as" if file.path.samefile(first.path) else "is a copy of"
            told.append(f"{name(file)} {same} {name(first)}")
    return few(told, 5)
