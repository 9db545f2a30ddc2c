"""Which samples stand in which batch: one global plan, whoever reads it.

The order of an epoch is a function of (plan, epoch) alone. Step s takes the samples
``order[s B : (s + 1) B]``, and of that global batch each of W ranks takes one contiguous
part. So the same samples meet at step s for any W, no sample comes twice or never, every
rank runs the same number of steps, and (plan, epoch, step) is all there is to resume from.

Two shuffles. *Full*: one permutation of all samples, of many computed place by place
(:mod:`presage.batches.permutation`). *Block*, for data that memory cannot hold: blocks of
consecutive samples are permuted and taken a window of blocks at a time; within a window the
samples are permuted freely. A window is then read in long runs, and its batches mix all its
blocks.

Two more for samples that are simulated as they are read. *Aligned* is a block shuffle whose
blocks are the simulator's, so that a window costs no more than its samples; a rank takes
its part of a batch by position, so that ranks need different blocks. *Stream* takes the
blocks in order, for samples that are new in every epoch, and shuffles within windows.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from presage.batches.permutation import COMPUTED, is_long, permutation
from presage.batches.shares import BatchError as BatchError
from presage.batches.shares import Share as Share
from presage.batches.shares import part as part
from presage.positions import Computed
from presage.positions import Positions as Positions
from presage.rng import SCHEME, generator

_NAME = "presage.batches"
#: Shuffles that take blocks of samples, a window of them at a time.
BY_BLOCKS = ("block", "aligned", "stream")
SHUFFLES = ("full", "block", "aligned", "stream", "none")
#: Bytes from which data that stream are shuffled by blocks, the same on every machine.
BLOCK_FROM = 16 << 30
_BLOCK_BYTES = 512 << 10  # long enough to read at a disk's full speed
_WINDOW_BYTES = 16 << 20  # about what a processor keeps addresses of: larger ones are slower
_MIN_WINDOW = 16  # batches: fewer, and neighbouring batches would share their samples' blocks
_MIN_BLOCKS = 8  # of a window that is simulated
_MADE_BYTES = 128 << 20  # such a window is in memory, and so is the next one


@dataclass(frozen=True)
class Plan:
    """The order of samples for every epoch.

    Parameters
    ----------
    samples
        How many there are.
    batch_size
        Samples in a global batch, all ranks together.
    seed
        Any non-negative integer.
    shuffle
        ``"full"``, ``"block"``, ``"aligned"``, ``"stream"`` or ``"none"``.
    block
        Samples in a block, for shuffles by blocks.
    window
        Blocks in a window, for shuffles by blocks.
    drop_last
        Leave out the last batch of an epoch where it is short.

    Raises
    ------
    BatchError
        A size that is not positive, or a batch larger than the data.
    """

    samples: int
    batch_size: int
    seed: int = 0
    shuffle: str = "full"
    block: int = 0
    window: int = 0
    drop_last: bool = False

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise BatchError("there are no samples to make batches of")
        if self.batch_size < 1:
            raise BatchError(f"batch_size must be at least 1, got {self.batch_size}")
        if self.batch_size > self.samples:
            raise BatchError(
                f"batch_size {self.batch_size} is more than the {self.samples} samples there are; "
                f"take at most {self.samples}"
            )
        if self.seed < 0:
            raise BatchError(f"seed must be a non-negative integer, got {self.seed}")
        if self.shuffle not in SHUFFLES:
            raise BatchError(f"shuffle must be one of {', '.join(SHUFFLES)}, got {self.shuffle!r}")
        if self.shuffle in BY_BLOCKS and (self.block < 1 or self.window < 1):
            raise BatchError(
                f"a shuffle by blocks needs block and window of at least 1, got {self.block} and "
                f"{self.window}"
            )

    @classmethod
    def blocks(
        cls,
        samples: int,
        batch_size: int,
        row_bytes: int,
        seed: int = 0,
        drop_last: bool = False,
    ) -> Plan:
        """Return a block shuffle with blocks and windows fit for samples of `row_bytes`."""
        block = min(samples, max(1, _BLOCK_BYTES // max(row_bytes, 1)))
        rows = max(_WINDOW_BYTES // max(row_bytes, 1), _MIN_WINDOW * batch_size)
        window = max(2, -(-rows // block))
        return cls(samples, batch_size, seed, "block", block, window, drop_last)

    @classmethod
    def aligned(
        cls,
        samples: int,
        batch_size: int,
        row_bytes: int,
        block: int,
        seed: int = 0,
        drop_last: bool = False,
        shuffle: str = "aligned",
    ) -> Plan:
        """Return a shuffle by a simulator's blocks; nothing else about the data decides it."""
        wanted = max(_MIN_BLOCKS, -(-_MIN_WINDOW * batch_size // block))
        fitting = max(1, -(-batch_size // block), _MADE_BYTES // max(1, block * row_bytes))
        window = min(wanted, fitting)
        return cls(samples, batch_size, seed, shuffle, block, window, drop_last)

    @property
    def steps(self) -> int:
        """Steps of an epoch, the same for every rank."""
        whole, rest = divmod(self.samples, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    @cached_property
    def key(self) -> str:
        """A hash of everything that decides the order."""
        fields = {"scheme": SCHEME, **asdict(self)}
        if self.shuffle == "full" and is_long(self.samples):
            fields["order"] = COMPUTED
        text = json.dumps(fields, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def epoch(self, number: int) -> Epoch:
        """Return the order of one epoch."""
        return Epoch(self, number)


class Epoch:
    """The order of one epoch, which count from 0, computed piece by piece as it is asked for."""

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
            return self._permutation[start:stop].astype(np.int64, copy=False)
        pieces = []
        while start < stop:
            window, begin, end = self._window_at(start)
            upto = min(stop, end)
            pieces.append(self._inside(window)[start - begin : upto - begin])
            start = upto
        return np.concatenate(pieces) if pieces else np.empty(0, np.int64)

    def at(self, places: Positions) -> Positions:
        """Return the entries of the order at some places, in any order."""
        if self.plan.shuffle == "full":
            return self._permutation[places].astype(np.int64, copy=False)
        low, high = int(places.min()), int(places.max()) + 1
        return self.order(low, high)[places - low]

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
            windows = np.arange(-(-len(self._blocks) // plan.window))
            steps = np.unique(-(-self._begin(windows) // plan.batch_size))
        else:
            steps = np.arange(start, plan.steps, few)
        return [start, *steps[(start < steps) & (steps < plan.steps)].tolist(), plan.steps]

    @cached_property
    def _permutation(self) -> NDArray[np.int32] | Computed:
        rng = generator(_NAME, self.plan.seed, self.number, 0)
        return permutation(self.plan.samples, rng)

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

    def _begin(self, window: Any) -> Any:
        """Return where a window begins in the order, or each of several."""
        blocks = np.minimum(window * self.plan.window, len(self._blocks))
        place, missing = self._short
        return blocks * self.plan.block - (blocks > place) * missing

    def _window_at(self, position: int) -> tuple[int, int, int]:
        """Return window, its begin and its end in the order, for a place in the order."""
        window = position // (self.plan.block * self.plan.window)
        if self._begin(window + 1) <= position:  # the short block lies before it
            window += 1
        return window, int(self._begin(window)), int(self._begin(window + 1))

    def _blocks_of(self, window: int) -> Positions:
        """Return the first samples of a window's blocks, ascending."""
        width = self.plan.window
        return np.sort(self._blocks[window * width : (window + 1) * width]) * self.plan.block

    def _inside(self, window: int) -> Positions:
        kept, inside = self._window  # asked for by several threads
        if kept != window:
            begins = self._blocks_of(window)
            count = self._begin(window + 1) - self._begin(window)  # the short block comes last
            inside = (begins[:, np.newaxis] + np.arange(self.plan.block)).reshape(-1)[:count]
            generator(_NAME, self.plan.seed, self.number, 1 + window).shuffle(inside)
            self._window = (window, inside)
        return inside
