"""When a dataset's files were last hashed in full, and what came of it.

The result lies in the dataset's folder and goes away with it. It decides nothing: whoever
opens a file checks it all the same. A file that was written to since is known by its size
and time of change.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from presage.store.files import replace
from presage.store.files import text as written

FILE = ".checked.json"
_MAX_BYTES = 16 << 20

Stamp = tuple[int, int]


@dataclass(frozen=True)
class Checked:
    """The result of hashing all files of a dataset.

    Attributes
    ----------
    when
        UTC, ISO 8601.
    files
        Name → size and time of the last change, of each file that was hashed.
    problems
        What was wrong.
    """

    when: str
    files: Mapping[str, Stamp]
    problems: tuple[str, ...] = ()

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

    Parameters
    ----------
    folder
        The dataset's.
    files
        :func:`stamps` from before the check: what is written to meanwhile does not count.
    problems
        What was wrong.
    """
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    text = json.dumps(asdict(Checked(when, files, tuple(problems))), sort_keys=True)
    with contextlib.suppress(OSError):
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
