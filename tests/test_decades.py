"""Scaling where labels, places and widths run over decades, and the tails of what is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from presage.labels import Parameter, Variable
from presage.transforms.scale import LabelScale

RNG = np.random.default_rng(5)
X = {"lower": Variable("x", dtype="float64", lower=0.0), "free": Variable("x", dtype="float64")}
#: Name → (variable, does the label have a bound, place and width as functions of the label).
LAWS = {
    "a mass with relative width": ("lower", True, lambda a: a, lambda a: 0.03 * a),
    "the same, nothing declared": ("free", False, lambda a: a, lambda a: 0.03 * a),
    "half of the label": ("lower", True, lambda a: 0.5 * a, lambda a: 0.02 * a),
    "a root": ("free", False, lambda a: 10 * np.sqrt(a), lambda a: np.sqrt(a)),
    "falling": ("lower", False, lambda a: 1e3 / a, lambda a: 50 / a),
    "a calorimeter": (
        "lower", True, lambda a: a, lambda a: np.sqrt(0.01 * a + (0.01 * a) ** 2 + 0.0016),
    ),
    "one place": ("free", False, lambda a: 5 + 0 * a, lambda a: a),
    "through zero": ("free", False, lambda a: a - 100.0, lambda a: 0.1 * a),
}  # fmt: skip


def _decades(law, decades, labels=13, each=400, follows=None):
    variable, bounded, place, width = LAWS[law]
    grid = np.geomspace(1.0, 10.0**decades, labels)
    label = np.repeat(np.delete(grid, [3, 8]), each)
    z = np.random.default_rng(1).standard_normal(label.size)
    arrays = {"a": label, "x": place(label) + width(label) * z}
    arrays["x"] = np.maximum(arrays["x"], 1e-12) if variable == "lower" else arrays["x"]
    parameter = Parameter("a", dtype="float64", lower=0.0 if bounded else None)
    scale = LabelScale.fit(arrays, [X[variable]], [parameter])
    return arrays, scale, grid, place(grid), width(grid)


@pytest.mark.parametrize("decades", [4, 6])
@pytest.mark.parametrize("law", LAWS)
def test_place_and_width_are_right_at_every_label(law, decades):
    """Also at labels that were left out: within 0.1 widths (0.5 at a bend), widths within 12 %."""
    arrays, scale, grid, place, width = _decades(law, decades)
    (column,) = scale.columns
    fitted_place, fitted_width = column.place({"a": grid}, scale._design({"a": grid}, len(grid)))
    assert np.abs(fitted_width / width - 1).max() < 0.12
    assert (np.abs(fitted_place - place) / width).max() < 0.5
    z = scale.apply(arrays, arrays)["x"]
    assert np.allclose(scale.inverse({"x": z}, arrays)["x"], arrays["x"], rtol=1e-8, atol=1e-9)


def test_log_det_over_decades_is_the_derivative():
    arrays, scale, *_ = _decades("a calorimeter", 6)
    step = 1e-6 * arrays["x"]
    up, down = (scale.apply({**arrays, "x": arrays["x"] + s}, arrays)["x"] for s in (step, -step))
    assert np.allclose(scale.log_det(arrays, arrays), np.log((up - down) / (2 * step)), atol=1e-3)


def test_even_labels_are_not_taken_for_logarithmic():
    for labels, expected in (
        (np.linspace(1, 1000, 50), np.nan),
        (np.geomspace(1, 1000, 50), 0.0),
        (np.linspace(-5, 5, 50), np.nan),
    ):
        arrays = {"a": np.repeat(labels, 30), "x": RNG.standard_normal(1500)}
        scale = LabelScale.fit(arrays, [X["free"]], [Parameter("a", dtype="float64")])
        assert np.array_equal(scale.origins, [expected], equal_nan=True)


def test_a_label_on_its_bound_is_no_outlier():
    labels = np.repeat(np.linspace(0, 10, 11), 100)
    arrays = {"a": labels, "x": labels + RNG.standard_normal(1100)}
    scale = LabelScale.fit(arrays, [X["free"]], [Parameter("a", dtype="float64", lower=0.0)])
    assert np.abs(scale.features(arrays)).max() < 3


def test_models_of_version_1_are_read():
    """Their state has a mean and a width, no links and no origins."""
    arrays, scale, *_ = _decades("a mass with relative width", 4)
    state = {n: v for n, v in scale.state().items() if "link" not in n and "origins" not in n}
    state |= {"x.location.coefficients": np.array([5.0, 2.0]), "x.standard": np.array([0.5, 2.0])}
    del state["x.seen"]
    old = LabelScale.from_state(state, scale.declaration())
    (column,) = old.columns
    location, width = column.place(arrays, old._design(arrays, len(arrays["a"])))
    bounds = column.place.bound_map(arrays, old._design(arrays, len(arrays["a"])))
    expected = (np.arcsinh(bounds.apply(arrays["x"])) - 0.5) / 2
    assert np.allclose(old.apply(arrays, arrays)["x"], expected, rtol=1e-12)
    assert np.isfinite(location).all()
    assert (width > 0).all()


def test_what_lies_beyond_all_events_is_seen_only_far_from_the_label():
    labels = np.repeat(np.arange(1.0, 11.0), 200)
    arrays = {"a": labels, "x": 10 * labels + RNG.standard_normal(2000)}
    scale = LabelScale.fit(arrays, [X["free"]], [Parameter("a", dtype="float64")])
    x = {"x": np.array([0.0, 50.0, 200.0, 103.5, 96.5])}
    label = {"a": np.array([5.0, 5.0, 5.0, 10.0, 10.0])}
    # 103.5 is beyond all events, but the largest label's own come close to it.
    assert scale.unseen(x, label).tolist() == [True, False, True, False, False]
