"""Names that people give to datasets: a small text file each, in the store's ``.tags``."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from presage.store.files import StoreError, replace, text

_FOLDER = ".tags"
_NAME = re.compile(r"\w[\w.+-]{0,99}")
_KEY = re.compile(r"[0-9a-f]{64}")


def write_tag(root: Path, name: str, key: str) -> None:
    """Let a name mean this key, whatever it meant before."""
    if not _NAME.fullmatch(name) or re.fullmatch(r"[0-9a-f]+", name):
        raise StoreError(
            f"a name has letters, digits and _.+- and is no number of a key, got {name!r}; "
            "for example best-flow"
        )
    replace(root / _FOLDER / name, text(key + "\n"))


def remove_tag(root: Path, name: str) -> None:
    """Forget a name; the dataset stays."""
    (root / _FOLDER / name).unlink(missing_ok=True)


def read_tags(root: Path) -> dict[str, str]:
    """Return name → key, sorted; what is no such file is passed over."""
    found = {}
    for path in sorted((root / _FOLDER).glob("[!.]*")):
        with contextlib.suppress(FileNotFoundError):  # another process has just taken it away
            content = path.read_bytes()[:65].decode("ascii", "replace").strip()
            if _NAME.fullmatch(path.name) and _KEY.fullmatch(content):
                found[path.name] = content
    return found
