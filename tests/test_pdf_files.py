"""Sets of events in files: the original's read without trust, ours written and read again."""

from __future__ import annotations

import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from presage.cli.main import main
from presage.exchange import read_file, write_file, writing
from presage.exchange.numpy_archive import NumpyFileError
from presage.generate import simulate
from presage.inputs import InputError, InputWarning
from presage.labels import Coordinate, LabelError, Schema, Variable, check_arrays
from presage.recipe import Recipe
from presage.store import Store
from presage.studies.pdf import Gaussian, OriginalFile
from presage.studies.pdf.problems import problem
from presage.studies.pdf.training import Training

Dict = dict[str, Any]
RNG = np.random.default_rng(0)
MEBIBYTE = 2**20


def theta_of(name: str, n: int, later: bool = False) -> np.ndarray:
    """Parameters as the original drew them: uniform in a box, in float32."""
    box = {
        "gaussian": [(-2, 2), (-2, 2), (0.5, 2), (0.5, 2), (-0.8, 0.8)],
        "simplified_dis": [(-1, 0), (0, 5)] * 2 if later else [(0, 5)] * 4,
        "realistic_dis": [(-2, 2), (-1, 1), (0, 5), (0, 10), (-5, 5), (-5, 5)],
        "mceg": [(-1, 10), (0, 10), (-10, 10), (-10, 10)],
    }[name]
    low, high = np.array(box, float).T
    return (low + (high - low) * RNG.random((n, len(box)))).astype(np.float32)


def kinematics(*shape: int, f2: bool) -> np.ndarray:
    """x, Q2 and F2 of events, uniform where the original has them so."""
    x = RNG.uniform(1e-3, 0.9, shape)
    columns = [x, 10 ** RNG.uniform(0, 3, shape)] + [x * np.exp(RNG.normal(size=shape))] * f2
    return np.stack(columns, axis=-1).astype(np.float32)


def engineered(v: np.ndarray) -> np.ndarray:
    """The features that the later files hold, by their definition."""
    i, j = np.triu_indices(v.shape[-1], 1)
    log = np.log1p(v)
    ratio = np.log1p(np.abs(v[..., i] / (v[..., j] + 1e-8)))
    return np.concatenate([log, log, ratio, log[..., i] - log[..., j]], axis=-1)


def logs(v: np.ndarray) -> np.ndarray:
    return np.log(v + np.float32(1e-8))


def content(name: str, events: np.ndarray, **more: Any) -> Dict:
    """Everything that the original saves."""
    n, repeat, count, _ = events.shape
    theta = more.pop("theta", theta_of(name, n))
    return {
        "thetas": theta, "events": events, "problem": np.array([name], "U20"),
        "num_samples": np.array([n]), "num_events": np.array([count]),
        "n_repeat": np.array([repeat]), "theta_shape": np.array(theta.shape),
        "events_shape": np.array(events.shape), **more,
    }  # fmt: skip


def write(folder: Path, held: Dict, name: str = "", save: Callable[..., None] = np.savez) -> Path:
    """Write a file under the original's name for it."""
    if not name:
        n, repeat, count, _ = held["events"].shape
        name = f"{held['problem'][0]}_ns{n}_ne{count}_nr{repeat}.npz"
    save(folder / name, **held)
    return folder / name


def normal(n: int = 6, repeat: int = 2, count: int = 10) -> np.ndarray:
    return RNG.normal(size=(n, repeat, count, 2)).astype(np.float32)


def coords(reader: OriginalFile) -> dict[str, tuple[Any, ...]]:
    return {c.name: c.values for c in reader.coordinates}


DIS = kinematics(5, 2, 8, f2=True)
PAIR = DIS[..., :2] / DIS[..., :2].max() + np.float32(0.1)
_BOTH = ("log1p_{0}", "log1p_{1}", "symlog_{0}", "symlog_{1}", "log1p_{0}_over_{1}",
         "log1p_{0}_less_{1}")  # fmt: skip
