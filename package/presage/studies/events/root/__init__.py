"""ROOT files of events: a reader of users' files and a writer of the same layout."""

from __future__ import annotations

from presage.studies.events.root.columns import Column
from presage.studies.events.root.errors import RootError
from presage.studies.events.root.layout import FEDHEX, Layout, Range
from presage.studies.events.root.reader import RootReader
from presage.studies.events.root.survey import Survey
from presage.studies.events.root.writer import write_root

__all__ = [
    "FEDHEX",
    "Column",
    "Layout",
    "Range",
    "RootError",
    "RootReader",
    "Survey",
    "write_root",
]
