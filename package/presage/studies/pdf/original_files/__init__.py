"""Files of event sets that the original system wrote, read without trust."""

from __future__ import annotations

from presage.studies.pdf.original_files.layouts import ORIGINAL_PROBLEMS
from presage.studies.pdf.original_files.reader import OriginalFile

__all__ = ["ORIGINAL_PROBLEMS", "OriginalFile"]
