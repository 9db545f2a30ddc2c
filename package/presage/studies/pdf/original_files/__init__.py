"""Files of event sets that the original system wrote, read without trust."""

from presage.studies.pdf.original_files.layouts import ORIGINAL_PROBLEMS as ORIGINAL_PROBLEMS
from presage.studies.pdf.original_files.reader import OriginalFile as OriginalFile
