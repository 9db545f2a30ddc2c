"""How matter is clustered today: the linear power spectrum P(k), with and without sound waves.

Wave numbers are in h/Mpc, powers in (Mpc/h)^3, both normalised to the cosmology's sigma8: the
width of fluctuations in spheres of R = 8 Mpc/h,
sigma8^2 = int dln k k^3 P(k)/(2 pi^2) (3 j_1(kR)/(kR))^2.

``eisenstein_hu`` is the fit without acoustic oscillations (Eisenstein & Hu 1998, equations 26 to
31), P ~ k^n T(k)^2. ``boltzmann`` is a table computed with a Boltzmann code for Planck 2018,
oscillations included (``data/SOURCES.md``): log-log interpolated, its ends continued as power laws.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.special import spherical_jn

from presage.labels import LabelError, nearest
from presage.studies.sky.cosmology import PLANCK18, Array, Cosmology


def eisenstein_hu(k: Array, cosmology: Cosmology) -> Array:
    """Return the shape of P(k) without oscillations, not normalised."""
    h, share = cosmology.hubble, cosmology.baryons / cosmology.matter
    matter, baryons = cosmology.matter * h**2, cosmology.baryons * h**2
    sound = 44.5 * np.log(9.83 / matter) / np.sqrt(1 + 10 * baryons**0.75)  # Mpc
    alpha = 1 - 0.328 * np.log(431 * matter) * share + 0.38 * np.log(22.3 * matter) * share**2
    gamma = cosmology.matter * h * (alpha + (1 - alpha) / (1 + (0.43 * k * h * sound) ** 4))
    q = k * (cosmology.temperature / 2.7) ** 2 / gamma
    logarithm = np.log(2 * math.e + 1.8 * q)
    transfer = logarithm / (logarithm + (14.2 + 731 / (1 + 62.5 * q)) * q**2)
    return np.asarray(k**cosmology.tilt * transfer**2)


def boltzmann(k: Array, cosmology: Cosmology) -> Array:
    """Return the shape of P(k) as tabulated, not normalised."""
    shape = replace(cosmology, sigma8=PLANCK18.sigma8)
    if shape != PLANCK18:
        raise LabelError(
            f"the tabulated spectrum is that of {PLANCK18}, got {shape}; for another cosmology "
            "take spectrum='eisenstein_hu'"
        )
    return np.exp(_table()(np.log(k)))


#: Name → shape ``(k, cosmology)`` of a power spectrum.
SPECTRA: dict[str, Callable[[Array, Cosmology], Array]] = {
    "boltzmann": boltzmann,
    "eisenstein_hu": eisenstein_hu,
}


def linear_power(k: Array, spectrum: str, cosmology: Cosmology = PLANCK18) -> Array:
    """Return today's linear power of matter.

    Parameters
    ----------
    k
        Wave numbers ``(*)``, h/Mpc; at 0 there is no power.
    spectrum
        ``"boltzmann"`` or ``"eisenstein_hu"``.
    cosmology
        That it belongs to.

    Returns
    -------
    numpy.ndarray
        ``(*)``, (Mpc/h)^3.

    Raises
    ------
    LabelError
        There is no spectrum of this name, or the table is of another cosmology.
    """
    power = np.zeros(np.shape(k))
    positive = np.asarray(k) > 0
    scale = (cosmology.sigma8 / unnormalised_sigma8(spectrum, cosmology)) ** 2
    power[positive] = scale * SPECTRA[spectrum](np.asarray(k)[positive], cosmology)
    return power


@lru_cache
def unnormalised_sigma8(spectrum: str, cosmology: Cosmology) -> float:
    """Return sigma8 of a spectrum as it stands; for the table, of matter at z = 1."""
    if spectrum not in SPECTRA:
        raise LabelError(f"no spectrum {spectrum!r}{nearest(spectrum, SPECTRA)}")
    log_k = np.linspace(np.log(1e-5), np.log(1e2), 20_001)
    k = np.exp(log_k)
    window = 3 * spherical_jn(1, 8 * k) / (8 * k)
    density = k**3 * SPECTRA[spectrum](k, cosmology) / (2 * np.pi**2) * window**2
    return float(np.sqrt(np.trapezoid(density, log_k)))


@lru_cache
def _table() -> Callable[[Array], Array]:
    """Return ln P of ln k, linear between the table's points and beyond them."""
    path = Path(__file__).parent / "data" / "planck18_linear_z1.csv"
    k, power = np.loadtxt(path, delimiter=",", skiprows=2, unpack=True)
    interpolated: Callable[[Array], Array] = make_interp_spline(np.log(k), np.log(power), k=1)
    return interpolated
