"""The loop's batches as tensors: of arrays or pools that live on the device, or streamed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from presage.batches import Batches, BatchSource, Buffers, open_source
from presage.batches.plan import BLOCK_FROM, part
from presage.batches.source import Cut
from presage.fitting.errors import FitError
from presage.fitting.weighing import Weighing
from presage.models.prepared import WEIGHT
from presage.positions import Positions

TensorBatch = dict[str, Tensor]

#: Share of a device's memory that pools may take.
_RESIDENT = 0.4


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
    """One rank's part of one global batch."""

    batch: TensorBatch  # name → tensor, its samples first; never empty
    own: int  # how many of them count: all, or none where a short batch leaves a rank no sample
    total: int  # samples of the global batch


class TrainingBatches:
    """Training and validation batches; step s has the same samples for any number of ranks.

    `numbers` turns positions in the training part and an epoch into numbers of samples; `resident`
    says whether all training samples are kept on the device, `by` what they count for.
    """

    def __init__(
        self,
        train: Batches,
        held: Batches | None,
        numbers: Callable[[Positions, int], Positions],
        where: Where,
        resident: bool,
        by: Weighing | None = None,
    ) -> None:
        self.steps, self._by = len(train), by
        self._train, self._numbers = train, numbers
        self._where, self._resident = where, resident
        self._reader: Any = train.resident(where.device) if resident else train
        self._held_reader: Any = held.resident(where.device) if held and resident else held

    def epoch(self, number: int, start: int, more: bool = False) -> Iterator[Piece]:
        """Yield this rank's pieces from step `start` on; `more` epochs may follow."""
        size, samples = self._train.plan.batch_size, self._train.plan.samples
        options = {} if self._resident else {"more": more}
        for batch in self._reader.epoch(number, start, **options):
            own = len(batch.positions)
            tensors = self._tensors(batch)
            if own == 0:
                tensors = self._stand_in(tensors)
            yield Piece(tensors, own, min(size, samples - batch.step * size))

    def validation(self) -> Iterator[TensorBatch]:
        """Yield this rank's part of the validation samples."""
        if self._held_reader is None:
            return
        for batch in self._held_reader.epoch(0):
            if len(batch.positions):
                yield self._tensors(batch)

    def numbers(self, epoch: int, step: int) -> Positions:
        """Return the numbers of this rank's samples at a step."""
        return self._numbers(self._train.indices(epoch, step), epoch)

    def few(self) -> TensorBatch:
        """Return a handful of samples, to try a network on."""
        rows = self._train.rows
        if rows.flat or self._resident:
            return {name: t[:2].clone() for name, t in next(self.epoch(0, 0)).batch.items()}
        first = np.arange(min(2, rows.samples))  # without a whole window of blocks
        return self._tensors(rows.gather(first, 0, Buffers(reuse=False)))

    @staticmethod
    def _stand_in(empty: TensorBatch) -> TensorBatch:
        """Stand in for no sample: networks need not know what to do with an empty batch."""
        return {name: torch.ones(1, *t.shape[1:]).to(t) for name, t in empty.items()}

    def _tensors(self, batch: Mapping[str, Any]) -> TensorBatch:
        tensors = {name: _tensor(array, self._where) for name, array in batch.items()}
        if self._by is not None:
            tensors[WEIGHT] = self._by.of(tensors.pop(self._by.name)).to(self._where.dtype)
        return tensors


def make_source(
    arrays: Mapping[str, NDArray[Any]] | None,
    source: BatchSource,
    variables: list[str],
    cut: Cut,
    plan: tuple[int, int, str],
    where: Where,
    by: Weighing | None = None,
) -> TrainingBatches:
    """Return the source of a run.

    `arrays` are what the model prepared, name → array, one row for each sample, which then live on
    the device; None streams `variables` from the source, ragged ones padded. `cut` turns a number
    of samples into positions to train on and to validate on; `plan` is batch size, seed and
    shuffle; `by` says what a sample counts for where the arrays do not.
    """
    if by is not None:
        variables = [*variables, by.name]
        if arrays is not None:
            arrays = {**arrays, by.name: source.dataset[by.name].values}
    size, seed, shuffle = plan
    rows, resident = source, _fits(source, where.device)
    if arrays is not None:
        rows, resident = _held(arrays, source, where.dtype), True
    if shuffle == "auto":  # by a rule that is the same on every machine
        shuffle = rows.automatic(BLOCK_FROM)
    elif shuffle == "aligned" and arrays is not None:
        shuffle = "full"  # nothing streams
    train, held = rows.divide(cut)

    def numbers(positions: Positions, epoch: int) -> Positions:
        found = train.numbers(positions, epoch)
        return found if arrays is None else source.numbers(found, epoch)

    def batches(part: BatchSource, size: int, **options: Any) -> Batches:
        if size >= where.world:
            options |= {"rank": where.rank, "world_size": where.world}
        names = variables if arrays is None else None
        return Batches(part, size, names, pad=True, **options)

    training = batches(train, size, seed=seed, shuffle=shuffle)
    checked = None if held is None else batches(held, min(size, held.samples), shuffle=None)
    return TrainingBatches(training, checked, numbers, where, resident, by)


def divide(batch: TensorBatch, own: int, parts: int) -> list[TensorBatch]:
    """Split a batch into `parts` whose sizes differ by one at most; empty ones are left out."""
    if parts == 1:
        return [batch]
    bounds = [part(own, index, parts) for index in range(parts)]
    pieces = [{n: x[a:b] for n, x in batch.items()} for a, b in bounds if b > a]
    return pieces or [batch]


def _held(
    arrays: Mapping[str, NDArray[Any]], source: BatchSource, dtype: torch.dtype
) -> BatchSource:
    """Return prepared arrays as a source."""
    if source.fresh:
        raise FitError(
            "samples that are new in every epoch stream, and this model keeps all of its training "
            "data in memory (prepare returned arrays); give samples that stay the same "
            "(fresh=False, new_pairs=False), or a model whose prepare returns arrays=None"
        )
    for name, array in arrays.items():
        if len(array) != source.samples:
            raise FitError(
                f"{name!r} was prepared with {len(array)} rows for {source.samples} samples"
            )
    return open_source({name: _cast(array, dtype) for name, array in arrays.items()})


def _fits(source: BatchSource, device: torch.device) -> bool:
    """Say whether a source that streams is small enough to live on the device instead."""
    size = source.device_bytes() if device.type == "cuda" else None
    return size is not None and size < _RESIDENT * torch.cuda.mem_get_info(device)[1]


def _cast(array: NDArray[Any], dtype: torch.dtype) -> NDArray[Any]:
    if array.dtype.kind != "f":
        return array
    return array.astype(np.float64 if dtype == torch.float64 else np.float32, copy=False)


def _tensor(array: NDArray[Any] | Tensor, where: Where) -> Tensor:
    tensor = torch.as_tensor(array)
    return tensor.to(where.device, where.dtype if tensor.is_floating_point() else None)
