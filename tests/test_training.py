"""What the notebooks of study `events` can train: every model by name, alone or in ensembles."""

from __future__ import annotations

import math

import pytest

from presage.fit import Settings
from presage.fit.schedules import make_schedule
from presage.labels import LabelError
from presage.models import MAF, MODELS, Ensemble, MixtureDensity, SplineFlow
from presage.models.ensemble import SINGLE
from presage.studies.events import Training

SINGLES = [name for name in MODELS if name in SINGLE]


@pytest.mark.parametrize("name", SINGLES)
def test_every_model_takes_the_settings_it_has(name):
    alone = Training(model=name, hidden=(8,), bins=5).specification
    assert alone.name == name
    assert alone.hidden == (8,)
    assert getattr(alone, "bins", 5) == 5
    assert getattr(alone, "layers", 0) == getattr(SINGLE[name](), "layers", 0)
    ensemble = Training(model=name, hidden=(8,), bins=5, members=3).specification
    assert isinstance(ensemble, Ensemble)
    assert ensemble.members == 3
    assert ensemble.member == alone


def test_layers_are_the_models_own_unless_given():
    assert Training().specification == SplineFlow(layers=1)
    assert Training(model="maf").specification == MAF(hidden=(64, 64), layers=10)
    assert Training(model="maf", layers=2).specification.layers == 2
    assert Training(model="mixture_density", layers=2).specification == MixtureDensity()


def test_fedhex_schedule_is_the_formula_of_keras():
    """(lr0 - lr1) (1 - step / length)^0.5 + lr1, length = 100 ceil(step / 100)."""
    settings = Settings(**Training(schedule="fedhex", learning_rate=1e-3)._settings())
    factor = make_schedule(settings.schedule, 10_000)
    for step in (0, 1, 50, 99, 100, 101, 150, 200, 201, 999, 5_001):
        length = 100 * max(1, math.ceil(step / 100))
        expected = (1e-3 - 1e-4) * (1 - step / length) ** 0.5 + 1e-4
        assert 1e-3 * factor(step) == pytest.approx(expected, rel=1e-12)


def test_the_default_schedule_is_that_of_stored_models():
    assert Training()._settings()["schedule"] == {"name": "one_cycle", "rise": 0.1, "start": 0.1}
    assert Training(schedule="cosine")._settings()["schedule"] == "cosine"


WRONG = {
    "unknown model": ({"model": "spline_flo"}, "did you mean 'spline_flow'"),
    "unknown member": ({"model": "realnpv", "members": 2}, "did you mean 'realnvp'"),
    "no members": ({"members": 0}, "1 is a network alone"),
    "ensemble as member": ({"model": "ensemble"}, "give that as model"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_named(given, message):
    with pytest.raises(LabelError, match=message):
        _ = Training(**given).specification
