"""Coordinates that are chosen from the events: when, how they behave, and how far draws go."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from presage.labels import Parameter, Variable
from presage.transforms.choice import Choice
from presage.transforms.quantile_map import QuantileMap
from presage.transforms.reach import Reach
from presage.transforms.scale import LabelScale
from presage.transforms.smooth import Smooth
from presage.transforms.stretch import Stretch, stretches

LABELS = np.repeat(np.linspace(0.0, 2.0, 12), 500)
LABEL = Parameter("a", dtype="float64")


def drawn(name: str, seed: int = 0) -> np.ndarray:
    """Return events at :data:`LABELS`."""
    rng, a = np.random.default_rng(seed), LABELS
    normal = rng.standard_normal(a.size)
    pick = rng.random(a.size) < 0.3 + 0.2 * a
    laws = {
        "normal": lambda: 3 * a + (1 + a) * normal,
        "power tail": lambda: 3 * a + (1 + a) * rng.standard_t(2, a.size),
        "lognormal": lambda: np.exp(a + 2.3 * normal),
        "below zero": lambda: -np.exp(a + 2.3 * normal),
        "even over decades": lambda: 10 ** (rng.uniform(0, 6, a.size) + 0.3 * a),
        "three far modes": lambda: (
            np.array([-100.0, 0.0, 50.0])[(rng.random(a.size)[:, None] > [0.3, 0.6]).sum(1)]
            + (1 + a) * normal
        ),
        "sharp edge": lambda: (1 + a) * np.cbrt(rng.random(a.size)),
        "two modes": lambda: np.where(pick, -50 - 5 * a, 50 + 5 * a) + normal,
    }
    return laws[name]()


#: Law → what the variable declares, and the stretch that is chosen.
CHOSEN = {
    "normal": ({}, "linear"),
    "power tail": ({}, "linear"),
    "lognormal": ({}, "log"),
    "below zero": ({}, "log"),
    "even over decades": ({}, "log"),
    "three far modes": ({}, "linear"),
    "two modes": ({}, "linear"),
    "sharp edge": ({}, "linear"),
}


@pytest.fixture(params=CHOSEN, scope="module")
def case(request):
    declared, kind = CHOSEN[request.param]
    arrays = {"x": drawn(request.param), "a": LABELS}
    variable = Variable("x", dtype="float64", **declared)
    return arrays, LabelScale.fit(arrays, [variable], [LABEL]), kind


def test_the_stretch_is_the_one_that_suits(case):
    _, scale, kind = case
    assert scale.columns[0].place.stretch.kind == kind


def test_inverse_and_log_det(case):
    arrays, scale, _ = case
    z = scale.apply(arrays, arrays)["x"]
    assert np.allclose(scale.inverse({"x": z}, arrays)["x"], arrays["x"], rtol=1e-8, atol=1e-10)
    step = 1e-6 * np.abs(arrays["x"]) + 1e-9
    inside = np.abs(arrays["x"]) > 1e-4
    up, down = (scale.apply({"x": arrays["x"] + s}, arrays)["x"] for s in (step, -step))
    with np.errstate(divide="ignore"):
        expected = np.log((up - down) / (2 * step))
    assert np.allclose(scale.log_det(arrays, arrays)[inside], expected[inside], atol=2e-3)


def test_what_is_chosen_stands_in_the_declaration_and_comes_back(case):
    arrays, scale, kind = case
    declaration = json.loads(json.dumps(scale.declaration()))
    assert ("stretch" in declaration.get("coordinates", {}).get("x", {})) == (kind != "linear")
    assert bool(scale.said()) == ("coordinates" in declaration)
    again = LabelScale.from_state(scale.state(), declaration)
    assert np.array_equal(again.apply(arrays, arrays)["x"], scale.apply(arrays, arrays)["x"])
    assert np.array_equal(again.log_det(arrays, arrays), scale.log_det(arrays, arrays))


def test_normal_draws_do_not_fly_out(case):
    """Of 10^6 in coordinates of the label, what is kept lies within what training spans."""
    arrays, scale, _ = case
    rng = np.random.default_rng(1)
    condition = {"a": np.full(200_000, 0.95)}
    x = scale.inverse({"x": 2 * rng.standard_normal(200_000)}, condition)
    kept = x["x"][~scale.unseen(x, condition)]
    z = scale.apply({"x": kept}, {"a": condition["a"][: kept.size]})["x"]
    inside = scale.apply(arrays, arrays)["x"]
    span = np.ptp(inside)
    assert z.min() > inside.min() - 0.5 * span
    assert z.max() < inside.max() + 0.5 * span
    assert not scale.unseen(arrays, arrays).any()


def test_beyond_a_logarithm_there_is_nothing():
    arrays = {"x": drawn("lognormal"), "a": LABELS}
    scale = LabelScale.fit(arrays, [Variable("x", dtype="float64")], [LABEL])
    beyond = {"x": np.array([-1.0, 1.0]), "a": np.array([1.0, 1.0])}
    assert np.isneginf(scale.log_det(beyond, beyond)).tolist() == [True, False]
    assert np.isfinite(scale.apply(beyond, beyond)["x"]).all()


@pytest.mark.parametrize(("law", "said"), [("normal", ""), ("sharp edge", "x by quantiles")])
def test_edges_that_no_spline_resolves_have_quantiles(law, said):
    arrays = {"x": drawn(law), "a": LABELS}
    assert LabelScale.fit(arrays, [Variable("x", dtype="float64")], [LABEL]).said() == said
    # Beside another variable only where there are many events.
    both = [Variable(name, dtype="float64") for name in "xy"]
    arrays = {"x": drawn(law), "y": drawn("normal"), "a": LABELS}
    assert LabelScale.fit(arrays, both, [LABEL]).said() == ""
    many = {name: np.tile(values, 4) for name, values in arrays.items()}
    assert LabelScale.fit(many, both, [LABEL]).said() == said


@pytest.mark.parametrize("width", [lambda a: 0.2 + 1.5 * a, lambda a: 0.2 * np.exp(2 * a)])
def test_widths_that_are_straight_themselves_or_in_logarithms_are_found(width):
    at = np.linspace(0.0, 2.0, 9)[:, None]
    noise = 1 + 0.002 * np.random.default_rng(0).standard_normal(9)
    fitted = Smooth.fit(at, np.log(width(at[:, 0]) * noise), np.ones(9), np.array([False]), 0.1,
                        logarithms=True)  # fmt: skip
    between = np.linspace(0.0, 2.0, 41)[:, None]
    assert np.abs(fitted(between) - np.log(width(between[:, 0]))).max() < 0.004


def test_few_events_leave_coordinates_as_they_are():
    arrays = {"x": drawn("lognormal")[:100], "a": LABELS[:100]}
    scale = LabelScale.fit(arrays, [Variable("x", dtype="float64")], [LABEL])
    assert "coordinates" not in scale.declaration()
    assert Choice() == Choice(Stretch(), "median", False)


def test_draws_end_where_events_of_like_labels_do():
    """Tails grow with the label: what is usual at the last is beyond the first's."""
    label = np.repeat(np.linspace(0.0, 1.0, 40), 1000)
    rng = np.random.default_rng(3)
    tail = rng.standard_t(2, label.size)
    arrays = {"x": np.where(label > 0.5, tail, rng.standard_normal(label.size)), "a": label}
    scale = LabelScale.fit(arrays, [Variable("x", dtype="float64")], [LABEL])
    assert not scale.unseen(arrays, arrays).any()
    x = {"x": np.array([9.0, 9.0, 3.0])}
    assert scale.unseen(x, {"a": np.array([0.1, 0.9, 0.1])}).tolist() == [True, False, False]


