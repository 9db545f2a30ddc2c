"""The fuller resonance: kinematics, detector, cut and acceptance against plain calculations."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from scipy import stats

from presage.labels import LabelError
from presage.recipe import Recipe
from presage.studies import rebuild
from presage.studies.events import decay
from presage.studies.events.decay import ResonanceDecay
from presage.studies.events.kinematics import Decay, even_points, invariant_mass

#: Nothing but the decay: no width, no detector, no wrong pairs.
BARE: dict[str, Any] = {"width": 0.0, "resolution": 0.0, "wrong": 0.0, "photon_pt": True}


def block(label: tuple[float, float], index: int = 0, **settings: Any) -> Any:
    return ResonanceDecay.at([label], **settings).block(1, index)


def decays(n: int = 5_000, mass: float = 500.0, light: float = 5.0, **given: Any) -> Decay:
    rng = np.random.default_rng(3)
    columns = {
        "mass": np.full(n, mass), "light": np.full(n, light), "pt": 300 * rng.random(n),
        "cosine": 2 * rng.random(n) - 1, "azimuth": 2 * np.pi * rng.random(n),
    }  # fmt: skip
    return Decay(**{**columns, **given})


def vector(momentum: Any, mass: Any) -> Any:
    """Return energy and momentum ``[4, event]``."""
    pt, eta, phi = momentum
    x, y, z = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    return np.stack([np.sqrt(x * x + y * y + z * z + mass**2), x, y, z])


@pytest.mark.parametrize("light", [0.25, 9.0, 300.0, 499.0])
def test_energy_and_momentum_are_conserved(light: float) -> None:
    made = decays(light=light)
    rapidity = np.random.default_rng(1).uniform(-3, 3, made.pt.size)
    photon, other = made.daughters(rapidity)
    total = vector(photon, 0.0) + vector(other, light)
    transverse = np.hypot(made.mass, made.pt)
    parent = [transverse * np.cosh(rapidity), made.pt, 0 * rapidity, transverse * np.sinh(rapidity)]
    assert np.abs(total - parent).max() < 1e-9 * total[0].max()
    assert invariant_mass(photon, other, made.light) == pytest.approx(made.mass, rel=1e-12)
    assert made.photon_pt() == pytest.approx(photon.pt, rel=1e-12)


def test_a_photon_has_any_energy_alike() -> None:
    """Isotropic in the rest frame means flat in energy, between the limits of the boost."""
    made = decays(pt=np.full(5_000, 400.0))
    photon, _ = made.daughters(np.full(5_000, 0.7))
    energy = vector(photon, 0.0)[0]
    parent = math.hypot(500.0, 400.0) * math.cosh(0.7)
    flight = math.sqrt(parent**2 - 500.0**2)
    p = (500.0**2 - 5.0**2) / (2 * 500.0)
    low, high = (p * (parent + sign * flight) / 500.0 for sign in (-1, 1))
    assert stats.kstest(energy, stats.uniform(low, high - low).cdf).pvalue > 1e-3


@pytest.mark.parametrize("label", [(600.0, 5.0), (5000.0, 0.6), (2000.0, 9.0)])
def test_without_detector_the_masses_are_the_labels(label: tuple[float, float]) -> None:
    got = block(label, **BARE)
    assert got["phi_mass"] == pytest.approx(label[0], rel=2e-6)
    assert got["omega_mass"] == pytest.approx(label[1], rel=2e-6)


def test_the_photon_has_the_jacobian_edge() -> None:
    got = block((3000.0, 9.0), recoil=0.0, photon_cut=0.0, **BARE)["photon_pt"]
    edge = 1500.0 * (1 - (9.0 / 3000.0) ** 2)
    assert got.max() <= edge * (1 + 1e-6)
    ratio = np.minimum(got.astype(np.float64) / edge, 1.0)
    assert stats.kstest(ratio, lambda x: 1 - np.sqrt(1 - x**2)).pvalue > 1e-3


def plain(p: float, w: float, n: int, rng: np.random.Generator) -> Any:
    """A second, plain implementation: four-vectors, boosts, no event left out beforehand."""
    s = 13_000.0**2
    mass = p * (1 + 0.003 * np.tan(0.98 * np.pi * (rng.random(n) - 0.5)))
    heaviest = p * (1 + 0.003 * np.tan(0.49 * np.pi))
    scale = 60 + 0.05 * p
    most = (s - heaviest**2) / (2 * math.sqrt(s))
    pt = scale * np.sqrt((1 - rng.random(n) * (1 - (1 + (most / scale) ** 2) ** -2)) ** -0.5 - 1)
    beam = np.arccosh((s + mass**2) / (2 * math.sqrt(s) * np.hypot(mass, pt)))
    rapidity = 2 / np.pi * np.arcsin(rng.uniform(-1, 1, n)) * beam
    direction = rng.standard_normal((3, n))
    direction /= np.linalg.norm(direction, axis=0)
    k = (mass**2 - w**2) / (2 * mass)
    photon = np.stack([k, *(k * direction)])
    other = np.stack([mass - k, *(-k * direction)])
    for axis, speed in ((1, pt / np.hypot(mass, pt)), (3, np.tanh(rapidity))):
        photon, other = boosted(photon, axis, speed), boosted(other, axis, speed)
    return detected(p, w, photon, other, rng)


def boosted(four: Any, axis: int, speed: Any) -> Any:
    gamma = 1 / np.sqrt(1 - speed**2)
    result = four.copy()
    result[0] = gamma * (four[0] + speed * four[axis])
    result[axis] = gamma * (four[axis] + speed * four[0])
    return result


def detected(p: float, w: float, photon: Any, other: Any, rng: np.random.Generator) -> Any:
    n = photon.shape[1]
    pt = np.hypot(photon[1], photon[2])
    blur = np.sqrt((0.6 / np.sqrt(pt)) ** 2 + 0.012**2 + (3 / pt) ** 2)
    loss = np.where(rng.random(n) < 0.1, np.minimum(rng.exponential(0.1, n), 0.9), 0.0)
    pt = pt * (1 + blur * rng.standard_normal(n)) * (1 - loss)
    eta = np.arcsinh(photon[3] / np.hypot(photon[1], photon[2]))
    first = (pt, eta + 0.005 * rng.standard_normal(n),
             np.arctan2(photon[2], photon[1]) + 0.005 * rng.standard_normal(n))  # fmt: skip
    pt2 = np.hypot(other[1], other[2])
    z0, z1 = rng.standard_normal((2, n))
    loss = np.minimum(rng.exponential(0.09 + 0.4 / p, n), 0.9) * (rng.random(n) < 0.22)
    second = [pt2 * (1 + np.hypot(0.03, 3e-5 * pt2) * z0) * (1 - loss),
              np.arcsinh(other[3] / pt2) + 0.001 * rng.standard_normal(n),
              np.arctan2(other[2], other[1]) + 0.001 * rng.standard_normal(n)]  # fmt: skip
    omega = 0.415 + (max(w, 0.55) - 0.415) * rng.beta(5, 1.15, n)
    omega += np.hypot(0.035 * w, 0.09) * (0.35 * z0 + np.sqrt(1 - 0.35**2) * z1)
    omega *= 1 - loss / 4
    share = 0.03 + 0.10 * (w / 9) * (1 - p / 7000) + 0.05 * np.exp(-p / 900)
    wrong = rng.random(n) < share
    soft = 20 + rng.gamma(2.2, 0.015 * p + 15, n)
    second[0] = np.where(wrong, soft, second[0])
    second[1] = np.where(wrong, rng.normal(0, 1.2, n), second[1])
    second[2] = np.where(wrong, rng.uniform(0, 2 * np.pi, n), second[2])
    wide = 0.415 + rng.gamma(2.2, 0.42, n) * (1 + 0.15 * np.log1p(soft / 100))
    omega = np.where(wrong, wide, omega)
    with np.errstate(invalid="ignore"):
        four = vector(first, 0.0) + vector(second, omega)
        phi = np.sqrt(four[0] ** 2 - (four[1:] ** 2).sum(axis=0))
    return phi, omega, pt


PLAIN = {"light": (440.0, 2.0, 250_000), "in the middle": (900.0, 5.0, 60_000),
         "heavy": (5000.0, 8.0, 40_000)}  # fmt: skip


@pytest.mark.parametrize(("p", "w", "n"), PLAIN.values(), ids=PLAIN)
def test_events_and_acceptance_agree_with_plain_four_vectors(p: float, w: float, n: int) -> None:
    phi, omega, pt = plain(p, w, n, np.random.default_rng(8))
    passed = pt > 220
    (accepted,) = ResonanceDecay.at([(p, w)]).acceptance()
    error = math.sqrt(passed.mean() * (1 - passed.mean()) / n)
    assert abs(accepted - passed.mean()) < 5 * error + 0.015 * passed.mean()
    kept = passed & (phi > 30) & (omega > 0.415)
    got = block((p, w), photon_pt=True)
    for name, expected in (("phi_mass", phi), ("omega_mass", omega), ("photon_pt", pt)):
        assert stats.ks_2samp(got[name], expected[kept]).pvalue > 1e-3, name
    both = stats.ks_2samp(got["phi_mass"] * got["omega_mass"], (phi * omega)[kept])
    assert both.pvalue > 1e-3


def test_light_phi_are_rare_and_heavy_ones_are_not() -> None:
    source = ResonanceDecay.on_grid()
    accepted = source.acceptance().reshape(10, 10)[:, 4]
    assert (np.diff(accepted) > 0).all()
    assert 5e-4 < accepted[0] < 5e-3
    assert accepted[-1] > 0.99
    labels = np.concatenate([source.block(0, i)["phi_label"] for i in range(2)])[:48_500]
    values, counts = np.unique(labels, return_counts=True)
    assert values[0] > 600  # none at 95 GeV
    assert 4000 < counts[0] < 4500
    assert counts[-1] > 5500


def test_cuts_hold_in_the_stored_precision() -> None:
    label = {"phi_label": np.full(2000, 300.0), "omega_label": np.full(2000, 0.25)}
    source = ResonanceDecay.at([(300.0, 0.25)], photon_pt=True)  # drawn most often of all labels
    got = source.simulate(label, np.random.default_rng(0))
    assert (got["photon_pt"].astype(np.float64) > 220).all()
    assert (got["phi_mass"] > 30).all()
    assert (got["omega_mass"].astype(np.float64) > 0.415).all()


def test_blocks_may_be_made_in_threads() -> None:
    source = ResonanceDecay.on_grid(3, 3)
    with ThreadPoolExecutor(3) as pool:
        threaded = list(pool.map(lambda i: source.block(0, i), range(3)))
    for i, made in enumerate(threaded):
        for name, column in source.block(0, i).items():
            assert np.array_equal(made[name], column)


def test_redrawing_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decay, "_ROUNDS", 0)
    with pytest.raises(LabelError, match=r"label \(95, 0.25\) GeV gave no event above the cuts"):
        block((95.0, 0.25))


def test_a_recipe_rebuilds_its_source() -> None:
    source = ResonanceDecay.on_grid(2, 2, photon_pt=True, recoil=0.5)
    assert rebuild(Recipe.from_json(source.recipe(1).json)) == source


def test_even_points_are_even() -> None:
    points = even_points(2048, 6)
    assert 0 <= points.min() < points.max() < 1
    for row in points:
        assert np.abs(np.sort(row) - (np.arange(2048) + 0.5) / 2048).max() < 0.01


WRONG = {
    "a Phi that is too light": (lambda: block((9.0, 9.0)), r"Phi of label \(9.0, 9.0\) is lighter"),
    "a width across the threshold": (lambda: block((9.2, 9.0), width=0.05), "is lighter than its"),
    "beyond the collisions": (lambda: block((14_000.0, 5.0)), "no collision of 13 TeV gives"),
    "no recoil": (lambda: block((95.0, 1.0), recoil=0.0), "no collision of 13 TeV gives a photon"),
    "a cut beyond all": (lambda: block((95.0, 1.0), photon_cut=9000.0), "above 9000 GeV"),
    "a negative cut": (lambda: block((900.0, 1.0), photon_cut=-1.0), "photon_cut .* got -1.0"),
    "a wide Phi": (lambda: block((900.0, 1.0), width=0.1), "width should be between 0 and 0.06"),
    "not a number": (lambda: block((900.0, 1.0), resolution=math.nan), "resolution .* got nan"),
    "weights": (lambda: ResonanceDecay.on_grid(weights="fair"), "knows no weights 'fair'"),
    "a short label": (lambda: ResonanceDecay.at([(500.0,)]), "2 finite numbers"),
    "a negative label": (lambda: block((-500.0, 1.0)), "phi_label should lie between 0.0"),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_named(make: Any, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        make()
