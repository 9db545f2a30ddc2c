"""The store's ordinary life: in and out, what is refused, whose result counts."""

from __future__ import annotations

import errno
import gc
import itertools
import os
import pickle
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from guides import exit_code as run
from presage.labels import (
    COMPONENT,
    Coordinate,
    LabelError,
    Parameter,
    Schema,
    Variable,
    check_arrays,
    from_complex,
    to_complex,
)
from presage.lineage import take
from presage.recipe import Parent, Recipe
from presage.store import Store, StoreError, StoreWarning, entry, mapping, verified
from presage.store.sidecar import Sidecar
from presage.store.spans import chain

THETA = Parameter("theta", (), "float64", "GeV", low=0.0, high=2.0)
CUBE = Variable("cube", ("frequency", "component"), "float32", "mK", "a cube", lower=-9.0)
HIT = Variable("hit", ("hits",), "float32", "mm")
FLAG = Variable("flag", (), "int8")
FIXED = (Coordinate("frequency", (500.0, 550.0, 600.0), "MHz"), COMPONENT)
SCHEMA = Schema("sky", (THETA, CUBE, HIT, FLAG), FIXED, ragged=("hits",))
RECIPE = Recipe("toy", 1, {"width": 1.0})
N = 17
EDGES = (0, 5, 6, 13, N)


def arrays(n: int = N) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 4, N)
    made = {
        "theta": rng.random(N),
        "cube": rng.normal(size=(N, 3, 2)),
        "hit": rng.random(counts.sum()),
        "hits_count": counts,
        "flag": rng.random(N) < 0.5,
    }
    made = {k: v[: counts[:n].sum()] if k == "hit" else v[:n] for k, v in made.items()}
    return check_arrays(made, SCHEMA, n, "toy")


def fill(store: Store, recipe: Recipe = RECIPE) -> xr.Dataset:
    whole = arrays()
    ends = np.concatenate([[0], np.cumsum(whole["hits_count"])])
    for low, high in itertools.pairwise(EDGES):
        flat = slice(ends[low], ends[high])
        part = {n: a[flat] if n == "hit" else a[low:high] for n, a in whole.items()}
        store.add(recipe, SCHEMA, part, low)
    return store.open(recipe)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "held")


# -- samples ------------------------------------------------------------------------------


def test_samples_come_back_labelled(store: Store) -> None:
    opened, made = fill(store), arrays()
    assert dict(opened.sizes) == {
        "sky": N,
        "frequency": 3,
        "component": 2,
        "hits": len(made["hit"]),
    }
    for name, (dims, variable) in SCHEMA.stored().items():
        assert opened[name].dims == dims
        assert opened[name].dtype == variable.dtype
        assert opened[name].attrs["units"] == variable.unit
        np.testing.assert_array_equal(opened[name], made[name])
    assert opened["frequency"].attrs["units"] == "MHz"
    assert opened["component"].values.tolist() == ["real", "imag"]
    assert opened.indexes["sky"].equals(np.arange(N)) or list(opened["sky"].values) == [*range(N)]
    assert opened.attrs["presage_key"] == RECIPE.key
    for name in ("theta", "cube"):
        assert Variable.of(opened[name], "sky").attributes() == SCHEMA[name].attributes()
    assert isinstance(Variable.of(opened["theta"], "sky"), Parameter)


def test_a_range_opens_and_is_numbered_absolutely(store: Store) -> None:
    fill(store)
    part = store.open(RECIPE.key[:9], 4, 14)
    assert part["sky"].values.tolist() == list(range(4, 14))
    np.testing.assert_array_equal(part["cube"], arrays()["cube"][4:14])
    assert store.samples(RECIPE) == N
    assert store.missing(RECIPE, 20) == [(N, 20)]


