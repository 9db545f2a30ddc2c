"""The posterior flow: a density on the box, its draws, and a posterior that is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.stats import norm, truncnorm

from presage.fitting import fit
from presage.labels import LabelError
from presage.models import PosteriorFlow, model
from presage.models.box import LINKS, Box
from presage.models.cells import normal_between
from presage.models.edges import arcsine, excess, pair_weight
from presage.models.standardise import Standardised, fit_start
from presage.studies.pdf.realistic_dis import RealisticDIS, room

SMALL = {"hidden": (16,), "context": 4, "flow_hidden": (8,), "bins": 4, "views": 2}
LOW, HIGH = (-2.0, 0.5), (2.0, 1.5)


def views(samples=300, parts=4, seed=0, low=LOW, high=HIGH, spread=0.1, towards_edges=0.0):
    """Noisy unit-box coordinates as features; the noise falls with log10 N, the last number."""
    rng = np.random.default_rng(seed)
    unit = rng.uniform(size=(samples, len(low)))
    chosen = rng.uniform(size=(samples, 1)) < towards_edges
    unit = np.where(chosen, arcsine(torch.from_numpy(unit)).numpy(), unit)
    log10_count = np.tile([1.0, 2.0], parts // 2)
    noise = spread * 10 ** (-0.5 * (log10_count - 1))
    seen = unit[:, None] + noise[:, None] * rng.normal(size=(samples, parts, len(low)))
    last = np.broadcast_to(log10_count[:, None], (samples, parts, 1))
    names = [f"theta_{i}" for i in range(len(low))]
    edges = {"parameter_low": ("parameter", list(low)), "parameter_high": ("parameter", list(high))}
    if towards_edges:
        edges["parameter_edges"] = ("parameter", [towards_edges] * len(low))
    return xr.Dataset(
        {
            "features": (
                ("sample", "view", "number"),
                np.concatenate((seen, last), -1).astype("f4"),
            ),
            "theta": (("sample", "parameter"), np.array(low) + unit * np.subtract(high, low)),
        },
        coords={"parameter": names, **edges},
        attrs={"presage_sample": "sample"},
    )


def untrained(**changes):
    torch.manual_seed(1)
    spec = PosteriorFlow(**{**SMALL, **changes})
    made = spec.build(spec.prepare(views()).declaration).double().eval()
    for parameter in made.parameters():  # nothing is left as it begins
        torch.nn.init.normal_(parameter, std=0.2)
    return spec, made


# -- the box ------------------------------------------------------------------------------


@pytest.mark.parametrize("link", LINKS)
def test_a_link_and_its_slope_belong_together(link):
    box = Box(torch.tensor(LOW), torch.tensor(HIGH), link)
    low, high = (max(box.ends[0], -3.0), min(box.ends[1], 3.0))
    z = torch.linspace(low, high, 9).double()[1:-1, None].expand(7, 2).clone().requires_grad_()
    theta = box.theta(z)
    slopes = torch.autograd.grad(theta.sum(), z)[0].detach()
    assert torch.allclose(box.log_slope(z), slopes.log().sum(-1))
    assert torch.allclose(box.line(theta), z, atol=1e-9)


@pytest.mark.parametrize("link", LINKS)
def test_nothing_leaves_the_box_and_edges_are_finite(link):
    box = Box(torch.tensor(LOW), torch.tensor(HIGH), link)
    far = torch.tensor([[-1e9, 1e9], [*box.ends]], dtype=torch.float64)
    assert box.inside(box.theta(box.finite(far))).all()
    assert torch.isfinite(box.line(torch.tensor([LOW, HIGH]))).all()


# -- a density ----------------------------------------------------------------------------


# -- straight coordinates -----------------------------------------------------------------

CURVE_LOW, CURVE_HIGH = (-2.0, -1.0, 0.0, 0.0, -5.0, -5.0), (2.0, 1.0, 5.0, 10.0, 5.0, 5.0)


@pytest.fixture(scope="module")
def curve_box():
    return Box(torch.tensor(CURVE_LOW), torch.tensor(CURVE_HIGH), "truncated", "bounded_curve")


def curve_theta(count, seed=0):
    low, high = torch.tensor(CURVE_LOW).double(), torch.tensor(CURVE_HIGH).double()
    unit = torch.from_numpy(np.random.default_rng(seed).uniform(0, 1, (count, 6)))
    theta = low + (high - low) * unit
    return theta[RealisticDIS().physical(theta)]


def test_straight_coordinates_lead_back_with_a_jacobian_of_one(curve_box):
    theta = curve_theta(40)
    assert torch.allclose(curve_box.theta(curve_box.line(theta)), theta, atol=1e-9)
    for z in curve_box.line(theta[:6]):
        jacobian = torch.autograd.functional.jacobian(curve_box.theta, z)
        volume = torch.linalg.slogdet(jacobian).logabsdet - curve_box.log_slope(z)
        assert float(volume) == pytest.approx(0, abs=1e-8)


def test_each_straight_coordinate_ends_where_its_parameter_does(curve_box):
    """The first one is d, then c + m(d), which ends where the curve is no longer positive."""
    z = curve_box.line(curve_theta(40))
    edges = curve_box.edges(z)
    for i, parameter in enumerate(range(5, -1, -1)):
        for edge, ends in zip(edges, (CURVE_LOW, CURVE_HIGH), strict=True):
            assert ((edges[0][:, i] < z[:, i]) & (z[:, i] < edges[1][:, i])).all()
            moved = z.clone()
            moved[:, i] = edge[:, i]
            theta = curve_box.theta(moved)
            wanted = torch.full((len(z),), ends[parameter], dtype=torch.float64)
            if parameter == 4 and ends is CURVE_LOW:
                wanted = torch.maximum(wanted, -room(theta[:, 5])[0])
            assert torch.allclose(theta[:, parameter], wanted, atol=1e-8)


def test_straight_coordinates_are_the_least_squares_fit_of_the_curve(curve_box):
    """Curves that differ by what no fit sees, at large x and small, share their coordinates."""
    theta = torch.tensor([[0.3, 0.2, 1.0, 3.0, 0.0, 0.0], [0.3, 0.2, 1.0, 2.0, -1.0, 0.0]])
    one, two = curve_box.line(theta)[:, 2:]  # (1 - x)^3 = (1 - x)^2 (1 - x)
    assert torch.allclose(one, two, atol=1e-9)
    other = curve_box.line(theta + torch.tensor([0, 0, 0, 1.0, 0, 0]))[:, 2:]
    assert float((other - one).abs().max()) > 0.1


def test_what_is_far_outside_is_put_on_the_edge_of_the_box(curve_box):
    z = torch.tensor([[0.0, 0.0, 1e3, -1e3, 1e3, 1e3], [-50.0, -50.0, 0, 0, 0, 0]]).double()
    assert curve_box.inside(curve_box.theta(curve_box.finite(z))).all()


def test_straight_coordinates_are_of_six_parameters():
    with pytest.raises(LabelError, match="the 6 parameters logA0, delta, a, b, c, d; there are 2"):
        PosteriorFlow(**SMALL, straight="bounded_curve").prepare(views())


@pytest.mark.parametrize("link", LINKS)
def test_the_density_integrates_to_one_over_the_box(link):
    spec, made = untrained(link=link)
    box = Box(torch.tensor(LOW), torch.tensor(HIGH), spec.link)
    nodes, weights = np.polynomial.legendre.leggauss(160)
    unit, share = torch.from_numpy((nodes + 1) / 2), torch.from_numpy(weights / 2)
    grid = torch.cartesian_prod(unit, unit)
    theta = box.low + box.span * grid
    z = box.line(theta)
    features = torch.tensor([[0.4, 0.7, 1.0]], dtype=torch.float64).expand(len(z), -1)
    with torch.no_grad():
        density = (made(features).log_prob(z) - box.log_slope(z)).exp()
    area = float(box.span.prod())
    total = float((density * torch.cartesian_prod(share, share).prod(-1)).sum()) * area
    assert total == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("link", LINKS)
def test_draws_have_the_density_that_is_scored(link):
    """Normal numbers have density N, so N / |dz / dnormal| is that of z."""
    _, made = untrained(link=link)
    features = torch.tensor([0.4, 0.7, 1.0], dtype=torch.float64)
    normal = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 2)))
    step = 1e-5 * torch.eye(2, dtype=torch.float64)[:, None]
    with torch.no_grad():
        given = made(features)
        slopes = torch.stack([given.draw(normal + s) - given.draw(normal - s) for s in step], -1)
        scored = given.log_prob(given.draw(normal))
    stretched = torch.linalg.slogdet(slopes / 2e-5)[1]
    wanted = norm.logpdf(normal.numpy()).sum(-1) - stretched.numpy()
    np.testing.assert_allclose(scored.numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize(
    "ends", [(-1.0, 2.0), (4.0, 6.0), (5.1, 9.0), (-12.0, -8.0), (19.0, 21.0), (495.0, 600.0)]
)
def test_normal_numbers_between_two_places_are_right_however_far_out(ends):
    share = np.linspace(1e-4, 1 - 1e-4, 99)
    normal = torch.from_numpy(norm.ppf(share))
    kept = normal_between(normal, *(torch.full_like(normal, end) for end in ends)).numpy()
    unit = 1 / max(1.0, min(abs(end) for end in ends))  # the width of what is left
    np.testing.assert_allclose(kept, truncnorm.ppf(share, *ends), atol=1e-6 * unit, rtol=0)


def test_standardising_is_a_triangular_map_with_its_jacobian():
    generator = torch.Generator().manual_seed(0)

    def some(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    one = Standardised(some(4), some(4).exp(), some(4), some(6))
    z = some(4)
    r, log_det = one.forward(z)
    jacobian = torch.autograd.functional.jacobian(lambda v: one.forward(v)[0], z)
    assert torch.allclose(one.inverse(r), z)
    assert float(log_det) == pytest.approx(math.log(abs(float(torch.linalg.det(jacobian)))))
    assert float(jacobian.triu(1).abs().max()) == 0


# -- where training starts ----------------------------------------------------------------


def test_the_start_whitens_and_knows_how_precision_grows_with_the_number_of_events():
    data = views(4000, spread=0.01)
    features = data["features"].values
    z = np.random.default_rng(1).normal(size=(4000, 1, 2)).astype("f4")
    noise = 10 ** (-0.5 * features[..., -1:])
    mixed = np.concatenate((z * 3 + noise * features[..., :2], features[..., -1:]), -1)
    start = fit_start(mixed.astype("f4"), z)
    white = (mixed.reshape(-1, 3) - start["mean"]) @ start["whiten"]
    np.testing.assert_allclose(np.cov(white, rowvar=False), np.eye(3), atol=1e-3)
    np.testing.assert_allclose(start["power"], -0.5 * math.log(10), rtol=0.1)


def test_theta_towards_the_edges_count_as_if_they_were_from_the_prior():
    rng, share = np.random.default_rng(0), 0.5
    uniform = torch.from_numpy(rng.uniform(size=(200_000, 3)))
    chosen = torch.from_numpy(rng.uniform(size=(200_000, 1))) < share
    unit = torch.where(chosen, arcsine(uniform), uniform)
    weight = 1 / excess(unit, share)
    assert float(weight.max()) <= 1 / (1 - share)
    means = torch.stack([(unit**k * weight[:, None]).mean(0) for k in (0, 1, 2, 3)])
    wanted = 1 / torch.arange(1, 5, dtype=torch.float64)[:, None].expand(4, 3)
    assert torch.allclose(means, wanted, atol=0.006)  # 5 deviations
    corner = ((unit < 0.1) | (unit > 0.9)).all(-1).double().mean()
    assert float(corner) > 4 * 0.2**3
    estimate = unit + 0.03 * torch.from_numpy(rng.normal(size=unit.shape))
    pairs = pair_weight(unit, estimate, share)
    assert float(pairs.mean().square() / pairs.square().mean()) > 0.85


# -- a posterior that is known ------------------------------------------------------------


@pytest.mark.parametrize("towards_edges", [0.0, 0.8])
def test_it_learns_the_posterior_of_a_normal_measurement_in_a_box(towards_edges):
    """The same one where most theta are drawn towards the edges."""
    spread = 0.1
    data = views(2000, 4, spread=spread, low=(0.0,), high=(1.0,), towards_edges=towards_edges)
    spec = PosteriorFlow(**{**SMALL, "views": 0})
    fitted = fit(spec, data, epochs=16, batch_size=100, learning_rate=1e-2, ema=0.99,
                 progress=False, device="cpu")  # fmt: skip
    grid = xr.DataArray(np.linspace(0.001, 0.999, 999)[:, None], dims=("place", "parameter"))
    for seen, log10_count in ((0.5, 1.0), (0.03, 1.0), (0.5, 2.0)):
        width = spread * 10 ** (-0.5 * (log10_count - 1))
        features = xr.DataArray([[seen, log10_count]], dims=("set", "number"))
        density = fitted.log_prob(grid, features)
        assert density.dims == ("set", "place")
        drawn = fitted.sample(features, 2000, seed=1)
        assert drawn["theta"].dims == ("set", "draw", "parameter")
        assert float(drawn["acceptance"][0]) == 1
        again = fitted.log_prob(drawn["theta"], features)
        np.testing.assert_allclose(again, drawn["log_prob"], rtol=1e-5, atol=1e-4)
        assert abs(float(drawn["theta"].std()) / width - 1) < 0.4
        exact = norm.logpdf(grid[:, 0].values, seen, width)
        exact -= np.log(np.exp(exact).mean())
        share = np.exp(exact) / len(exact)
        divergence = float((share * (exact - density.values[0])).sum())
        assert divergence < 0.04


# -- what is refused ----------------------------------------------------------------------


WRONG = {
    "link": ({"link": "probits"}, "did you mean 'probit'"),
    "straight": ({"straight": "curve"}, "did you mean 'bounded_curve'"),
    "link of straight ones": (
        {"straight": "bounded_curve", "link": "logit"},
        'need link="truncated"',
    ),
    "layers": ({"layers": 2}, "truncated flow has one layer, got layers=2"),
    "context": ({"context": 0}, "context is at least 1"),
    "views": ({"views": -1}, "views at least 0"),
    "hidden": ({"hidden": ()}, "at least one layer"),
    "setting": ({"width": 3}, "no setting 'width'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_settings_without_meaning_are_refused(name):
    settings, message = WRONG[name]
    with pytest.raises(LabelError, match=message):
        model("posterior_flow", **settings)


@pytest.mark.parametrize("name", ["features", "theta", "parameter_low"])
def test_what_a_dataset_of_features_lacks_is_named(name):
    with pytest.raises(LabelError, match=f"needs '{name}'"):
        PosteriorFlow(**SMALL).prepare(views().drop_vars(name))
