"""What each of the scattering problems promises, against formulas written a second time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats

from presage.generate import simulate
from presage.labels import LabelError
from presage.rng import generator
from presage.store import Store
from presage.studies.pdf import realistic_dis_events
from presage.studies.pdf.draws import Draws
from presage.studies.pdf.gaussian import Gaussian
from presage.studies.pdf.problem import Curve
from presage.studies.pdf.realistic_dis import RealisticDIS
from presage.studies.pdf.realistic_dis_events import RealisticDISEvents
from presage.studies.pdf.simplified_dis import SimplifiedDIS
from presage.studies.pdf.simplified_dis_pushforward import SimplifiedDISPushforward

S = 140.0**2


def tensor(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def events_of(made, theta, count, seed=0):
    """One set of `count` events for one theta, ``(count, F)``, float64 NumPy."""
    drawn = made.events(tensor(theta), Draws(generator("test", seed, 0)), 1, count)
    return drawn[0, 0].double().numpy()


def chi_squared(counts, probabilities):
    """p-value of multinomial counts; the last probability is the rest's."""
    expected = counts.sum() * probabilities
    assert expected.min() > 5
    return stats.chisquare(counts, expected).pvalue


# -- gaussian ------------------------------------------------------------------------------


@pytest.mark.parametrize("theta", [(0.5, -1.0, 0.7, 1.9, 0.75), (-2.0, 2.0, 2.0, 0.5, -0.8)])
def test_gaussian_points_follow_the_normal_law(theta):
    points = events_of(Gaussian(), theta, 50_000)
    mean, width, rho = np.array(theta[:2]), np.array(theta[2:4]), theta[4]
    covariance = np.outer(width, width) * np.array([[1, rho], [rho, 1]])
    white = np.linalg.solve(np.linalg.cholesky(covariance), (points - mean).T)
    for axis in white:
        assert stats.kstest(axis, "norm").pvalue > 0.01
    cells = np.histogram2d(*stats.norm.cdf(white), bins=10, range=[(0, 1), (0, 1)])[0]
    assert chi_squared(cells.ravel(), np.full(100, 0.01)) > 0.01
    found = Gaussian().log_prob(tensor(theta)[0], torch.from_numpy(points))
    expected = stats.multivariate_normal(mean, covariance).logpdf(points)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


# -- simplified_dis ------------------------------------------------------------------------

SHAPES = {
    "middle": (-0.5, 2.5, -0.4, 4.0),
    "steepest": (-0.9, 5.0, -0.9, 0.0),
    "flat": (0.0, 0.0, 0.0, 0.0),
    "far apart": (-0.9, 0.2, 0.0, 5.0),
}
UP = {0: 8 / 9, 1: 1 / 3}
shapes = pytest.mark.parametrize("theta", SHAPES.values(), ids=SHAPES)


def mixture(theta, target, x):
    """Cumulative distribution of x, by SciPy."""
    a_up, b_up, a_down, b_down = theta
    up, down = stats.beta(a_up + 1, b_up + 1), stats.beta(a_down + 1, b_down + 1)
    return UP[target] * up.cdf(x) + (1 - UP[target]) * down.cdf(x)


@shapes
def test_x_follows_its_mixture_on_each_target(theta):
    x, target = events_of(SimplifiedDIS(), theta, 40_000).T
    for kind in (0, 1):
        place = mixture(theta, kind, x[target == kind])
        assert stats.kstest(place, "uniform").pvalue > 0.01
        counts = np.histogram(place, bins=50, range=(0, 1))[0]
        assert chi_squared(counts, np.full(50, 0.02)) > 0.01