def test_rows_are_maps_of_each_shard(store: Store) -> None:
    fill(store)
    rows = store.rows(RECIPE, 3, 8)
    assert [(a, b) for a, b, _ in rows.shards] == [(3, 5), (5, 6), (6, 8)]
    assert rows.sample_dim == "sky"
    assert rows.ragged == {"hit": "hits"}
    assert rows.dims["cube"] == ("sky", "frequency", "component")
    counts = arrays()["hits_count"]
    for a, b, part in rows.shards:
        assert len(part["hit"]) == counts[a:b].sum()
        assert not part["cube"].flags.writeable


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/maps")
def test_a_shard_is_one_map_while_it_is_in_use(store: Store) -> None:
    def maps() -> int:
        gc.collect()
        return Path("/proc/self/maps").read_text().count(f"{store.root}/")

    fill(store)
    rows = store.rows(RECIPE)
    assert maps() == len(rows.shards) == 4
    kept = rows.shards[2][2]["cube"][1:]
    del rows
    assert maps() == 1
    np.testing.assert_array_equal(kept, arrays()["cube"][7:13])


def test_no_room_for_maps_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    opened = fill(store)
    monkeypatch.setattr(mapping, "_map", full)
    with pytest.raises(StoreError, match="open fewer datasets at once"):
        store.open(RECIPE)
    np.testing.assert_array_equal(opened["cube"], arrays()["cube"])


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 6)), max_size=8),
    st.integers(0, 20),
    st.integers(0, 12),
)
def test_shards_are_chained_by_the_one_that_reaches_farthest(
    spans: list[tuple[int, int]], start: int, length: int
) -> None:
    shards = [Sidecar("", 0, "", "", low, low + size) for low, size in spans]
    stop = start + length
    cut = list(chain(shards, start, stop))
    held = {n for shard in shards for n in range(shard.start, shard.stop)}
    assert [n for _, a, b in cut for n in range(a, b)] == sorted(held & set(range(start, stop)))
    for shard, low, high in cut:
        assert shard.start <= low < high <= shard.stop
        assert high == min(stop, max(s.stop for s in shards if s.start <= low))


@lru_cache(maxsize=1)
def _kept() -> xr.Dataset:
    return fill(Store(tempfile.mkdtemp()))


def _keys(size: int) -> st.SearchStrategy[Any]:
    rows = st.lists(st.integers(-size, size - 1), max_size=7).map(lambda r: np.array(r, dtype=int))
    return st.one_of(st.integers(-size, size - 1), st.slices(size), rows)


@settings(max_examples=60)
@given(data=st.data())
def test_lazy_indexing_is_numpys(data: st.DataObject) -> None:
    key = {dim: data.draw(_keys(n)) for dim, n in (("sky", N), ("frequency", 3), ("component", 2))}
    again = data.draw(st.booleans())
    picked = _kept()["cube"].isel({d: k for d, k in key.items() if d != "sky"} if again else key)
    if again:
        picked = picked.isel(sky=key["sky"])
    expected = arrays()["cube"]
    for axis in (2, 1, 0):
        expected = expected[(slice(None),) * axis + (tuple(key.values())[axis],)]
    np.testing.assert_array_equal(picked.values, expected)


@settings(max_examples=30)
@given(first=_keys(N).filter(lambda k: not isinstance(k, int)), data=st.data())
def test_selections_of_selections_are_numpys(first: Any, data: st.DataObject) -> None:
    expected = arrays()["theta"][first]
    if not len(expected):
        return
    second = data.draw(_keys(len(expected)))
    picked = _kept()["theta"].isel(sky=first).isel(sky=second)
    np.testing.assert_array_equal(picked.values, expected[second])
    assert np.all(picked["sky"].values == np.arange(N)[first][second])


def test_a_pickled_dataset_is_an_address(store: Store) -> None:
    opened = fill(store)
    text = pickle.dumps(opened["cube"].isel(sky=slice(2, 9)))
    np.testing.assert_array_equal(pickle.loads(text), arrays()["cube"][2:9])


