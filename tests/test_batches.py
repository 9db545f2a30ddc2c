"""Laws of minibatches: every sample once, the same steps for any number of ranks, exact resume."""

from __future__ import annotations

import gc
import sys
import threading
import time
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from presage.batches import BatchError, Batches, Plan
from presage.batches.plan import part
from presage.labels import Schema, Variable
from presage.lineage import take
from presage.recipe import Recipe
from presage.store import Store
from presage.store.mapping import join

QUICK = settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # `orders` is of a whole test
)


@st.composite
def plans(draw):
    samples = draw(st.integers(1, 300))
    batch = draw(st.integers(1, samples))
    kind = draw(st.sampled_from(["full", "block", "none"]))
    size = {"block": draw(st.integers(1, 40)), "window": draw(st.integers(1, 6))}
    return Plan(samples, batch, draw(st.integers(0, 5)), kind, **(size if kind == "block" else {}))


@QUICK
@given(plans(), st.integers(0, 3), st.integers(1, 5))
def test_ranks_together_see_every_sample_once(orders, plan, number, world):
    epoch = plan.epoch(number)
    seen = [epoch.share(0, plan.steps, rank, world) for rank in range(world)]
    assert {len(share.weights) for share in seen} == {plan.steps}
    joined = np.concatenate([share.positions for share in seen])
    np.testing.assert_array_equal(np.sort(joined), np.arange(plan.samples))


@QUICK
@given(plans(), st.integers(1, 5), st.data())
def test_a_step_holds_the_same_samples_for_any_world_size(orders, plan, world, data):
    step = data.draw(st.integers(0, plan.steps - 1))
    alone = plan.epoch(1).share(step)
    parts = [plan.epoch(1).share(step, 1, rank, world) for rank in range(world)]
    joined = np.sort(np.concatenate([share.positions for share in parts]))
    np.testing.assert_array_equal(joined, alone.positions)
    assert alone.weights == [1.0]
    # The weighted mean over ranks is the mean over the batch.
    means = [share.positions.mean() if len(share.positions) else 0.0 for share in parts]
    weighted = np.mean([s.weights[0] * m for s, m in zip(parts, means, strict=True)])
    assert weighted == pytest.approx(alone.positions.mean())


@QUICK
@given(plans(), st.data())
def test_any_step_is_found_without_those_before(orders, plan, data):
    step = data.draw(st.integers(0, plan.steps - 1))
    one = plan.epoch(2).share(step)
    whole = plan.epoch(2).share(0, plan.steps)
    span = slice(whole.ends[step], whole.ends[step + 1])
    np.testing.assert_array_equal(one.positions, whole.positions[span])
    assert one.weights == [whole.weights[step]]


