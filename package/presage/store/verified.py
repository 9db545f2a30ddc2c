"""Which files were hashed already: once in a process, and not again in its workers.

A file is known by its path and stamp, so one that was replaced or written to is hashed again.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from presage.hashes import stamp

Stamp = tuple[str, int, int, int, int]

_STAMPS: set[Stamp] = set()  # of this process: several stores may lead to one file


def remember(path: Path) -> None:
    """Note that a file holds what its sidecar says."""
    _STAMPS.add(_stamp(path))


def is_known(path: Path) -> bool:
    """Whether the file was hashed before and is unchanged since."""
    return _stamp(path) in _STAMPS


def known(paths: Iterable[Path]) -> tuple[Stamp, ...]:
    """Return the stamps of those files that are known, for another process to trust."""
    there = (path for path in paths if path.exists())
    return tuple(known for known in map(_stamp, there) if known in _STAMPS)


def trust(stamps: Iterable[Stamp]) -> None:
    """Take over what another process has hashed."""
    _STAMPS.update(stamps)


def _stamp(path: Path) -> Stamp:
    return str(path.absolute()), *stamp(path)
