"""ROOT files of events: a reader of users' files and a writer of the same layout."""

from presage.studies.events.root.columns import Column as Column
from presage.studies.events.root.errors import RootError as RootError
from presage.studies.events.root.layout import FEDHEX as FEDHEX
from presage.studies.events.root.layout import Layout as Layout
from presage.studies.events.root.layout import Range as Range
from presage.studies.events.root.reader import RootReader as RootReader
from presage.studies.events.root.survey import Survey as Survey
from presage.studies.events.root.writer import write_root as write_root
