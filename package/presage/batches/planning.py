"""Which plan a shuffle means for the rows at hand."""

from __future__ import annotations

from presage.batches.plan import BatchError, Plan
from presage.batches.rows import Rows


def plan_of(rows: Rows, shuffle: str, batch_size: int, seed: int, drop_last: bool) -> Plan:
    """Return the plan of a shuffle.

    Raises
    ------
    BatchError
        The rows cannot be read in such an order.
    """
    if shuffle == "aligned":
        return _aligned(rows, batch_size, seed, drop_last)
    if rows.made and shuffle != "none":
        raise BatchError(
            f"samples made on the fly come block by block: shuffle {shuffle!r} would make each "
            "many times over; give shuffle='aligned' or None"
        )
    if shuffle == "block":
        return Plan.blocks(rows.samples, batch_size, rows.row_bytes, seed, drop_last)
    return Plan(rows.samples, batch_size, seed, shuffle, drop_last=drop_last)


def _aligned(rows: Rows, batch_size: int, seed: int, drop_last: bool) -> Plan:
    if not rows.block:
        raise BatchError(
            "shuffle='aligned' goes by a simulator's blocks: it needs samples of one "
            "simulator, without holes and from the beginning of a block on"
        )
    kind = "stream" if rows.fresh else "aligned"
    size = rows.row_bytes
    return Plan.aligned(rows.samples, batch_size, size, rows.block, seed, drop_last, kind)
