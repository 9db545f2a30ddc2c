"""The expanding universe behind the maps: distances, growth, and how bright hydrogen glows.

Flat Lambda-CDM with the parameters of Planck 2018 by default. Lengths are in Mpc/h, so that wave
numbers are in h/Mpc. What frequency means is the redshift of the 21 cm line,
z = nu_21/nu - 1 with nu_21 = 1420.405752 MHz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad

Array = NDArray[np.float64]

#: Frequency of the hydrogen line at rest, MHz.
LINE = 1420.405752
#: Speed of light over 100 km/s/Mpc: the Hubble distance in Mpc/h.
HUBBLE_DISTANCE = 2997.92458


def redshift(frequency: Array) -> Array:
    """Return the redshift of the 21 cm line seen at frequencies in MHz."""
    return LINE / np.asarray(frequency, dtype=np.float64) - 1.0


@dataclass(frozen=True)
class Cosmology:
    """A flat universe of matter and a cosmological constant.

    Parameters
    ----------
    hubble
        H0 in units of 100 km/s/Mpc.
    matter, baryons
        Density parameters today.
    tilt
        Spectral index of primordial fluctuations.
    sigma8
        Width of today's matter fluctuations in spheres of 8 Mpc/h.
    temperature
        Of the microwave background, K.
    """

    hubble: float = 0.6766
    matter: float = 0.3111
    baryons: float = 0.0490
    tilt: float = 0.9665
    sigma8: float = 0.8102
    temperature: float = 2.7255

    def expansion(self, z: Array | float) -> Array:
        """Return E(z) = H(z)/H0."""
        return np.sqrt(self.matter * (1.0 + np.asarray(z)) ** 3 + 1.0 - self.matter)

    def distance(self, z: float) -> float:
        """Return the comoving distance to a redshift, Mpc/h."""
        value, _ = quad(lambda at: 1.0 / float(self.expansion(at)), 0.0, z, epsrel=1e-10)
        return HUBBLE_DISTANCE * float(value)

    def depth(self, z: float, width: float) -> float:
        """Return how deep `width` MHz of the line reach at a redshift, Mpc/h."""
        return HUBBLE_DISTANCE * (1.0 + z) ** 2 * width / (float(self.expansion(z)) * LINE)

    def growth(self, z: Array) -> Array:
        """Return the linear growth of fluctuations, 1 today: D ~ H int da/(a H)^3."""

        def grown(at: float) -> float:
            value, _ = quad(lambda a: (a * float(self.expansion(1 / a - 1))) ** -3, 0, 1 / (1 + at))
            return float(self.expansion(at)) * float(value)

        flat = np.atleast_1d(np.asarray(z, dtype=np.float64))
        values = np.array([grown(at) for at in flat.ravel()]) / grown(0.0)
        return values.reshape(np.shape(z))

    def growth_rate(self, z: Array | float) -> Array:
        """Return f = d ln D / d ln a, about Omega_m(z)^0.55 (Linder 2005)."""
        share = self.matter * (1.0 + np.asarray(z)) ** 3 / self.expansion(z) ** 2
        return np.asarray(share**0.55)

    def brightness(self, z: Array) -> Array:
        """Return the mean temperature of the line, mK: 189 h Omega_HI (1 + z)^2 / E(z).

        With Omega_HI = 4e-4 (1 + z)^0.6 (Crighton et al. 2015).
        """
        hydrogen = 4e-4 * (1.0 + z) ** 0.6
        return np.asarray(189.0 * self.hubble * hydrogen * (1.0 + z) ** 2 / self.expansion(z))


PLANCK18 = Cosmology()
