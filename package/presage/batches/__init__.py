"""Shuffled minibatches by dimension name, shared among ranks, exactly resumable."""

from presage.batches.loader import Batch, Batches
from presage.batches.plan import BatchError, Plan, Share
from presage.batches.sources import block_size

__all__ = ["Batch", "BatchError", "Batches", "Plan", "Share", "block_size"]
