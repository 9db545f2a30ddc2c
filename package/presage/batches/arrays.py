"""Samples that lie in arrays, in memory or in mapped files."""

from __future__ import annotations

from collections.abc import Container, Mapping

from presage.batches.source import BatchSource
from presage.batches.tables import Buffers, Table
from presage.labels import Array
from presage.positions import Positions
from presage.store.mapping import read_ahead


class ArraySource(BatchSource):
    """Samples that lie in arrays of `tables`, in batches in the order of `names`.

    `flat` is ragged variable → ragged dimension. `order` is the position in the dataset of each
    position of the plan, None where they are the same: what is not in stored order is read in
    stored order. `block` is the samples of a block of their simulator where position 0 begins one
    and none is left out, else 0.
    """

    fresh = False
    names: tuple[str, ...] = ()

    def __init__(
        self,
        samples: int,
        tables: tuple[Table, ...],
        names: tuple[str, ...],
        flat: Mapping[str, str],
        order: Positions | None = None,
        block: int = 0,
    ) -> None:
        self.samples, self.tables, self.names = samples, tables, names
        self.flat, self._order, self.block = flat, order, block
        self.row_bytes = sum(table.row_bytes for table in tables)
        self.mapped_bytes = sum(table.row_bytes for table in tables if table.mapped) * samples

    def gather(self, numbers: Positions, epoch: int, buffers: Buffers) -> dict[str, Array]:
        """Return the rows at these positions."""
        found = self.gather_some(numbers, buffers)
        return {name: found[name] for name in self.names}

    def gather_some(
        self, numbers: Positions, buffers: Buffers, names: Container[str] | None = None
    ) -> dict[str, Array]:
        """Return the rows at these positions of some variables, in any order."""
        found: dict[str, Array] = {}
        for table in self.tables:
            found.update(table.gather(numbers, buffers, names))
        return found

    def table_of(self, name: str) -> Table:
        """Return the table of a variable that is not ragged."""
        return next(table for table in self.tables if name in table.dense)

    def all_arrays(self) -> dict[str, Array]:
        """Return all samples; arrays in memory that are all of them as they are, not copied."""
        plain = [t.dense for t in self.tables if t.numbers is None and not t.mapped]
        whole = {n: pieces[0] for dense in plain for n, pieces in dense.items()
                 if len(pieces) == 1 and pieces[0].flags.writeable}  # fmt: skip
        if set(self.names) <= set(whole):
            return {name: whole[name] for name in self.names}
        return super().all_arrays()

    def read_ahead(self, start: int, stop: int) -> None:
        """Let the kernel read the mapped files of these positions, without waiting for it."""
        for table in self.tables:
            for array in table.runs(start, stop):
                read_ahead(array)