def test_an_address_does_not_outlive_its_files(store: Store) -> None:
    text = pickle.dumps(fill(store)["cube"])
    pickle.loads(text)
    path = next(store.root.rglob("shard-000000000005*.nc"))
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with (
        pytest.warns(StoreWarning, match="put into quarantine"),
        pytest.raises(StoreError, match=r"lacks samples \[5, 6\)"),
    ):
        pickle.loads(text)


def test_a_shard_of_other_lengths_is_refused(store: Store) -> None:
    schema = Schema("sample", (Variable("wave", ("time",)),))
    recipe = Recipe("toy-wave", 1)
    store.add(recipe, schema, {"wave": np.zeros((4, 3), "float32")}, 0)
    with pytest.raises(StoreError, match="'wave' has time=5, earlier samples have time=3"):
        store.add(recipe, schema, {"wave": np.zeros((4, 5), "float32")}, 4)
    assert store.samples(recipe) == 4


# -- once a process -----------------------------------------------------------------------


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are hashed from here on."""
    seen: list[Path] = []
    real = entry.file_hash
    monkeypatch.setattr(entry, "file_hash", lambda path: seen.append(path) or real(path))
    return seen


def test_a_file_is_hashed_once_a_process(store: Store, hashed: list[Path]) -> None:
    fill(store)
    verified._STAMPS.clear()  # as in a process that did not write them
    for _ in range(3):
        Store(store.root).open(RECIPE)
    assert len(hashed) == len(EDGES) - 1


def test_a_worker_trusts_what_was_hashed(store: Store, hashed: list[Path]) -> None:
    text = pickle.dumps(fill(store))
    verified._STAMPS.clear()  # as in another process
    for _ in range(2):
        np.testing.assert_array_equal(pickle.loads(text)["cube"], arrays()["cube"])
    assert hashed == []


def exchanged(path: Path) -> None:
    copy = path.with_suffix(".copy")
    shutil.copy(path, copy)
    copy.replace(path)


def edited(path: Path) -> None:
    """Write a file again in place, and set back its time: only the inode's own time tells."""
    before = path.stat()
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [exchanged, edited])
def test_a_changed_file_is_hashed_again(
    change: Callable[[Path], None], store: Store, hashed: list[Path]
) -> None:
    fill(store)
    assert store.check(RECIPE, remember=True) == []
    path = next(store.root.rglob("shard-000000000005*.nc"))
    hashed.clear()
    change(path)
    assert store.samples(RECIPE) == N
    assert hashed == [path]
    assert [line.changed for line in store.list()] == [True]


# -- two writers --------------------------------------------------------------------------

WAVE = Schema("sample", (Variable("wave", ("time",), gaps=True),))


def wave(shift: float = 0.0) -> dict[str, np.ndarray]:
    values = np.linspace(1, 2, 12).reshape(4, 3).astype("float32")
    values[1, 1] = np.nan
    return {"wave": values + np.float32(shift)}


@pytest.mark.parametrize(
    ("shift", "options", "device", "fits"),
    [
        (0.0, {}, "cpu", True),
        (1e-6, {}, "cpu", False),
        (1e-6, {"tolerance": 1e-5}, "cpu", True),
        (1e-2, {"tolerance": 1e-5}, "cpu", False),
        (1e-6, {}, "cuda", True),
        (1e-2, {}, "cuda", False),
        (1e-2, {"tolerance": 0.1}, "cuda", True),
        (1e-2, {"noise": {"wave": 0.02}}, "cpu", False),
        (1e-2, {"noise": {"wave": 0.02}}, "cuda", True),
        (1e-2, {"tolerance": 1e-5, "noise": {"wave": 0.02}}, "cpu", True),
        (1e-2, {"tolerance": 1e-5, "noise": {"other": 0.02}}, "cpu", False),
    ],
)
def test_a_second_writer_is_held_to_what_was_declared(
    store: Store, shift: float, options: dict[str, Any], device: str, fits: bool
) -> None:
    store.add(RECIPE, WAVE, wave(), 0)
    second = wave(shift)
    if fits:
        store.add(RECIPE, WAVE, second, 0, {"device": device}, **options)
    else:
        with pytest.raises(StoreError, match=r"is not deterministic.*'wave' differs by.*tolerance"):
            store.add(RECIPE, WAVE, second, 0, {"device": device}, **options)
    np.testing.assert_array_equal(store.open(RECIPE)["wave"], wave()["wave"])


