"""Pools of signals and foregrounds, tones of unequal length, and networks that train on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

import presage as ps
from fit_toys import Prepared
from presage.batches import BatchSource, Paired
from presage.labels import Coordinate, Schema, Variable
from presage.recipe import Recipe
from presage.store import Store

CHANNELS, PERIOD = 32, 64
CUBE = Variable("cleaned", ("frequency",), "float32", "mK", "cleaned spectrum")
FREQUENCIES = Coordinate("frequency", tuple(np.linspace(500.0, 600.0, CHANNELS)), "MHz")
PARTS = Coordinate("component", ("real", "imag"))
TONE = (
    Variable("harmonics", ("harmonic", "component"), "float32", "V", "complex harmonics"),
    Variable("offset", (), "float32", "V", "direct current"),
    Variable("first", (), "int64", "1", "number of the first harmonic"),
)
WAVE = Variable("wave", ("time",), "float32", "V", "one period of a tone")


def pool(store: Store, name: str, members: int, seed: int = 0) -> xr.Dataset:
    """Return a stored pool: smooth foregrounds (``"smooth"``), or a signal of white noise."""
    rng = np.random.default_rng([seed, members])
    at = np.linspace(-1, 1, CHANNELS)
    white = rng.standard_normal((members, CHANNELS))
    smooth = rng.standard_normal((members, 3)) @ np.stack([5 + 0 * at, 5 * at, at**2])
    values = (smooth if name == "smooth" else white).astype(np.float32)
    recipe = Recipe(f"toy_{name}", 1, {"members": members}, seed=seed)
    schema = Schema("sample", (CUBE,), (FREQUENCIES,))
    for start, stop in ((0, members // 3), (members // 3, members)):  # two shards
        store.add(recipe, schema, {"cleaned": values[start:stop]}, start)
    return store.open(recipe)


def skies(store: Store, **options: Any) -> Paired:
    """Return x = foreground + signal + noise and y = signal, of pools of 40, 30 and 7 members."""
    pools = {
        "foreground": pool(store, "smooth", 40),
        "signal": pool(store, "signal", 30),
        "noise": pool(store, "noise", 7),
    }
    columns = {
        "x": ["foreground.cleaned", "signal.cleaned", "noise.cleaned"],
        "y": "signal.cleaned",
    }
    return Paired(pools, columns, **{"shared": ("noise",), **options})


def tones(store: Store, members: int = 40) -> xr.Dataset:
    """Return a stored pool of tones, each with as many harmonics as fit below the limit."""
    rng = np.random.default_rng(members)
    first = rng.integers(1, 12, members)
    counts = (PERIOD // 2 - 1) // first
    arrays = {
        "harmonics": rng.standard_normal((counts.sum(), 2)).astype(np.float32),
        "harmonic_count": counts,
        "offset": rng.standard_normal(members).astype(np.float32),
        "first": first,
    }
    recipe = Recipe("toy_tones", 1, {"members": members})
    store.add(recipe, Schema("tone", TONE, (PARTS,), ragged=("harmonic",)), arrays, 0)
    return store.open(recipe)


@ps.versioned(1)
def rebuild(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return one period of each tone from its harmonics, by a batched inverse transform."""
    counts, first = columns["harmonic_count"], columns["first"]
    tone = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(tone)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
    spectrum = np.zeros((len(counts), PERIOD // 2 + 1), np.complex64)
    spectrum[:, 0] = columns["offset"]
    parts = columns["harmonics"]
    spectrum[tone, number * first[tone]] = parts[:, 0] + 1j * parts[:, 1]
    wave = np.fft.irfft(spectrum, PERIOD, axis=1, norm="forward")
    return {"wave": wave.astype(np.float32)}


def waves(store: Store, **options: Any) -> Paired:
    """Return tones rebuilt from their harmonics."""
    return Paired({"tone": tones(store)}, combine=rebuild, variables=(WAVE,), **options)


@dataclass(frozen=True)
class Own(BatchSource):
    """A source of a user's own: numbers that are a function of sample and epoch."""

    samples: int = 50
    scale: float = 1.0
    base: xr.Dataset | None = None

    name: ClassVar[str] = "own_toy"
    version: ClassVar[int] = 1
    schema: ClassVar[Schema] = Schema("sample", (Variable("x", ("axis",), "float64"),))

    def gather(self, numbers, epoch, buffers):
        x = buffers.get("x", (len(numbers), 2), np.dtype("float64"))
        np.multiply.outer(numbers + 1000.0 * epoch, [self.scale, -1.0], out=x)
        return {"x": x}


class Filter(nn.Module):
    """One convolution along frequency."""

    def __init__(self, inputs: str, target: str, width: int) -> None:
        super().__init__()
        self.inputs, self.target = inputs, target
        self.layer = nn.Conv1d(1, 1, width, padding="same")

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x[:, None])[:, 0]

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        return (self(batch[self.inputs]) - batch[self.target]).square().mean(1)


@dataclass(frozen=True)
class Restorer:
    """A convolution that restores one column of a source from another."""

    inputs: str = "x"
    target: str = "y"
    width: int = 9

    name: ClassVar[str] = "toy_restorer"
    version: ClassVar[int] = 1
    network: ClassVar[type[Filter]] = Filter

    def prepare(self, dataset: xr.Dataset) -> Prepared:
        names = dict.fromkeys((self.inputs, self.target))
        declared = [
            asdict(Variable.of(dataset[name], dataset.attrs["presage_sample"])) for name in names
        ]
        return Prepared(None, {}, {"variables": declared})

    def build(self, declaration: Mapping[str, Any]) -> Filter:
        return self.network(self.inputs, self.target, self.width)


@ps.versioned(2)
def absolute(network: Filter, batch: Mapping[str, Tensor]) -> Tensor:
    """A loss of a user's own."""
    return (network(batch[network.inputs]) - batch[network.target]).abs().mean(1)


def same(one: Any, other: Any) -> bool:
    weights = other.network.state_dict()
    return all(torch.equal(t, weights[n]) for n, t in one.network.state_dict().items())
