"""Last-layer Laplace and parametric bootstrap: against closed forms, and labels."""

from __future__ import annotations

import numpy as np
import pytest

from presage.generate import simulate
from presage.labels import LabelError
from presage.store import Store
from presage.studies.pdf.bootstrap import bootstrap
from presage.studies.pdf.features import PooledFeatures
from presage.studies.pdf.gaussian import Gaussian
from presage.studies.pdf.inference import Inference
from presage.studies.pdf.laplace import LastLayer, LastLayerLaplace
from presage.studies.pdf.training import Training

#: What is trained in a second is poor, which tests/test_pdf_training.py looks at.
pytestmark = pytest.mark.filterwarnings("ignore:the estimate of")
TINY = Training(
    hidden=(8,), seeds=1, encoder_epochs=3, smallest=4, sizes=(10,), head=(8,), flow_hidden=(8,),
    bins=4, views=0, epochs=1, batch_size=64,
)  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    sets = simulate(Gaussian(n_events=20), 300, store=store, progress=False)
    made = TINY.fit(sets, store, progress=False)
    return Inference(Gaussian(n_events=20), made.encoder, made.posterior), made.features, sets


def regression(rows=400, weights=5, noise=0.3, seed=0):
    rng = np.random.default_rng(seed)
    hidden = np.concatenate((rng.normal(size=(rows, weights)), np.ones((rows, 1))), 1)
    truth = rng.normal(size=weights + 1)
    return hidden, hidden @ truth + noise * rng.normal(size=rows), truth


# -- Bayesian linear regression -----------------------------------------------------------


def test_evidence_finds_the_noise_and_the_weights():
    hidden, target, truth = regression(4000)
    layer = LastLayer.fit(hidden, target)
    assert layer.noise == pytest.approx(0.09, rel=0.08)
    pulls = (layer.mean - truth) / np.sqrt(np.diag(layer.covariance))
    assert np.abs(pulls).max() < 4


def test_alpha_and_beta_maximise_the_evidence():
    hidden, target, _ = regression(60)
    layer = LastLayer.fit(hidden, target)

    def evidence(alpha, beta):
        cover = np.eye(len(target)) / beta + hidden @ hidden.T / alpha
        return -0.5 * (np.linalg.slogdet(cover)[1] + target @ np.linalg.solve(cover, target))

    best = evidence(layer.precision, 1 / layer.noise)
    for up in (0.9, 1.1):
        assert evidence(layer.precision * up, 1 / layer.noise) < best
        assert evidence(layer.precision, up / layer.noise) < best


def test_variance_of_weights_falls_as_the_number_of_sets():
    few, many = (LastLayer.fit(*regression(n)[:2]) for n in (200, 3200))
    probe = regression(50, seed=1)[0]
    ratio = few.predict(probe)[1].mean() / many.predict(probe)[1].mean()
    assert ratio == pytest.approx(16, rel=0.35)


def test_too_few_sets_are_refused():
    with pytest.raises(LabelError, match="4 sets do not determine 6 weights"):
        LastLayer.fit(*regression(4)[:2])


# -- with an encoder ----------------------------------------------------------------------


def test_laplace_is_labelled_and_its_noise_is_the_error_of_the_estimate(trained):
    inference, features, sets = trained
    laplace = LastLayerLaplace.fit(inference, features)
    assert laplace.events == 20
    made = laplace.predict(sets["events"].isel(repeat=0))
    assert made["total_sd"].dims == ("sample", "parameter")
    squares = made["noise_sd"] ** 2 + made["weight_sd"] ** 2
    np.testing.assert_allclose(squares, made["total_sd"] ** 2)
    error = np.sqrt(((made["estimate"] - sets["theta"]) ** 2).mean("sample"))
    ratio = made["noise_sd"].mean("sample") / error
    assert ((ratio > 0.9) & (ratio < 1.1)).all()
    assert (made["weight_sd"] < made["noise_sd"]).all()


def test_noise_is_that_of_the_prior_though_theta_was_drawn_towards_its_edges(trained, tmp_path):
    inference, store = trained[0], Store(tmp_path)
    towards, flat = (
        simulate(Gaussian(n_events=20, towards_edges=share), n, store=store, progress=False)
        for share, n in ((0.9, 4000), (0.0, 2000))
    )
    source = PooledFeatures(towards, inference.encoder, (20,))
    features = simulate(source, source.length, store=store, progress=False)
    made = LastLayerLaplace.fit(inference, features).predict(flat["events"].isel(repeat=0))
    error = np.sqrt(((made["estimate"] - flat["theta"]) ** 2).mean("sample"))
    ratio = made["noise_sd"].mean("sample") / error
    assert float(ratio.mean()) == pytest.approx(1, abs=0.02)  # unweighted: 0.96


def test_views_of_a_size_that_is_not_there_are_refused(trained):
    with pytest.raises(LabelError, match="no views of 7 events; there are 10, 20"):
        LastLayerLaplace.fit(trained[0], trained[1], 7)


def test_the_bootstrap_divides_the_variance(trained):
    inference, features, sets = trained
    one = sets["events"].isel(sample=3, repeat=0)
    laplace = LastLayerLaplace.fit(inference, features)
    made = bootstrap(inference, one, 60, laplace=laplace)
    assert made["estimates"].sizes == {"draw": 60, "parameter": 5}
    squares = made["within_sd"] ** 2 + made["between_sd"] ** 2
    np.testing.assert_allclose(squares, made["total_sd"] ** 2)
    np.testing.assert_allclose(made["between_sd"], made["estimates"].std("draw", ddof=1))
    np.testing.assert_allclose(made["bias"], made["estimates"].mean("draw") - made["estimate"])
    alone = bootstrap(inference, one, 60)
    assert (alone["within_sd"] == 0).all()
    assert alone["estimates"].equals(made["estimates"])


def test_members_that_agree_leave_no_variance_within(trained):
    inference, _, sets = trained
    one = sets["events"].isel(sample=3, repeat=0)
    made = bootstrap(inference, one, 20, members=(inference,))
    assert float(made["within_sd"].max()) < 1e-6
    assert float(made["between_sd"].min()) > 1e-3


def test_more_events_scatter_less(trained):
    inference, _, sets = trained
    one = sets["events"].isel(sample=3, repeat=0)
    few, many = (bootstrap(inference, one[:n], 200)["between_sd"] for n in (5, 20))
    assert float((many / few).mean()) < 0.85


WRONG = {
    "many": (lambda e: e, {}, "one observation"),
    "n": (lambda e: e[0, 0], {"n": 1}, "at least 2 sets"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_bootstrapped_is_refused(trained, name):
    change, options, message = WRONG[name]
    with pytest.raises(LabelError, match=message):
        bootstrap(trained[0], change(trained[2]["events"]), **options)