@shapes
def test_the_density_of_x_integrates_to_one(theta):
    # In logit x, where even x^-0.9 falls off exponentially, sums of equal steps are exact.
    z = torch.linspace(-360.0, 36.0, 8001, dtype=torch.float64)
    x, step = z.sigmoid(), float(z[1] - z[0])
    width = (torch.nn.functional.logsigmoid(z) + torch.nn.functional.logsigmoid(-z)).exp()
    for kind in (0.0, 1.0):
        points = torch.stack((x, torch.full_like(x, kind)), -1)
        density = SimplifiedDIS().log_prob(tensor(theta)[0], points).exp()
        assert abs(float((density * width).sum() * step) - 1) < 1e-9
    made, grid = SimplifiedDIS(), tuple(x.tolist())
    for name, number in (("u", 2), ("d", 1)):
        density = made.curve(Curve(name, grid), tensor(theta)[0])
        assert abs(float((density * width).sum() * step) - number) < 1e-9


def test_curves_of_valence_quarks_belong_together():
    made, theta = SimplifiedDIS(), tensor(SHAPES["middle"])
    curves = {c.name: made.curve(c, theta)[0] for c in made.curves}
    x = torch.tensor(made.curves[0].grid, dtype=torch.float64)
    assert made.curves[0].name == "x_u_valence"
    assert x[0] <= 0.01 + 1e-12
    assert x[-1] >= 0.7 - 1e-12
    assert torch.allclose(curves["x_u_valence"], x * curves["u"])
    assert torch.allclose(curves["x_d_valence"], x * curves["d"])
    for target, name in ((0.0, "f2_proton"), (1.0, "f2_neutron")):
        points = torch.stack((x, torch.full_like(x, target)), -1)
        ratio = curves[name] / (x * made.log_prob(theta[0], points).exp())
        # The squared charges of all valence quarks: 2 · 4/9 + 1/9, and 2 · 1/9 + 4/9.
        assert torch.allclose(ratio, torch.full_like(x, 1.0 if target == 0 else 6 / 9))


def test_targets_alternate_the_proton_first():
    block = SimplifiedDIS(n_events=5).block(0, 0)
    assert (block["events"][..., 1] == [0, 1, 0, 1, 0]).all()


def test_the_smallest_x_are_kept():
    """At a = -0.9 one x in six thousand is below what float32 holds as a normal number."""
    x = events_of(SimplifiedDIS(), (-0.9, 1.0, -0.9, 1.0), 200_000)[:, 0]
    assert (x > 0).all()
    expected = mixture((-0.9, 1.0, -0.9, 1.0), 0, 1e-38)
    assert (x < 1e-38).mean() == pytest.approx(expected, rel=0.5)


def test_a_target_that_there_is_not_is_refused():
    with pytest.raises(LabelError, match=r"1 events cannot occur, the first with x = 0.5, target"):
        SimplifiedDIS().check_events(tensor((0.5, 0.0), (0.5, 0.4)))


def test_the_original_box_is_another_dataset():
    valence, original = SimplifiedDIS(), SimplifiedDIS(box="original")
    assert valence.recipe(0).key != original.recipe(0).key
    assert [(r.low, r.high) for r in original.prior] == [(0.0, 5.0)] * 4


# -- simplified_dis_pushforward --------------------------------------------------------------


def heights(theta, x):
    a_up, b_up, a_down, b_down = theta
    u, d = x**a_up * (1 - x) ** b_up, 2 * x**a_down * (1 - x) ** b_down
    return np.stack((4 * u + d, 4 * d + u))


PUSHED = {"one maximum": (1.0, 3.0, 0.5, 4.0), "two maxima": (0.3, 5.0, 4.5, 0.4)}


