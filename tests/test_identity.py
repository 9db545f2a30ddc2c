"""Which datasets are still what the store holds, and that a changed one is never taken for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import xarray as xr

from presage.batches import Batches
from presage.generate import simulate
from presage.labels import Arrays, LabelError, Parameter, Variable
from presage.lineage import take
from presage.simulator import Derived, Simulator
from presage.store import Store, StoreError, parents_of


@dataclass(frozen=True)
class Tones(Simulator):
    """Tones with as many overtones as they like."""

    gain: float = 1.0

    name: ClassVar[str] = "tones"
    sample_dim: ClassVar[str] = "tone"
    block_size: ClassVar[int] = 16

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (Parameter("pitch", unit="Hz", low=0.0, high=1.0),)

    @property
    def variables(self) -> tuple[Variable, ...]:
        return (Variable("level", dims=("harmonic",)), Variable("drift", dims=("part",)))

    @property
    def ragged(self) -> tuple[str, ...]:
        return ("harmonic",)

    def draw(self, rng: np.random.Generator, n: int) -> Arrays:
        return {"pitch": rng.random(n)}

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        counts = rng.integers(0, 6, len(theta["pitch"]))
        pitch = np.repeat(theta["pitch"], counts)
        drift = rng.random((len(counts), 3))
        return {"level": self.gain * pitch, "harmonic_count": counts, "drift": drift}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")  # also where a source looks by default


@pytest.fixture
def tones(store: Store) -> xr.Dataset:
    simulate(Tones(), 20, store=store)
    return simulate(Tones(), 50, store=store)  # two shards


def own_pitch(batch: dict[str, Any]) -> None:
    """Every overtone's level is the pitch of its own tone."""
    expected = np.repeat(batch["pitch"], batch["harmonic_count"])
    np.testing.assert_array_equal(batch["level"], expected)


SELECTIONS: dict[str, Callable[[xr.Dataset], xr.Dataset]] = {
    "all": lambda d: d,
    "range": lambda d: d.isel(tone=slice(10, 40)),
    "range across shards, twice": lambda d: d.isel(tone=slice(5, 45)).isel(tone=slice(10, 30)),
    "with holes": lambda d: d.isel(tone=[3, 19, 20, 44]),
    "shuffled": lambda d: d.isel(tone=[44, 3, 20, 19]),
    "by sample number": lambda d: d.sel(tone=slice(12, 30)),
    "taken": lambda d: take(d, np.array([44, 3, 20])),
    "taken from a range": lambda d: take(d.isel(tone=slice(10, 40)), slice(3, 9)),
}


@pytest.mark.parametrize("select", SELECTIONS.values(), ids=SELECTIONS)
@pytest.mark.parametrize("load", ["lazy", "loaded", "loaded first", "counts lazy", "levels lazy"])
def test_ragged_rows_follow_their_samples(
    tones: xr.Dataset, select: Callable[[xr.Dataset], xr.Dataset], load: str
) -> None:
    chosen = select(tones.load() if load == "loaded first" else tones)
    if load == "loaded":
        chosen = chosen.load()
    if load == "counts lazy":
        chosen["level"].load()
    if load == "levels lazy":
        chosen["harmonic_count"].load()
    for batch in Batches(chosen, 3, shuffle="full", seed=1):
        own_pitch(batch)
    tight = take(chosen, slice(None))
    own_pitch({str(n): a.values for n, a in tight.data_vars.items()})
    np.testing.assert_array_equal(tight["pitch"], chosen["pitch"])


@pytest.mark.parametrize("select", SELECTIONS.values(), ids=SELECTIONS)
@pytest.mark.parametrize("load", [False, True])
def test_selections_are_known_by_their_samples(
    tones: xr.Dataset, store: Store, select: Callable[[xr.Dataset], xr.Dataset], load: bool
) -> None:
    chosen = select(tones)
    chosen = chosen.load() if load else chosen
    parents = set(parents_of(chosen, store).values())
    (parent,) = parents
    numbers = chosen.indexes["tone"].to_numpy()
    assert (parent.start, parent.stop) == (numbers.min(), numbers.max() + 1)
    assert bool(parent.selection) == (not np.array_equal(numbers, np.arange(*parent_span(parent))))
    assert set(parents_of(chosen[["pitch"]], store).values()) == parents


def parent_span(parent: Any) -> tuple[int, int]:
    return parent.start, parent.stop


CHANGES: dict[str, tuple[Callable[[xr.Dataset], xr.Dataset], str]] = {
    "values": (lambda d: d.assign(pitch=d.pitch * 2), "was changed since"),
    "ragged values": (lambda d: d.assign(level=d.level * 0.5), "was changed since"),
    "everything": (lambda d: -d, "was changed since"),
    "a new column": (lambda d: d.assign(zero=d.pitch * 0), "is not a variable of tones"),
    "another name": (lambda d: d.rename(pitch="tune"), "stored variable 'pitch' under another"),
    "another unit": (lambda d: d.assign(pitch=d.pitch.assign_attrs(units="kHz")), "says 'kHz'"),
    "part of an axis": (lambda d: d.isel(part=slice(0, 2)), "was changed since"),
    "an axis reversed": (lambda d: d.isel(part=slice(None, None, -1)), "was changed since"),
    "other samples": (
        lambda d: d.isel(tone=slice(0, 20)).assign(
            pitch=("tone", d.pitch.isel(tone=slice(20, 40)).values, d.pitch.attrs)
        ),
        "was changed since",
    ),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_a_changed_dataset_is_not_taken_for_the_stored_one(
    tones: xr.Dataset, store: Store, change: Callable[[xr.Dataset], xr.Dataset], message: str
) -> None:
    with pytest.raises(StoreError, match=message):
        parents_of(change(tones), store)


def test_a_dataset_without_its_sample_numbers_is_refused(tones: xr.Dataset) -> None:
    for lost in (tones.isel(tone=slice(10, 20)).drop_vars("tone"), tones.mean()):
        with pytest.raises(LabelError, match=r"lost its sample numbers|was reduced"):
            parents_of(lost)


def test_merged_datasets_have_two_parents(tones: xr.Dataset, store: Store) -> None:
    louder = simulate(Tones(gain=2.0), 50, store=store)
    mixed = tones[["pitch"]].assign(drift=louder["drift"]).isel(tone=slice(0, 30))
    origins = parents_of(mixed)
    assert origins["pitch"].key == tones.attrs["presage_key"]
    assert origins["drift"].key == louder.attrs["presage_key"]
    assert {(p.start, p.stop) for p in origins.values()} == {(0, 30)}


@dataclass(frozen=True, eq=False)
class Doubled(Derived):
    """Twice the pitch."""

    name: ClassVar[str] = "doubled"
    block_size: ClassVar[int] = 16

    @property
    def variables(self) -> tuple[Variable, ...]:
        return (Variable("twice", unit="Hz"),)

    def convert(self, samples: xr.Dataset, rng: np.random.Generator) -> Arrays:
        return {"twice": 2 * samples["pitch"].values}


def test_what_is_derived_from_a_changed_dataset_is_refused(tones: xr.Dataset, store: Store) -> None:
    twice = simulate(Doubled(tones), store=store)
    np.testing.assert_allclose(twice["twice"], 2 * tones["pitch"])
    for change, message in CHANGES.values():
        with pytest.raises(StoreError, match=message):
            simulate(Doubled(change(tones)), store=store)
