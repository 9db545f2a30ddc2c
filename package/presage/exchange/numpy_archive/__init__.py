"""Users' ``.npy`` headers and ``.npz`` archives, read without trust.

No pickle is ever run, and no length that a file declares is believed before it has been held
against what is there.
"""

from __future__ import annotations

from presage.exchange.numpy_archive.archive import Member, open_archive
from presage.exchange.numpy_archive.header import MAGIC, Header, NumpyFileError, mapped, read_header

__all__ = [
    "MAGIC",
    "Header",
    "Member",
    "NumpyFileError",
    "mapped",
    "open_archive",
    "read_header",
]
