"""Rows that are simulated when they are needed: a few blocks ahead, dropped when used.

An epoch goes through its samples stage by stage: between two stages the same blocks are
needed again and again, afterwards none of them. While one stage is read a thread makes the
blocks of the next, and no further; a block that is needed before its turn is made by whoever
needs it. So at most the blocks of two stages, at the seam of three, are in memory.
Where another epoch follows, its first stage is the one after the last.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock

import numpy as np

from presage.batches.epoch import Epoch
from presage.batches.shares import Positions, Share
from presage.batches.tables import Pool
from presage.labels import Array
from presage.store.made import MadeArray

Block = Mapping[str, Array]


class StoppedError(RuntimeError):
    """The reader left while its samples were being made."""


class Supply:
    """The blocks of an epoch, for one rank.

    Parameters
    ----------
    make
        Block number → its arrays; called in several threads.
    stages
        Steps at which other blocks begin to be needed, the end of the epoch last.
    needs
        Number of a stage → its blocks.
    threads
        How many make blocks ahead.
    begun
        Blocks that are there or on their way from before.
    """

    def __init__(
        self,
        make: Callable[[int], Block],
        stages: Sequence[int],
        needs: Callable[[int], Positions],
        threads: int = 1,
        begun: Mapping[int, Future[Block]] | None = None,
    ) -> None:
        self._make, self._stages, self._needs = make, stages, needs
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="presage-simulate")
        self._lock = Lock()
        self._held: dict[int, Future[Block]] = dict(begun or {})
        self._until: dict[int, int] = {}  # block → step from which it is not needed
        self._asked = -1  # last stage whose blocks were ordered
        self._reading: list[int] = []  # first steps of what is gathered now
        self._stopped = False

    @contextmanager
    def reading(self, first: int, count: int) -> Iterator[None]:
        """Have the blocks made that these steps and the stage after them need."""
        with self._lock:
            self._reading.append(first)
            stage = bisect_right(self._stages, first + count - 1) - 1
            for ahead in range(self._asked + 1, min(stage + 2, len(self._stages) - 1)):
                self._order(ahead)
        try:
            yield
        finally:
            with self._lock:
                self._reading.remove(first)
                self._drop(min([*self._reading, first + count]))

    def _order(self, stage: int) -> None:
        self._asked = stage
        for block in self._needs(stage).tolist():
            self._until[block] = self._stages[stage + 1]
            if block not in self._held and not self._stopped:
                self._held[block] = self._pool.submit(self._make, block)

    def _drop(self, step: int) -> None:
        for block in [b for b, until in self._until.items() if until <= step]:
            del self._until[block]
            future = self._held.pop(block, None)
            if future is not None:
                future.cancel()

    def get(self, block: int) -> Block:
        """Return a block: made ahead, being made, or made now.

        Raises
        ------
        StoppedError
            After :meth:`stop`.
        """
        with self._lock:
            if self._stopped:
                raise StoppedError
            future = self._held.get(block)
            mine = future is None or future.cancel()
            if mine:
                future = Future()
                future.set_running_or_notify_cancel()
                if block in self._until:
                    self._held[block] = future
        assert future is not None
        if mine:
            try:
                future.set_result(self._make(block))
            except BaseException as error:
                future.set_exception(error)
                raise
        return future.result()

    def stop(self) -> None:
        """Make nothing more: whoever waits for a block gets :class:`StoppedError`."""
        with self._lock:
            self._stopped = True
            self._pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Stop, and wait for what is being made."""
        self.stop()
        self._pool.shutdown(wait=True)

    def hand_over(self) -> dict[int, Future[Block]]:
        """End, and return what was ordered for later; that is still made."""
        self._pool.shutdown(wait=False)
        return self._held

    @property
    def held(self) -> int:
        """Blocks that are in memory or on their way."""
        return len(self._held)


