"""What shines before hydrogen: our Galaxy and radio galaxies, 1e4 to 1e5 times brighter, smooth.

Every component is a Gaussian field whose angular and frequency dependence factorise,
C_l(nu1, nu2) = P(l) M(nu1, nu2). The frequency matrix is therefore decomposed once, M = W W^T with
as many columns as there are digits in double precision (a smooth spectrum has few); a sky is then
that many white maps, shaped by sqrt(P(l)) in Fourier space and mixed by W: a product of matrices.

Santos, Cooray & Knox (2005), with
C_l = A (1000/l)^beta (130^2/nu1 nu2)^alpha exp(-ln^2(nu1/nu2)/2 xi^2), frozen below l = 10.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft2

from presage.labels import LabelError
from presage.studies.sky.cosmology import Array
from presage.studies.sky.geometry import Patch
from presage.studies.sky.leakage import Leakage
from presage.studies.sky.radio_sources import source_covariance, source_modes

Modes = NDArray[np.complex128]

#: Spectra are not extrapolated below this multipole.
LOWEST = 10.0
#: Share of the greatest eigenvalue below which there is only rounding.
ROUNDING = 1e-15


def mean_sky(frequency: Array) -> Array:
    """Return the mean temperature of the radio sky, mK: 60 K (nu/300 MHz)^-2.5."""
    return np.asarray(60e3 * (np.asarray(frequency) / 300.0) ** -2.5)


@dataclass(frozen=True)
class Component:
    """A Gaussian foreground that is smooth in frequency.

    Parameters
    ----------
    amplitude
        A of C_l at l = 1000 and 130 MHz, mK^2.
    slope
        beta, of the angular spectrum.
    index
        alpha, of the temperature over frequency.
    coherence
        xi, e-folds of frequency over which the sky stays the same.

    Raises
    ------
    LabelError
        An amplitude below 0 or a coherence that is not positive.
    """

    amplitude: float
    slope: float
    index: float
    coherence: float

    def __post_init__(self) -> None:
        if not (self.amplitude >= 0 and self.coherence > 0):
            raise LabelError(
                "a component has an amplitude of at least 0 and a coherence above 0, got "
                f"{self.amplitude} mK^2 and {self.coherence}"
            )

    def power(self, multipole: Array) -> Array:
        """Return C_l at 130 MHz, mK^2.

        Raises
        ------
        LabelError
            A multipole below 0, or none.
        """
        if not np.all(np.asarray(multipole) >= 0):
            raise LabelError(f"multipoles are at least 0, got {np.min(multipole):g}")
        l = np.maximum(multipole, LOWEST)  # noqa: E741 - the field's letter
        return np.asarray(self.amplitude * (1000.0 / l) ** self.slope)

    def spectrum(self, frequency: Array) -> Array:
        """Return how the temperature falls with frequency, 1 at 130 MHz."""
        return np.asarray((130.0 / np.asarray(frequency)) ** self.index)

    def factor(self, frequency: Array) -> Array:
        """Return W ``[frequency, R]`` with W W^T = M."""
        logs = np.log(frequency)
        coherent = np.exp(-0.5 * ((logs[:, None] - logs[None, :]) / self.coherence) ** 2)
        return self.spectrum(frequency)[:, None] * root(coherent)


def root(matrix: Array) -> Array:
    """Return the columns W of matrix = W W^T, the greatest first, without those of rounding."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > ROUNDING * values[-1]
    return np.asarray((vectors[:, kept] * np.sqrt(values[kept]))[:, ::-1])


SYNCHROTRON = Component(700.0, 2.4, 2.80, 4.0)
POINT_SOURCES = Component(57.0, 1.1, 2.07, 1.0)
GALACTIC_FREE_FREE = Component(0.088, 3.0, 2.15, 35.0)
EXTRAGALACTIC_FREE_FREE = Component(0.014, 1.0, 2.10, 35.0)


