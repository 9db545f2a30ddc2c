"""The command ``presage``: what it prints, how it refuses, files in and out."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from guides import exit_code as run
from presage.cli import dashboards
from presage.cli.common import pairs
from presage.cli.main import main
from presage.exchange import read_file, write_file
from presage.labels import LabelError
from presage.pipeline import ParameterError
from presage.recipe import Parent, Recipe
from presage.store import Store


@pytest.fixture
def store() -> Store:
    """A store with one product and one that was made from it."""
    held = Store()
    first = Recipe("toy", 1, {"width": 1.5})
    held.put(first, xr.Dataset({"x": ("i", np.arange(3.0), {"units": "GeV"})}))
    second = Recipe("toy-mean", 2, parents=(Parent(first.key),))
    held.put(second, xr.Dataset({"mean": 1.0}))
    return held


def test_ls_show_verify_and_rm(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    first = Recipe("toy", 1, {"width": 1.5}).key
    assert run("store", "ls") == 0
    listed = capsys.readouterr().out
    assert first[:16] in listed
    assert "2 datasets" in listed
    assert run("store", "show", first[:8]) == 0
    shown = capsys.readouterr().out
    assert "toy version 1, seed 0" in shown
    assert "width = 1.5" in shown
    assert "used by toy-mean/" in shown
    assert "GeV" in shown or "x " in shown
    assert run("store", "verify") == 0
    assert capsys.readouterr().out.count("hashes fit") == 2
    assert run("store", "rm", first) == 2
    assert "made from it: toy-mean/" in capsys.readouterr().err
    assert run("store", "rm", first, "--force") == 0
    assert run("store", "ls") == 0
    assert "1 dataset," in capsys.readouterr().out


def test_verify_reports_damage(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    key = Recipe("toy", 1, {"width": 1.5}).key
    (path,) = (store.root / "toy" / key[:16]).glob("*.nc")
    content = bytearray(path.read_bytes())
    content[-4] ^= 0xFF
    path.chmod(0o644)
    path.write_bytes(content)
    assert run("store", "verify", key) == 1
    assert "1 problems" in capsys.readouterr().err


def test_an_empty_store_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    Store().root.mkdir()
    assert run("store", "ls") == 0
    assert "is empty" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "event"], "there is no study 'event'; did you mean 'events'?"),
        (["run", "events", "-p"], "-p takes a name and a value"),
        (["run", "events", "-p", "seed"], "-p takes a name and a value"),
        (["run", "events", "--preset", "quik"], "no preset 'quik'; did you mean 'quick'?"),
        (["run", "events", "-p", "sed", "1"], "no notebook has a parameter 'sed'"),
        (["run", "events", "-p", "seed", "x"], "-p: seed should be int, got the text 'x'"),
        (["run", "events", "-f", "none.toml"], "there is no file none.toml"),
        (["run", "events", "--from", "abc"], "no step or product of events with key 'abc'"),
        (["generate", "resonanc", "-n", "5"], "did you mean 'resonance'?"),
        (["generate", "resonance", "-n", "0"], "n of at least 1, got 0"),
        (["generate", "resonance", "-n", "9", "--shard", "x"], "--shard takes I/N"),
        (["train", "spline_flo", "abc"], "did you mean 'spline_flow'?"),
        (["train", "spline_flow", "abc", "-p", "bin", "8"], "did you mean 'bins'?"),
        (
            ["train", "spline_flow", "abc", "-p", "epochs", "x"],
            "epochs should be int",
        ),
        (["train", "spline_flow", "abc"], "no dataset with key 'abc'"),
        (["train", "spline_flow", __file__], "prints a key: presage store import"),
        (["store", "show", "abc"], "no dataset with key 'abc'"),
        (["store", "import", "none.npz"], "there is no file none.npz"),
        (["store", "import", "none.txt"], "the suffix says the format"),
    ],
)
def test_errors_are_one_message_and_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Store().root.mkdir()
    assert run(*arguments) == 2
    text = capsys.readouterr().err
    assert message in text
    assert text.startswith("error: ")
    assert "Traceback" not in text


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESAGE_DEBUG", "")
    with pytest.raises(ValueError, match="there is no study"):
        main(["--debug", "run", "event"])


def test_faults_of_other_libraries_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    Store().root.mkdir()
    monkeypatch.setattr(Store, "list", lambda self: np.zeros(2) + np.zeros(3))
    with pytest.raises(ValueError, match="broadcast"):
        main(["store", "ls"])


def test_pairs_hold_any_value() -> None:
    assert pairs(["a=-1", "b=x=y", "c=[1, 2]"]) == {"a": "-1", "b": "x=y", "c": "[1, 2]"}
    with pytest.raises(ParameterError, match="a is given twice: '1' and '2'"):
        pairs(["a=1", "a=2"])


def test_generate_makes_samples_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("generate", "resonance", "-n", "50", "--seed", "3") == 0
    key = capsys.readouterr().out.split()[0]
    assert Store().open(key).sizes == {"event": 50}
    assert run("store", "verify", key, "--fraction", "1") == 0
    assert "50 samples simulated again are equal" in capsys.readouterr().out


def test_train_fits_once(capsys: pytest.CaptureFixture[str]) -> None:
    run("generate", "resonance", "-n", "300")
    key = capsys.readouterr().out.split()[0]
    settings = {"epochs": "1", "batch_size": "64", "hidden": "[4]", "bins": "4"}
    options = ["--stop", "250", *(part for pair in settings.items() for part in ("-p", *pair))]
    keys = []
    for _ in range(2):
        assert run("train", "spline_flow", key, *options) == 0
        keys.append(capsys.readouterr().out.split()[0])
    assert keys[0] == keys[1]
    (parent,) = Store().find(keys[0]).parents
    assert (parent.key, parent.start, parent.stop) == (key, 0, 250)


# -- files in and out -------------------------------------------------------------------

DATA = xr.Dataset(
    {
        "mass": ("event", np.arange(4, dtype="float32"), {"units": "GeV"}),
        "hits": (("event", "hits_1"), np.arange(8).reshape(4, 2)),
    }
)


@pytest.mark.parametrize("suffix", [".nc", ".npz", ".h5", ".hdf5", ".pt"])
def test_files_go_out_and_come_back(suffix: str, tmp_path: Path) -> None:
    path = write_file(DATA, tmp_path / f"data{suffix}")
    back = read_file(path, "event")
    for name in DATA:
        np.testing.assert_array_equal(back[name], DATA[name])
        assert back[name].dtype == DATA[name].dtype
        assert back[name].dims == DATA[name].dims
    assert list(tmp_path.iterdir()) == [path]


def test_import_and_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_file(DATA, tmp_path / "data.nc")
    assert run("store", "import", str(path), "--sample", "event", "--name", "mine") == 0
    key = capsys.readouterr().out.split()[0]
    out = tmp_path / "out.npz"
    assert run("store", "export", key, str(out), "--start", "1", "--stop", "3") == 0
    with np.load(out) as content:
        np.testing.assert_array_equal(content["mass"], [1, 2])


def test_arrays_that_cannot_be_labelled_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.npz"
    np.savez(path, a=np.zeros(2), b=np.zeros(3))
    with pytest.raises(LabelError, match="the first dimension counts samples in every array"):
        read_file(path)
    np.savez(path)
    with pytest.raises(LabelError, match="holds no arrays"):
        read_file(path)
    with pytest.raises(LabelError, match=r"one of \.nc, \.npz, .*did you mean '\.npz'"):
        read_file(tmp_path / "x.npy")


def test_a_pickle_in_an_npz_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "odd.npz"
    np.savez(path, a=np.array([{"x": 1}], dtype=object))
    with pytest.raises(ValueError, match="a pickle"):
        read_file(path)


def test_the_dashboard_is_found_without_touching_the_import_path() -> None:
    before = list(sys.path)
    app = dashboards.load()
    assert callable(app.serve)
    assert sys.path == before


@pytest.mark.parametrize(
    ("study", "shown"),
    [
        ("events", ["path: Path = ''", "n_events: int = 0", "over the whole grid; 0 is all that",
                    "one of spline_flow, maf", "training.seed: int = 0", "folds: int = 5",
                    "quick, full, tiny"]),
        ("pdf", ["problem: str = 'gaussian'", "mceg", "sizes: list[int] = [100, 300, 1000]"]),
    ],
)  # fmt: skip
def test_help_of_a_study_lists_its_parameters(
    study: str, shown: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("run", "--help", study) == 0
    said = " ".join(capsys.readouterr().out.split())
    for text in shown:
        assert text in said
    assert "store: str" not in said  # --store is the command's


def test_what_a_command_lacks_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "--help") == 0
    assert "presage run STUDY --help lists them" in " ".join(capsys.readouterr().out.split())
    assert run("run", "event", "--help") == 2
    assert "there is no study 'event'; did you mean 'events'" in capsys.readouterr().err
    assert run("generate", "resonance") == 2
    assert "presage generate resonance -n 10000" in capsys.readouterr().err
