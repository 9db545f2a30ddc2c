"""What the notebooks of study `events` can train: every model by name, alone or in ensembles."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from presage.fitting import Settings, fit, settings_for
from presage.fitting.schedules import make_schedule
from presage.generate import simulate
from presage.labels import LabelError
from presage.models import MAF, Ensemble, SplineFlow, model
from presage.models.ensemble import SINGLE
from presage.models.training import training
from presage.plugins import PluginError
from presage.store import Store
from presage.studies.events import Resonance, Training

SINGLES = list(SINGLE)


@pytest.mark.parametrize("name", SINGLES)
def test_every_model_takes_the_settings_it_has(name):
    given = {"bins": 5} if hasattr(model(name), "bins") else {}
    alone = Training(model=name, hidden=(8,), **given).specification
    assert alone.name == name
    assert alone.hidden == (8,)
    assert getattr(alone, "bins", 5) == 5
    assert getattr(alone, "layers", 0) == getattr(model(name), "layers", 0)
    assert Training.preset("tiny", model=name).specification.hidden == (16,)
    ensemble = Training(model=name, hidden=(8,), members=3, **given).specification
    assert isinstance(ensemble, Ensemble)
    assert ensemble.members == 3
    assert ensemble.member == alone


def test_layers_are_the_models_own_unless_given():
    assert Training().specification == SplineFlow(layers=1)
    assert Training(model="maf").specification == MAF()
    assert Training(model="maf", hidden=(64, 64)).specification == MAF(hidden=(64, 64))
    assert Training(model="maf", layers=2).specification.layers == 2
    assert Training.preset("tiny", model="maf").specification == MAF(hidden=(16,))


def test_fedhex_schedule_is_the_formula_of_keras():
    """(lr0 - lr1) (1 - step / length)^0.5 + lr1, length = 100 ceil(step / 100)."""
    settings = Settings(**Training(schedule="fedhex", learning_rate=1e-3)._settings())
    factor = make_schedule(settings.schedule, 10_000)
    for step in (0, 1, 50, 99, 100, 101, 150, 200, 201, 999, 5_001):
        length = 100 * max(1, math.ceil(step / 100))
        expected = (1e-3 - 1e-4) * (1 - step / length) ** 0.5 + 1e-4
        assert 1e-3 * factor(step) == pytest.approx(expected, rel=1e-12)


def test_what_is_not_given_is_not_set():
    assert Training()._settings() == {}
    assert Training(schedule="cosine", ema=0.99)._settings() == {"schedule": "cosine", "ema": 0.99}


@pytest.mark.parametrize("name", [*SINGLES, "ensemble"])
def test_the_verb_and_the_notebook_give_one_key(name, tmp_path):
    """`ps.fit(SplineFlow(), train)` is what the notebooks train with their own defaults."""
    which = {"members": 4} if name == "ensemble" else {"model": name}
    notebook = Training(**which)
    store = Store(tmp_path)
    train = simulate(Resonance.on_grid(2, 2), 400, store=store, progress=False)
    spec = model(name)
    assert notebook.specification == spec
    settings = settings_for(spec, train)
    assert settings == settings_for(notebook.specification, train, **notebook._settings())
    assert settings.batch_size == 32
    if name == "mixture_density":
        part = SimpleNamespace(train=train, store=store)
        few = replace(notebook, epochs=1)
        assert few.fit(part, progress=False).key == (
            fit(spec, train, epochs=1, store=store, progress=False).key
        )


def test_steps_grow_slower_than_the_events():
    """And every batch leaves several steps to an epoch, also of very few events."""
    before = 0
    for events in (30, 500, 5_000, 48_500, 10**6, 10**8):
        chosen = training(xr.Dataset({"x": ("event", np.broadcast_to(0.0, events))}))
        steps = chosen["epochs"] * events // chosen["batch_size"]
        assert before < steps < 50_000
        assert chosen["batch_size"] <= events / 8
        before = steps
    assert chosen["batch_size"] == 8192


WRONG = {
    "unknown model": ({"model": "spline_flo"}, "did you mean 'spline_flow'"),
    "unknown member": ({"model": "realnpv", "members": 2}, "did you mean 'realnvp'"),
    "no members": ({"members": 0}, "members should be at least 1, got 0"),
    "no such setting": (
        {"model": "maf", "bins": 5},
        "maf has no setting 'bins'; there is",
    ),
    "of no member": (
        {"model": "mixture_density", "layers": 2, "members": 2},
        "no setting 'layers'",
    ),
    "ensemble as member": ({"model": "ensemble"}, "give that as model"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_named(given, message):
    with pytest.raises((LabelError, PluginError), match=message):
        _ = Training(**given).specification
