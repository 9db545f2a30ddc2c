"""One rank's part of global batches, and what is wrong with a plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from presage.positions import Positions


class BatchError(ValueError):
    """A plan, a source or a position that cannot be; the message says what to do."""


@dataclass(frozen=True)
class Share:
    """One rank's part of one or more consecutive global batches.

    Parameters
    ----------
    first
        Step of the first batch.
    positions
        Positions of the samples, ascending within each batch.
    ends
        Where each batch begins in `positions`, and where the last one ends ``[batches + 1]``.
    weights
        For each batch W n_r / n, with n_r of the batch's n samples on this one of W ranks.
        The mean over ranks of (weight · mean loss) is the mean over the batch; plain
        averaging is not when ranks hold unequal parts.
    """

    first: int
    positions: Positions
    ends: list[int]
    weights: list[float]

    def split(self, count: int) -> Iterator[Share]:
        """Yield the same batches, `count` at a time."""
        for i in range(0, len(self.weights), count):
            ends = self.ends[i : i + count + 1]
            low, high = ends[0], ends[-1]
            within = [end - low for end in ends] if low else ends
            positions = self.positions[low:high]
            yield Share(self.first + i, positions, within, self.weights[i : i + count])


def part(size: int, rank: int, world_size: int) -> tuple[int, int]:
    """Return the bounds of one rank's contiguous part; parts differ by one at most."""
    return rank * size // world_size, (rank + 1) * size // world_size
