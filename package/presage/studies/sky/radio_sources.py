"""The brightest radio sources of the real sky, at their positions and with their spectra.

A catalogue of 775 sources (``data/SOURCES.md``) gives the flux
S(nu) = S600 (nu/600 MHz)^(beta + gamma ln(nu/600 MHz)). Every sample looks at another place of the
catalogue's sky, x to the east and y to the north. A source fills the pixel it stands in, with the
temperature of Rayleigh and Jeans, T = S c^2/(2 k nu^2 pixel area).

What is polarised of it leaks as the Galaxy's light does: epsilon P cos(2 chi + 2 psi lambda^2).
The catalogue has P; the angle chi and the Faraday depth psi, which it has not, are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from presage.labels import LabelError
from presage.studies.sky.cosmology import Array
from presage.studies.sky.geometry import LIGHT, Patch
from presage.studies.sky.leakage import Leakage, rotation

#: Between the surveys' frequencies, MHz: VLSS and NVSS.
BAND = (74.0, 1400.0)
#: The catalogue ends at this declination in the south; patches are flat up to this side; degrees.
SOUTH, WIDEST = -35.0, 60.0
#: 2 k_B/c^2 x 1 MHz^2, in Jy per mK and sr.
RAYLEIGH_JEANS = 2 * 1.380649e-23 / (LIGHT**2) * 1e26 * 1e-3


@dataclass(frozen=True)
class Catalogue:
    """Sources: where they stand, degrees, and what they shine, Jy at 600 MHz ``[source]``."""

    right_ascension: Array
    declination: Array
    flux: Array
    polarised: Array
    slope: Array
    curvature: Array

    def spectrum(self, frequency: Array) -> Array:
        """Return S(nu)/S(600 MHz) ``[source, frequency]``."""
        x = np.log(np.asarray(frequency) / 600.0)
        return np.asarray(np.exp((self.slope[:, None] + self.curvature[:, None] * x) * x))

    def place(self, centre: Array) -> Array:
        """Return the sources' places about centres, ``[2, centre, source]``: x, y in degrees.

        Projected along straight lines onto the plane that touches the sphere at the centre
        (gnomonic); NaN for those on the far side. Centres are ``[2, centre]``: right ascension and
        declination in degrees.
        """
        ra, dec = np.deg2rad(self.right_ascension), np.deg2rad(self.declination)
        ra0, dec0 = np.deg2rad(np.asarray(centre))[:, :, None]
        up, along = np.sin(dec), np.cos(dec) * np.cos(ra - ra0)
        depth = np.sin(dec0) * up + np.cos(dec0) * along
        depth = np.where(depth > 0, depth, np.nan)
        east = np.cos(dec) * np.sin(ra - ra0) / depth
        north = (np.cos(dec0) * up - np.sin(dec0) * along) / depth
        return np.asarray(np.rad2deg(np.stack([east, north])))


@cache
def catalogue() -> Catalogue:
    """Return the catalogue, the brightest source first."""
    path = Path(__file__).parent / "data" / "radio_sources_600MHz.csv"
    ra, dec, flux, polarised, slope, curvature = np.loadtxt(
        path, delimiter=",", skiprows=2, unpack=True
    )
    # Negative, or missing, where no polarisation was measured.
    return Catalogue(ra, dec, flux, np.fmax(polarised, 0.0), slope, curvature)


def temperature(flux: Array, frequency: Array, patch: Patch) -> Array:
    """Return the temperature, mK, of a pixel from which a flux in Jy comes."""
    return np.asarray(flux / (RAYLEIGH_JEANS * np.square(frequency) * patch.pixel_area))


def centres(patch: Patch, rng: np.random.Generator, n: int) -> Array:
    """Draw where patches look, evenly over the catalogue's sky ``[2, n]``, degrees.

    Raises
    ------
    LabelError
        A band or a patch that the catalogue does not hold.
    """
    if patch.low < BAND[0] or patch.high > BAND[1]:
        raise LabelError(
            f"the radio sources are known from {BAND[0]:g} to {BAND[1]:g} MHz, got a band from "
            f"{patch.low:g} to {patch.high:g}; take sources=False"
        )
    side = patch.pixels * patch.pixel
    if side > WIDEST:
        raise LabelError(
            f"a patch of {side:g} degrees is not flat: with radio sources at most {WIDEST:g}"
        )
    south = np.sin(np.deg2rad(SOUTH + side / np.sqrt(2)))
    declination = np.rad2deg(np.arcsin(rng.uniform(south, 1.0, n)))
    return np.stack([rng.uniform(0.0, 360.0, n), declination])


def source_modes(
    patch: Patch, rng: np.random.Generator, n: int, leakage: Leakage | None = None
) -> NDArray[np.complex128]:
    """Draw skies of real sources, as modes across ``[n, frequency, ky, kx]``, mK."""
    known = catalogue()
    place = known.place(centres(patch, rng, n)) / patch.pixel + 0.5 * patch.pixels
    seen = np.all((place >= 0) & (place < patch.pixels), axis=0)
    spectrum = temperature(known.spectrum(patch.frequency), patch.frequency, patch)
    shining = spectrum * known.flux[:, None]
    modes = np.zeros((n, patch.channels, *patch.multipole.shape), dtype=np.complex128)
    angle = rng.uniform(0.0, 2 * np.pi, (n, len(known.flux)))
    depth = rng.standard_normal((n, len(known.flux)))
    for i in range(n):
        inside = seen[i]
        light = shining[inside]
        if leakage is not None:
            turned = rotation(leakage.width * depth[i, inside], patch.frequency).T
            turned = (turned * np.exp(1j * angle[i, inside])[:, None]).real
            light = light + leakage.share * turned * (spectrum * known.polarised[:, None])[inside]
        x, y = np.floor(place[:, i, inside])
        waves = np.exp(-1j * _phase(patch, x, y)) / patch.pixels
        product = light.T @ waves.reshape(len(x), patch.multipole.size).view(np.float64)
        modes[i] = product.view(np.complex128).reshape(modes.shape[1:])
    return modes


def source_covariance(patch: Patch, leakage: Leakage | None = None) -> Array:
    """Return the second moment of a mode across ``[frequency, frequency]``, mK^2.

    As though the sources were scattered at random over the catalogue's sky: the same for all
    modes. It is all that a linear method can know of them.
    """
    known = catalogue()
    sky = 2 * np.pi * (1 - np.sin(np.deg2rad(SOUTH)))
    spectrum = temperature(known.spectrum(patch.frequency), patch.frequency, patch)
    light = spectrum * known.flux[:, None]
    total = light.T @ light
    if leakage is not None:
        square = (LIGHT / patch.frequency) ** 2
        alike = 0.5 * np.exp(-2 * (leakage.width * (square[:, None] - square)) ** 2)
        light = leakage.share * spectrum * known.polarised[:, None]
        total += alike * (light.T @ light)
    return np.asarray(total * patch.pixel_area / sky)


def _phase(patch: Patch, x: Array, y: Array) -> Array:
    """Return k x of modes across at pixels, ``[source, ky, kx]``, rad."""
    ky = 2 * np.pi * np.fft.fftfreq(patch.pixels)
    kx = 2 * np.pi * np.fft.rfftfreq(patch.pixels)
    return np.asarray(y[:, None, None] * ky[:, None] + x[:, None, None] * kx)