@dataclass(frozen=True)
class MadeTable:
    """Variables of one simulator, gathered from its blocks; stands in for a ``Table``."""

    arrays: Mapping[str, MadeArray]  # name → what makes it; all of one maker
    #: Row of each position, ascending; None where that is the position itself.
    numbers: Positions | None = None
    supply: Supply | None = None  # where blocks come from during an epoch
    shift: int = 0  # what is added to row numbers in this epoch
    #: Number of the epoch to come → its first blocks, where they were begun already.
    later: dict[int, dict[int, Future[Block]]] = field(default_factory=dict)
    mapped: bool = False

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return sum(
            array.dtype.itemsize * int(np.prod(array.shape[1:])) for array in self.arrays.values()
        )

    @property
    def fresh(self) -> bool:
        """Whether every epoch has samples of its own."""
        return self._any.maker.fresh

    @property
    def _any(self) -> MadeArray:
        return next(iter(self.arrays.values()))

    def runs(self, start: int, stop: int) -> Iterator[Array]:
        """Yield nothing: there is no file to read ahead."""
        return iter(())

    def gather(
        self, positions: Positions, pool: Pool, share: Share | None = None
    ) -> dict[str, Array]:
        """Return the rows at these positions, as :meth:`Table.gather` does."""
        out = {
            name: pool.get(name, (len(positions), *array.shape[1:]), array.dtype)
            for name, array in self.arrays.items()
        }
        if self.supply is None or share is None:
            self._copy(positions, out, self._made)
            return out
        with self.supply.reading(share.first, len(share.weights)):
            self._copy(positions, out, self.supply.get)
        return out

    def _copy(
        self, positions: Positions, out: Mapping[str, Array], get: Callable[[int], Block]
    ) -> None:
        size = self._any.maker.block_size
        rows = self._rows(positions)
        blocks = rows // size
        order = np.argsort(blocks, kind="stable")
        ends = np.flatnonzero(np.diff(blocks[order])) + 1
        for places in np.split(order, ends) if len(order) else ():
            block = int(blocks[places[0]])
            made = get(block)
            for name, array in out.items():
                array[places] = made[name][rows[places] - block * size]

    def _rows(self, positions: Positions) -> Positions:
        rows = positions if self.numbers is None else self.numbers[positions]
        return rows + self.shift

    def _made(self, block: int) -> Block:
        return self._any.maker.block(block, self.arrays)

    @contextmanager
    def supplied(
        self, epoch: Epoch, start: int, few: int, ranks: tuple[int, int], more: bool = False
    ) -> Iterator[MadeTable]:
        """Yield the table of one epoch from step `start` on, whose blocks are made ahead.

        A stage has so `few` steps where the plan has no windows; `ranks` are rank and world size.
        With `more` the next epoch follows: at the end of this one its blocks are begun.
        """
        table = self.at(epoch)
        stages = epoch.stages(start, few)
        following = epoch.plan.epoch(epoch.number + 1)
        begun = following.stages(0, few)[1]
        last = len(stages) - 1

        def needs(stage: int) -> Positions:
            if stage == last:
                return self.at(following).blocks(following.share(0, begun, *ranks).positions)
            first, count = stages[stage], stages[stage + 1] - stages[stage]
            return table.blocks(epoch.share(first, count, *ranks).positions)

        threads = max(1, self._any.maker.threads // ranks[1])
        ends = [*stages, stages[-1] + 1] if more else stages
        before = {} if start else self.later.pop(epoch.number, {})
        self.later.clear()
        supply = Supply(self._made, ends, needs, threads, before)
        try:
            yield replace(table, supply=supply)
        except BaseException:
            supply.close()
            raise
        if more:
            self.later[following.number] = supply.hand_over()
        else:
            supply.close()

    def at(self, epoch: Epoch) -> MadeTable:
        """Return the table with the samples of an epoch."""
        maker = self._any.maker
        return replace(self, shift=epoch.number * maker.samples if maker.fresh else 0)

    def blocks(self, positions: Positions) -> Positions:
        """Return the blocks that these positions lie in."""
        return np.unique(self._rows(positions) // self._any.maker.block_size)
