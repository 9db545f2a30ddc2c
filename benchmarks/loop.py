"""What the training loop costs beside a bare torch loop, at about 2 ms a step."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from benchmarks.core import Result, paired, side_by_side
from presage.fitting import fit
from presage.models.prepared import Prepared

_EPOCHS = {"small": 4, "full": 20}
_SAMPLES, _BATCH = 25_600, 256
_STEP = 0.002


class Network(nn.Module):
    """A perceptron with per-sample losses."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers = [nn.Linear(8, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()]
        self.body = nn.Sequential(*layers, nn.Linear(width, 1))

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Return squared errors ``[batch]``."""
        return (self.body(batch["x"]).squeeze(1) - batch["y"]).square()


@dataclass(frozen=True)
class Perceptron:
    """Specification of the network."""

    width: int

    name: ClassVar[str] = "bench-perceptron"
    version: ClassVar[int] = 1

    def prepare(self, dataset: xr.Dataset) -> Prepared:
        """Return the arrays as they are."""
        arrays = {name: np.asarray(dataset[name].values) for name in ("x", "y")}
        return Prepared(arrays, {}, {"variables": [], "parameters": []})

    def build(self, declaration: dict[str, Any]) -> Network:
        """Return the network."""
        del declaration
        return Network(self.width)


def run(size: str, folder: Path) -> list[Result]:
    """Time `fit` and a bare loop over the same steps; set-up counts on neither side."""
    del folder
    torch.set_num_threads(1)  # steps of equal length; more threads only add noise at this size
    data, width, epochs = _data(), _width(), _EPOCHS[size]
    times = side_by_side(
        {
            "fit": lambda: _fit(data, width, epochs),
            "bare": lambda: _bare(data, width, epochs),
        }
    )
    ratio = paired(times["fit"], times["bare"])
    step = {name: 1e3 * statistics.median(t) for name, t in times.items()}
    note = f"{step['fit']:.2f} ms a step, bare {step['bare']:.2f} ms, width {width}, one thread"
    return [Result("loop/fit over bare loop", ratio, "×", 1.05, most=True, note=note)]


def _data() -> xr.Dataset:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((_SAMPLES, 8), dtype=np.float32)
    variables = {"x": (("event", "column"), x), "y": ("event", np.sin(x.sum(axis=1)))}
    return xr.Dataset(variables, {"event": np.arange(_SAMPLES)}, {"presage_sample": "event"})


def _width() -> int:
    """Return the width that makes a step of the bare loop take 2 ms."""
    data, width = _data(), 64
    while width < 1024 and min(_bare(data, width, 1) for _ in range(3)) < _STEP:
        width = int(width * 1.25)
    return width


def _fit(data: xr.Dataset, width: int, epochs: int) -> float:
    """Return seconds a step: those of the epochs after the first of a run."""
    fitted = fit(Perceptron(width), data, epochs=epochs + 1, batch_size=_BATCH, validation=0.0,
                 schedule="constant", device="cpu", progress=False)  # fmt: skip
    took = np.asarray(fitted.history["seconds"].values, dtype=np.float64)
    return float(took[1:].sum()) / (epochs * (_SAMPLES // _BATCH))


def _bare(data: xr.Dataset, width: int, epochs: int) -> float:
    torch.manual_seed(0)
    network = Network(width)
    tensors = {name: torch.from_numpy(np.array(data[name].values)) for name in ("x", "y")}
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True)
    began = 0.0
    for epoch in range(epochs + 1):
        if epoch == 1:
            began = time.perf_counter()
        order = torch.randperm(_SAMPLES)
        for first in range(0, _SAMPLES, _BATCH):
            rows = order[first : first + _BATCH]
            batch = {name: tensor[rows] for name, tensor in tensors.items()}
            network.loss(batch).mean().backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    return (time.perf_counter() - began) / (epochs * (_SAMPLES // _BATCH))
