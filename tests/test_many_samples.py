"""A thousand million samples: the first batch and the first step cost little time and memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import lightning_fabric  # noqa: F401 - a second of its own
import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

import presage as ps
from fit_toys import Prepared
from fly_toys import Sets
from presage.batches import Batches, Paired
from presage.fitting import fit, fit_recipe, settings_for
from presage.labels import Variable
from presage.lineage import sample_dim
from presage.recipe import Recipe
from presage.store import Store
from presage.store.lazy import StoredArray, labelled
from source_toys import Own

MANY = 10**9 + 7


def stored(folder, samples=MANY):
    """A dataset as the store opens it, of two shards of zeros that take no memory."""
    pieces = [np.zeros(n, np.float32) for n in (samples // 3, samples - samples // 3)]
    recipe = Recipe("toy_many", 1, {"samples": samples})
    address = str(folder), recipe.json, 0, samples
    array = StoredArray(pieces, "x", "1", address, stored)
    return labelled({"x": (("event",), array, {})}, {}, recipe, "event", (0, samples))


def paired(folder, **options):
    pools = {"one": stored(folder, 9000), "other": stored(folder, 5000)}
    return Paired(pools, {"x": ["one.x", "other.x"]}, samples=MANY, shared=tuple(pools), **options)


@dataclass(frozen=True)
class Blocks(Sets):
    block_size: ClassVar[int] = 512


KINDS = {
    "stored": stored,
    "slice of stored": lambda folder: stored(folder, MANY + 8).isel(event=slice(5, -3)),
    "own": lambda _: Own(MANY),
    "pairs": paired,
    "fixed pairs": lambda folder: paired(folder, new_pairs=False),
    "on the fly": lambda _: ps.on_the_fly(Blocks(), MANY),
}
SHUFFLES = [(kind, s) for kind in ("stored", "slice of stored", "own") for s in ("full", "block")]
SHUFFLES += [("pairs", "auto"), ("fixed pairs", "block"), ("on the fly", "aligned")]


@contextmanager
def cheap() -> Iterator[None]:
    """Hold what is done to 2 s of a processor, and to memory that is none for each sample."""
    _ = Own().labels  # xarray imports what it needs
    tracemalloc.start()
    begun = time.process_time()
    try:
        yield
        took, peak = time.process_time() - begun, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert took < 2
    assert peak < 200e6


@pytest.mark.parametrize(("kind", "shuffle"), SHUFFLES)
def test_batches_begin_anywhere_at_once(tmp_path, kind, shuffle):
    source = KINDS[kind](tmp_path)
    with cheap():
        batches = Batches(source, 64, shuffle=shuffle)
        first = next(iter(batches))
        batches.seek(3, len(batches) - 2)
        later = [batch.positions for batch in batches]
        assert [len(batch) for batch in later] == [64, MANY % 64]
        np.testing.assert_array_equal(batches.indices(3, len(batches) - 2), later[0])
    assert len(first.positions) == 64


class Reached(Exception):
    """The first step of a training."""


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def loss(self, batch):
        if self.training:
            raise Reached
        return self.scale * sum(x.reshape(len(x), -1).float().mean(1) for x in batch.values())


@dataclass(frozen=True)
class Model:
    name: ClassVar[str] = "toy_reached"
    version: ClassVar[int] = 1

    def prepare(self, dataset: xr.Dataset) -> Prepared:
        variables = [Variable.of(a, sample_dim(dataset)) for a in dataset.data_vars.values()]
        declared = [{f.name: getattr(v, f.name) for f in fields(Variable)} for v in variables]
        return Prepared(None, {}, {"variables": declared})

    def build(self, declaration: Any) -> Network:
        return Network()


@pytest.mark.parametrize(
    ("kind", "shuffle", "validation"),
    [(kind, shuffle, 0.05) for kind, shuffle in SHUFFLES]
    + [("stored", "full", (MANY // 2, MANY // 2 + 9999)), ("stored", "block", 0)],
)
def test_a_training_begins_at_once(tmp_path, kind, shuffle, validation):
    source = KINDS[kind](tmp_path)
    with cheap(), pytest.raises(Reached):
        fit(
            Model(), source, store=Store(tmp_path), epochs=1, batch_size=64, shuffle=shuffle,
            validation=validation, progress=False, device="cpu",
        )  # fmt: skip


def test_only_recipes_of_computed_orders_say_so(tmp_path, orders):
    def scheme(source):
        settings = settings_for(Model(), source)
        return fit_recipe(Model(), source, settings, 0, Store(tmp_path)).scheme

    expected = {"listed": "fit/1", "computed": "fit/2"}[orders]
    assert scheme(stored(tmp_path, 50)) == expected
    assert scheme(stored(tmp_path)) == "fit/2"
    pool = {"one": stored(tmp_path, 1 << 25)}
    assert scheme(Paired(pool, samples=9)) == "fit/2"  # its members stand in a computed order