def test_gaps_in_other_places_are_other_values(store: Store) -> None:
    store.add(RECIPE, WAVE, wave(), 0)
    other = {"wave": np.nan_to_num(wave()["wave"], nan=1.5)}
    with pytest.raises(StoreError, match="not deterministic"):
        store.add(RECIPE, WAVE, other, 0, tolerance=0.1)


# -- products and files -------------------------------------------------------------------


def product(scale: float = 1.0) -> xr.Dataset:
    values = scale * np.array([[1.0, np.nan], [3.0, np.inf]])
    return xr.Dataset(
        {"loss": (("epoch", "kind"), values, {"units": "nat"}), "best": 3},
        coords={"kind": ["train", "test"]},
    )


def test_products_come_back_as_they_are(store: Store) -> None:
    assert store.get(RECIPE) is None
    put = store.put(RECIPE, product())
    for held in (put, store.get(RECIPE), store.open(RECIPE), store.open(RECIPE.key)):
        assert held.drop_attrs(deep=False).identical(product())
    assert store.compute(RECIPE, lambda: pytest.fail("it is there")).identical(put)
    other = Recipe("toy", 2)
    assert store.compute(other, lambda: product(2.0))["loss"][0, 0] == 2.0


def test_the_first_of_two_close_products_counts(store: Store) -> None:
    store.put(RECIPE, product())
    again = store.put(RECIPE, product(1 + 1e-12))
    assert again.drop_attrs(deep=False).identical(product())


OTHER_PRODUCTS: list[tuple[Callable[[xr.Dataset], xr.Dataset], str]] = [
    (lambda d: d.assign(loss=d.loss * 1.1), "'loss' differs by 0.3, largest 3"),
    (lambda d: d.assign(best=4), "'best' has other values"),
    (lambda d: d.assign_coords(kind=["train", "held"]), "'kind' has other values"),
    (lambda d: d.drop_vars("best"), "only one of them has 'best'"),
    (lambda d: d.assign(loss=d.loss.fillna(0)), "'loss' differs by nan"),
    (lambda d: d.isel(epoch=[0]), r"'loss' has shape \(1, 2\), before it had \(2, 2\)"),
]


@pytest.mark.parametrize(("change", "text"), OTHER_PRODUCTS)
def test_another_product_is_refused_with_what_differs(
    store: Store, change: Callable[[xr.Dataset], xr.Dataset], text: str
) -> None:
    store.put(RECIPE, product())
    with pytest.raises(StoreError, match=f"{text}.*belongs into its recipe"):
        store.put(RECIPE, change(product()))


def one(values: Any = (0.0, 1.0, 2.0), **attributes: Any) -> xr.Dataset:
    return xr.Dataset({"a": ("x", np.asarray(values), attributes)})


OTHERWISE = {
    "a unit that is no time": (one(units="days since big bang"), "unable to decode time units"),
    "a unit that becomes a date": (one(units="days since 2000-01-01"), "'a' has other values"),
    "a factor": (one(scale_factor=2.0), "'a' differs by 2"),
    "a number that means none": (one(missing_value=1.0), "'a' differs by nan"),
    "a type": (one(dtype="bool"), "'a' has other values"),
    "no text": (one(np.array(["a", None], object)), "'a' has other values"),
    "a blank": (one().assign_coords({"c d": ("x", np.arange(3))}), "'c d' is no coordinate"),
}


