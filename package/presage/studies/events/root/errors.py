"""What goes wrong with users' ROOT files and with the expressions over their branches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_SHOWN = 20


class RootError(ValueError):
    """A file, a tree, a branch, an expression or a value is not what was asked for."""

    def __init__(self, message: str) -> None:
        # Names inside a damaged file may hold bytes that no terminal can print.
        super().__init__(message.encode("utf-8", "backslashreplace").decode())


class BadFileError(RootError):
    """One file cannot be used: it cannot be read, or is not of the layout asked for.

    Parameters
    ----------
    path
        The file, or a folder.
    reason
        Why, in a sentence.
    hint
        What is said once, below all of them.
    """

    def __init__(self, path: Path, reason: str, hint: str = "") -> None:
        super().__init__(f"{path}: {reason}" + (f"\n{hint}" if hint else ""))
        self.path, self.reason, self.hint = path, reason, hint


class TooLargeError(BadFileError):
    """A part of a file would take more memory than is allowed: a setting, no fault of the file."""

    def __init__(self, path: Path, what: str, declared: int, limit: int) -> None:
        super().__init__(
            path,
            f"{what} declares {declared} bytes, more than memory={limit}; raise memory= if you "
            "trust the file",
        )


def joined(bad: Sequence[BadFileError], total: int) -> RootError:
    """Return one error for all files that cannot be used."""
    if len(bad) == 1 and total == 1:
        return bad[0]
    lines = [f"  {error.path}: {error.reason}" for error in bad[:_SHOWN]]
    if len(bad) > _SHOWN:
        lines.append(f"  and {len(bad) - _SHOWN} more")
    lines += [error.hint for error in bad if error.hint][:1]
    return RootError(
        f"{len(bad)} of {total} files cannot be used; bad_files='skip' would leave them out:\n"
        + "\n".join(lines)
    )
