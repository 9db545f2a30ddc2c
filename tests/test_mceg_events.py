"""Events of mceg: what is drawn is what is scored, and what is scored is the cross section."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from scipy.stats import chi2, kstest

from presage.labels import LabelError
from presage.recipe import decode, encode
from presage.rng import generator
from presage.studies.pdf.draws import Draws
from presage.studies.pdf.mceg import MCEG, Coupling, Flavours, Kinematics
from presage.studies.pdf.mceg.curves import EVOLVED
from presage.studies.pdf.mceg.grid import FLOOR
from presage.studies.pdf.mceg.inputs import UP, valence
from presage.studies.pdf.mceg.prior import ACCEPTANCE, HIGH, LOW, measure_acceptance, physical
from presage.studies.pdf.mceg.theory import F2

PROBLEM = MCEG()
#: Soft, close to the Les Houches toy, hard, and two corners of the prior.
THETA = torch.tensor(
    [
        [-0.2, 3.0, 0.0, 0.0],
        [-0.6, 1.5, 8.0, -6.0],
        [0.8, 9.0, -5.0, 9.0],
        [-0.95, 0.2, 2.0, -1.0],
        [1.2, 9.9, 5.0, 9.0],
    ],
    dtype=torch.float64,
)


def draws(seed: int) -> Draws:
    return Draws(generator("test", seed, 0))


def cross_section(state: torch.Tensor, x: torch.Tensor, q2: float) -> torch.Tensor:
    """Y+ F2 / (x Q^4) by direct inversion, ``(*, X)`` for the partons' state ``(*, 2K + 2)``."""
    y = q2 / (x * (140.0**2 - 0.938272**2))
    f2 = state @ PROBLEM.theory.rows(F2, x, q2).T
    return (1 + (1 - y) ** 2) * f2 / (x * q2**2)


LOG_Q2 = [math.log(q) for q in (2.0, 4.18**2, 140.0**2 - 10)]


def share(x: torch.Tensor, q2: torch.Tensor) -> torch.Tensor:
    """Where x lies, in its logit, between the smallest and the largest at this Q2."""
    low = torch.logit(q2 / (140.0**2 - 0.938272**2))
    high = torch.logit(q2 / (q2 + 10 - 0.938272**2))
    return (torch.logit(x) - low) / (high - low)


