"""What a network makes of a periodic tone once it has settled.

A WaveNet forgets: after as many samples as it looks back on, its answer is periodic. A recurrent
network forgets slowly, some tones more slowly than others. It is driven period after period until
two of them agree, |y_p - y_(p-1)|^2 < 1e-10 |y_p|^2; tones that take longer are driven again,
twice as long, by themselves, until that does not help: what is left then is the rounding of the
arithmetic, which amplifiers of high gain amplify. It is kept as the tone's *drift*: in the spectrum
it passes for aliasing.

At a multiple of the sample rate the same weights are driven by the same tones, see
:meth:`presage.studies.amp.networks.Network.oversampled`, and what comes out is longer by that
factor: :meth:`presage.studies.amp.tones.ToneGrid.spectrum` cuts it off at half the plain rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from presage.models.threads import one_thread
from presage.studies.amp.tones import Bins, Floats, ToneGrid

#: Share of a period's energy by which two settled ones differ at most.
TOLERANCE = 1e-10
#: Periods after which no more are tried: 9 s at 44.1 kHz.
LONGEST = 48
#: Tones that a processor drives at a time: of a 40-unit LSTM 16 are faster than 1 or 64; in
#: float64, whose steps torch takes one by one, more are as fast, and faster if it is smaller.
_TOGETHER = {"cpu": 16, "cuda": 2048}


@dataclass(frozen=True)
class Steady:
    """One settled period of each tone, and how well it is settled."""

    waves: NDArray[np.floating]  # [tone, sample]
    drift: Floats
    periods: Bins  # that it was driven for


@one_thread()
def steady(
    network: Any, grid: ToneGrid, bins: Bins, level: Floats, phase: Floats, factor: int = 1
) -> Steady:
    """Return the settled answer of a network to tones.

    Parameters
    ----------
    network
        One of :mod:`presage.studies.amp.networks`, as it is at the plain sample rate.
    grid, bins, level, phase
        The tones.
    factor
        How many times the sample rate it is to run at.
    """
    many = network.oversampled(factor)
    weight = next(network.parameters())
    period = grid.period * factor
    waves = np.empty((len(bins), period), torch.empty(0, dtype=weight.dtype).numpy().dtype)
    drift, periods = np.zeros(len(bins)), np.zeros(len(bins), np.int64)
    left, count = np.arange(len(bins)), 3
    before = np.full(len(bins), np.inf)
    while len(left):
        together = _TOGETHER[weight.device.type] * (4 if weight.dtype == torch.float64 else 1)
        together = max(1, together // factor)
        for start in range(0, len(left), together):
            few = left[start : start + together]
            sines = grid.sines(bins[few], level[few], phase[few], factor=factor)
            tones = torch.as_tensor(sines, dtype=weight.dtype, device=weight.device)
            if network.architecture.receptive_field:
                waves[few] = _after(network, tones, factor)
            else:
                waves[few], drift[few] = _driven(many, tones, count)
        periods[left] = count
        falling = (drift > TOLERANCE) & (drift < before / 2) & (count < LONGEST)
        before, left, count = drift.copy(), left[falling[left]], 2 * count
    return Steady(waves, drift, periods)


@torch.inference_mode()
def _driven(network: Any, tones: torch.Tensor, count: int) -> tuple[Any, Any]:
    """Return the last of `count` periods, and its difference to the one before."""
    carry, wave = None, tones
    for _ in range(count):
        before = wave
        wave, carry = network(tones, carry)
    change = (wave - before).double().square().sum(1)
    energy = wave.double().square().sum(1)
    return wave.cpu().numpy(), (change / energy.clamp_min(1e-300)).cpu().numpy()


@torch.inference_mode()
def _after(network: Any, tones: torch.Tensor, factor: int) -> Any:
    """Return a period after as much of the tone as a network looks back on, in `factor` streams."""
    streams = tones.reshape(len(tones), -1, factor).mT.reshape(len(tones) * factor, -1)
    past = network.architecture.receptive_field - 1
    before = streams.repeat(1, -(-past // streams.shape[1]))
    wave, _ = network(streams, before[:, before.shape[1] - past :])
    return wave.reshape(len(tones), factor, -1).mT.reshape(tones.shape).cpu().numpy()
