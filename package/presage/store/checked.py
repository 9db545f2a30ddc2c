"""When a dataset's files were last hashed in full, and what came of it.

The result lies in the dataset's folder and goes away with it. It decides nothing: whoever
opens a file checks it all the same. A file that was written to since is known by its size
and time of change.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from presage.store.files import replace
from presage.store.files import text as written
from presage.store.sidecar import utc_now

FILE = ".checked.json"
_MAX_BYTES = 16 << 20

Stamp = tuple[int, int]


@dataclass(frozen=True)
class Checked:
    """The result of hashing all files of a dataset."""

    when: str  # UTC, ISO 8601
    files: Mapping[str, Stamp]  # name → size and time of the last change, of each that was hashed
    problems: tuple[str, ...] = ()  # what was wrong

    def unchanged(self, paths: Iterable[Path]) -> bool:
        """Whether these are the files that were hashed, and none was written to since."""
        return stamps(paths) == self.files


def stamps(paths: Iterable[Path]) -> dict[str, Stamp]:
    """Return size and time of the last change of those files that are there."""
    found = {}
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            found[path.name] = (status.st_size, status.st_mtime_ns)
    return found


def remember(folder: Path, files: Mapping[str, Stamp], problems: Sequence[str]) -> None:
    """Note the result of a check, where the store can be written to.

    `files` are :func:`stamps` from before it: what is written to meanwhile does not count.
    """
    text = json.dumps(asdict(Checked(utc_now(), files, tuple(problems))), sort_keys=True)
    with contextlib.suppress(OSError):
        if folder.is_dir():  # it may have been removed meanwhile
            replace(folder / FILE, written(text))


def recall(folder: Path) -> Checked | None:
    """Return the last result, None where there is none that can be read."""
    path = folder / FILE
    try:
        if path.stat().st_size > _MAX_BYTES:
            return None
        held = json.loads(path.read_text(encoding="utf-8"))
        files = {str(name): (int(size), int(time)) for name, (size, time) in held["files"].items()}
        return Checked(str(held["when"]), files, tuple(map(str, held["problems"])))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