@pytest.mark.parametrize("theta", PUSHED.values(), ids=PUSHED)
def test_the_pushforward_has_the_density_of_its_pairs(theta):
    made = SimplifiedDISPushforward()
    pairs = events_of(made, theta, 20_000)
    x = (np.arange(500_000) + 0.5) / 500_000
    expected = np.sort(heights(theta, x), axis=-1)
    for drawn, law in zip(pairs.T, expected, strict=True):
        place = np.searchsorted(law, drawn) / len(law)
        assert stats.kstest(place, "uniform").pvalue > 0.01
    # Away from the heights of the extremes the density is smooth and is integrated.
    turns = [law[np.r_[True, np.abs(np.diff(np.sign(np.diff(law)))) > 1, True]]
             for law in heights(theta, x)]  # fmt: skip
    node, weight = np.polynomial.legendre.leggauss(40)
    cells, shares = [], []
    for law, ends in zip(expected, turns, strict=True):
        low, high = np.quantile(law, (0.3, 0.55))
        inner = np.sort(ends[(ends > low) & (ends < high)])
        high = min([high, *(0.9 * inner[:1] + 0.1 * low)])
        cells.append((0.5 * (high + low) + 0.5 * (high - low) * node, 0.5 * (high - low) * weight))
        shares.append((np.searchsorted(law, high) - np.searchsorted(law, low)) / len(law))
    points = np.stack(np.meshgrid(cells[0][0], cells[1][0], indexing="ij"), -1).reshape(-1, 2)
    density = made.log_prob(tensor(theta)[0], torch.from_numpy(points)).exp().numpy()
    integral = (density * np.outer(cells[0][1], cells[1][1]).ravel()).sum()
    assert integral == pytest.approx(shares[0] * shares[1], rel=1e-4)


def test_the_pushforward_does_not_tell_x_from_its_reflection():
    made, theta = SimplifiedDISPushforward(), (1.0, 3.0, 0.5, 4.0)
    pairs = torch.from_numpy(events_of(made, theta, 500))
    swapped = tensor((3.0, 1.0, 4.0, 0.5))[0]
    here, there = made.log_prob(tensor(theta)[0], pairs), made.log_prob(swapped, pairs)
    assert torch.isfinite(here).all()
    assert torch.allclose(here, there, atol=1e-6)


# -- realistic_dis ---------------------------------------------------------------------------

STRUCTURES = {
    "rising": (0.5, 0.3, 0.2, 3.0, 2.0, -2.5),
    "steep": (-2.0, -1.0, 5.0, 10.0, -3.9, 4.2),
    "flat": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
}
structures = pytest.mark.parametrize("theta", STRUCTURES.values(), ids=STRUCTURES)


def f2(theta, x, q2):
    log_a0, delta, a, b, c, d = theta
    return x * np.exp(log_a0) * q2**delta * x**a * (1 - x) ** b * (1 + c * x + d * x * x)


@structures
def test_measured_values_scatter_by_five_percent_about_f2(theta):
    made = RealisticDIS()
    x, q2, value = events_of(made, theta, 40_000).T
    pull = np.log(value / f2(theta, x, q2)) / 0.05
    assert stats.kstest(pull, "norm").pvalue > 0.01
    assert abs(pull.std() - 1) < 2.6 / math.sqrt(2 * len(pull))
    assert stats.kstest((x - 1e-3) / 0.899, "uniform").pvalue > 0.01
    assert stats.kstest(np.log10(q2) / 3, "uniform").pvalue > 0.01
    points = np.stack((x, q2, value), -1)
    expected = (
        stats.norm.logpdf(pull)
        - np.log(0.05 * value)
        - math.log(0.899)
        - np.log(q2 * math.log(1000))
    )
    found = made.log_prob(tensor(theta)[0], torch.from_numpy(points))
    np.testing.assert_allclose(found, expected, atol=1e-9)


POLYNOMIALS = {
    "zero at 1": ((-3.0, 2.0), False),  # 1 - 3x + 2x² is negative between 1/2 and 1
    "double zero inside": ((-4.0, 4.0), False),
    "just above": ((-3.99, 4.0), True),
    "negative at 1": ((-0.5, -0.6), False),
    "positive at 1": ((-0.5, -0.4), True),
    "minimum beyond 1": ((-1.9, 0.95), True),
    "concave": ((5.0, -5.0), True),
}


