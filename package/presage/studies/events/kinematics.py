"""Relativistic kinematics of a two-body decay, in columns; natural units, GeV.

Momenta are given as pt, eta, phi: momentum across the beam, pseudorapidity, azimuth.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Momentum(NamedTuple):
    """Momenta of one particle in many events, each ``[event]``."""

    pt: Floats
    eta: Floats
    phi: Floats


class Decay(NamedTuple):
    """Decays into a massless daughter and another one, each ``[event]``.

    Attributes
    ----------
    mass, light
        Masses of the parent and of the massive daughter.
    pt
        The parent's transverse momentum; its azimuth is 0.
    cosine, azimuth
        Direction of the massless daughter in the parent's rest frame, about the beam.
    """

    mass: Floats
    light: Floats
    pt: Floats
    cosine: Floats
    azimuth: Floats

    def take(self, events: NDArray[np.intp]) -> Self:
        """Return some of the events."""
        return type(self)(*(column[events] for column in self))

    def photon_pt(self) -> Floats:
        """Return the massless daughter's transverse momentum in the laboratory.

        A motion of the parent along the beam does not change it.
        """
        p, (x, y) = breakup(self.mass, self.light), self._across()
        return np.hypot(np.hypot(self.mass, self.pt) * x + self.pt, self.mass * y) * p / self.mass

    def daughters(self, rapidity: Floats) -> tuple[Momentum, Momentum]:
        """Return both daughters' momenta in the laboratory, the massless one first.

        Parameters
        ----------
        rapidity
            Of the parent, along the beam.
        """
        p, (x, y) = breakup(self.mass, self.light), self._across()
        gamma, boost = np.hypot(self.mass, self.pt) / self.mass, self.pt / self.mass
        along = p * self.cosine
        first = _moving(p * (gamma * x + boost), p * y, along, np.zeros_like(p), rapidity)
        back = boost * np.hypot(p, self.light) - gamma * p * x
        return first, _moving(back, -p * y, -along, self.light, rapidity)

    def _across(self) -> tuple[Floats, Floats]:
        """Return the direction's components across the beam; never exactly along it."""
        across = np.sqrt(np.maximum(1 - self.cosine**2, 1e-18))
        return across * np.cos(self.azimuth), across * np.sin(self.azimuth)


def breakup(mass: Floats, light: Floats) -> Floats:
    """Return the momentum of either daughter in the parent's rest frame, (M^2 - m^2)/(2 M)."""
    return (mass - light) * (mass + light) / (2 * mass)


def _moving(x: Floats, y: Floats, z: Floats, mass: Floats, rapidity: Floats) -> Momentum:
    """Boost along the beam, which adds to the rapidity and leaves pt alone."""
    pt = np.maximum(np.hypot(x, y), 1e-9)
    transverse = np.hypot(mass, pt)
    total = np.arcsinh(z / transverse) + rapidity
    return Momentum(pt, np.arcsinh(np.sinh(total) * transverse / pt), np.arctan2(y, x))


def invariant_mass(light: Momentum, heavy: Momentum, mass: Floats) -> Floats:
    """Return the mass of a pair of which one is massless.

    M^2 = m^2 + 2 E (E' - p') + 2 pt pt' (cosh(eta - eta') - cos(phi - phi')), where
    E' - p' = m^2/(E' + p'): no difference of large numbers is taken.

    Parameters
    ----------
    light, heavy
        Momenta of the massless and of the other particle.
    mass
        Mass m of the other.
    """
    momentum = heavy.pt * np.cosh(heavy.eta)
    energy = light.pt * np.cosh(light.eta)
    square = mass * mass
    slack = square / (np.hypot(momentum, mass) + momentum)
    opening = np.cosh(light.eta - heavy.eta) - np.cos(light.phi - heavy.phi)
    return np.asarray(np.sqrt(square + 2 * energy * slack + 2 * light.pt * heavy.pt * opening))


_PRIMES = (2, 3, 5, 7, 11, 13)


def even_points(number: int, dimension: int) -> Floats:
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
