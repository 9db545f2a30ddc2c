"""A model of the store: whatever is done to it, samples are absent or byte-correct."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from faults import toys
from presage.generate import samples, simulate, verify
from presage.labels import LabelError
from presage.lineage import take
from presage.recipe import Recipe
from presage.store import Store, StoreError, StoreWarning, parent_of

MOST = 60
TRUTH = {
    (name, seed): toys.truth(source, MOST, seed)
    for name, source in toys.SOURCES.items()
    for seed in (0, 1)
}
names = st.sampled_from(sorted(toys.SOURCES))
seeds = st.sampled_from([0, 1])


def expected(name: str, seed: int, start: int, stop: int) -> dict[str, np.ndarray]:
    source, arrays = toys.SOURCES[name], TRUTH[name, seed]
    spans = {source.sample_dim: slice(start, stop)}
    for dim in source.ragged:
        edges = np.concatenate([[0], np.cumsum(arrays[f"{dim}_count"])])
        spans[dim] = slice(int(edges[start]), int(edges[stop]))
    dims = {n: d[0] for n, (d, _) in source.schema.stored().items()}
    return {n: a[spans[dims[n]]] for n, a in arrays.items()}


class StoreModel(RuleBasedStateMachine):
    """Generation, reading, damage, removal and fresh processes in any order."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.store = Store(self.folder / "store")
        self.there: dict[tuple[str, int], int] = {}
        self.sound = True

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def recipe(self, name: str, seed: int) -> Recipe:
        return toys.SOURCES[name].recipe(seed)

    @rule(name=names, seed=seeds, n=st.integers(1, MOST), blocks=st.sampled_from([1, 2, 5]))
    def generate(self, name: str, seed: int, n: int, blocks: int) -> None:
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore" if not self.sound else "error", StoreWarning)
            patch.setattr(samples, "SHARD_BYTES", blocks * 8 * 24)
            source = toys.SOURCES[name]
            made = simulate(source, n, seed=seed, store=self.store, progress=False)
        assert toys.same(made, expected(name, seed, 0, n))
        self.there[name, seed] = max(n, self.there.get((name, seed), 0))

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def read_a_range(self, data: st.DataObject) -> None:
        (name, seed), n = data.draw(st.sampled_from(sorted(self.there.items())))
        stop = data.draw(st.integers(1, n))
        start = data.draw(st.integers(0, stop - 1))
        recipe = self.recipe(name, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if not self.sound else "error", StoreWarning)
            try:
                opened = self.store.open(recipe, start, stop)
            except StoreError:
                assert not self.sound
                return
        assert toys.same(opened, expected(name, seed, start, stop))
        parent = parent_of(opened)
        assert (parent.key, parent.start, parent.stop) == (recipe.key, start, stop)

    @precondition(lambda self: self.there)
    @rule(data=st.data(), kind=st.sampled_from(["cut", "flip", "mark", "unmark", "recipe"]))
    def damage(self, data: st.DataObject, kind: str) -> None:
        name, seed = data.draw(st.sampled_from(sorted(self.there)))
        folder = self.store.entry(self.recipe(name, seed)).folder
        suffix = {"mark": ".done.json", "unmark": ".done.json", "recipe": "recipe.json"}
        files = sorted(f for f in folder.iterdir() if f.name.endswith(suffix.get(kind, ".nc")))
        if not files:
            return
        path = data.draw(st.sampled_from(files))
        content = bytearray(path.read_bytes())
        if kind == "unmark":
            path.unlink()
        elif kind == "cut":
            path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        else:
            content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(
                st.integers(0, 7)
            )
            path.write_bytes(content)
        self.sound = False
        self.store = Store(self.store.root)

    @rule()
    def a_fresh_process(self) -> None:
        self.store = Store(self.store.root)

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        name, seed = data.draw(st.sampled_from(sorted(self.there)))
        self.store.remove(self.recipe(name, seed))
        del self.there[name, seed]

    @rule()
    def put_a_product(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if not self.sound else "error", StoreWarning)
            held = self.store.compute(toys.PRODUCT, toys.product)
        assert held.drop_attrs().identical(toys.product().drop_attrs())

    @invariant()
    def the_listing_agrees(self) -> None:
        if not self.sound:
            return
        listed = {e.key: e.samples for e in self.store.list() if e.kind == "samples"}
        assert listed == {self.recipe(*at).key: n for at, n in self.there.items()}

    @invariant()
    def nothing_is_left_over(self) -> None:
        assert toys.leftovers(self.store) == []


TestStoreModel = pytest.mark.filterwarnings("ignore::presage.store.StoreWarning")(
    StoreModel.TestCase
)
TestStoreModel.settings = settings(
    max_examples=12,
    stateful_step_count=12,
    suppress_health_check=[HealthCheck.too_slow],
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=names,
    sizes=st.lists(
        st.tuples(st.integers(1, MOST), st.sampled_from([1, 2, 3, 50]), st.booleans()),
        min_size=1,
        max_size=4,
    ),
)
def test_samples_do_not_depend_on_sizes_shards_or_workers(
    name: str, sizes: list[tuple[int, int, bool]]
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        store = Store(folder)
        for n, blocks, pooled in sizes:
            patch.setattr(samples, "SHARD_BYTES", blocks * 8 * 24)
            with ThreadPoolExecutor(3) as pool:
                made = simulate(
                    toys.SOURCES[name],
                    n,
                    store=store,
                    executor=pool if pooled else None,
                    progress=False,
                )
            assert toys.same(made, expected(name, 0, 0, n))
        most = max(n for n, _, _ in sizes)
        assert verify(toys.SOURCES[name], store=store, fraction=1.0) == most
        stored = sum(stop - start for start, stop, _ in store.rows(made_by(name)).shards)
        assert stored == most


def made_by(name: str) -> Recipe:
    return toys.SOURCES[name].recipe()


def test_a_thousand_is_a_prefix_of_ten_thousand(tmp_path: Path) -> None:
    small, large = Store(tmp_path / "small"), Store(tmp_path / "large")
    few = simulate(toys.SOURCES["waves"], 1000, store=small, progress=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "SHARD_BYTES", 300 * 8 * 24)
        many = simulate(toys.SOURCES["waves"], 10_000, store=large, workers=2, progress=False)
    assert few.isel(sample=slice(0, 1000)).equals(many.isel(sample=slice(0, 1000)))
    shards = sorted(small.entry(made_by("waves")).folder.glob("shard-*.nc"))
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in shards}
    grown = simulate(toys.SOURCES["waves"], 10_000, store=small, progress=False)
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in shards} == before
    assert grown.equals(many)


