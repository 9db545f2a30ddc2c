"""Samples on the fly: those of the store, in its order, new ones when asked; never all at once."""

from __future__ import annotations

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import presage as ps
from fit_toys import fragile
from fly_toys import Holding, Sets, Streaming, Unmeasured, same, weights
from presage.batches import BatchError, Batches, Plan, block_size
from presage.batches.made import StoppedError, Supply
from presage.fitting import FitError, NonFiniteLossError, fit
from presage.fitting.splitting import split
from presage.generate import on_the_fly, simulate
from presage.labels import LabelError
from presage.models import SetEncoder
from presage.store import Store, StoreError, parents_of
from presage.studies.pdf.gaussian import Gaussian
from presage.studies.pdf.realistic_dis_events import RealisticDISEvents

N = 500  # 31 blocks of 16 and a quarter
QUICK = {"epochs": 2, "batch_size": 24, "progress": False, "validation": 0.1, "device": "cpu"}


@pytest.fixture(scope="module")
def stored(store):
    return simulate(Sets(), N, store=store, progress=False)


@pytest.fixture(autouse=True)
def _counted():
    Sets.made.clear()


# -- a dataset like a stored one ------------------------------------------------------------


@pytest.mark.parametrize("source", [Sets(), Unmeasured(), Gaussian(n_events=7, n_repeat=2)])
def test_it_is_the_stored_dataset_but_for_the_disk(source, tmp_path):
    kept = simulate(source, 100, seed=3, store=Store(tmp_path), progress=False)
    made = on_the_fly(source, 100, seed=3)
    xr.testing.assert_identical(made.load(), kept.load())
    assert parents_of(on_the_fly(source, 100, seed=3)) == parents_of(kept, Store(tmp_path))


SELECTIONS = {
    "one": {"sample": 17},
    "range": {"sample": slice(10, 40)},
    "back": {"sample": slice(40, 10, -3)},
    "none": {"sample": slice(0, 0)},
    "list": {"sample": [-1, 3, 33, 3]},
    "inner": {"sample": [5, 400], "point": slice(1, 3)},
    "both": {"sample": [5, 400], "point": 2},
}


@pytest.mark.parametrize("chosen", SELECTIONS.values(), ids=SELECTIONS)
def test_selections_are_those_of_the_stored_dataset(chosen, stored):
    xr.testing.assert_identical(on_the_fly(Sets(), N).isel(chosen).load(), stored.isel(chosen))


def test_only_what_is_looked_at_is_made():
    made = on_the_fly(Sets(), N)
    assert made.nbytes > 0
    assert Sets.made == []
    made["theta"].load()  # parameters are drawn without simulating
    assert Sets.made == []
    made["points"][20:40].load()
    made["points"][20:40].load()
    assert Sets.made == [1, 2]


def test_another_process_gets_the_recipe_not_the_samples():
    made = on_the_fly(Gaussian(n_events=1000), 5000)
    made["events"][:10].load()
    text = pickle.dumps(made)
    assert len(text) < 20_000
    np.testing.assert_array_equal(pickle.loads(text)["events"][3], made["events"][3])


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda: on_the_fly(RealisticDISEvents(n_events=20), 5), LabelError, "of unequal length"),
        (lambda: on_the_fly(Sets()), ValueError, "n of at least 1, got None"),
        (lambda: on_the_fly("gaussian", 5), TypeError, "needs a Simulator .* got str"),
        (
            lambda: parents_of(on_the_fly(Sets(), 9).rename(points="dots")),
            StoreError,
            "made as 'points'",
        ),
        (
            lambda: parents_of(on_the_fly(Sets(), 9).assign_coords(sample=np.arange(9) + 1)),
            StoreError,
            "holds other samples than the dataset's index",
        ),
    ],
)
def test_what_cannot_be_is_said(act, error, text):
    with pytest.raises(error, match=text):
        act()


