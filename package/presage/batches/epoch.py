"""The order of one epoch, and who reads what of it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from presage.batches.shares import BatchError, Positions, Share, part
from presage.rng import generator

if TYPE_CHECKING:
    from presage.batches.plan import Plan

_NAME = "presage.batches"
#: Shuffles that take blocks of samples, a window of them at a time.
BY_BLOCKS = ("block", "aligned", "stream")


class Epoch:
    """The order of one epoch, computed piece by piece as it is asked for.

    Parameters
    ----------
    plan
        The plan.
    number
        The epoch, from 0.
    """

    def __init__(self, plan: Plan, number: int) -> None:
        if number < 0:
            raise BatchError(f"epochs count from 0, got {number}")
        self.plan = plan
        self.number = number
        self._window: tuple[int, Positions] = (-1, np.empty(0, np.int64))

    def share(self, first: int, count: int = 1, rank: int = 0, world_size: int = 1) -> Share:
        """Return one rank's part of `count` consecutive global batches, wherever they stand."""
        plan, size = self.plan, self.plan.batch_size
        if count < 1 or not 0 <= first < first + count <= plan.steps:
            raise BatchError(
                f"steps {first} to {first + count - 1} are not among the {plan.steps} of an epoch"
            )
        if not 0 <= rank < world_size:
            raise BatchError(f"rank {rank} is not one of 0 to {world_size - 1}")
        order = self.order(first * size, min((first + count) * size, plan.samples))
        whole, rest = divmod(len(order), size)
        low, high = part(size, rank, world_size)
        batches = order[: whole * size].reshape(whole, size)
        if plan.shuffle in ("aligned", "stream"):  # parts by position: other blocks for each rank
            batches, order = np.sort(batches, axis=1), order.copy()
            order[whole * size :].sort()
        rows = batches[:, low:high].copy()
        rows.sort(axis=1)  # ascending, so that a shard is read in one run
        positions = rows.reshape(-1)
        ends = [i * (high - low) for i in range(whole + 1)]
        weights = [world_size * (high - low) / size] * whole
        if rest:
            low, high = part(rest, rank, world_size)
            positions = np.concatenate([positions, np.sort(order[whole * size :][low:high])])
            ends.append(len(positions))
            weights.append(world_size * (high - low) / rest)
        return Share(first, positions, ends, weights)

    def order(self, start: int, stop: int) -> Positions:
        """Return entries ``[start, stop)`` of the epoch's order of positions."""
        if self.plan.shuffle == "none":
            return np.arange(start, stop, dtype=np.int64)
        if self.plan.shuffle == "full":
            return self._permutation[start:stop].astype(np.int64)
        pieces = []
        while start < stop:
            window, begin, end = self._window_at(start)
            upto = min(stop, end)
            pieces.append(self._inside(window)[start - begin : upto - begin])
            start = upto
        return np.concatenate(pieces) if pieces else np.empty(0, np.int64)

    def runs(self, first: int, count: int) -> list[tuple[int, int]]:
        """Return the runs of positions that a block shuffle will need after these steps.

        The blocks of the window that follows each one begun here: what to read ahead.
        """
        plan = self.plan
        if plan.shuffle not in ("block", "aligned"):
            return []
        start = first * plan.batch_size
        stop = min((first + count) * plan.batch_size, plan.samples)
        runs: list[tuple[int, int]] = []
        while start < stop:
            window, begin, end = self._window_at(start)
            if begin >= first * plan.batch_size:
                begins = self._blocks_of(window + 1).tolist()
                runs.extend((b, min(b + plan.block, plan.samples)) for b in begins)
            start = end
        return runs

    def stages(self, start: int, few: int) -> list[int]:
        """Return the steps from `start` on at which other blocks begin to be needed, ascending.

        Without windows there are so `few` steps between two; the last is the number of steps.
        """
        plan = self.plan
        if plan.shuffle in BY_BLOCKS:
            windows = -(-len(self._blocks) // plan.window)
            steps = {-(-self._begin(window) // plan.batch_size) for window in range(windows)}
        else:
            steps = set(range(start, plan.steps, few))
        return [start, *sorted(s for s in steps if start < s < plan.steps), plan.steps]

    @cached_property
    def _permutation(self) -> NDArray[np.int32] | NDArray[np.int64]:
        order = (
            np.arange(self.plan.samples, dtype=np.int32)
            if self.plan.samples < 2**31
            else np.arange(self.plan.samples, dtype=np.int64)
        )
        generator(_NAME, self.plan.seed, self.number, 0).shuffle(order)
        return order

    @cached_property
    def _blocks(self) -> Positions:
        count = -(-self.plan.samples // self.plan.block)
        if self.plan.shuffle == "stream":
            return np.arange(count)
        return generator(_NAME, self.plan.seed, self.number, 0).permutation(count)

    @cached_property
    def _short(self) -> tuple[int, int]:
        """Place of the last, short block in the order of blocks, and what it is short of."""
        missing = -self.plan.samples % self.plan.block
        return int(np.argmax(self._blocks)), missing

    def _begin(self, window: int) -> int:
        blocks = min(window * self.plan.window, len(self._blocks))
        place, missing = self._short
        return blocks * self.plan.block - (missing if blocks > place else 0)

    def _window_at(self, position: int) -> tuple[int, int, int]:
        """Return window, its begin and its end in the order, for a place in the order."""
        window = position // (self.plan.block * self.plan.window)
        if self._begin(window + 1) <= position:  # the short block lies before it
            window += 1
        return window, self._begin(window), self._begin(window + 1)

    def _blocks_of(self, window: int) -> Positions:
        """Return the first samples of a window's blocks, ascending."""
        width = self.plan.window
        return np.sort(self._blocks[window * width : (window + 1) * width]) * self.plan.block

    def _inside(self, window: int) -> Positions:
        kept, inside = self._window  # asked for by several threads
        if kept != window:
            begins = self._blocks_of(window)
            rows = (begins[:, np.newaxis] + np.arange(self.plan.block)).reshape(-1)
            count = self._begin(window + 1) - self._begin(window)  # the short block comes last
            rng = generator(_NAME, self.plan.seed, self.number, 1 + window)
            inside = rows[rng.permutation(count)]
            self._window = (window, inside)
        return inside
