"""What goes wrong with users' ROOT files and with the expressions over their branches."""

from __future__ import annotations


class RootError(ValueError):
    """A file, a tree, a branch, an expression or a value is not what was asked for."""

    def __init__(self, message: str) -> None:
        # Names inside a damaged file may hold bytes that no terminal can print.
        super().__init__(message.encode("utf-8", "backslashreplace").decode())


class RootWarning(UserWarning):
    """Something was left out, and it is said how much."""
