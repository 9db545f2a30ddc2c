"""The caches of tones that the original's fork keeps: a ``.pt`` file with a list of samples.

A sample is ``(x, y, f0, dB)``: sine and band-limited answer over time, fundamental frequency in
hertz, peak level in decibel. Neither sample rate, phase nor teacher stands in it, and a tone takes
some hundred kilobytes where its harmonics take one.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from presage.batches import Batches
from presage.foreign import file_size, unpacks_too_far
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
    buffer = io.BytesIO()
    torch.save(samples, buffer)
    path = Path(path)
    replace(path, lambda sink: sink.write(buffer.getvalue()))
    return path


def read_original_tones(path: Path | str, sample_rate: float = 44_100.0) -> xr.Dataset:
    """Read such a list.

    Parameters
    ----------
    path
        The file; nothing in it is unpickled but tensors and numbers.
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
    size = file_size(path)
    try:
        held = torch.load(path, weights_only=True, mmap=True, map_location="cpu")
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError) as error:
        raise LabelError(
            f"{path} is no list of tones that torch.save wrote: {str(error).splitlines()[0][:200]}"
        ) from error
    samples = [_sample(one, f"{path}, sample {k}") for k, one in enumerate(_listed(held, path))]
    lengths = {wave.numel() for pair, _ in samples for wave in pair}
    if len(lengths) != 1:
        raise LabelError(f"{path}: waves are of one length, these have {sorted(lengths)[:5]}")
    (length,) = lengths
    if wrong := unpacks_too_far(8 * length * len(samples), size):
        raise LabelError(f"{path}: {wrong}")
    waves = [np.stack([pair[k].float().numpy() for pair, _ in samples]) for k in (0, 1)]
    numbers = np.array([about for _, about in samples], np.float64)
    frequency, level = numbers.T
    if not (np.isfinite(numbers).all() and all(np.isfinite(wave).all() for wave in waves)):
        raise LabelError(f"{path} holds numbers that are not finite")
    if not ((frequency > 0) & (frequency < sample_rate / 2)).all():
        raise LabelError(f"{path}: tones are not all below {sample_rate / 2:g} Hz")
    time = np.arange(length) / sample_rate
    return xr.Dataset(
        {
            "input": (("tone", "time"), waves[0], unitless("sine")),
            "target": (("tone", "time"), waves[1], unitless("band-limited answer")),
            "frequency": ("tone", frequency, {"units": "Hz", "long_name": "fundamental frequency"}),
            "level": ("tone", level, {"units": "dB", "long_name": "peak level"}),
        },
        coords={"time": ("time", time, {"units": "s", "long_name": "time"})},
        attrs={SAMPLE: "tone"},
    )


def _listed(held: Any, path: Path) -> list[Any]:
    if not isinstance(held, list) or not held:
        raise LabelError(f"{path} holds a {type(held).__name__}, not a list of (x, y, f0, dB)")
    return held


def _sample(one: Any, where: str) -> tuple[list[torch.Tensor], list[float]]:
    """Return the waves and the numbers of a sample."""
    if not isinstance(one, (tuple, list)) or len(one) != 4:
        raise LabelError(f"{where} is no (x, y, f0, dB)")
    *waves, frequency, level = one
    if not all(isinstance(w, torch.Tensor) and w.is_floating_point() for w in waves):
        raise LabelError(f"{where}: x and y are tensors of real numbers")
    numbers = []
    for value in (frequency, level):
        if isinstance(value, torch.Tensor) and value.numel() == 1:
            value = value.item()
        if not isinstance(value, (int, float)):
            raise LabelError(f"{where}: f0 and dB are numbers")
        numbers.append(float(value))
    return [wave.reshape(-1) for wave in waves], numbers
