"""Tiny sources for the fault tests, one with plain arrays and one with ragged ones."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import xarray as xr

from presage.generate import samples
from presage.labels import Arrays, Coordinate, Parameter, Schema, Variable
from presage.recipe import Recipe
from presage.rng import sibling
from presage.simulator import Simulator
from presage.store import Store
from presage.store.files import Sink


@dataclass(frozen=True)
class Waves(Simulator):
    """A noisy wave for each amplitude; `delay` slows a block down to be interrupted."""

    width: float = 0.1
    delay: float = 0.0

    name: ClassVar[str] = "fault-waves"
    block_size: ClassVar[int] = 8

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (Parameter("amplitude", low=0.0, high=1.0),)

    @property
    def variables(self) -> tuple[Variable, ...]:
        return (Variable("wave", ("time",), unit="mV"), Variable("hits", (), "int64"))

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        return (Coordinate("time", (0.0, 0.5, 1.0), "s"),)

    def draw(self, rng: np.random.Generator, n: int) -> Arrays:
        return {"amplitude": rng.random(n)}

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        time.sleep(self.delay)
        wave = theta["amplitude"][:, None] + self.width * rng.normal(size=(self.block_size, 3))
        return {"wave": wave, "hits": sibling(rng, 7).integers(0, 100, self.block_size)}


@dataclass(frozen=True)
class Bags(Simulator):
    """Sets of unequal size, some of them empty."""

    name: ClassVar[str] = "fault-bags"
    block_size: ClassVar[int] = 8

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (Parameter("rate", low=0.0, high=3.0),)

    @property
    def variables(self) -> tuple[Variable, ...]:
        return (Variable("energy", ("particle",), "float64", "GeV"),)

    @property
    def ragged(self) -> tuple[str, ...]:
        return ("particle",)

    def draw(self, rng: np.random.Generator, n: int) -> Arrays:
        return {"rate": 3 * rng.random(n)}

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        counts = rng.poisson(theta["rate"])
        return {"particle_count": counts, "energy": rng.random(int(counts.sum()))}


SOURCES: dict[str, Simulator] = {"waves": Waves(), "bags": Bags()}
PRODUCT = Recipe("fault-product", 1, {"of": "waves"})
FILE = Recipe("fault-file", 1, {"of": "waves"})


def small_shards(blocks: int = 1) -> None:
    """Make shards of that many blocks, so that a few samples fill several."""
    samples.SHARD_BYTES = 1 if blocks == 1 else blocks * 8 * 24


def truth(source: Simulator, n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """The first `n` samples by the simulator itself, without store or generation."""
    blocks = [source.block(seed, b) for b in range(-(-n // source.block_size))]
    arrays = {name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]}
    flat = {d: int(arrays[f"{d}_count"][:n].sum()) for d in source.ragged}
    dims = {name: dims[0] for name, (dims, _) in source.schema.stored().items()}
    return {name: a[: flat.get(dims[name], n)] for name, a in arrays.items()}


def same(dataset: xr.Dataset, expected: dict[str, np.ndarray]) -> bool:
    """Whether a dataset holds exactly these arrays."""
    return set(map(str, dataset.data_vars)) == set(expected) and all(
        dataset[name].dtype == array.dtype and dataset[name].values.tobytes() == array.tobytes()
        for name, array in expected.items()
    )


def product() -> xr.Dataset:
    """A product with text, NaN, time-like names and a scalar: what analyses store."""
    return xr.Dataset(
        {
            "metric": (("source", "label"), np.array([[0.1, np.nan], [0.2, 0.3]])),
            "total": ((), 3),
            "flag": ("label", np.array([True, False])),
        },
        coords={"source": ["flow", "floor"], "label": [0, 1]},
        attrs={"note": "a product"},
    )


def write_file(sink: Sink) -> None:
    """What weights stand for: bytes in two writes."""
    sink.write(b"weights" * 100)
    sink.write(b"more" * 100)


WRITTEN = b"weights" * 100 + b"more" * 100
SCHEMA = Schema("sample", (Variable("x"),))


def leftovers(store: Store) -> list[str]:
    """Temporaries and locks anywhere in a store."""
    found = [p for p in store.root.rglob("*") if p.name.endswith((".tmp", ".lock"))]
    return sorted(str(p.relative_to(store.root)) for p in found) + sorted(
        p.name for p in store.root.glob(".trash-*")
    )


def _edit(path: Path, old: str, new: str) -> None:
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new, 1))


def _deep(path: Path) -> None:
    _edit(path, '{"int":"1"}', 300 * "[" + 300 * "]")


def _replaced(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def _link(target: str) -> Callable[[Path], object]:
    return lambda path: _replaced(path, lambda p: p.symlink_to(target))


#: What may stand in place of a ``recipe.json``: how it is made of a good one, and what is said.
BAD_RECIPES: dict[str, tuple[Callable[[Path], object], str]] = {
    "nested": (lambda path: path.write_text("[" * 100_000), "RecursionError"),
    "deep": (_deep, "nested"),
    "huge": (lambda path: _edit(path, "0x1.0000000000000p+0", "0x1p+99999"), "not a recipe"),
    "long": (lambda path: _edit(path, '"1"', f'"{"9" * 5000}"'), "not a recipe"),
    "no JSON": (lambda path: path.write_text("{"), "not a recipe"),
    "no text": (lambda path: path.write_bytes(b"\xff\x00\xfe"), "decode"),
    "mistyped": (lambda path: _edit(path, '"scheme":""', '"scheme":[1]'), "scheme"),
    "large": (lambda path: os.truncate(path, 1 << 34), "bytes"),
    "folder": (lambda path: _replaced(path, Path.mkdir), "no regular file"),
    "pipe": (lambda path: _replaced(path, os.mkfifo), "no regular file"),
    "device": (_link("/dev/zero"), "no regular file"),
    "loop": (_link("recipe.json"), "no regular file"),
    "dangling": (_link("nowhere"), "no regular file"),
    "missing": (lambda path: path.unlink(), "No such file"),
}


def spoil(store: Store) -> dict[str, Path]:
    """Put a dataset with every kind of bad ``recipe.json`` into a store; return their folders."""
    folders = {}
    for name, (damage, _) in BAD_RECIPES.items():
        recipe = Recipe("spoilt", 1, {"name": name, "width": 1.0})
        store.put(recipe, xr.Dataset({"x": ("i", [1.0])}))
        folders[name] = store.entry(recipe).folder
        damage(folders[name] / "recipe.json")
    return folders
