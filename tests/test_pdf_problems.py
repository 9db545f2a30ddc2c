"""Laws that every problem of the study `pdf` keeps: its events and its density belong together."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
import torch
import xarray as xr

from presage.generate import simulate
from presage.labels import LabelError
from presage.rng import generator
from presage.studies import rebuild
from presage.studies.pdf.draws import Draws
from presage.studies.pdf.gaussian import Gaussian
from presage.studies.pdf.information import scores
from presage.studies.pdf.mceg import MCEG
from presage.studies.pdf.problem import Curve, Problem
from presage.studies.pdf.problems import PROBLEMS, problem
from presage.studies.pdf.realistic_dis import RealisticDIS
from presage.studies.pdf.realistic_dis_events import RealisticDISEvents
from presage.studies.pdf.simplified_dis import SimplifiedDIS
from presage.studies.pdf.simplified_dis_pushforward import SimplifiedDISPushforward


class Row(NamedTuple):
    """A problem, and whether its density is smooth enough for scores to have a variance."""

    make: Callable[..., Problem]
    regular: bool = True


TABLE = {
    "gaussian": Row(Gaussian),
    "simplified_dis": Row(SimplifiedDIS),
    "simplified_dis, original box": Row(partial(SimplifiedDIS, box="original")),
    "simplified_dis_pushforward": Row(SimplifiedDISPushforward, regular=False),
    "realistic_dis": Row(RealisticDIS),
    "realistic_dis_events": Row(RealisticDISEvents),
    "mceg": Row(MCEG),
}
REGULAR = {name: row for name, row in TABLE.items() if row.regular}
every = pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
regular = pytest.mark.parametrize("row", REGULAR.values(), ids=REGULAR)


def draws(seed: int = 0) -> Draws:
    return Draws(generator("test", seed, 0))


def inner_theta(made: Problem, n: int, seed: int = 0) -> torch.Tensor:
    """Parameters from the prior, drawn a little to the middle of the box, for derivatives."""
    theta = made.draw_theta(draws(seed), 8 * n)
    theta = theta + 0.05 * (0.5 * (made.low + made.high) - theta)
    return theta[made.physical(theta)][:n]


def sets(made: Problem, n: int, count: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Parameters ``(n, P)``, and a set of `count` events for each, in float64."""
    theta = inner_theta(made, n, seed)
    return theta, made.events(theta, draws(seed + 100), 1, count)[:, 0].to(torch.float64)


@every
def test_a_block_is_a_pure_function_of_seed_and_index(row):
    made = row.make(n_events=1000)
    first, again = made.block(3, 1), made.block(3, 1)
    for other in (made.block(4, 1), made.block(3, 2)):
        for name in ("theta", "events"):
            assert first[name].tobytes() == again[name].tobytes()
            assert first[name].tobytes() != other[name].tobytes()


@every
def test_blocks_have_the_declared_sizes_for_sets_of_any_size(row):
    for count in (1, 701):
        made = row.make(n_events=count)
        block = made.block(0, 0)
        assert block["theta"].shape == (made.block_size, len(made.prior))
        if not made.ragged:
            shape = (made.block_size, 1, count, len(made.features))
            assert block["events"].shape == shape
    if not made.ragged:
        assert row.make(n_events=300, n_repeat=2).block(0, 0)["events"].shape[1:3] == (2, 300)


@every
def test_a_problem_is_rebuilt_from_its_recipe(row):
    made = row.make(n_events=5)
    assert rebuild(made.recipe(2)) == made
    assert made.recipe(2).key != row.make(n_events=6).recipe(2).key


@every
def test_theta_is_drawn_from_the_prior(row):
    made = row.make()
    theta = made.draw_theta(draws(), 2000)
    volume = float((made.high - made.low).prod())
    expected = -math.log(made.acceptance * volume)
    assert torch.allclose(made.log_prior(theta), torch.tensor(expected, dtype=torch.float64))
    assert made.check_theta(theta).shape == theta.shape
    assert (made.log_prior(theta + (made.high - made.low)) == -math.inf).all()


@every
def test_the_acceptance_is_the_physical_share_of_the_box(row):
    made, n = row.make(), 40_000
    unit = draws().uniform(n, len(made.prior))
    share = float(made.physical(made.low + (made.high - made.low) * unit).double().mean())
    error = math.sqrt(made.acceptance * (1 - made.acceptance) / n)
    assert abs(share - made.acceptance) <= 3 * error


