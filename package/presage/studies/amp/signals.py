"""Signals to listen to: a sweep, a chord, a melody; all of them without aliases of their own.

What a nonlinear system makes of them has no harmonics that could be counted. The teacher at eight
times the sample rate stands for the answer that is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import resample

from presage.models.threads import one_thread

Floats = NDArray[np.float64]

#: Of every signal: its peak, and what silence is left before and after it, seconds.
PEAK, _SILENCE = 0.5, 0.1
_TOP = 20_000.0  # Hz, above which signals have nothing


def sweep(sample_rate: float, seconds: float = 3.0) -> Floats:
    """Return a sine that rises from 40 Hz to 10 kHz, by as many octaves in every second."""
    time, low, high = _time(sample_rate, seconds), 40.0, 10_000.0
    length = time[-1]
    rate = np.log(high / low) / length
    return _alone(np.sin(2 * np.pi * low / rate * np.expm1(rate * time)), sample_rate)


def chord(sample_rate: float, seconds: float = 3.0) -> Floats:
    """Return six plucked strings, an open E major."""
    strings = [82.41, 123.47, 164.81, 207.65, 246.94, 329.63]
    return _alone(_plucked(strings, _time(sample_rate, seconds)), sample_rate)


def melody(sample_rate: float, seconds: float = 3.0) -> Floats:
    """Return plucked notes on the highest frets, one after the other."""
    notes = [659.26, 783.99, 880.0, 987.77, 1174.66, 1318.51]
    time = _time(sample_rate, seconds)
    total = len(time)
    step = total // len(notes)
    found = np.zeros(step * len(notes))
    for number, note in enumerate(notes):
        found[number * step :][:step] = _faded(_plucked([note], time[:step]), sample_rate)
    silence = _silence(sample_rate)
    return np.pad(found, (silence, silence + total - len(found)))


#: Name → what makes it of a sample rate and a length in seconds.
SIGNALS: dict[str, Callable[[float, float], Floats]] = {
    "sweep": sweep,
    "chord": chord,
    "melody": melody,
}


@one_thread()
@torch.inference_mode()
def play(network: Any, signals: Floats, factor: int = 1) -> Floats:
    """Return a network's answers to signals ``[signal, time]``, `factor` times oversampled.

    They begin and end in silence, so that they are resampled exactly by their Fourier sums.
    """
    weight, length = next(network.parameters()), signals.shape[1]
    given = resample(signals, length * factor, axis=1) if factor > 1 else signals
    tensor = torch.as_tensor(given, dtype=weight.dtype, device=weight.device)
    answers = network.oversampled(factor)(tensor)[0].double().cpu().numpy()
    made: Floats = resample(answers, length, axis=1) if factor > 1 else answers
    return made


def _plucked(notes: Sequence[float], time: Floats) -> Floats:
    """Return strings that sound together; higher partials are weaker and fade earlier."""
    total, sample_rate = np.zeros_like(time), 1 / time[1]
    for number, note in enumerate(notes):
        for partial in range(1, int(min(_TOP, sample_rate / 2.2) / note) + 1):
            fading = np.exp(-time * (0.8 + 0.25 * partial) * (note / 110) ** 0.3)
            shape = np.sin(np.pi * partial * 0.23) / partial**1.5  # plucked at 23 % of its length
            total += shape * fading * np.sin(2 * np.pi * partial * note * time + number)
    made: Floats = total / np.abs(total).max()
    return made


def _time(sample_rate: float, seconds: float) -> Floats:
    return np.arange(int(seconds * sample_rate) - 2 * _silence(sample_rate)) / sample_rate


def _silence(sample_rate: float) -> int:
    return int(_SILENCE * sample_rate)


def _faded(signal: Floats, sample_rate: float) -> Floats:
    """Return a signal of the common peak, 5 ms faded at both ends."""
    ramp = np.sin(np.linspace(0, np.pi / 2, int(0.005 * sample_rate))) ** 2
    signal = signal * (PEAK / np.abs(signal).max())
    signal[: len(ramp)] *= ramp
    signal[len(signal) - len(ramp) :] *= ramp[::-1]
    return signal


def _alone(signal: Floats, sample_rate: float) -> Floats:
    """Return a faded signal with silence around it."""
    return np.pad(_faded(signal, sample_rate), _silence(sample_rate))