@pytest.mark.parametrize(("pair", "positive"), POLYNOMIALS.values(), ids=POLYNOMIALS)
def test_f2_is_physical_where_its_polynomial_is_positive(pair, positive):
    theta = tensor((0.0, 0.0, 1.0, 1.0, *pair))
    assert bool(RealisticDIS().physical(theta)[0]) is positive


def test_physical_agrees_with_a_look_at_every_x():
    made, draws = RealisticDIS(), Draws(generator("test", 0, 0))
    theta = made.low + (made.high - made.low) * draws.uniform(4000, 6)
    x = torch.linspace(0, 1, 2001, dtype=torch.float64)
    lowest = (1 + theta[:, 4:5] * x + theta[:, 5:] * x * x).amin(-1)
    clear = lowest.abs() > 1e-5
    assert torch.equal(made.physical(theta)[clear], lowest[clear] > 0)


# -- realistic_dis_events --------------------------------------------------------------------


def rate(theta, x, q2):
    y = q2 / (x * S)
    return np.where(y < 1, (1 + (1 - y) ** 2) * f2(theta, x, q2) / (x * q2**2), 0.0)


def integrals(theta, cells=8, fine=150):
    """Integrals of the rate over cells of equal size in log x and log Q², by midpoints."""
    t = (np.arange(cells * fine) + 0.5) / (cells * fine)
    x = np.exp(np.log(1e-3) + t * np.log(900))[:, None]
    q2 = np.exp(t * np.log(1e3))[None]
    values = rate(theta, x, q2) * x * q2 * np.log(900) * np.log(1e3) / (cells * fine) ** 2
    return values.reshape(cells, fine, cells, fine).sum((1, 3))


@structures
def test_events_fill_cells_as_the_rate_says(theta):
    x, q2 = events_of(RealisticDISEvents(), theta, 40_000).T
    log_x, log_q2 = np.log(x / 1e-3) / np.log(900), np.log(q2) / np.log(1e3)
    counts = np.histogram2d(log_x, log_q2, bins=8, range=[(0, 1), (0, 1)])[0].ravel()
    shares = integrals(theta).ravel() / integrals(theta).sum()
    rare = shares < 1e-3
    counts, shares = (np.r_[v[~rare], v[rare].sum()] for v in (counts, shares))
    assert chi_squared(counts, shares / shares.sum()) > 0.01


@structures
def test_the_density_of_an_event_is_the_rate_over_its_integral(theta):
    made = RealisticDISEvents()
    points = events_of(made, theta, 1000)
    found = made.log_prob(tensor(theta)[0], torch.from_numpy(points)).exp().numpy()
    expected = rate(theta, *points.T) / integrals(theta, fine=250).sum()
    np.testing.assert_allclose(found, expected, rtol=5e-5)


def test_the_exposure_gives_the_mean_number_over_the_prior():
    made = RealisticDISEvents(n_events=300)
    theta = made.draw_theta(Draws(generator("test", 0, 0)), 10_000)
    counts = made.mean_count(theta)
    assert abs(float(counts.mean()) - 300) < 3 * float(counts.std()) / 100
    shift = tensor((math.log(2), 0.0, 0.0, 0.0, 0.0, 0.0))
    assert torch.allclose(made.mean_count(theta + shift), 2 * counts)


