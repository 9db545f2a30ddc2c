"""The mixture against SciPy, ensembles against their members, and stores that keep them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

import densities
from presage.fitting import fit, load
from presage.generate import simulate
from presage.labels import LabelError
from presage.models import CouplingSpline, Ensemble, RealNVP, model
from presage.models.density import pick
from presage.models.mixture import Mixture
from presage.store import Store
from presage.studies.events.resonance import Resonance

SMALL = {
    "spline_flow": {"bins": 4, "hidden": (8,)},
    "maf": {"hidden": (8,), "layers": 2},
    "realnvp": {"hidden": (8,), "layers": 2},
    "coupling_spline": {"bins": 4, "hidden": (8,), "layers": 2},
    "mixture_density": {"hidden": (8,), "components": 3},
    "ensemble": {"model": "maf", "members": 3, "settings": {"hidden": [8], "layers": 2}},
}
DECLARATION = {"variables": [{}, {}], "parameters": [{}, {}]}


# -- in the store -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    simulator = Resonance.on_grid(2, 2, weights="equal")
    return store, simulate(simulator, 600, store=store, progress=False)


@pytest.mark.parametrize("name", densities.NAMES)
def test_a_model_is_loaded_by_its_key_with_all_it_needs(name, shop):
    store, events = shop
    spec = model(name, **SMALL[name])
    fitted = fit(spec, events, epochs=1, batch_size=200, store=store, progress=False, device="cpu")
    again = load(fitted.key, store)
    assert again.model == spec
    assert repr(again.model) == repr(spec)
    assert eval(repr(spec), {type(spec).__name__: type(spec)}) == spec
    assert fitted.log_prob(events).identical(again.log_prob(events))
    labels = {"phi_label": np.full(50, 900.0), "omega_label": np.full(50, 3.0)}
    drawn, redrawn = (f.draw(labels, np.random.default_rng(1)) for f in (fitted, again))
    for variable in fitted.scale.variables:
        assert np.array_equal(drawn[variable.name], redrawn[variable.name])
        assert (drawn[variable.name] > variable.lower).all()


@pytest.mark.parametrize("name", ["spline_flow", "ensemble"])
def test_stored_models_of_the_version_before_are_read(name, shop, monkeypatch):
    store, events = shop
    spec = model(name, **SMALL[name])
    monkeypatch.setattr(type(spec), "version", 1)
    fitted = fit(spec, events, epochs=1, batch_size=200, store=store, progress=False, device="cpu")
    monkeypatch.undo()
    assert load(fitted.key, store).recipe.version == 1
    assert spec.version > 1


# -- mixtures -----------------------------------------------------------------------------


def mixture(features, components=3, rows=5):
    """Random mixtures, and their weights, means and covariances in NumPy."""
    generator = torch.Generator().manual_seed(features)
    sizes = features, features, features * (features - 1) // 2
    raw = [torch.randn(rows, components, n, generator=generator).double() for n in sizes]
    weights = torch.rand(rows, components, generator=generator).double().log().log_softmax(-1)
    made = Mixture(weights, *raw)
    row, column = np.tril_indices(features, -1)
    regression = np.zeros((rows, components, features, features))
    regression[..., row, column] = raw[2]
    whitening = np.exp(-raw[1].numpy())[..., None] * (np.eye(features) - regression)
    return (
        made,
        np.exp(weights.numpy()),
        raw[0].numpy(),
        np.linalg.inv(np.swapaxes(whitening, -1, -2) @ whitening),
    )


@pytest.mark.parametrize("features", [1, 2, 4])
def test_mixtures_have_the_density_of_scipy(features):
    made, weights, means, covariances = mixture(features)
    x = torch.randn(5, features).double()
    for i, log_p in enumerate(made.log_prob(x)):
        each = [
            w * multivariate_normal(m, c).pdf(x[i])
            for w, m, c in zip(weights[i], means[i], covariances[i], strict=True)
        ]
        assert np.isclose(float(log_p), np.log(np.sum(each)), atol=1e-9)


@pytest.mark.parametrize("features", [1, 2, 4])
def test_draws_have_the_moments_of_their_mixture(features):
    made, weights, means, covariances = mixture(features, rows=1)
    numbers = torch.randn(200_000, features + 1, generator=torch.Generator().manual_seed(0))
    wide = Mixture(*(part.expand(len(numbers), *part.shape[1:]) for part in made))
    drawn = wide.draw(numbers.double()).numpy()
    mean = weights[0] @ means[0]
    spread = covariances[0] + np.einsum("ki,kj->kij", means[0] - mean, means[0] - mean)
    covariance = np.einsum("k,kij->ij", weights[0], spread)
    widths = np.sqrt(np.diag(covariance))
    assert (np.abs(drawn.mean(0) - mean) < 0.02 * widths).all()
    assert (np.abs(np.cov(drawn.T) - covariance) < 0.04 * np.outer(widths, widths)).all()


def test_picks_follow_the_weights_to_the_ends():
    weights = torch.tensor([0.2, 0.0, 0.5, 0.3])
    normal = torch.randn(100_000, generator=torch.Generator().manual_seed(1))
    shares = torch.bincount(pick(weights, normal), minlength=4) / len(normal)
    assert torch.allclose(shares, weights, atol=0.01)
    assert shares[1] == 0
    assert pick(weights, torch.tensor([-40.0, 40.0])).tolist() == [0, 3]


# -- ensembles ----------------------------------------------------------------------------


@pytest.fixture(params=[n for n in SMALL if n != "ensemble"])
def ensemble(request):
    torch.manual_seed(4)
    network = Ensemble(request.param, 3, SMALL[request.param]).build(DECLARATION)
    batch = {"condition": torch.randn(40, 2), "target": torch.randn(40, 2)}
    return network, batch


def test_an_ensemble_is_the_mixture_of_its_members(ensemble):
    network, batch = ensemble
    with torch.no_grad():
        each = [m.log_prob(batch["condition"], batch["target"]).exp() for m in network.members]
        log_p = network.log_prob(batch["condition"], batch["target"])
        losses = [m.loss(batch) for m in network.members]
        loss = network.loss(batch)
    assert torch.allclose(log_p.exp(), sum(each) / 3, rtol=1e-4)
    assert torch.allclose(loss, sum(losses) / 3, atol=1e-5)
    assert not torch.allclose(each[0], each[1])


def test_members_learn_as_they_would_alone(ensemble):
    network, batch = ensemble
    network.loss(batch).mean().backward()
    for member in network.members:
        together = [p.grad.clone() for p in member.parameters()]
        member.zero_grad()
        member.loss(batch).mean().backward()
        alone = [p.grad for p in member.parameters()]
        assert all(torch.equal(a, b) for a, b in zip(together, alone, strict=True))


def test_each_event_is_drawn_by_the_member_its_last_number_picks(ensemble):
    network, batch = ensemble
    numbers = torch.randn(40, network.numbers)
    picked = pick(torch.full((3,), 1 / 3), numbers[:, -1])
    assert set(picked.tolist()) == {0, 1, 2}
    with torch.no_grad():
        drawn = network.draw(batch["condition"], numbers)
        for k, member in enumerate(network.members):
            alone = member.draw(batch["condition"], numbers[:, :-1])
            assert torch.allclose(drawn[picked == k], alone[picked == k], atol=1e-5)


def test_settings_left_out_and_spelled_out_are_the_same_ensemble():
    assert Ensemble() == Ensemble(settings={"bins": 0}) == Ensemble("spline_flow", 4, {})
    assert Ensemble("maf", 2, {"hidden": [8]}) == Ensemble("maf", 2, {"hidden": (8,)})
    assert len({Ensemble(), Ensemble(settings={"bins": 0}), Ensemble(members=2)}) == 2
    shown = "Ensemble(model='spline_flow', members=4, settings={'bins': 8})"
    assert repr(Ensemble(settings={"bins": 8})) == shown


# -- wrong settings -----------------------------------------------------------------------

WRONG = {
    "no members": (lambda: Ensemble(members=0), LabelError, "needs members, got members=0"),
    "unknown member": (lambda: Ensemble("realnpv"), LabelError, "did you mean 'realnvp'"),
    "of ensembles": (lambda: Ensemble("ensemble"), LabelError, "no model 'ensemble'"),
    "unknown setting": (
        lambda: Ensemble(settings={"bin": 4}),
        LabelError,
        "spline_flow has no setting 'bin', did you mean 'bins'|did you mean 'bins'",
    ),
    "wrong setting": (lambda: Ensemble(settings={"bins": 1}), LabelError, "at least 2 bins"),
    "no components": (lambda: model("mixture_density", components=0), LabelError, "components=0"),
    "no width": (lambda: model("mixture_density", hidden=()), LabelError, "hidden widths"),
    "one coupling": (
        lambda: RealNVP(layers=1).build(DECLARATION),
        LabelError,
        "2 variables need at least 2 layers",
    ),
    "no spline": (lambda: CouplingSpline(bound=0.0), LabelError, "a positive bound"),
}


@pytest.mark.parametrize(("make", "kind", "message"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_named(make, kind, message):
    with pytest.raises(kind, match=message):
        make()
