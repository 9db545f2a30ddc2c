"""Maps between a box of parameters and the real line, with their Jacobians, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from presage.labels import LabelError, check_name
from presage.plugins import resolve

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
    # No link: a density on the whole line that is cut at the edges and divided by what is left.
    "truncated": (torch.clone, torch.clone, torch.zeros_like),
}
#: Places on the line beyond which float64 cannot tell the box from its edge.
ENDS = {"logit": (-27.0, 27.0), "probit": (-7.0, 7.0), "truncated": (0.0, 1.0)}


#: Name → ``"module:Class"`` of coordinates in which parameters are not tangled. An instance has
#: ``moved``, how many of the parameters ``names``, the first ones, it puts on the line by
#: ``forward(theta)``, and ``inverse(z, theta)``, both with a Jacobian of 1. A study adds its own.
COORDINATES: dict[str, str] = {"curve": "presage.studies.pdf.straight:CurveCoordinates"}


def coordinates(name: str, parameters: int | None = None) -> Any:
    """Return coordinates by name, for so many parameters; None for no name."""
    if not name:
        return None
    check_name("straight coordinates", name, COORDINATES)
    found = resolve(COORDINATES[name])()
    if parameters not in (None, len(found.names)):
        raise LabelError(
            f"straight={name!r} is for the {len(found.names)} parameters "
            f"{', '.join(found.names)}; there are {parameters}"
        )
    return found


class Box:
    """A box of parameters and its link to the real line.

    Parameters
    ----------
    low, high
        Edges, ``(P,)``.
    link
        Name in :data:`LINKS`.
    straight
        Name in :data:`COORDINATES`: parameters that these move are on the
        line without a link, and may then leave the box. Empty for none.
    """

    def __init__(self, low: Tensor, high: Tensor, link: str, straight: str = "") -> None:
        self.low, self.span = low.double(), (high - low).double()
        self.straight = coordinates(straight, len(low))
        self.free = self.straight.moved if self.straight else 0
        self.ends = ENDS[link]
        self._to_line, self._to_unit, self._log_slope = LINKS[link]

    def line(self, theta: Tensor) -> Tensor:
        """Return z ``(*, P)`` of theta ``(*, P)``; an edge is taken as a place beside it."""
        unit = (theta.double() - self.low) / self.span
        z = self._to_line(unit.clamp(_EDGE, 1 - _EDGE))
        if self.straight is None:
            return z
        return torch.cat((self.straight.forward(theta.double()), z[..., self.free :]), -1)

    def theta(self, z: Tensor) -> Tensor:
        """Return theta ``(*, P)`` of z ``(*, P)``; what has a link is never outside the box."""
        theta = self.low + self.span * self._to_unit(z.double())
        if self.straight is None:
            return theta
        inner: Tensor = self.straight.inverse(z[..., : self.free].double(), theta)
        return inner

    def log_slope(self, z: Tensor) -> Tensor:
        """Return ln|d theta / dz|, ``(*)``."""
        linked = z[..., self.free :].double()
        return (self._log_slope(linked) + self.span[self.free :].log()).sum(-1)

    def finite(self, z: Tensor) -> Tensor:
        """Return z with what has a link kept off the edges of the box."""
        linked = z[..., self.free :].clamp(*self.ends)
        return torch.cat((z[..., : self.free], linked), -1)

    def inside(self, theta: Tensor) -> Tensor:
        """Say which theta ``(*, P)`` are in the box, ``(*)``."""
        return ((theta >= self.low) & (theta <= self.low + self.span)).all(-1)