@regular
def test_the_mean_score_is_zero(row):
    """Hotelling's statistic of the mean score, for several theta together, is a chi squared."""
    made = row.make()
    total, freedom = 0.0, 0
    for theta, events in zip(*sets(made, 4, 20_000), strict=True):
        score = scores(made, theta, events)
        assert torch.isfinite(score).all()
        score = score[:, score.abs().amax(0) > 0]  # logA0 of event shapes has none
        mean, covariance = score.mean(0), torch.cov(score.T) / len(score)
        total += float(mean @ torch.linalg.solve(covariance, mean))
        freedom += len(mean)
    assert abs(total - freedom) < 2.6 * math.sqrt(2 * freedom)  # p > 0.01


@regular
def test_ratios_of_densities_average_to_one(row):
    """Over events of one theta, p(other theta) / p(theta) has the mean 1."""
    made = row.make()
    theta, events = sets(made, 4, 20_000)
    other = theta + 0.02 * (0.5 * (made.low + made.high) - theta)
    with torch.no_grad():
        ratio = (made.log_prob(other, events) - made.log_prob(theta, events)).exp()
    pulls = (ratio.mean(-1) - 1) / (ratio.std(-1) / ratio.shape[-1] ** 0.5)
    assert pulls.square().sum() < 13.3  # chi squared of 4, p > 0.01


@every
def test_leading_dimensions_broadcast(row):
    made = row.make()
    theta, events = sets(made, 3, 5)
    table = made.log_prob(theta[:, None], events)
    assert table.shape == (3, 3, 5)
    for i in range(3):
        alone = made.log_prob(theta[i], events[0])
        assert alone.shape == (5,)
        assert torch.allclose(table[i, 0], alone, rtol=1e-12)
    assert made.log_prob(theta[0], events).shape == (3, 5)


@every
def test_the_likelihood_of_a_set_is_the_sum_over_its_events(row):
    made = row.make()
    theta, events = sets(made, 6, 40)
    direct = made.log_likelihood(theta, events[0])
    assert torch.allclose(made.likelihood(events[0])(theta), direct, rtol=1e-9)
    assert made.likelihood(events[0])(theta[:0]).shape == (0,)
    assert made.likelihood(events[0].float())(theta).dtype == torch.float64


@every
def test_gaps_of_padded_sets_do_not_count(row):
    made = row.make()
    theta, events = sets(made, 3, 8)
    mask = torch.arange(8) < torch.tensor([[8], [5], [1]])
    padded = torch.where(mask[..., None], events, math.nan)
    theta.requires_grad_()
    value = made.log_likelihood(theta, padded, mask)
    for i, length in enumerate((8, 5, 1)):
        assert torch.allclose(value[i], made.log_likelihood(theta[i], events[i, :length]))
    (gradient,) = torch.autograd.grad(value.sum(), theta)
    assert torch.isfinite(gradient).all()


@regular
def test_gradients_agree_with_differences(row):
    made = row.make()
    theta, events = sets(made, 2, 30)
    step = 1e-5 * (made.high - made.low)
    for one, points in zip(theta, events, strict=True):
        exact = scores(made, one, points)
        for i, h in enumerate(torch.diag(step)):
            change = made.log_prob(one + h, points) - made.log_prob(one - h, points)
            assert torch.allclose(exact[:, i], change / (2 * step[i]), rtol=1e-4, atol=1e-4)


@every
def test_there_is_no_density_beyond_the_support(row):
    made = row.make()
    theta, events = sets(made, 1, 3)
    for i, feature in enumerate(made.features):
        for bound, step in ((feature.lower, -0.5), (feature.upper, 0.5)):
            if math.isfinite(bound):
                events[0, 1, i] = bound + step * max(1.0, abs(bound))
                point = theta[0].clone().requires_grad_()
                found = made.log_prob(point, events[0])
                assert torch.isfinite(found).tolist() == [True, False, True]
                (gradient,) = torch.autograd.grad(found[::2].sum(), point)
                assert torch.isfinite(gradient).all()
                with pytest.raises(LabelError, match=feature.name):
                    made.check_events(events)
                theta, events = sets(made, 1, 3)


@every
def test_curves_are_finite(row):
    made = row.make()
    theta = made.draw_theta(draws(), 6).reshape(2, 3, -1)
    assert made.curves
    for curve in made.curves:
        values = made.curve(curve, theta)
        assert values.shape == (2, 3, len(curve.grid))
        assert torch.isfinite(values).all()
        assert (values >= 0).all()
    name = made.curves[0].name
    with pytest.raises(LabelError, match=f"no curve '{name}s'; did you mean '{name}'"):
        made.curve(Curve(f"{name}s", (0.1,)), theta)


