"""Maps between a box of parameters and the real line, with their Jacobians, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

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


#: Name → ``"module:Class"`` of coordinates in which parameters are not tangled, made of the edges
#: `low` and `high`. An instance has the parameters' ``names``; ``forward(theta)`` puts them on the
#: line with a Jacobian of 1, ``inverse(z)`` brings them back, into the box; ``edges(z)`` is where
#: each coordinate ends, given those before it. A study adds its own.
COORDINATES: dict[str, str] = {"bounded_curve": "presage.studies.pdf.straight:CurveCoordinates"}


def coordinates(name: str, low: Tensor, high: Tensor) -> Any:
    """Return coordinates of a box by name; None for no name."""
    if not name:
        return None
    check_name("straight coordinates", name, COORDINATES)
    kind = resolve(COORDINATES[name])
    if len(low) != len(kind.names):
        raise LabelError(
            f"straight={name!r} is for the {len(kind.names)} parameters "
            f"{', '.join(kind.names)}; there are {len(low)}"
        )
    return kind(low, high)


class Box:
    """A box of parameters and its link to the real line.

    Parameters
    ----------
    low, high
        Edges, ``(P,)``.
    link
        Name in :data:`LINKS`.
    straight
        Name in :data:`COORDINATES`; empty for none.
    """

    def __init__(self, low: Tensor, high: Tensor, link: str, straight: str = "") -> None:
        self.low, self.span = low.double(), (high - low).double()
        self.straight = coordinates(straight, low.double(), high.double())
        self.ends, self.truncated = ENDS[link], link == "truncated"
        self._to_line, self._to_unit, self._log_slope = LINKS[link]

    @classmethod
    def of(cls, declaration: Mapping[str, Any], model: Any) -> Box:
        """Return the box of a posterior's `declaration`, as its `model` has it."""
        low, high = (torch.tensor(declaration[e], dtype=torch.float64) for e in ("low", "high"))
        return cls(low, high, model.link, model.straight)

    def line(self, theta: Tensor) -> Tensor:
        """Return z ``(*, P)`` of theta ``(*, P)``; an edge is taken as a place beside it."""
        if self.straight:
            return cast(Tensor, self.straight.forward(theta.double()))
        unit = (theta.double() - self.low) / self.span
        return self._to_line(unit.clamp(_EDGE, 1 - _EDGE))

    def theta(self, z: Tensor) -> Tensor:
        """Return theta ``(*, P)`` of z ``(*, P)``, inside the box where z is :meth:`finite`."""
        if self.straight:
            return cast(Tensor, self.straight.inverse(z.double()))
        return self.low + self.span * self._to_unit(z.double())

    def log_slope(self, z: Tensor) -> Tensor:
        """Return ln|d theta / dz|, ``(*)``."""
        if self.straight:
            return torch.zeros_like(z[..., 0], dtype=torch.float64)
        return (self._log_slope(z.double()) + self.span.log()).sum(-1)

    def edges(self, z: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return where each z_i ends, ``(*, P)`` or ``(P,)``, given those before it.

        None where the line does not end.
        """
        if self.straight:
            return cast(tuple[Tensor, Tensor], self.straight.edges(z))
        low, high = (torch.full_like(z[..., :1], end) for end in self.ends)
        return (low, high) if self.truncated else None

    def finite(self, z: Tensor) -> Tensor:
        """Return z kept off the edges of the box; straight coordinates see to that themselves."""
        return z if self.straight else z.clamp(*self.ends)

    def inside(self, theta: Tensor) -> Tensor:
        """Say which theta ``(*, P)`` are in the box, ``(*)``."""
        return ((theta >= self.low) & (theta <= self.low + self.span)).all(-1)
