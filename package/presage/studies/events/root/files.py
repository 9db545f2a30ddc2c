"""ROOT files on disk: finding them, reading their paths, opening them with clear errors."""

from __future__ import annotations

import functools
import os
import re
import string
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from presage.labels import nearest
from presage.studies.events.root.errors import RootError

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True)
class RootFile:
    """One file, and the name it goes by whatever machine it lies on.

    Parameters
    ----------
    name
        Path relative to the directory that was searched, with ``/``.
    path
        Where it lies.
    """

    name: str
    path: Path


def find(paths: Paths) -> tuple[RootFile, ...]:
    """Return all ROOT files below directories (or the files given), in a fixed order.

    Parameters
    ----------
    paths
        A file, a directory that is searched with all below it, or several of them.

    Raises
    ------
    RootError
        A path does not exist, a directory holds no ``.root`` file, or a file comes twice.
    """
    roots = [Path(p) for p in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    if not roots:
        raise RootError("no ROOT file or directory was given")
    found: list[RootFile] = []
    for number, root in enumerate(roots):
        prefix = f"{number}/" if len(roots) > 1 else ""
        found += [RootFile(prefix + name, path) for name, path in _below(root)]
    seen: dict[Path, RootFile] = {}
    for file in found:
        twice = seen.setdefault(file.path.resolve(), file)
        if twice is not file:
            raise RootError(f"{file.path} is given twice; its events would count twice")
    return tuple(found)


def _below(root: Path) -> list[tuple[str, Path]]:
    if root.is_file():
        return [(root.name, root)]
    if not root.is_dir():
        raise RootError(f"{root}: no such file or directory")
    paths = [Path(top) / name for top, _, names in os.walk(root) for name in names]
    found = sorted((p.relative_to(root).as_posix(), p) for p in paths if p.suffix == ".root")
    if not found:
        others = sorted(p.name for p in paths)[:3]
        hint = f"; there is {', '.join(others)}, ..." if others else "; it is empty"
        raise RootError(f"{root}: no .root file in this directory or below{hint}")
    return found


_NUMBER = r"[-+]?\d+(?:[p.]\d+)?(?:[eE][-+]?\d+)?"


@functools.lru_cache(maxsize=64)
def _regular(pattern: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    names: list[str] = []
    regular = r"(?<![A-Za-z0-9])"
    for literal, name, *_ in string.Formatter().parse(pattern):
        regular += re.escape(literal)
        if name is not None:
            if not name.isidentifier() or name in names:
                raise RootError(
                    f"path pattern {pattern!r}: {{{name}}} should be a label's name, once each"
                )
            names.append(name)
            regular += f"(?P<{name}>{_NUMBER})"
    if not names:
        raise RootError(
            f"path pattern {pattern!r} names no label; write one as 'Phi_{{phi_label}}'"
        )
    return re.compile(regular + r"(?![0-9])"), tuple(names)


def path_names(pattern: str) -> tuple[str, ...]:
    """Return the label names in a path pattern such as ``Phi_{phi}_omega_{omega}``."""
    return _regular(pattern)[1] if pattern else ()


def path_labels(pattern: str, file: RootFile) -> dict[str, float]:
    """Read labels from a file's path; ``p`` stands for the decimal point.

    Parameters
    ----------
    pattern
        Fixed text and ``{names}``; ``Phi_{phi}_omega_{omega}`` reads 1870 and 9.025 from
        ``.../Phi_1870_omega_9p025/events.root``. Empty: there are none.
    file
        The path below the searched directory is tried first, then the whole path; the
        last match counts.

    Raises
    ------
    RootError
        The pattern does not match.
    """
    if not pattern:
        return {}
    regular, names = _regular(pattern)
    for text in (file.name, file.path.resolve().as_posix()):
        matches = list(regular.finditer(text))
        if matches:
            return {name: float(matches[-1][name].replace("p", ".")) for name in names}
    example = re.sub(r"\{.*?\}", "9p025", pattern)
    raise RootError(
        f"{file.name}: the path does not match {pattern!r}; expected something like {example!r}"
    )


@contextmanager
def reading(file: RootFile) -> Iterator[None]:
    """Turn whatever goes wrong inside the ROOT library into an error that names the file.

    A damaged file can make its reader raise nearly any exception.
    """
    try:
        yield
    except (RootError, GeneratorExit):
        raise
    except Exception as error:
        raise RootError(
            f"{file.path}: the file cannot be read, it is damaged or of an unknown kind "
            f"({type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else '-'})"
        ) from error


@contextmanager
def open_tree(file: RootFile, name: str, limit: int) -> Iterator[Any]:
    """Open a tree.

    Parameters
    ----------
    file
        Where it is.
    name
        Its name, with directories inside the file before it.
    limit
        Largest description of a tree that is read, bytes.

    Raises
    ------
    RootError
        Not a ROOT file, truncated, or no such tree.
    """
    import uproot

    _check_header(file)
    with reading(file):
        handle = uproot.open(file.path, handler=uproot.MemmapSource)
    with handle:
        yield _tree(handle, file, name, limit)


def _check_header(file: RootFile) -> None:
    """Check the first bytes: magic, and the length that the header tells."""
    size = file.path.stat().st_size
    if size == 0:
        raise RootError(f"{file.path}: the file is empty (0 bytes)")
    with file.path.open("rb") as stream:
        head = stream.read(20)
    if not head.startswith(b"root"):
        raise RootError(f"{file.path}: not a ROOT file, it begins with {head[:8]!r}")
    if len(head) < 20:
        raise RootError(f"{file.path}: truncated, only {size} bytes are there")
    version, _ = struct.unpack(">ii", head[4:12])
    (end,) = (
        struct.unpack(">q", head[12:20])
        if version >= 1_000_000
        else struct.unpack(">i", head[12:16])
    )
    if size < end:
        raise RootError(
            f"{file.path}: truncated, it has {size} bytes of the {end} that its header tells; "
            "copy it again"
        )


def _tree(handle: Any, file: RootFile, name: str, limit: int) -> Any:
    with reading(file):
        kinds = handle.classnames(cycle=False)
    trees = sorted(key for key, kind in kinds.items() if kind in ("TTree", "TNtuple", "TNtupleD"))
    if name not in kinds:
        listed = f" (its trees: {', '.join(trees)})" if trees else " (it holds no tree)"
        raise RootError(f"{file.path}: no tree {name!r}{nearest(name, trees)}{listed}")
    if name not in trees:
        raise RootError(
            f"{file.path}: {name!r} is a {kinds[name]}, not a TTree; only TTrees are read"
        )
    with reading(file):
        declared = handle.key(name).data_uncompressed_bytes
        if declared > limit:
            raise too_large(file, f"the description of tree {name!r}", declared, limit)
        return handle[name]


def too_large(file: RootFile, what: str, declared: int, limit: int) -> RootError:
    """Return the error for a part of a file that would take too much memory."""
    return RootError(
        f"{file.path}: {what} declares {declared} bytes, more than memory={limit}; "
        "raise memory= if you trust the file"
    )
