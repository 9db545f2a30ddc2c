"""Files of other programs, of which nothing is believed: one budget for all of them.

What a file declares is held against the file's own size before anything of that size is made.
"""

from __future__ import annotations

import ast
import re
import tomllib
import warnings
from pathlib import Path
from stat import S_ISREG
from typing import Any

from presage.labels import LabelError

#: What a file may unpack to whatever its size, and how many times its size if that is more:
#: measured numbers compress a few times, a bomb a thousand times.
FREE, RATIO = 256 << 20, 100
#: Bytes of the longest text that is parsed.
MAX_TEXT = 1 << 20
#: ``a.b.c`` with very many parts: tomllib takes hours over one of a megabyte.
_MANY_PARTS = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}""")


def file_size(path: Path) -> int:
    """Return the size of a regular file: a pipe or a device would be read without end.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    LabelError
        It is none.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"there is no file {path}") from None
    if not S_ISREG(status.st_mode):
        raise LabelError(f"{path} is a folder, a pipe or a device; give the path of a file")
    return status.st_size


def most_bytes(size: int) -> int:
    """Return how many bytes of arrays a file of `size` bytes may declare."""
    return max(FREE, RATIO * size)


def unpacks_too_far(declared: int, size: int) -> str:
    """Return what is wrong with a file of `size` bytes that declares so many, empty for nothing."""
    if declared <= most_bytes(size):
        return ""
    return (
        f"{size} bytes declare {declared} bytes of arrays, more than {RATIO} times as many; "
        "measured numbers do not compress like that"
    )


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of at most :data:`MAX_TEXT` bytes.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    LabelError
        It is no regular file, too long, or no TOML.
    """
    if (size := file_size(path)) > MAX_TEXT:
        raise LabelError(f"{path} has {size} bytes; at most {MAX_TEXT} are read as TOML")
    try:
        text = path.read_text(encoding="utf-8")
        parts = _MANY_PARTS.search(text)
        held = {} if parts else tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # no UTF-8, huge integers, nested too deeply
        why = "nested too deeply" if isinstance(error, RecursionError) else error
        raise LabelError(f"{path} is not TOML: {why}") from error
    if parts:
        raise LabelError(f"{path}: {parts[0][:20]}... is a key of more than 64 parts")
    return held


def literal(text: str) -> Any:
    """Return the Python literal that a text spells.

    Raises
    ------
    ValueError
        It spells none, or one that is nested too deeply.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of "1or x", which is none
            return ast.literal_eval(text.strip())
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"no literal: {text[:60]!r}") from error
