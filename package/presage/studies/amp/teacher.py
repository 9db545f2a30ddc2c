"""Teacher outputs, computed once: tones through an amplifier model, without their aliases.

A sample is a sine A sin(2 pi f0 n / Fs + phi) and what the model makes of it once it has settled:
mean and complex harmonics below half the sample rate, which *are* the band-limited answer. They
take about 1 kB, the waveform 200 kB. How much aliasing the model adds of its own stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from presage.labels import Arrays, LabelError, Parameter, Variable
from presage.studies.amp.steady import steady
from presage.studies.amp.teachers import OfTeacher
from presage.studies.amp.tones import HELD_OUT, LEVELS, PERIOD, VALIDATION, Bins, ToneGrid

#: Share of a period's energy from which on a tone counts as never settling.
_UNSETTLED = 1e-3


@dataclass(frozen=True)
class TeacherTones(OfTeacher):
    """Tones through an amplifier model: mean and harmonics of the band-limited answer.

    At random, with levels uniform in (0, 1], phases uniform and notes uniform in pitch; or, where
    `bins` are given, each of these tones at each of the `levels`, in order, with phase 0.

    Parameters
    ----------
    teacher
        A weight file (SimpleRNN, .nam, RTNeural), or one that comes along: "ts9", "wavenet",
        "wavenet_tiny", "lstm_tiny"; empty takes "ts9". Its identity is what it holds.
    config
        Number of a published configuration, 0 to 7, whose file `teacher` then has to be.
    validation
        Whether to make the fixed tones that settings are chosen on.
    lowest, highest
        Notes as MIDI numbers them, f0 = 440 Hz 2^((note - 69) / 12); each is moved to the nearest
        bin of the grid. Tones that are held out or validated with are left out.
    bins
        Tones by how many of their periods are one of the grid.
    levels
        Peak levels of these, in decibel below full scale.
    period
        Of the grid, in samples; an odd prime.
    precision
        Of the network's arithmetic: "float32" or "float64".
    device
        What computes: "auto", "cpu", "cuda"; no part of the identity.

    Raises
    ------
    AmplifierError
        There is no such teacher.
    LabelError
        Tones that are not below half the sample rate, levels of silence, an unknown precision, or
        a teacher that never settles.
    """

    teacher: str | Path = ""
    config: int = -1
    validation: bool = False
    lowest: float = 21.0
    highest: float = 127.0
    bins: tuple[int, ...] = ()
    levels: tuple[float, ...] = LEVELS
    period: int = PERIOD
    precision: str = "float32"
    device: str = "auto"

    # In energy, of numbers in single precision: below it aliases are the processor's.
    noise: ClassVar[Mapping[str, float]] = {"alias": 1e-10, "drift": 1e-10}
    name: ClassVar[str] = "amp"
    sample_dim: ClassVar[str] = "tone"
    block_size: ClassVar[int] = 64

    def __post_init__(self) -> None:
        if self.precision not in ("float32", "float64"):
            raise LabelError(f"precision is float32 or float64, got {self.precision!r}")
        if not self.lowest < self.highest:
            raise LabelError(
                f"lowest is a note below highest, got {self.lowest:g} and {self.highest:g}"
            )
        if not self.levels or not (np.isfinite(self.levels) & (np.array(self.levels) <= 0)).all():
            raise LabelError(
                "levels are peaks in decibel, 0 or below, where full scale is 0 and silence, "
                f"which has no harmonics, -inf; got {self.levels}"
            )
        needed = 2 * max(_pitch(self.highest), *HELD_OUT, *VALIDATION)
        if self.grid.sample_rate <= needed:
            raise LabelError(
                f"tones up to {needed / 2:.0f} Hz are drawn or held out; this teacher, for "
                f"{self.grid.sample_rate:g} Hz, has none above half of that: lower `highest`, or "
                f"take a teacher for more than {needed:.0f} Hz"
            )
        if not all(1 <= k <= self.grid.top for k in self.bins):
            raise LabelError(
                f"bins are from 1 to {self.grid.top}, below half the sample rate, got {self.bins}"
            )

    @cached_property
    def grid(self) -> ToneGrid:
        """The tones that there can be."""
        return ToneGrid(self.amplifier.sample_rate, self.period)

    @property
    def fixed(self) -> tuple[int, ...]:
        """Bins of the fixed tones; none where tones are drawn."""
        return tuple(self.grid.validation().tolist()) if self.validation else self.bins

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the samples: the teacher by its content, and which tones."""
        drawn = {"lowest": self.lowest, "highest": self.highest}
        which = {"bins": self.fixed, "levels": self.levels} if self.fixed else drawn
        return {**self.asked, "period": self.period, "precision": self.precision, **which}

    @property
    def length(self) -> int | None:
        """Fixed tones times levels; tones at random have no end."""
        return len(self.fixed) * len(self.levels) or None

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Frequency, level and phase of the tone."""
        top = self.grid.sample_rate / 2
        return (
            Parameter("frequency", (), "float64", "Hz", "fundamental frequency", low=0.0, high=top),
            Parameter("level", (), "float64", "1", "peak level", low=0.0, high=1.0),
            Parameter("phase", (), "float64", "rad", "phase", low=0.0, high=2 * np.pi),
        )

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The settled answer, and how good it is."""
        harmonic = ("harmonic",)
        return (
            Variable("bin", (), "int32", "1", "periods of the tone in a period of the grid"),
            Variable("mean", (), "float64", "1", "mean of the output"),
            Variable("real", harmonic, "float32", "1", "harmonic, real part"),
            Variable("imaginary", harmonic, "float32", "1", "harmonic, imaginary part"),
            Variable("alias", (), "float64", "1", "energy of aliases over that of harmonics"),
            Variable("drift", (), "float64", "1", "relative energy by which periods differ"),
        )

    @property
    def ragged(self) -> tuple[str, ...]:
        """Low tones have many harmonics."""
        return ("harmonic",)

    @property
    def lengths(self) -> Mapping[str, int]:
        """Mean number of harmonics, about."""
        return {"harmonic": 130}

    def theta(self, rng: np.random.Generator, start: int, stop: int) -> Arrays:
        """Return tones at random, or the fixed ones in order and after the last the first."""
        if not self.fixed:
            return self.draw(rng, stop - start)
        count = len(self.fixed) * len(self.levels)
        tone, level = np.divmod(np.arange(start, stop) % count, len(self.levels))
        return {
            "frequency": self.grid.frequency(np.asarray(self.fixed)[tone]),
            "level": 10 ** (np.asarray(self.levels)[level] / 20),
            "phase": np.zeros(stop - start),
        }

    def draw(self, rng: np.random.Generator, n: int) -> Arrays:
        """Draw tones."""
        note = rng.uniform(self.lowest, self.highest, n)
        level = 1 - rng.random(n)  # never zero
        phase = rng.uniform(0, 2 * np.pi, n)
        bins = self._free(self.grid.nearest(_pitch(note)))
        return {"frequency": self.grid.frequency(bins), "level": level, "phase": phase}

    def _free(self, bins: Bins) -> Bins:
        """Move bins that are held out or validated with to the nearest other ones."""
        every = np.arange(1, self.grid.top + 1)
        free = np.setdiff1d(every, [*self.grid.held_out(), *self.grid.validation()])
        at = np.searchsorted(free, bins).clip(1, len(free) - 1)
        below, above = free[at - 1], free[at]
        found: Bins = np.where(bins - below < above - bins, below, above)
        return found

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Drive the teacher with tones until it is settled."""
        bins = self.grid.nearest(theta["frequency"])
        level, phase = (np.asarray(theta[name], np.float64) for name in ("level", "phase"))
        found = steady(self._network, self.grid, bins, level, phase)
        self._check(found.waves, found.drift, bins)
        spectrum = self.grid.spectrum(found.waves)
        harmonic = self.grid.is_harmonic(bins)
        energy = np.abs(spectrum[:, 1:]) ** 2
        kept = np.where(harmonic[:, 1:], energy, 0).sum(1)
        lines = spectrum[harmonic]  # row by row, ascending: one tone's after the other's
        return {
            "bin": bins,
            "mean": spectrum[:, 0].real,
            "real": lines.real,
            "imaginary": lines.imag,
            "harmonic_count": harmonic.sum(1),
            "alias": (energy.sum(1) - kept) / np.maximum(kept, 1e-300),
            "drift": found.drift,
        }

    def _check(self, waves: Any, drift: Any, bins: Bins) -> None:
        """Refuse a teacher whose answers are no steady tones."""
        finite, moving = np.isfinite(waves).all(1), ~(drift <= _UNSETTLED)
        if not finite.all():
            at, what = int(np.argmin(finite)), "gives numbers that are not finite"
        elif 2 * moving.sum() > len(bins):
            at = int(np.argmax(moving))
            what = f"does not settle: two periods still differ by {drift[at]:.2g} of their energy"
        elif not waves.any():
            at, what = 0, "answers with silence, of which nothing can be learned"
        else:
            return
        raise LabelError(
            f"at {self.grid.frequency(bins[at]):.1f} Hz this teacher {what}; check its weights and "
            "its sample rate"
        )


def _pitch(note: Any) -> Any:
    """Return the frequency of a note."""
    return 440.0 * 2 ** ((np.asarray(note) - 69) / 12)
