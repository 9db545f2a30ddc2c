"""The coordinates of labels on a grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from presage.emulation.grid import inner_nodes
from presage.labels import LabelError, Parameter

Floats = NDArray[np.float64]
_LETTERS = "xyz"


@dataclass(frozen=True)
class Axis:
    """One coordinate of the labels.

    Parameters
    ----------
    name
        Its parameter is called ``<name>_label``.
    number
        Labels along it, on the inner nodes of the range.
    low, high
        The range.
    unit, long_name
        As in :class:`~presage.labels.Variable`.
    periodic
        Whether the ends of the range are one place.
    """

    name: str
    number: int
    low: float = 0.0
    high: float = 1.0
    unit: str = "1"
    long_name: str = ""
    periodic: bool = False

    def __post_init__(self) -> None:
        if self.number < 1 or self.number != int(self.number):
            raise LabelError(f"there should be at least 1 label along {self.name}: {self.number}")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise LabelError(f"the range of {self.name} should rise, got {self.low} to {self.high}")

    @property
    def step(self) -> float:
        """Distance between two labels."""
        return (self.high - self.low) / (self.number + 1)

    @property
    def nodes(self) -> Floats:
        """Values of the labels ``[number]``."""
        return inner_nodes(self.number, self.low, self.high)

    @property
    def parameter(self) -> Parameter:
        """Declaration of the label: it lies within the range."""
        name = self.long_name or f"label {self.name}"
        return Parameter(
            f"{self.name}_label", (), "float64", self.unit, name, self.low, self.high,
            low=self.low, high=self.high, period=self.high - self.low if self.periodic else None,
        )  # fmt: skip


def axis_names(dimension: int) -> tuple[str, ...]:
    """Return x, y, z for up to three axes, else x0, x1..."""
    if dimension <= len(_LETTERS):
        return tuple(_LETTERS[:dimension])
    return tuple(f"x{i}" for i in range(dimension))
