"""Adding rows of several arrays at the speed of memory.

Rows are added where they lie, a tile at a time: a tile of the sum stays in the processor's cache
until all terms are in it, so that each term is read once and the sum written once. Terms are
added in their order, so the numbers do not depend on how the work is cut.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from presage.batches.tables import Table
from presage.labels import Array
from presage.positions import Positions

_TILE = 512 << 10  # bytes: smaller ones cost calls, larger ones leave the cache


def add_rows(terms: Sequence[tuple[Table, str, Positions]], out: Array) -> None:
    """Write to `out` ``[row, ...]``, of the widest type, the sum of some rows of two terms or more.

    A term is table, variable and positions ``[row]``; all are alike but for lengths and the width
    of floats.
    """
    if len(out) and out[0].nbytes >= _TILE:
        _by_row(terms, out)
    else:
        _together(terms, out)


def _by_row(terms: Sequence[tuple[Table, str, Positions]], out: Array) -> None:
    step = _TILE // out.itemsize
    rows = zip(*(table.views(name, positions) for table, name, positions in terms), strict=True)
    for target, parts in zip(out.reshape(len(out), -1), rows, strict=True):
        for low in range(0, len(target), step):
            tile = slice(low, low + step)
            total = np.add(parts[0][tile], parts[1][tile], out=target[tile], dtype=out.dtype)
            for part in parts[2:]:
                np.add(total, part[tile], out=total)


def _together(terms: Sequence[tuple[Table, str, Positions]], out: Array) -> None:
    step = max(1, _TILE // max(1, out[:1].nbytes))
    kinds = {table.dense[name][0].dtype for table, name, _ in terms}
    scratch = {kind: np.empty((min(step, len(out)), *out.shape[1:]), kind) for kind in kinds}
    for low in range(0, len(out), step):
        total = out[low : low + step]
        for place, (table, name, positions) in enumerate(terms):
            kind = table.dense[name][0].dtype
            direct = place == 0 and kind == total.dtype
            part = total if direct else scratch[kind][: len(total)]
            table.take(name, positions[low : low + step], part)
            if not direct:
                np.add(total if place else 0, part, out=total)
