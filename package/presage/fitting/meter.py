"""Losses of single samples, kept on the device and looked at now and then.

Reading a loss at each step would make the program wait for the device each time. So the
losses of the samples are copied into rows of a buffer, one row a step; every so many steps
the rows come to the host, where NaN and infinities are looked for. The step and the samples
are still named exactly. Sums of steps are added by `math.fsum`, which rounds once: the loss
of an epoch does not depend on when the buffer was read.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

_ROWS = 50  # steps between two looks
_VALUES = 1 << 20  # losses kept at most
_SECONDS = 2.0  # between two looks at slow steps


class Meter:
    """The losses of one epoch so far, `width` samples of a step at most.

    `on_bad` is called with (step, indices within the step that are not finite, count of the step's
    samples), and raises.
    """

    def __init__(
        self,
        width: int,
        device: torch.device,
        dtype: torch.dtype,
        on_bad: Callable[[int, np.ndarray, int], None],
    ) -> None:
        self.sums: list[float] = []
        self.samples = 0
        #: Mean loss of a sample in the last step that was looked at.
        self.recent = math.nan
        rows = max(1, min(_ROWS, _VALUES // max(width, 1)))
        self._buffer = torch.zeros(rows, width, dtype=dtype, device=device)
        self._rows: list[tuple[int, int]] = []
        self._filled = 0
        self._on_bad = on_bad
        self._looked = time.monotonic()

    def add(self, losses: Tensor) -> None:
        """Keep the losses of (a part of) a step."""
        stop = self._filled + len(losses)
        self._buffer[len(self._rows), self._filled : stop] = losses.detach()
        self._filled = stop

    def end(self, step: int) -> bool:
        """Close a step's row; return whether the rows were looked at."""
        self._rows.append((step, self._filled))
        self._filled = 0
        full = len(self._rows) == len(self._buffer)
        if full or time.monotonic() - self._looked > _SECONDS:
            self.look()
            return True
        return False

    def look(self) -> None:
        """Bring the rows to the host, check them and add them up."""
        values = self._buffer[: len(self._rows)].cpu().numpy()
        for (step, count), row in zip(self._rows, values, strict=True):
            total = float(row[:count].sum(dtype=np.float64))
            if not math.isfinite(total):
                self._on_bad(step, np.flatnonzero(~np.isfinite(row[:count])), count)
            self.sums.append(total)
            self.samples += count
            self.recent = total / max(count, 1)
        self._rows.clear()
        self._looked = time.monotonic()

    def reset(self) -> None:
        """Begin an epoch."""
        self.load([])

    def state(self) -> Tensor:
        """Return count and sums of an epoch so far, ``[1 + steps]``; rows must be looked at."""
        return torch.tensor([self.samples, *self.sums], dtype=torch.float64)

    def load(self, states: Sequence[Tensor]) -> None:
        """Go on from one or several states."""
        self.samples = sum(int(state[0]) for state in states)
        self.sums = [float(value) for state in states for value in state[1:]]
        self._rows.clear()
        self._filled = 0
