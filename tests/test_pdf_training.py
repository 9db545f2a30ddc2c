"""From stored sets to a posterior: pooled features, training, and inference with labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from presage.fitting import FitError, fit
from presage.generate import simulate
from presage.labels import LabelError
from presage.lineage import recipe_of
from presage.models import SetEncoder
from presage.studies.pdf.correction import PoorEstimateWarning
from presage.studies.pdf.features import PooledFeatures
from presage.studies.pdf.gaussian import Gaussian
from presage.studies.pdf.inference import Inference, UntrainedSizeWarning
from presage.studies.pdf.problems import problem as build
from presage.studies.pdf.training import PRESETS, Training
from presage.transforms.tail import UnlikeTrainingWarning

#: What is trained in a second is poor, which a test of its own looks at.
pytestmark = pytest.mark.filterwarnings("ignore:the estimate of")
TINY = Training(
    hidden=(8,), seeds=1, encoder_epochs=2, smallest=4, sizes=(4, 10), per_size=2, head=(16,),
    flow_hidden=(8,), bins=4, views=0, epochs=3, batch_size=32,
)  # fmt: skip


@pytest.fixture(scope="module")
def sets(store):
    return simulate(Gaussian(n_events=20, n_repeat=2), 80, store=store, progress=False)


@pytest.fixture(scope="module")
def trained(store, sets):
    return TINY.fit(sets, store, progress=False)


@pytest.fixture(scope="module")
def inference(trained):
    return Inference(Gaussian(n_events=20), trained.encoder, trained.posterior)


@pytest.fixture(scope="module")
def observed(store):
    data = simulate(Gaussian(n_events=20), 3, seed=5, store=store, progress=False)
    return data["events"].isel(repeat=0).load()


def test_an_encoder_is_trained_with_the_first_theta_alone(store, sets):
    some, first = replace(TINY, encoder_samples=40), sets.isel(sample=slice(0, 40))
    kept = some.fit_encoder(sets, store, progress=False)
    assert kept.key == TINY.fit_encoder(first, store, progress=False).key
    assert some.pool(sets, kept, store, progress=False).sizes["sample"] == 80


# -- features -----------------------------------------------------------------------------


def test_views_are_disjoint_parts_of_the_stored_sets(trained, sets):
    features, network = trained.features, trained.encoder.network
    assert features["view_events"].values.tolist() == [20, 10, 10, 4, 4] * 2
    one = sets["events"].values[7]
    with torch.no_grad():
        whole = network.summary(network.encode(torch.from_numpy(one.copy())))
    got = features["features"].values[7].reshape(2, 5, -1)
    np.testing.assert_allclose(got[:, 0], whole.numpy(), rtol=1e-4, atol=1e-5)
    # Means over both halves are, on average, those over the whole set.
    means = slice(5, 7)
    np.testing.assert_allclose(
        got[:, 1:3, means].mean(1), got[:, 0, means], rtol=1e-4, atol=1e-5
    )  # fmt: skip
    assert not np.allclose(got[:, 1, means], got[:, 2, means], atol=1e-3)
    np.testing.assert_allclose(10 ** got[0, :, -1], [20, 10, 10, 4, 4], rtol=1e-5)


def test_features_carry_theta_and_say_what_they_were_made_from(trained, sets):
    assert trained.features["theta"].equals(sets["theta"].drop_vars(()))
    assert trained.features["parameter_high"].equals(sets["parameter_high"])
    made_from = {parent.key for parent in recipe_of(trained.features).parents}
    assert made_from == {sets.attrs["presage_key"], trained.encoder.key}


def test_features_of_more_sets_are_appended(trained, store):
    more = simulate(Gaussian(n_events=20, n_repeat=2), 90, store=store, progress=False)
    again = TINY.pool(more, trained.encoder, store, progress=False)
    assert again.sizes["sample"] == 90
    assert again.attrs["presage_key"] == trained.features.attrs["presage_key"]
    assert again["features"][:80].equals(trained.features["features"])


@pytest.mark.parametrize("size", [0, 21])
def test_parts_larger_than_the_sets_are_refused(trained, sets, size):
    with pytest.raises(LabelError, match="between 1 and the 20 stored events"):
        PooledFeatures(sets, trained.encoder, (size,))


def test_sets_of_any_number_of_events_are_trained_and_answered(store):
    """Where the number of events is drawn, features are those of whole sets."""
    problem = build("realistic_dis_events")
    sets = simulate(problem, 24, store=store, progress=False)
    trained = TINY.fit(sets, store, progress=False)
    number = int(np.flatnonzero(sets["event_count"].values)[0])
    first, start = int(sets["event_count"][number]), int(sets["event_count"][:number].sum())
    one = sets["events"][start : start + first]
    got = Inference(problem, trained.encoder, trained.posterior).features(one)
    stored = trained.features["features"].values[number, 0]
    np.testing.assert_allclose(got, stored, rtol=1e-3, atol=1e-4)
    assert 10 ** stored[-1] == pytest.approx(first, rel=1e-4)
    with pytest.raises(LabelError, match="give sizes="):
        PooledFeatures(sets, trained.encoder, (10,))


# -- training -----------------------------------------------------------------------------


def test_training_again_returns_what_is_stored(trained, sets, store):
    again = TINY.fit(sets, store, progress=False)
    assert (again.encoder.key, again.posterior.key) == (trained.encoder.key, trained.posterior.key)


def test_held_out_theta_are_the_same_for_encoder_and_posterior(trained):
    rules = [f.recipe.fields["training"]["validation"] for f in (trained[0], trained[2])]
    assert rules[0] == rules[1] != {}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_make_models(name):
    preset = Training.preset(name)
    assert preset.encoder_model.hidden
    assert preset.posterior_model.bins >= 2


def test_an_unknown_preset_is_refused():
    with pytest.raises(LabelError, match="did you mean 'quick'"):
        Training.preset("quik")


# -- inference ----------------------------------------------------------------------------


def test_draws_are_labelled_and_inside_the_prior(inference, observed):
    drawn = inference.sample(observed, 50, seed=3)
    assert drawn["theta"].dims == ("sample", "draw", "parameter")
    assert drawn["theta"].shape == (3, 50, 5)
    assert drawn["parameter"].values.tolist() == ["mu_x", "mu_y", "sigma_x", "sigma_y", "rho"]
    inference.problem.check_theta(drawn["theta"])
    assert (drawn["acceptance"] == 1).all()
    assert drawn.attrs["encoder"] == inference.encoder.key
    assert drawn["p_value"].dims == ("sample",)
    assert drawn["p_value"].attrs["note"] == "counted among 160 sets of each size"
    assert drawn["p_value"].equals(inference.p_value(observed))


ANSWERS = {
    "sample": lambda inference, events: inference.sample(events, 3),
    "log_prob": lambda inference, events: inference.log_prob(inference.point(events), events),
    "point": lambda inference, events: inference.point(events),
    "p_value": lambda inference, events: inference.p_value(events),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_set_unlike_the_training_is_answered_with_a_warning(inference, observed, name):
    strange = observed.isel(sample=0).copy()
    strange[3] = -999.0
    with pytest.warns(UnlikeTrainingWarning, match="this set is unlike") as caught:
        ANSWERS[name](inference, strange)
    assert all(warning.filename == __file__ for warning in caught)


def test_an_estimate_is_probed_unless_it_is_not_wanted(inference, observed):
    with pytest.warns(PoorEstimateWarning, match="take presage.studies.pdf.reference") as caught:
        drawn = inference.sample(observed, 20)
    assert caught[0].filename == __file__
    assert drawn["efficiency"].dims == ("sample",)
    assert "efficiency" not in inference.sample(observed, 20, probe=False)


def test_draws_carry_the_density_that_log_prob_gives(inference, observed):
    drawn = inference.sample(observed, 40)
    scored = inference.log_prob(drawn["theta"], observed)
    assert scored.dims == ("sample", "draw")
    np.testing.assert_allclose(scored, drawn["log_prob"], atol=2e-3)
    shuffled = inference.log_prob(drawn["theta"].isel(parameter=[4, 2, 0, 1, 3]), observed)
    assert shuffled.equals(scored)


def test_the_estimate_is_a_density_of_the_prior_box(inference, observed):
    rng = np.random.default_rng(0)
    low, high = inference.problem.low.numpy(), inference.problem.high.numpy()
    points = xr.DataArray(
        rng.uniform(low, high, (90_000, 5)),
        dims=("point", "parameter"),
        coords={"parameter": [r.name for r in inference.problem.prior]},
    )
    density = np.exp(inference.log_prob(points, observed.isel(sample=0)).values)
    total = density.mean() * (high - low).prod()
    error = density.std() * (high - low).prod() / 300
    assert total == pytest.approx(1, abs=5 * error)
    assert error < 0.1


def test_the_seed_decides_and_sets_have_numbers_of_their_own(inference, observed):
    one, again, other = (inference.sample(observed, 5, seed=s) for s in (0, 0, 1))
    assert one.identical(again)
    assert not np.allclose(one["theta"], other["theta"])
    same = xr.concat([observed[0], observed[0]], "sample")
    twins = inference.sample(same, 5)["theta"].values
    assert not np.allclose(twins[0], twins[1])


def test_a_set_alone_gives_no_further_dimension(inference, observed):
    alone = inference.sample(observed.isel(sample=1), 7)
    assert alone["theta"].dims == ("draw", "parameter")
    assert inference.point(observed.isel(sample=1)).dims == ("parameter",)


def test_order_of_events_dims_and_features_does_not_matter(inference, observed):
    shuffled = observed.isel(event=np.random.default_rng(0).permutation(20), feature=[1, 0])
    one, other = inference.features(observed), inference.features(shuffled.transpose())
    np.testing.assert_allclose(one, other.transpose(*one.dims), rtol=1e-4, atol=1e-5)


def test_shorter_sets_end_with_nan(inference, observed):
    padded = observed.copy()
    padded[1, 8:] = np.nan
    got = inference.features(padded)
    alone = inference.features(observed.isel(sample=1, event=slice(0, 8)))
    np.testing.assert_allclose(got[1], alone, rtol=1e-4, atol=1e-5)


def test_sizes_that_were_not_trained_are_said(inference, observed):
    with pytest.warns(UntrainedSizeWarning, match="3 events; trained: 4 to 20"):
        inference.point(observed.isel(event=slice(0, 3)))


def _with(array, **changes):
    return array.assign_coords(**changes)


def _hole(array):
    holed = array.copy()
    holed[0, 3, 1] = np.nan
    return holed


def _gap(array):
    holed = array.copy()
    holed[0, 3] = np.nan
    return holed


REFUSED = {
    "unlabelled": (lambda e: e.values, "labelled xarray.DataArray"),
    "no events": (lambda e: e.isel(event=slice(0, 0)), "empty"),
    "no sets": (lambda e: e.isel(sample=slice(0, 0)), "no set of events"),
    "NaN": (_hole, "1 values of y are not finite"),
    "NaN between events": (_gap, "not finite"),
    "features": (lambda e: _with(e, feature=["x", "q2"]), "these are x, q2"),
    "one feature": (lambda e: e.isel(feature=[0]), "these are x"),
    "dims": (lambda e: e.rename(event="point"), "expected a dimension 'event'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_events_that_are_none_of_this_problem_are_refused(inference, observed, name):
    change, message = REFUSED[name]
    with pytest.raises(LabelError, match=message):
        inference.sample(change(observed), 3)


def test_theta_of_another_problem_is_refused(inference, observed):
    wrong = xr.DataArray(np.zeros(2), dims="parameter", coords={"parameter": ["a", "b"]})
    with pytest.raises(LabelError, match="of another problem"):
        inference.log_prob(wrong, observed)
    with pytest.raises(LabelError, match="at least 1"):
        inference.sample(observed, 0)


def test_theta_outside_the_prior_has_no_density(inference, observed):
    theta = inference.point(observed).copy()
    theta[0, 0] = 3.0
    assert inference.log_prob(theta, observed).values[0] == -np.inf


def test_models_that_do_not_belong_together_are_refused(inference, trained, sets, store):
    problem = inference.problem
    with pytest.raises(FitError, match="encoder is a FittedPosterior"):
        Inference(problem, trained.posterior, trained.posterior)
    spec = SetEncoder(hidden=(8,), seeds=1, smallest=4)
    other = fit(spec, sets, epochs=1, batch_size=40, store=store, progress=False)
    with pytest.raises(FitError, match="not made by the encoder"):
        Inference(problem, other, trained.posterior)
    wider = fit(SetEncoder(hidden=(9,), seeds=1), sets, epochs=1, batch_size=40, progress=False)
    with pytest.raises(FitError, match=r"trained on \d+ features"):
        Inference(problem, wider, trained.posterior)
    with pytest.raises(FitError, match="was trained for mu_x"):
        Inference(build("simplified_dis"), trained.encoder, trained.posterior)


# -- straight coordinates -----------------------------------------------------------------


@pytest.fixture(scope="module")
def measured(store):
    """A posterior of a curve, its problem and an observation."""
    problem = build("realistic_dis", n_events=60, n_repeat=2)
    sets = simulate(problem, 160, store=store, progress=False)
    training = replace(
        TINY, seeds=0, regress="F2", place="x", straight="bounded_curve", sizes=(60,), epochs=10,
    )  # fmt: skip
    trained = training.fit(sets, store, progress=False)
    events = simulate(problem, 2, seed=5, progress=False)["events"].isel(repeat=0).load()
    return Inference(problem, trained.encoder, trained.posterior), events, trained


def test_draws_in_straight_coordinates_are_physical_and_have_their_density(measured):
    inference, events, _ = measured
    drawn = inference.sample(events, 300)
    theta = torch.as_tensor(drawn["theta"].values)
    assert torch.isfinite(inference.problem.log_prior(theta)).all()
    density = inference.log_prob(drawn["theta"], events)
    assert (drawn["acceptance"] == 1).all()  # the density ends where the prior does
    np.testing.assert_allclose(density, drawn["log_prob"], atol=2e-3)
    outside = drawn["theta"].isel(draw=0) + xr.DataArray([0, 0, 0, 40.0, 0, 0], dims="parameter")
    assert np.isneginf(inference.log_prob(outside, events)).all()


def test_straight_coordinates_find_a_narrow_posterior_at_once(measured):
    """With 160 theta, delta is known to a hundredth of its range."""
    inference, events, _ = measured
    assert float(inference.sample(events, 300)["theta"].std("draw")[:, 1].max()) < 0.05
