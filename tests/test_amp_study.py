"""The study `amp` as a whole: its notebooks at tiny size, what it reports, its commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import amp_toy
from guides import examples, leaves, run
from presage.cli.main import main
from presage.fitting import load
from presage.labels import LabelError
from presage.pipeline import run_study
from presage.pipeline.run import Run
from presage.store import Store, StoreError
from presage.studies.amp import (
    EMBEDDED,
    MEASURES,
    STUDY,
    Aliasing,
    Campaign,
    Training,
    load_teacher,
    read_amplifier,
    write_amplifier,
)
from presage.studies.amp.report import HEARD, averaged


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weight file as a user has one."""
    return write_amplifier(load_teacher("wavenet_tiny"), tmp_path_factory.mktemp("own") / "amp.nam")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, teacher: Path) -> Run:
    """All three notebooks, once, from a weight file whose path is relative."""
    root = tmp_path_factory.mktemp("tiny") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(teacher.parent)
        given = {"teacher": teacher.name}
        (run,) = run_study("amp", preset="tiny", parameters=given, store=root, progress=False)
    return run


@pytest.fixture(scope="module")
def campaign(tiny: Run) -> Campaign:
    """What the notebooks made, from the teacher that comes along and is the same."""
    return Campaign.preset("tiny", store=tiny.store)


def test_the_study_leaves_labelled_products(tiny: Run) -> None:
    found = tiny.store.open(tiny.products["aliasing"])
    assert list(found["system"].values) == [
        "teacher", "teacher_2x", "teacher_4x", "teacher_8x", "student",
    ]  # fmt: skip
    for name in [*MEASURES, "drift"]:
        assert found[name].dims == ("system", "level", "frequency")
        assert found[name].attrs["units"] == "dB"
        assert np.isfinite(found[name]).all()
    assert found["frequency"].attrs["units"] == "Hz"
    assert found["sound"].sizes["time"] == found.attrs["sample_rate"]  # a second
    pending, seen = [tiny.products["aliasing"]], set()
    while pending:
        recipe = tiny.store.find(pending.pop())
        seen.add(recipe.producer)
        pending += [parent.key for parent in recipe.parents]
    assert seen == {"amp", "fit-amp_student", "amp_aliasing"}
    assert seen <= set(STUDY.producers)  # of a raised version the notebooks hear


def test_the_study_leaves_figures_and_a_table(tiny: Run) -> None:
    leaves(tiny, "teacher, 8× sample rate", "NMR-S", "HESR-T", "melody", "student: good in")


def test_the_guide_to_aliasing(tiny: Run, root: Path) -> None:
    (example,) = [e for e in examples(root / "docs/results.md") if "Aliasing(" in e]
    names: dict[str, Any] = {"theirs": tiny.store}
    run(example, {"e51f7a02": tiny.products["aliasing"]}, names)
    assert names["table"].index[-1] == "student"
    assert names["lines"].name == "spectrum"
    assert names["sound"].ndim == 1


def test_nothing_is_trained_on_what_is_held_out(tiny: Run, campaign: Campaign) -> None:
    parts = ("train", "validation", "held_out")
    train, validation, held_out = (set(campaign.tones(p)["bin"].values.tolist()) for p in parts)
    assert not train & validation | train & held_out | validation & held_out
    recipe = tiny.store.find(tiny.products["student"])
    assert {p.key for p in recipe.parents} == {campaign.tones().attrs["presage_key"]}