def composite(edges: list[float], panels: int, nodes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Places and weights of Gauss-Legendre rules in `panels` even panels of each interval."""
    points, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(nodes))
    parts = [torch.linspace(a, b, panels + 1, dtype=torch.float64) for a, b in pairwise(edges)]
    low = torch.cat([part[:-1] for part in parts])[:, None]
    width = torch.cat([part.diff() for part in parts])[:, None]
    return (low + 0.5 * width * (1 + points)).flatten(), (0.5 * width * weights).flatten()


def quadrature(panels: int, nodes: int) -> tuple[torch.Tensor, ...]:
    """Q2 ``(J,)``, x ``(J, I)`` and the measure dx dQ2 of a rule over all that can be seen.

    It is even in log Q2 below and above the bottom mass, and in the logit of x.
    """
    log_q2, along = composite(LOG_Q2, panels, nodes)
    where, across = composite([0.0, 1.0], 2 * panels, nodes)
    q2 = log_q2.exp()
    low = torch.logit(q2 / (140.0**2 - 0.938272**2))[:, None]
    high = torch.logit(q2 / (q2 + 10 - 0.938272**2))[:, None]
    x = torch.sigmoid(low + (high - low) * where)
    return q2, x, (along * q2)[:, None] * (high - low) * across * x * (1 - x)


def probabilities(theta: torch.Tensor, panels: int, nodes: int) -> tuple[torch.Tensor, ...]:
    """Q2 ``(J,)``, x ``(J, I)``, probabilities ``(*, J, I)``, and the integral ``(*,)``."""
    q2, x, measure = quadrature(panels, nodes)
    state = PROBLEM.theory.state(theta)
    values = [cross_section(state, row, q) for row, q in zip(x, q2.tolist(), strict=True)]
    found = torch.stack(values, -2) * measure
    norm = found.sum((-1, -2))
    return q2, x, found / norm[..., None, None], norm


def test_the_density_integrates_to_one():
    q2, x, measure = quadrature(30, 4)
    points = torch.stack([x, q2[:, None].expand_as(x)], -1).reshape(-1, 2)
    total = PROBLEM.log_prob(THETA, points).exp() @ measure.flatten()
    assert float((total - 1).abs().max()) < 2e-5


def test_the_density_is_the_cross_section():
    """The interpolation, at events drawn from the whole prior, against direct inversion."""
    theta = PROBLEM.draw_theta(draws(1), 40)
    events = PROBLEM.events(theta, draws(2), 1, 4)[:, 0].double()
    norm = probabilities(theta, 4, 8)[-1]
    state = PROBLEM.theory.state(theta)
    direct = torch.tensor(
        [
            [float(cross_section(one, x[None], float(q2))) for x, q2 in points]
            for one, points in zip(state, events, strict=True)
        ],
        dtype=torch.float64,
    )
    error = PROBLEM.log_prob(theta, events) - (direct / norm[:, None]).log()
    assert float(error.square().mean().sqrt()) < 4e-4
    assert float(error.abs().max()) < 5e-3


def test_few_combinations_stand_for_the_whole_state():
    """On fresh parameters, and relative to F2 and a reference that is large towards x = 1."""
    grid = PROBLEM.grid
    theta = PROBLEM.draw_theta(draws(3), 300)
    coefficients, state = grid.coefficients(theta), PROBLEM.theory.state(theta)
    assert coefficients.shape[-1] < 50
    masses, floor = grid.masses(coefficients), grid.table[:, -1]
    assert float(masses.min()) > 0
    for j in range(0, grid.nodes[1] - 1, 22):
        row = slice(j * grid.nodes[0], (j + 1) * grid.nodes[0])
        x, factor = grid.row(j)
        direct = state @ PROBLEM.theory.rows(F2, x, float(grid.q2[j])).T * factor * grid.areas[row]
        error = masses[:, row] - direct - floor[row]
        assert float((error / (masses[:, row] + floor[row] / FLOOR)).abs().max()) < 1e-7


PANELS, NODES = 10, 6


@cache
def fine() -> tuple[torch.Tensor, ...]:
    """Q2, x and probabilities of the five theta, by panels of the rule."""
    return probabilities(THETA, PANELS, NODES)[:3]


def bins() -> torch.Tensor:
    """Probabilities ``(5, 2 · PANELS, 2 · PANELS)`` of bins in log Q2 and in the share of x."""
    return fine()[2].unflatten(2, (-1, NODES)).unflatten(1, (-1, NODES)).sum((2, 4))


def placed(events: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """In which of these bins events are."""
    edges = torch.cat(
        [torch.linspace(*ends, PANELS + 1, dtype=torch.float64)[:-1] for ends in pairwise(LOG_Q2)]
    )
    x, q2 = (part.contiguous() for part in events.unbind(-1))
    row = torch.bucketize(q2.log(), edges, right=True) - 1
    return row, (share(x, q2) * 2 * PANELS).long()


def test_no_event_is_outside_and_nothing_at_the_edges_is_lost():
    """The outermost bins along y = 1, W2 = 10 GeV2 and Q2 = 2 GeV2 have their probabilities."""
    count = 100_000
    events = PROBLEM.events(THETA, draws(4), 1, count)[:, 0].double()
    x, q2 = events.unbind(-1)
    assert float((q2 / (x * (140.0**2 - 0.938272**2))).max()) < 1
    assert float((0.938272**2 + q2 * (1 / x - 1)).min()) > 10
    assert float(q2.min()) >= 2
    assert torch.isfinite(PROBLEM.log_prob(THETA, events)).all()
    row, column = placed(events)
    last = 2 * PANELS - 1
    for index, axis, edge in ((column, 1, 0), (column, 1, last), (row, 2, 0)):
        expected = bins().select(3 - axis, edge).sum(-1)
        assert float(expected.max()) > 0.005
        pull = ((index == edge).double().mean(1) - expected) / (expected / count).sqrt()
        assert float(pull.abs().max()) < 3.5


def test_counts_in_bins_are_those_of_the_cross_section():
    """Chi squared of multinomial counts, two-sided: too even would be as wrong as too uneven."""
    count = 40_000
    events = PROBLEM.events(THETA, draws(5), 1, count)[:, 0].double()
    row, column = placed(events)
    total, freedom = 0.0, 0
    place = row * 2 * PANELS + column
    for found, expected in zip(place, bins().flatten(1) * count, strict=True):
        seen = torch.bincount(found, minlength=expected.numel())
        large = expected > 10
        total += float(((seen - expected).square() / expected)[large].sum())
        freedom += int(large.sum())
    assert freedom > 300
    assert 0.01 < chi2.sf(total, freedom) < 0.99


def test_marginals_are_those_of_the_cross_section():
    events = PROBLEM.events(THETA, draws(5), 1, 40_000)[:, 0].double().numpy()
    q2, x, chance = fine()
    for (points, probability), feature in product(zip(events, chance, strict=True), (0, 1)):
        places, weights = (q2, probability.sum(1))
        if feature == 0:
            places, weights = x.flatten(), probability.flatten()
        order = places.sort()
        weights = weights[order.indices]
        middle = weights.cumsum(0) - 0.5 * weights
        found = kstest(points[:, feature], np.interp, args=(order.values, middle))
        assert found.pvalue > 0.01 / (2 * len(THETA))


def test_physical_parameters_are_those_whose_densities_are_not_negative():
    """Against u_v on many x, and a numerical momentum integral."""
    flavours = Flavours()
    low, high = (torch.tensor(edge, dtype=torch.float64) for edge in (LOW, HIGH))
    theta = low + (high - low) * draws(6).uniform(3000, 4)
    s = torch.linspace(0, 1, 2001, dtype=torch.float64)
    lowest = (1 + theta[:, 2:3] * s + theta[:, 3:] * s * s).min(1).values
    points, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(200))
    root = 0.5 * (1 + points)
    x, measure = root**4, 2 * root**3 * weights
    density = valence(theta, x)
    momentum = (density * x) @ measure * UP / (density @ measure)
    left = flavours.momentum_left()
    clear = (lowest.abs() > 1e-4) & ((momentum - left).abs() > 0.01) & (theta[:, 0] > -0.9)
    expected = (lowest >= 0) & (momentum < left)
    assert clear.double().mean() > 0.9
    assert torch.equal(physical(theta, flavours)[clear], expected[clear])
    assert not physical(torch.tensor([[-1.0, 1.0, 0.0, 0.0]]).double(), flavours).any()


def test_the_stored_acceptance_is_the_volume_of_the_prior():
    assert measure_acceptance(Flavours(), 60) == pytest.approx(ACCEPTANCE, abs=1e-4)
    other = MCEG(flavours=Flavours(sea=0.1))
    assert other.acceptance == pytest.approx(measure_acceptance(other.flavours, 60), abs=1e-4)
    assert other.acceptance > ACCEPTANCE


def test_large_sets_are_scored_in_pieces(monkeypatch):
    theta = THETA[:3]
    events = PROBLEM.events(theta, draws(7), 2, 60).double()
    whole = PROBLEM.log_prob(theta[:, None], events)
    for rows in (50, 130, 250):
        monkeypatch.setattr("presage.studies.pdf.mceg.generator._ROWS", rows)
        assert torch.allclose(PROBLEM.log_prob(theta[:, None], events), whole, rtol=1e-11)
    shared = PROBLEM.log_prob(theta, events[0, 0])
    assert torch.allclose(shared[0], whole[0, 0], rtol=1e-11)


def test_a_grid_for_each_theta_scores_as_rows_for_each_event(monkeypatch):
    events = PROBLEM.events(THETA, draws(8), 1, 300)[:, 0].double()
    dense = PROBLEM.log_prob(THETA, events)
    monkeypatch.setattr("presage.studies.pdf.mceg.grid._DENSE", 10**9)
    assert torch.allclose(PROBLEM.log_prob(THETA, events), dense, rtol=1e-11)


def test_curves_are_those_of_the_theory():
    curves = {curve.name: curve for curve in PROBLEM.curves}
    assert next(iter(curves)) == "x_u_valence"
    wide = curves["x_u_valence_wide"]
    x = torch.tensor(wide.grid, dtype=torch.float64)
    expected = x * valence(THETA, x)
    assert torch.allclose(PROBLEM.curve(wide, THETA), expected)
    assert float(torch.trapezoid(expected[0], x.log())) == pytest.approx(2.0, abs=0.05)
    theta = PROBLEM.draw_theta(draws(9), 100)
    for name, (weights, q2, _) in EVOLVED.items():
        found = PROBLEM.curve(curves[name], theta)
        direct = PROBLEM.theory.value(weights, theta, x, q2)
        assert float(((found - direct).abs() / (direct + 1e-3)).max()) < 1e-7
        coarse = replace(curves[name], grid=curves[name].grid[::10])
        assert torch.allclose(PROBLEM.curve(coarse, theta), direct[:, ::10], rtol=1e-10)


def test_settings_of_the_simulator_are_part_of_the_recipe():
    others = [
        MCEG(q0_squared=1.5),
        MCEG(coupling=Coupling(alpha_s=0.12)),
        MCEG(flavours=Flavours(strange=0.25)),
        MCEG(kinematics=Kinematics(energy=318.0)),
        MCEG(nodes=(300, 200)),
    ]
    assert len({PROBLEM.recipe(0).key, *(other.recipe(0).key for other in others)}) == 6
    for other in others:
        assert MCEG(**decode(encode(dict(other.identity())))) == other


def test_other_beams_and_no_bottom_quark():
    made = MCEG(
        kinematics=Kinematics(energy=60.0), coupling=Coupling(bottom_mass=None), nodes=(40, 30)
    )
    events = made.events(THETA[:1], draws(9), 1, 2000)
    assert torch.isfinite(made.log_prob(THETA[:1], events[:, 0])).all()
    assert float(events[..., 1].max()) < 60.0**2 - 10
    assert made.grid.q2.diff().min() > 0


WRONG = {
    "one number of nodes": (lambda: MCEG(nodes=(400,)), "two numbers from 8 on"),
    "few nodes": (lambda: MCEG(nodes=(4, 200)), "two numbers from 8 on"),
    "start above the events": (lambda: MCEG(q0_squared=3.0), "evolution runs upwards"),
    "no events": (lambda: MCEG(kinematics=Kinematics(q2_min=2e4)), "0 < q2_min"),
    "elastic": (lambda: Kinematics(w2_min=0.5), "w2_min above the proton's mass"),
    "unknown flavour": (lambda: MCEG(flavours={"strage": 0.2}), "did you mean 'strange'"),
    "sea takes all": (
        lambda: MCEG(flavours=Flavours(sea=2.0)).grid.reduction,
        "hardly any u valence leaves momentum",
    ),
    "no flavours": (lambda: MCEG(flavours=3), "flavours should be a Flavours, got 3"),
    "y above 1": (
        lambda: PROBLEM.check_events(torch.tensor([[0.5, 100.0], [0.001, 100.0]])),
        "the first has x = 0.001, Q2 = 100 GeV2, y = 5.1",
    ),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_wrong_settings_and_events_are_named(make, message):
    with pytest.raises(LabelError, match=message):
        make()
