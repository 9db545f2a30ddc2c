"""NumPy files of events: FEDHEX's dictionaries, archives and plain arrays, read without trust."""

from presage.exchange.numpy_archive import NumpyFileError as NumpyFileError
from presage.studies.events.numpy_files.reader import NumpyReader as NumpyReader
