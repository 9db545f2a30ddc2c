"""The strong coupling at leading order, with four flavours and, above the bottom mass, five.

In a = alpha_s / 4 pi, da / dlnQ2 = -beta0 a^2 with beta0 = 11 - 2 nf / 3, so 1/a is linear
in ln Q2 and continuous where the bottom quark enters. Partons evolve in
t = ln(a_0 / a) / beta0, one t for each number of flavours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from presage.labels import LabelError


def beta0(flavours: int) -> float:
    """Return the first coefficient of the beta function."""
    return 11 - 2 * flavours / 3


@dataclass(frozen=True)
class Coupling:
    """alpha_s from its value at one scale.

    Parameters
    ----------
    alpha_s
        Value at `scale`.
    scale
        In GeV; the mass of the Z by default.
    bottom_mass
        In GeV; None for four flavours at all scales.

    Raises
    ------
    LabelError
        A number that is not positive.
    """

    alpha_s: float = 0.118
    scale: float = 91.1876
    bottom_mass: float | None = 4.18

    def __post_init__(self) -> None:
        for name in ("alpha_s", "scale", "bottom_mass"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise LabelError(f"Coupling: {name} should be positive, got {value!r}")

    @property
    def threshold(self) -> float:
        """Q2 in GeV2 from which on there are five flavours."""
        return math.inf if self.bottom_mass is None else self.bottom_mass**2

    def inverse(self, q2: Tensor) -> Tensor:
        """Return 1 / a = 4 pi / alpha_s at `q2` in GeV2."""
        here = torch.as_tensor(self.scale**2, dtype=q2.dtype, device=q2.device)
        return 4 * math.pi / self.alpha_s + self._running(q2) - self._running(here)

    def _running(self, q2: Tensor) -> Tensor:
        """Return a primitive of beta0 in ln Q2."""
        below = beta0(4) * q2.clamp(max=self.threshold).log()
        above = (q2 / self.threshold).clamp(min=1.0).log()
        return below + beta0(5) * above

    def value(self, q2: Tensor) -> Tensor:
        """Return alpha_s at `q2` in GeV2."""
        return 4 * math.pi / self.inverse(q2)

    def times(self, q2: Tensor, start: float) -> tuple[Tensor, Tensor]:
        """Return the evolution times from `start` to `q2` spent with four and five flavours.

        Raises
        ------
        LabelError
            alpha_s has no finite value at `start`, or evolution would go backwards.
        """
        begin = torch.as_tensor(start, dtype=q2.dtype, device=q2.device)
        if start > self.threshold or bool((q2 < start * (1 - 1e-12)).any()):
            raise LabelError(
                f"evolution runs from {start:g} GeV2 upwards and begins below the bottom mass; "
                f"got Q2 from {float(q2.min()):g} GeV2, threshold {self.threshold:g} GeV2"
            )
        first = self.inverse(begin)
        if float(first) <= 0:
            raise LabelError(
                f"alpha_s = {self.alpha_s:g} at {self.scale:g} GeV diverges above {start:g} GeV2"
            )
        middle = self.inverse(q2.clamp(max=self.threshold))
        last = self.inverse(q2)
        return (middle / first).log() / beta0(4), (last / middle).log() / beta0(5)