# -- batches --------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.integers(30, 400), st.integers(1, 30), st.integers(1, 4), st.data())
def test_the_cache_and_the_fly_give_the_same_batches(store, n, size, world, data):
    rank, epoch = data.draw(st.integers(0, world - 1)), data.draw(st.integers(0, 2))
    size = max(size, world)
    options = {"shuffle": "aligned", "rank": rank, "world_size": world, "seed": 5}
    kept = Batches(simulate(Sets(), n, store=store, progress=False), size, **options)
    made = Batches(on_the_fly(Sets(), n), size, **options)
    start = data.draw(st.integers(0, len(kept) - 1))
    assert made.plan.key == kept.plan.key
    for one, other in zip(kept.epoch(epoch, start), made.epoch(epoch, start), strict=True):
        assert one.weight == other.weight
        np.testing.assert_array_equal(one.positions, other.positions)
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def aligned(samples, size, block, window, shuffle="aligned"):
    return Plan(samples, size, 1, shuffle, block=block, window=window)


@settings(max_examples=60)
@given(
    st.integers(1, 300),
    st.integers(1, 60),
    st.integers(1, 40),
    st.integers(1, 5),
    st.integers(1, 6),
    st.sampled_from(["aligned", "stream"]),
)
def test_ranks_together_see_every_sample_once(samples, size, block, window, world, shuffle):
    plan = aligned(samples, min(size, samples), block, window, shuffle)
    shares = [plan.epoch(2).share(0, plan.steps, rank, world) for rank in range(world)]
    alone = plan.epoch(2).share(0, plan.steps)
    together = np.concatenate([share.positions for share in shares])
    np.testing.assert_array_equal(np.sort(together), np.arange(samples))
    for step in range(plan.steps):
        parts = [s.positions[s.ends[step] : s.ends[step + 1]] for s in shares]
        whole = alone.positions[alone.ends[step] : alone.ends[step + 1]]
        np.testing.assert_array_equal(np.concatenate(parts), whole)  # in order: parts by position


@pytest.mark.parametrize("world", [1, 2, 4])
def test_a_rank_makes_hardly_more_than_its_share(world):
    n, blocks = 16 * 320, 320
    for rank in range(world):
        Sets.made.clear()
        for _ in Batches(on_the_fly(Sets(), n), 64, rank=rank, world_size=world).epoch(0):
            pass
        windows = blocks / 64  # a window has 64 blocks; at its seams ranks overlap
        assert len(Sets.made) == len(set(Sets.made))
        assert len(Sets.made) <= blocks / world + (0 if world == 1 else 16 * windows)


def test_samples_in_order_are_made_once_each():
    seen = [batch["theta"].copy() for batch in Batches(on_the_fly(Sets(), N), 24, shuffle=None)]
    np.testing.assert_array_equal(np.concatenate(seen), on_the_fly(Sets(), N)["theta"])
    assert sorted(Sets.made) == list(range(32))


@pytest.mark.parametrize("n", [480, 500])  # whole blocks, and not
def test_fresh_samples_are_those_that_follow(n):
    batches = Batches(on_the_fly(Sets(), n, fresh=True), 24)
    later = on_the_fly(Sets(), 3 * n)
    for epoch in range(3):
        Sets.made.clear()
        positions = []
        for batch in batches:
            points = later["points"].isel(sample=epoch * n + batch.positions)
            np.testing.assert_array_equal(batch["points"], points)
            positions.append(batch.positions)
        assert batch.epoch == epoch
        np.testing.assert_array_equal(np.sort(np.concatenate(positions)), np.arange(n))
    order = np.concatenate(positions)
    assert not np.array_equal(order, np.arange(n))


def test_memory_holds_two_windows_and_no_more(monkeypatch):
    largest = 0
    get = Supply.get

    def watched(self, block):
        nonlocal largest
        largest = max(largest, self.held)
        return get(self, block)

    monkeypatch.setattr(Supply, "get", watched)
    monkeypatch.setattr("presage.batches.loader._CHUNK_BYTES", 1)  # these samples are tiny
    batches = Batches(on_the_fly(Sets(), 16 * 200), 16)
    assert batches.plan.window == 16
    for _ in batches.epoch(0):
        pass
    assert 16 < largest <= 3 * 16
    assert len(Sets.made) == 200


def test_large_sets_narrow_the_window():
    plan = Plan.aligned(10_000, 64, 800_000, 1)  # sets of 1e5 events, one in a block
    assert plan.window * plan.block * 800_000 <= 128 << 20
    assert plan.window >= 64