@pytest.mark.filterwarnings("ignore:coordinate 'c d' has a space")
@pytest.mark.parametrize(("dataset", "message"), OTHERWISE.values(), ids=OTHERWISE)
def test_what_would_be_read_otherwise_is_not_published(
    store: Store, dataset: xr.Dataset, message: str
) -> None:
    recipe = Recipe("table", 1)
    with pytest.raises(StoreError, match=message):
        store.put(recipe, dataset)
    with pytest.raises(StoreError, match=message):
        store.adopt(dataset, "taken")
    assert store.get(recipe) is None
    assert not list(store.root.rglob("*.done.json"))


def test_what_is_put_comes_back_however_it_was_packed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = xr.Dataset({"mask": (("x", "y"), np.zeros((2000, 2000), np.int8))})
    mask["mask"].encoding = {"zlib": True}
    monkeypatch.setattr("presage.foreign.FREE", 1 << 20)
    xr.testing.assert_equal(store.put(Recipe("mask", 1), mask), mask)
    packed = one([0.1234, 1.5])
    packed["a"].encoding = {"dtype": "int16", "scale_factor": 0.1}
    xr.testing.assert_equal(store.put(Recipe("packed", 1), packed), packed)
    times = one(np.array(["2000-01-01T00:00:00.000000001", "NaT"], "M8[ns]"))
    xr.testing.assert_equal(store.put(Recipe("times", 1), times), times)


OWN_FILES = ["recipe.json", "product.nc", "shard-0.nc", "work", "quarantine"]


@pytest.mark.parametrize("name", ["", "a/b", "a.done.json", *OWN_FILES])
def test_names_that_are_not_a_file_s(store: Store, name: str) -> None:
    with pytest.raises(StoreError, match=r"plain file name|name of the store's own"):
        store.put_file(Recipe("table", 1), name, lambda sink: sink.write(b"text"))
    assert not list(store.root.rglob("*.done.json"))


def test_any_other_name_is_a_file_s(store: Store) -> None:
    for name in ("w[1].bin", "*.bin", "é?"):
        path = store.put_file(Recipe("table", 1), name, lambda sink: sink.write(b"text"))
        assert store.file(Recipe("table", 1), name) == path


def test_samples_that_could_not_be_opened_are_not_published(store: Store) -> None:
    blank = Coordinate("x y", (1.0, 2.0), dim="x")
    for dim, coordinates in (("x/y", ()), ("x", (blank,))):
        with pytest.raises(LabelError, match=r"rename 'x[/ ]y'"):
            Schema("event", (Variable("a", (dim,)),), coordinates)
    recipe, schema = Recipe("toy", 1), Schema("event", (Variable("a"),))
    with pytest.raises(StoreError, match="16777216 may be"):
        store.add(recipe, schema, {"a": np.zeros(3, "f4")}, 0, {"said": "x" * (17 << 20)})
    assert store.samples(recipe) == 0
    big = xr.Dataset({"a": ("event", np.arange(3, dtype=">f4"))})
    np.testing.assert_array_equal(store.adopt(big, "big", "event")["a"], [0, 1, 2])


def test_a_folder_of_a_files_name_is_said_and_not_waited_for(store: Store) -> None:
    (store.entry(RECIPE).folder / "w.bin").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match=r"w\.bin"):
        store.put_file(RECIPE, "w.bin", lambda sink: sink.write(b"one"))


def test_files_and_workspaces(store: Store) -> None:
    assert store.file(RECIPE, "w.bin") is None
    path = store.put_file(RECIPE, "w.bin", lambda sink: sink.write(b"one"))
    assert store.put_file(RECIPE, "w.bin", lambda sink: sink.write(b"two")) == path
    assert store.file(RECIPE, "w.bin") == path
    assert path.read_bytes() == b"one"
    with store.workspace(RECIPE) as folder:
        (folder / "state").touch()
        store.clear_workspace(RECIPE)
        assert (folder / "state").exists(), "somebody is at work there"
    assert [e.state for e in store.list()] == ["unfinished"]
    store.clear_workspace(RECIPE)
    assert [(e.kind, e.state) for e in store.list()] == [("files", "complete")]
    for name in ("../w.bin", ".w", "w.done.json"):
        with pytest.raises(StoreError, match="plain file name"):
            store.put_file(RECIPE, name, lambda sink: sink.write(b""))


