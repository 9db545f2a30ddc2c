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
from threading import Lock

import numpy as np

from presage.batches.plan import Epoch, Plan
from presage.batches.shares import BatchError, Share
from presage.batches.source import BatchSource, Reader
from presage.batches.tables import Buffers
from presage.labels import Array
from presage.positions import Positions, Rows, pick
from presage.store.made import MadeArray

Block = Mapping[str, Array]


class StoppedError(RuntimeError):
    """The reader left while its samples were being made."""


class Supply:
    """The blocks of an epoch, for one rank.

    `make`, block number → its arrays, is called in several threads. `stages` are the steps at which
    other blocks, those that `needs` names, begin to be needed, the end of the epoch last; `begun`
    are there or on their way from before.
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
        """Return a block: made ahead, being made, or made now."""
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


class Made(BatchSource):
    """Samples of one simulator, gathered from its blocks; `arrays` are all of one maker.

    `rows` are the row of each position, ascending, None where that is the position itself; `order`
    and `block` are those of :class:`~presage.batches.arrays.ArraySource`.
    """

    names: tuple[str, ...] = ()

    def __init__(
        self,
        samples: int,
        arrays: Mapping[str, MadeArray],
        rows: Rows | None = None,
        order: Positions | None = None,
        block: int = 0,
    ) -> None:
        self.samples, self.names, self.flat = samples, tuple(arrays), {}
        self._order, self.block = order, block
        self._arrays, self._rows = arrays, rows
        self._maker = next(iter(arrays.values())).maker
        self.fresh = self._maker.fresh
        self.row_bytes = sum(
            array.dtype.itemsize * int(np.prod(array.shape[1:])) for array in arrays.values()
        )
        #: Number of the epoch to come → its first blocks, where they were begun already.
        self._later: dict[int, dict[int, Future[Block]]] = {}

    def gather(self, numbers: Positions, epoch: int, buffers: Buffers) -> dict[str, Array]:
        """Return some samples, whose blocks are made for them alone."""
        return self.collect(numbers, epoch, buffers, self._made)

    def collect(
        self, numbers: Positions, epoch: int, buffers: Buffers, get: Callable[[int], Block]
    ) -> dict[str, Array]:
        """Return some samples from blocks that `get` has."""
        out = {
            name: buffers.get(name, (len(numbers), *array.shape[1:]), array.dtype)
            for name, array in self._arrays.items()
        }
        size = self._maker.block_size
        rows = self._rows_of(numbers, epoch)
        blocks = rows // size
        order = np.argsort(blocks, kind="stable")
        ends = np.flatnonzero(np.diff(blocks[order])) + 1
        for places in np.split(order, ends) if len(order) else ():
            block = int(blocks[places[0]])
            made = get(block)
            for name, array in out.items():
                array[places] = made[name][rows[places] - block * size]
        return out

    def automatic(self, limit: float) -> str:
        """Return the one order there is."""
        return "aligned"

    def plan(self, shuffle: str, batch_size: int, seed: int, drop_last: bool) -> Plan:
        """Return the plan of a shuffle, which has to go by blocks."""
        if shuffle not in ("aligned", "none"):
            raise BatchError(
                f"samples made on the fly come block by block: shuffle {shuffle!r} would make each "
                "many times over; give shuffle='aligned' or None"
            )
        return super().plan(shuffle, batch_size, seed, drop_last)

    @contextmanager
    def reading(
        self, epoch: Epoch, start: int, few: int, ranks: tuple[int, int], more: bool = False
    ) -> Iterator[Reader]:
        """Yield what gathers an epoch from step `start` on, whose blocks are made ahead.

        A stage has so `few` steps where the plan has no windows; `ranks` are rank and world size.
        With `more` the next epoch follows: at the end of this one its blocks are begun.
        """
        stages = epoch.stages(start, few)
        following = epoch.plan.epoch(epoch.number + 1)
        begun = following.stages(0, few)[1]
        last = len(stages) - 1

        def needs(stage: int) -> Positions:
            if stage == last:
                positions = following.share(0, begun, *ranks).positions
                return self._blocks(positions, following.number)
            first, count = stages[stage], stages[stage + 1] - stages[stage]
            return self._blocks(epoch.share(first, count, *ranks).positions, epoch.number)

        threads = max(1, self._maker.threads // ranks[1])
        ends = [*stages, stages[-1] + 1] if more else stages
        before = {} if start else self._later.pop(epoch.number, {})
        self._later.clear()
        supply = Supply(self._made, ends, needs, threads, before)
        try:
            yield _Supplied(self, epoch.number, supply)
        except BaseException:
            supply.close()
            raise
        if more:
            self._later[following.number] = supply.hand_over()
        else:
            supply.close()

    def _rows_of(self, positions: Positions, epoch: int) -> Positions:
        return pick(self._rows, positions) + (epoch * self._maker.samples if self.fresh else 0)

    def _blocks(self, positions: Positions, epoch: int) -> Positions:
        return np.unique(self._rows_of(positions, epoch) // self._maker.block_size)

    def _made(self, block: int) -> Block:
        return self._maker.block(block, self._arrays)


class _Supplied(Reader):
    """Gathers an epoch from blocks that are made ahead."""

    def __init__(self, source: Made, epoch: int, supply: Supply) -> None:
        super().__init__(source, epoch)
        self._collect, self._supply = source.collect, supply

    def __call__(self, share: Share, buffers: Buffers) -> dict[str, Array]:
        with self._supply.reading(share.first, len(share.weights)):
            return self._collect(share.positions, self.epoch, buffers, self._supply.get)

    def stop(self) -> None:
        """Let nothing more be simulated."""
        self._supply.stop()
