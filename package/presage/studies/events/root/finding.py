"""Which ROOT files a user means: files, folders, wildcards, and what lies among them."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from presage.hashes import Stamp
from presage.studies.events.root.errors import BadFileError, RootError

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_SUFFIX = ".root"


@dataclass(frozen=True)
class RootFile:
    """One file, and the name it goes by whatever machine it lies on."""

    name: str  # path relative to the directory that was searched, with ``/``
    path: Path  # where it lies
    sha256: str = ""  # hash of its content, once it was read,
    stamp: Stamp | None = None  # and what changes when that does
    labels: Mapping[str, float] = field(default_factory=dict, hash=False)  # those in its path

    def bad(self, reason: str) -> BadFileError:
        """Return the error of a file that cannot be used."""
        return BadFileError(self.path, reason)


@dataclass
class Found:
    """What a search came to."""

    #: The ROOT files, in the order in which they are read.
    files: list[RootFile] = field(default_factory=list)
    #: Folders that cannot be listed, and why not.
    unread: list[tuple[Path, str]] = field(default_factory=list)
    #: Names of what was passed over: hidden files and folders, and other suffixes.
    others: list[str] = field(default_factory=list)
    loops: list[Path] = field(default_factory=list)  # links that lead back to a folder around them

    def said(self) -> list[str]:
        """Return what was passed over, a sentence for each kind."""
        told = [
            f"{path} is a link to a folder around it and is not followed" for path in self.loops
        ]
        if self.others:
            kinds = Counter(_kind(name) for name in self.others)
            shown = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common(4))
            more = ", ..." if len(kinds) > 4 else ""
            told.append(
                f"{len(self.others)} file(s) beside the ROOT files are not read: {shown}{more}"
            )
        return told


def _kind(name: str) -> str:
    return "hidden" if name.startswith(".") else f"*{Path(name).suffix or ' without suffix'}"


def split_tree(given: Paths) -> tuple[Paths, str]:
    """Return paths without the tree that ``file.root:tree`` names, and the tree.

    A file whose own name has the colon is taken as it is.
    """
    paths = listed(given)
    split = [_without_tree(path) for path in paths]
    trees = sorted({tree for _, tree in split})
    if trees in ([], [""]):
        return (given if isinstance(given, (str, os.PathLike)) else tuple(paths)), ""
    if len(trees) > 1:
        raise RootError(
            f"the files name different trees ({', '.join(map(repr, trees))}); read them one by one"
        )
    plain = tuple(path for path, _ in split)
    return (plain[0] if len(plain) == 1 else plain), trees[0]


def _without_tree(given: str | os.PathLike[str]) -> tuple[str | os.PathLike[str], str]:
    text = os.fspath(given)
    path, colon, tree = text.rpartition(":")
    if not colon or not tree or _URL.match(text) or os.path.lexists(_expanded(text)):
        return given, ""
    is_file = path.lower().endswith(_SUFFIX) or os.path.lexists(_expanded(path))
    return (path, tree) if is_file else (given, "")


def listed(given: Paths) -> list[str | os.PathLike[str]]:
    """Return one path, or several, as a list; refuse what is none."""
    paths = [given] if isinstance(given, (str, os.PathLike)) else list(given or ())
    if isinstance(given, Mapping) or not all(isinstance(p, (str, os.PathLike)) for p in paths):
        raise RootError(f"files= is a path or several of them, not {given!r:.80}")
    return paths


def _expanded(text: str) -> str:
    """Expand ``~`` and ``$NAME`` as a shell would, unless the path exists as it is."""
    return text if os.path.lexists(text) else os.path.expandvars(os.path.expanduser(text))  # noqa: PTH111


def find(paths: Paths) -> Found:
    """Search ROOT files in folders, or take those that are given, in a fixed order."""
    given = [os.fspath(path) for path in listed(paths)]
    if not all(given) or not given:
        raise RootError("no ROOT file or directory was given")
    found = Found()
    for number, text in enumerate(given):
        prefix = f"{number}/" if len(given) > 1 else ""
        before = len(found.files)
        for name, path in sorted(_meant(text, found)):
            found.files.append(RootFile(prefix + name, path))
        if len(found.files) == before and not found.unread:
            raise RootError(_nothing(text, found))
    return found


def _nothing(text: str, found: Found) -> str:
    others = sorted(found.others)[:3]
    hint = f"; there is {', '.join(others)}, ..." if others else "; it is empty"
    if Path(_expanded(text)).is_dir():
        return f"{text}: no .root file in this directory or below{hint}"
    return f"{text}: no .root file matches this pattern{hint if others else ''}"


def _meant(text: str, found: Found) -> Iterator[tuple[str, Path]]:
    """Yield name and path of the files that one text stands for."""
    path = Path(_expanded(text))
    if _URL.match(text) and not path.exists():
        raise RootError(
            f"{text}: files are read from disks only, not over a network; copy them first "
            "(xrdcp, curl -O, aws s3 cp) and give the copies"
        )
    if _is_dir(path):
        yield from _below(path, path, found)
    elif path.exists():
        yield path.name, path
    elif glob.has_magic(str(path)):
        yield from _matching(path, found)
    else:
        raise RootError(f"{text}: no such file or directory")


def _matching(pattern: Path, found: Found) -> Iterator[tuple[str, Path]]:
    """Yield what a pattern matches; names are relative to its part without wildcards."""
    parts = pattern.parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    base = Path(*parts[:fixed])
    if not _is_dir(base):
        raise RootError(f"{pattern}: no such directory: {base}")
    chosen = not parts[-1].endswith("*")  # the pattern itself says which suffix is meant
    names: dict[Path, str] = {}
    for path in _expand(base, parts[fixed:], found, set()):
        if _is_dir(path):
            names.update((inner, name) for name, inner in _below(path, base, found))
        elif chosen or _is_root(path.name):
            names[path] = path.relative_to(base).as_posix()
        else:
            found.others.append(path.name)
    yield from ((name, path) for path, name in names.items())


def _expand(
    folder: Path, parts: Sequence[str], found: Found, seen: set[tuple[Path, int]]
) -> Iterator[Path]:
    """Yield the paths that match the parts of a pattern one by one, as a shell does.

    Several ``**`` lead to a folder in many ways; it is `seen` once with so many parts to come.
    """
    if (folder, len(parts)) in seen:
        return
    seen.add((folder, len(parts)))
    if not parts:
        yield folder
        return
    part, *rest = parts
    if part == "**" and rest:
        yield from _expand(folder, rest, found, seen)
        for inner in _entries(folder, found):
            if _is_dir(inner) and not inner.name.startswith(".") and not _loops(inner, found):
                yield from _expand(inner, parts, found, seen)
    elif part == "**":
        yield folder
    elif not glob.has_magic(part):
        if (folder / part).exists():
            yield from _expand(folder / part, rest, found, seen)
    elif _is_dir(folder):
        for inner in _entries(folder, found):
            hidden = inner.name.startswith(".") and not part.startswith(".")
            if fnmatch.fnmatchcase(inner.name, part) and not hidden:
                yield from _expand(inner, rest, found, seen)
            elif fnmatch.fnmatchcase(inner.name.lower(), part.lower()):  # *.root and a.ROOT
                found.others.append(inner.name)


def _below(folder: Path, root: Path, found: Found) -> Iterator[tuple[str, Path]]:
    """Yield the ROOT files in a folder and below, named relative to where the search began."""
    for path in _entries(folder, found):
        if path.name.startswith("."):
            found.others.append(path.name)
        elif _is_dir(path):
            if not _loops(path, found):
                yield from _below(path, root, found)
        elif _is_root(path.name):
            yield path.relative_to(root).as_posix(), path
        else:
            found.others.append(path.name)


def _is_root(name: str) -> bool:
    return name.lower().endswith(_SUFFIX)


def _entries(folder: Path, found: Found) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        found.unread.append((folder, f"the folder cannot be listed: {error.strerror}"))
        return []


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # what may not be looked at is told when it is read
        return False


def _loops(folder: Path, found: Found) -> bool:
    """Note a link to a folder around it: what is there is read already."""
    if not folder.is_symlink():
        return False
    around = folder.absolute().parents
    loops = folder.resolve() in {*(p.resolve() for p in around), *folder.parent.resolve().parents}
    if loops:
        found.loops.append(folder)
    return loops