@QUICK
@given(plans())
def test_pieces_of_an_order_join_to_it(orders, plan):
    epoch = plan.epoch(0)
    whole = epoch.order(0, plan.samples)
    cuts = [0, plan.samples // 3, plan.samples // 2, plan.samples]
    pieces = [plan.epoch(0).order(a, b) for a, b in pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    places = np.random.default_rng(0).permutation(plan.samples)
    np.testing.assert_array_equal(epoch.at(places), whole[places])


def test_a_window_of_a_block_shuffle_holds_few_blocks_and_mixes_them():
    plan = Plan(10_000, 50, 0, "block", block=100, window=10)
    order = plan.epoch(0).order(0, 10_000)
    for begin in range(0, 10_000, 1000):
        blocks = order[begin : begin + 1000] // 100
        assert len(np.unique(blocks)) == 10
        assert len(np.unique(blocks[:50])) >= 8
    assert not np.array_equal(order, plan.epoch(1).order(0, 10_000))


def test_read_ahead_names_every_block_but_those_of_the_first_window():
    plan = Plan(1050, 10, 0, "block", block=100, window=3)
    epoch = plan.epoch(0)
    runs = [run for step in range(plan.steps) for run in epoch.runs(step, 1)]
    rows = np.concatenate([np.arange(a, b) for a, b in runs])
    first = epoch.order(0, epoch._begin(1))
    assert sorted([*rows, *first]) == list(range(1050))


@given(st.integers(0, 100), st.integers(1, 20))
def test_parts_are_even(size, world):
    lengths = [b - a for a, b in (part(size, rank, world) for rank in range(world))]
    assert sum(lengths) == size
    assert max(lengths) - min(lengths) <= 1


# -- contents ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Return a function that opens a stored dataset of 100 samples, cut into shards at `shards`."""
    store = Store(tmp_path_factory.mktemp("batches"))

    def opened(shards=(), ragged=False):
        recipe = Recipe("toy", 1, {"shards": shards, "ragged": ragged})
        if store.missing(recipe, 100):
            fill(store, recipe, shards, ragged)
        return store.open(recipe)

    return opened


def fill(store, recipe, shards, ragged, samples=100):
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 5, samples)
    arrays = {
        "mass": rng.standard_normal(samples).astype("float32"),
        "sky": rng.standard_normal((samples, 3, 2)),
        "kind": rng.integers(0, 9, samples),
    }
    variables = [
        Variable("mass"),
        Variable("sky", ("x", "y"), "float64"),
        Variable("kind", (), "int64"),
    ]
    if ragged:
        variables.append(Variable("pt", ("hit",)))
        variables.append(Variable("place", ("hit", "axis"), "float64"))
        arrays["hit_count"] = counts
        arrays["pt"] = rng.standard_normal(counts.sum()).astype("float32")
        arrays["place"] = rng.standard_normal((counts.sum(), 2))
    schema = Schema("event", tuple(variables), ragged=("hit",) if ragged else ())
    ends = np.concatenate([[0], np.cumsum(counts)])
    for low, high in zip((0, *shards), (*shards, samples), strict=True):
        span = {n: a[low:high] for n, a in arrays.items() if n not in ("pt", "place")}
        for name in ("pt", "place") if ragged else ():
            span[name] = arrays[name][ends[low] : ends[high]]
        store.add(recipe, schema, span, low)


def contents(batches, number=0):
    """Return an epoch as name → joined array, and the positions."""
    got = [({n: a.copy() for n, a in b.items()}, b.positions) for b in batches.epoch(number)]
    names = got[0][0]
    joined = {n: np.concatenate([g[n] for g, _ in got]) for n in names}
    return joined, np.concatenate([p for _, p in got])


SELECTIONS = {
    "all": lambda d: d,
    "range": lambda d: d.isel(event=slice(10, 77)),
    "steps": lambda d: d.isel(event=slice(3, 90, 4)),
    "holes": lambda d: d.isel(event=[1, 2, 40, 41, 60, 88]),
    "unordered": lambda d: d.isel(event=[60, 2, 88, 1, 41]),
    "repeated": lambda d: d.isel(event=[5, 5, 70, 5]),
    "negative": lambda d: d.isel(event=[-1, -50, 3]),
    "twice": lambda d: d.isel(event=slice(10, 80)).isel(event=slice(None, None, 3)),
    "by mask": lambda d: d.isel(event=np.flatnonzero(d["kind"].values > 4)),
    "other axis": lambda d: d.isel(x=[2, 0], event=slice(0, 30)),
    "transposed": lambda d: d.transpose("y", "event", "x"),
    "changed": lambda d: d.assign(mass=2 * d["mass"], sky=d["sky"] + 1).isel(event=slice(5, 60)),
    "loaded": lambda d: d.isel(event=slice(5, 60)).load(),
}


@pytest.mark.parametrize("shards", [(), (17, 18, 64)], ids=["one shard", "four shards"])
@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("shuffle", ["full", "block", None])
def test_rows_are_those_of_the_dataset(stored, selection, shards, shuffle):
    dataset = SELECTIONS[selection](stored(shards))
    batches = Batches(dataset, 3, shuffle=shuffle, seed=4)
    joined, positions = contents(batches, 1)
    assert sorted(positions) == list(range(dataset.sizes["event"]))
    expected = dataset.isel(event=positions).transpose("event", ...)
    for name in ("mass", "sky", "kind"):
        np.testing.assert_array_equal(joined[name], expected[name].values)
        assert joined[name].dtype == dataset[name].dtype


def test_lazy_variables_are_not_loaded(stored):
    dataset = stored((50,)).isel(event=slice(20, 90))
    batches = Batches(dataset, 10)
    assert all(table.mapped for table in batches.rows.tables)
    assert not dataset["sky"].variable._in_memory


@QUICK
@given(st.integers(1, 120), st.sets(st.integers(1, 119), max_size=5), st.data())
def test_results_do_not_depend_on_shards(samples, cuts, data):
    from presage.batches.tables import Buffers, Table

    rng = np.random.default_rng(samples)
    array = rng.standard_normal((samples, 3))
    edges = np.array([0, *sorted(c for c in cuts if c < samples), samples])
    pieces = [array[a:b] for a, b in pairwise(edges)]
    rows = np.array(data.draw(st.lists(st.integers(0, samples - 1), max_size=40)), np.int64)
    got = Table(edges, {"a": pieces}).gather(rows, Buffers())["a"]
    np.testing.assert_array_equal(got, array[rows])


@pytest.mark.parametrize("shards", [(), (17, 18, 64)], ids=["one shard", "four shards"])
@pytest.mark.parametrize(
    "select",
    [
        lambda d: d,
        lambda d: take(d, slice(10, 80)),
        lambda d: take(d, np.array([70, 3, 3, 17])),
        lambda d: d.isel(event=slice(10, 80)),
        lambda d: d.load(),
        lambda d: take(d.load(), slice(10, 80)),
        lambda d: take(d, slice(10, 80)).assign(pt=lambda s: s["pt"] * 2),
    ],
    ids=["all", "taken", "unordered", "plain isel", "loaded", "loaded, taken", "changed"],
)
@pytest.mark.parametrize("pad", [False, True])
def test_ragged_rows(stored, shards, select, pad):
    whole = stored(shards, ragged=True)
    dataset = select(whole)
    factor = 2 if dataset["pt"].variable._in_memory and not whole["pt"].variable._in_memory else 1
    numbers = np.asarray(dataset.indexes["event"])
    ends = np.concatenate([[0], np.cumsum(whole["hit_count"].values)])
    flat = {name: whole[name].values for name in ("pt", "place")}
    for batch in Batches(dataset, 3, pad=pad):
        seen = 0
        for row, number in enumerate(numbers[batch.positions]):
            low, high = ends[number], ends[number + 1]
            n = high - low
            assert batch["hit_count"][row] == n
            for name, scale in (("pt", factor), ("place", 1)):
                got = batch[name][row, :n] if pad else batch[name][seen : seen + n]
                np.testing.assert_array_equal(got, scale * flat[name][low:high])
            if pad:
                assert batch["hit_mask"][row].sum() == n
                assert not batch["pt"][row, n:].any()
            seen += n


def test_counts_that_do_not_add_up_are_refused(stored):
    dataset = stored(ragged=True).load().drop_vars("hit_start").isel(event=slice(10, 80))
    with pytest.raises(BatchError, match=r"use presage\.take"):
        Batches(dataset, 7)


@pytest.fixture(scope="module")
def paged(tmp_path_factory):
    """Return the parts of 3000 numbers stored in shards that fill whole pages, and the numbers."""
    store, recipe = Store(tmp_path_factory.mktemp("paged")), Recipe("paged", 1)
    numbers = np.random.default_rng(0).standard_normal((3000, 2))
    schema = Schema("event", (Variable("a", ("axis",), "float64"),))
    for low, high in pairwise([0, 512, 1536, 3000]):
        store.add(recipe, schema, {"a": numbers[low:high]}, low)
    return lambda start, stop: store.open(recipe, start, stop), numbers


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="uses Linux's mmap")
@pytest.mark.parametrize(("start", "stop"), [(0, 3000), (100, 2000), (600, 3000), (1, 513)])
def test_shards_of_whole_pages_become_one_array(paged, start, stop):
    opened, numbers = paged
    batches = Batches(opened(start, stop), 100, shuffle="block")
    (table,) = batches.rows.tables
    assert len(table.dense["a"]) == 1
    assert table.mapped
    joined, positions = contents(batches)
    np.testing.assert_array_equal(joined["a"], numbers[start:stop][positions])
    assert sorted(positions) == list(range(stop - start))


