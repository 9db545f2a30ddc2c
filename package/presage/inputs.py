"""Users' files: named by what they hold, not where they are; what is left out is said."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from presage.hashes import content_hashes
from presage.labels.caller import warn_caller
from presage.labels.errors import check_choices

MEBIBYTE = 2**20

_CHANGED = (
    "{} was changed since it was named ({}); name it again, or make the reader again, to use the "
    "new content, which gives other datasets"
)


class InputError(ValueError):
    """An input file is missing, too large, or not what it was."""


class InputWarning(UserWarning):
    """Something that a user gave is not used, or not as it was given; it is said how much."""


@dataclass(frozen=True)
class LeftOut:
    """What of a user's files is not in a dataset."""

    counts: str = ""  # all numbers in one sentence, those of what was asked for (a cut) included
    said: tuple[str, ...] = ()  # what was not, or is easily overlooked, a sentence each

    def __str__(self) -> str:
        return "; ".join(filter(None, (self.counts, *self.said)))

    def warn(self) -> None:
        """Say it on the terminal and in the notebook."""
        for sentence in self.said:
            warn_caller(sentence, InputWarning)


@dataclass(frozen=True, init=False)
class FileInput:
    """A file that results follow from: weights of an amplifier, a table, a sky map.

    Its content is hashed here (:mod:`presage.hashes`). A recipe holds name, hash and size, and
    no path: the same file elsewhere is the same input, and another content is another dataset.

    Parameters
    ----------
    path
        The file.
    limit
        Largest size in bytes that is accepted; :meth:`read_bytes` holds it all.

    Raises
    ------
    InputError
        There is no such file, or it is larger than `limit`.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "gain.txt").write_text("3.0")
    >>> gain = FileInput(folder / "gain.txt")
    >>> float(gain.read_bytes()), gain.size
    (3.0, 3)
    """

    name: str
    sha256: str
    size: int
    path: Path = field(init=False, compare=False)

    def __init__(self, path: str | Path, limit: int = 1 << 30) -> None:
        where = Path(path).expanduser().absolute()
        size, sha256 = _hash(where, limit)
        values = {"name": where.name, "sha256": sha256, "size": size, "path": where}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def of_reader(cls, given: FileInput | str | os.PathLike[str]) -> FileInput:
        """Return a file that is read piece by piece: of any size, but that of a disk."""
        return given if isinstance(given, FileInput) else cls(Path(given), 1 << 40)

    def check_unchanged(self) -> None:
        """Raise unless the file is still what it was.

        Raises
        ------
        InputError
            It is gone, or holds something else than when it was named.
        """
        if FileInput(self.path, 1 << 62) != self:
            raise InputError(_CHANGED.format(self.path, self.name))

    def read_bytes(self) -> bytes:
        """Return the content.

        Raises
        ------
        InputError
            The file is gone, or holds something else than when it was named.
        """
        try:
            with self.path.open("rb") as file:
                content = file.read(self.size + 1)
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error}") from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise InputError(_CHANGED.format(self.path, self.name))
        return content


def _hash(path: Path, limit: int) -> tuple[int, str]:
    """Return size and SHA-256 of a file that is not larger than the limit."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not path.is_file():
        raise InputError(f"{path} is no file; give the path of one")
    if size > limit:
        raise InputError(
            f"{path} is larger than {limit} bytes; is it the right file? "
            "FileInput(path, limit=...) accepts more"
        )
    (sha256,) = content_hashes([path])
    if isinstance(sha256, OSError):
        raise InputError(f"{path} cannot be read: {sha256}") from sha256
    return size, sha256


def check_settings(reader: Any, error: type[ValueError], **choices: Sequence[str]) -> None:
    """Refuse settings of a reader that are none of their `choices`, and too little `memory`."""
    check_choices(reader, error, **choices)
    if reader.memory < MEBIBYTE:
        raise error(f"memory is at least {MEBIBYTE} bytes, got {reader.memory}")
