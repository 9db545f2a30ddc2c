"""Everything that the batches of a source are gathered from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from presage.batches.epoch import Epoch
from presage.batches.made import MadeTable
from presage.batches.mapping import read_ahead
from presage.batches.shares import Positions, Share
from presage.batches.tables import Pool, Table
from presage.labels import Array


@dataclass(frozen=True)
class Rows:
    """Everything that one batch is gathered from.

    Parameters
    ----------
    samples
        How many there are.
    tables
        Where the arrays are.
    names
        Variables in the order that batches hold them.
    flat
        Ragged variable → its ragged dimension.
    order
        Position in the dataset of each position of the plan; None where they are the same.
        A dataset whose samples are not in stored order is read in stored order.
    block
        Samples of a block of the simulator that made them, where position 0 begins one and
        none is left out; else 0.
    """

    samples: int
    tables: tuple[Table | MadeTable, ...]
    names: tuple[str, ...]
    flat: Mapping[str, str]
    order: Positions | None = None
    block: int = 0

    @property
    def row_bytes(self) -> int:
        """Mean bytes of one sample."""
        return sum(table.row_bytes for table in self.tables)

    @property
    def mapped_bytes(self) -> int:
        """Bytes of all samples that lie in mapped files."""
        return sum(table.row_bytes for table in self.tables if table.mapped) * self.samples

    @property
    def made(self) -> tuple[MadeTable, ...]:
        """Tables whose rows are simulated when they are needed."""
        return tuple(table for table in self.tables if isinstance(table, MadeTable))

    @property
    def fresh(self) -> bool:
        """Whether every epoch has samples of its own."""
        return any(table.fresh for table in self.made)

    def read_ahead(self, start: int, stop: int) -> None:
        """Let the kernel read the mapped files of these positions, without waiting for it."""
        for table in self.tables:
            for array in table.runs(start, stop):
                read_ahead(array)

    def in_dataset(self, positions: Positions) -> Positions:
        """Return the positions in the dataset of positions of the plan."""
        return positions if self.order is None else self.order[positions]

    def gather(
        self, positions: Positions, pool: Pool, share: Share | None = None
    ) -> dict[str, Array]:
        """Return all variables' rows at these positions, those of a share where one is given."""
        found: dict[str, Array] = {}
        for table in self.tables:
            if isinstance(table, MadeTable):
                found.update(table.gather(positions, pool, share))
            else:
                found.update(table.gather(positions, pool))
        return {name: found[name] for name in self.names}

    @contextmanager
    def supplied(
        self, epoch: Epoch, start: int, few: int, ranks: tuple[int, int], more: bool = False
    ) -> Iterator[Rows]:
        """Yield the rows of one epoch; those that are simulated are made ahead."""
        with ExitStack() as stack:
            tables = [
                stack.enter_context(table.supplied(epoch, start, few, ranks, more))
                if isinstance(table, MadeTable)
                else table
                for table in self.tables
            ]
            yield replace(self, tables=tuple(tables)) if self.made else self

    def stop(self) -> None:
        """Let nothing more be simulated."""
        for table in self.made:
            if table.supply is not None:
                table.supply.stop()
