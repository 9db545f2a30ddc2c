"""Where the loop's batches come from: arrays that live on the device, indexed by the plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from presage.batches.plan import Plan, Positions, part
from presage.fit.errors import FitError
from presage.rng import generator

#: Steps whose indices go to the device at once.
_AHEAD = 256

TensorBatch = dict[str, Tensor]


class Piece(NamedTuple):
    """One rank's part of one global batch.

    Attributes
    ----------
    batch
        Name → tensor, its samples first; never empty.
    own
        How many of them count: all, or none where a rank has no sample in a short batch.
    total
        Samples of the global batch.
    """

    batch: TensorBatch
    own: int
    total: int


class BatchSource(Protocol):
    """What the loop draws from: the same samples at the same step, whoever asks."""

    steps: int

    def epoch(self, number: int, start: int) -> Iterator[Piece]:
        """Yield this rank's pieces from step `start` on."""

    def validation(self) -> Iterator[TensorBatch]:
        """Yield this rank's part of the validation samples."""

    def positions(self, number: int, step: int) -> Positions:
        """Return the positions of this rank's samples at a step."""


def split(samples: int, rule: Mapping[str, Any]) -> tuple[Positions, Positions]:
    """Return the positions to train on and those to validate on; they share none.

    Parameters
    ----------
    samples
        How many there are.
    rule
        ``{"fraction": f, "seed": s}``, a random choice that does not depend on the seed of
        the training, so that seeds can be compared; or ``{"start": a, "stop": b}``; or
        empty.

    Raises
    ------
    FitError
        A part would be empty, or the range is beyond the samples.
    """
    everything = np.arange(samples, dtype=np.int64)
    if not rule:
        return everything, everything[:0]
    if "start" in rule:
        start, stop = rule["start"], rule["stop"]
        if stop > samples or stop - start == samples:
            raise FitError(
                f"validation [{start}, {stop}) must lie inside the {samples} samples and leave "
                "some to train on"
            )
        chosen = everything[start:stop]
    else:
        count = round(rule["fraction"] * samples)
        if not 0 < count < samples:
            raise FitError(
                f"a fraction {rule['fraction']} of {samples} samples leaves {count} to validate "
                f"on and {samples - count} to train on; give validation=0 or another fraction"
            )
        order = generator("presage.fit.validation", rule["seed"], 0).permutation(samples)
        chosen = np.sort(order[:count])
    return np.setdiff1d(everything, chosen, assume_unique=True), chosen


class Resident:
    """Arrays that live on the device whole.

    Parameters
    ----------
    arrays
        Name → array, rows are samples.
    train, held
        Positions to train on and to validate on.
    batch_size, seed
        Of the plan.
    device, dtype
        Where the arrays go, and the type of floating ones.
    rank, world
        This process among all.
    """

    def __init__(
        self,
        arrays: Mapping[str, NDArray[Any]],
        parts: tuple[Positions, Positions],
        plan: Plan,
        device: torch.device,
        dtype: torch.dtype,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.arrays = {name: _tensor(array, device, dtype) for name, array in arrays.items()}
        self.train, self.held = parts
        self.plan = plan
        self.steps = plan.steps
        self.rank, self.world = rank, world
        self._device = device

    def epoch(self, number: int, start: int) -> Iterator[Piece]:
        """Yield this rank's pieces from step `start` on."""
        order = self.plan.epoch(number)
        size, samples = self.plan.batch_size, self.plan.samples
        for first in range(start, self.steps, _AHEAD):
            shares = order.shares(first, min(_AHEAD, self.steps - first), self.rank, self.world)
            own = [len(share.positions) for share in shares]
            filled = [s.positions if n else np.zeros(1, np.int64) for s, n in zip(shares, own)]
            rows = torch.from_numpy(self.train[np.concatenate(filled)]).to(self._device)
            for step, (n, index) in enumerate(zip(own, rows.split([max(n, 1) for n in own]))):
                yield Piece(self._take(index), n, min(size, samples - (first + step) * size))

    def validation(self) -> Iterator[TensorBatch]:
        """Yield this rank's part of the validation samples."""
        low, high = part(len(self.held), self.rank, self.world)
        rows = torch.from_numpy(self.held[low:high]).to(self._device)
        for index in rows.split(self.plan.batch_size):
            if len(index):
                yield self._take(index)

    def positions(self, number: int, step: int) -> Positions:
        """Return the positions of this rank's samples at a step."""
        share = self.plan.epoch(number).share(step, self.rank, self.world)
        return self.train[share.positions]

    def _take(self, index: Tensor) -> TensorBatch:
        return {name: array.index_select(0, index) for name, array in self.arrays.items()}


def divide(batch: TensorBatch, own: int, parts: int) -> list[TensorBatch]:
    """Split a batch into `parts` whose sizes differ by one at most; empty ones are left out."""
    if parts == 1:
        return [batch]
    bounds = [part(own, index, parts) for index in range(parts)]
    pieces = [{n: x[a:b] for n, x in batch.items()} for a, b in bounds if b > a]
    return pieces or [batch]


def _tensor(array: NDArray[Any], device: torch.device, dtype: torch.dtype) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.to(device, dtype if tensor.is_floating_point() else None)
