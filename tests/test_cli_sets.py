"""The command for sets of events: several problems at once, sizes, training in three ways."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from guides import exit_code as run
from presage.fitting import load
from presage.store import Store
from presage.studies.pdf.gaussian import Gaussian

SMALL = ["--num_samples", "80", "--num_events", "20", "--encoder_batch", "32", "--num_epochs", "1"]
for _name, _value in {"hidden": "[8]", "head": "[8]", "flow_hidden": "[8]", "encoder_epochs": "1",
                      "sizes": "[20]", "smallest": "5"}.items():  # fmt: skip
    SMALL += ["-p", _name, _value]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    """Run a command and return the second word of each line it prints → the first, a key."""
    assert run(*arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    return {line.split()[1]: line.split()[0] for line in lines}


def test_several_problems_in_one_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--num_samples=70", "--num-events", "5", "--n_repeat", "2", "--seed", "4"]
    names = ["gaussian", "simplified_dis"]
    made = printed(capsys, "generate", *names, *sizes, "--output_dir", str(tmp_path / "out"))
    assert list(made) == names
    data = Store(tmp_path / "out").open(made["gaussian"])
    assert dict(data["events"].sizes) == {"sample": 70, "repeat": 2, "event": 5, "feature": 2}
    assert made["gaussian"] == Gaussian(n_events=5, n_repeat=2).recipe(4).key


def test_jobs_share_what_several_problems_need(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["generate", "gaussian", "simplified_dis", "-n", "2500", "--num-events", "5"]
    for job in ("1/2", "0/2"):
        assert run(*command, "--shard", job) == 0
    made = [line.split("  ")[1] for line in capsys.readouterr().out.splitlines()]
    second, first = "made 452 samples, job 1/2", "made 2048 samples, job 0/2"
    assert made == [second, second, first, first]
    assert run(*command) == 0
    assert capsys.readouterr().out.count("2500 samples found") == 2


def test_what_was_found_is_said_and_simulated_again(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["generate", "gaussian", "--num-events", "9", "--num-samples"]
    assert run(*command, "1500") == 0
    assert capsys.readouterr().out.strip().endswith("0 samples found, 1500 made")
    assert run(*command, "2000") == 0
    again = r"1500 samples found, (476|1024) of them simulated again and equal, 500 made$"
    assert re.search(again, capsys.readouterr().out.strip())  # one block, chosen anew each time
    assert run(*command, "2000", "--verify", "0") == 0
    assert capsys.readouterr().out.strip().endswith("2000 samples found, 0 made")


def test_samples_that_are_others_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["generate", "gaussian", "--num-events", "9", "-n", "10"]
    assert run(*command) == 0
    events = Gaussian.events
    monkeypatch.setattr(Gaussian, "events", lambda *args: events(*args) + 1)
    assert run(*command) == 2
    assert "'events' of sample 0 is not what its recipe gives" in capsys.readouterr().err


ERRORS = {
    "a field that is not there": (
        ["generate", "gaussian", "resonance", "-n", "5", "--num-events", "5"],
        "resonance has no setting 'num_events'; there is labels, weights",
    ),
    "a problem that is not there": (["generate", "gausian", "-n", "5"], "mean 'gaussian'?"),
    "a device": (["generate", "gaussian", "-n", "5", "--device", "gpu"], "no device 'gpu'"),
    "a number": (["generate", "gaussian", "-n", "5", "--num-events", "0"], "n_events should be"),
    "an option": (["generate", "gaussian", "--num-sampels", "5"], "--num-samples"),
    "a share": (["generate", "gaussian", "-n", "5", "--verify", "2"], "between 0 and 1, got 2"),
    "a scheduler": (
        ["generate", "gaussian", "-n", "5", "--dask", "nowhere"],
        "no dask scheduler answers at 'nowhere'",
    ),
    "a simulator to train": (["train", "spline_flow", "gausian", "-n", "5"], "mean 'gaussian'?"),
    "a simulator in place of a study": (
        ["train", "mceg", "-n", "5"],
        "mceg is what samples come from; what is trained stands before it: presage train pdf mceg",
    ),
    "a simulator in place of a model": (["train", "resonance"], "train spline_flow resonance"),
    "a study": (["train", "events", "resonance"], "a study that trains nothing as a whole"),
    "a model without data": (["train", "spline_flow"], "train spline_flow from what?"),
    "a size": (["train", "pdf", "gaussian"], "give -n"),
    "a setting": (
        ["train", "pdf", "gaussian", "-n", "9", "-p", "epoch", "3"],
        "neither pdf nor gaussian has a setting 'epoch'; did you mean 'epochs'?",
    ),
    "a setting's option": (["train", "pdf", "gaussian", "--epoch", "3"], "did you mean '--epochs'"),
    "no value": (["generate", "gaussian", "--n-events"], "--n-events takes a value"),
    "a flag": (["generate", "--rehahs", "gaussian"], "did you mean '--rehash'?"),
}


@pytest.mark.parametrize(("arguments", "text"), ERRORS.values(), ids=ERRORS)
def test_mistakes_are_one_message(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert text in " ".join(capsys.readouterr().err.split())


def test_nothing_is_made_where_one_name_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("generate", "gaussian", "mcegg", "-n", "5", "--num-events", "5") == 2
    assert "did you mean 'mceg'?" in capsys.readouterr().err
    assert Store().list() == []


def test_training_stored_on_the_fly_and_fresh(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stores = {name: str(tmp_path / name) for name in ("stored", "fly", "fresh")}
    command = ["train", "pdf", "gaussian", *SMALL, "--store"]
    stored = printed(capsys, *command, stores["stored"])
    fly = printed(capsys, *command, stores["fly"], "--on_the_fly")
    fresh = printed(capsys, *command, stores["fresh"], "--fresh")
    assert {"encoder", "posterior"} <= set(stored)
    assert fly == stored  # the same keys
    assert fresh["encoder"] != stored["encoder"]
    for name in ("encoder", "posterior"):  # and the same bits
        one, other = (load(stored[name], Store(stores[n])) for n in ("stored", "fly"))
        for weight, value in one.network.state_dict().items():
            np.testing.assert_array_equal(other.network.state_dict()[weight], value)
    assert one.recipe.seed == 0
    made = {n: {entry.producer for entry in Store(at).list()} for n, at in stores.items()}
    assert "gaussian" in made["stored"]
    assert not {"gaussian"} & (made["fly"] | made["fresh"])


def test_options_reach_the_training(capsys: pytest.CaptureFixture[str]) -> None:
    done = printed(capsys, "train", "pdf", "gaussian", *SMALL, "--seed", "3")
    encoder = load(done["encoder"])
    training = encoder.recipe.fields["training"]
    assert (training["batch_size"], training["epochs"], encoder.recipe.seed) == (32, 1, 3)
    assert encoder.recipe.parents[0].key == Gaussian(n_events=20).recipe(3).key
