"""Datasets that leave for other programs: what analysts read with their own tools."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
import xarray as xr

from presage.cli.main import main
from presage.exchange import ABOUT, SUFFIXES, read_file, write_file, writing
from presage.generate import simulate
from presage.labels import LabelError, Parameter, Variable
from presage.lineage import take
from presage.store import Store
from presage.studies.events import NumpyReader, Resonance, RootReader

COLUMNS = ("phi_label", "omega_label", "phi_mass", "omega_mass")


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    grid = Resonance.on_grid(4, 4, weights="equal")
    return simulate(grid, 20_000, store=Store(tmp_path_factory.mktemp("store")))


def about(path: Path) -> dict[str, Any]:
    """Return what a file says of itself, read with the format's own library."""
    if path.suffix == ".root":
        with uproot.open(path) as file:
            return json.loads(str(file[ABOUT]))
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as content:
            return json.loads(str(content[ABOUT]))
    return json.loads(str(read_h5(path, ABOUT)))


def read_h5(path: Path, name: str) -> Any:
    import h5py

    with h5py.File(path) as file:
        return file[name].asstr()[()]


def columns(path: Path) -> dict[str, np.ndarray]:
    """Read the columns with NumPy, uproot and xarray alone."""
    if path.suffix == ".root":
        with uproot.open(path) as file:
            return file["Events"].arrays(list(COLUMNS), library="np")
    if path.suffix == ".nc":
        with xr.open_dataset(path) as dataset:
            return {name: dataset[name].values for name in COLUMNS}
    content = np.load(path, allow_pickle=False)
    return {name: content[name] for name in COLUMNS}


@pytest.mark.parametrize(
    ("suffix", "compression"),
    [(".npy", 0), *((suffix, level) for suffix in (".root", ".npz", ".nc") for level in (0, 4))],
)
def test_analysts_read_it_with_their_own_tools(
    events: xr.Dataset, suffix: str, compression: int, tmp_path: Path
) -> None:
    path = write_file(events, tmp_path / f"events{suffix}", compression=compression)
    found = columns(path)
    for name in COLUMNS:
        np.testing.assert_array_equal(found[name], events[name].values)
        assert found[name].dtype == events[name].dtype
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".root", ".npz", ".h5"])
def test_units_and_recipe_travel_with_it(events: xr.Dataset, suffix: str, tmp_path: Path) -> None:
    said = about(write_file(events, tmp_path / f"events{suffix}"))
    assert said["variables"]["phi_mass"]["attributes"]["units"] == "GeV"
    assert said["variables"]["phi_label"]["attributes"]["role"] == "parameter"
    assert said["attributes"]["presage_key"] == events.attrs["presage_key"]
    assert json.loads(said["attributes"]["presage_recipe"])["producer"] == "resonance"


@pytest.mark.parametrize("suffix", [".nc", ".npz", ".h5"])
def test_it_comes_back_as_it_was(events: xr.Dataset, suffix: str, tmp_path: Path) -> None:
    some = take(events, np.array([5, 1, 7]))  # with holes: their numbers are kept
    back = read_file(write_file(some, tmp_path / f"events{suffix}"))
    xr.testing.assert_equal(back, some)
    assert back["phi_mass"].attrs == some["phi_mass"].attrs
    assert back.attrs == some.attrs
    whole = read_file(write_file(events, tmp_path / f"all{suffix}"))
    for name in COLUMNS:
        assert whole[name].attrs["units"] == events[name].attrs["units"]
        np.testing.assert_array_equal(whole[name], events[name])


def test_the_readers_take_it_in_again(events: xr.Dataset, tmp_path: Path) -> None:
    root = RootReader(
        write_file(events, tmp_path / "events.root"),
        columns={name: name for name in COLUMNS[2:]},
        labels={name: name for name in COLUMNS[:2]},
    )
    readers = {
        "root": root,
        "npy": NumpyReader(write_file(events, tmp_path / "events.npy")),
        "npz": NumpyReader(write_file(events, tmp_path / "events.npz", compression=1)),
    }
    for kind, reader in readers.items():
        back = simulate(reader, store=Store(tmp_path / "store"))
        for name in COLUMNS:
            np.testing.assert_array_equal(back[name], events[name], err_msg=f"{kind}, {name}")


