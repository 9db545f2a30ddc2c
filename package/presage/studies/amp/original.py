"""The caches of tones that the original's fork keeps: a ``.pt`` file with a list of samples.

A sample is ``(x, y, f0, dB)``: sine and band-limited answer over time, fundamental frequency in
hertz, peak level in decibel. Neither sample rate, phase nor teacher stands in it, and a tone takes
some hundred kilobytes where its harmonics take one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from presage.batches import Batches
from presage.exchange.tensors import Arrays, Tensor, open_tensors
from presage.labels import LabelError
from presage.labels.variables import unitless
from presage.lineage import SAMPLE
from presage.store.files import replace
from presage.studies.amp.tone_batches import ToneBatches


def write_original_tones(batches: ToneBatches, path: Path | str) -> Path:
    """Write tones as the list of ``(x, y, f0, dB)`` that the original reads.

    Parameters
    ----------
    batches
        The tones as waves; its `warm_up` and `length` say how long they are.
    path
        Where to.
    """
    chosen = batches.chosen
    frequency = chosen["frequency"].values
    level = 20 * np.log10(chosen["level"].values)
    samples: list[tuple[Any, ...]] = []
    for batch in Batches(batches, min(64, batches.samples), shuffle="none"):
        waves = (torch.from_numpy(np.array(batch[name])) for name in ("input", "target"))
        for x, y in zip(*waves, strict=True):
            at = len(samples)
            samples.append((x.clone(), y.clone(), float(frequency[at]), float(level[at])))
    path = Path(path)
    replace(path, lambda sink: torch.save(samples, cast(IO[bytes], sink)))
    return path


def read_original_tones(path: Path | str, sample_rate: float = 44_100.0) -> xr.Dataset:
    """Read such a list.

    Parameters
    ----------
    path
        The file; it is read without unpickling, and one tone after the other.
    sample_rate
        In hertz; nothing in the file says it.

    Returns
    -------
    xarray.Dataset
        `input` and `target` ``[tone, time]``, `frequency` and `level` ``[tone]``;
        ``store.adopt(dataset, name)`` keeps it.

    Raises
    ------
    LabelError
        No such list: other objects, waves of several lengths, levels or frequencies that make no
        sense, a file that declares more than it holds.
    """
    path = Path(path)
    with open_tensors(path) as (held, arrays):
        if not isinstance(held, (list, tuple)) or not held:
            raise LabelError(f"{path} holds a {type(held).__name__}, not a list of (x, y, f0, dB)")
        samples = [_sample(one, f"{path}, sample {k}") for k, one in enumerate(held)]
        frequency, level = _numbers([number for _, two in samples for number in two], arrays)
        if not ((frequency > 0) & (frequency < sample_rate / 2) & np.isfinite(level)).all():
            raise LabelError(
                f"{path}: tones are not all below {sample_rate / 2:g} Hz, with levels in decibel"
            )
        waves = _waves([wave for pair, _ in samples for wave in pair], arrays, path)
    time = np.arange(waves.shape[2]) / sample_rate
    return xr.Dataset(
        {
            "input": (("tone", "time"), waves[:, 0], unitless("sine")),
            "target": (("tone", "time"), waves[:, 1], unitless("band-limited answer")),
            "frequency": ("tone", frequency, {"units": "Hz", "long_name": "fundamental frequency"}),
            "level": ("tone", level, {"units": "dB", "long_name": "peak level"}),
        },
        coords={"time": ("time", time, {"units": "s", "long_name": "time"})},
        attrs={SAMPLE: "tone"},
    )


def _sample(one: Any, where: str) -> tuple[Sequence[Tensor], Sequence[Any]]:
    """Return the waves and the numbers of a sample; none of them has been read."""
    if not isinstance(one, (tuple, list)) or len(one) != 4:
        raise LabelError(f"{where} is no (x, y, f0, dB)")
    waves, numbers = one[:2], one[2:]
    if not all(isinstance(wave, Tensor) and wave.dtype.kind == "f" for wave in waves):
        raise LabelError(f"{where}: x and y are tensors of real numbers")
    for value in numbers:
        single = isinstance(value, Tensor) and math.prod(value.shape) == 1
        if not isinstance(value, (int, float)) and not (single and value.dtype.kind in "iuf"):
            raise LabelError(f"{where}: f0 and dB are numbers")
    return waves, numbers


def _numbers(values: Sequence[Any], arrays: Arrays) -> NDArray[np.float64]:
    """Return frequencies and levels, which may be tensors of one number."""
    tensors = arrays([value for value in values if isinstance(value, Tensor)])
    plain = [next(tensors).item() if isinstance(value, Tensor) else value for value in values]
    return np.array(plain, np.float64).reshape(-1, 2).T


def _waves(tensors: Sequence[Tensor], arrays: Arrays, path: Path) -> NDArray[np.float32]:
    """Return waves ``[tone, which, time]``, read one after the other."""
    lengths = {math.prod(tensor.shape) for tensor in tensors}
    if len(lengths) != 1 or 0 in lengths:
        raise LabelError(f"{path}: waves are of one length, these have {sorted(lengths)[:5]}")
    read = arrays(tensors)  # they are counted before there is room for them
    waves = np.empty((len(tensors), *lengths), np.float32)
    for row, wave in zip(waves, read, strict=True):
        with np.errstate(over="ignore"):
            row[:] = wave.ravel()
        if not np.isfinite(row).all():
            raise LabelError(f"{path} holds numbers that are not finite")
    return waves.reshape(-1, 2, waves.shape[1])
