"""Where the loop's batches come from: arrays that live on the device, or a stored dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from presage.batches import Batches
from presage.batches.plan import Positions, part
from presage.batches.tables import Pool
from presage.fitting.errors import FitError
from presage.fitting.splitting import is_fresh, made_samples
from presage.lineage import sample_dim

TensorBatch = dict[str, Tensor]

#: Bytes from which data that stream are shuffled by blocks.
_BLOCK_FROM = 16 << 30


class Where(NamedTuple):
    """The place of a run.

    Attributes
    ----------
    device, dtype
        Where batches go, and the type of floating numbers.
    rank, world
        This process among all.
    """

    device: torch.device
    dtype: torch.dtype
    rank: int = 0
    world: int = 1


class Piece(NamedTuple):
    """One rank's part of one global batch.

    Attributes
    ----------
    batch
        Name → tensor, its samples first; never empty.
    own
        How many of them count: all, or none where a short batch leaves a rank no sample.
    total
        Samples of the global batch.
    """

    batch: TensorBatch
    own: int
    total: int


class BatchSource:
    """Training and validation batches; step s has the same samples for any number of ranks.

    Parameters
    ----------
    train, held
        Batches of the training part and (in order) of the validation part.
    positions
        Position in the whole dataset of each training sample.
    where
        The place of the run.
    resident
        Whether all training samples are kept on the device.
    apart
        By how much the numbers of samples grow from epoch to epoch, where they are fresh.
    """

    def __init__(
        self,
        train: Batches,
        held: Batches | None,
        positions: Positions,
        where: Where,
        resident: bool,
        apart: int = 0,
    ) -> None:
        self.steps = len(train)
        self._train, self._held = train, held
        self._positions = positions
        self._where, self._resident = where, resident
        self._reader: Any = train.resident(where.device) if resident else train
        self._held_reader: Any = held.resident(where.device) if held and resident else held
        self._apart = apart

    def epoch(self, number: int, start: int, more: bool = False) -> Iterator[Piece]:
        """Yield this rank's pieces from step `start` on; `more` epochs may follow."""
        size, samples = self._train.plan.batch_size, self._train.plan.samples
        options = {} if self._resident else {"more": more}
        for batch in self._reader.epoch(number, start, **options):
            own = len(batch.positions)
            tensors = batch if self._resident else self._tensors(batch)
            if own == 0:
                tensors = self._stand_in(tensors)
            yield Piece(tensors, own, min(size, samples - batch.step * size))

    def validation(self) -> Iterator[TensorBatch]:
        """Yield this rank's part of the validation samples."""
        if self._held_reader is None:
            return
        for batch in self._held_reader.epoch(0):
            if len(batch.positions):
                yield batch if self._resident else self._tensors(batch)

    def positions(self, number: int, step: int) -> Positions:
        """Return the positions in the dataset of this rank's samples at a step."""
        return self._positions[self._train.indices(number, step)]

    def shift(self, number: int) -> int:
        """Return what is added to sample numbers in an epoch."""
        return number * self._apart

    def few(self) -> TensorBatch:
        """Return a handful of samples, to try a network on."""
        rows = self._train.rows
        if rows.made and not self._resident:  # without a whole window of blocks
            first = np.arange(min(2, rows.samples))
            return self._tensors(rows.gather(first, Pool(reuse=False)))
        return {name: t[:2].clone() for name, t in next(self.epoch(0, 0)).batch.items()}

    @staticmethod
    def _stand_in(empty: TensorBatch) -> TensorBatch:
        """Stand in for no sample: networks need not know what to do with an empty batch."""
        return {name: torch.ones(1, *t.shape[1:]).to(t) for name, t in empty.items()}

    def _tensors(self, batch: Mapping[str, Any]) -> TensorBatch:
        return {name: _tensor(array, self._where) for name, array in batch.items()}


def make_source(
    arrays: Mapping[str, NDArray[Any]] | None,
    dataset: xr.Dataset,
    variables: list[str],
    parts: tuple[Positions, Positions],
    plan: tuple[int, int, str],
    where: Where,
) -> BatchSource:
    """Return the source of a run.

    Parameters
    ----------
    arrays
        What the model prepared: name → array, one row for each sample of the dataset, which
        then live on the device. None streams `variables` from the dataset, ragged ones padded.
    dataset, variables
        What to stream.
    parts
        Positions to train on and to validate on, see :func:`presage.fitting.splitting.split`.
    plan
        Batch size, seed and shuffle.
    where
        The place of the run.

    Raises
    ------
    FitError
        An array has not one row for each sample.
    """
    samples = dataset.sizes[sample_dim(dataset)]
    for name, array in (arrays or {}).items():
        if len(array) != samples:
            raise FitError(f"{name!r} was prepared with {len(array)} rows for {samples} samples")

    def batches(positions: Positions, size: int, **options: Any) -> Batches:
        if size >= where.world:
            options |= {"rank": where.rank, "world_size": where.world}
        if arrays is not None:
            rows = {name: _cast(array[positions], where.dtype) for name, array in arrays.items()}
            return Batches(rows, size, **options)
        # Ragged variables stay whole: batches find their parts by the samples' addresses.
        chosen = dataset.isel({sample_dim(dataset): positions})
        return Batches(chosen, size, variables, pad=True, **options)

    size, seed, shuffle = plan
    if shuffle == "aligned" and arrays is not None:
        shuffle = "full"  # nothing streams
    train, held = parts
    held_batches = None
    if len(held):
        held_batches = batches(held, min(size, len(held)), shuffle=None)
    if shuffle == "auto":  # by a rule that is the same on every machine
        shuffle = "block" if arrays is None and dataset.nbytes >= _BLOCK_FROM else "full"
    return BatchSource(
        batches(train, size, seed=seed, shuffle=shuffle),
        held_batches,
        train,
        where,
        resident=arrays is not None,
        apart=made_samples(dataset) if is_fresh(dataset) else 0,
    )


def divide(batch: TensorBatch, own: int, parts: int) -> list[TensorBatch]:
    """Split a batch into `parts` whose sizes differ by one at most; empty ones are left out."""
    if parts == 1:
        return [batch]
    bounds = [part(own, index, parts) for index in range(parts)]
    pieces = [{n: x[a:b] for n, x in batch.items()} for a, b in bounds if b > a]
    return pieces or [batch]


def _cast(array: NDArray[Any], dtype: torch.dtype) -> NDArray[Any]:
    if array.dtype.kind != "f":
        return array
    return array.astype(np.float64 if dtype == torch.float64 else np.float32, copy=False)


def _tensor(array: NDArray[Any], where: Where) -> Tensor:
    tensor = torch.from_numpy(array)
    return tensor.to(where.device, where.dtype if tensor.is_floating_point() else None)