def test_columns_with_dimensions_of_their_own(tmp_path: Path) -> None:
    data = xr.Dataset(
        {
            "mass": ("event", np.arange(5, dtype="float32")),
            "hits": (("hit", "event"), np.arange(10).reshape(2, 5)),
        },
        coords={"run": ("event", np.arange(5) + 7), "hit": ["inner", "outer"]},
    ).assign_attrs(presage_sample="event")
    with uproot.open(write_file(data, tmp_path / "d.root")) as file:
        tree = file["Events"].arrays(library="np")
    np.testing.assert_array_equal(tree["hits"], data["hits"].values.T)
    np.testing.assert_array_equal(tree["run"], data["run"])
    np.testing.assert_array_equal(
        np.load(write_file(data, tmp_path / "d.npy"))["hits"], tree["hits"]
    )
    xr.testing.assert_identical(read_file(write_file(data, tmp_path / "d.npz")), data)


def test_memory_is_bounded(
    events: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_CHUNK_BYTES", 1 << 16)
    many = xr.concat([events] * 8, "event")
    for suffix in (".root", ".npz", ".npy"):
        write_file(events, tmp_path / f"warm{suffix}")
        tracemalloc.start()
        write_file(many, tmp_path / f"many{suffix}")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < many.nbytes / 4, suffix


#: What cannot be written → file name, settings, and what the error says.
WRONG: tuple[tuple[xr.Dataset, str, dict[str, Any], str], ...] = (
    (xr.Dataset(), "x.csv", {}, r"one of \.nc, \.root, \.npz, \.npy, \.h5, \.hdf5, \.pt"),
    (xr.Dataset(), "x.rot", {}, r"did you mean '\.root'\?"),
    (xr.Dataset(), "x.root", {}, r"no samples to write as"),
    (xr.Dataset({"a": ("event", [])}), "x.npy", {}, r"no samples to write as"),
    (
        xr.Dataset({"a": ("event", [1.0]), "b": ("bin", [1.0])}, attrs={"presage_sample": "event"}),
        "x.root",
        {},
        r"'b' is float64 with dims \('bin',\), not numbers along 'event'; write it as \.nc",
    ),
    (xr.Dataset({"a": ("event", ["x"])}), "x.npy", {}, r"'a' is <U1 with dims"),
    (xr.Dataset({"a": ("event", [1.0])}), "x.npz", {"compression": 10}, r"is 0 to 9; got 10"),
    (xr.Dataset({"a": ("event", [1.0])}), "x.npy", {"compression": 1}, r"there is no compression"),
)


@pytest.mark.parametrize(("dataset", "name", "settings", "message"), WRONG)
def test_what_cannot_be_written(
    dataset: xr.Dataset, name: str, settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(LabelError, match=message):
        write_file(dataset, tmp_path / name, **settings)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_written_whole_or_not_at_all(
    events: xr.Dataset, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"events{suffix}"
    path.write_text("before")
    real = writing._WRITERS[suffix]

    def fails_late(*arguments: Any) -> None:
        real(*arguments)
        raise OSError("no space left")

    monkeypatch.setitem(writing._WRITERS, suffix, fails_late)
    with pytest.raises(OSError, match="no space"):
        write_file(events, path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_description_that_does_not_fit(tmp_path: Path) -> None:
    for text in ("no JSON", "[]", '{"variables": {}, "attributes": {}}', "[" * 100_000):
        np.savez(tmp_path / "x.npz", a=np.arange(3), **{ABOUT: np.array(text)})
        with pytest.raises(LabelError, match="presage_about does not describe its arrays"):
            read_file(tmp_path / "x.npz")


def test_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    adopted = Store().adopt(
        xr.Dataset(
            {
                "mass": (
                    "event",
                    np.arange(9, dtype="f4"),
                    Variable("mass", unit="GeV").attributes(),
                ),
                "mass_label": ("event", np.ones(9), Parameter("mass_label").attributes()),
            }
        ),
        "mine",
        sample="event",
    )
    key = adopted.attrs["presage_key"]
    with pytest.raises(SystemExit, match="0"):
        main(["store", "export", key, "out.root", "--start", "2", "--compression", "1"])
    assert capsys.readouterr().out == "out.root\n"
    with uproot.open("out.root") as file:
        np.testing.assert_array_equal(file["Events/mass"].array(library="np"), np.arange(2, 9))
