"""Maps between a box of parameters and the real line, with their Jacobians, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

#: Places in the unit box closer to an edge count as this far from it.
_EDGE = 1e-12
_LOG_2PI = math.log(2 * math.pi)


def _logit(u: Tensor) -> Tensor:
    return u.log() - torch.log1p(-u)


def _log_sigmoid_slope(z: Tensor) -> Tensor:
    return functional.logsigmoid(z) + functional.logsigmoid(-z)


def _log_normal(z: Tensor) -> Tensor:
    return -0.5 * (z.square() + _LOG_2PI)


Map = Callable[[Tensor], Tensor]

#: Name → (unit interval to line, line to unit interval, ln du/dz). Uniform is normal under
#: the probit: a posterior cut by an edge of the box keeps light tails there.
LINKS: dict[str, tuple[Map, Map, Map]] = {
    "logit": (_logit, torch.sigmoid, _log_sigmoid_slope),
    "probit": (torch.special.ndtri, torch.special.ndtr, _log_normal),
}
#: Places on the line beyond which float64 cannot tell the box from its edge.
FARTHEST = {"logit": 27.0, "probit": 7.0}


class Box:
    """A box of parameters and its link to the real line.

    Parameters
    ----------
    low, high
        Edges, ``(P,)``.
    link
        Name in :data:`LINKS`.
    """

    def __init__(self, low: Tensor, high: Tensor, link: str) -> None:
        self.low, self.span = low.double(), (high - low).double()
        self.farthest = FARTHEST[link]
        self._to_line, self._to_unit, self._log_slope = LINKS[link]

    def line(self, theta: Tensor) -> Tensor:
        """Return z ``(*, P)`` of theta ``(*, P)``; an edge is taken as a place beside it."""
        unit = (theta.double() - self.low) / self.span
        return self._to_line(unit.clamp(_EDGE, 1 - _EDGE))

    def theta(self, z: Tensor) -> Tensor:
        """Return theta ``(*, P)`` of z ``(*, P)``, never outside the box."""
        return self.low + self.span * self._to_unit(z.double())

    def log_slope(self, z: Tensor) -> Tensor:
        """Return ln|d theta / dz|, ``(*)``."""
        return (self._log_slope(z.double()) + self.span.log()).sum(-1)

    def inside(self, theta: Tensor) -> Tensor:
        """Say which theta ``(*, P)`` are in the box, ``(*)``."""
        return ((theta >= self.low) & (theta <= self.low + self.span)).all(-1)
