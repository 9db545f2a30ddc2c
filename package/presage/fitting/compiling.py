"""Compiled losses: the same numbers but for rounding, from fewer and larger operations."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from presage.fitting.errors import FitError
from presage.fitting.settings import Settings
from presage.fitting.source import TensorBatch

Loss = Callable[[TensorBatch], Tensor]


def check_compiler() -> None:
    """Refuse where there is no C++ compiler, which torch.compile needs on every device."""
    named = os.environ.get("CXX", "")
    for name in [named] if named else ("g++", "clang++", "c++"):
        if shutil.which(name):
            return
    looked = f"CXX={named!r} is not" if named else "none of g++, clang++, c++ is"
    raise FitError(
        f"compile=True needs a C++ compiler, and {looked} there; install one, or train with "
        "compile=False: the result is the same model"
    )


def compiled(loss: Loss, settings: Settings, processes: int, segments: Any) -> Loss:
    """Return a loss whose full batches run compiled, others as they are.

    `settings` say how many samples a full batch has, which is divided among `processes`; `segments`
    is the network's loss by segments, or None.
    """
    if processes > 1 or segments is not None:
        what = "by segments (segment_loss)" if segments is not None else f"on {processes} processes"
        raise FitError(f"compile=True is not for training {what}; give compile=False")
    quick = torch.compile(loss, dynamic=False)
    # A batch of another size would be compiled anew, for one step an epoch.
    smaller, more = divmod(settings.batch_size, settings.accumulate)
    full = {smaller, smaller + bool(more)}

    def either(batch: TensorBatch) -> Tensor:
        rows = len(next(iter(batch.values())))
        return quick(batch) if rows in full else loss(batch)

    return either
