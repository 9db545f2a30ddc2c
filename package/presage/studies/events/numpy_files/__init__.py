"""NumPy files of events: FEDHEX's dictionaries, archives and plain arrays, read without trust."""

from __future__ import annotations

from presage.exchange.numpy_archive import NumpyFileError
from presage.studies.events.numpy_files.reader import NumpyReader

__all__ = ["NumpyFileError", "NumpyReader"]
