"""What the study says to input that makes no sense, by table; and that sampling always ends."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor

from presage.fitting import FitError
from presage.generate import simulate
from presage.labels import LabelError
from presage.plugins import PluginError
from presage.store import Store
from presage.studies.pdf.gaussian import Gaussian
from presage.studies.pdf.inference import Inference, UntrainedSizeWarning
from presage.studies.pdf.law import Feature, Range
from presage.studies.pdf.problem import Problem
from presage.studies.pdf.problems import PROBLEMS, problem
from presage.studies.pdf.training import Trained, Training
from presage.transforms.tail import UnlikeTrainingWarning

Made = Callable[[xr.Dataset], Any]
EVENTS, SETS = 12, 64
NAMES = [name for name in PROBLEMS if name != "mceg"]


@pytest.fixture(scope="module", params=NAMES)
def case(request: pytest.FixtureRequest) -> tuple[Problem, xr.Dataset]:
    """A problem and a labelled dataset of 3 samples."""
    made = problem(request.param, n_events=EVENTS)
    return made, labelled(made, 3)


def labelled(source: Problem, n: int) -> xr.Dataset:
    """The first samples of a problem, with labels, sets of unequal size cut to one."""
    block = source.block(seed=0, index=0)
    theta, events = block["theta"][:n], block["events"]
    if "event_count" in block:
        events = np.stack([events[:EVENTS]] * n)[:, None]
    names = {c.name: c.variable() for c in source.coordinates}
    return xr.Dataset(
        {
            "theta": (("sample", "parameter"), theta),
            "events": (("sample", "repeat", "event", "feature"), events[:n]),
        },
        coords=names,
        attrs={"presage_sample": "sample"},
    )


def spoilt(array: xr.DataArray, value: float) -> xr.DataArray:
    """Put a value into the first place."""
    values = np.array(array.values)
    values.flat[0] = value
    return array.copy(data=values)


def renamed(array: xr.DataArray, dim: str) -> xr.DataArray:
    """Give the coordinate of a dimension the names of some other problem."""
    names = [f"other_{i}" for i in range(array.sizes[dim])]
    return array.drop_vars([n for n, c in array.coords.items() if dim in c.dims]).assign_coords(
        {dim: names}
    )


#: What is wrong with theta → how it is made, and what the error says.
THETA: dict[str, tuple[Made, str]] = {
    "NaN": (lambda d: spoilt(d["theta"], np.nan), "theta holds numbers that are not finite"),
    "infinite": (lambda d: spoilt(d["theta"], np.inf), "theta holds numbers that are not finite"),
    "above the prior": (lambda d: spoilt(d["theta"], 1e3), r"= 1000 is outside the prior \["),
    "below the prior": (lambda d: spoilt(d["theta"], -1e3), r"= -1000 is outside the prior \["),
    "of another problem": (
        lambda d: renamed(d["theta"], "parameter"), "has the parameters .* of another problem",
    ),
    "one too few": (lambda d: d["theta"].values[:, 1:], r"expected \d parameters \(.* got shape"),
    "without names": (
        lambda d: d["theta"].rename(parameter="p"), "expected a dimension 'parameter', got dims",
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", THETA)
def test_theta(case: tuple[Problem, xr.Dataset], wrong: str) -> None:
    own, data = case
    make, message = THETA[wrong]
    with pytest.raises(LabelError, match=message):
        own.check_theta(make(data))


#: What is wrong with events → how it is made, and what the error says.
SETS_OF_EVENTS: dict[str, tuple[Made, str]] = {
    "NaN": (lambda d: spoilt(d["events"], np.nan), "1 values of .* are not finite"),
    "infinite": (lambda d: spoilt(d["events"], np.inf), "1 values of .* are not finite"),
    "of another problem": (
        lambda d: renamed(d["events"], "feature"), "has the features .* of another problem",
    ),
    "one feature too many": (
        lambda d: np.concatenate([d["events"].values] * 2, -1), r"expected \d features \(",
    ),
    "without events": (
        lambda d: d["events"].rename(event="e"), "expected a dimension 'event', got dims",
    ),
    "without features": (
        lambda d: d["events"].rename(feature="f"), "expected a dimension 'feature', got dims",
    ),
    "one event": (lambda d: d["events"].values[0, 0, 0], "empty; give at least one event"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", SETS_OF_EVENTS)
def test_events(case: tuple[Problem, xr.Dataset], wrong: str) -> None:
    own, data = case
    make, message = SETS_OF_EVENTS[wrong]
    with pytest.raises(LabelError, match=message):
        own.check_events(make(data))


def test_an_empty_set(case: tuple[Problem, xr.Dataset]) -> None:
    own, data = case
    if own.empty_sets:  # to have seen nothing is an observation there
        assert own.check_events(data["events"].isel(event=slice(0, 0))).numel() == 0
        return
    with pytest.raises(LabelError, match="a set of events is empty; give at least one event"):
        own.check_events(data["events"].isel(event=slice(0, 0)))


def test_events_beyond_the_support(case: tuple[Problem, xr.Dataset]) -> None:
    own, data = case
    bounded = [f for f in own.features if np.isfinite(f.lower)]
    for feature in bounded:
        changed = data["events"].copy(deep=True)
        changed.loc[{"feature": feature.name, "event": 1}] = feature.lower - 1
        with pytest.raises(LabelError, match=rf"{feature.name} should lie in \["):
            own.check_events(changed)
    assert bounded or own.name == "gaussian"


@pytest.mark.parametrize("name", ["realistic_dis", "realistic_dis_events"])
def test_theta_where_the_prior_is_zero(name: str) -> None:
    own = problem(name)
    theta = own.low + (own.high - own.low) / 2
    theta[4:] = -5.0  # 1 + c x + d x^2 is negative near x = 1
    with pytest.raises(LabelError, match="c = -5, d = -5 is unphysical, where the prior is zero"):
        own.check_theta(theta)
    assert own.log_prior(theta) == -np.inf


def test_a_score_checks_both(case: tuple[Problem, xr.Dataset]) -> None:
    own, data = case
    with pytest.raises(LabelError, match="is outside the prior"):
        own.score(data.assign(theta=spoilt(data["theta"], 1e3)))
    with pytest.raises(LabelError, match="are not finite"):
        own.score(data.assign(events=spoilt(data["events"], np.nan)))


#: Settings of a problem → what the error says.
SETTINGS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("gausian", {}, "did you mean 'gaussian'"),
    ("gaussian", {"n_event": 5}, "no setting 'n_event'; did you mean 'n_events'"),
    ("gaussian", {"n_events": 0}, "n_events should be at least 1, got 0"),
    ("gaussian", {"n_events": 1.5}, "n_events should be at least 1, got 1.5"),
    ("gaussian", {"n_repeat": -1}, "n_repeat should be at least 1, got -1"),
    ("gaussian", {"n_repeat": True}, "n_repeat should be at least 1, got True"),
    ("gaussian", {"towards_edges": 1.0}, "to below 1, got 1.0"),
    ("gaussian", {"towards_edges": "half"}, "to below 1, got 'half'"),
    ("gaussian", {"device": "cpy"}, "no device 'cpy'; did you mean 'cpu'"),
    ("simplified_dis", {"box": "valance"}, "did you mean 'valence'"),
)


@pytest.mark.parametrize(("name", "settings", "message"), SETTINGS)
def test_settings(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises((LabelError, PluginError), match=message):
        problem(name, **settings)


def test_sets_that_do_not_fit_their_counts() -> None:
    own = Gaussian()
    data = xr.Dataset(
        {
            "theta": (("sample", "parameter"), np.full((2, 5), 0.5)),
            "events": (("event", "feature"), np.zeros((7, 2))),
            "event_count": ("sample", [3, 5]),
        }
    )
    with pytest.raises(LabelError, match="2 sets of 8 events together, but 2 theta and 7 events"):
        own.score(data)


# -- models -------------------------------------------------------------------------------


class Ready(NamedTuple):
    """A trained model, and sets to ask it about."""

    inference: Inference
    trained: Trained
    data: xr.Dataset


def train(source: Problem, store: Store, seed: int = 0) -> tuple[Trained, xr.Dataset]:
    data = simulate(source, SETS, store=store, progress=False)
    training = Training(
        hidden=(8,), seeds=1, encoder_epochs=1, encoder_batch=32, smallest=2, sizes=(6,),
        head=(8,), flow_hidden=(8,), bins=4, epochs=1, batch_size=32, validation=0.25, seed=seed,
    )  # fmt: skip
    with warnings.catch_warnings():  # of read-only arrays, which is the training's business
        warnings.simplefilter("ignore", UserWarning)
        return training.fit(data, store, progress=False), data


#: What is trained in a second is poor, which tests/test_pdf_training.py looks at.
pytestmark = pytest.mark.filterwarnings("ignore:the estimate of")


@pytest.fixture(scope="module")
def ready(store: Store) -> Ready:
    trained, data = train(Gaussian(EVENTS), store)
    return Ready(Inference(Gaussian(), trained.encoder, trained.posterior), trained, data)


def one_set(ready: Ready) -> xr.DataArray:
    return ready.data["events"].isel(sample=0, repeat=0)


def gap(ready: Ready) -> xr.DataArray:
    """A set whose third event is missing."""
    sets = ready.data["events"].isel(repeat=0)
    values = np.array(sets.values)
    values[0, 2] = np.nan
    return sets.copy(data=values)


Ask = Callable[[Ready], Any]
#: What is asked → of the trained model, and what the error says.
ASKED: dict[str, tuple[Ask, str]] = {
    "no labels": (lambda r: r.inference.sample(one_set(r).values, 5), "labelled xarray.DataArray"),
    "no draws": (lambda r: r.inference.sample(one_set(r), 0), "at least 1; got 0"),
    "an empty set": (
        lambda r: r.inference.sample(one_set(r).isel(event=slice(0, 0)), 5), "is empty",
    ),
    "no sets": (
        lambda r: r.inference.sample(r.data["events"].isel(sample=slice(0, 0), repeat=0), 5),
        "there is no set of events",
    ),
    "NaN": (lambda r: r.inference.sample(spoilt(one_set(r), np.nan), 5), "x are not finite"),
    "text": (
        lambda r: r.inference.sample(one_set(r).astype(str), 5),
        "events should be numbers, got <U",
    ),
    "a gap within a set": (lambda r: r.inference.sample(gap(r), 5), "are not finite"),
    "a set of nothing but NaN": (
        lambda r: r.inference.sample(r.data["events"].isel(repeat=0) * np.nan, 5), "is empty",
    ),
    "other features": (
        lambda r: r.inference.sample(renamed(one_set(r), "feature"), 5), "of another problem",
    ),
    "no dimension of events": (
        lambda r: r.inference.sample(one_set(r).rename(event="e"), 5), "dimension 'event'",
    ),
    "theta without labels": (
        lambda r: r.inference.log_prob(np.zeros(5), one_set(r)), "a dimension 'parameter'",
    ),
    "theta of another problem": (
        lambda r: r.inference.log_prob(renamed(r.data["theta"], "parameter"), one_set(r)),
        "of another problem",
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", ASKED)
def test_what_a_model_is_asked(ready: Ready, wrong: str) -> None:
    ask, message = ASKED[wrong]
    with pytest.raises(LabelError, match=message):
        ask(ready)


def test_sets_of_a_size_that_it_does_not_know(ready: Ready) -> None:
    sets = ready.data["events"].isel(repeat=0)
    many = xr.concat([sets] * 8, "event")
    unlike = pytest.warns(UnlikeTrainingWarning, match="events are repeats of others")
    with unlike, pytest.warns(UntrainedSizeWarning, match=r"96 events; trained: 6 to 12"):
        ready.inference.sample(many.isel(sample=0), 5)


def test_outside_the_prior_the_density_is_zero(ready: Ready) -> None:
    theta = ready.data["theta"].isel(sample=slice(0, 3)).rename(sample="draw")
    theta = theta.copy(data=np.where(np.eye(3, 5, 1) > 0, [[1], [100], [1]], theta.values))
    found = ready.inference.log_prob(theta, one_set(ready))
    assert np.isneginf(found.values).tolist() == [False, True, False]


@dataclass(frozen=True)
class Shifted(Gaussian):
    """The same events, another prior."""

    name = "shifted"

    @property
    def prior(self) -> tuple[Range, ...]:
        first, *rest = super().prior
        return (Range(first.name, -3.0, 1.0), *rest)


@dataclass(frozen=True)
class Renamed(Gaussian):
    """The same prior, events with other features."""

    name = "renamed"

    @property
    def features(self) -> tuple[Feature, ...]:
        return Feature("u"), Feature("v")


def test_a_model_of_another_problem(ready: Ready) -> None:
    encoder, posterior = ready.trained.encoder, ready.trained.posterior
    for other, message in (
        (Shifted(), r"encoder was trained for mu_x in \[-2, 2\].*shifted has mu_x in \[-3, 1\]"),
        (Renamed(), "encoder reads the features x, y; renamed has u, v"),
        (problem("simplified_dis"), "simplified_dis has a_up in"),
    ):
        with pytest.raises(FitError, match=message):
            Inference(other, encoder, posterior)
    with pytest.raises(FitError, match="encoder is a FittedPosterior, not a FittedEncoder"):
        Inference(Gaussian(), posterior, posterior)


def test_a_posterior_of_another_encoder(ready: Ready, store: Store) -> None:
    other, _ = train(Gaussian(EVENTS), store, seed=1)
    with pytest.raises(FitError, match="features were not made by the encoder"):
        Inference(Gaussian(), other.encoder, ready.trained.posterior)


# -- sampling ends ------------------------------------------------------------------------


@dataclass(frozen=True)
class Nowhere(Gaussian):
    """A problem whose prior is zero everywhere, or says so of what it is asked."""

    name = "nowhere"

    def physical(self, theta: Tensor) -> Tensor:
        return torch.zeros(theta.shape[:-1], dtype=torch.bool)


def test_a_prior_that_is_nowhere_positive() -> None:
    with pytest.raises(LabelError, match="of 128000 points of the box 0 are physical"):
        Nowhere().block(seed=0, index=0)


def test_a_posterior_that_is_nowhere_physical(ready: Ready) -> None:
    lost = Inference(Nowhere(), ready.trained.encoder, ready.trained.posterior)
    with pytest.raises(FitError, match="of 100 draws for this set 0 are physical"):
        lost.sample(one_set(ready), 5)


@pytest.mark.parametrize("far", [1e3, 1e12, 3e37])
def test_sets_far_from_all_that_was_seen(ready: Ready, far: float) -> None:
    """Either draws stay in the box with a finite density, or it is said that there are none."""
    events = one_set(ready) * np.float32(far)
    warned = pytest.warns(UnlikeTrainingWarning, match="unlike any that the model")
    if far > 1e3:
        refused = pytest.raises(
            FitError, match=r"no finite answer for this set; its events|hardly anything to do"
        )
        with warned, refused:
            ready.inference.sample(events, 50)
        return
    with warned:
        drawn = ready.inference.sample(events, 50)
    low, high = drawn["parameter_low"], drawn["parameter_high"]
    assert bool(((drawn["theta"] >= low) & (drawn["theta"] <= high)).all())
    assert np.isfinite(drawn["log_prob"]).all()


#: What is wrong with training data → how it is made, and what the error says.
TRAINING: dict[str, tuple[Made, str]] = {
    "no events": (lambda d: d.drop_vars("events"), "'events'"),
    "no theta": (lambda d: d.drop_vars("theta"), "'theta'"),
    "no ranges": (lambda d: d.drop_vars("parameter_low"), "'parameter_low'"),
}


@pytest.mark.parametrize("wrong", TRAINING)
def test_what_is_trained_from(ready: Ready, wrong: str) -> None:
    make, message = TRAINING[wrong]
    with pytest.raises(LabelError, match=message):
        Training().encoder_model.prepare(make(ready.data))


def test_training_from_what_is_not_finite(ready: Ready, store: Store) -> None:
    adopted = store.adopt(
        ready.data.assign(events=spoilt(ready.data["events"], np.nan)), "gap", sample="sample"
    )
    with pytest.raises((LabelError, FitError), match=r"finite|NaN"):
        Training(encoder_epochs=1, smallest=2).fit_encoder(adopted, store, progress=False)
