"""Batches as torch tensors: of buffers, or cut on a device that holds everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from presage.batches.loader import Batch, Loader
from presage.batches.plan import BatchError
from presage.labels import Array

_STEPS = 256  # steps whose positions are sent to the device at once


class TorchBatches(IterableDataset[Batch]):
    """Batches as torch tensors that share the buffers' memory.

    Loop over it, or hand it to ``DataLoader(batches.torch(), batch_size=None)``. Under
    several processes each makes its own with its rank and world size.

    Parameters
    ----------
    batches
        The batches.
    device
        Where tensors are copied to; None leaves them in the buffers.
    """

    def __init__(self, batches: Loader, device: torch.device | str | None = None) -> None:
        self.batches = batches
        self.metadata = batches.metadata
        self.device = None if device is None else torch.device(device)

    def __len__(self) -> int:
        """Return the steps of an epoch."""
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        """Run one epoch, as :meth:`presage.batches.Batches.__iter__` does.

        Raises
        ------
        BatchError
            Run in the workers of a DataLoader, which would each give all batches.
        """
        if get_worker_info() is not None:
            raise BatchError(
                "batches are read ahead in a thread already; use DataLoader(..., num_workers=0)"
            )
        return (self._convert(batch) for batch in self.batches)

    def state_dict(self) -> dict[str, Any]:
        """Return where the reader stands."""
        return self.batches.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.batches.load_state_dict(state)

    def _convert(self, batch: Batch) -> Batch:
        tensors = {name: _tensor(name, array) for name, array in batch.items()}
        if self.device is not None:
            tensors = {name: tensor.to(self.device) for name, tensor in tensors.items()}
        return Batch(tensors, batch.positions, batch.weight, (batch.epoch, batch.step))


class Resident(TorchBatches):
    """The same batches, cut on the device from tensors that hold all samples.

    For sets that fit there: no copying from the host in the loop. Each batch holds the same samples
    in the same order as :class:`~presage.batches.Batches` gives. Ragged variables without
    ``pad=True``, and samples that are new in every epoch, are refused.
    """

    def __init__(self, batches: Loader, device: torch.device | str = "cpu") -> None:
        super().__init__(batches, device)
        self._at = batches.rows.on_device(_Move(torch.device(device)), batches.pad)

    def __iter__(self) -> Iterator[Batch]:
        """Run one epoch; the next loop runs the next, a loop that was left runs again."""
        return self.epoch(*self.batches.start)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch from step `start` on."""
        return self.batches.follow(self._run(number, start))

    def _run(self, number: int, start: int) -> Iterator[Batch]:
        source = self.batches
        epoch = source.plan.epoch(number)
        for first in range(start, len(source), _STEPS):
            count = min(_STEPS, len(source) - first)
            share = epoch.share(first, count, source.rank, source.world_size)
            cut = self._at(share.positions, number)
            for i, weight in enumerate(share.weights):
                span = slice(share.ends[i], share.ends[i + 1])
                positions = source.rows.in_dataset(share.positions[span])
                yield Batch(cut(span), positions, weight, (number, first + i))


@dataclass(frozen=True)
class _Move:
    """Moves arrays to a device."""

    device: torch.device

    def __call__(self, name: str, array: Array) -> torch.Tensor:
        return _tensor(name, array).to(self.device)


def _tensor(name: str, array: Array) -> torch.Tensor:
    try:
        return torch.from_numpy(array)
    except TypeError as error:
        raise BatchError(
            f"{name!r} is of type {array.dtype}, which torch does not know; leave it out with "
            "variables=[…]"
        ) from error