@dataclass(frozen=True)
class Foregrounds:
    """All that shines before the signal, in mK.

    Parameters
    ----------
    synchrotron, point_sources, galactic_free_free, extragalactic_free_free
        The smooth components.
    leakage
        Of polarised synchrotron; none by default.
    sources
        Whether the brightest radio sources of the real sky shine too, where they stand: see
        :mod:`~presage.studies.sky.radio_sources`. They are not Gaussian.
    """

    synchrotron: Component = field(default=SYNCHROTRON)
    point_sources: Component = field(default=POINT_SOURCES)
    galactic_free_free: Component = field(default=GALACTIC_FREE_FREE)
    extragalactic_free_free: Component = field(default=EXTRAGALACTIC_FREE_FREE)
    leakage: Leakage | None = None
    sources: bool = False

    @property
    def components(self) -> tuple[Component, ...]:
        """The four smooth ones."""
        return (
            self.synchrotron,
            self.point_sources,
            self.galactic_free_free,
            self.extragalactic_free_free,
        )

    def mean(self, patch: Patch) -> Array:
        """Return the mean sky ``[frequency]``, mK."""
        return mean_sky(patch.frequency)

    def modes(self, patch: Patch, rng: np.random.Generator, n: int) -> Modes:
        """Draw `n` skies, mean included: modes ``[n, frequency, ky, kx]`` as of ``rfft2``, mK.

        Raises
        ------
        LabelError
            Radio sources are asked for outside the band or the sky of their catalogue.
        """
        modes = _drawn(_parts(self, patch), patch, rng, n)
        modes[:, :, 0, 0] += self.mean(patch) * patch.pixels
        if self.sources:
            modes += source_modes(patch, rng, n, self.leakage)
        return modes

    def polarisation(self, patch: Patch, rng: np.random.Generator, n: int) -> tuple[Modes, Modes]:
        """Draw modes of the polarised synchrotron, Q and U, as :meth:`modes` does of all.

        Raises
        ------
        LabelError
            There is no leakage, which says how polarised it is.
        """
        if self.leakage is None:
            raise LabelError("how polarised the synchrotron is says leakage=Leakage(...)")
        spectrum = self.synchrotron.spectrum(patch.frequency)[:, None]
        columns = np.vstack(self.leakage.stokes(patch.frequency)) * np.tile(spectrum, (2, 1))
        drawn = _drawn([(self.synchrotron, columns)], patch, rng, n)
        return drawn[:, : patch.channels], drawn[:, patch.channels :]

    def covariance(self, patch: Patch, multipole: Array) -> Array:
        """Return the exact covariance of :meth:`modes` about their mean, by multipole.

        Real sources, which are not Gaussian, count by their second moment, as though they were
        scattered at random. ``[shell, frequency, frequency]``, mK^2.
        """
        multipole = np.atleast_1d(np.asarray(multipole, dtype=np.float64))
        total = np.zeros((len(multipole), patch.channels, patch.channels))
        for component, factor in _parts(self, patch):
            share = component.power(multipole) / patch.pixel_area
            total += share[:, None, None] * (factor @ factor.T)
        return total + source_covariance(patch, self.leakage) if self.sources else total

    def held_out(self) -> Foregrounds:
        """Return another sky, for what was learned on this one: a brighter, rougher synchrotron.

        Where there is leakage, there is 1 % of it and depths are alike over 1 rad/m^2.
        """
        brighter = Component(1.5 * self.synchrotron.amplitude, 2.2, 2.6, 2.5)
        leakage = self.leakage and replace(self.leakage, share=0.01, correlation=1.0)
        return replace(self, synchrotron=brighter, leakage=leakage)


Part = tuple[Component, Array]


@lru_cache(maxsize=16)
def _parts(foregrounds: Foregrounds, patch: Patch) -> list[Part]:
    """Return every Gaussian part: whose power over l it has, and its columns over frequency."""
    parts = [(c, c.factor(patch.frequency)) for c in foregrounds.components]
    leakage, synchrotron = foregrounds.leakage, foregrounds.synchrotron
    if leakage is not None:
        spectrum = leakage.share * synchrotron.spectrum(patch.frequency)[:, None]
        parts.append((synchrotron, spectrum * leakage.stokes(patch.frequency)[0]))
    return parts


def _drawn(parts: list[Part], patch: Patch, rng: np.random.Generator, n: int) -> Modes:
    """Draw modes ``[n, rows of the columns, ky, kx]`` of all parts together."""
    side, columns = patch.pixels, np.hstack([factor for _, factor in parts])
    fields = np.empty((n, columns.shape[1], *patch.multipole.shape), dtype=np.complex128)
    start = 0
    for component, factor in parts:
        part = fields[:, start : start + factor.shape[1]]
        white = rng.standard_normal((n, factor.shape[1], side, side))
        part[:] = rfft2(white, norm="ortho", overwrite_x=True)
        part *= np.sqrt(component.power(patch.multipole) / patch.pixel_area)
        start += factor.shape[1]
    # Real times complex as one real product of twice the width.
    mixed = columns @ fields.reshape(n, len(columns.T), -1).view(np.float64)
    return np.asarray(mixed.view(np.complex128).reshape(n, -1, *patch.multipole.shape))
