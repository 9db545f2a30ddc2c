"""Tones whose harmonics and aliases never share a bin.

Take a period of N samples, N prime, and a sine of f0 = k Fs / N. What a time-invariant system makes
of it is N-periodic once it has settled, so that a plain FFT over N samples has no leakage: harmonic
m stands in bin m k while that is below N / 2, and whatever a memoryless or recurrent nonlinearity
folds back from above stands in some other bin, for k m mod N takes every value once. What is left
after harmonics and mean are taken out is aliasing and nothing else, down to the rounding of the
arithmetic.

The harmonics below half the sample rate, kept as complex amplitudes C_m, are the band-limited
answer itself:

    y[n] = C_0 + 2 Re sum_m C_m exp(2 pi i m k n / N).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from presage.labels import LabelError

#: The largest prime below 2^13: 186 ms at 44.1 kHz, and tones every 5.4 Hz.
PERIOD = 8191

#: Tones that are held out, and those that settings are chosen on, Hz; training has none of either.
HELD_OUT = tuple(np.geomspace(30, 12_000, 18).tolist())
VALIDATION = tuple(np.geomspace(45, 9_000, 12).tolist())
#: Their peak levels, in decibel below full scale.
LEVELS = (-36.0, -18.0, -6.0)

Floats = NDArray[np.float64]
Bins = NDArray[np.int64]


@dataclass(frozen=True)
class ToneGrid:
    """Tones that fit into a period of a prime number of samples.

    Parameters
    ----------
    sample_rate
        In hertz.
    period
        In samples; an odd prime.

    Raises
    ------
    LabelError
        The period is no odd prime, or the rate is not positive.

    Examples
    --------
    >>> grid = ToneGrid()
    >>> bins = grid.nearest([440.0])
    >>> bins, grid.frequency(bins).round(2), grid.harmonics(bins)
    (array([82]), array([441.48]), array([49]))
    """

    sample_rate: float = 44_100.0
    period: int = PERIOD

    def __post_init__(self) -> None:
        if self.period < 3 or any(
            self.period % d == 0 for d in range(2, int(self.period**0.5) + 1)
        ):
            raise LabelError(
                f"a period is an odd prime number of samples, such as {PERIOD}, or aliases fall "
                f"onto harmonics; got {self.period}"
            )
        if not 0 < self.sample_rate < np.inf:
            raise LabelError(f"a sample rate is positive, in hertz, got {self.sample_rate}")

    @property
    def top(self) -> int:
        """The highest bin below half the sample rate."""
        return (self.period - 1) // 2

    def frequency(self, bins: ArrayLike) -> Floats:
        """Return frequencies in hertz."""
        return np.asarray(bins, np.float64) * (self.sample_rate / self.period)

    def nearest(self, frequency: ArrayLike) -> Bins:
        """Return the bins nearest to frequencies in hertz, each at least 1.

        Raises
        ------
        LabelError
            A frequency is not positive, or not below half the sample rate.
        """
        wanted = np.asarray(frequency, np.float64)
        bins = np.rint(wanted * self.period / self.sample_rate)
        if not np.all((wanted > 0) & (bins <= self.top)):
            bad = wanted[~((wanted > 0) & (bins <= self.top))].flat[0]
            raise LabelError(
                f"a tone has a frequency above 0 and below half the sample rate, "
                f"{self.sample_rate / 2:g} Hz, got {bad:g} Hz"
            )
        return np.maximum(bins, 1).astype(np.int64)

    def held_out(self) -> Bins:
        """Return the bins of :data:`HELD_OUT`."""
        return np.unique(self.nearest(HELD_OUT))

    def validation(self) -> Bins:
        """Return the bins of :data:`VALIDATION` that are not held out."""
        return np.setdiff1d(self.nearest(VALIDATION), self.held_out())

    def harmonics(self, bins: ArrayLike) -> Bins:
        """Return how many harmonics of each tone are below half the sample rate."""
        return self.top // np.asarray(bins, np.int64)

    def sines(
        self,
        bins: ArrayLike,
        level: ArrayLike,
        phase: ArrayLike,
        length: int = 0,
        factor: int = 1,
    ) -> Floats:
        """Return sines ``[tone, sample]`` that start at sample 0.

        The argument is reduced in integers, so that it is as exact after a minute as at first.

        Parameters
        ----------
        bins, level, phase
            Of each tone; the phase in radians.
        length
            In samples; one period by default.
        factor
            How many times the sample rate.
        """
        whole = self.period * factor
        turns = np.outer(np.asarray(bins, np.int64), np.arange(length or whole)) % whole
        angle = turns * (2 * np.pi / whole) + np.asarray(phase, np.float64)[:, np.newaxis]
        return np.sin(angle) * np.asarray(level, np.float64)[:, np.newaxis]

    def spectrum(self, waves: ArrayLike) -> NDArray[np.complex128]:
        """Return amplitudes ``[tone, bin]`` of whole periods ``[tone, sample]``, from 0 to the top.

        Waves at a multiple of the sample rate are cut off ideally at half of the plain one.
        """
        waves = np.asarray(waves, np.float64)
        made: NDArray[np.complex128] = fft.rfft(waves, axis=-1, norm="forward")
        return made[..., : self.top + 1]

    def waves(self, spectrum: NDArray[np.complexfloating]) -> NDArray[np.floating]:
        """Return one period ``[tone, sample]`` of amplitudes ``[tone, bin]``."""
        made: NDArray[np.floating] = fft.irfft(spectrum, self.period, axis=-1, norm="forward")
        return made

    def is_harmonic(self, bins: ArrayLike) -> NDArray[np.bool_]:
        """Return for each tone which bins its harmonics stand in, ``[tone, bin]``, not the mean."""
        every = np.arange(self.top + 1)
        multiple: NDArray[np.bool_] = every % np.asarray(bins, np.int64)[:, np.newaxis] == 0
        return multiple & (every > 0)

    def limited(
        self, bins: ArrayLike, spectrum: NDArray[np.complexfloating]
    ) -> NDArray[np.complexfloating]:
        """Return amplitudes ``[tone, bin]`` without what is neither harmonic nor mean."""
        kept = self.is_harmonic(bins)
        kept[:, 0] = True
        return np.where(kept, spectrum, 0)

    def band_limited(
        self, bins: Bins, mean: Floats, harmonics: NDArray[np.complexfloating], counts: Bins
    ) -> NDArray[np.complexfloating]:
        """Return the amplitudes ``[tone, bin]`` of tones without aliases.

        Parameters
        ----------
        bins, mean, counts
            Of each tone: its bin, its mean, how many harmonics it has.
        harmonics
            Their complex amplitudes, one tone's after the other's.
        """
        made = np.zeros((len(bins), self.top + 1), harmonics.dtype)
        rows = np.repeat(np.arange(len(bins)), counts)
        first = np.repeat(np.cumsum(counts) - counts, counts)
        order = np.arange(len(rows)) - first + 1
        made[rows, order * np.repeat(bins, counts)] = harmonics
        made[:, 0] = mean
        return made
