"""Waves at random that networks learn from beside tones: strings, sweeps, noise.

A simulator of such waves says what answers them: the circuit of
:mod:`presage.studies.amp.circuit`, or, here, a teacher at eight times its sample rate, whose answer
hardly has aliases. Tones alone leave open what a student does to a chord.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from presage.labels import Arrays, Coordinate, LabelError, Parameter, Variable
from presage.simulator import Simulator
from presage.studies.amp.signals import play
from presage.studies.amp.teachers import OfTeacher

Floats = NDArray[np.float64]

_SHORTEST = 0.01  # seconds
#: How many times the sample rate a teacher answers at.
FACTOR = 8
#: Waves that a processor plays at a time, as many as leave an LSTM's streams in its cache.
_TOGETHER = {"cpu": 2, "cuda": 512}


class Waves(Simulator):
    """Plucked strings, sweeps and noise ``input`` [time], and what `answer` makes of them."""

    seconds: float
    answers: ClassVar[str] = "answer"

    def __post_init__(self) -> None:
        if not _SHORTEST <= self.seconds < np.inf:
            raise LabelError(f"seconds of a wave are at least {_SHORTEST}, got {self.seconds}")

    @property
    @abstractmethod
    def sample_rate(self) -> float:
        """Samples a second."""

    @abstractmethod
    def answer(self, signals: Floats) -> Floats:
        """Return the answers to signals ``[signal, time]``."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Peak level, and frequency of the string."""
        top = self.sample_rate / 2
        return (
            Parameter("level", (), "float32", "1", "peak level", low=0.0, high=1.0),
            Parameter("frequency", (), "float32", "Hz", "of the string", low=0.0, high=top),
        )

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What goes in and what comes out."""
        return (
            Variable("input", ("time",), "float32", "1", "signal"),
            Variable("target", ("time",), "float32", "1", self.answers),
        )

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """Time."""
        return (Coordinate("time", tuple(self._time.tolist()), "s", "time"),)

    def draw(self, rng: np.random.Generator, n: int) -> Arrays:
        """Draw levels over 40 dB and notes over seven octaves."""
        level = 10 ** rng.uniform(-2, 0, n)
        return {"level": level, "frequency": 40 * 2 ** rng.uniform(0, 7, n)}

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Answer one signal for each level and note."""
        signals = _signals(self._time, np.asarray(theta["frequency"], np.float64), rng)
        signals *= np.asarray(theta["level"])[:, np.newaxis] / np.abs(signals).max(1, keepdims=True)
        return {"input": signals, "target": self.answer(signals)}

    @property
    def _time(self) -> Floats:
        return np.arange(int(self.seconds * self.sample_rate)) / self.sample_rate


@dataclass(frozen=True)
class TeacherWaves(OfTeacher, Waves):
    """Strings, sweeps and noise through an amplifier model at eight times its sample rate.

    Parameters
    ----------
    teacher, config
        As of :class:`~presage.studies.amp.TeacherTones`.
    seconds
        Of each wave.
    device
        What computes: "auto", "cpu", "cuda"; no part of the identity.

    Raises
    ------
    AmplifierError
        There is no such teacher.
    LabelError
        Waves that are too short.
    """

    teacher: str | Path = ""
    config: int = -1
    seconds: float = 0.75
    device: str = "auto"

    name: ClassVar[str] = "amp_waves"
    sample_dim: ClassVar[str] = "wave"
    block_size: ClassVar[int] = 16
    answers: ClassVar[str] = f"answer of the teacher at {FACTOR} times the sample rate"

    @property
    def sample_rate(self) -> float:
        """The teacher's."""
        return self.amplifier.sample_rate

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the waves: the teacher by its content."""
        return {**self.asked, "seconds": self.seconds}

    def answer(self, signals: Floats) -> Floats:
        """Play signals, which are resampled as if they went round."""
        network = self._network
        few = _TOGETHER[next(network.parameters()).device.type]
        parts = range(0, len(signals), few)
        return np.concatenate([play(network, signals[at : at + few], FACTOR) for at in parts])


def _signals(time: Floats, frequency: Floats, rng: np.random.Generator) -> Floats:
    """Return signals in turn: a string, two strings, a sweep, noise that fades."""
    n = len(frequency)
    phase = rng.uniform(0, 2 * np.pi, (n, 1))
    fading = np.exp(-time * rng.uniform(0, 8, (n, 1)))
    second = frequency * 2 ** rng.choice([3 / 12, 5 / 12, 7 / 12], n)
    string = _string(time, frequency, phase)
    pair = string + _string(time, second, 2 * phase)
    rate = rng.uniform(-6, 6, (n, 1))  # octaves a second
    rate = np.where(np.abs(rate) < 0.1, 0.1, rate) * np.log(2)
    sweep = np.sin(phase + 2 * np.pi * frequency[:, None] / rate * np.expm1(rate * time))
    noise = lfilter([1], [1, -0.8], rng.standard_normal((n, len(time))), axis=1)
    kind = np.arange(n)[:, np.newaxis] % 4
    return np.select([kind == 0, kind == 1, kind == 2], [string * fading, pair * fading, sweep],
                     noise * fading)  # fmt: skip


def _string(time: Floats, frequency: Floats, phase: Floats) -> Floats:
    total = np.zeros((len(frequency), len(time)))
    for partial in range(1, 9):
        pitch = partial * frequency[:, np.newaxis]
        total += (pitch < 18_000) / partial * np.sin(2 * np.pi * pitch * time + partial * phase)
    return total
