"""Simulating skies, beside the Fourier transforms that nobody can do without."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
from scipy.fft import ifft, irfft2, rfftn
from threadpoolctl import threadpool_limits

from benchmarks.core import Result, paired, seconds, side_by_side
from presage.rng import generator, normals
from presage.studies.sky import sky

_CHANNELS = {"small": (64,), "full": (64, 128)}


def run(size: str, _folder: Path) -> list[Result]:
    """Time blocks of 64 x 64 pixels on one core, and the transforms in them alone."""
    with threadpool_limits(1):
        return [result for channels in _CHANNELS[size] for result in _measured(channels)]


def _measured(channels: int) -> list[Result]:
    parts = sky("beam", channels=channels).simulators()
    cubes = parts["signal"].block_size
    long = normals(generator("bench", 1, 0), (cubes, 2 * channels, 64, 64))
    smooth = np.zeros((cubes, channels, 64, 33), complex)

    def of_signal() -> None:
        modes: Any = rfftn(long, axes=(1, 2, 3), workers=1)
        modes = ifft(modes, axis=1, workers=1, overwrite_x=True)[:, :channels]
        irfft2(modes, s=(64, 64), workers=1)

    def of_both() -> None:
        of_signal()
        irfft2(smooth, s=(64, 64), workers=1)

    def block(name: str) -> float:
        return seconds(lambda: parts[name].block(1, 0))

    times = side_by_side(
        {
            "transforms": lambda: seconds(of_signal),
            "all transforms": lambda: seconds(of_both),
            **{name: lambda name=name: block(name) for name in parts},
        }
    )
    rate = {name: cubes / statistics.median(t) for name, t in times.items()}
    whole = [sum(t) for t in zip(*(times[name] for name in parts), strict=True)]
    ratios = {
        "signal/transforms": paired(times["signal"], times["transforms"]),
        "signal, foreground and noise/transforms": paired(whole, times["all transforms"]),
    }
    note = (
        f"{channels} x 64 x 64, one core; transforms of a signal {rate['transforms']:.0f} cubes/s"
    )
    return [
        *(
            Result(f"sky/{channels} {n}", r, "×", 3, most=True, note=note)
            for n, r in ratios.items()
        ),
        *(Result(f"sky/{channels} {part}", rate[part], "cubes/s", note=note) for part in parts),
    ]