def labelled(made: Problem, theta: torch.Tensor, events: torch.Tensor) -> xr.Dataset:
    return xr.Dataset(
        {
            "theta": (("sample", "parameter"), theta.numpy()),
            "events": (("sample", "repeat", "event", "feature"), events.numpy()),
        },
        coords={c.name: c.variable() for c in made.coordinates},
    )


@every
def test_names_decide_and_not_the_order_of_dimensions(row):
    made = row.make()
    theta, events = sets(made, 3, 8)
    dataset = labelled(made, theta, events.reshape(3, 2, 4, -1))
    score = made.score(dataset)
    assert score.dims == ("sample", "repeat", "event")
    expected = made.log_prob(theta[:, None], events.reshape(3, 2, 4, -1))
    np.testing.assert_allclose(score.values, expected, rtol=1e-12)
    turned = dataset.transpose("feature", "event", "parameter", "repeat", "sample")
    turned = turned.isel(parameter=slice(None, None, -1), feature=slice(None, None, -1))
    again = made.score(turned)
    np.testing.assert_array_equal(again.transpose(*score.dims).values, score.values)


@every
def test_sets_of_unequal_size_are_scored_end_to_end(row):
    made = row.make()
    theta, events = sets(made, 3, 4)
    flat = torch.cat([events[0], events[2][:2]])
    dataset = labelled(made, theta, events[:, None]).drop_vars("events")
    dataset["events"] = ("event", "feature"), flat.numpy()
    dataset["event_count"] = "sample", [4, 0, 2]
    found = made.score(dataset)
    expected = torch.cat([made.log_prob(theta[0], flat[:4]), made.log_prob(theta[2], flat[4:])])
    assert found.dims == ("event",)
    np.testing.assert_allclose(found.values, expected, rtol=1e-12)
    with pytest.raises(LabelError, match="3 sets of 7 events together, but 3 theta and 6 events"):
        made.score(dataset.assign(event_count=("sample", [4, 1, 2])))


def test_every_problem_is_in_the_table():
    names = {row.make().name for row in TABLE.values()}
    assert set(PROBLEMS) == names
    for name in names:
        assert problem(name, n_events=3).name == name


def test_a_share_of_theta_is_drawn_towards_the_edges_and_its_recipe_says_so():
    plain, shifted = (
        problem("gaussian", n_events=2),
        problem("gaussian", n_events=2, towards_edges=0.5),
    )
    assert "towards_edges" not in plain.identity()
    assert plain.recipe(0).key != shifted.recipe(0).key
    made = simulate(shifted, 1000, progress=False)
    assert (made["parameter_edges"] == 0.5).all()
    unit = (made["theta"] - made["parameter_low"]) / (
        made["parameter_high"] - made["parameter_low"]
    )
    near = float(((unit < 0.1) | (unit > 0.9)).mean())
    assert near == pytest.approx(0.5 * 0.2 + 0.5 * 0.4097, abs=0.03)

    @dataclass(frozen=True)
    class Own(type(plain)):
        def draw_theta(self, draws, n, towards_edges=0.0):
            return self.low.expand(n, -1)

    with pytest.raises(LabelError, match="draws theta in its own way"):
        Own(towards_edges=0.5)


WRONG = {
    "no such problem": (lambda: problem("gausian"), "did you mean 'gaussian'"),
    "no such setting": (lambda: problem("gaussian", events=3), "did you mean 'n_events'"),
    "no events": (lambda: problem("gaussian", n_events=0), "n_events should be at least 1"),
    "half an event": (lambda: problem("gaussian", n_events=1.5), "at least 1, got 1.5"),
    "events in words": (lambda: problem("gaussian", n_events="ten"), "at least 1, got 'ten'"),
    "no end of repeats": (lambda: problem("gaussian", n_repeat=math.inf), "at least 1, got inf"),
    "no such device": (lambda: problem("gaussian", device="cdua"), "did you mean 'cuda'"),
    "no such box": (lambda: problem("simplified_dis", box="orginal"), "did you mean 'original'"),
    "sets of unequal size twice": (
        lambda: problem("realistic_dis_events", n_repeat=2),
        "n_repeat should be 1, got 2",
    ),
    "more events than fit": (
        lambda: problem("realistic_dis_events", n_events=10**6),
        "give n_events <= 10504",
    ),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
