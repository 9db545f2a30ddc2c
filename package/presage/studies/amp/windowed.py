"""Harmonics of a tone at any frequency, from a stretch of it under a window.

A tone whose period is no whole number of samples leaks into all bins. Under a Dolph-Chebyshev
window whose side lobes are 120 dB down it does not leak far, and the amplitude of harmonic m is
read off the nearest bin b, at a distance of d bins from it (|d| <= 1/2), as

    C_m = Y[b] / W(d),    W(d) = sum_n w[n] exp(2 pi i d n / N).

W is one smooth function of d, so that a polynomial through a few of its values is exact. Every
other line of the spectrum leaks 1e-6 of itself into this one; what was read off is therefore taken
away from the wave, and read off again from what is left, which leaks 1e-6 of that.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.polynomial import Chebyshev
from numpy.typing import NDArray
from scipy import fft
from scipy.signal import windows

from presage.labels import LabelError

#: How far down the window's side lobes are, in decibel.
ATTENUATION = 120.0
_DEGREE = 20  # of the polynomial for W: exact to rounding
_READINGS = 2

Complex = NDArray[np.complex128]


def windowed_harmonics(
    wave: NDArray[np.floating], frequency: float, sample_rate: float
) -> tuple[float, Complex]:
    """Return mean and complex harmonics below half the sample rate of a settled tone.

    Parameters
    ----------
    wave
        One tone ``[sample]``; phases refer to its first sample.
    frequency, sample_rate
        In hertz.

    Raises
    ------
    LabelError
        The tone is not below half the sample rate, or so short that its harmonics overlap.
    """
    if not 0 < frequency < sample_rate / 2:
        raise LabelError(
            f"a tone has a frequency above 0 and below half the sample rate, "
            f"{sample_rate / 2:g} Hz, got {frequency:g} Hz"
        )
    periods = frequency * (len(wave) / sample_rate)
    bins = periods * np.arange(1, math.ceil(sample_rate / 2 / frequency))
    if periods < 4:
        raise LabelError(
            f"{len(wave)} samples hold {periods:.2g} periods of {frequency:g} Hz: its harmonics "
            "overlap; take at least 4 periods"
        )
    window, response = _window(len(wave))
    nearest = np.rint(bins).astype(np.int64)
    shape = response(bins - nearest)
    mean, harmonics, left = 0.0, np.zeros(len(bins), np.complex128), np.asarray(wave, np.float64)
    for _ in range(_READINGS):
        read = fft.rfft(left * window)
        mean += read[0].real / window.sum()
        harmonics += read[nearest] / shape
        left = wave - rebuilt(mean, harmonics, frequency, sample_rate, len(wave))
    return mean, harmonics


def rebuilt(
    mean: float, harmonics: Complex, frequency: float, sample_rate: float, length: int
) -> NDArray[np.float64]:
    """Return `length` samples of the tone that has this mean and these harmonics."""
    turn = np.exp(2j * np.pi * ((np.arange(length) * (frequency / sample_rate)) % 1.0))
    total = np.zeros(length, np.complex128)
    for amplitude in harmonics[::-1]:  # Horner's rule
        total += amplitude
        total *= turn
    made: NDArray[np.float64] = mean + 2 * total.real
    return made


@lru_cache(maxsize=8)
def _window(length: int) -> tuple[NDArray[np.float64], Chebyshev]:
    """Return the window and its response at distances of up to half a bin."""
    window = np.asarray(windows.chebwin(length, ATTENUATION), np.float64)
    nodes = np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1)) / 2
    values = np.exp(2j * np.pi * np.outer(nodes, np.arange(length) / length)) @ window
    return window, Chebyshev.fit(nodes, values, _DEGREE, domain=[-0.5, 0.5])
