"""What is wrong with a tone: aliases, lost harmonics, a shifted mean, and what of it is heard.

A tone that went through a system is known by its amplitudes over the bins of a
:class:`~presage.studies.amp.tones.ToneGrid`. Two signals are compared with it: its own band-limited
version (-S: only aliases differ) and the band-limited answer of the teacher (-T: what was lost or
changed on the way). All measures are energies over energies, given in decibel:

    ASR     aliases over harmonics
    HESR-T  sum (|C_m| - |C'_m|)^2 over sum |C_m|^2, m > 0: harmonics, whatever their phase
    ESR-T   sum |y - y'|^2 over sum y^2, means included
    DC-T    squared difference of means over the energy of the teacher's answer
    NMR-S, NMR-T  noise over mask, see :mod:`presage.studies.amp.ear`

What is between 12 and 20 kHz, where students trained through a low-pass filter are free, is also
told apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from presage.studies.amp.ear import FRAME, HOP, Ear
from presage.studies.amp.tones import Bins, ToneGrid

#: Measure → the field's abbreviation of it, and what it is.
MEASURES = {
    "alias_ratio": ("ASR", "aliases over harmonics"),
    "harmonic_error": ("HESR-T", "error of harmonic magnitudes"),
    "signal_error": ("ESR-T", "error over signal"),
    "mean_error": ("DC-T", "error of the mean over signal"),
    "audible_aliases": ("NMR-S", "noise to mask, aliases as noise"),
    "audible_error": ("NMR-T", "noise to mask, what differs from the teacher as noise"),
    "alias_ratio_high": ("ASR, 12 to 20 kHz", "aliases there over all harmonics"),
    "harmonic_error_high": ("HESR-T, 12 to 20 kHz", "error of harmonic magnitudes there"),
}
#: What is told apart, Hz.
HIGH = (12_000.0, 20_000.0)
#: Decibels below which nothing is told apart.
FLOOR = -320.0
_FRAMES = 16

Spectrum = NDArray[np.complexfloating]


@dataclass(frozen=True)
class Judge:
    """Measures tones against the answers that are wanted.

    Parameters
    ----------
    grid
        The tones that there can be.
    bins
        Those that there are, ``[tone]``.
    wanted
        Amplitudes ``[tone, bin]`` of the band-limited teacher.
    """

    grid: ToneGrid
    bins: Bins
    wanted: Spectrum

    def measure(self, spectrum: Spectrum) -> dict[str, NDArray[np.float64]]:
        """Return each of :data:`MEASURES` of tones ``[tone, bin]``, in decibel."""
        harmonic = self._harmonic
        energy = np.abs(spectrum) ** 2
        own = np.where(harmonic, energy, 0).sum(1)
        aliases = np.where(self._alias, energy, 0).sum(1)
        wanted = self._energy(self.wanted)
        magnitude = np.where(harmonic, np.abs(spectrum) - np.abs(self.wanted), 0)
        harmonics = np.where(harmonic, np.abs(self.wanted) ** 2, 0).sum(1)
        mean = (spectrum[:, 0] - self.wanted[:, 0]).real
        high = self._high
        return {
            "alias_ratio": decibel(aliases, own),
            "harmonic_error": decibel((magnitude**2).sum(1), harmonics),
            "signal_error": decibel(self._energy(spectrum - self.wanted), wanted),
            "mean_error": decibel(mean**2, wanted),
            "audible_aliases": self._audible(spectrum, self.grid.limited(self.bins, spectrum)),
            "audible_error": self._audible(spectrum, self.wanted),
            "alias_ratio_high": decibel(np.where(self._alias & high, energy, 0).sum(1), own),
            "harmonic_error_high": decibel(
                np.where(high, magnitude**2, 0).sum(1),
                np.where(harmonic & high, np.abs(self.wanted) ** 2, 0).sum(1),
            ),
        }

    @cached_property
    def _harmonic(self) -> NDArray[np.bool_]:
        return self.grid.is_harmonic(self.bins)

    @cached_property
    def _alias(self) -> NDArray[np.bool_]:
        return ~self._harmonic & (np.arange(self.grid.top + 1) > 0)

    @cached_property
    def _high(self) -> NDArray[np.bool_]:
        line = self.grid.frequency(np.arange(self.grid.top + 1))
        return (line >= HIGH[0]) & (line < HIGH[1])

    def _energy(self, spectrum: Spectrum) -> NDArray[np.float64]:
        """Return mean squares: each line stands for itself and its conjugate, but the mean."""
        energy = np.abs(spectrum) ** 2
        made: NDArray[np.float64] = 2 * energy[:, 1:].sum(1) + energy[:, 0]
        return made

    def _audible(self, test: Spectrum, reference: Spectrum) -> NDArray[np.float64]:
        length = FRAME + (_FRAMES - 1) * HOP
        repeats = -(-length // self.grid.period)
        heard, expected = (
            torch.as_tensor(np.tile(self.grid.waves(one), (1, repeats))[:, :length])
            for one in (test, reference)
        )
        few = range(0, len(heard), 16)
        ratios = [self._ear(heard[at : at + 16], expected[at : at + 16]).numpy() for at in few]
        return decibel(np.concatenate(ratios), 1.0)

    @cached_property
    def _ear(self) -> Ear:
        return Ear(self.grid.sample_rate)


def decibel(part: NDArray[np.float64], whole: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Return an energy over another in decibel, no less than :data:`FLOOR`; silence has none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.asarray(part / whole, np.float64)
        made: NDArray[np.float64] = np.maximum(10 * np.log10(ratio), FLOOR)
    return np.where(np.isnan(ratio), np.nan, made)
