"""Which samples stand in which batch: one global plan, whoever reads it.

The order of an epoch is a function of (plan, epoch) alone. Step s takes the samples
``order[s B : (s + 1) B]``, and of that global batch each of W ranks takes one contiguous
part. So the same samples meet at step s for any W, no sample comes twice or never, every
rank runs the same number of steps, and (plan, epoch, step) is all there is to resume from.

Two shuffles. *Full*: one permutation of all samples. *Block*, for data that memory cannot
hold: blocks of consecutive samples are permuted and taken a window of blocks at a time;
within a window the samples are permuted freely. A window is then read in long runs, and
its batches mix all its blocks.

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

from presage.batches.epoch import BY_BLOCKS, Epoch
from presage.batches.shares import BatchError as BatchError
from presage.batches.shares import Positions as Positions
from presage.batches.shares import Share as Share
from presage.batches.shares import part as part
from presage.rng import SCHEME

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
        text = json.dumps({"scheme": SCHEME, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def epoch(self, number: int) -> Epoch:
        """Return the order of one epoch."""
        return Epoch(self, number)