@settings(max_examples=15)
@given(data=st.data())
def test_any_selection_reads_as_numpy_does(data: st.DataObject) -> None:
    store = _forty()
    opened = store.open(made_by("waves"))
    whole = TRUTH["waves", 0]["wave"][:40]
    rows = data.draw(
        st.one_of(
            st.integers(-40, 39),
            slices(40),
            st.lists(st.integers(-40, 39), max_size=6).map(lambda i: np.array(i, dtype=int)),
        )
    )
    times = data.draw(st.one_of(st.integers(0, 2), slices(3)))
    picked = opened["wave"].isel(sample=rows, time=times)
    np.testing.assert_array_equal(picked.values, whole[rows][..., times])


def slices(size: int) -> st.SearchStrategy[slice]:
    """Slices, but for empty ones of negative step, which xarray itself cannot take."""
    return st.slices(size).filter(
        lambda cut: (cut.step or 1) > 0 or len(range(*cut.indices(size))) > 0
    )


_KEPT: list[Store] = []


def _forty() -> Store:
    if not _KEPT:
        store = Store(tempfile.mkdtemp())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(samples, "SHARD_BYTES", 1)
            simulate(toys.SOURCES["waves"], 40, store=store, progress=False)
            simulate(toys.SOURCES["bags"], 40, store=store, progress=False)
        _KEPT.append(store)
    return _KEPT[0]


@settings(max_examples=20)
@given(rows=st.lists(st.integers(0, 39), max_size=8))
def test_ragged_rows_follow_their_samples(rows: list[int]) -> None:
    opened = _forty().open(made_by("bags"))
    taken = take(opened, np.array(rows, dtype=int))
    arrays = TRUTH["bags", 0]
    ends = np.cumsum(arrays["particle_count"])
    pieces = [arrays["energy"][ends[r] - arrays["particle_count"][r] : ends[r]] for r in rows]
    np.testing.assert_array_equal(taken["energy"], np.concatenate([np.empty(0), *pieces]))
    np.testing.assert_array_equal(taken["rate"], arrays["rate"][rows])


def test_subsets_are_named_by_range_or_selection() -> None:
    opened = _forty().open(made_by("waves"))
    key = made_by("waves").key
    whole = parent_of(opened)
    assert (whole.key, whole.start, whole.stop, whole.selection) == (key, 0, 40, "")
    part = parent_of(opened.isel(sample=slice(3, 9)))
    assert (part.start, part.stop, part.selection) == (3, 9, "")
    holes = parent_of(opened.isel(sample=[3, 5, 8]))
    assert (holes.start, holes.stop) == (3, 9)
    assert holes.selection
    turned = parent_of(opened.isel(sample=[8, 5, 3]))
    assert turned.selection != holes.selection
    with pytest.raises(LabelError, match="holds no sample"):
        parent_of(opened.isel(sample=[]))


MISSING = [
    ("", "no dataset with key ''"),
    ("zzzz", "no dataset with key 'zzzz' in .*; there is "),
    ("../fault-waves", "no dataset with key"),
]


@pytest.mark.parametrize(("key", "text"), MISSING)
def test_unknown_keys_are_said(key: str, text: str) -> None:
    with pytest.raises(StoreError, match=text):
        _forty().open(key)


def test_a_dataset_that_is_not_there_says_how_to_make_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StoreError, match=r"fault-waves .* is not in .*presage.simulate"):
        store.open(made_by("waves"))
    simulate(toys.SOURCES["waves"], 8, store=store, progress=False)
    with pytest.raises(StoreError, match=r"lacks samples \[8, 12\)"):
        store.open(made_by("waves"), 0, 12)


def test_an_ambiguous_prefix_asks_for_more_digits() -> None:
    store, recipe = _forty(), made_by("waves")
    assert store.find(recipe.key[:6]) == recipe
    firsts = [made_by(name).key[0] for name in toys.SOURCES]
    if firsts[0] == firsts[1]:
        with pytest.raises(StoreError, match="ambiguous"):
            store.find(firsts[0])


def test_a_parent_is_not_removed_under_its_children(tmp_path: Path) -> None:
    store = Store(tmp_path)
    events = simulate(toys.SOURCES["waves"], 8, store=store, progress=False)
    child = Recipe("child", 1, parents=(parent_of(events),))
    store.put(child, toys.product())
    with pytest.raises(StoreError, match="made from it: child/"):
        store.remove(made_by("waves"))
    store.remove(made_by("waves"), force=True)
    assert [e.producer for e in store.list()] == ["child"]
