"""What a run remembers: weights, their average, the best so far, and where it stands."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
import xarray as xr
from torch import Tensor, nn

#: Column of the history → (long name, unit).
COLUMNS = {
    "loss": ("mean training loss of a sample", "1"),
    "validation_loss": ("mean validation loss of a sample", "1"),
    "learning_rate": ("learning rate of the last step", "1"),
    "seconds": ("time the epoch took, validation included", "s"),
}


@dataclass
class Progress:
    """Where a run stands: plain numbers, all that is needed besides tensors."""

    epoch: int = 0  # the next step
    step: int = 0
    updates: int = 0  # optimiser steps so far
    seconds: float = 0.0  # time spent in this epoch so far
    #: Lowest validation loss, and the number of epochs after which it was reached.
    best: float = math.inf
    best_epoch: int = 0
    #: Column → one number an epoch.
    history: dict[str, list[float]] = field(default_factory=lambda: {n: [] for n in COLUMNS})

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers, lists and dicts."""
        return asdict(self)

    def record(self, loss: float, validation_loss: float, learning_rate: float) -> dict[str, float]:
        """Close the epoch: add a line to the history and return it."""
        line = {
            "loss": loss,
            "validation_loss": validation_loss,
            "learning_rate": learning_rate,
            "seconds": self.seconds,
        }
        for name, value in line.items():
            self.history[name].append(value)
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0
        return line

    def improves(self, loss: float) -> bool:
        """Say whether a validation loss is the lowest so far, and remember it when it is."""
        if not loss < self.best:
            return False
        self.best, self.best_epoch = loss, self.epoch
        return True


def history_dataset(history: Mapping[str, list[float]]) -> xr.Dataset:
    """Return the history as a dataset over `epoch`, counted from 1."""
    epochs = len(next(iter(history.values())))
    number = xr.Variable(
        ("epoch",), range(1, epochs + 1), {"long_name": "epochs completed", "units": "1"}
    )
    columns = {
        name: xr.Variable(("epoch",), history[name], {"long_name": title, "units": unit})
        for name, (title, unit) in COLUMNS.items()
    }
    return xr.Dataset(columns, coords={"epoch": number})


class Average:
    """Exponential moving average of a network's trainable parameters.

    After update t (from 1) the shadow is d shadow + (1 − d) weights with d = min(decay, t / (t +
    9)): a plain average at first, so that short runs are not held back by the initial weights, as
    in TensorFlow's ``ExponentialMovingAverage``.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {n: p for n, p in network.named_parameters() if p.requires_grad}
        self.shadow = {n: p.detach().clone() for n, p in self.weights.items()}
        self._pair = list(self.shadow.values()), [p.detach() for p in self.weights.values()]

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Take in the weights after optimiser step number `updates`, counted from 1."""
        decay = min(self.decay, updates / (updates + 9.0))
        torch._foreach_lerp_(*self._pair, 1.0 - decay)

    @torch.no_grad()
    def load(self, shadow: Mapping[str, Tensor]) -> None:
        """Take the shadow over from a checkpoint."""
        for name, tensor in self.shadow.items():
            tensor.copy_(shadow[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the network have the averaged weights for a while."""
        kept = {name: p.detach().clone() for name, p in self.weights.items()}
        self._set(self.shadow)
        try:
            yield
        finally:
            self._set(kept)

    @torch.no_grad()
    def _set(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self.weights.items():
            parameter.copy_(values[name])


def snapshot(network: nn.Module) -> dict[str, Tensor]:
    """Return a copy of all weights and buffers, none sharing memory."""
    return {
        n: t.detach().clone(memory_format=torch.contiguous_format)
        for n, t in network.state_dict().items()
    }