def test_the_next_epoch_is_begun_before_this_one_ends():
    plain, chained = (Batches(on_the_fly(Sets(), 16 * 40, fresh=True), 16) for _ in range(2))
    for epoch in range(3):
        expected = [batch["points"].copy() for batch in plain.epoch(epoch)]
        Sets.made.clear()
        more = epoch < 2
        found = [batch["points"].copy() for batch in chained.epoch(epoch, more=more)]
        np.testing.assert_array_equal(found, expected)
        for _ in range(200):  # the thread may still be at it
            begun = [block for block in Sets.made if block >= 40 * (epoch + 1)]
            if len(begun) == 16 * more:
                break
            time.sleep(0.05)
        assert sorted(begun) == list(range(40 * (epoch + 1), 40 * (epoch + 1) + 16 * more))
        own = [block for block in Sets.made if block not in begun]
        assert len(own) == len(set(own)) == 40 - 16 * (epoch > 0)  # nothing is made again


def test_leaving_a_loop_ends_its_threads():
    before = threading.active_count()
    for _ in Batches(on_the_fly(Sets(), N), 24):
        break
    assert threading.active_count() == before


def test_errors_of_a_simulator_reach_the_loop(monkeypatch):
    def fail(self, theta, rng):
        raise LabelError("no luck")

    monkeypatch.setattr(Sets, "simulate", fail)
    before = threading.active_count()
    with pytest.raises(LabelError, match="no luck"):
        list(Batches(on_the_fly(Sets(), N), 24))
    assert threading.active_count() == before


def test_a_block_is_made_once_whoever_asks():
    calls = []
    gate = threading.Event()

    def make(block):
        calls.append(block)
        gate.wait(10)
        return {"x": np.array([block])}

    supply = Supply(make, [0, 1], lambda stage: np.array([7]))
    with supply.reading(0, 1), ThreadPoolExecutor(3) as pool:
        found = [pool.submit(supply.get, 7) for _ in range(3)]
        gate.set()
        assert {int(one.result()["x"][0]) for one in found} == {7}
    assert calls == [7]
    assert supply.held == 0
    supply.close()
    with pytest.raises(StoppedError):
        supply.get(7)


@pytest.mark.parametrize(
    ("source", "options", "text"),
    [
        (lambda: on_the_fly(Sets(), N), {"shuffle": "full"}, "come block by block"),
        (lambda: on_the_fly(Sets(), N), {"shuffle": "block"}, "come block by block"),
        (
            lambda: on_the_fly(Sets(), N).isel(sample=slice(8, None)),
            {"shuffle": "aligned"},
            "from the beginning of a block on",
        ),
        (lambda: {"x": np.zeros(N)}, {"shuffle": "aligned"}, "samples of one simulator"),
        (
            lambda: on_the_fly(Sets(), N).assign(more=("sample", np.zeros(N))),
            {},
            "'more' is in memory, and 'theta' is made on the fly",
        ),
    ],
)
def test_orders_that_cannot_be_are_explained(source, options, text):
    with pytest.raises(BatchError, match=text):
        Batches(source(), 24, **options)


def test_labels_come_with_the_batches(stored):
    for source in (stored, on_the_fly(Sets(), N)):
        batches = Batches(source, 24, ["points"])
        assert batches.metadata.sizes == {"sample": 0, "point": 5}
        assert batches.metadata["points"].attrs["units"] == "mm"
        assert batches.torch().metadata is batches.metadata
    plain = xr.Dataset({"x": (("row", "column"), np.zeros((9, 2)))})
    assert Batches(plain, 3, sample="row").metadata.sizes == {"row": 0, "column": 2}
    assert dict(Batches({"x": np.zeros(9)}, 3).metadata) == {}
    assert block_size(stored) == 16
    assert block_size(stored.isel(sample=slice(32, 40))) == 16
    assert block_size(stored.isel(sample=[1, 2])) == 0


# -- training -------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [Streaming(), Holding()], ids=["streaming", "holding"])
def test_cached_and_on_the_fly_are_one_model(model, stored, store, tmp_path):
    kept = fit(model, stored, store=store, shuffle="aligned", **QUICK)
    made = fit(model, on_the_fly(Sets(), N), store=Store(tmp_path), **QUICK)
    assert made.key == kept.key
    assert same(made, kept)
    for name in ("loss", "validation_loss"):
        np.testing.assert_array_equal(made.history[name], kept.history[name])
    assert [entry.kind for entry in Store(tmp_path).list()] == ["files"]  # no samples


