"""Laws of derived samples: the same whatever the input's length, numbered as the input is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import xarray as xr

import presage as ps
from faults import toys
from presage.emulation import FlowSampler
from presage.generate import simulate, verify
from presage.labels import Arrays, LabelError, Parameter, Variable
from presage.recipe import Recipe
from presage.rng import sibling
from presage.simulator import Derived, Simulator
from presage.store import Store
from presage.studies.events import Resonance


@dataclass(frozen=True)
class Tones(toys.Bags):
    """Ragged samples along a dimension of another name."""

    name: ClassVar[str] = "derived-tones"
    sample_dim: ClassVar[str] = "tone"


@dataclass(frozen=True, eq=False)
class Noisy(Derived):
    """Two draws in a row, a product that BLAS blocks by size, and ragged output."""

    matrix: xr.Dataset | None = None
    scale: float = 1.0

    name: ClassVar[str] = "derived-noisy"
    block_size: ClassVar[int] = 6

    @property
    def variables(self) -> tuple[Variable, ...]:
        return (Variable("mean"), Variable("mixed", ("output",)), Variable("blur", ("particle",)))

    @property
    def ragged(self) -> tuple[str, ...]:
        return ("particle",)

    def convert(self, samples: xr.Dataset, rng: np.random.Generator) -> Arrays:
        counts = samples["particle_count"].values
        assert len(counts) == self.block_size
        rows = np.repeat(np.arange(len(counts)), counts)
        energy = samples["energy"].values
        total = np.bincount(rows, energy, len(counts)) * self.scale
        first, second = rng.normal(size=len(counts)), rng.normal(size=(len(counts), 40))
        return {
            "mean": total + first,
            "mixed": second.astype("f4") @ np.ones((40, 3), "f4") + total[:, None],
            "particle_count": counts,
            "blur": energy + sibling(rng, 5).normal(size=len(energy)),
        }


def tones(store: Store, n: int) -> xr.Dataset:
    return simulate(Tones(), n, store=store, progress=False)


@pytest.mark.parametrize("n", [1, 5, 6, 7, 23])
def test_samples_do_not_depend_on_the_length_of_the_input(n: int, tmp_path: Path) -> None:
    store, fresh = Store(tmp_path / "a"), Store(tmp_path / "b")
    whole = Noisy(tones(store, 40))
    part = Noisy(tones(store, n))
    assert part.recipe() == whole.recipe()
    few = simulate(part, store=fresh, progress=False)
    assert dict(few.sizes)["tone"] == n
    many = simulate(whole, store=fresh, progress=False)
    alone = simulate(whole, store=Store(tmp_path / "c"), progress=False)
    for name, array in many.data_vars.items():
        np.testing.assert_array_equal(array.values, alone[name].values)
        np.testing.assert_array_equal(array.values[: len(few[name])], few[name].values)
    assert verify(whole, store=fresh, fraction=1.0) == 40


def test_samples_are_numbered_and_named_as_the_input(tmp_path: Path) -> None:
    store = Store(tmp_path)
    data = tones(store, 20)
    made = simulate(Noisy(data), store=store, progress=False)
    assert made.attrs["presage_sample"] == "tone"
    assert made.indexes["tone"].equals(data.indexes["tone"])
    parts = [data[["rate"]].isel(tone=slice(7, 12)), made[["mean"]]]
    merged = xr.merge(parts, join="inner", compat="equals", combine_attrs="drop")
    np.testing.assert_array_equal(merged["mean"], made["mean"].values[7:12])


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (slice(4, 9), "holds samples 4 to 9. Give it the whole dataset"),
        ([0, 2, 5], "samples 0 to 6 with holes or in another order"),
        ([1, 0, 2], "with holes or in another order"),
    ],
)
def test_a_selection_is_refused(positions: object, message: str, tmp_path: Path) -> None:
    data = tones(Store(tmp_path), 20).isel(tone=positions)
    with pytest.raises(LabelError, match=message):
        Noisy(data).recipe()


def test_more_than_the_input_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has 5 samples to work on, 6 were asked for"):
        simulate(Noisy(tones(Store(tmp_path), 5)), 6, store=Store(tmp_path))


# -- settings that a store holds ------------------------------------------------------------


class Model:
    """What a trained model looks like from here."""

    def __init__(self, key: str, saved: bool) -> None:
        self.key, self.saved = key, saved


@dataclass(frozen=True, eq=False)
class Steered(Simulator):
    """A simulator with a basis and a model among its settings."""

    basis: xr.Dataset | None = None
    other: xr.Dataset | None = None
    model: Model | None = None
    width: float = 1.0

    name: ClassVar[str] = "derived-steered"
    block_size: ClassVar[int] = 4

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return ()

    @property
    def variables(self) -> tuple[Variable, ...]:
        return (Variable("x"),)

    def draw(self, rng: np.random.Generator, n: int) -> Arrays:
        return {}

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        return {"x": rng.normal(size=self.block_size)}


def test_stored_settings_are_parents_and_no_fields(tmp_path: Path) -> None:
    store = Store(tmp_path)
    one, two = (store.put(Recipe("basis", 1, {"i": i}), toys.product()) for i in (1, 2))
    key = "ab" * 32
    recipe = Steered(basis=one, model=Model(key, True)).recipe()
    assert [p.key for p in recipe.parents] == [Recipe("basis", 1, {"i": 1}).key, key]
    assert recipe.fields == {"other": None, "width": 1.0}
    variants = [Steered(), Steered(one), Steered(None, one), Steered(one, two), Steered(two, one)]
    assert len({v.recipe().key for v in variants}) == len(variants)
    data = tones(store, 8)
    assert [p.selection for p in Noisy(data, matrix=one).recipe().parents] == ["each", ""]
    simulate(Steered(one), 5, store=store, progress=False)
    assert [e.producer for e in store.children(Recipe("basis", 1, {"i": 1}))] == [Steered.name]


def test_what_no_store_holds_is_no_setting() -> None:
    with pytest.raises(LabelError, match="Steered: model= is in no store"):
        Steered(model=Model("ab", False)).recipe()
    with pytest.raises(LabelError, match="did not come from a store"):
        Steered(basis=toys.product()).recipe()


def test_a_flow_is_sampled_when_a_store_holds_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    grid = Resonance.on_grid(phi=3, omega=3)
    events = simulate(grid, 300, store=store, progress=False)
    settings = {"epochs": 1, "batch_size": 100, "progress": False}
    flow = ps.models.SplineFlow(bins=4, hidden=(8,))
    labels = [grid.labels[4]]
    unsaved = ps.fit(flow, events, **settings)
    with pytest.raises(LabelError, match="FlowSampler: fitted= is in no store"):
        FlowSampler(labels=tuple(labels), fitted=unsaved).recipe()
    before = {entry.key for entry in store.list()}
    assert ps.sample(unsaved, labels=labels, n=10, store=store).sizes["event"] == 10
    assert {entry.key for entry in store.list()} == before  # drawn in memory
    fitted = ps.fit(flow, events, store=store, **settings)
    drawn = ps.sample(fitted, labels=labels, n=10, store=store, progress=False)
    recipe = store.find(drawn.attrs["presage_key"])
    assert [parent.key for parent in recipe.parents] == [fitted.key]
    assert set(recipe.fields) == {"labels", "weights"}