def said(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    """Run a command of presage; return what it prints, or what it complains about."""
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    captured = capsys.readouterr()
    assert (left.value.code or 0) == status, captured
    return captured.err if status else captured.out


def test_a_student_of_the_command_line_is_that_of_the_notebooks(
    tiny: Run, teacher: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = ("--n-tones", "64", "--epochs", "1", "--length", "4410")
    said(capsys, "train", "amp", "--teacher", str(teacher), *settings)
    student, same = (load(tiny.products["student"], s) for s in (Store(), tiny.store))
    assert student.difference(same) == 0
    written = tmp_path / "student.nam"
    said(capsys, "store", "export", student.key, str(written))
    networks = (a.network(torch.float64) for a in (read_amplifier(written), student.amplifier))
    one, other = (network(torch.sin(torch.arange(500).double())[None])[0] for network in networks)
    assert torch.allclose(one, other, rtol=0, atol=1e-12)
    wrong = said(capsys, "store", "export", student.key, "student.nm", status=2)
    assert "did you mean '.nam'" in wrong


def test_fixed_tones_need_no_number(teacher: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("generate", "amp", "--validation", "--teacher", str(teacher))
    assert "36 made" in said(capsys, *given)
    assert "36 samples found" in said(capsys, *given, "--num-samples", "36", "--seed", "0")


WRONG = {
    "generate amp --config 0": "needs its file: MesaMiniRec_HighGain_DirectOut.json",
    "train amp --config 3": "a standard .nam capture of a Marshall JCM800",
    "generate amp --config 8": "there are 0 Mesa, 1 Goat",
    "generate amp --config 0 --teacher lstm_tiny": "LSTM at 44100 Hz, this file LSTM at 48000 Hz",
    "generate amp --teacher wavenet_tin -n 10": "did you mean 'wavenet_tiny'",
    "generate amp --teacher cut.nam -n 10": "cut.nam: the file is no JSON, or only part of one",
    "generate amp --teacher --validation": "--teacher takes a value",
    "generate amp --teacher lstm_tiny": "how many samples of amp? give -n",
    "train amp --teachr x": "did you mean '--teacher'",
    "train amp amp -n 10": "presage train amp --teacher FILE",
    "train sky --skyy hard": "did you mean '--sky'",
}


@pytest.mark.parametrize("command", WRONG)
def test_what_is_not_kind_is_explained(
    command: str,
    teacher: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cut.nam").write_bytes(teacher.read_bytes()[:500])
    assert WRONG[command] in said(capsys, *command.split(), status=2)


def test_what_was_not_made_names_its_notebook(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="1_teacher makes these tones"):
        Campaign.preset("tiny", store=Store(tmp_path)).tones()
    with pytest.raises(LabelError, match="n_tones should be at least 64"):
        Campaign.preset("tiny", {"n_tones": 3}, store=Store(tmp_path))
    with pytest.raises(LabelError, match="weights from 0 to 1"):
        Training(nmr=(2.0,))


def test_verdict_and_table_are_of_all_students(tiny: Run) -> None:
    report = Aliasing(tiny.store.open(tiny.products["aliasing"]))
    assert report.students == ["student"]
    assert report.table(["audible_aliases"]).shape == (5, 5)
    assert averaged(report.dataset["harmonic_error"]).sizes == {"system": 5}


def test_what_is_heard_is_good_only_with_its_95th_percentile() -> None:
    product = amp_toy.product(1)
    heard = product["audible_aliases"].values  # of 18 tones
    heard[-1] = -40.0
    for worst, is_good in ((-30.0, True), (-5.0, False)):
        heard[-1].flat[:2] = worst
        good, _, short = Aliasing(product).verdict().partition("; short of ")
        found = "NMR-S mean −3" in good, "NMR-S p95" in good, "NMR-S" in short
        assert found == (is_good, is_good, not is_good), worst
    reached = {
        (one.measure, one.statistic): one for one in Aliasing(product).reached("student_nmr10")
    }
    assert reached["ASR", "mean"].aim == float(averaged(product["alias_ratio"])[1])
    assert reached["NMR-S", "p95"].aim == HEARD
    assert "ASR" not in Aliasing(product.isel(system=[0, 3])).verdict()


@pytest.mark.parametrize("name", EMBEDDED)
def test_teachers_come_along(name: str) -> None:
    assert load_teacher(name).architecture.count > 0
