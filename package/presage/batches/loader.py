"""Shuffled minibatches, cut straight from where the data lie.

``for batch in Batches(train, 1024)`` runs one epoch; the next loop runs the next one. A
batch is a dict of arrays that are views of buffers used again later: work on them, move
them to a device, or ask for copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Never

import xarray as xr

from presage.batches.ahead import Ahead
from presage.batches.cutting import cuts, padded
from presage.batches.labelled import open_source
from presage.batches.memory import total_memory
from presage.batches.plan import BatchError, Share
from presage.batches.source import BatchSource, Reader
from presage.batches.tables import Buffers
from presage.labels import Array
from presage.positions import Positions

_CHUNK_BYTES = 6 << 20  # a few batches are gathered at once, and stay in the cache until used
_CHUNK_STEPS = 64
_PLAN_STEPS = 64  # steps that are looked up in the plan at once
_BUFFERS = 3  # one in use, one filled by the thread, one by a reader that would have to wait
_IN_MEMORY = 0.6  # share of memory up to which data counts as fitting


class Batch(dict[str, Any]):
    """One rank's part of one global batch: name → array or tensor ``[row, ...]``.

    A ragged variable is flat, its rows one after the other, beside ``<dim>_count`` ``[row]``.

    Attributes
    ----------
    positions
        Positions of the rows in the dataset: ``dataset.isel({sample: batch.positions})``.
    weight
        What this rank's mean loss counts for in the mean over ranks, see
        :class:`~presage.batches.plan.Share`; 1 for a single process. It is 0 where a short
        last batch leaves a rank no row.
    epoch, step
        Where in the plan it stands.
    """

    def __init__(
        self, arrays: Mapping[str, Any], positions: Positions, weight: float, at: tuple[int, int]
    ) -> None:
        super().__init__(arrays)
        self.positions = positions
        self.weight = weight
        self.epoch, self.step = at


class Loader:
    """Reads batches into buffers; see :class:`~presage.batches.Batches` for its arguments."""

    def __init__(
        self,
        source: xr.Dataset | Mapping[str, Any] | BatchSource,
        batch_size: int,
        variables: Iterable[str] | None = None,
        *,
        sample: str | None = None,
        seed: int = 0,
        shuffle: str | None = "auto",
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
        prefetch: bool = True,
        copy: bool = False,
        pad: bool = False,
    ) -> None:
        if world_size < 1 or not 0 <= rank < world_size:
            raise BatchError(f"rank {rank} of {world_size}: ranks count from 0 to world_size - 1")
        if batch_size < world_size:
            raise BatchError(
                f"batch_size {batch_size} is for all {world_size} ranks together; it must be at "
                f"least {world_size}"
            )
        whole = open_source(source, variables, sample)
        self.rows = whole.opened
        #: A dataset without samples: names, dims, units, coordinates of what batches hold.
        self.metadata = whole.labels
        self.rank, self.world_size = rank, world_size
        self.prefetch, self.copy, self.pad = prefetch, copy, pad
        self._automatic = shuffle == "auto"
        kind = shuffle or "none"
        if self._automatic:
            kind = self.rows.automatic(_IN_MEMORY * total_memory())
        self.plan = self.rows.plan(kind, batch_size, seed, drop_last)
        self._cold = True  # until an epoch has been read
        self.start = (0, 0)  # where the next loop begins
        self._reached = (0, 0)  # what comes after the batch given out last

    def __len__(self) -> int:
        """Return the steps of an epoch."""
        return self.plan.steps

    def __getitem__(self, index: Any) -> Never:
        """Refuse what would index: torch's DataLoader, which takes :meth:`torch`'s batches."""
        raise TypeError(
            "batches are run through, not indexed: for batch in batches; with torch, "
            "DataLoader(batches.torch(), batch_size=None)"
        )

    def __iter__(self) -> Iterator[Batch]:
        """Run one epoch; the next loop runs the next, a loop that was left runs again."""
        return self.epoch(*self.start)

    def epoch(self, number: int, start: int = 0, more: bool = False) -> Iterator[Batch]:
        """Yield the batches of one epoch from step `start` on.

        Where `more` epochs are read afterwards, what is simulated on the fly for the next one is
        begun before this one ends.
        """
        if not 0 <= start <= len(self):
            raise BatchError(f"step {start} is not among the {len(self)} of an epoch")
        return self._run(number, start, more)

    def indices(self, epoch: int, step: int) -> Positions:
        """Return the positions in the dataset of the rows of one batch, in its order."""
        share = self.plan.epoch(epoch).share(step, 1, self.rank, self.world_size)
        return self.rows.in_dataset(share.positions)

    def seek(self, epoch: int, step: int = 0) -> None:
        """Let the next loop begin at this step; nothing is read on the way there."""
        if epoch < 0 or not 0 <= step <= len(self):
            raise BatchError(f"no step {step} in epoch {epoch}; an epoch has {len(self)}")
        self.start = self._reached = (epoch + 1, 0) if step == len(self) else (epoch, step)

    def state_dict(self) -> dict[str, Any]:
        """Return where the reader stands, after the batch given out last; plain values."""
        epoch, step = self._reached
        return {"plan": self.plan.key, "shuffle": self.plan.shuffle, "epoch": epoch, "step": step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken, at any world size.

        Raises
        ------
        BatchError
            The state is that of other data, batch size, seed or shuffle.
        """
        plan = self.plan
        if self._automatic and state["shuffle"] != plan.shuffle:
            kind, size = state["shuffle"], plan.batch_size
            plan = self.rows.plan(kind, size, plan.seed, plan.drop_last)
        if state["plan"] != plan.key:
            raise BatchError(
                "the state was taken with another plan (number of samples, batch size, seed, "
                "shuffle or drop_last; or more than 2^24 samples, by an earlier release); this "
                f"one is {plan}"
            )
        self.plan = plan
        self.seek(int(state["epoch"]), int(state["step"]))

    def _run(self, number: int, start: int, more: bool) -> Iterator[Batch]:
        rank_bytes = self.rows.row_bytes * max(1, self.plan.batch_size // self.world_size)
        count = min(max(1, _CHUNK_BYTES // max(1, rank_bytes)), _CHUNK_STEPS)
        tasks = self._tasks(number, start, count)
        buffers = [Buffers(reuse=not self.copy) for _ in range(_BUFFERS)]
        ranks = (self.rank, self.world_size)
        with self.rows.reading(self.plan.epoch(number), start, count, ranks, more) as reader:
            fill = _filler(reader)
            if not self.prefetch:
                here = (fill(share, buffers[0]) for share in tasks)
                yield from self.follow(self._cut(number, here))
                return
            with Ahead(fill, tasks, -(-(len(self) - start) // count), buffers) as ahead:
                try:
                    yield from self.follow(self._cut(number, iter(ahead)))
                except BaseException:
                    reader.stop()  # a thread that still simulates for us need not go on
                    raise

    def _tasks(self, number: int, start: int, count: int) -> Iterator[Share]:
        """Yield what is gathered at once, and let the kernel read what comes later."""
        cold, self._cold = self._cold, False
        ahead = cold or self.rows.mapped_bytes > _IN_MEMORY * total_memory()
        epoch, source = self.plan.epoch(number), self.rows
        many = count * max(1, _PLAN_STEPS // count) if count > 1 else 1
        for first in range(start, len(self), many):
            steps = min(many, len(self) - first)
            for run in epoch.runs(first, steps) if ahead else ():
                source.read_ahead(*run)
            yield from epoch.share(first, steps, self.rank, self.world_size).split(count)

    def _cut(
        self, number: int, filled: Iterable[tuple[Share, dict[str, Array]]]
    ) -> Iterator[Batch]:
        """Yield the batches of what was gathered together."""
        flat = self.rows.flat
        for share, arrays in filled:
            edges = cuts(share, arrays, flat)
            for i, weight in enumerate(share.weights):
                low, high = share.ends[i], share.ends[i + 1]
                part = {name: a[edges[name][i] : edges[name][i + 1]] for name, a in arrays.items()}
                positions = self.rows.in_dataset(share.positions[low:high])
                at = (number, share.first + i)
                yield Batch(padded(part, flat) if self.pad else part, positions, weight, at)

    def follow(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield batches of this plan, keeping count of where the reader stands."""
        steps = len(self)
        for batch in batches:
            last = batch.step + 1 == steps
            self._reached = (batch.epoch + 1, 0) if last else (batch.epoch, batch.step + 1)
            yield batch
        self.start = self._reached


def _filler(reader: Reader) -> Callable[[Share, Buffers], tuple[Share, dict[str, Array]]]:
    """Return what the reading thread does; it must not refer back to the batches."""
    return lambda share, buffers: (share, reader(share, buffers))
