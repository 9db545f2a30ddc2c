"""Laws that every events simulator keeps, and what each one promises of its physics."""

from __future__ import annotations

import numpy as np
import pytest

from presage.labels import LabelError
from presage.studies.events import resonance
from presage.studies.events.decay import ResonanceDecay
from presage.studies.events.gaussians import Full, Gaussians, UnitCube
from presage.studies.events.resonance import OMEGA_FLOOR, PHI_FLOOR, Resonance

SIMULATORS = {
    "resonance": Resonance.on_grid(),
    "resonance, equal weights": Resonance.on_grid(weights="equal"),
    "resonance, one label": Resonance.at([(2464.0, 5.125)]),
    "resonance, own weights": Resonance.at([(500.0, 0.25), (700.0, 3.0)], weights=(1, 3)),
    "decay": ResonanceDecay.on_grid(3, 3),
    "decay, equal weights": ResonanceDecay.at([(700.0, 5.0), (5000.0, 0.5)]),
    "decay, with photon": ResonanceDecay.at([(500.0, 1.0)], photon_pt=True),
    "gaussians": Gaussians.on_grid(),
    "gaussians, one axis": Gaussians.on_grid(7),
    "gaussians, three axes": Gaussians.on_grid(2, 3, 4),
    "gaussians, correlated": Gaussians.on_grid(3, 3, covariance=Full((0.1, 0.2), (0.1,))),
    "gaussians, four axes": Gaussians.at([(0.1,) * 4], layout=UnitCube((2, 2, 2, 2))),
}
every = pytest.mark.parametrize("simulator", SIMULATORS.values(), ids=SIMULATORS)


@every
def test_a_block_is_a_pure_function_of_seed_and_index(simulator):
    first, again = simulator.block(3, 1), simulator.block(3, 1)
    other = simulator.block(4, 1)
    for variable in simulator.variables:
        assert np.array_equal(first[variable.name], again[variable.name])
        assert not np.array_equal(first[variable.name], other[variable.name])


@every
def test_labels_are_stored_exactly(simulator):
    block = simulator.block(0, 0)
    found = set(zip(*(block[p.name].tolist() for p in simulator.parameters), strict=True))
    assert found <= set(simulator.labels)


@every
def test_the_recipe_follows_the_fields(simulator):
    moved = simulator.at_labels([tuple(0.5 + x for x in simulator.labels[0])])
    assert simulator.recipe(0).key == simulator.recipe(0).key
    assert len({simulator.recipe(0).key, simulator.recipe(1).key, moved.recipe(0).key}) == 3
    assert "on_grid" not in repr(moved)


@every
def test_drawn_labels_are_labels(simulator):
    theta = simulator.draw(np.random.default_rng(0), 100)
    found = set(zip(*(theta[p.name].tolist() for p in simulator.parameters), strict=True))
    assert found <= set(simulator.labels)


def test_acceptance_spreads_events_as_in_the_real_grid():
    simulator = Resonance.on_grid()
    label = np.concatenate([simulator.block(0, i)["phi_label"] for i in range(3)])[:48_500]
    counts = np.bincount(np.searchsorted(np.linspace(95, 5410, 10), label), minlength=10)
    assert counts[0] < 50
    assert counts[1] < counts[2] < counts[-1]
    assert 4500 < counts[1] < 5000
    assert 5300 < counts[-1] < 5700


def test_resonance_matches_its_definition():
    """A second, plain implementation of the definition agrees in law."""
    p, w, n = 1500.0, 4.0, 200_000
    rng = np.random.default_rng(1)
    z0, z1 = rng.standard_normal((2, n))
    loss = np.where(rng.random(n) < 0.22, rng.exponential(0.045 + 0.2 / p, n), 0.0)
    loss = np.clip(loss, 0, 0.9)
    s = np.sqrt((0.6 / np.sqrt(p)) ** 2 + 0.012**2 + (3 / p) ** 2)
    t = p + 0.5 * 0.006 * p * np.tan(0.98 * np.pi * (rng.random(n) - 0.5))
    phi = t * (1 + s * z0) * (1 - loss)
    noise = np.hypot(0.035 * w, 0.09) * (0.35 * z0 + np.sqrt(1 - 0.35**2) * z1)
    omega = (0.415 + (w - 0.415) * rng.beta(5, 1.15, n) + noise) * (1 - loss / 2)
    wrong = rng.random(n) < 0.03 + 0.10 * (w / 9) * (1 - p / 7000) + 0.05 * np.exp(-p / 900)
    g = rng.gamma(2.2, 0.16 * p + 55, n)
    phi = np.where(wrong, 40 + g, phi)
    omega = np.where(wrong, 0.415 + rng.gamma(2.2, 0.42, n) * (1 + 0.15 * np.log1p(g / 500)), omega)
    kept = (phi > 30) & (omega > 0.415)
    blocks = [Resonance.at([(p, w)]).block(0, i) for i in range(12)]
    levels = (0.01, 0.05, 0.16, 0.5, 0.84, 0.95, 0.99)
    for name, expected in (("phi_mass", phi[kept]), ("omega_mass", omega[kept])):
        drawn = np.concatenate([block[name] for block in blocks])
        below = [(drawn < q).mean() for q in np.quantile(expected, levels)]
        assert np.abs(np.array(below) - levels).max() < 0.005
    drawn = np.concatenate([block["phi_mass"] * block["omega_mass"] for block in blocks])
    assert abs(drawn.mean() / (phi * omega)[kept].mean() - 1) < 0.005


def test_floors_hold_also_where_most_events_fall_below():
    block = Resonance.at([(95.0, 0.25)]).block(0, 0)
    assert (block["phi_mass"] > PHI_FLOOR).all()
    assert (block["omega_mass"].astype(np.float64) > OMEGA_FLOOR).all()


def test_redrawing_is_bounded(monkeypatch):
    monkeypatch.setattr(resonance, "_REDRAWS", 0)
    with pytest.raises(LabelError, match="gave no event above the floors"):
        Resonance.at([(95.0, 0.25)]).block(0, 0)


WRONG = {
    "no labels": (lambda: Resonance.at([]), "at least one label"),
    "short label": (lambda: Resonance.at([(1.0,)]), "2 finite numbers"),
    "infinite label": (lambda: Resonance.at([(1.0, np.inf)]), "2 finite numbers"),
    "label twice": (lambda: Resonance.at([(500.0, 1.0)] * 2), "given twice"),
    "unknown weights": (lambda: Resonance.on_grid(weights="fair"), "knows no weights 'fair'"),
    "too few weights": (lambda: Resonance.on_grid(weights=(1.0,)), "should be 100 numbers"),
    "beyond a bound": (lambda: Resonance.at([(-5.0, 1.0)]), "phi_label should lie between 0.0"),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_named(make, message):
    with pytest.raises(LabelError, match=message):
        make()
