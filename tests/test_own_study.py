"""What is a user's own goes through the notebooks: simulator, model, problem, study, figures.

All of it lies in modules of a folder from which the command is run, as a user has it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import papermill
import pytest

from presage.labels import LabelError
from presage.pipeline import run_study
from presage.plugins import PluginError
from presage.store import Store
from presage.studies.events import Campaign, Evaluation, Training
from presage.studies.pdf import Campaign as SetCampaign

TOYS = '''
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import presage as ps
from presage.emulation.grid import LabelledSimulator
from presage.models import MixtureDensity
from presage.studies.events import STUDY as EVENTS

@dataclass(frozen=True)
class Clouds(LabelledSimulator):
    """Two columns around their label."""

    labels: tuple = tuple((float(m),) for m in range(1, 9))
    width: float = 0.3

    name: ClassVar[str] = "own_clouds"

    @property
    def parameters(self):
        return (ps.Parameter("m", dtype="float64", lower=0.0, upper=10.0),)

    @property
    def variables(self):
        return (ps.Variable("x"), ps.Variable("y"))

    def simulate(self, theta, rng):
        m = theta["m"]
        x, y = rng.normal(size=(2, len(m)))
        return {"x": (m + self.width * x).astype("f4"), "y": (m + y).astype("f4")}

WIDE = Clouds(width=1.0)

def wider(width=2.0):
    return Clouds(width=width)

@ps.versioned(1)
def ks(reference, events):
    return 0.0

def number(**_):
    return 3

@dataclass(frozen=True)
class Mix(MixtureDensity):
    """One of presage's under a name of its own."""

    name: ClassVar[str] = "own_mix"

STUDY = replace(
    EVENTS, name="clouds", notebooks=("1_generate",), folder=Path(__file__).parent / "own"
)
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder with a module of the user's own, which is the current one; return its name."""
    name = f"own_{tmp_path.name}"  # a module of a name is imported once a process
    (tmp_path / f"{name}.py").write_text(TOYS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_source_is_a_class_an_object_or_a_function(folder: str, tmp_path: Path) -> None:
    def width(source: str, **settings: Any) -> float:
        campaign = Campaign(Store(tmp_path), f"{folder}:{source}", settings=settings)
        return campaign.producer.width  # type: ignore[attr-defined,no-any-return]

    assert width("Clouds") == 0.3
    assert width("Clouds", width=0.5) == 0.5
    assert width("WIDE") == 1.0
    assert width("WIDE", width=0.5) == 0.5
    assert width("wider") == 2.0
    assert width("wider", width=0.5) == 0.5
    given = {"source": f"{folder}:Clouds", "settings": "{'width': 0.5}", "weights": "equal"}
    made = Campaign.preset("quick", given, store=Store(tmp_path))
    assert made.inputs() != Campaign(Store(tmp_path), f"{folder}:Clouds").inputs()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": "{}:Cloud"}, "has no 'Cloud'; did you mean 'Clouds'"),
        ({"source": "no_such_module:Cloud"}, "importing no_such_module failed"),
        ({"source": "{}:number"}, "should be or return a Source, got int"),
        ({"source": "{}:Clouds", "settings": {"widht": 1}}, "did you mean 'width'"),
        ({"source": "{}:WIDE", "settings": {"widht": 1}}, "did you mean 'width'"),
        ({"source": "{}:Clouds", "grid": (3,)}, "has labels of its own and no on_grid"),
        ({"source": "resonance", "settings": {"width": 1}}, "resonance has no setting 'width'"),
    ],
)
def test_a_source_that_cannot_be_is_named(
    given: dict[str, Any], message: str, folder: str, tmp_path: Path
) -> None:
    given = {n: v.format(folder) if isinstance(v, str) else v for n, v in given.items()}
    with pytest.raises((LabelError, PluginError), match=message):
        Campaign(Store(tmp_path), **given).inputs()


def test_a_problem_and_a_model_of_ones_own(folder: str, tmp_path: Path) -> None:
    sets = SetCampaign(
        Store(tmp_path), "presage.studies.pdf.gaussian:Gaussian", n_samples=20, n_events=10
    )
    assert sets.inputs() == SetCampaign(Store(tmp_path), n_samples=20, n_events=10).inputs()
    with pytest.raises(LabelError, match="should be or return a Problem, got int"):
        SetCampaign(Store(tmp_path), f"{folder}:number", settings={})
    assert Training(f"{folder}:Mix", hidden=(8,)).specification.name == "own_mix"
    with pytest.raises(PluginError, match="has no 'Mixx'"):
        _ = Training(f"{folder}:Mixx").specification


def test_a_figure_of_merit_is_refused_before_anything_runs(folder: str) -> None:
    for name, message in {"ks": "'ks': the name is taken", "number": "has no version"}.items():
        given = Evaluation(metrics=(f"{folder}:{name}",))
        with pytest.raises((LabelError, PluginError), match=message):
            given.check({})


@pytest.mark.slow
def test_a_study_of_ones_own_from_its_notebook_to_the_residuals(
    folder: str, root: Path, tmp_path: Path
) -> None:
    """The first notebook of `events`, copied, and what the others call."""
    (tmp_path / "own").symlink_to(root / "notebooks/events")
    small = {"n_events": 1_600, "grid": [], "edge": 0, "n_truth": 300, "n_grid": 80}
    given = {**small, "source": f"{folder}:Clouds", "settings": {"width": 0.5}}
    (run,) = run_study(
        f"{folder}:STUDY", preset="tiny", store="store", parameters=given, progress=False
    )
    assert run.store.find(run.products["events"]).producer == "own_clouds"
    record = json.loads((run.steps[0].folder / "record.json").read_text())
    assert record["parameters"]["campaign"]["settings"] == {"width": 0.5}
    assert record["parameters"]["campaign"]["interior"] == 1  # the preset's values, not its name
    campaign = Campaign.preset("tiny", given, store=run.store)
    training = Training.preset("tiny", {"model": f"{folder}:Mix", "epochs": 1, "bins": 0})
    fitted = training.fit(campaign)
    assert fitted.recipe.producer == "fit-own_mix"
    found = campaign.residuals(fitted, 300).dataset
    assert np.isfinite(found["ks"].sel(source="flow")).all()


def test_a_source_of_ones_own_in_plain_papermill(folder: str, root: Path, tmp_path: Path) -> None:
    own = {"source": f"{folder}:wider", "n_events": 800, "grid": []}
    papermill.execute_notebook(
        root / "notebooks/events/1_generate.ipynb", tmp_path / "out.ipynb",
        {"preset": "tiny", "campaign": own, "store": str(tmp_path / "store")},
        kernel_name="python3", progress_bar=False, cwd=str(tmp_path),
    )  # fmt: skip
    assert {entry.producer for entry in Store(tmp_path / "store").list()} == {"own_clouds"}