# -- listing, checking, removing ----------------------------------------------------------


def test_the_listing_says_what_there_is(store: Store) -> None:
    fill(store)
    child = Recipe("toy-child", 1, parents=(Parent(RECIPE.key, 0, N),))
    store.put(child, product())
    listed = {e.producer: e for e in store.list()}
    assert (listed["toy"].kind, listed["toy"].samples, listed["toy"].state) == (
        "samples", N, "complete",
    )  # fmt: skip
    assert listed["toy"].bytes > 0
    assert listed["toy"].created
    assert listed["toy-child"].kind == "product"
    assert [e.key for e in store.children(RECIPE)] == [child.key]
    assert store.find(RECIPE.key[:7]) == RECIPE
    assert store.check(RECIPE) == []


def test_gaps_are_listed(store: Store) -> None:
    for start in (4, 12):
        store.add(RECIPE, WAVE, wave(), start)
    (listed,) = store.list()
    assert (listed.samples, listed.state) == (0, "gaps: [0, 4), [8, 12) missing")


@pytest.mark.parametrize("name", ["check", "remove", "open", "rows"])
def test_what_is_absent_is_an_error(store: Store, name: str) -> None:
    with pytest.raises(StoreError, match=r"toy \(.{16}\) is not in "):
        getattr(store, name)(RECIPE)


def test_removing(store: Store) -> None:
    fill(store)
    child = Recipe("toy-child", 1, parents=(Parent(RECIPE.key, 0, N),))
    store.put(child, product())
    with pytest.raises(StoreError, match="made from it: toy-child/"):
        store.remove(RECIPE)
    store.remove(child)
    store.remove(RECIPE)
    assert store.list() == []
    assert fill(store).sizes["sky"] == N


# -- adopting -----------------------------------------------------------------------------


def foreign() -> xr.Dataset:
    """What `fill` made, in memory and without its origin."""
    whole = take(_kept(), slice(0, N)).load()
    return whole.drop_vars(["sky", "hits_start"], errors="ignore").drop_attrs(deep=False)


def test_adopted_samples_keep_their_meaning(store: Store) -> None:
    adopted = store.adopt(foreign(), "mine", "sky")
    xr.testing.assert_identical(adopted.drop_attrs(deep=False), _kept().drop_attrs(deep=False))
    parameter = Variable.of(adopted["theta"], "sky")
    assert isinstance(parameter, Parameter)
    assert (parameter.low, parameter.high) == (0.0, 2.0)
    assert store.adopt(adopted, "mine").attrs == adopted.attrs  # names its own dimension


OTHER_CONTENT: dict[str, Callable[[xr.Dataset], xr.Dataset]] = {
    "values": lambda d: d.assign(cube=d.cube + 1),
    "unit": lambda d: d.assign(cube=d.cube.assign_attrs(units="K")),
    "coordinate": lambda d: d.assign_coords(frequency=[1.0, 2.0, 3.0]),
    "unit of a coordinate": lambda d: d.assign_coords(
        frequency=d.frequency.assign_attrs(units="GHz")
    ),
    "no coordinate": lambda d: d.drop_vars("frequency"),
    "prior": lambda d: d.assign(theta=d.theta.assign_attrs(prior_range=[0.0, 3.0])),
    "role": lambda d: d.assign(theta=d.theta.assign_attrs(role="")),
    "name": lambda d: d.rename(cube="sky_cube"),
    "attributes": lambda d: d.assign_attrs(note="of the second night"),
}