@pytest.mark.parametrize("events", [200, 2000, 60_000])
def test_few_events_do_not_cut_the_tail(events):
    """Of the law itself one in 10^4 at most is drawn again, and 1 / events of many."""
    rng = np.random.default_rng(5)
    reach = Reach.fit(rng.standard_normal(events), np.zeros((events, 0)))
    z = rng.standard_normal(400_000)
    assert reach.passed(z, np.zeros((z.size, 0))).mean() < 5e-4
    assert reach.passed(np.array([-12.0, 12.0]), np.zeros((2, 0))).all()
    again = Reach.from_state(reach.state())
    assert again is not None
    assert np.array_equal(again.ends, reach.ends)


LAWS = {
    "normal": stats.norm(),
    "even": stats.uniform(),
    "power": stats.t(2),
    "exponential": stats.expon(),
    "far modes": stats.norm(),  # moved apart below
}


@settings(max_examples=30)
@given(st.sampled_from(sorted(LAWS)), st.integers(300, 5000), st.integers(0, 10), st.data())
def test_quantile_maps_are_increasing_and_invertible(name, n, seed, data):
    y = LAWS[name].rvs(n, random_state=seed)
    y = y + 100 * (np.arange(n) % 2) if name == "far modes" else y
    fitted = QuantileMap.fit(y)
    assert fitted is not None
    z = np.sort(data.draw(st.lists(st.floats(-12, 12), min_size=2, max_size=20)))
    back = fitted.apply(fitted.inverse(z))
    assert np.allclose(back, z, atol=1e-6)
    places = fitted.inverse(np.linspace(-9, 9, 2001))
    assert (np.diff(places) > 0).all()
    step = 1e-6 * np.ptp(fitted.knots[0]) / n
    rise = (fitted.apply(y + step) - fitted.apply(y - step)) / (2 * step)
    assert np.median(np.abs(np.log(rise) - fitted.apply_and_log_slope(y)[1])) < 1e-3


@pytest.mark.parametrize("name", ["normal", "power", "exponential"])
def test_a_tail_goes_on_as_the_law_does(name):
    """Ten times beyond the last of the training: the place is right to a factor of three."""
    law, n = LAWS[name], 20_000
    fitted = QuantileMap.fit(law.rvs(n, random_state=3))
    far = law.isf(0.1 / n)
    got = fitted.inverse(np.array([stats.norm.isf(0.1 / n)]))[0]
    assert far / 3 < got < 3 * far


@given(st.sampled_from(["log", "root"]), st.sampled_from([-1.0, 1.0]), st.floats(1e-3, 1e6))
def test_stretches_are_increasing_and_invertible(kind, sign, distance):
    stretch = Stretch(kind, 3.0, sign, 1e-9)
    x = 3.0 + sign * np.array([distance, distance * 1.01])
    assert np.allclose(stretch.inverse(stretch.apply(x)), x, rtol=1e-9)
    rise = np.diff(stretch.apply(x))[0] / np.diff(x)[0]
    assert np.log(rise) == pytest.approx(float(stretch.log_slope(x).mean()), abs=1e-3)


def test_what_is_bounded_on_both_sides_or_has_a_period_is_not_stretched():
    x = np.linspace(0.1, 0.9, 10)
    for variable in (Variable("x", lower=0.0, upper=1.0), Variable("x", period=1.0)):
        assert stretches(variable, x) == [Stretch()]
