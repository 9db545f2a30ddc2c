"""Polarised light that an instrument takes for total intensity: a foreground that is not smooth.

Magnetised plasma turns the plane of polarisation by psi lambda^2, psi the Faraday depth. Light
from many depths therefore adds up to

    (Q + i U)(nu) = sum over psi of F(psi) exp(2 i psi lambda^2),    lambda = c/nu,

with a complex Gaussian field F over the sky that is correlated over depths like
exp(-dpsi^2/2 xi^2) under the envelope exp(-psi^2/2 sigma^2) (Alonso et al. 2014). Its spectrum and
angular power are otherwise those of the synchrotron. A share epsilon of Q leaks into intensity.

Over frequency Q + i U has the Hermitian covariance H = E K E^dagger, K that of F and E the
rotations, and the leakage that of Q, epsilon^2 Re H/2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from presage.labels import LabelError
from presage.studies.sky.cosmology import Array
from presage.studies.sky.geometry import LIGHT

#: Depths on either side, in widths of the envelope, and steps per correlation length.
REACH, STEPS = 4.0, 4
#: Widths over correlation that a grid can hold.
WIDEST = 200.0
#: Share of the greatest eigenvalue below which nothing can be seen of the leakage.
FAINTEST = 1e-13


@dataclass(frozen=True)
class Leakage:
    """How much leaks, and from which depths.

    Parameters
    ----------
    share
        epsilon, of Q that is taken for intensity.
    fraction
        Width of Q, and of U, over that of the synchrotron, before depths blur one another.
    correlation
        xi, over which depths are alike, rad/m^2.
    width
        sigma of the depths, rad/m^2.

    Raises
    ------
    LabelError
        Shares outside 0 to 1, or a width that is not positive.
    """

    share: float = 0.005
    fraction: float = 0.3
    correlation: float = 0.5
    width: float = 20.0

    def __post_init__(self) -> None:
        if not (0 <= self.share <= 1 and 0 <= self.fraction <= 1):
            raise LabelError(f"share={self.share} and fraction={self.fraction} lie between 0 and 1")
        if not (self.correlation > 0 and self.width > 0):
            raise LabelError(
                "depths have a positive correlation and width, got "
                f"{self.correlation} and {self.width} rad/m2"
            )

        if self.width > WIDEST * self.correlation:
            raise LabelError(
                f"a width of {self.width} rad/m2 is more than {WIDEST:g} correlations of "
                f"{self.correlation} rad/m2: too many depths to tell apart"
            )

    @property
    def depths(self) -> Array:
        """The grid of Faraday depths psi, rad/m^2."""
        reach = REACH * self.width
        step = min(self.correlation / STEPS, self.width / STEPS)
        return np.linspace(-reach, reach, 2 * int(np.ceil(reach / step)) + 1)

    def depth_covariance(self) -> Array:
        """Return K = <F F*> between depths; Q and U have the width 1 each where nothing turns."""
        psi = self.depths
        envelope = np.exp(-0.5 * (psi / self.width) ** 2)
        alike = np.exp(-0.5 * ((psi[:, None] - psi) / self.correlation) ** 2)
        covariance = envelope[:, None] * alike * envelope
        return np.asarray(2 * covariance / covariance.sum())

    def covariance(self, frequency: Array) -> NDArray[np.complex128]:
        """Return H = <P P*> of P = Q + i U between frequencies, for a synchrotron of width 1."""
        turned = rotation(self.depths, frequency)
        return np.asarray(self.fraction**2 * turned @ self.depth_covariance() @ turned.conj().T)

    def stokes(self, frequency: Array) -> tuple[Array, Array]:
        """Return the columns ``[frequency, R]`` that make Q, and U, of the same R white maps."""
        values, vectors = np.linalg.eigh(self.covariance(frequency))
        kept = values > FAINTEST * values[-1]
        root = vectors[:, kept] * np.sqrt(0.5 * values[kept])
        return np.hstack([root.real, -root.imag]), np.hstack([root.imag, root.real])


def rotation(depth: Array, frequency: Array) -> NDArray[np.complex128]:
    """Return exp(2 i psi lambda^2) ``[frequency, depth]`` for MHz and rad/m^2."""
    square = (LIGHT / np.asarray(frequency)) ** 2
    return np.asarray(np.exp(2j * square[:, None] * np.asarray(depth)))