@pytest.mark.parametrize("change", OTHER_CONTENT)
def test_other_content_is_another_dataset(store: Store, change: str) -> None:
    other = OTHER_CONTENT[change](foreign())
    for sample in ("sky", None):
        first = store.adopt(foreign(), "mine", sample)
        assert (
            store.adopt(other, "mine", sample).attrs["presage_key"] != (first.attrs["presage_key"])
        )
        assert first.attrs == store.adopt(foreign(), "mine", sample).attrs


def test_selected_samples_are_adopted_with_their_ragged_rows(store: Store) -> None:
    chosen = _kept().isel(sky=[11, 2, 7])
    adopted = store.adopt(chosen.assign(cube=chosen.cube * 2), "doubled")
    assert adopted["sky"].values.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(adopted["hit"], take(_kept(), np.array([11, 2, 7]))["hit"])
    np.testing.assert_array_equal(adopted["cube"], 2 * arrays()["cube"][[11, 2, 7]])


def test_coordinates_along_samples_become_variables_and_nan_a_gap(store: Store) -> None:
    data = xr.Dataset(
        {"mass": ("event", [1.0, np.nan])},
        coords={"run": ("event", [7, 8], {"role": "parameter"})},
    )
    adopted = store.adopt(data, "mine", "event")
    assert set(adopted.data_vars) == {"mass", "run"}
    assert Variable.of(adopted["mass"], "event").gaps
    assert isinstance(Variable.of(adopted["run"], "event"), Parameter)
    assert adopted["run"].dtype == "int64"


NOT_ADOPTED: list[tuple[xr.Dataset, type[Exception], str]] = [
    (xr.Dataset({"a": ("evnt", [1.0])}), StoreError, "no dimension 'event'; did you mean 'evnt'"),
    (xr.Dataset({"a": ("event", [])}), StoreError, "holds no sample along 'event'"),
    (
        xr.Dataset({"a": ("event", [1.0]), "total": 3.0}),
        StoreError,
        "'total' has no dimension 'event'",
    ),
    (xr.Dataset({"a": ("event", [1j])}), LabelError, "'a' cannot be kept.*'component'"),
    (xr.Dataset({"a": ("event", ["x"])}), LabelError, "'a' cannot be kept.*number the cases"),
    (xr.Dataset({"a": ("event", [np.inf])}), LabelError, "'a' holds 1 values that are not finite"),
    (
        xr.Dataset({"a": ("event", [1.0])}, coords={"event": [0.5]}),
        StoreError,
        "coordinate 'event' of float64 would be lost",
    ),
    (
        xr.Dataset({"a": ("event", [1.0])}, coords={"night": 3}),
        StoreError,
        "coordinate 'night' with dims",
    ),
    (
        xr.Dataset({"a": ("event", [1.0]), "c": ("event", [1], {"sample_dimension": "hits"})}),
        StoreError,
        "'c' counts 'hits'; rename it to 'hits_count'",
    ),
]