#: Problem, events, names of their features, the first one's unit or formula, lower edge of the
#: first parameter's prior.
KINDS: dict[str, tuple[str, np.ndarray, tuple[str, ...], str, str]] = {
    "gaussian": ("gaussian", normal(), ("x", "y"), "1", "y"),
    "raw": ("simplified_dis", DIS, ("x", "Q2", "F2"), "GeV2", "Q2"),
    "raw, two": ("mceg", DIS[..., :2], ("x", "Q2"), "GeV2", "Q2"),
    "raw, both targets": ("simplified_dis", PAIR, ("proton", "neutron"), "1", "4 d + u"),
    "log": ("realistic_dis", logs(DIS), ("log_x", "log_Q2", "log_F2"), "1", "log(Q2 + 1e-8)"),
    "log, two": ("mceg", logs(DIS[..., :2]), ("log_x", "log_Q2"), "1", "log(Q2 + 1e-8)"),
    "features": (
        "mceg", engineered(DIS[..., :2]), tuple(n.format("x", "Q2") for n in _BOTH), "1",
        "log(1 + Q2)",
    ),
    "features of both targets": (
        "simplified_dis", engineered(PAIR), tuple(n.format("proton", "neutron") for n in _BOTH),
        "1", "log(1 + neutron)",
    ),
}  # fmt: skip