def test_joined_addresses_are_given_back(paged):
    opened, numbers = paged

    def maps():
        return len(Path("/proc/self/maps").read_text().splitlines())

    if not Path("/proc/self/maps").exists():
        pytest.skip("needs /proc")
    before = maps()
    kept = []
    for _ in range(20):
        kept.append(Batches(opened(0, 3000), 100).rows.tables[0].dense["a"][0])
    during = maps()
    np.testing.assert_array_equal(kept[7], numbers)  # the array alone keeps its addresses
    kept.clear()
    gc.collect()
    assert during >= before + 20 * 3
    assert maps() < before + 20


def test_shards_that_cannot_be_joined_stay_apart(stored, paged):
    opened, numbers = paged
    assert len(Batches(stored((17, 18, 64)), 5).rows.tables[0].dense["sky"]) == 4
    parts = [np.array(numbers[:512]), np.array(numbers[512:])]
    assert join(parts) is None  # not of a file
    assert join([numbers]) is None
    mapped = Batches(opened(0, 3000), 5).rows.tables[0].dense["a"]
    assert join([mapped[0], mapped[0]]) is None


def test_the_named_dimension_counts_samples():
    array = xr.DataArray(np.arange(12.0).reshape(3, 4), dims=("x", "event"))
    dataset = xr.Dataset(
        {"a": array, "fixed": ("x", np.ones(3))}, attrs={"presage_sample": "event"}
    )
    joined, positions = contents(Batches(dataset, 2))
    assert list(joined) == ["a"]
    np.testing.assert_array_equal(joined["a"], array.values.T[positions])
    joined, positions = contents(Batches({"a": array}, 2, sample="event"))
    np.testing.assert_array_equal(joined["a"], array.values.T[positions])


