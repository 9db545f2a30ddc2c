"""What goes wrong with users' NumPy files."""

from __future__ import annotations

from presage.labels import LabelError


class NumpyFileError(LabelError):
    """A NumPy file is damaged, holds what is not read, or not what was asked for."""

    def __init__(self, message: str) -> None:
        # Names inside a damaged file may hold bytes that no terminal can print.
        super().__init__(message.encode("utf-8", "backslashreplace").decode())