class TestOriginal:
    @pytest.mark.parametrize("kind", KINDS)
    def test_columns_are_known_and_numbers_kept(self, kind: str, tmp_path: Path) -> None:
        name, events, names, unit, title = KINDS[kind]
        held = content(name, events)
        reader = OriginalFile(write(tmp_path, held, save=np.savez_compressed))
        data = simulate(reader, store=Store(tmp_path / "store"))
        assert data["events"].dims == ("sample", "repeat", "event", "feature")
        np.testing.assert_array_equal(data["events"], events)
        np.testing.assert_array_equal(data["theta"], held["thetas"])
        assert tuple(data["feature"].values) == names
        assert data["feature_unit"].values[1] == unit
        assert data["feature_title"].values[1] == title
        assert data.sizes["parameter"] == held["thetas"].shape[1]

    def test_twelve_features(self, tmp_path: Path) -> None:
        names = coords(OriginalFile(write(tmp_path, content("realistic_dis", engineered(DIS)))))
        assert names["feature"][:4] == ("log1p_x", "log1p_Q2", "log1p_F2", "symlog_x")
        assert names["feature"][6:9] == ("log1p_x_over_Q2", "log1p_x_over_F2", "log1p_Q2_over_F2")

    @pytest.mark.parametrize(("later", "low"), [(False, (0, 0, 0, 0)), (True, (-1, 0, -1, 0))])
    def test_the_prior_is_the_one_that_was_used(
        self, later: bool, low: tuple[float, ...], tmp_path: Path
    ) -> None:
        held = content("simplified_dis", DIS, theta=theta_of("simplified_dis", 5, later))
        assert coords(OriginalFile(write(tmp_path, held)))["parameter_low"] == low

    def test_rounding_does_not_leave_the_prior(self, tmp_path: Path) -> None:
        held = content("gaussian", normal())
        held["thetas"][0, 4] = 0.8  # in float32 that is above 0.8
        assert float(held["thetas"][0, 4]) > 0.8
        (chunk,) = OriginalFile(write(tmp_path, held)).chunks()
        assert chunk["theta"][0, 4] == 0.8

    def test_what_the_file_does_not_say_can_be_given(self, tmp_path: Path) -> None:
        theta = theta_of("gaussian", 6) + 10
        held = {"theta": theta, "events": RNG.normal(size=(6, 1, 4, 3)), "note": np.array("x" * 9)}
        reader = OriginalFile(
            write(tmp_path, held, "mine.npz"),
            problem="gaussian",
            features=("x", "y", "weight"),
            prior=((0, 20),) * 5,
        )
        assert coords(reader)["feature"] == ("x", "y", "weight")
        assert coords(reader)["parameter_high"] == (20.0,) * 5
        assert reader.variables[0].dtype == "float64"

    def test_logarithms_of_what_noise_made_negative(self, tmp_path: Path) -> None:
        events = logs(DIS)
        events[1, 0, [0, 5], 2] = np.nan
        events[3, 1, 7, 2] = -np.inf
        path = write(tmp_path, content("realistic_dis", events))
        with pytest.raises(NumpyFileError, match=r"3 events are not finite, and 6 are in the set"):
            _ = OriginalFile(path).coordinates
        reader = OriginalFile(path, invalid="drop")
        with pytest.warns(InputWarning, match=r"3 events .* left out; all sets are cut to 6"):
            (chunk,) = reader.chunks()
        assert chunk["events"].shape == (5, 2, 6, 3)
        np.testing.assert_array_equal(chunk["events"][1, 0], events[1, 0][[1, 2, 3, 4, 6, 7]])
        np.testing.assert_array_equal(chunk["events"][0, 0], events[0, 0, :6])

    @pytest.mark.parametrize("kind", ["raw", "features"])
    def test_models_train_from_it(self, kind: str, tmp_path: Path) -> None:
        name, events, *_ = KINDS[kind]
        many = np.concatenate([events] * 6)
        store = Store(tmp_path / "store")
        data = simulate(OriginalFile(write(tmp_path, content(name, many))), store=store)
        training = Training(
            hidden=(8,), seeds=1, encoder_epochs=1, smallest=2, sizes=(4,), encoder_batch=8,
            validation=0.2,
        )  # fmt: skip
        encoder = training.fit_encoder(data, store, progress=False)
        assert np.isfinite(encoder.history["validation_loss"]).all()
        features = training.pool(data, encoder, store, progress=False)
        np.testing.assert_array_equal(features["parameter_high"], data["parameter_high"])

    def test_memory_is_bounded(self, tmp_path: Path) -> None:
        path = write(tmp_path, content("gaussian", normal(400, 2, 4000)), save=np.savez)
        assert path.stat().st_size > 25e6
        reader = OriginalFile(path, memory=MEBIBYTE)
        tracemalloc.start()
        sizes = [len(chunk["theta"]) for chunk in reader.chunks()]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert sum(sizes) == 400
        assert len(sizes) > 10
        # A few pieces; opening an archive also takes a piece of 4 MiB.
        assert peak < 12 * MEBIBYTE

    def test_the_content_is_the_identity(self, tmp_path: Path) -> None:
        path = write(tmp_path, content("gaussian", normal()))
        reader, before = OriginalFile(path), path.read_bytes()
        elsewhere = tmp_path / "sub"
        elsewhere.mkdir()
        (elsewhere / path.name).write_bytes(before)
        assert OriginalFile(elsewhere / path.name, memory=2 * MEBIBYTE).recipe() == reader.recipe()
        path.write_bytes(before + b" ")
        with pytest.raises(InputError, match="was changed since it was named"):
            list(reader.chunks())