@pytest.mark.parametrize(("data", "error", "text"), NOT_ADOPTED)
def test_what_would_lose_its_meaning_is_not_adopted(
    store: Store, data: xr.Dataset, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        store.adopt(data, "mine", "event")
    assert store.list() == []


def test_an_adopted_product_keeps_what_it_says(store: Store) -> None:
    adopted = store.adopt(product().assign_attrs(note="measured"), "mine")
    assert adopted.attrs["note"] == "measured"
    assert adopted["loss"].attrs["units"] == "nat"
    assert [e.kind for e in store.list()] == ["product"]


# -- declarations -------------------------------------------------------------------------


def test_gaps_are_declared_stored_and_read_back(store: Store) -> None:
    store.add(RECIPE, WAVE, check_arrays(wave(), WAVE, 4, "toy"), 0)
    held = Variable.of(store.open(RECIPE)["wave"], "sample")
    assert held.attributes() == WAVE["wave"].attributes()
    assert held.gaps
    nothing = {"wave": np.full((4, 3), np.nan)}
    assert np.isnan(check_arrays(nothing, WAVE, 4, "toy")["wave"]).all()
    bounded = Schema("sample", (Variable("wave", ("time",), lower=1.5, gaps=True),))
    with pytest.raises(LabelError, match=r"reaches 1\.0, below its bound 1\.5"):
        check_arrays(wave(), bounded, 4, "toy")
    for value in (np.inf, -np.inf):
        with pytest.raises(LabelError, match=r"'wave' holds 1 values that are not finite$"):
            check_arrays({"wave": np.array([[value, np.nan, 1.0]])}, WAVE, 1, "toy")
    plain = Schema("sample", (Variable("wave", ("time",)),))
    with pytest.raises(LabelError, match="holds 1 values that are not finite; declare gaps=True"):
        check_arrays(wave(), plain, 4, "toy")


@pytest.mark.parametrize(
    ("dtype", "gaps", "text"),
    [
        ("complex64", False, r"stored as its parts; declare dims \(..., 'component'\)"),
        ("complex128", True, "stored as its parts"),
        ("U8", False, "not <U8; number the cases"),
        ("datetime64[ns]", False, "holds integers or floats"),
        ("bool", False, "declare 'int8'"),
        ("int32", True, "only floats have gaps"),
    ],
)
def test_types_that_are_not_stored(dtype: str, gaps: bool, text: str) -> None:
    with pytest.raises(LabelError, match=text):
        Variable("x", dtype=dtype, gaps=gaps)


def test_complex_values_go_in_by_their_parts(store: Store) -> None:
    values = xr.DataArray(np.array([[1 + 2j, 3j], [4.0, -1j]]), dims=("sample", "mode"), name="z")
    adopted = store.adopt(from_complex(values).to_dataset(), "modes", "sample")
    np.testing.assert_array_equal(to_complex(adopted["z"]), values)


def test_variables_of_a_block_agree_on_their_dims() -> None:
    two = Schema("sample", (Variable("a", ("time",)), Variable("b", ("time",))))
    with pytest.raises(LabelError, match=r"'b' should be \[sample=2, time=5\], got shape \(2, 6\)"):
        check_arrays({"a": np.zeros((2, 5)), "b": np.zeros((2, 6))}, two, 2, "toy")


def test_a_value_may_equal_its_bound_in_the_stored_type() -> None:
    schema = Schema("sample", (Variable("x", lower=0.1, upper=0.7),))
    held = check_arrays({"x": np.array([0.1, 0.7])}, schema, 2, "toy")["x"]
    assert held.tolist() == [np.float32(0.1), np.float32(0.7)]
    with pytest.raises(LabelError, match=r"above its bound 0\.7"):
        check_arrays({"x": np.nextafter(held[1:], np.float32(1))}, schema, 1, "toy")


# -- on the command line ------------------------------------------------------------------


def test_verify_says_why_nothing_was_simulated(capsys: pytest.CaptureFixture[str]) -> None:
    fill(Store())
    Store().put(Recipe("toy-mean", 1), product())
    assert run("store", "verify") == 0
    lines = sorted(capsys.readouterr().out.splitlines(), key=len)
    assert lines[0].endswith("hashes fit")
    assert (
        "hashes fit; not simulated again: neither presage nor an installed package has 'toy'"
        in lines[1]
    )
    assert run("store", "verify", RECIPE.key, "--fraction", "0") == 0
    assert "not simulated again: a fraction of 0" in capsys.readouterr().out


def test_an_exported_dataset_comes_back_as_samples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original = fill(Store())
    path = str(tmp_path / "sky.nc")
    assert run("store", "export", RECIPE.key, path) == 0
    assert run("store", "import", path) == 0
    key = capsys.readouterr().out.splitlines()[-1].split()[0]
    assert Store().open(key).equals(original)
    assert run("store", "import", path, "--sample", "skies") == 2
    assert "no dimension 'skies'; did you mean 'sky'?" in capsys.readouterr().err
