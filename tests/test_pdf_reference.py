"""Exact posteriors against dense grids, and what is built on them.

The toys have two parameters in a box, so that a grid gives every integral: an edge where the
prior ends inside the box and two parameters of which the data know one, and two equal modes.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.stats import kstest

from presage.analysis.c2st import c2st
from presage.labels import LabelError
from presage.store import Store
from presage.studies.pdf.calibrate import calibrate
from presage.studies.pdf.correction import (
    PoorEstimateWarning,
    correct,
    log_posterior,
    probed,
    weigh,
)
from presage.studies.pdf.draws import Draws
from presage.studies.pdf.ensemble import ensemble
from presage.studies.pdf.gaussian import Gaussian
from presage.studies.pdf.law import Feature, Range
from presage.studies.pdf.mixture import Mixture
from presage.studies.pdf.predictive import predictive, prior_check
from presage.studies.pdf.problem import Problem
from presage.studies.pdf.proposal import proposal
from presage.studies.pdf.realistic_dis import RealisticDIS
from presage.studies.pdf.reference import reference
from presage.studies.pdf.target import Target
from presage.studies.pdf.tree import to_arviz, tree


@dataclass(frozen=True)
class Toy(Problem):
    """Events x ~ N(mean(theta), 1)."""

    name: ClassVar[str] = "toy"

    @property
    def prior(self):
        return Range("one", -1.0, 1.0), Range("two", -1.0, 1.0)

    @property
    def features(self):
        return (Feature("x"),)

    def mean(self, theta):
        raise NotImplementedError

    def events(self, theta, draws, sets, count):
        noise = draws.normal(len(theta), sets, count, 1)
        return noise + self.mean(theta)[:, None, None, None]

    def log_prob(self, theta, events):
        apart = events[..., 0] - self.mean(theta)[..., None]
        return -0.5 * apart.square() - 0.5 * math.log(2 * math.pi)


class Edge(Toy):
    """The data know the sum; the prior ends at sum 0.5, close to where they put it."""

    def mean(self, theta):
        return theta.sum(-1)

    def physical(self, theta):
        return theta.sum(-1) < 0.5

    @property
    def acceptance(self):
        return 1 - 1.5**2 / 2 / 4


class Modes(Toy):
    """Bent and twofold: the data know one² + two."""

    def mean(self, theta):
        return 3 * theta[..., 0].square() + theta[..., 1]


CASES = {"edge": (Edge(), 0.45), "modes": (Modes(), 1.5)}


def observed(problem, mean, count=100):
    x = np.random.default_rng(4).standard_normal((count, 1)) + mean
    return xr.DataArray(x, dims=("event", "feature"), coords={"feature": ["x"]})


def on_a_grid(problem, events, side=500):
    """Return evidence, mean and standard deviation of the posterior by midpoint sums."""
    edges = (np.arange(side) + 0.5) / side * 2 - 1
    theta = torch.from_numpy(np.stack(np.meshgrid(edges, edges, indexing="ij"), -1)).reshape(-1, 2)
    likelihood = problem.likelihood(torch.from_numpy(events.values))(theta)
    logs = (likelihood + problem.log_prior(theta)).numpy()
    weight = np.exp(logs - logs.max())
    evidence = math.log(weight.sum() * (2 / side) ** 2) + logs.max()
    weight /= weight.sum()
    mean = weight @ theta.numpy()
    return evidence, mean, np.sqrt(weight @ (theta.numpy() - mean) ** 2)


@pytest.mark.parametrize("case", CASES)
def test_the_reference_is_that_of_a_dense_grid(case):
    problem, centre = CASES[case]
    events = observed(problem, centre)
    found = reference(problem, events, 4000)
    evidence, mean, spread = on_a_grid(problem, events)
    theta = found["theta"]
    assert theta.dims == ("draw", "parameter")
    assert float(found["reliable"]) == 1
    assert float(found["log_evidence"]) == pytest.approx(evidence, abs=0.05)
    # Chosen from 3 times as many effective draws: an error of √(4/3) of that of plain ones.
    pull = (theta.mean("draw").values - mean) / spread * math.sqrt(4000 * 3 / 4)
    assert np.abs(pull).max() < 4
    assert theta.std("draw").values == pytest.approx(spread, rel=0.05)
    assert torch.isfinite(problem.log_prior(torch.from_numpy(theta.values))).all()
    density = found["log_likelihood"] + found["log_prior"] - found["log_evidence"]
    assert found["log_prob"].values == pytest.approx(density.values)


def curve_on_a_grid(events, side=200):
    """Return evidence, mean and deviation of c and d where the other four fit inside their box."""
    x, q2, value = events.T
    design = np.stack((np.ones_like(x), np.log(q2), np.log(x), np.log1p(-x)), -1)
    basis, triangle = np.linalg.qr(design)
    edges = 10 * (np.arange(side) + 0.5) / side - 5
    c, d = (one.ravel()[:, None] for one in np.meshgrid(edges, edges, indexing="ij"))
    with np.errstate(invalid="ignore", divide="ignore"):
        left = np.log(value / x) - np.log(1 + c * x + d * x**2)
        squares = np.square(left - (left @ basis) @ basis.T).sum(1)
    theta = torch.from_numpy(np.concatenate((np.zeros((len(c), 4)), c, d), 1))
    squares[~RealisticDIS().physical(theta).numpy()] = np.inf
    logs = -0.5 * squares / 0.05**2
    weight = np.exp(logs - logs.max())
    total = np.log(weight.sum() * (10 / side) ** 2) + logs.max()
    norm = len(x) * math.log(0.05 * math.sqrt(2 * math.pi) * 0.899 * math.log(1e3))
    volume = math.log(4 * 2 * 5 * 10 * 100 * RealisticDIS().acceptance)
    inside = (
        2 * math.log(2 * math.pi) + 4 * math.log(0.05) - np.log(np.abs(np.diag(triangle))).sum()
    )
    evidence = total + inside - norm - np.log(q2 * value).sum() - volume
    plane, weight = np.concatenate((c, d), 1), weight / weight.sum()
    mean = weight @ plane
    return evidence, mean, np.sqrt(weight @ (plane - mean) ** 2)


@pytest.mark.parametrize(("c", "d"), [(0.5, 1.0), (-2.5, 2.5)])  # the second where P nearly is 0
def test_the_posterior_of_a_curve_is_a_grid_and_a_normal_law(c, d):
    problem = RealisticDIS(n_events=100)
    theta = torch.tensor([[0.0, 0.0, 2.0, 5.0, c, d]], dtype=torch.float64)
    sets = problem.events(theta, Draws(np.random.default_rng(0)), 1, 100)[0, 0]
    events = xr.DataArray(sets.numpy(), dims=("event", "feature"))
    found = reference(problem, events, 4000)
    assert float(found["reliable"]) == 1
    assert float(found["efficiency"]) > 0.97  # weights are equal: the proposal is the posterior
    evidence, mean, spread = curve_on_a_grid(sets.numpy())
    assert float(found["log_evidence"]) == pytest.approx(evidence, abs=0.03)
    plane = found["theta"][:, 4:].values
    assert np.abs((plane.mean(0) - mean) / spread).max() < 4 / math.sqrt(4000)
    assert plane.std(0) == pytest.approx(spread, rel=0.05)


def test_a_laplace_proposal_alone_would_not_do():
    problem, centre = CASES["modes"]
    target = Target.of(problem, torch.from_numpy(observed(problem, centre).values))
    rng = np.random.default_rng(0)
    mixture = proposal(target, rng)
    drawn = target.theta(mixture.sample(rng, 4000)).numpy()
    assert 0.3 < (drawn[:, 0] > 0).mean() < 0.7  # both modes


def test_ensembles_agree_with_importance_sampling():
    problem, centre = CASES["edge"][0], -0.3
    found = reference(problem, observed(problem, centre), 1000, method="mcmc", check=True)
    assert (found["r_hat"] < 1.01).all()
    assert (found["ess"] > 2000).all()
    assert float(found["agreement"]) < float(found["agreement_floor"]) + 0.015
    assert float(found["mean_pull"]) < 4
    assert found["theta"].shape == (1000, 2)
    assert found.attrs["method"] == "mcmc"
    _, mean, spread = on_a_grid(problem, observed(problem, centre))
    pull = (found["theta"].mean("draw").values - mean) / spread * math.sqrt(1000)
    assert np.abs(pull).max() < 5  # draws of a chain are not quite independent


def test_a_run_that_has_not_converged_says_so():
    problem, centre = CASES["edge"]
    target = Target.of(problem, torch.from_numpy(observed(problem, centre).values))
    start = target.coordinates(torch.full((40, 2), -0.1, dtype=torch.float64))
    start = start + 1e-3 * np.random.default_rng(0).standard_normal(start.shape)
    chains = ensemble(target, start, np.random.default_rng(0), longest=50)
    assert not chains.converged
    assert chains.z.shape == (32, 40, 2)


def test_mixtures_are_normalised_and_sampled_as_they_are_scored():
    rng = np.random.default_rng(0)
    factors = np.array([[[1.0, 0.0], [0.5, 0.3]], [[0.2, 0.0], [0.0, 0.4]]])
    mixture = Mixture(np.array([0.3, 0.7]), np.array([[0.0, 0.0], [2.0, 1.0]]), factors)
    z = mixture.sample(rng, 40_000)
    box = (np.abs(z) < 1.5).all(axis=1)
    flat = rng.uniform(-1.5, 1.5, size=(200_000, 2))
    assert 9 * np.exp(mixture.log_prob(flat)).mean() == pytest.approx(box.mean(), abs=0.01)


def test_the_targets_gradient_is_its_slope_and_it_covers_the_whole_space():
    problem = Gaussian(n_events=50)
    block = problem.block(seed=1, index=0)
    target = Target.of(problem, torch.as_tensor(block["events"][0, 0], dtype=torch.float64))
    z = np.random.default_rng(0).standard_normal((6, 5))
    value, slope = target.gradient(z)
    step = 1e-5 * np.eye(5)
    for i in range(5):
        rise = (target.log_prob(z + step[i]) - target.log_prob(z - step[i])) / 2e-5
        assert slope[:, i] == pytest.approx(rise, rel=1e-5)
    assert value == pytest.approx(target.log_prob(z))
    assert np.isfinite(target.log_prob(30 * z)).all()
    assert target.coordinates(target.theta(z)) == pytest.approx(z)


GAUSSIAN = Gaussian(n_events=100)


def gaussian_sets(count, seed=3, events=100):
    problem = Gaussian(n_events=events)
    block = problem.block(seed=seed, index=0)
    sets = xr.DataArray(
        block["events"][:count, 0].astype(float),
        dims=("observation", "event", "feature"),
        coords={"feature": ["x", "y"], "observation": np.arange(10, 10 + count)},
    )
    return sets, xr.DataArray(block["theta"][:count], dims=("observation", "parameter"))


@pytest.fixture(scope="module")
def sets_and_references():
    sets, truth = gaussian_sets(3)
    return sets, truth, reference(GAUSSIAN, sets, 2000)


def test_observations_keep_their_labels_and_one_alone_is_the_same(sets_and_references):
    sets, _, found = sets_and_references
    assert found["theta"].dims == ("observation", "draw", "parameter")
    assert list(found["observation"].values) == [10, 11, 12]
    assert list(found["parameter"].values) == ["mu_x", "mu_y", "sigma_x", "sigma_y", "rho"]
    # The same posterior: with the mean of events given, mu is normal around it.
    assert found["theta"].sel(parameter="mu_x").mean("draw").values == pytest.approx(
        sets.sel(feature="x").mean("event").values, abs=0.05
    )
    filled = sets.pad(event=(0, 7))
    again = reference(GAUSSIAN, filled.isel(observation=0), 2000)
    assert np.array_equal(again["theta"].values, found["theta"].values[0])


def test_references_are_kept_by_the_content_of_events(tmp_path, monkeypatch):
    store, problem = Store(tmp_path), CASES["edge"][0]
    events = observed(problem, 0.2)
    first = reference(problem, events, 100, store=store)
    monkeypatch.setattr("presage.studies.pdf.reference._one", None)  # would fail if called
    assert reference(problem, events, 100, store=store).identical(first)
    assert reference(Edge(n_events=7), events, 100, store=store).identical(first)
    with pytest.raises(TypeError):
        reference(problem, events + 0.1, 100, store=store)


def broadened(sets, exact, width, shift, n):
    """Return an estimate: normal in logit-box coordinates, wider and moved."""
    rng, draws, density = np.random.default_rng(5), [], []
    for one, theta in zip(sets.values, exact["theta"].values, strict=True):
        target = Target.of(GAUSSIAN, torch.from_numpy(one))
        z = target.coordinates(torch.from_numpy(theta))
        moved = z.mean(0) + shift * z.std(0)
        law = Mixture.of(np.ones(1), moved[None], width**2 * np.cov(z.T)[None])
        drawn = law.sample(rng, n)
        draws.append(target.theta(drawn).numpy())
        density.append(law.log_prob(drawn) - target.log_jacobian(drawn).numpy())
    return xr.Dataset(
        {
            "theta": (("observation", "draw", "parameter"), np.stack(draws)),
            "log_prob": (("observation", "draw"), np.stack(density)),
        },
        coords={"observation": exact["observation"], "parameter": exact["parameter"]},
    )


def test_a_broadened_and_shifted_estimate_is_corrected(sets_and_references):
    sets, _, exact = sets_and_references
    estimate = broadened(sets, exact, 1.6, 0.3, 30_000)
    corrected = correct(GAUSSIAN, estimate, sets, 1000, progress=False)
    assert (corrected["correctable"] == 1).all()
    assert "1000 of 30000 draws kept" in corrected.attrs["verdict"]
    assert corrected["log_evidence"].values == pytest.approx(exact["log_evidence"].values, abs=0.1)
    before = c2st(exact["theta"], estimate["theta"].isel(draw=slice(2000)))
    after = c2st(exact["theta"], corrected["theta"])
    assert float(before["accuracy"].mean()) > 0.7
    # Three of them: a third of the variance of one.
    assert float(after["accuracy"].mean()) < 0.5 + 3 * float(after["error"][0]) / math.sqrt(3)
    weights = weigh(GAUSSIAN, estimate.isel(draw=slice(5000)), sets, progress=False)
    told = c2st(exact["theta"], weights["theta"], log_weight=weights["log_weight"])
    assert float(told["accuracy"].mean()) < 0.5 + 3 * float(told["error"][0]) / math.sqrt(3)


#: Widths and shifts of an estimate, and whether that is said.
ESTIMATES = {"the posterior": (1.0, 0.0, False), "wider": (1.5, 0.0, False),
             "a little off": (1.0, 0.5, False), "far off": (1.0, 2.5, True),
             "far too wide": (3.0, 0.0, True), "beyond it": (0.1, 30.0, True)}  # fmt: skip


@pytest.mark.parametrize("name", ESTIMATES)
def test_few_draws_tell_an_estimate_far_from_the_posterior(sets_and_references, name):
    sets, _, exact = sets_and_references
    width, shift, said = ESTIMATES[name]
    estimate = broadened(sets, exact, width, shift, 2000)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PoorEstimateWarning)
        found = probed(GAUSSIAN, estimate, sets)
    assert [w.category for w in caught] == [PoorEstimateWarning] * said
    assert found.dims == ("observation",)
    assert bool((found < 0.1).any()) == said
    all_draws = weigh(GAUSSIAN, estimate, sets, progress=False)["efficiency"]
    np.testing.assert_allclose(found, all_draws, atol=0.15)


def test_an_estimate_too_far_off_is_not_corrected_and_it_is_said(sets_and_references):
    sets, _, exact = sets_and_references
    estimate = broadened(sets, exact, 0.5, 4.0, 3000)
    found = correct(GAUSSIAN, estimate, sets, 500, progress=False)
    assert (found["correctable"] == 0).all()
    assert "3 of 3 not corrected: the estimate is too far" in found.attrs["verdict"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e, s: (e.drop_vars("log_prob"), s), "no 'log_prob': draw it with its density"),
        (lambda e, s: (e.isel(observation=0), s), "should have the dims"),
        (lambda e, s: (e.isel(observation=[0, 1]), s), "2 estimates, 3 sets of events"),
        (lambda e, s: (e, s.rename(event="row")), "should have the dims"),
    ],
)
def test_estimates_that_cannot_be_weighed(sets_and_references, change, message):
    sets, _, exact = sets_and_references
    with pytest.raises(LabelError, match=message):
        weigh(GAUSSIAN, *change(exact, sets), progress=False)


def test_what_is_no_observation_is_refused():
    problem = CASES["edge"][0]
    events = observed(problem, 0.0)
    with pytest.raises(LabelError, match="no method 'mcm'; did you mean 'mcmc'"):
        reference(problem, events, method="mcm")
    with pytest.raises(LabelError, match=r"events should be \[..., event, feature\]"):
        reference(problem, events.rename(event="row"))
    with pytest.raises(LabelError, match="of another problem"):
        reference(GAUSSIAN, events.assign_coords(feature=["z"]))


def test_calibration_of_the_exact_posterior_and_of_the_prior():
    sets, truth = gaussian_sets(60)
    rng = np.random.default_rng(0)
    low, high = GAUSSIAN.low.numpy(), GAUSSIAN.high.numpy()
    prior = xr.Dataset(
        {"theta": (("observation", "draw", "parameter"), rng.uniform(low, high, (60, 99, 5)))}
    )
    found = calibrate(GAUSSIAN, prior, truth, sets, points=2, progress=False)
    assert list(found["quantity"].values[[0, 5, -1]]) == ["mu_x", "density_x(-2)", "log_likelihood"]
    calibrated = dict(zip(found["quantity"].values, found["calibrated"].values, strict=True))
    assert all(calibrated[name] for name in GAUSSIAN_NAMES)
    assert not calibrated["log_likelihood"]
    assert found["expected_coverage"].dims == ("credibility",)


GAUSSIAN_NAMES = [r.name for r in GAUSSIAN.prior]


def test_log_posteriors_of_many_observations_are_those_of_each(sets_and_references):
    sets, truth, exact = sets_and_references
    found = log_posterior(GAUSSIAN, exact["theta"], sets)
    for name in ("log_likelihood", "log_prior"):
        assert found[name].values == pytest.approx(exact[name].values, rel=1e-9)
    assert log_posterior(GAUSSIAN, truth, sets)["log_prior"].dims == ("observation",)


def test_predictive_p_values_are_uniform_for_the_truth_and_small_for_another_theta():
    sets, truth = gaussian_sets(150)
    exact = truth.expand_dims(draw=1).to_dataset(name="theta")
    p = predictive(GAUSSIAN, exact, sets, replicas=49, progress=False)["p_value"]
    assert p.dims == ("observation", "draw")
    spread = np.random.default_rng(0).random(150) / 50
    assert kstest(p.values[:, 0] - spread, "uniform").pvalue > 0.01
    moved = exact.isel(observation=slice(20)) * 0.0 + [0.0, 0.0, 0.5, 0.5, 0.7]
    wrong = predictive(GAUSSIAN, moved, sets[:20], replicas=49, progress=False)
    assert float(wrong["p_value"].median()) == pytest.approx(0.02)
    with pytest.raises(LabelError, match="draws from 1 to 1"):
        predictive(GAUSSIAN, exact, sets, draws=2)


def test_draws_of_the_prior_are_told_from_it_no_better_than_by_chance(sets_and_references):
    rng = np.random.default_rng(1)
    low, high = GAUSSIAN.low.numpy(), GAUSSIAN.high.numpy()
    drawn = xr.Dataset({"theta": (("draw", "parameter"), rng.uniform(low, high, (1000, 5)))})
    found = prior_check(GAUSSIAN, drawn)
    assert abs(float(found["accuracy"]) - 0.5) < 3 * float(found["error"])
    assert float(prior_check(GAUSSIAN, sets_and_references[2])["accuracy"].min()) > 0.9


def test_a_tree_is_read_by_arviz_and_comes_back_from_netcdf(sets_and_references, tmp_path):
    import arviz

    sets, truth, exact = sets_and_references
    one = exact.isel(observation=0)
    made = tree(GAUSSIAN, one, sets[0], truth=truth[0], prior=one, chains=4)
    made.to_netcdf(tmp_path / "posterior.nc", engine="h5netcdf")
    back = xr.open_datatree(tmp_path / "posterior.nc", engine="h5netcdf").load()
    assert made.identical(back)
    assert {"posterior", "sample_stats", "observed_data", "constant_data"} <= set(back.children)
    assert back["posterior"]["theta"].dims == ("chain", "draw", "parameter")
    table = arviz.summary(to_arviz(back), round_to="none")
    assert list(table.index) == [f"theta[{name}]" for name in GAUSSIAN_NAMES]
    assert table["mean"].values == pytest.approx(one["theta"].mean("draw").values)
    assert (table["r_hat"] < 1.01).all()
    assert back["constant_data"]["truth"].values == pytest.approx(truth[0].values)


@pytest.mark.filterwarnings("ignore:Passing a dict or None as alias_mapping")  # ArviZ's own
def test_arviz_draws_a_tree(sets_and_references):
    import arviz
    from matplotlib import pyplot as plt

    sets, _, exact = sets_and_references
    data = to_arviz(tree(GAUSSIAN, exact.isel(observation=0), sets[0], chains=2))
    for draw in (arviz.plot_posterior, arviz.plot_trace, arviz.plot_pair):
        axes = draw(data, coords={"parameter": ["mu_x", "rho"]})
        assert np.size(axes) >= 1
    plt.close("all")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s, e: tree(GAUSSIAN, e, s[0]), "a tree holds one observation"),
        (lambda s, e: tree(GAUSSIAN, e.isel(observation=0), s), "a tree holds one observation"),
        (
            lambda s, e: tree(GAUSSIAN, e.isel(observation=0), s[0], chains=3000),
            "2000 draws make no 3000 chains",
        ),
    ],
)
def test_trees_of_what_is_not_one_observation(sets_and_references, call, message):
    sets, _, exact = sets_and_references
    with pytest.raises(LabelError, match=message):
        call(sets, exact)
