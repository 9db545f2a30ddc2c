"""Label-aware scaling: inverse, log-determinant, bounds, state; for every kind of column."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from presage.labels import LabelError, Parameter, Variable
from presage.studies.events.gaussians import Gaussians
from presage.studies.events.resonance import Resonance
from presage.transforms.bounds import BoundMap
from presage.transforms.scale import LabelScale, declared
from presage.transforms.smooth import Smooth, groups


def _simulated(simulator):
    arrays = {name: column[:8192] for name, column in simulator.block(0, 0).items()}
    return arrays, simulator.variables, simulator.parameters


def _outliers():
    arrays, variables, parameters = _simulated(Resonance.on_grid(3, 3))
    arrays["phi_mass"][::500] *= 1e6
    return arrays, variables, parameters


def _continuous():
    rng = np.random.default_rng(2)
    arrays = {"eta_1": rng.normal(0, 1, 3000), "eta_2": rng.normal(0, 1, 3000)}
    arrays["mass"] = 91 + (2 + np.abs(arrays["eta_1"])) * rng.standard_cauchy(3000)
    arrays["mass"] = arrays["mass"][np.newaxis, :].clip(0.3, 200).ravel()
    variables = (Variable("mass", dtype="float64", unit="GeV", lower=0.0),)
    return arrays, variables, (Parameter("eta_1"), Parameter("eta_2"))


def _unconditional():
    rng = np.random.default_rng(3)
    arrays = {
        "free": rng.normal(5, 2, 2000),
        "share": rng.beta(2, 5, 2000),
        "capped": 3 - rng.gamma(2, 1, 2000),
        "same": np.full(2000, 7.5),
    }
    variables = (
        Variable("free", dtype="float64"),
        Variable("share", dtype="float64", lower=0, upper=1),
        Variable("capped", dtype="float64", upper=3),
        Variable("same", dtype="float64"),
    )
    return arrays, variables, ()


CASES = {
    "resonance": lambda: _simulated(Resonance.on_grid()),
    "resonance, floor": lambda: _simulated(Resonance.at([(95.0, 0.25), (200.0, 0.5)])),
    "one label": lambda: _simulated(Resonance.at([(2464.0, 5.125)])),
    "outliers": _outliers,
    "gaussians": lambda: _simulated(Gaussians.on_grid(4, 4)),
    "three masses": lambda: _simulated(Gaussians.on_grid(3, 3, 3)),
    "continuous conditions": _continuous,
    "no conditions": _unconditional,
}


@pytest.fixture(params=CASES, scope="module")
def case(request):
    arrays, variables, parameters = CASES[request.param]()
    return arrays, LabelScale.fit(arrays, variables, parameters)


def test_inverse(case):
    arrays, scale = case
    back = scale.inverse(scale.apply(arrays, arrays), arrays)
    for variable in scale.variables:
        x = np.asarray(arrays[variable.name], dtype=np.float64)
        assert np.allclose(back[variable.name], x, rtol=1e-10, atol=1e-12)


def test_scaled_columns_are_standard(case):
    arrays, scale = case
    for name, z in scale.apply(arrays, arrays).items():
        assert np.isfinite(z).all()
        assert abs(z.mean()) < 1e-9
        assert abs(z.std() - 1) < 1e-9 or np.ptp(arrays[name]) == 0
        assert np.abs(z).max() < 40


def test_log_det_is_the_derivative(case):
    arrays, scale = case
    expected = np.zeros(len(next(iter(arrays.values()))))
    inside = np.ones(expected.size, dtype=bool)
    for variable in scale.variables:
        x = np.asarray(arrays[variable.name], dtype=np.float64)
        step = 1e-6 * (np.abs(x) + 1e-3)
        up, down = x + step, x - step
        if variable.lower is not None:
            inside &= down - variable.lower > 100 * step
        if variable.upper is not None:
            inside &= variable.upper - up > 100 * step
        down = np.where(inside, down, x)
        up = np.where(inside, up, x + step if variable.upper is None else x)
        with np.errstate(divide="ignore", invalid="ignore"):
            rise = scale.apply({**arrays, variable.name: up}, arrays)[variable.name]
            rise = rise - scale.apply({**arrays, variable.name: down}, arrays)[variable.name]
            expected += np.log(rise / (up - down))
    assert inside.mean() > 0.9
    assert np.allclose(scale.log_det(arrays, arrays)[inside], expected[inside], atol=2e-4)


def test_nothing_leaves_the_bounds(case):
    arrays, scale = case
    size = len(next(iter(arrays.values())))
    for z in (-1e30, -40.0, -6.0, 6.0, 40.0, 1e30):
        drawn = scale.inverse({v.name: np.full(size, z) for v in scale.variables}, arrays)
        for variable in scale.variables:
            x = drawn[variable.name].astype(variable.dtype).astype(np.float64)
            assert np.isfinite(drawn[variable.name]).all()
            assert variable.lower is None or (x > variable.lower).all()
            assert variable.upper is None or (x < variable.upper).all()


def test_state_round_trip_is_bit_equal(case):
    arrays, scale = case
    again = LabelScale.from_state(scale.state(), scale.declaration())
    for name, z in scale.apply(arrays, arrays).items():
        assert np.array_equal(again.apply(arrays, arrays)[name], z)
    assert np.array_equal(again.log_det(arrays, arrays), scale.log_det(arrays, arrays))
    assert again.variables == scale.variables
    assert again.parameters == scale.parameters


def test_labels_look_alike():
    """The point of it: place and width hardly depend on the label."""
    simulator = Resonance.at([(p, w) for p in (700, 1500, 3000, 5400) for w in (3, 6, 9)])
    arrays, variables, parameters = _simulated(simulator)
    z = LabelScale.fit(arrays, variables, parameters).apply(arrays, arrays)
    medians, widths = [], []
    for phi in np.unique(arrays["phi_label"]):
        chosen = arrays["phi_label"] == phi
        low, middle, high = np.quantile(z["phi_mass"][chosen], (0.16, 0.5, 0.84))
        medians.append(middle)
        widths.append((high - low) / 2)
    assert np.ptp(medians) < 0.3
    assert max(widths) / min(widths) < 1.25


def test_outliers_do_not_move_the_core():
    arrays, variables, parameters = _simulated(Resonance.on_grid(3, 3))
    clean = LabelScale.fit(arrays, variables, parameters)
    arrays["phi_mass"] = arrays["phi_mass"].copy()
    arrays["phi_mass"][::1000] *= 1e6
    dirty = LabelScale.fit(arrays, variables, parameters)
    widths = [scale.state()["phi_mass.width.coefficients"] for scale in (clean, dirty)]
    assert np.allclose(*widths, rtol=0.02)


def test_a_dataset_declares_what_is_scaled():
    simulator = Resonance.on_grid()
    block = simulator.block(0, 0)
    dataset = xr.Dataset(
        {v.name: ("event", block[v.name], v.attributes()) for v in simulator.schema.variables}
    )
    variables, parameters = declared(dataset)
    assert variables == simulator.variables
    assert [p.name for p in parameters] == ["phi_label", "omega_label"]
    from_dataset = LabelScale.fit_dataset(dataset).apply(block, block)["omega_mass"]
    direct = LabelScale.fit(block, simulator.variables, simulator.parameters).apply(block, block)
    assert np.array_equal(from_dataset, direct["omega_mass"])


@given(
    st.floats(-50, 50),
    st.floats(0.01, 100),
    st.sampled_from([(None, None), (-60.0, None), (None, 60.0), (-60.0, 60.0)]),
    st.floats(-59, 59),
)
def test_bound_maps_are_increasing_and_invertible(location, width, bounds, x):
    mapped = BoundMap(np.array([location]), np.array([width]), *bounds)
    y = mapped.apply(np.array([x, x + 0.01]).reshape(2, 1)[:, 0])
    assert y[1] > y[0]
    assert abs(mapped.inverse(y)[0] - x) < 1e-9 * (60 + abs(x))


def test_a_smooth_curve_is_constant_beyond_its_range():
    x = np.linspace(-1, 1, 50)[:, None]
    curve = Smooth.fit(x, 1 + 2 * x[:, 0] ** 2, np.ones(50), np.zeros(1, dtype=bool))
    assert abs(curve(np.array([[0.5]]))[0] - 1.5) < 0.02
    assert curve(np.array([[5.0]]))[0] == curve(np.array([[1.0]]))[0]


def test_groups_are_labels_or_cells():
    labels = np.repeat([[0.0], [1.0], [2.0]], 100, axis=0)
    assert sorted(len(g) for g in groups(labels)) == [100, 100, 100]
    continuous = np.random.default_rng(0).standard_normal((5000, 2))
    cells = groups(continuous)
    assert sorted(np.concatenate(cells)) == list(range(5000))
    assert min(len(g) for g in cells) >= 100


ARRAYS = {"mass": np.linspace(1, 2, 50), "label": np.ones(50)}
MASS, LABEL = Variable("mass", dtype="float64", lower=0.0), Parameter("label")
WRONG = {
    "missing variable": ({"masses": ARRAYS["mass"]}, "no variable 'mass'; did you mean 'masses'"),
    "missing parameter": ({"mass": ARRAYS["mass"]}, "no parameter 'label'"),
    "NaN": ({**ARRAYS, "mass": np.full(50, np.nan)}, "50 values that are not finite"),
    "beyond a bound": ({**ARRAYS, "mass": ARRAYS["mass"] - 1.5}, "below its declared bound 0.0"),
    "two dimensions": ({**ARRAYS, "mass": np.ones((50, 2))}, "one number per event"),
    "no events": ({"mass": np.zeros(0), "label": np.zeros(0)}, "at least one event"),
}


@pytest.mark.parametrize(("arrays", "message"), WRONG.values(), ids=WRONG)
def test_wrong_columns_are_named(arrays, message):
    with pytest.raises(LabelError, match=message):
        LabelScale.fit(arrays, [MASS], [LABEL])


def test_lengths_and_lost_state_are_named():
    scale = LabelScale.fit(ARRAYS, [MASS], [LABEL])
    with pytest.raises(LabelError, match="'label' has 3 values for 50 events"):
        scale.apply(ARRAYS, {"label": np.ones(3)})
    state = scale.state()
    del state["mass.standard"]
    with pytest.raises(LabelError, match=r"lacks 'mass\.standard'"):
        LabelScale.from_state(state, scale.declaration())


def test_a_parameter_with_a_period_has_no_ends():
    angle = np.repeat(np.linspace(0.4, 5.9, 24), 200)
    noise = 0.1 * np.random.default_rng(1).standard_normal(angle.size)
    parameter = Parameter("angle", dtype="float64", low=0, high=2 * np.pi, period=2 * np.pi)
    arrays = {"x": np.sin(angle) + noise, "angle": angle}
    scale = LabelScale.fit(arrays, [Variable("x")], [parameter])
    seam = {"angle": np.array([0.0, 2 * np.pi, 1e-9])}
    features = scale.features(seam)
    assert features.shape == (3, 2)
    assert np.allclose(features, features[0], atol=1e-6)
    # The label nearest to the seam is 0.4 away, and the location goes on as the sine does.
    assert np.allclose(scale.inverse({"x": np.zeros(3)}, seam)["x"], 0.0, atol=0.02)
    again = LabelScale.from_state(scale.state(), scale.declaration())
    assert np.array_equal(again.features(seam), features)
