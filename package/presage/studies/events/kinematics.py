"""Relativistic kinematics of a two-body decay, in columns; natural units, GeV.

Momenta are given as pt, eta, phi: momentum across the beam, pseudorapidity, azimuth. Results
have the precision of what is given: in single precision, in which NumPy's functions are
vectorised, masses are right to some 10^-6.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


class Momentum(NamedTuple):
    """Momenta of one particle in many events, each ``[event]``."""

    pt: Floats
    eta: Floats
    phi: Floats


class Decay(NamedTuple):
    """Decays into a massless daughter and another one, each ``[event]``."""

    mass: Floats  # of the parent
    light: Floats  # of the massive daughter
    pt: Floats  # the parent's transverse momentum; its azimuth is 0
    cosine: Floats  # direction of the massless daughter in the parent's rest frame,
    azimuth: Floats  # about the beam

    def take(self, events: NDArray[np.intp]) -> Self:
        """Return some of the events."""
        return type(self)(*(column[events] for column in self))

    def photon_pt(self) -> Floats:
        """Return the massless daughter's transverse momentum in the laboratory.

        A motion of the parent along the beam does not change it.
        """
        p, (x, y) = breakup(self.mass, self.light), self._across()
        return _length(_length(self.mass, self.pt) * x + self.pt, self.mass * y) * p / self.mass

    def daughters(self, rapidity: Floats) -> tuple[Momentum, Momentum]:
        """Return both daughters' momenta in the laboratory, the massless one first.

        `rapidity` is that of the parent, along the beam.
        """
        p, (x, y) = breakup(self.mass, self.light), self._across()
        gamma, boost = _length(self.mass, self.pt) / self.mass, self.pt / self.mass
        ahead = np.exp(rapidity)
        along = p * self.cosine
        first = _moving(p * (gamma * x + boost), p * y, along, np.zeros_like(p), ahead)
        back = boost * _length(p, self.light) - gamma * p * x
        return first, _moving(back, -p * y, -along, self.light, ahead)

    def _across(self) -> tuple[Floats, Floats]:
        """Return the direction's components across the beam; never exactly along it."""
        across = np.sqrt(np.maximum(1 - self.cosine**2, 1e-18))
        return across * np.cos(self.azimuth), across * np.sin(self.azimuth)


def breakup(mass: Floats, light: Floats) -> Floats:
    """Return the momentum of either daughter in the parent's rest frame, (M^2 - m^2)/(2 M)."""
    return (mass - light) * (mass + light) / (2 * mass)


def _moving(x: Floats, y: Floats, z: Floats, mass: Floats, ahead: Floats) -> Momentum:
    """Boost along the beam by a rapidity, given as its exponential; pt stays."""
    pt = np.maximum(_length(x, y), 1e-9)
    energy = np.sqrt(pt * pt + z * z + mass * mass)
    slope = ((z + energy) * ahead + (z - energy) / ahead) / (2 * pt)
    eta = np.copysign(np.log(np.abs(slope) + np.sqrt(slope * slope + 1)), slope)
    return Momentum(pt, eta, np.arctan2(y, x))


def _length(x: Floats, y: Floats) -> Floats:
    """Return sqrt(x^2 + y^2); unlike hypot it is vectorised, and nothing overflows here."""
    return np.asarray(np.sqrt(x * x + y * y))


def invariant_mass(light: Momentum, heavy: Momentum, mass: Floats) -> Floats:
    """Return the mass of a pair of which one is massless and the other has the mass m.

    M^2 = m^2 + 2 E (E' - p') + 2 pt pt' (cosh(eta - eta') - cos(phi - phi')), where
    E' - p' = m^2/(E' + p'): no difference of large numbers is taken.
    """
    momentum = heavy.pt * np.cosh(heavy.eta)
    energy = light.pt * np.cosh(light.eta)
    square = mass * mass
    slack = square / (_length(momentum, mass) + momentum)
    opening = np.cosh(light.eta - heavy.eta) - np.cos(light.phi - heavy.phi)
    return np.asarray(np.sqrt(square + 2 * energy * slack + 2 * light.pt * heavy.pt * opening))


_PRIMES = (2, 3, 5, 7, 11, 13)


def even_points(number: int, dimension: int) -> NDArray[np.float64]:
    """Return points ``[dimension, number]`` that fill the unit cube evenly, up to 6 dimensions.

    The Halton sequence: coordinate j of point i is i mirrored at the point of base prime j.
    """
    points = np.zeros((dimension, number))
    for coordinate, base in zip(points, _PRIMES[:dimension], strict=True):
        rest, place = np.arange(1, number + 1), 1.0
        while rest.any():
            place /= base
            rest, digit = np.divmod(rest, base)
            coordinate += digit * place
    return points