def test_numbers_of_events_are_poisson_and_part_of_the_likelihood():
    made = RealisticDISEvents(n_events=100)
    theta = tensor(STRUCTURES["rising"])
    mean = float(made.mean_count(theta))
    block = made.simulate({"theta": theta.expand(4000, -1).numpy()}, generator("test", 5, 0))
    counts = block["event_count"]
    edges = stats.poisson(mean).ppf(np.linspace(0.1, 0.9, 9)).astype(int)
    shares = np.diff(np.r_[0, stats.poisson(mean).cdf(edges), 1])
    found = np.bincount(np.searchsorted(edges, counts), minlength=10)
    assert chi_squared(found, shares) > 0.01
    points = torch.from_numpy(block["events"][: counts[0]]).double()
    shape = float(made.log_prob(theta[0], points).sum())
    expected = shape + stats.poisson(mean).logpmf(counts[0])
    assert float(made.log_likelihood(theta[0], points)) == pytest.approx(expected, rel=1e-10)
    assert float(made.log_likelihood(theta[0], points[:0])) == pytest.approx(-mean)
    assert made.check_events(points[:0]).shape == (0, 2)


def test_sets_of_unequal_size_are_stored_and_scored(tmp_path):
    made = RealisticDISEvents(n_events=20)
    data = simulate(made, 50, store=Store(tmp_path), progress=False)
    assert data["events"].dims == ("event", "feature")
    assert int(data["event_count"].sum()) == data.sizes["event"]
    assert len(set(data["event_count"].values.tolist())) > 5
    score = made.score(data)
    last = int(data["event_count"][-1])
    assert last > 0
    points = torch.from_numpy(np.array(data["events"][-last:], dtype=np.float64))
    expected = made.log_prob(torch.from_numpy(np.array(data["theta"][-1])), points)
    np.testing.assert_allclose(score[-last:], expected, rtol=1e-12)


def test_events_have_y_below_one():
    with pytest.raises(LabelError, match=r"1 events cannot occur, the first with x = 0.01, Q2"):
        RealisticDISEvents().check_events(tensor((0.01, 500.0), (0.5, 500.0)))


def test_a_block_that_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(realistic_dis_events, "_MOST_OF_BLOCK", 10)
    with pytest.raises(LabelError, match="at most 10 are held at once; lower n_events"):
        RealisticDISEvents(n_events=100).block(0, 0)


def test_sampling_never_hangs(monkeypatch):
    monkeypatch.setattr(realistic_dis_events, "_ROUNDS", 1)
    with pytest.raises(LabelError, match="no event after 1 proposals for theta"):
        RealisticDISEvents(n_events=100).block(0, 0)


# -- draws -----------------------------------------------------------------------------------


@pytest.mark.parametrize("torch_generator", [False, True], ids=["numpy", "torch"])
def test_drawn_numbers_follow_their_laws(torch_generator):
    """On CUDA numbers come from a generator of torch; here it runs on the processor."""
    draws = Draws(generator("test", 1, 0))
    if torch_generator:
        draws._cuda = torch.Generator().manual_seed(1)
    one = torch.ones(20_000, dtype=torch.float64)
    beta = draws.beta(0.1 * one, 6.0 * one)
    assert beta.dtype == torch.float64
    assert stats.kstest(beta, stats.beta(0.1, 6.0).cdf).pvalue > 0.01
    assert stats.kstest(draws.uniform(20_000), "uniform").pvalue > 0.01
    assert stats.kstest(draws.normal(20_000), "norm").pvalue > 0.01
    counts = draws.poisson(3.0 * one)
    assert counts.dtype == torch.int64
    shares = stats.poisson(3.0).pmf(range(8))
    found = np.bincount(counts.clamp(max=8), minlength=9)
    assert chi_squared(found, np.r_[shares, 1 - shares.sum()]) > 0.01


# -- labels ----------------------------------------------------------------------------------


def test_a_stored_dataset_says_what_it_holds(tmp_path):
    data = simulate(RealisticDIS(n_events=5), 3, store=Store(tmp_path), progress=False)
    assert isinstance(data, xr.Dataset)
    assert data["feature"].values.tolist() == ["x", "Q2", "F2"]
    assert data["feature_unit"].values.tolist() == ["1", "GeV2", "1"]
    assert data["parameter"].values.tolist() == ["logA0", "delta", "a", "b", "c", "d"]
    assert RealisticDIS().score(data).shape == (3, 1, 5)
