"""The directory of datasets: publish, open, list, check, remove."""

from presage.lineage import parent_of, take
from presage.store.entry import StoreWarning
from presage.store.files import StoreError
from presage.store.identity import made_rows, parents_of, stored_rows
from presage.store.lazy import Rows
from presage.store.listing import EntryInfo
from presage.store.store import Store

__all__ = [
    "EntryInfo",
    "Rows",
    "Store",
    "StoreError",
    "StoreWarning",
    "made_rows",
    "parent_of",
    "parents_of",
    "stored_rows",
    "take",
]
