"""The 21 cm signal: how hydrogen's brightness varies over a patch of sky, and its covariance.

White noise on a box is Fourier transformed and multiplied by sqrt(P/V), V the volume of a cell.
P is the linear power of matter at the band's middle redshift, where lengths, bias and growth rate
are taken too, as hydrogen shows it in redshift space (Kaiser 1987; Ballinger et al. 1996):
P = (b + f mu^2)^2 D^2 P_0(k) / (1 + k_par^2 sigma^2/2), mu = k_par/k.
The box is at least twice as long along the line of sight as the band, which is cut out of it, so
that the cube's two ends know nothing of one another. Channel nu shows T(z) D(z)/D(middle) times the
density, T the mean brightness.

Each transverse mode is thus a stationary sequence times that amplitude, and its covariance the sum
of P/V over the long box's modes along the line of sight: exact, a Toeplitz matrix between two
diagonal ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import ifft, irfft2, next_fast_len, rfft2, rfftn
from scipy.linalg import toeplitz

from presage.labels import LabelError, nearest
from presage.rng import normals
from presage.studies.sky.cosmology import Array
from presage.studies.sky.geometry import Patch
from presage.studies.sky.linear_power import SPECTRA, linear_power
from presage.studies.sky.lognormal import underlying

Single = NDArray[np.float32]
EVOLVING = "evolving"


@dataclass(frozen=True)
class Signal:
    """Fluctuations of the 21 cm line, see the module.

    Parameters
    ----------
    spectrum
        Of matter: ``"boltzmann"``, tabulated with acoustic oscillations, or ``"eisenstein_hu"``,
        the fit without, for any cosmology.
    bias
        Of hydrogen over matter: a number, or ``"evolving"``, 0.6666 + 0.1777 z + 0.0502 z^2.
    distortions
        Whether velocities squeeze structures along the line of sight.
    dispersion
        Pairwise dispersion sigma of velocities, Mpc/h, which blurs them: fingers of God.
    lognormal
        Whether the density is lognormal, never below zero, with the same power; else Gaussian.
    oversize
        Length of the simulated box over that of the band, at least 2.

    Raises
    ------
    LabelError
        A spectrum, a bias or a box that there is not.
    """

    spectrum: str = "boltzmann"
    bias: float | str = EVOLVING
    distortions: bool = True
    dispersion: float = 0.0
    lognormal: bool = False
    oversize: float = 2.0

    def __post_init__(self) -> None:
        if self.spectrum not in SPECTRA:
            raise LabelError(f"no spectrum {self.spectrum!r}{nearest(self.spectrum, SPECTRA)}")
        if self.bias != EVOLVING and (isinstance(self.bias, str) or not 0 < self.bias < math.inf):
            raise LabelError(f"bias is a positive number or {EVOLVING!r}, got {self.bias!r}")
        if not 0 <= self.dispersion < math.inf:
            raise LabelError(f"dispersion is in Mpc/h and not negative, got {self.dispersion}")
        if not 2 <= self.oversize < math.inf:
            raise LabelError(
                f"oversize is at least 2, or the band's ends would know of one another, "
                f"got {self.oversize}"
            )

    def bias_at(self, z: float) -> float:
        """Return the bias of hydrogen at a redshift."""
        if isinstance(self.bias, str):
            return 0.6666 + 0.1777 * z + 0.0502 * z**2
        return self.bias

    def power(self, patch: Patch, k_perpendicular: Array, k_parallel: Array) -> Array:
        """Return the power of the density in redshift space at the patch's middle redshift.

        Wave numbers, h/Mpc, are broadcast. It is in (Mpc/h)^3; times the squared amplitude, in
        mK^2 (Mpc/h)^3.
        """
        cosmology, z = patch.cosmology, patch.middle
        k_square = np.square(k_perpendicular) + np.square(k_parallel)
        power = linear_power(np.sqrt(k_square), self.spectrum, cosmology)
        mu_square = np.square(k_parallel) / np.where(k_square > 0, k_square, 1)
        rate = cosmology.growth_rate(z) if self.distortions else 0.0
        growth = float(cosmology.growth(np.array(z)))
        blur = 1 + 0.5 * np.square(k_parallel * self.dispersion)
        return np.asarray(power * (growth * (self.bias_at(z) + rate * mu_square)) ** 2 / blur)

    def amplitude(self, patch: Patch) -> Array:
        """Return what the density is multiplied by in each channel ``[frequency]``, mK."""
        growth = patch.cosmology.growth(np.append(patch.redshifts, patch.middle))
        return np.asarray(patch.cosmology.brightness(patch.redshifts) * growth[:-1] / growth[-1])

    def modes(self, patch: Patch, rng: np.random.Generator, n: int) -> NDArray[np.complex64]:
        """Draw `n` signals of zero mean: modes ``[n, frequency, ky, kx]`` as of ``rfft2``, mK.

        Raises
        ------
        LabelError
            The tabulated spectrum is of another cosmology, or no lognormal field has this power.
        """
        modes = box(self, patch).modes(rng, n, patch.channels)
        modes *= box(self, patch).amplitude
        return modes

    def covariance(self, patch: Patch, multipole: Array) -> Array:
        """Return the covariance of :meth:`modes`, ``[shell, frequency, frequency]``, mK^2."""
        sequence, amplitude = _sequence(self, patch, multipole), self.amplitude(patch)
        return np.stack([toeplitz(row) for row in sequence]) * np.outer(amplitude, amplitude)

    def variance(self, patch: Patch) -> Array:
        """Return the variance of a pixel in each channel ``[frequency]``, mK^2."""
        multipole, place = patch.shells
        twice = np.broadcast_to(np.arange(place.shape[1]) % (patch.pixels / 2) > 0, place.shape)
        count = np.bincount(place.ravel(), weights=1.0 + twice.ravel())
        density = count @ _sequence(self, patch, multipole)[:, 0] / patch.pixels**2
        return np.asarray(density * self.amplitude(patch) ** 2)


class Box(NamedTuple):
    """The long box that a patch is cut out of."""

    #: What white noise is multiplied by ``[frequency, ky, kx]``.
    filter: Single
    #: Of the patch's channels ``[frequency, 1, 1]``, mK.
    amplitude: Single
    #: Of a lognormal density: of the Gaussian field under it, and of the density's mode k = 0.
    underlying: float
    zero: float

    def modes(self, rng: np.random.Generator, n: int, kept: int) -> NDArray[np.complex64]:
        """Draw densities of zero mean, as modes across ``[n, frequency, ky, kx]``.

        Of the box's channels the first ones are `kept`.
        """
        long, side, _ = self.filter.shape
        white = normals(rng, (n, long, side, side))
        modes = rfftn(white, axes=(1, 2, 3), norm="ortho", workers=1, overwrite_x=True)
        modes *= self.filter
        modes = ifft(modes, axis=1, norm="ortho", workers=1, overwrite_x=True)[:, :kept]
        if not self.underlying:
            return np.asarray(modes)
        density = irfft2(modes, s=(side, side), norm="ortho", workers=1)
        density -= np.float32(0.5 * self.underlying)
        return np.asarray(rfft2(np.expm1(density, out=density), norm="ortho", workers=1))


def _length(signal: Signal, patch: Patch) -> int:
    """Return the channels of the long box, a number that is fast to transform."""
    return int(next_fast_len(math.ceil(signal.oversize * patch.channels)))


def _sequence(signal: Signal, patch: Patch, multipole: Array) -> Array:
    """Return the covariance of a mode's density so many channels apart ``[shell, lag]``."""
    spacing, length = patch.spacing, _length(signal, patch)
    across = np.asarray(multipole) * np.deg2rad(patch.pixel) / spacing["y"]
    along = np.asarray(2 * np.pi * np.fft.rfftfreq(length, spacing["frequency"]))
    variance = signal.power(patch, across[:, None], along) / math.prod(spacing.values())
    if signal.lognormal:
        variance[across == 0, 0] = box(signal, patch).zero
    return np.fft.irfft(variance, n=length)[:, : patch.channels]


@lru_cache(maxsize=8)
def box(signal: Signal, patch: Patch) -> Box:
    """Return the box of a patch."""
    spacing, length, side = patch.spacing, _length(signal, patch), patch.pixels
    along = np.asarray(2 * np.pi * np.fft.fftfreq(length, spacing["frequency"]))
    across = patch.multipole * np.deg2rad(patch.pixel) / spacing["y"]
    power = signal.power(patch, across, along[:, None, None]) / math.prod(spacing.values())
    gaussian, variance, zero = power, 0.0, 0.0
    if signal.lognormal:
        gaussian, variance, zero = underlying(power, (length, side, side))
    amplitude = signal.amplitude(patch).astype(np.float32)[:, None, None]
    return Box(np.sqrt(gaussian).astype(np.float32), amplitude, variance, zero)
