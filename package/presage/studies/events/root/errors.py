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
    """One file or folder cannot be used: it cannot be read, or is not of the layout asked for."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason


class TooLargeError(BadFileError):
    """A part of a file would take more memory than is allowed: a setting, no fault of the file."""

    def __init__(self, path: Path, what: str, declared: int, limit: int) -> None:
        super().__init__(
            path,
            f"{what} declares {declared} bytes, more than memory={limit}; raise memory= if you "
            "trust the file",
        )


def joined(bad: Sequence[BadFileError], total: int, hint: str = "") -> RootError:
    """Return one error for all files that cannot be used, with a hint below it."""
    if len(bad) == 1 and total == 1:
        return RootError(f"{bad[0]}\n{hint}") if hint else bad[0]
    by_reason: dict[str, list[BadFileError]] = {}
    for error in bad:
        by_reason.setdefault(error.reason, []).append(error)
    lines = [
        f"  {error.path}: {'the same' if number else error.reason}"
        for errors in sorted(by_reason.values(), key=len)  # what is rare is not cut off
        for number, error in enumerate(errors)
    ][:_SHOWN]
    if len(bad) > _SHOWN:
        lines.append(f"  and {len(bad) - _SHOWN} more")
    lines += [hint] if hint else []
    others = "; bad_files='skip' (-p bad_files skip) leaves them out" if len(bad) < total else ""
    return RootError(f"{len(bad)} of {total} files cannot be used{others}:\n" + "\n".join(lines))
