"""When a dataset's files were last hashed in full, and what came of it.

The result lies in the dataset's folder and goes away with it. It decides nothing: whoever
opens a file checks it all the same. A file that was written to since is known by its stamp.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from presage.hashes import Stamp, stamp
from presage.store.files import MISREAD, replace, small_text
from presage.store.files import text as written
from presage.store.sidecar import utc_now

FILE = ".checked.json"


@dataclass(frozen=True)
class Checked:
    """The result of hashing all files of a dataset."""

    when: str  # UTC, ISO 8601
    files: Mapping[str, Stamp]  # name → stamp, of each that was hashed
    problems: tuple[str, ...] = ()  # what was wrong

    def unchanged(self, paths: Iterable[Path]) -> bool:
        """Whether these are the files that were hashed, and none was written to since."""
        return stamps(paths) == self.files


def stamps(paths: Iterable[Path]) -> dict[str, Stamp]:
    """Return the stamps of those files that are there."""
    found = {}
    for path in paths:
        with contextlib.suppress(OSError):  # it is not there, or no file
            found[path.name] = stamp(path)
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
    try:
        held = json.loads(small_text(folder / FILE))
        files = {str(n): (int(a), int(b), int(c), int(d))
                 for n, (a, b, c, d) in held["files"].items()}  # fmt: skip
        return Checked(str(held["when"]), files, tuple(map(str, held["problems"])))
    except (OSError, *MISREAD):
        return None
