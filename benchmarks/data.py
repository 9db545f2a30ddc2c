"""Data to measure on: float32 rows of a given shape from a store, and labelled events in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import xarray as xr

from presage.emulation.grid import LabelledSimulator
from presage.generate import simulate
from presage.labels import Arrays, Parameter, Variable
from presage.simulator import Simulator
from presage.store import Store


@dataclass(frozen=True)
class Noise(Simulator):
    """Rows of random bits that look like numbers between 1 and 2: quick to make, incompressible."""

    length_of_row: int = 1000
    columns: int = 3

    name: ClassVar[str] = "bench-noise"
    block_size: ClassVar[int] = 1024

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """None: a row is noise alone."""
        return ()

    @property
    def variables(self) -> tuple[Variable, ...]:
        """One array for each sample."""
        return (Variable("x", ("time", "column")),)

    def draw(self, rng: np.random.Generator, n: int) -> Arrays:
        """Draw nothing."""
        return {}

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Draw mantissas."""
        shape = (self.block_size, self.length_of_row, self.columns)
        bits = rng.integers(0, 1 << 23, shape, dtype=np.uint32)
        bits |= np.uint32(127 << 23)
        return {"x": bits.view(np.float32)}


def stored_noise(folder: Path, samples: int) -> xr.Dataset:
    """Return `samples` rows of 12 kB from a store in `folder`."""
    return simulate(Noise(), samples, store=Store(folder / "store"), progress=False)


def labelled_events(
    simulator: LabelledSimulator, labels: np.ndarray, rng: np.random.Generator
) -> xr.Dataset:
    """Return an event in memory for each of the labels ``[event, parameter]``."""
    theta = {p.name: labels[:, i] for i, p in enumerate(simulator.parameters)}
    columns = {**theta, **simulator.simulate(theta, rng)}
    known = (*simulator.parameters, *simulator.variables)
    return xr.Dataset(
        {v.name: ("event", columns[v.name].astype(v.dtype), v.attributes()) for v in known},
        attrs={"presage_sample": "event"},
    )