def test_plain_arrays_count_along_their_first_axis():
    joined, positions = contents(Batches({"a": np.arange(10.0), "b": np.eye(10)[:, ::2]}, 4))
    np.testing.assert_array_equal(joined["a"], positions)
    np.testing.assert_array_equal(joined["b"], np.eye(10)[positions, ::2])


# -- epochs, resume, threads ---------------------------------------------------------------

DATA = {"a": np.arange(23)}


def test_each_loop_is_the_next_epoch_and_a_loop_that_was_left_runs_again():
    batches = Batches(DATA, 4)
    first = [b["a"].tolist() for b in batches]
    assert first == [b["a"].tolist() for b in batches.epoch(0)]
    for batch in batches:
        assert (batch.epoch, batch.step) == (1, 0)
        break
    second = [b["a"].tolist() for b in batches]
    assert second == [batches.indices(1, step).tolist() for step in range(len(batches))]
    assert sorted(chain.from_iterable(second)) == list(range(23))
    assert first != second


@pytest.mark.parametrize("worlds", [(1, 1), (2, 3)])
def test_resume_gives_the_batches_that_were_still_to_come(worlds):
    def rest(world, state=None, stop=None):
        got = []
        for rank in range(world):
            batches = Batches(DATA, 4, rank=rank, world_size=world, seed=3)
            if state is not None:
                batches.load_state_dict(state)
            seen = [set(b["a"].tolist()) for _, b in zip(range(stop or 99), batches, strict=False)]
            got.append(seen)
            last = batches.state_dict()
        return [set.union(*parts) for parts in zip(*got, strict=True)], last

    whole, end = rest(worlds[0])
    head, state = rest(worlds[0], stop=3)
    assert state["epoch"] == 0
    assert state["step"] == 3
    tail, _ = rest(worlds[1], state)
    assert head + tail == whole
    assert (end["epoch"], end["step"]) == (1, 0)