def test_a_set_encoder_trains_the_same_from_both(store, tmp_path):
    problem = Gaussian(n_events=30)
    model = SetEncoder(hidden=(8,), seeds=1, values=2, head=(8,), smallest=2)
    sets = simulate(problem, 2500, store=store, progress=False)
    kept = fit(model, sets, store=store, shuffle="aligned", **QUICK | {"epochs": 1})
    made = fit(model, ps.on_the_fly(problem, 2500), store=Store(tmp_path), **QUICK | {"epochs": 1})
    assert made.key == kept.key
    assert same(made, kept)


def test_fresh_is_another_model_with_the_same_validation(stored, store):
    made = fit(Streaming(), on_the_fly(Sets(), N), store=store, **QUICK)
    fresh = fit(Streaming(), on_the_fly(Sets(), N, fresh=True), store=store, **QUICK)
    assert fresh.key != made.key
    assert not same(fresh, made)
    parent = fresh.recipe.parents[0]
    assert (parent.key, parent.start, parent.stop) == (Sets().recipe().key, 0, 2 * N)
    held = stored.isel(sample=slice(450, N))
    network = fresh.network
    with torch.no_grad():
        losses = network.loss({n: torch.from_numpy(held[n].values.copy()) for n in held})
    assert float(fresh.history.validation_loss[-1]) == pytest.approx(float(losses.mean()))


FragileStreaming = fragile(Streaming)


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("steps", [3, 22])
def test_an_interrupted_run_goes_on_to_the_same_bits(fresh, steps, tmp_path):
    sets = on_the_fly(Sets(), N, fresh=fresh)
    whole = fit(Streaming(), sets, **QUICK)
    FragileStreaming.network.left = steps
    for _ in range(2):
        store = Store(tmp_path)
        try:
            parts = fit(FragileStreaming(), sets, store=store, checkpoint_every=1, **QUICK)
        except KeyboardInterrupt:
            continue
    assert same(parts, whole)


def test_samples_that_fail_are_named_by_their_own_numbers(monkeypatch):
    simulate_plainly = Sets.simulate

    def far(self, theta, rng):
        found = simulate_plainly(self, theta, rng)
        found["points"][np.abs(theta["theta"][:, 1]) > 0.99] = 1e30  # the loss overflows
        return found

    monkeypatch.setattr(Sets, "simulate", far)
    second = on_the_fly(Sets(), 2 * N)["theta"].values[:, 1]
    fresh = on_the_fly(Sets(), N, fresh=True)
    with pytest.raises(NonFiniteLossError) as refused:
        fit(Streaming(), fresh, **QUICK)
    (first, *_) = refused.value.offending
    assert abs(second[first]) > 0.99
    assert refused.value.epoch * N <= first


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (
            lambda: fit(Streaming(), on_the_fly(Sets(), N), shuffle="full", **QUICK),
            "block by block",
        ),
        (
            lambda: fit(Holding(), on_the_fly(Sets(), N, fresh=True), **QUICK),
            "keeps all of its training data in memory",
        ),
        (lambda: split(100, {"start": 0, "stop": 10}, last=True), r"give \(0, 100\) or a fraction"),
        (lambda: split(100, {"fraction": 0.1, "seed": 3}, last=True), "give no seed"),
    ],
)
def test_trainings_that_cannot_be_are_explained(act, text):
    with pytest.raises((FitError, BatchError), match=text):
        act()


def test_a_fraction_is_that_of_the_last_samples():
    train, held = split(100, {"fraction": 0.1, "seed": 0}, last=True)
    assert (list(train), list(held)) == (list(range(90)), list(range(90, 100)))


def test_features_of_sets_on_the_fly_are_those_of_stored_ones(store, tmp_path):
    from presage.studies.pdf.features import PooledFeatures

    problem = Gaussian(n_events=30)
    model = SetEncoder(hidden=(8,), seeds=1, values=2, head=(8,), smallest=2)
    sets = simulate(problem, 300, store=store, progress=False)
    encoder = fit(model, sets, store=store, **QUICK | {"epochs": 1})
    kept = simulate(PooledFeatures(sets, encoder), 300, store=store, progress=False)
    source = PooledFeatures(on_the_fly(problem, 300), encoder)
    made = simulate(source, 300, store=Store(tmp_path), progress=False)
    assert made.attrs["presage_key"] == kept.attrs["presage_key"]
    np.testing.assert_array_equal(made["features"], kept["features"])
    assert set(weights(encoder))
