"""Sources of batches: laws that hold for every kind, and what is special about pools."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

import presage as ps
from fit_toys import fragile
from fly_toys import Sets
from presage.batches import BatchError, Batches, BatchSource, Buffers, Paired, open_source
from presage.batches.adding import add_rows
from presage.batches.source import Part
from presage.batches.tables import Table
from presage.fitting import FitError, fit, fit_recipe, fit_streaming, settings_for
from presage.labels import Schema, Variable
from presage.plugins import PluginError
from presage.store import Store
from source_toys import (
    CHANNELS,
    Filter,
    Own,
    Restorer,
    absolute,
    pool,
    rebuild,
    same,
    skies,
    tones,
    waves,
)

QUICK = {"epochs": 2, "batch_size": 8, "progress": False, "validation": 0.2, "device": "cpu"}


KINDS = {
    "stored": lambda store: open_source(pool(store, "signal", 30)),
    "ragged": lambda store: open_source(tones(store)),
    "arrays": lambda store: open_source({"x": np.arange(31.0), "y": np.eye(31)}),
    "made": lambda store: open_source(ps.on_the_fly(Sets(), 70)),
    "fresh": lambda store: open_source(ps.on_the_fly(Sets(), 70, fresh=True)),
    "pairs": lambda store: skies(store),
    "fixed": lambda store: skies(store, new_pairs=False, samples=100),
    "rebuilt": lambda store: waves(store),
    "plain": lambda store: Paired({"tone": tones(store)}, samples=23),
    "own": lambda store: Own(),
    "part": lambda store: Part(Own(), np.array([3, 1, 44, 7, 20, 5])),
}


@pytest.fixture(params=KINDS)
def source(request, store):
    return KINDS[request.param](store)


# -- laws -----------------------------------------------------------------------------------


def rows_of(batch, source):
    """Return one tuple of values for each row of a batch."""
    out = [[] for _ in batch.positions]
    for name, array in batch.items():
        if name in source.opened.flat:
            ends = np.cumsum(batch[f"{source.opened.flat[name]}_count"])
            parts = np.split(array, ends[:-1]) if len(ends) else []
        else:
            parts = list(array)
        for row, part in zip(out, parts, strict=True):
            row.append(part.tobytes())
    return [(int(p), *row) for p, row in zip(batch.positions, out, strict=True)]


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # `orders` is of a whole test
)
@given(st.sampled_from(sorted(KINDS)), st.integers(1, 20), st.integers(1, 4), st.data())
def test_ranks_and_resuming_change_nothing(orders, store, kind, size, world, data):
    source = KINDS[kind](store)
    size = max(min(size, source.samples), min(world, source.samples))
    world = min(world, size)
    epoch = data.draw(st.integers(0, 2))
    alone = Batches(source, size, seed=5)
    start = data.draw(st.integers(0, len(alone) - 1))
    whole = [rows_of(batch, source) for batch in alone.epoch(epoch, start)]
    parts = []
    for rank in range(world):
        mine = Batches(
            source, size, seed=5, rank=rank, world_size=world, prefetch=data.draw(st.booleans())
        )
        state = {**alone.state_dict(), "epoch": epoch, "step": start}
        mine.load_state_dict(state)
        parts.append([rows_of(batch, source) for batch in mine])
    assert [sorted(chain.from_iterable(step)) for step in zip(*parts, strict=True)] == [
        sorted(step) for step in whole
    ]
    numbers = [row[0] for step in whole for row in step]
    assert len(numbers) == len(set(numbers)) == source.samples - start * size


def test_a_batch_is_what_gather_gives(source):
    for batch in Batches(source, 5, seed=2).epoch(1):
        found = source.gather(batch.positions, 1, Buffers(reuse=False))
        for name, array in found.items():
            np.testing.assert_array_equal(batch[name], array)


def test_labels_are_those_of_the_batches(source):
    labels = Batches(source, 5).metadata
    for batch in Batches(source, 5):
        if labels.data_vars:
            assert list(map(str, labels.data_vars)) == list(batch)
        for name, array in labels.data_vars.items():
            assert batch[name].dtype == array.dtype
            assert batch[name].shape[1:] == array.shape[1:]


@pytest.mark.parametrize("kind", ["pairs", "fixed", "rebuilt", "own"])
def test_the_dataset_of_a_source_is_its_first_epoch(kind, store):
    source = KINDS[kind](store)
    every = source.gather(np.arange(source.samples), 0, Buffers())
    shown = source.dataset
    for name, array in every.items():
        np.testing.assert_array_equal(shown[name], array)
        np.testing.assert_array_equal(shown[name][[4, 1], -1], array[[4, 1], -1])
        np.testing.assert_array_equal(shown[name].isel({shown[name].dims[0]: 3}), array[3])
    assert shown.sizes[shown.attrs["presage_sample"]] == source.samples


def test_of_ragged_variables_a_dataset_shows_the_first(store):
    shown = KINDS["plain"](store).dataset
    assert shown["harmonics"].dims == ("harmonic", "component")
    assert shown.sizes["harmonic"] == int(shown["harmonic_count"].sum())


def test_parts_share_nothing(source):
    train, held = source.divide(lambda n: (np.arange(3, n), np.arange(3)))
    assert (train.samples, held.samples) == (source.samples - 3, 3)
    if not isinstance(source, Paired):
        apart = set(train.numbers(np.arange(train.samples), 0).tolist())
        assert not apart & set(held.numbers(np.arange(3), 0).tolist())


def test_parts_share_what_a_device_holds():
    arrays = {"x": np.arange(31.0), "y": np.eye(31)}
    parts = open_source(arrays).divide(lambda n: (np.arange(1, n, 2), range(7)))
    residents = [Batches(part, 3, seed=1).resident() for part in parts]
    for part, resident in zip(parts, residents, strict=True):
        (held,) = part.whole._moved.values()
        assert np.shares_memory(held["y"].numpy(), arrays["y"])
        for one, other in zip(Batches(part, 3, seed=1).epoch(2), resident.epoch(2), strict=True):
            for name, array in one.items():
                np.testing.assert_array_equal(array, other[name].numpy())
    del resident, residents, held
    assert not parts[0].whole._moved  # nothing is kept on a device that nothing reads


# -- pools ----------------------------------------------------------------------------------


def all_members(pairs, epochs):
    found = [pairs.members(np.arange(pairs.samples), epoch) for epoch in range(epochs)]
    return {name: np.concatenate([one[name] for one in found]) for name in pairs.pools}


def test_sums_are_those_of_the_members(store):
    pairs = skies(store)
    for batch in Batches(pairs, 9).epoch(2):
        members = pairs.members(batch.positions, 2)
        parts = [pairs.pools[name]["cleaned"].values[at] for name, at in members.items()]
        np.testing.assert_array_equal(batch["x"], parts[0] + parts[1] + parts[2])
        np.testing.assert_array_equal(batch["y"], parts[1])


@pytest.mark.parametrize("columns", [3, 140_000])  # added together, and row by row
def test_adding_does_not_depend_on_tiles(columns):
    rng = np.random.default_rng(columns)
    terms = []
    for n in (11, 5, 8):
        whole = rng.standard_normal((n, columns)).astype(np.float32)
        table = Table(np.array([0, 2, n]), {"a": [whole[:2], whole[2:]]})
        terms.append((table, "a", rng.integers(0, n, 9), whole))
    out = np.empty((9, columns), np.float32)
    add_rows([term[:3] for term in terms], out)
    first, second, third = (whole[at] for _, _, at, whole in terms)
    np.testing.assert_array_equal(out, first + second + third)


def test_every_member_is_used_equally_often(store):
    for name, at in all_members(skies(store, samples=57), epochs=5).items():
        times = np.bincount(at)
        assert times.max() - times.min() <= 1, name


def test_any_two_members_meet_equally_likely(store):
    pools = {name: pool(store, name, n) for name, n in (("smooth", 8), ("signal", 6))}
    columns = {"x": "smooth.cleaned", "y": "signal.cleaned"}
    found = all_members(Paired(pools, columns, samples=600), epochs=20)
    counts = np.zeros((8, 6))
    np.add.at(counts, (found["smooth"], found["signal"]), 1)
    # Rounds without repeats make counts a little too even, never too uneven.
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3
    following = np.zeros((8, 8))
    np.add.at(following, (found["smooth"][:-1:2], found["smooth"][1::2]), 1)
    assert following.min() >= 0
    equal = pools | {"signal": pool(store, "signal", 8)}
    found = all_members(Paired(equal, columns, samples=8), epochs=800)
    counts = np.zeros((8, 8))
    np.add.at(counts, (found["smooth"], found["signal"]), 1)
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3


def test_epochs_draw_new_pairs_or_keep_them(store):
    new, fixed = skies(store), skies(store, new_pairs=False)
    at = np.arange(40)
    assert not np.array_equal(new.members(at, 0)["signal"], new.members(at, 1)["signal"])
    assert np.array_equal(fixed.members(at, 0)["signal"], fixed.members(at, 1)["signal"])
    other = skies(store, seed=1)
    assert not np.array_equal(new.members(at, 0)["signal"], other.members(at, 0)["signal"])


def test_members_are_named_as_the_store_counts_them(store):
    late = pool(store, "signal", 30).isel(sample=[29, 3, 17, 11])  # not in stored order
    pairs = Paired({"signal": late}, samples=40)
    members = pairs.members(np.arange(40), 0)["signal"]
    assert set(members.tolist()) == {29, 3, 17, 11}
    found = pairs.gather(np.arange(40), 0, Buffers())["cleaned"]
    np.testing.assert_array_equal(found, pool(store, "signal", 30)["cleaned"].values[members])


def test_large_pools_are_gone_through_by_blocks(store, monkeypatch):
    monkeypatch.setattr("presage.batches.pools.BLOCK_FROM", 0)
    pairs = skies(store)
    assert {plan.shuffle for plan in pairs._plans.values()} == {"block"}
    times = np.bincount(all_members(pairs, epochs=3)["signal"])
    assert times.max() - times.min() <= 1


def test_validation_members_are_never_trained_on(store):
    pairs = skies(store)
    cut = lambda n: (np.arange(n // 5, n), np.arange(n // 5))  # noqa: E731
    train, held = pairs.divide(cut)
    seen, checked = all_members(train, 20), all_members(held, 3)
    for name in ("foreground", "signal"):
        assert not set(seen[name]) & set(checked[name])
        assert len(set(seen[name])) + len(set(checked[name])) == pairs.pools[name].sizes["sample"]
    assert set(seen["noise"]) >= set(checked["noise"])  # shared by both
    assert (train.samples, held.samples) == (32, 8)


def test_memory_is_that_of_a_few_batches(store):
    rng = np.random.default_rng(0)
    schema = Schema("sample", (Variable("map", ("pixel",)),))
    pools = {}
    for name, n in (("big", 200), ("small", 120)):
        recipe = ps.Recipe(f"maps_{name}", 1)
        store.add(recipe, schema, {"map": rng.random((n, 50_000), np.float32)}, 0)
        pools[name] = store.open(recipe)
    batches = Batches(Paired(pools, {"x": ["big.map", "small.map"]}), 4)
    next(iter(batches))
    tracemalloc.start()
    for _ in batches.epoch(1):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 25e6  # three buffers of 6 MB of 64 MB of pools, and the order


def test_only_what_is_asked_for_is_gathered(store):
    pairs = skies(store)
    assert list(next(iter(Batches(pairs, 5, ["y"])))) == ["y"]
    assert list(next(iter(Batches(waves(store), 5, ["wave"])))) == ["wave"]


@pytest.mark.parametrize("kind", ["pairs", "fixed"])
def test_pools_on_a_device_give_the_same_batches(kind, store):
    batches = Batches(KINDS[kind](store), 9, rank=1, world_size=2)
    resident = batches.resident("cpu")
    for number in range(2):
        for one, other in zip(batches.epoch(number), resident.epoch(number), strict=True):
            assert list(one) == list(other)
            for name in one:
                np.testing.assert_array_equal(one[name], other[name].numpy())


def test_harmonics_become_waves(store):
    kept = tones(store)
    pairs = waves(store)
    for batch in Batches(pairs, 11):
        for wave, number in zip(
            batch["wave"], pairs.members(batch.positions, 0)["tone"], strict=True
        ):
            tone = ps.take(kept, [number]).load()
            m = int(tone["first"][0]) * (1 + np.arange(tone.sizes["harmonic"]))
            parts = tone["harmonics"].values.astype(float)
            phase = 2 * np.pi * np.outer(m, np.arange(64)) / 64
            exact = float(tone["offset"][0]) + 2 * (
                parts[:, :1] * np.cos(phase) - parts[:, 1:] * np.sin(phase)
            ).sum(0)
            np.testing.assert_allclose(wave, exact, atol=1e-5 * np.abs(exact).max())


# -- training -------------------------------------------------------------------------------


def test_a_convolution_restores_the_signal(store):
    pairs = skies(store, samples=400)
    fitted = fit(Restorer(), pairs, store=store, **QUICK | {"epochs": 15, "learning_rate": 0.01})
    train, held = pairs.divide(lambda n: (np.arange(1, n), np.arange(1)))
    assert float(fitted.history.validation_loss[-1]) < 0.1 * float(pairs.dataset["x"].var())
    assert fitted.sample_dim == "sample"
    assert fitted.declaration["variables"][0]["unit"] == "mK"
    assert (train.samples, held.samples) == (399, 1)


def test_a_network_learns_from_rebuilt_waves(store):
    fitted = fit(Restorer("wave", "wave", 1), waves(store), store=store, **QUICK | {"epochs": 12})
    assert float(fitted.history.loss[-1]) < float(fitted.history.loss[0])
    again = ps.load(fitted.key, store, models={"toy_restorer": Restorer})
    assert same(again, fitted)


FragileRestorer = fragile(Restorer)


@pytest.mark.parametrize(("kind", "steps"), [("pairs", 2), ("fixed", 13), ("pairs", 6)])
def test_an_interrupted_run_goes_on_to_the_same_bits(kind, steps, store, tmp_path):
    pairs = KINDS[kind](store)
    whole = fit(Restorer(), pairs, **QUICK)
    FragileRestorer.network.left = steps
    with pytest.raises(KeyboardInterrupt):
        fit(FragileRestorer(), pairs, store=Store(tmp_path), checkpoint_every=1, **QUICK)
    parts = fit(Restorer(), pairs, store=Store(tmp_path), checkpoint_every=1, **QUICK)
    assert same(parts, whole)


def key(source, store, **options):
    return fit_recipe(Restorer(), source, settings_for(Restorer(), source), 0, store, **options).key


def test_what_changes_the_samples_changes_the_key(store):
    pairs = skies(store)
    more = {**pairs.pools, "signal": pool(store, "signal", 30).isel(sample=slice(0, 20))}
    changed = [
        skies(store, seed=1),
        skies(store, new_pairs=False),
        skies(store, samples=41),
        skies(store, shared=("signal",)),
        replace(pairs, pools=more),
        replace(pairs, columns={**pairs.columns, "x": ["foreground.cleaned", "noise.cleaned"]}),
        waves(store),
        Own(),
        Own(scale=2.0),
        Own(base=pool(store, "signal", 30)),
        Own(base=pool(store, "signal", 12)),
    ]
    keys = [key(source, store) for source in (pairs, *changed)]
    assert len(set(keys)) == len(keys)
    assert key(skies(store), store) == keys[0]
    assert key(skies(store, samples=40), store) == keys[0]  # what it is by default
    recipe = fit_recipe(Restorer(), pairs, settings_for(Restorer(), pairs), 0, store)
    assert [parent.stop for parent in recipe.parents] == [40, 30, 7]
    assert {p.key for p in recipe.parents} == {d.attrs["presage_key"] for d in pairs.pools.values()}


def test_the_functions_version_counts(store):
    @ps.versioned(2)
    def rebuild_again(columns):
        return rebuild(columns)

    rebuild_again.name = "rebuild"
    first, address = waves(store), replace(waves(store), combine="source_toys:rebuild")
    assert key(first, store) == key(address, store)
    assert key(replace(first, combine=rebuild_again), store) != key(first, store)


def test_a_pass_over_a_source_sees_every_sample_once(store):
    class Sums:
        samples, total = 0, 0.0

        def update(self, chunk):
            self.samples += chunk.sizes["sample"]
            self.total += float(chunk["x"].sum())

    sums = fit_streaming(Sums(), skies(store), chunk_bytes=1000, progress=False)
    assert sums.samples == 40
    assert sums.total == pytest.approx(float(skies(store).dataset["x"].sum()), rel=1e-5)


def test_samples_that_fail_are_named_in_the_count_of_all_epochs(store, monkeypatch):
    def broken(self, batch):
        return Filter.loss(self, batch) * (torch.nan if self.training else 1.0)

    monkeypatch.setattr(FragileRestorer.network, "loss", broken)
    with pytest.raises(ps.fitting.NonFiniteLossError) as caught:
        fit(FragileRestorer(), skies(store), **QUICK)
    assert set(caught.value.samples) == set(range(8))


# -- a loss of one's own ----------------------------------------------------------------------


def test_a_loss_of_ones_own_trains_and_stands_in_the_recipe(store):
    pairs = skies(store)
    plain = fit(Restorer(), pairs, store=store, **QUICK)
    named = fit(Restorer(), pairs, store=store, loss="source_toys:absolute", **QUICK)
    given = fit(Restorer(), pairs, store=store, loss=absolute, **QUICK)
    assert named.key == given.key != plain.key
    assert named.recipe.fields["loss"] == {"name": "absolute", "version": 2}
    assert not same(named, plain)

    class AbsoluteFilter(Filter):
        def loss(self, batch):
            return absolute(self, batch)

    class AbsoluteRestorer(Restorer):
        network = AbsoluteFilter

    assert same(fit(AbsoluteRestorer(), pairs, **QUICK), named)
    network = fit(Restorer(), pairs, loss=absolute, **QUICK).network
    assert not {"loss", "given_loss"} & set(vars(network))


def test_a_loss_of_ones_own_may_use_that_of_the_network(store):
    pairs = skies(store)

    @ps.versioned(1)
    def its_own(network, batch):
        return network.loss(batch)

    assert same(fit(Restorer(), pairs, loss=its_own, **QUICK), fit(Restorer(), pairs, **QUICK))


@dataclass(frozen=True)
class Weighted:
    power: float = 1.0

    name = "weighted"
    version = 1

    def __call__(self, network, batch):
        return absolute(network, batch) ** self.power


def test_settings_of_a_loss_count(store):
    keys = [key(skies(store), store, loss=Weighted(power)) for power in (1.0, 2.0)]
    assert keys[0] != keys[1]


def segments(network):
    network.segment_loss = lambda batch, carry: None
    return network


class Segmented(Restorer):
    def build(self, declaration):
        return segments(super().build(declaration))


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda p: {"loss": lambda n, b: 0}, PluginError, "a lambda has no name"),
        (lambda p: {"loss": rows_of}, PluginError, "rows_of has no version.*@presage.versioned"),
        (lambda p: {"loss": "source_toys:absolut"}, PluginError, "did you mean 'absolute'"),
        (lambda p: {"loss": 3}, PluginError, "a function or 'module:function', got 3"),
        (lambda p: {"loss": absolute, "model": Segmented()}, FitError, "trains by segments"),
        (lambda p: {"validation": 0.014}, BatchError, "'signal': a fraction 0.014 of 30 samples"),
        (lambda p: {"validation": (35, 40)}, BatchError, r"pool 'signal'.*shared=\('signal',\)"),
        (lambda p: {"shuffle": "aligned"}, BatchError, "samples of one simulator"),
    ],
)
def test_trainings_that_cannot_be_are_explained(act, error, text, store):
    changes = act(store)
    model = changes.pop("model", Restorer())
    with pytest.raises(error, match=text):
        fit(model, skies(store), **QUICK | {"batch_size": 4} | changes)


SIGNALS = xr.Dataset({"a": (("sample", "x"), np.ones((9, 3)), {"units": "K"})},
                     attrs={"presage_sample": "sample"})  # fmt: skip
HOT = SIGNALS.assign(a=SIGNALS["a"].assign_attrs(units="mK"))
MISTAKES = [
    (lambda: Paired({}), "there are no pools"),
    (lambda: Paired({"s": np.ones(3)}), "pool 's' is to be a labelled dataset, got ndarray"),
    (lambda: Paired({"s": ps.on_the_fly(Sets(), 20)}), "pool 's' is made on the fly"),
    (lambda: Paired({"s": SIGNALS.isel(sample=[])}), "pool 's' has no samples"),
    (lambda: Paired({"s": SIGNALS}, {"x": "t.a"}), "no pool 't'"),
    (lambda: Paired({"s": SIGNALS}, {"x": "s.b"}), "no variable 'b'"),
    (lambda: Paired({"s": SIGNALS}, shared=("t",)), "shared: there is no pool 't'"),
    (lambda: Paired({"s": SIGNALS, "t": SIGNALS}), "two pools have a 'a'"),
    (lambda: Paired({"s": SIGNALS, "t": SIGNALS}, {"x": "s.a"}), "no column is of pool 't'"),
    (lambda: Paired({"s": SIGNALS}, combine=rebuild), "combine and variables"),
    (
        lambda: Paired({"s": SIGNALS, "t": HOT}, {"x": ["s.a", "t.a"]}),
        "'x': t.a (x 3) of floats in mK cannot be added to s.a (x 3) of floats in K",
    ),
    (
        lambda: Paired({"s": SIGNALS, "t": SIGNALS.isel(x=[0])}, {"x": ["s.a", "t.a"]}),
        "t.a (x 1) of floats in K cannot be added to s.a (x 3)",
    ),
]


@pytest.mark.parametrize(("act", "text"), MISTAKES, ids=[text for _, text in MISTAKES])
def test_mistakes_are_explained(act, text):
    with pytest.raises(BatchError) as error:
        act()
    assert text in str(error.value)


@pytest.mark.parametrize("size", [3, 200_000])
def test_floats_of_two_widths_are_added_in_the_wider_one(size):
    rng = np.random.default_rng(0)
    pools = {
        name: xr.Dataset(
            {"a": (("sample", "pixel"), rng.normal(size=(4, size)).astype(kind))},
            attrs={"presage_sample": "sample"},
        )
        for name, kind in (("s", "f4"), ("t", "f4"), ("u", "f8"))
    }
    pairs = Paired(pools, {"x": ["s.a", "t.a", "u.a"]}, seed=1)
    (batch,) = Batches(pairs, 4)
    members = pairs.members(batch.positions, 0)
    exact = sum(pools[name]["a"].values[members[name]].astype("f8") for name in "stu")
    assert batch["x"].dtype == pairs.dataset["x"].dtype == np.float64
    np.testing.assert_allclose(batch["x"], exact, rtol=0, atol=1e-14)


def test_ragged_columns_cannot_be_added(store):
    pools = {"a": tones(store), "b": tones(store)}
    with pytest.raises(BatchError, match="what is ragged cannot be added"):
        Paired(pools, {"x": ["a.harmonics", "b.harmonics"]})
    with pytest.raises(BatchError, match="no combine, no"):
        Batches(waves(store), 4).resident()


def test_a_source_keeps_to_its_schema(store):
    class Wrong(Own):
        def gather(self, numbers, epoch, buffers):
            return {"x": np.zeros((len(numbers), 2), np.float32)}

    with pytest.raises(BatchError, match="'x' is declared as float64, gather gave float32"):
        _ = Wrong().labels

    class Nameless(BatchSource):
        samples = 3

        def gather(self, numbers, epoch, buffers):
            return {}

    with pytest.raises(BatchError, match="Nameless is to be a frozen dataclass"):
        Nameless().identity(lambda dataset: {}, 1)


def test_a_filter_has_the_width_it_was_given():
    assert Filter("x", "y", 9).layer.weight.shape[-1] == 9
    assert CHANNELS == 32