def test_an_automatic_plan_takes_the_shuffle_of_the_state():
    blocks = Batches(DATA, 4, shuffle="block")
    batches = Batches(DATA, 4)
    assert batches.plan.shuffle == "full"
    batches.load_state_dict(blocks.state_dict())
    assert batches.plan == blocks.plan
    with pytest.raises(BatchError, match="another plan"):
        Batches(DATA, 4, shuffle="full").load_state_dict(blocks.state_dict())


def test_data_that_memory_cannot_hold_is_shuffled_by_blocks(stored, monkeypatch):
    dataset = stored()
    assert Batches(dataset, 4).plan.shuffle == "full"
    monkeypatch.setattr("presage.batches.loader.total_memory", lambda: 1000)
    assert Batches(dataset, 4).plan.shuffle == "block"
    assert Batches(dataset.load().copy(deep=True), 4).plan.shuffle == "full"


def reading_threads():
    return [t for t in threading.enumerate() if t.name == "presage-batches"]


def test_leaving_a_loop_ends_its_thread():
    batches = Batches({"a": np.zeros((1000, 2000))}, 4)
    for _ in batches:
        assert len(reading_threads()) == 1
        break
    assert not reading_threads()
    iterator = iter(batches)
    next(iterator)
    del iterator
    gc.collect()
    assert not reading_threads()


def test_an_error_in_a_loop_ends_its_thread():
    def loop():
        for _ in Batches(DATA, 4):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop()
    gc.collect()
    assert not reading_threads()


def test_errors_of_the_thread_are_raised_in_the_loop(monkeypatch):
    batches = Batches(DATA, 4)

    def broken(*_):
        raise OSError("the disk went away")

    monkeypatch.setattr(type(batches.rows), "gather", broken)
    with pytest.raises(OSError, match="went away"):
        next(iter(batches))
    assert not reading_threads()


@pytest.mark.parametrize("prefetch", [True, False])
@pytest.mark.parametrize("copy", [True, False])
def test_copies_stay_and_views_do_not(prefetch, copy, monkeypatch):
    monkeypatch.setattr("presage.batches.loader._CHUNK_BYTES", 1)
    batches = Batches(DATA, 4, copy=copy, prefetch=prefetch, shuffle=None)
    kept = []
    for i, batch in enumerate(batches):
        time.sleep(0.001)
        assert batch["a"][0] == 4 * i
        kept.append(batch["a"])
    assert all(batch[0] == 4 * i for i, batch in enumerate(kept)) == copy


# -- torch ---------------------------------------------------------------------------------


def test_torch_batches_share_memory_and_pass_through_a_data_loader():
    torch = pytest.importorskip("torch")
    batches = Batches(DATA | {"b": np.ones((23, 2), np.float32)}, 5)
    loader = torch.utils.data.DataLoader(batches.torch(), batch_size=None)
    got = [batch["a"].clone() for batch in loader]
    assert sorted(torch.cat(got).tolist()) == list(range(23))
    assert len(batches.torch()) == len(loader) == 5
    moved = next(iter(batches.torch("cpu")))
    assert moved["b"].dtype == torch.float32


def test_data_loader_workers_are_refused():
    torch = pytest.importorskip("torch")
    from presage.batches.tensors import TorchBatches

    batches = TorchBatches(Batches(DATA, 5))
    batches_in_worker = pytest.MonkeyPatch()
    batches_in_worker.setattr("presage.batches.tensors.get_worker_info", lambda: object())
    try:
        with pytest.raises(BatchError, match="num_workers=0"):
            iter(batches)
    finally:
        batches_in_worker.undo()
    assert torch is not None


