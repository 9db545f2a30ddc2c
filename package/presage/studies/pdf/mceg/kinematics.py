"""Which (x, Q2) can be seen, and coordinates in which that region is a square.

y = Q2 / (x (s - M^2)) < 1 bounds x from below and W^2 = M^2 + Q2 (1/x - 1) > W^2_min from
above. At each Q2, u in [0, 1] runs between the two bounds, linear in
xi = log(r / (1 - 0.9 r)), r = sqrt(x): logarithmic at small x, close to even near 1.
v = 1/Q2_min - 1/Q2 takes up the photon propagator. Nothing is cut at the edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from presage.labels import LabelError

_BEND = 0.9


@dataclass(frozen=True)
class Kinematics:
    """Beams and cuts.

    Parameters
    ----------
    energy
        sqrt(s) in GeV.
    proton_mass
        In GeV.
    w2_min
        Smallest squared mass of the hadrons, in GeV2.
    q2_min
        Smallest Q2, in GeV2.

    Raises
    ------
    LabelError
        No event could pass.
    """

    energy: float = 140.0
    proton_mass: float = 0.938272
    w2_min: float = 10.0
    q2_min: float = 2.0

    def __post_init__(self) -> None:
        if not (self.w2_min > self.proton_mass**2 > 0 and 0 < self.q2_min < self.q2_max):
            raise LabelError(
                f"Kinematics: expected 0 < q2_min < energy^2 - w2_min and w2_min above the "
                f"proton's mass squared, got {self}"
            )

    @property
    def q2_max(self) -> float:
        """Largest Q2 in GeV2: there both bounds of x meet."""
        return self.energy**2 - self.w2_min

    @property
    def reach(self) -> float:
        """S - M^2 in GeV2."""
        return self.energy**2 - self.proton_mass**2

    def bounds(self, q2: Tensor) -> tuple[Tensor, Tensor]:
        """Return smallest and largest x at `q2`."""
        return q2 / self.reach, q2 / (q2 + (self.w2_min - self.proton_mass**2))

    def inelasticity(self, x: Tensor, q2: Tensor) -> Tensor:
        """Return y."""
        return q2 / (x * self.reach)

    def inside(self, x: Tensor, q2: Tensor) -> Tensor:
        """Say which events can be seen."""
        low, high = self.bounds(q2)
        return (x > low) & (x < high) & (q2 >= self.q2_min) & (q2 <= self.q2_max)

    def square(self, x: Tensor, q2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return u, v and log abs(d(u, v) / d(x, Q2)) of events inside the cuts."""
        low, high = (bend(edge) for edge in self.bounds(q2))
        width = high - low
        u = (bend(x) - low) / width
        jacobian = 2 * x * (1 - _BEND * x.sqrt()) * width * q2.square()
        return u, 1 / self.q2_min - 1 / q2, -jacobian.log()

    def events(self, u: Tensor, v: Tensor, single: bool = True) -> Tensor:
        """Return x and Q2 ``(*, 2)`` of u and v, in float32 or as they are.

        Rounding may not carry an event over the edge: both are kept from it by the
        spacing of float32 numbers, and x is found for the rounded Q2.
        """
        spare = 1.2e-7
        q2 = 1 / (1 / self.q2_min - v)
        q2 = q2.clamp(self.q2_min, self.q2_max * (1 - 10 * spare))
        if single:
            q2 = q2.clamp(min=self.q2_min * (1 + spare)).float().double()
        least, most = self.bounds(q2)
        low, high = bend(least), bend(most)
        x = unbend(low + (high - low) * u)
        x = torch.minimum(torch.maximum(x, least * (1 + spare)), most * (1 - spare))
        both = torch.stack([x, q2], -1)
        return both.float() if single else both


def bend(x: Tensor) -> Tensor:
    """Return xi(x)."""
    root = x.sqrt()
    return (root / (1 - _BEND * root)).log()


def unbend(xi: Tensor) -> Tensor:
    """Return x(xi)."""
    grown = xi.exp()
    return (grown / (1 + _BEND * grown)).square()


def phase_space(x: Tensor, y: Tensor, width: Tensor) -> Tensor:
    """Return Y+ / x · dx/du where xi covers `width`: from F2 to a density in u and v."""
    return (1 + (1 - y).square()) * 2 * (1 - _BEND * x.sqrt()) * width
