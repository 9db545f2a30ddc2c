"""The directory of datasets: publish, open, list, check, remove."""

from presage.lineage import parent_of as parent_of
from presage.lineage import take as take
from presage.store.entry import StoreWarning as StoreWarning
from presage.store.files import StoreError as StoreError
from presage.store.identity import made_rows as made_rows
from presage.store.identity import parents_of as parents_of
from presage.store.identity import stored_rows as stored_rows
from presage.store.lazy import Rows as Rows
from presage.store.listing import EntryInfo as EntryInfo
from presage.store.store import Store as Store
