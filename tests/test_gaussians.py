"""Gaussian clouds: every layout with every covariance, variation and skew, by exact density."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import stats

from presage.labels import LabelError
from presage.recipe import Recipe
from presage.studies import rebuild
from presage.studies.events.gaussians import (
    Circle,
    Diag,
    DiagMod,
    Full,
    Gaussians,
    Grid,
    Line,
    RadialMod,
    Repeat,
    Sampled,
    UnitCube,
)

LAYOUTS = {
    "line": Line(3),
    "grid": Grid(3, 2, y=(-1.0, 3.0)),
    "cube": UnitCube((2, 2, 3)),
    "one axis": UnitCube((4,)),
    "circle": Circle(5, radius=2.0),
}
OFF = (0.0011, -0.0004, 0.0008)
COVARIANCES = {
    "default": lambda size: None,
    "diag": lambda size: Diag(tuple(0.02 * (i + 1) for i in range(size))),
    "full": lambda size: Full((0.002, 0.003, 0.001)[:size], OFF[: size * (size - 1) // 2]),
    "sampled": lambda size: Sampled((0.04,) * size, seed=5),
}
VARIATIONS = {
    "repeat": lambda size: Repeat(),
    "radial": lambda size: RadialMod(0.3),
    "diagonal": lambda size: DiagMod((0.4, -0.2, 0.1)[:size]),
}
SKEWS = {"": 0.0, " skewed": 3.0}


def _cases() -> dict[str, Gaussians]:
    cases = {}
    for (layout, at), (covariance, cloud), (variation, varies), (skew, slant) in product(
        LAYOUTS.items(), COVARIANCES.items(), VARIATIONS.items(), SKEWS.items()
    ):
        size = at.dimension
        slants = (slant, -0.5 * slant, 0.0)[:size] if slant else ()
        cases[f"{layout}, {covariance}, {variation}{skew}"] = Gaussians.on(
            at, cloud(size), variation=varies(size), skew=slants
        )
    return cases


CASES = _cases()
SOME = {name: source for number, (name, source) in enumerate(CASES.items()) if number % 7 == 0}
every = pytest.mark.parametrize("source", CASES.values(), ids=CASES)
many = pytest.mark.parametrize("source", list(CASES.values())[::3], ids=list(CASES)[::3])
some = pytest.mark.parametrize("source", SOME.values(), ids=SOME)


def events_at(source: Gaussians, label: tuple[float, ...]) -> np.ndarray[Any, Any]:
    block = source.at_labels([label]).block(2, 0)
    return np.stack([block[v.name].astype(np.float64) for v in source.variables], axis=1)


def density(source: Gaussians, label: tuple[float, ...], points: Any) -> Any:
    points = np.atleast_2d(points)
    theta = {p.name: np.full(len(points), x) for p, x in zip(source.parameters, label, strict=True)}
    events = {v.name: points[:, i] for i, v in enumerate(source.variables)}
    return np.exp(source.log_prob(theta, events))


@every
def test_events_have_the_exact_moments(source: Gaussians) -> None:
    label = source.labels[-1]
    (mean,), (covariance,) = source.moments([label])
    events = events_at(source, label)
    n = len(events)
    root = np.linalg.cholesky(covariance)
    white = np.linalg.solve(root, (events - mean).T)
    # Five standard errors; a skew-normal's fourth moment is at most 3.87.
    assert np.abs(white.mean(axis=1)).max() < 5 / math.sqrt(n)
    assert np.abs(white @ white.T / n - np.eye(len(mean))).max() < 5 * math.sqrt(2.9 / n)


@many
def test_events_follow_the_exact_density(source: Gaussians) -> None:
    """The mean log p of events is that of the density itself, by numerical integration."""
    label = source.labels[0]
    log_p = np.log(density(source, label, events_at(source, label)))
    expected, spread = _integrated(source, label)
    assert abs(log_p.mean() - expected) < 5 * spread / math.sqrt(len(log_p)) + 1e-9


def _integrated(source: Gaussians, label: tuple[float, ...]) -> tuple[float, float]:
    """Return mean and standard deviation of log p under p, summed over a fine lattice."""
    (mean,), (covariance,) = source.moments([label])
    size = len(mean)
    axis = np.linspace(-6.5, 6.5, {1: 2001, 2: 201, 3: 41}[size])
    lattice = np.stack(np.meshgrid(*[axis] * size, indexing="ij"), axis=-1).reshape(-1, size)
    root = np.linalg.cholesky(covariance)
    p = density(source, label, mean + lattice @ root.T)
    p *= (axis[1] - axis[0]) ** size * np.prod(np.diagonal(root))
    assert abs(p.sum() - 1) < 1e-3  # the density is normalised
    kept = p > 0
    log_p = np.log(density(source, label, mean + lattice[kept] @ root.T))
    first = float((p[kept] * log_p).sum())
    return first, math.sqrt(float((p[kept] * (log_p - first) ** 2).sum()))


@some
def test_each_variable_has_its_marginal(source: Gaussians) -> None:
    """Kolmogorov-Smirnov: a variable of a skew-normal is a skew-normal of its own."""
    label = source.labels[len(source.labels) // 2]
    (mean,), (covariance,) = source.moments([label])
    factors = source.variation.factors(source.layout.steps(np.array([label])))
    cloud = source.covariance.matrix * (factors.T @ factors)
    centre = source.layout.centres(np.array([label]))[0]
    events = events_at(source, label)
    sigma = np.sqrt(np.diagonal(cloud))
    slant = np.array(source.skew or (0.0,) * len(mean))
    delta = (cloud / np.outer(sigma, sigma)) @ slant
    delta /= math.sqrt(1 + slant @ delta)
    for i in range(len(mean)):
        alpha = delta[i] / math.sqrt(1 - delta[i] ** 2)
        marginal = stats.skewnorm(alpha, centre[i], sigma[i])
        assert marginal.mean() == pytest.approx(mean[i], abs=1e-12)
        assert marginal.std() == pytest.approx(math.sqrt(covariance[i, i]), rel=1e-9)
        assert stats.kstest(events[:, i], marginal.cdf).pvalue > 1e-4


def test_binned_events_have_the_exact_density() -> None:
    source = Gaussians.on(Grid(2, 2), Full((0.01, 0.02), (0.008,)), skew=(4.0, -2.0))
    label = source.labels[2]
    events = events_at(source, label)
    edges = [np.linspace(events[:, i].min(), events[:, i].max(), 13) for i in range(2)]
    counts = np.histogram2d(*events.T, bins=edges)[0]
    fine = [np.linspace(e[0], e[-1], 12 * 20 + 1) for e in edges]
    middle = [(e[1:] + e[:-1]) / 2 for e in fine]
    points = np.stack(np.meshgrid(*middle, indexing="ij"), axis=-1).reshape(-1, 2)
    cell = np.prod([e[1] - e[0] for e in fine])
    expected = density(source, label, points).reshape(12, 20, 12, 20).sum(axis=(1, 3)) * cell
    expected *= len(events)
    good = expected > 5
    chi2 = ((counts - expected)[good] ** 2 / expected[good]).sum()
    assert stats.chi2(good.sum()).sf(chi2) > 1e-4


def test_three_labels_and_three_variables() -> None:
    source = Gaussians.on(UnitCube((5, 5, 5)), Sampled((0.05,) * 3, seed=1))
    block = source.block(0, 0)
    assert len(source.labels) == 125
    assert [p.name for p in source.parameters] == ["x_label", "y_label", "z_label"]
    assert [v.follows for v in source.variables] == ["x_label", "y_label", "z_label"]
    offset = np.stack([block[a] - block[f"{a}_label"] for a in "xyz"], axis=1)
    covariance = source.covariance.matrix
    assert np.allclose(np.cov(offset.T), covariance, atol=5 * covariance.max() * 2 / 181)
    quadratic = np.einsum("ni,ij,nj->n", offset, np.linalg.inv(covariance), offset)
    expected = -0.5 * (quadratic + np.log(np.linalg.det(2 * np.pi * covariance)))
    assert np.allclose(source.log_prob(block, block), expected, rtol=1e-10)


def test_labels_need_not_be_as_many_as_variables() -> None:
    line, circle = Gaussians.on(Line(4, y=0.3)), Gaussians.on(Circle(4, radius=2.0))
    assert line.label_table[:, 0] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert line.moments(line.labels)[0][:, 1] == pytest.approx([0.3] * 4)
    assert [v.follows for v in line.variables] == ["x_label", None]
    angle = circle.label_table[:, 0]
    assert angle == pytest.approx(2 * np.pi * np.arange(1, 5) / 5)
    assert circle.moments(circle.labels)[0] == pytest.approx(
        2 * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    )
    assert [v.follows for v in circle.variables] == [None, None]


def test_the_circle_is_the_same_on_both_sides_of_its_seam() -> None:
    source = Gaussians.on(Circle(6), variation=RadialMod(0.5), skew=(2.0, 1.0))
    means, covariances = source.moments([(1e-9,), (2 * np.pi - 1e-9,)])
    assert means[0] == pytest.approx(means[1], abs=1e-7)
    assert covariances[0] == pytest.approx(covariances[1], rel=1e-7)


STEPS = {
    "line": (Line(4), [0, 1, 2, 3]),
    "grid": (Grid(2, 3), [0, 1, 2, 1, 2, 3]),
    "other ranges": (Grid(2, 2, x=(-5.0, 5.0), y=(1.0, 1.5)), [0, 1, 1, 2]),
    "circle": (Circle(3), [1, 2, 1]),
}


@pytest.mark.parametrize(("layout", "steps"), STEPS.values(), ids=STEPS)
def test_how_far_labels_are_along_the_grid(layout: Any, steps: list[int]) -> None:
    assert layout.steps(np.array(layout.labels)) == pytest.approx(steps, abs=1e-12)


def test_growth_is_that_of_the_covariance() -> None:
    radial = Gaussians.on(Line(3), Full((1.0, 4.0), (1.5,)), variation=RadialMod(0.21))
    diagonal = Gaussians.on(Line(3), Full((1.0, 4.0), (1.5,)), variation=DiagMod((0.21, -0.19)))
    first, *_, last = radial.moments(radial.labels)[1]
    assert last == pytest.approx(first * 1.21**2)
    first, second, _ = diagonal.moments(diagonal.labels)[1]
    assert second == pytest.approx(first * [[1.21, 0.99], [0.99, 0.81]])
    between = radial.moments([(0.375,)])[1][0]
    assert between == pytest.approx(radial.covariance.matrix * math.sqrt(1.21))


def test_a_sampled_covariance_is_a_wishart_matrix() -> None:
    drawn = np.array([Sampled((1.0, 2.0, 0.5), seed=s, degrees=6).matrix for s in range(1000)])
    assert np.array_equal(drawn[7], Sampled((1.0, 2.0, 0.5), seed=7, degrees=6).matrix)
    mean, error = drawn.mean(axis=0), drawn.std(axis=0) / math.sqrt(1000)
    assert (np.abs(mean - np.diag([1.0, 4.0, 0.25])) < 4.5 * error).all()
    law = stats.chi2(6, scale=4.0 / 6)
    assert stats.kstest(drawn[:, 1, 1], law.cdf).pvalue > 1e-3
    log_det = np.linalg.slogdet(drawn / np.outer((1, 2, 0.5), (1, 2, 0.5)) * 6)[1]
    expected = sum(np.log(stats.chi2(6 - i).rvs(200_000, random_state=i)).mean() for i in range(3))
    assert log_det.mean() == pytest.approx(expected, abs=0.2)


@some
def test_a_recipe_rebuilds_its_source(source: Gaussians) -> None:
    recipe = Recipe.from_json(source.recipe(3).json)
    assert rebuild(recipe) == source


def test_parts_are_found_by_name() -> None:
    named = Gaussians(layout="circle", variation="radial_mod")  # type: ignore[arg-type]
    assert named == Gaussians.on(Circle(), variation=RadialMod())
    keys = {source.recipe().key for source in CASES.values()}
    assert len(keys) == len(CASES)


WRONG = {
    "layout": (lambda: Gaussians.on("cirle"), "no layout 'cirle'; did you mean 'circle'"),
    "covariance": (lambda: Gaussians(covariance="ful"), "no covariance 'ful'; did you mean 'full'"),
    "bare covariance": (lambda: Gaussians(covariance="diag"), "'diag' is made of .*sigma"),
    "variation": (lambda: Gaussians(variation="radial"), "no variation 'radial'"),
    "no labels": (lambda: Line(0), "at least 1 label along x"),
    "half a label": (lambda: Grid(2.5, 2), "at least 1 label along x"),
    "falling range": (lambda: Line(3, 1.0, 0.0), "range of x should rise, got 1.0 to 0.0"),
    "no axes": (lambda: UnitCube(()), "at least one axis"),
    "no radius": (lambda: Circle(4, radius=0.0), "radius should be positive"),
    "negative width": (lambda: Diag((1.0, -1.0)), "should be positive"),
    "infinite width": (lambda: Diag((math.inf,)), "should be positive"),
    "zero width, sampled": (lambda: Sampled((0.0, 1.0)), "should be positive"),
    "few degrees": (lambda: Sampled((1.0,) * 3, degrees=2), "at least 3 degrees of freedom, got 2"),
    "negative seed": (lambda: Sampled((1.0,), seed=-1), "non-negative integer"),
    "off-diagonals": (lambda: Full((1.0, 1.0), ()), "need 1 off-diagonals, got 0"),
    "not a covariance": (lambda: Full((1.0, 1.0), (2.0,)), "not positive definite"),
    "not finite": (lambda: Full((1.0, math.nan), (0.0,)), "finite numbers"),
    "other dimension": (lambda: Gaussians.on(Line(), Diag((1.0,))), "Line has 2 variables, .* 1"),
    "shrunk away": (lambda: RadialMod(-1.0), "above -1"),
    "growth": (lambda: Gaussians(variation=DiagMod((0.1,) * 3)), "for 3 variables, here are 2"),
    "skew": (lambda: Gaussians.on(Line(), skew=(1.0,)), "skew is 2 finite numbers or none"),
    "no label": (lambda: Gaussians.at([]), "at least one label"),
    "beyond the range": (lambda: Gaussians.at([(0.5, 1.5)]), "y_label should lie between 0.0"),
    "a turn further": (
        lambda: Gaussians.at([(0.5,), (0.5 + 2 * np.pi,)], layout=Circle()), "is given twice"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_named(make: Any, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        make()
