"""How audible a difference is: the noise-to-mask ratio of ITU-R BS.1387, FFT ear.

A loud sound hides quieter ones near it in frequency. Of each Hann-windowed frame of the reference
the ear's excitation is estimated: power spectrum, weighted as the outer ear does, grouped into
bands of a quarter Bark from 80 Hz to 18 kHz, the ear's own noise added, spread towards
neighbouring bands (27 dB/Bark downwards, less upwards the louder it is). A few decibel below it
lies the mask. The noise is the difference of the weighted magnitudes of test and reference, grouped
likewise, and

    NMR = mean over bands and frames of noise / mask:

far below 1 the difference is not heard, at 1 it begins to be. Formulas as Kabal (2002), "An
examination and interpretation of ITU-R BS.1387", reads them, without smearing over time.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from presage.labels import LabelError

Floats: TypeAlias = NDArray[np.floating]

FRAME, HOP = 2048, 1024
#: Sound pressure level of a sine of full scale, in decibel.
FULL_SCALE = 92.0
_LOW, _HIGH, _STEP = 80.0, 18_000.0, 0.25  # Hz, Hz, Bark
_SPREAD = 0.4  # exponent under which excitations add
_GAIN = 0.8497  # of the frame's window for a tone between two bins


class Ear(nn.Module):
    """Noise-to-mask ratios at one sample rate, differentiable.

    Parameters
    ----------
    sample_rate
        In hertz; at least twice the highest band's 18 kHz.

    Raises
    ------
    LabelError
        The sample rate is too low.
    """

    #: ``[bin, band]``, and one value for each bin or band.
    groups: Tensor
    weight: Tensor
    noise: Tensor
    offset: Tensor
    upward: Tensor
    distance: Tensor
    lower: Tensor
    downward: Tensor
    below: Tensor
    even: Tensor
    window: Tensor

    def __init__(self, sample_rate: float) -> None:
        super().__init__()
        if sample_rate < 2 * _HIGH:
            raise LabelError(
                f"the ear's bands reach to {_HIGH:g} Hz: a sample rate of at least {2 * _HIGH:g} "
                f"Hz is needed, got {sample_rate:g}"
            )
        frequency = np.arange(FRAME // 2 + 1) * (sample_rate / FRAME)
        edges = _edges()
        centre = _hertz((_bark(edges[:-1]) + _bark(edges[1:])) / 2)
        scale = 10 ** (FULL_SCALE / 20) / (_GAIN * (FRAME - 1) / 4)
        offset = np.maximum(3.0, _STEP * _bark(centre))
        steps = np.arange(len(centre))
        distance = steps[np.newaxis, :] - steps[:, np.newaxis]  # [from, to]
        down = np.tril(10 ** (2.7 * _STEP * np.minimum(distance, 0)), -1)
        tables = {
            "groups": _overlaps(frequency, edges).T,
            "weight": scale * _outer_ear(frequency),
            "noise": 10 ** (0.1456 * (centre / 1000) ** -0.8),
            "offset": 10 ** (-offset / 10),
            "upward": -(2.4 + 23 / centre) * _STEP * np.log(10),
            "distance": _SPREAD * np.maximum(distance, 0),
            "lower": np.where(distance < 0, -np.inf, 0.0),
            "downward": down**_SPREAD,
            "below": down.sum(1),
            "window": np.hanning(FRAME),
        }
        for name, table in tables.items():
            self.register_buffer(name, torch.as_tensor(table, dtype=torch.float64), False)
        self.register_buffer("even", torch.ones(len(centre), dtype=torch.float64), False)
        self.even = self._spread(torch.ones_like(self.even))

    def forward(self, test: Tensor, reference: Tensor) -> Tensor:
        """Return the noise-to-mask ratio of each signal ``[signal]``, linear.

        Parameters
        ----------
        test, reference
            ``[signal, sample]``, at least one frame long.
        """
        heard, expected = self._magnitudes(test), self._magnitudes(reference)
        noise = (heard - expected).square() @ self.groups
        excitation = (expected.square() @ self.groups).clamp_min(1e-12) + self.noise
        mask = self._spread(excitation) / self.even * self.offset
        return (noise / mask).mean((-1, -2))

    def _magnitudes(self, signal: Tensor) -> Tensor:
        """Return weighted magnitudes ``[signal, frame, bin]``."""
        if signal.shape[-1] < FRAME:
            raise LabelError(f"at least {FRAME} samples are needed, got {signal.shape[-1]}")
        frames = signal.to(self.window.dtype).unfold(-1, FRAME, HOP) * self.window
        made = torch.fft.rfft(frames)
        # The square root of nothing has no derivative.
        magnitudes: Tensor = (made.real.square() + made.imag.square() + 1e-30).sqrt()
        return magnitudes * self.weight

    def _spread(self, excitation: Tensor) -> Tensor:
        """Return excitation ``[..., band]`` spread over bands.

        The share of band j that reaches band k is down^(j-k) below it and up_j^(k-j) above, over
        the sum of both, which are geometric series.
        """
        upward = self.upward + 0.2 * _STEP * excitation.log()  # its logarithm
        upward = torch.where(upward.abs() < 1e-6, -1e-6, upward)
        bands = torch.arange(upward.shape[-1], 0, -1, device=upward.device)
        total = self.below + torch.expm1(bands * upward) / torch.expm1(upward)
        parts = (excitation / total).pow(_SPREAD)
        above = torch.addcmul(self.lower, upward[..., None], self.distance).exp()
        spread = parts @ self.downward + (parts[..., None, :] @ above)[..., 0, :]
        return spread.pow(1 / _SPREAD)


def _bark(frequency: Floats) -> Floats:
    return 7 * np.arcsinh(frequency / 650)


def _hertz(bark: Floats) -> Floats:
    return 650 * np.sinh(bark / 7)


def _edges() -> Floats:
    """Return the edges of the bands in hertz; the last band is narrower."""
    low, high = _bark(np.array([_LOW, _HIGH]))
    count = int(np.ceil((high - low) / _STEP))
    return _hertz(np.minimum(low + _STEP * np.arange(count + 1), high))


def _overlaps(frequency: Floats, edges: Floats) -> Floats:
    """Return what share of each bin lies in each band, ``[band, bin]``."""
    width = frequency[1]
    low = np.maximum(edges[:-1, np.newaxis], frequency - width / 2)
    high = np.minimum(edges[1:, np.newaxis], frequency + width / 2)
    made: Floats = np.clip(high - low, 0, None) / width
    return made


def _outer_ear(frequency: Floats) -> Floats:
    """Return the ear's response to amplitudes; none to a constant."""
    khz = np.maximum(frequency, 1e-3) / 1000
    decibel = -2.184 * khz**-0.8 + 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) - 0.001 * khz**3.6
    made: Floats = np.where(frequency > 0, 10 ** (decibel / 20), 0.0)
    return made
