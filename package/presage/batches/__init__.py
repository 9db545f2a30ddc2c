"""Shuffled minibatches by dimension name, shared among ranks, exactly resumable."""

from presage.batches.batches import Batches
from presage.batches.cutting import padded
from presage.batches.labelled import Labelled, block_size, open_source
from presage.batches.loader import Batch
from presage.batches.plan import BatchError, Plan, Share
from presage.batches.pools import Paired
from presage.batches.source import BatchSource
from presage.batches.tables import Buffers

__all__ = [
    "Batch",
    "BatchError",
    "BatchSource",
    "Batches",
    "Buffers",
    "Labelled",
    "Paired",
    "Plan",
    "Share",
    "block_size",
    "open_source",
    "padded",
]