def bomb(path: Path) -> None:
    """A file that declares a thousand times its size in zeros, as an array of the right shape."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("thetas.npy", "w") as member:
            np.lib.format.write_array(member, np.ones((1, 5)))
        with archive.open("events.npy", "w") as member:
            about = {"descr": "<f4", "fortran_order": False, "shape": (1, 1, 40 << 20, 2)}
            np.lib.format.write_array_header_1_0(member, about)
            for _ in range(80):
                member.write(bytes(1 << 22))


def lying(path: Path, shape: tuple[int, ...], length: int = 480) -> None:
    """An array whose header declares more or less than is there."""
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("thetas.npy", "w") as member:
            np.lib.format.write_array(member, theta_of("gaussian", 6))
        with archive.open("events.npy", "w") as member:
            about = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(member, about)
            member.write(bytes(length))


def changed(**arrays: Any) -> Callable[[Path], None]:
    """Write a good file but for these arrays; None leaves one out."""

    def make(path: Path) -> None:
        held = {**content("gaussian", normal()), **arrays}
        np.savez(path, **{n: a for n, a in held.items() if a is not None})

    return make


def damaged(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        np.savez(path, **content("gaussian", normal()))
        path.write_bytes(change(path.read_bytes()))

    return make


def spoilt(name: str, value: float) -> Callable[[Path], None]:
    held = content("gaussian", normal())
    held[name].flat[3] = value
    return changed(**held)


NAME = "gaussian_ns6_ne10_nr2.npz"
OBJECTS = np.array([[{"a": 1}] * 5] * 6, dtype=object)
#: What is wrong → name of the file, how it is made, what the error says.
HOSTILE: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "empty": (NAME, lambda path: path.write_bytes(b"") and None, "is empty"),
    "no archive": (NAME, lambda path: path.write_bytes(b"PK\3\4 no") and None, "a damaged archive"),
    "truncated": (NAME, damaged(lambda b: b[:-200]), "a damaged archive"),
    "a byte of the data flipped": (
        NAME, damaged(lambda b: b[:900] + bytes([b[900] ^ 1]) + b[901:]), "a damaged archive",
    ),
    "a pickle": (NAME, changed(thetas=OBJECTS), "Python objects"),
    "a pickle beside it": (NAME, changed(extra=OBJECTS), "'extra': Python objects"),
    "a bomb": ("gaussian_ns1_ne41943040_nr1.npz", bomb, "declare .* bytes of arrays"),
    "declares more than there is": (
        NAME, lambda path: lying(path, (6, 2, 10**9, 2)), "declares shape .* 480 are there",
    ),
    "declares less": (NAME, lambda path: lying(path, (6, 2, 1, 2)), "declares shape"),
    "a negative length": (NAME, lambda path: lying(path, (6, -2, 10, 2)), "declares shape"),
    "no theta": (NAME, changed(thetas=None), "one array thetas or theta is expected, there is"),
    "two thetas": (NAME, changed(theta=np.ones((6, 5))), "both are there"),
    "no events": (NAME, changed(events=None, event=normal()), "did you mean 'event'"),
    "text": (NAME, changed(thetas=np.array([["1"] * 5] * 6)), "holds <U1, not numbers"),
    "complex": (NAME, changed(events=normal() + 0j), "type <c8"),
    "three dimensions": (NAME, changed(events=normal()[:, 0]), r"is \[sample, repeat, event, feat"),
    "theta of one dimension": (NAME, changed(thetas=np.ones(6)), r"got shape \(6,\)"),
    "other lengths": (NAME, changed(thetas=theta_of("gaussian", 5)), "of 5 samples and ev"),
    "no samples": (
        "a.npz", changed(thetas=np.ones((0, 5)), events=normal(0)), r"an empty set.*\(0, 2",
    ),
    "no events in a set": ("a.npz", changed(events=normal(6, 2, 0)), "an empty set"),
    "theta is not finite": (NAME, spoilt("thetas", np.nan), "parameters are not all finite"),
    "events are not finite": (NAME, spoilt("events", np.inf), "1 events are not finite"),
    "theta outside every prior": (NAME, spoilt("thetas", 7.0), "sigma_y .* to 7.*beyond every"),
    "another number of parameters": (
        NAME, changed(thetas=np.ones((6, 4))), "has the 5 parameters mu_x, .*; the file has 4",
    ),
    "another number of features": (
        NAME, changed(events=np.ones((6, 2, 10, 4))), "2 features in the original's files, got 4",
    ),
    "the name says another problem": (
        "mceg_ns6_ne10_nr2.npz", changed(), "the file says 'gaussian', its name says 'mceg'",
    ),
    "the name says other sizes": (
        "gaussian_ns60_ne10_nr2.npz", changed(), "its name says num_samples = 60",
    ),
    "an array says other sizes": (NAME, changed(n_repeat=np.array([3])), "its n_repeat says"),
    "no problem of ours": ("gausian_ns6_ne10_nr2.npz", changed(problem=None), "mean 'gauss"),
    "no problem at all": ("data.npz", changed(problem=None), "neither the file nor its name says"),
    "a problem of a million letters": (
        NAME, changed(problem=np.array(["x" * 10**6])), "one name is expected",
    ),
    "a problem that is a number": (NAME, changed(problem=np.array([7])), "one name is expected"),
    "many sizes": (NAME, changed(num_events=np.arange(9)), "one integer is expected"),
    "Fortran order": (
        NAME, changed(events=np.asfortranarray(normal())), "first index running fastest",
    ),
    "neither x nor its logarithm": (
        "mceg_ns6_ne10_nr2.npz", changed(
            problem=np.array(["mceg"]), thetas=theta_of("mceg", 6), events=normal()
        ), "neither x between 0 and 1 nor its logarithm",
    ),
    "features that are not doubled": (
        "mceg_ns6_ne10_nr2.npz", changed(
            problem=np.array(["mceg"]), thetas=theta_of("mceg", 6),
            events=RNG.normal(size=(6, 2, 10, 6)),
        ), r"should begin with log\(1 \+ v\) twice",
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", HOSTILE)
def test_files_that_are_not_what_they_say(wrong: str, tmp_path: Path) -> None:
    name, make, message = HOSTILE[wrong]
    make(tmp_path / name)
    store = Store(tmp_path / "store")
    with pytest.raises(NumpyFileError, match=message):
        simulate(OriginalFile(tmp_path / name), store=store)
    assert not [entry for entry in store.list() if entry.samples]


def test_names_that_no_terminal_prints(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "gaussian_ns1_ne1_nr1.npz", "w") as archive:
        archive.writestr(
            "../../\x1b[31m\udce4.npy".encode("utf-8", "replace").decode(), b"\x93NUMPY"
        )
    with pytest.raises(NumpyFileError, match="version"):
        _ = OriginalFile(tmp_path / "gaussian_ns1_ne1_nr1.npz").coordinates


#: Wrong settings → what the error says.
SETTINGS: tuple[tuple[Dict, str], ...] = (
    ({"problem": "gausian"}, "did you mean 'gaussian'"),
    ({"problem": "mceg"}, "of which problem"),
    ({"invalid": "drp"}, "did you mean 'drop'"),
    ({"memory": 10}, "memory is at least 1048576 bytes"),
    ({"features": ("x",)}, "events have 2 features; features= names 1, x"),
    ({"features": ("x", "x")}, "features= names 2, x, x"),
    ({"prior": ((0, 1),)}, "and 1 ranges are known"),
    ({"prior": ((1, 0),) * 5}, r"takes \(low, high\) of each parameter"),
    ({"prior": (1, 2)}, r"takes \(low, high\) of each parameter"),
    ({"prior": ((-1, 1),) * 5}, "beyond every prior"),
)


@pytest.mark.parametrize(("settings", "message"), SETTINGS)
def test_settings_that_do_not_fit(settings: Dict, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, content("gaussian", normal()))
    with pytest.raises(NumpyFileError, match=message):
        _ = OriginalFile(path, **settings).coordinates


def test_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    held = content("gaussian", normal())
    path = write(tmp_path, held)

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as done:
            main(list(arguments))
        said = capsys.readouterr()
        assert done.value.code == 0 or said.err
        return said.out or said.err

    key, _, sizes = run("store", "import", path.name, "--reader", OriginalFile.name).partition(" ")
    assert "'repeat': 2, 'event': 10, 'feature': 2" in sizes
    assert key in run("generate", OriginalFile.name, "-p", "file", path.name)
    run("store", "export", key, "back.npz", "--rename", "theta=thetas")
    with np.load("back.npz", allow_pickle=False) as back:  # as the original's loader reads it
        np.testing.assert_array_equal(back["thetas"], held["thetas"])
        np.testing.assert_array_equal(back["events"], held["events"])
    assert "did you mean 'theta'" in run("store", "export", key, "b.npz", "--rename", "thet=t")
    assert "OLD=NEW" in run("store", "export", key, "b.npz", "--rename", "theta=events")
    assert "reads no files" in run("store", "import", path.name, "--reader", "gaussian")
    assert "features= names 1" in run(
        "store", "import", path.name, "--reader", OriginalFile.name, "-p", "features", "('x',)"
    )


@pytest.fixture(scope="module", params=["gaussian", "realistic_dis_events"])
def sets(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    """Sets of one size, and sets of unequal size, which are stored end to end."""
    made = problem(request.param, n_events=20)
    return simulate(made, 50, store=Store(tmp_path_factory.mktemp("store")))


class TestOurs:
    @pytest.mark.parametrize("suffix", [".nc", ".npz", ".h5", ".pt"])
    def test_everything_comes_back(self, sets: xr.Dataset, suffix: str, tmp_path: Path) -> None:
        back = read_file(write_file(sets, tmp_path / f"sets{suffix}"))
        assert set(sets.coords) - set(back.coords) <= {"sample"}  # a range, left out
        for name in back.variables:
            assert back[name].dims == sets[name].dims, name
            assert back[name].attrs == sets[name].attrs, name
            np.testing.assert_array_equal(back[name].values, sets[name].values)
        assert back.attrs == sets.attrs

    @pytest.mark.parametrize("suffix", [".npz", ".h5"])
    def test_they_are_written_in_pieces(
        self, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writing, "_CHUNK_BYTES", 1 << 16)
        many = simulate(Gaussian(1000), 1024, store=Store(tmp_path / "store"))
        write_file(many.isel(sample=slice(0, 2)), tmp_path / f"warm{suffix}")
        tracemalloc.start()
        path = write_file(many, tmp_path / f"many{suffix}")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert path.stat().st_size > many["events"].nbytes > 8e6
        assert peak < 2e6

    @pytest.mark.parametrize("suffix", [".nc", ".npz", ".h5", ".pt"])
    def test_a_store_takes_them_in_again(
        self, sets: xr.Dataset, suffix: str, tmp_path: Path
    ) -> None:
        back = read_file(write_file(sets, tmp_path / f"sets{suffix}"))
        adopted = Store(tmp_path / "store").adopt(back, "sets", sample="sample")
        for name in sets.variables:
            assert adopted[name].dims == sets[name].dims, name
            assert adopted[name].attrs.get("units") == sets[name].attrs.get("units"), name
            np.testing.assert_array_equal(adopted[name].values, sets[name].values)
        assert "feature_unit" in adopted.coords

    def test_coordinates_are_part_of_the_identity(self, sets: xr.Dataset, tmp_path: Path) -> None:
        store = Store(tmp_path)
        first = store.adopt(sets, "sets", sample="sample")
        other = sets.assign_coords(feature_unit=("feature", ["m", "m"]))
        assert store.adopt(sets, "sets", sample="sample").attrs == first.attrs
        changed = store.adopt(other, "sets", sample="sample")
        assert changed.attrs["presage_key"] != first.attrs["presage_key"]
        assert changed["feature_unit"].values.tolist() == ["m", "m"]


class TestCoordinate:
    UNIT = Coordinate("feature_unit", ("1", "GeV2"), dim="feature")

    def test_it_stands_along_another_dimension(self) -> None:
        assert (self.UNIT.along, Coordinate("feature", ("x", "y")).along) == ("feature", "feature")
        assert self.UNIT.variable().dims == ("feature",)
        assert self.UNIT.variable().dtype == object  # text of any length

    def test_it_fixes_a_length(self) -> None:
        schema = Schema("sample", (Variable("v", ("feature",)),), (self.UNIT,))
        assert schema.sizes() == {"feature": 2}
        assert check_arrays({"v": np.ones((4, 2))}, schema, 4, "here")["v"].shape == (4, 2)
        with pytest.raises(LabelError, match=r"'v' should be \[sample=4, feature=2\]"):
            check_arrays({"v": np.ones((4, 3))}, schema, 4, "here")

    def test_a_product_keeps_it(self, tmp_path: Path) -> None:
        data = xr.Dataset({"v": ("feature", [1.0, 2.0])}).assign_coords(
            feature_unit=self.UNIT.variable()
        )
        kept = Store(tmp_path).put(Recipe("product", 1, {}), data)
        assert kept["feature_unit"].values.tolist() == ["1", "GeV2"]