@pytest.mark.parametrize("pad", [False, True])
def test_resident_batches_are_the_same(stored, pad):
    pytest.importorskip("torch")
    dataset = stored((17, 18, 64), pad).isel(event=slice(None) if pad else slice(5, 45))
    batches = Batches(dataset, 6, rank=1, world_size=2, pad=pad)
    resident = batches.resident()
    for number in range(2):
        for one, other in zip(batches.epoch(number), resident.epoch(number), strict=True):
            assert list(one) == list(other)
            assert (one.weight, one.epoch, one.step) == (other.weight, other.epoch, other.step)
            np.testing.assert_array_equal(one.positions, other.positions)
            for name in ("mass", "sky"):
                np.testing.assert_array_equal(one[name], other[name].numpy())
    resident.load_state_dict({**batches.state_dict(), "epoch": 1, "step": 2})
    assert next(iter(resident)).step == 2


def test_ragged_rows_live_on_a_device_only_padded(stored):
    pytest.importorskip("torch")
    with pytest.raises(BatchError, match="pass pad=True"):
        Batches(stored(ragged=True), 6).resident()


# -- mistakes ------------------------------------------------------------------------------

MISTAKES = [
    (lambda: Batches(DATA, 24), "batch_size 24 is more than the 23 samples"),
    (lambda: Batches(DATA, 0), "batch_size 0"),
    (lambda: Batches(DATA, 4, rank=2, world_size=2), "rank 2 of 2"),
    (lambda: Batches(DATA, 4, rank=-1), "rank -1 of 1"),
    (lambda: Batches(DATA, 2, world_size=3), "for all 3 ranks together"),
    (lambda: Batches(DATA, 4, ["b"]), "no variable 'b'; there is a"),
    (lambda: Batches({"phi_mass": np.ones(3)}, 1, "phi_mas"), "did you mean 'phi_mass'"),
    (
        lambda: Batches({"a": np.ones(3), "b": np.ones(4)}, 1),
        "equally many samples, got a: 3, b: 4",
    ),
    (lambda: Batches({"a": 1.0}, 1), "a single value"),
    (lambda: Batches({}, 1), "no variable has the sample dimension"),
    (lambda: Batches({"a": np.ones(0)}, 1), "no samples"),
    (lambda: Batches({"a": xr.DataArray(np.ones(3), dims="t")}, 1), "pass sample='t'"),
    (lambda: Batches(xr.Dataset({"a": ("t", np.ones(3))}), 1, sample="tt"), "did you mean 't'"),
    (lambda: Batches(DATA, 4, seed=-1), "seed must be a non-negative integer"),
    (lambda: Batches(DATA, 4, shuffle="ful"), "one of full, block, aligned, stream, none"),
    (lambda: Batches(DATA, 4).epoch(0, 7), "step 7 is not among the 6"),
    (lambda: Batches(DATA, 4).seek(0, 7), "no step 7 in epoch 0; an epoch has 6"),
    (lambda: Batches(DATA, 4).indices(0, 6), "not among the 6"),
    (lambda: Batches(DATA, 4).indices(-1, 0), "epochs count from 0"),
    (lambda: next(iter(Batches({"a": np.array(["x"])}, 1).torch())), "which torch does not know"),
]


@pytest.mark.parametrize(("act", "text"), MISTAKES, ids=[text for _, text in MISTAKES])
def test_mistakes_are_explained(act, text):
    with pytest.raises(BatchError) as error:
        act()
    assert text in str(error.value)


def test_torch_is_loaded_only_when_asked_for():
    import subprocess

    code = "import sys, presage.batches; sys.exit('torch' in sys.modules)"
    path = [p for p in sys.path if p]
    assert (
        subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(path)}).returncode
        == 0
    )
