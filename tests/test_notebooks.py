"""The notebooks at tiny size: by `run_study`, from ROOT files, the examples by papermill."""

from __future__ import annotations

import ast
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import papermill
import pytest

from guides import examples, leaves, run
from presage.analysis.residuals import Residuals
from presage.generate import simulate
from presage.labels import LabelError
from presage.pipeline import run_study
from presage.pipeline.run import Run
from presage.store import Store
from presage.studies.events import (
    STUDY,
    Campaign,
    Resonance,
    RootReader,
    Training,
    write_root,
)

#: What is none of the preset, of the training and of the evaluation: a figure of merit too.
GIVEN = {"hidden": (12,), "metrics": ("residuals_toy:tail_share",)}
NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*/*.ipynb"))


def names(paths: Sequence[Path]) -> list[str]:
    return [path.stem for path in paths]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_notebooks_are_committed_clean(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert notebook.metadata["kernelspec"]["name"] == "python3"
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in code) == 1
    assert sum(len(cell.source.splitlines()) for cell in code) <= 80
    for cell in code:
        ast.parse(cell.source)
    # A sentence before each step, none of them empty.
    assert sum(cell.cell_type == "markdown" for cell in notebook.cells) >= 3


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All six notebooks, once: the four of every run, and the two that refine it."""
    root = tmp_path_factory.mktemp("tiny") / "store"
    given = {"refine": 2, "folds": 2, **GIVEN}
    (run,) = run_study("events", preset="tiny", parameters=given, store=root, progress=False)
    return run


def test_the_study_leaves_labelled_products(tiny: Run) -> None:
    store, products = tiny.store, tiny.products
    events = store.open(products["events"])
    assert events.sizes["event"] == 4_000
    assert events["phi_mass"].attrs["units"] == "GeV"
    residuals = store.open(products["residuals"])
    assert {"reference", "flow", "morphing", "nearest", "floor"} <= set(residuals["source"].values)
    assert residuals["held_out"].values.sum() == 2
    assert np.isfinite(residuals["w1_over_std"].sel(source="flow")).all()
    tail = residuals["tail_share"]
    assert tail.attrs["long_name"] == "Share of events beyond the reference's 99 % quantile"
    assert tail.attrs["best"] == 0.01
    told = Residuals(residuals).summary()
    assert {"tail_share", "ks"} < set(told.index.get_level_values("metric"))
    assert 0 < float(tail.sel(source="floor").mean()) < 0.02
    assert store.find(products["fit"]).fields["model"]["hidden"] == (12,)
    inside = residuals["below_bound"].sel(source=["reference", "floor", "flow"])
    assert (inside == 0).all()  # morphing does leak below the bounds
    # Everything says where it came from, up to the simulated events.
    key, seen = products["residuals"], set()
    pending = [key]
    while pending:
        recipe = store.find(pending.pop())
        seen.add(recipe.producer)
        pending += [parent.key for parent in recipe.parents]
    assert seen == {"residuals", "flow_sample", "fit-spline_flow", "resonance"}


def test_the_study_leaves_figures_and_a_table(tiny: Run) -> None:
    leaves(tiny, "W1/std", "morphing", "AUC", "verdict")


def test_the_guide_to_results(
    tiny: Run, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A colleague's store, the numbers of one label, and a product without presage."""
    monkeypatch.chdir(tmp_path)
    fit, product = tiny.products["fit"], tiny.products["residuals"]
    instead = {
        "/data/colleague/store": str(tiny.store.root),
        "7665f1d2": fit[:8],
        "2d0ea644908f8d80": product[:16],
        "2d0ea644": product[:8],
    }
    names: dict[str, Any] = {}
    store, numbers, *_, plain = examples(root / "docs/results.md")
    for example in (store, numbers, plain):
        run(example, instead, names)
    assert names["frame"].columns.tolist() == ["phi_label", "omega_label", "phi_mass", "omega_mass"]
    assert "phi_mass, omega_mass at phi_label 1423.75 to 5410" in repr(names["flow"])
    assert {"residual.pdf", "mine.pdf"} <= {path.name for path in tmp_path.iterdir()}
    model, here = names["model"], names["here"]
    np.testing.assert_allclose(model["density"], names["density"], rtol=1e-6)
    np.testing.assert_array_equal(model["low"], here["edges"].values[:-1])
    dataset = names["results"].dataset
    number = int(here["label"])
    expected = dataset["bin_pull"].sel(source="flow", variable="phi_mass").isel(label=number)
    np.testing.assert_array_equal(model["pull"], expected)
    assert names["truth"]["pull"].isna().all()
    chosen = {"source": "floor", "variable": "omega_mass"}
    floor = dataset["ks"].isel(label=number).sel(chosen)
    assert names["merit"].loc[("floor", "omega_mass"), "ks"] == float(floor)
    assert names["results"].metrics(number).equals(names["merit"])
    with pytest.raises(LabelError, match="the closest is"):
        names["results"].histograms((1.0, 1.0))


def test_a_refined_run_from_notebook_to_summary(tiny: Run) -> None:
    assert [step.record.step for step in tiny.steps][4:] == ["5_where_it_fails", "6_refine"]
    data = tiny.store.open(tiny.products["refinement"])
    assert data["added"].sum("place").values.tolist() == [0, 2, 2]
    assert set(tiny.steps[5].figures) == {"gain"}
    assert "with 2 chosen labels simulated" in tiny.summary()
    # A refined run is found again by the key of what it made, with all its steps.
    given = {"preset": "tiny", "store": tiny.store, "progress": False}
    (again,) = run_study("events", from_key=tiny.products["refinement"], **given)
    assert [step.skipped for step in again.steps] == [True] * 6


def test_a_second_run_has_nothing_to_do(tiny: Run) -> None:
    (again,) = run_study(
        "events", preset="tiny", parameters=GIVEN, store=tiny.store, progress=False
    )
    assert [step.skipped for step in again.steps] == [True] * 4


def test_a_grid_of_root_files_runs_through_the_same_notebooks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of them as it is run, and what the others call."""
    grid = Resonance.on_grid(4, 4, weights="equal")
    events = simulate(grid, 16 * 200, store=Store(tmp_path / "made"))
    write_root(events, tmp_path / "grid", distractors=0.2)
    monkeypatch.chdir(tmp_path)  # the notebooks run in a folder of their own
    given: dict[str, Any] = {"source": "root", "path": "grid", "n_events": 0}
    first = replace(STUDY, notebooks=("1_generate",))
    (run,) = run_study(
        first, preset="tiny", parameters=given, store=tmp_path / "store", progress=False
    )
    read = run.store.open(run.products["events"])
    assert read.attrs["presage_producer"] == RootReader.name
    assert read.sizes["event"] == 16 * 200
    campaign = Campaign.preset("tiny", given, store=run.store)
    fitted = Training.preset("tiny", {}).fit(campaign)
    residuals = campaign.residuals(fitted, 2_000).dataset
    assert residuals.attrs["floor"] == "law"  # files give no second sample
    assert residuals["held_out"].values.all()


def test_a_run_starts_from_what_files_hold_and_not_from_where_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    grid = Resonance.on_grid(2, 2, weights="equal")
    events = simulate(grid, 4 * 60, store=Store(tmp_path / "made"))
    write_root(events, tmp_path / "grid")
    toml = 'files = "grid"\nlayout = "fedhex"\nmin_events = 1\n'
    Path("grid.toml").write_text(toml)

    def start(path: str = "grid.toml") -> dict[str, str]:
        return Campaign(Store(tmp_path / "store"), source="root", path=path).inputs()

    before = start()
    for file in Path("grid").rglob("*.root"):
        os.utime(file)
    assert start() == before
    Path("elsewhere").mkdir()
    shutil.copytree("grid", "elsewhere/grid")
    shutil.copy("grid.toml", "elsewhere/grid.toml")
    assert start("elsewhere/grid.toml") == before
    Path("grid.toml").write_text(toml.replace("= 1", "= 2"))
    assert start() != before
    Path("grid.toml").write_text(toml)
    assert start() == before
    first, *_ = sorted(Path("grid").rglob("*.root"))
    first.write_bytes(first.read_bytes() + b"\0")
    assert start() != before
    with pytest.raises(ValueError, match=r"nowhere"):
        start("nowhere.toml")


@pytest.mark.parametrize(
    ("study", "parameter", "value", "message"),
    [
        (
            "events",
            "model",
            "quux",
            "no model 'quux'; there is amp_capture, amp_student, coupling_spline, ensemble, maf",
        ),
        ("events", "source", "rot", "no source 'rot'; did you mean 'root'"),
        ("events", "source", "root", "needs path="),
        ("events", "path", "nowhere", "nowhere"),
        ("events", "epochs", "-3", "epochs must be a whole number of at least 1, got -3"),
        ("events", "epochs", "5,-1", "epochs must be a whole number of at least 1, got -1"),
        ("events", "learning_rate", "-1", "learning_rate must be above 0"),
        ("events", "schedule", "one", "no schedule 'one'"),
        ("events", "grid", "[4, -4]", "-4"),
        ("events", "n_events", "-1", "n_events should be at least 0, got -1"),
        ("events", "n_truth", "0", "n_truth should be at least 1, got 0"),
        ("events", "members", "0", "members should be at least 1, got 0"),
        ("pdf", "problem", "gausian", "no problem 'gausian'; did you mean 'gaussian'"),
        ("pdf", "n_events", "0", "n_events should be at least 1, got 0"),
        ("pdf", "training", "slow", "no preset 'slow'"),
        ("pdf", "observation", "10", "observation is the number of one of the 10"),
        ("pdf", "n_draws", "0", "n_draws should be at least 1, got 0"),
    ],
)
def test_values_are_checked_before_the_first_notebook(
    study: str, parameter: str, value: str, message: str, tmp_path: Path
) -> None:
    parameters = {parameter: value} | ({"source": "root"} if parameter == "path" else {})
    store = tmp_path / "out" / "store"
    with pytest.raises(ValueError, match=message):
        run_study(study, parameters=parameters, store=store, progress=False)
    assert not (tmp_path / "out" / "runs").exists()


def test_the_worked_example_on_real_data(tmp_path: Path) -> None:
    path = next(p for p in NOTEBOOKS if p.stem == "dimuon_mass")
    papermill.execute_notebook(
        path,
        tmp_path / "out.ipynb",
        {
            "file": str(path.parent / "data/uproot-Zmumu.root"),
            "epochs": 3,
            "store": os.fspath(tmp_path),
        },
        kernel_name="python3",
        progress_bar=False,
        cwd=path.parent,
    )
    text = (tmp_path / "out.ipynb").read_text()
    assert "500 collisions: 400 to train on, 100 held out" in text
