"""The shapes of the zoo: the density that each states is the one that it draws from."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.zoo.measure import MODEL, RIVALS, Outcome, probability_error
from benchmarks.zoo.report import Refused, Row, markdown
from benchmarks.zoo.table import SHAPES
from scipy.integrate import trapezoid
from scipy.spatial import cKDTree
from scipy.stats import multivariate_normal

from presage.analysis.compare import compare
from presage.generate import simulate
from presage.store import Store

_N = 100_000
_ATOMS = [name for name, shape in SHAPES.items() if shape.atoms]
_SMOOTH = [name for name in SHAPES if name not in _ATOMS]


def _events(name: str, label: int, seed: int = 1) -> tuple[object, dict, np.ndarray]:
    shape = SHAPES[name].at(SHAPES[name].grid(4))
    theta = {
        p.name: np.full(_N, shape.label_table[label, k]) for k, p in enumerate(shape.parameters)
    }
    drawn = shape.simulate(theta, np.random.default_rng(seed))
    x = np.stack([np.asarray(drawn[v.name], dtype=float) for v in shape.variables], axis=1)
    return shape, theta, x


def _log_p(shape, theta: dict, x: np.ndarray) -> np.ndarray:
    columns = {v.name: x[:, k] for k, v in enumerate(shape.variables)}
    return shape.log_prob({n: c[: len(x)] for n, c in theta.items()}, columns)


@pytest.mark.parametrize("name", [name for name in _SMOOTH if len(SHAPES[name].variables) == 1])
@pytest.mark.parametrize("label", [0, 2])
def test_events_of_one_observable_follow_the_stated_density(name: str, label: int) -> None:
    """Between quantiles of the events lies the probability that the density integrates to."""
    shape, theta, x = _events(name, label)
    cuts = np.quantile(x, np.linspace(0.01, 0.99, 33))
    inner = np.linspace(cuts[:-1], cuts[1:], 8001, axis=-1)  # [bin, place]
    density = np.exp(_log_p(shape, {n: c[:1] for n, c in theta.items()}, inner.reshape(-1, 1)))
    probability = trapezoid(density.reshape(inner.shape), inner, axis=1)
    again = _events(name, label, seed=2)[2]
    counts = np.histogram(again, cuts)[0]
    chi2 = ((counts - _N * probability) ** 2 / (_N * probability)).sum()
    assert chi2 < 64  # 4 standard deviations above 32
    assert probability.sum() == pytest.approx(0.98, abs=0.005)


@pytest.mark.parametrize(
    ("name", "places", "share"),
    [
        ("ring", 40, 0.02),
        ("banana", 40, 0.02),
        ("plane", 40, 0.02),
        ("five", 1, 1),
        ("eight", 1, 1),
    ],
)
def test_events_of_several_observables_follow_the_stated_density(
    name: str, places: int, share: float
) -> None:
    """Normals q that are narrower than so large a share of the events: the mean of q/p is 1."""
    shape, theta, x = _events(name, 2)
    low, high = np.quantile(x, [0.2, 0.9], axis=0)
    centres = x[((x > low) & (x < high)).all(axis=1)][:places]
    width = x.std(axis=0)
    _, near = cKDTree(x / width).query(centres / width, k=round(share * _N))
    log_p, ratio = _log_p(shape, theta, x), np.zeros(_N)
    for own in x[near]:
        q = multivariate_normal(own.mean(axis=0), 0.4 * np.cov(own.T))
        ratio += np.exp(np.clip(q.logpdf(x) - log_p, -700, 700)) / len(centres)
    error = ratio.std() / np.sqrt(_N)
    assert error < 0.1
    assert abs(ratio.mean() - 1) < 4 * error


@pytest.mark.parametrize("name", _ATOMS)
def test_single_values_have_the_stated_probability(name: str) -> None:
    shape, theta, x = _events(name, 1)
    values, counts = np.unique(x[x[:, -1] == 0], axis=0, return_counts=True)
    if name == "counts":
        values, counts = np.unique(x, axis=0, return_counts=True)
    expected = _N * np.exp(_log_p(shape, theta, values))
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected) + 3).all()


@pytest.mark.parametrize("name", SHAPES)
def test_held_out_labels_of_reports_and_settings_are_others(name: str) -> None:
    shape = SHAPES[name]
    grid, report, settings = (
        set(found)
        for found in (shape.grid(12), shape.held_out(12, "report"), shape.held_out(12, "settings"))
    )
    assert report | settings < grid
    assert not report & settings
    assert len(report) == len(settings) == 3


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Three samples of one shape, and one that is moved by half a width."""
    store = Store(tmp_path_factory.mktemp("zoo"))
    source = SHAPES["edge"].at([(1.0,), (2.0,), (3.0,)])
    same = [simulate(source, 6000, seed=seed, store=store, progress=False) for seed in range(4)]
    return (*same[:3], same[3].assign(x=same[3].x + 0.2))


@pytest.mark.parametrize(
    ("model", "rival", "said"), [(1, 3, "model"), (3, 1, "rival (W1, KS)"), (1, 1, "level")]
)
def test_the_closer_one_wins(samples, model: int, rival: int, said: str) -> None:
    truth, _, floor, _ = samples
    sources = {MODEL: samples[model], **dict.fromkeys(RIVALS, samples[rival])}
    product = compare(truth, sources, floor=floor, classifier=False)
    row = Row("edge sparse", [Outcome(product, 1.0, 0.0)], False, False, 1.0)
    assert row.winner == said
    assert f"| {said} |" in markdown([row])
    assert row.results()[0].verdict == ("missed" if model == 3 else "met")


def test_a_refusal_is_no_bar_met() -> None:
    refused = Refused("counts sparse", "whole numbers")
    assert refused.results()[0].value is None
    assert "| refused |" in markdown([refused])


def test_error_of_the_probability_of_a_value() -> None:
    reference = np.repeat([0.0, 1.0], [60, 40])[:, None]
    events = np.concatenate([np.zeros(50), np.linspace(0.1, 1, 50)])[:, None]
    assert probability_error(reference, events) == pytest.approx([0.4])
