"""The set encoder: what its pooling must not depend on, and what it must know."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from presage.fitting import fit, load
from presage.generate import simulate
from presage.labels import LabelError
from presage.models import SetEncoder, model
from presage.models.inputs import FeatureMap, fit_features, to_scale
from presage.store import Store
from presage.studies.pdf.curve_pool import curve_functions
from presage.studies.pdf.gaussian import Gaussian
from presage.studies.pdf.realistic_dis import RealisticDIS

SMALL = {"hidden": (8, 8), "seeds": 2, "values": 3, "head": (8,), "smallest": 2, "first": 8}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    return store, simulate(Gaussian(n_events=12, n_repeat=2), 96, store=store, progress=False)


@pytest.fixture(scope="module")
def network(shop):
    spec = SetEncoder(**SMALL)
    torch.manual_seed(0)
    return spec.build(spec.prepare(shop[1]).declaration).double().eval()


def sets(rows, events, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, events, 2)))


# -- pooling ------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 3, 7, 50])
def test_features_depend_on_chunks_and_order_by_rounding_only(network, chunk):
    events = sets(3, 50)
    order = torch.from_numpy(np.random.default_rng(1).permutation(50))
    with torch.no_grad():
        whole = network.encode(events, chunk=50)
        assert torch.allclose(network.encode(events[:, order], chunk=chunk), whole, atol=1e-12)


def test_a_streaming_softmax_survives_scores_far_apart(network):
    events = sets(2, 40)
    events[:, 20:] *= 1e4
    with torch.no_grad():
        whole, parts = network.encode(events, chunk=40), network.encode(events, chunk=7)
    assert torch.isfinite(parts).all()
    assert torch.allclose(whole, parts, rtol=1e-10)


@pytest.mark.parametrize("filling", [0.0, 1e6, float("nan")])
def test_what_fills_a_ragged_set_does_not_count(network, filling):
    events, counts = sets(3, 20), [20, 5, 1]
    padded = events.clone()
    mask = torch.arange(20) < torch.tensor(counts)[:, None]
    padded[~mask] = filling
    with torch.no_grad():
        got = network.encode(padded, mask, chunk=4)
        for row, count in enumerate(counts):
            alone = network.encode(events[row : row + 1, :count])
            assert torch.allclose(got[row : row + 1], alone, atol=1e-12)


def test_a_set_without_events_has_features_too(network):
    with torch.no_grad():
        none = network.encode(sets(2, 0))
        masked = network.encode(sets(2, 5), torch.zeros(2, 5, dtype=torch.bool), chunk=2)
    assert torch.equal(none, masked)
    assert none[0, -1] == -1
    assert (none[:, :-1].abs() <= 1e-3).all()  # the least spread that is told from none


def test_means_deviations_and_correlations_are_features(network):
    events = sets(1, 30)
    with torch.no_grad():
        features = network.encode(events)[0].numpy()
    shift, width = (network.inputs.get_buffer(n).numpy() for n in ("shift", "width"))
    x, y = ((events[0].numpy() - shift) / width).T
    wanted = [x.mean(), y.mean(), x.std(), np.corrcoef(x, y)[0, 1], y.std()]
    np.testing.assert_allclose(features[:5], wanted, rtol=1e-10)
    assert features[-1] == pytest.approx(np.log10(30))


def test_a_loss_under_a_mask_has_gradients_without_nan(network):
    padded = torch.full((4, 9, 2), float("nan"), dtype=torch.float64)
    padded[:, :3] = sets(4, 3)
    mask = torch.zeros(4, 9, dtype=torch.bool)
    mask[:, :3] = True
    theta = torch.full((4, 5), 0.6, dtype=torch.float64)
    losses = network.loss({"events": padded, "event_mask": mask, "theta": theta})
    losses.sum().backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert losses.shape == (4,)
    assert all(torch.isfinite(g).all() for g in gradients)
    network.zero_grad()


# -- regression ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def regressing(shop):
    spec = SetEncoder(**SMALL, regress="y", functions=3)
    torch.manual_seed(0)
    return spec.build(spec.prepare(shop[1]).declaration).double().eval()


def test_a_regression_is_least_squares_and_does_not_depend_on_chunks(regressing):
    events = sets(2, 60)
    with torch.no_grad():
        got = regressing.encode(events, chunk=60)
        assert torch.allclose(regressing.encode(events.flip(1), chunk=7), got, atol=1e-9)
        standard = regressing.inputs(events[0])[:, :2]
        part = regressing.regression
        u, y = part._u(standard[:, :1]), standard[:, 1]
        normal = u.T @ u / 60 + 1e-5 * torch.eye(u.shape[1])
        beta = torch.linalg.solve(normal, u.T @ y / 60)
        wanted = part._u(part.get_buffer("places")) @ beta
        rest = 0.5 * (y - u @ beta).square().mean().log()
    curve = got[0, -1 - part.outputs : -1]
    assert torch.allclose(curve[:-1], wanted, atol=1e-6)
    assert float(curve[-1]) == pytest.approx(float(rest), abs=1e-3)


def test_a_regression_finds_a_curve_far_below_the_scatter_of_the_places(regressing):
    x = sets(8, 400)[..., :1]
    noise = 1e-3 * sets(8, 400, seed=1)[..., 1:]
    with torch.no_grad():
        features = regressing.encode(torch.cat((x, 0.3 + 0.5 * x + noise), -1))
    assert float(features[:, -3].std()) < 1e-3  # the curve at the last place
    assert float(features[:, 1].std()) > 1e-2  # the mean of y


def test_gradients_pass_through_a_regression_of_few_events(regressing):
    theta = torch.full((3, 5), 0.4, dtype=torch.float64)
    regressing.loss({"events": sets(3, 2), "theta": theta}).sum().backward()
    weight = regressing.regression.functions[0].weight
    assert torch.isfinite(weight.grad).all()
    assert float(weight.grad.abs().max()) > 0


def test_a_feature_that_is_not_there_cannot_be_fitted(shop):
    with pytest.raises(LabelError, match="no feature 'z' to fit"):
        SetEncoder(**SMALL, regress="z").prepare(shop[1])


# -- curves -------------------------------------------------------------------------------

CURVE = {"hidden": (4,), "seeds": 0, "head": (8,), "smallest": 20, "first": 8, "regress": "F2"}


@pytest.fixture(scope="module")
def curves():
    return simulate(RealisticDIS(n_events=200, n_repeat=2), 12, progress=False).load()


@pytest.fixture(scope="module")
def curving(curves):
    spec = SetEncoder(**CURVE, place="x")
    torch.manual_seed(0)
    return spec.build(spec.prepare(curves).declaration).double().eval()


def test_a_curve_is_least_squares_and_does_not_depend_on_chunks_and_order(curves, curving):
    events = torch.tensor(curves["events"].values[0]).double()
    with torch.no_grad():
        got = curving.encode(events, chunk=200)
        assert torch.allclose(curving.encode(events.flip(1), chunk=37), got, atol=1e-8)
        standard, part = curving.inputs(events[0])[:, :3], curving.regression
        u = curve_functions(standard, part.fitted, "F2", "x") @ part.rotation
    beta = torch.linalg.lstsq(u, standard[:, 2:]).solution[:, 0]
    found = got[0, -1 - part.outputs : -1]
    assert torch.allclose(found[: part.size], beta, atol=1e-4)
    rest = (standard[:, 2] - u @ beta).square().mean().sqrt()
    assert float(found[-1].exp()) == pytest.approx(float(rest), rel=1e-3)
    assert float(rest) * part.fitted["width"][2] == pytest.approx(0.05, rel=0.2)  # of ln F2


def test_the_functions_of_a_curve_are_orthonormal_over_the_training_events(curves, curving):
    events = torch.tensor(curves["events"].values[:8]).double()
    with torch.no_grad():
        columns = curving.regression(curving.inputs(events.reshape(-1, 3))[:, :3]).mean(0)
    row, column = curving.regression.row, curving.regression.column
    assert torch.allclose(columns[: len(row)], (row == column).double(), atol=1e-6)


WRONG_CURVES = {
    "unknown place": ({"regress": "F2", "place": "z"}, "no feature 'z' for a curve"),
    "same feature": ({"regress": "x", "place": "x"}, "no feature 'x' for a curve"),
    "bounds": ({"regress": "F2", "place": "Q2"}, "needs bounds with 0 <= low < high < 1"),
}


@pytest.mark.parametrize("name", WRONG_CURVES)
def test_curves_of_other_features_are_refused(curves, name):
    settings, message = WRONG_CURVES[name]
    with pytest.raises(LabelError, match=message):
        SetEncoder(**{**CURVE, **settings}).prepare(curves)


def test_a_place_without_a_value_is_refused():
    with pytest.raises(LabelError, match="give regress"):
        SetEncoder(place="x")


# -- random sizes -------------------------------------------------------------------------


@pytest.mark.parametrize(("resample", "repeats"), [("subset", False), ("bootstrap", True)])
def test_parts_are_drawn_without_replacement_unless_asked_for(shop, resample, repeats):
    spec = SetEncoder(**SMALL, resample=resample)
    made = spec.build(spec.prepare(shop[1]).declaration)
    events = torch.arange(200.0).view(1, 1, 100, 2).expand(3, 2, 100, 2)
    torch.manual_seed(3)
    sizes, doubles = set(), False
    for _ in range(40):
        chosen, mask = made._choose(events, None)
        assert mask is None
        sizes.add(chosen.shape[1])
        doubles |= len(chosen[0, :, 0].unique()) < chosen.shape[1]
    assert doubles == repeats
    assert min(sizes) >= 2
    assert max(sizes) <= 100
    assert len(sizes) > 15
    assert np.median(sorted(sizes)) < 50  # log-uniform: small sets are as frequent as large ones


def test_a_step_sees_a_bounded_number_of_events(shop):
    spec = SetEncoder(**SMALL, at_once=90)
    made = spec.build(spec.prepare(shop[1]).declaration)
    sizes = [made._choose(torch.zeros(3, 1, 1000, 2), None)[0].shape[1] for _ in range(30)]
    assert 15 < max(sizes) <= 30


def test_sets_stay_whole_where_that_is_asked_for(shop):
    spec = SetEncoder(**SMALL, resample="none")
    made = spec.build(spec.prepare(shop[1]).declaration)
    chosen, _ = made._choose(torch.zeros(3, 2, 100, 2), None)
    assert chosen.shape == (3, 100, 2)


# -- inputs -------------------------------------------------------------------------------


def described(values, scale, lower, upper):
    coords = {
        "feature": ["x"],
        "feature_scale": ("feature", [scale]),
        "feature_lower": ("feature", [lower]),
        "feature_upper": ("feature", [upper]),
    }
    return xr.DataArray(np.asarray(values)[:, None], dims=("event", "feature"), coords=coords)


INPUTS = {
    "linear": ("linear", -np.inf, np.inf, lambda x: x),
    "log": ("log", 0.0, np.inf, np.log),
    "log of a range": ("log", 0.05, 2.0, np.log),
    "log from 2": ("log", -2.0, np.inf, lambda x: np.log(x + 2)),
    "logit": ("logit", 0.0, 2.0, lambda x: np.log(x / (2 - x))),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_are_standardised_on_the_scale_of_the_feature(name):
    scale, lower, upper, function = INPUTS[name]
    values = np.random.default_rng(0).uniform(0.1, 1.9, 500)
    fitted = fit_features(described(values, scale, lower, upper))
    seen = FeatureMap(fitted, products=False)(torch.from_numpy(values[:, None]))
    wanted = function(values)
    wanted = (wanted - wanted.mean()) / wanted.std(ddof=1)
    np.testing.assert_allclose(seen[:, 0].numpy(), wanted, atol=2e-6)


@pytest.mark.parametrize("value", [0.0, 1e-300, 1.0 - 1e-17, 1.0])
def test_the_ends_of_the_support_stay_finite(value):
    fitted = fit_features(described([0.2, 0.7], "logit", 0.0, 1.0))
    seen = to_scale(torch.tensor([[value]], dtype=torch.float64), fitted)
    assert torch.isfinite(seen).all()


def test_a_constant_feature_is_harmless():
    fitted = fit_features(described([3.0, 3.0, 3.0], "linear", -np.inf, np.inf))
    assert FeatureMap(fitted, products=True)(torch.tensor([[3.0]])).tolist() == [[0.0, 0.0]]


WRONG_INPUTS = {
    "cubic": ("cubic", 0.0, 1.0, "no scale 'cubic'"),
    "log without an end": ("log", -np.inf, np.inf, "needs a finite lower end"),
    "logit without an end": ("logit", 0.0, np.inf, "needs a finite upper end"),
}


@pytest.mark.parametrize("name", WRONG_INPUTS)
def test_scales_that_cannot_be_are_refused(name):
    scale, lower, upper, message = WRONG_INPUTS[name]
    with pytest.raises(LabelError, match=message):
        fit_features(described([0.5], scale, lower, upper))


# -- training -----------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["mse", "gaussian"])
def test_an_encoder_is_trained_from_the_store_and_loaded_by_its_key(shop, objective):
    store, data = shop
    spec = SetEncoder(**SMALL, objective=objective)
    fitted = fit(spec, data, epochs=8, batch_size=16, learning_rate=1e-2, store=store,
                 progress=False, device="cpu")  # fmt: skip
    assert fitted.history.loss.values[-1] < fitted.history.loss.values[0]
    again = load(fitted.key, store)
    assert again.model == spec
    events = sets(2, 7).float()
    with torch.no_grad():
        one, other = (f.network.summary(f.network.encode(events)) for f in (fitted, again))
    assert torch.equal(one, other)
    assert fitted.declaration["trained_events"] == [2, 12]


def test_preparing_reads_the_first_sets_only(shop):
    _, data = shop
    few = SetEncoder(**SMALL).prepare(data.isel(sample=slice(0, 8)))
    assert SetEncoder(**SMALL).prepare(data).declaration == few.declaration
    assert few.arrays is None


WRONG = {
    "objective": ({"objective": "mae"}, "objective is one of mse, gaussian"),
    "resample": ({"resample": "jackknife"}, "resample is one of subset"),
    "seeds": ({"seeds": -1}, "seeds is at least 0"),
    "widths": ({"hidden": ()}, "at least one layer"),
    "activation": ({"activation": "SiLo"}, "did you mean 'SiLU'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_settings_without_meaning_are_refused(name):
    settings, message = WRONG[name]
    with pytest.raises(LabelError, match=message):
        model("set_encoder", **settings)


@pytest.mark.parametrize("name", ["events", "theta", "parameter_low", "feature_scale"])
def test_what_a_dataset_of_sets_lacks_is_named(shop, name):
    with pytest.raises(LabelError, match=f"sets of events have '{name}'"):
        SetEncoder(**SMALL).prepare(shop[1].drop_vars(name))


def test_an_encoder_without_attention_pools_means(shop):
    spec = SetEncoder(**{**SMALL, "seeds": 0})
    made = spec.build(spec.prepare(shop[1]).declaration)
    assert made.encode(sets(2, 6).float()).shape == (2, 5 + 8 + 1)
