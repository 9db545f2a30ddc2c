"""Laws that every flow keeps: a density, its samples, its saved state; and that it learns."""

from __future__ import annotations

import copy
import json
from functools import partial

import numpy as np
import pytest
import torch
import xarray as xr
from zuko.transforms import AutoregressiveTransform, MonotonicRQSTransform

import densities
from presage.labels import LabelError
from presage.models import (
    MAF,
    CouplingSpline,
    Ensemble,
    MixtureDensity,
    RealNVP,
    SplineFlow,
    model,
    specification,
)
from presage.models.ensemble import EnsembleNetwork
from presage.models.flow import FlowNetwork
from presage.models.linear import NarrowLinear
from presage.models.prepared import sample_dim
from presage.models.spline import RationalQuadraticSpline
from presage.plugins import PluginError
from presage.studies.events.gaussians import Full, Gaussians
from presage.studies.events.resonance import Resonance

MODEL_TABLE = {
    "spline": SplineFlow(bins=8, hidden=(16, 16)),
    "spline, two layers": SplineFlow(bins=5, hidden=(8,), layers=2, activation="GELU"),
    "maf": MAF(hidden=(16,), layers=3),
    "realnvp": RealNVP(hidden=(16,), layers=3),
    "coupling spline": CouplingSpline(bins=5, hidden=(8, 8), layers=2),
    "mixture": MixtureDensity(hidden=(16,), components=4),
    "ensemble": Ensemble("coupling_spline", 2, {"bins": 4, "hidden": (8,), "layers": 2}),
}
SIMULATORS = {
    "two masses": Resonance.on_grid(3, 3, weights="equal"),
    "one mass": Gaussians.on_grid(3),
    "three masses": Gaussians.on_grid(2, 2, 2),
}


def dataset_of(simulator, events=8192):
    block = simulator.block(0, 0)
    columns = {
        v.name: ("event", block[v.name][:events], v.attributes())
        for v in simulator.schema.variables
    }
    return xr.Dataset(columns, attrs={"presage_sample": "event"})


def train(spec, dataset, epochs=3, batch=512, rate=5e-3):
    """A bare loop: what is tested here is the model, not the training."""
    torch.manual_seed(0)
    prepared = spec.prepare(dataset)
    network = spec.build(prepared.declaration)
    arrays = {name: torch.from_numpy(array) for name, array in prepared.arrays.items()}
    steps = epochs * (len(arrays["target"]) // batch)
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for _ in range(steps):
        rows = torch.randint(len(arrays["target"]), (batch,))
        loss = network.loss({name: array[rows] for name, array in arrays.items()}).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return densities.untrained(spec, network.eval(), prepared.declaration, prepared.state)


@pytest.fixture(
    params=[(m, s) for m in MODEL_TABLE for s in SIMULATORS], ids=" of ".join, scope="module"
)
def case(request):
    name, simulator = request.param
    dataset = dataset_of(SIMULATORS[simulator], events=2048)
    return MODEL_TABLE[name], dataset, train(MODEL_TABLE[name], dataset, epochs=1)


def test_prepared_rows_and_declaration(case):
    spec, dataset, _ = case
    prepared = spec.prepare(dataset)
    assert {len(array) for array in prepared.arrays.values()} == {dataset.sizes["event"]}
    assert {array.dtype for array in prepared.arrays.values()} == {np.dtype("float32")}
    assert json.loads(json.dumps(prepared.declaration)) == prepared.declaration
    first = next(iter(prepared.declaration["trained_range"]))
    assert prepared.declaration["trained_range"][first] == [
        float(dataset[first].min()),
        float(dataset[first].max()),
    ]


def test_loss_is_one_number_per_row(case):
    spec, dataset, flow = case
    prepared = spec.prepare(dataset)
    arrays = {name: torch.from_numpy(array[:7]) for name, array in prepared.arrays.items()}
    assert flow.network.loss(arrays).shape == (7,)


def test_far_events_have_finite_density_and_gradient(case):
    _, _, flow = case
    features = len(flow.declaration["variables"])
    condition = torch.zeros(5, len(flow.declaration["parameters"]))
    for far in (-40.0, -5.0, 5.0, 40.0):
        target = torch.full((5, features), far, requires_grad=True)
        loss = flow.network.loss({"target": target, "condition": condition})
        loss.sum().backward()
        assert torch.isfinite(loss).all()
        assert torch.isfinite(target.grad).all()
        gradients = [p.grad for p in flow.network.parameters() if p.grad is not None]
        assert all(torch.isfinite(gradient).all() for gradient in gradients)
        flow.network.zero_grad()


def test_sampling_inverts_the_density_map(case):
    _, _, flow = case
    condition, numbers = draws(flow, 64)
    if isinstance(flow.network, FlowNetwork):
        with torch.no_grad():
            drawn = flow.network.draw(condition, numbers)
            assert torch.allclose(flow.network(condition).transform(drawn), numbers, atol=2e-3)


@pytest.mark.parametrize(
    "spec", [SplineFlow(), SplineFlow(layers=2), MAF(hidden=(32, 32), layers=3)]
)
@pytest.mark.parametrize("features", [2, 3, 4])
@pytest.mark.parametrize("context", [0, 2])
def test_inverting_one_by_one_changes_no_event(spec, features, context):
    """What samples are made of is fixed: it is zuko's inverse but for rounding."""
    torch.manual_seed(features)
    network = spec.build({"variables": [{}] * features, "parameters": [{}] * context})
    condition = torch.randn(500, context) if context else None
    numbers = torch.randn(500, features)
    with torch.no_grad():
        expected = numbers
        for part in reversed(network.flow.transform.transforms):
            passes = AutoregressiveTransform(partial(part.meta, condition), part.passes)
            expected = passes.inv(expected)
        assert torch.allclose(network.draw(condition, numbers), expected, atol=1e-5)


@pytest.mark.parametrize("inputs", [1, 4, 40])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("rows", [(7,), (3, 5)])
def test_narrow_layers_are_linear_layers(inputs, masked, rows):
    generator = torch.Generator().manual_seed(inputs)
    mask = torch.rand(20, inputs, generator=generator) < 0.5 if masked else None
    plain = torch.nn.Linear(inputs, 20)
    narrow = NarrowLinear.taking_over(plain)
    narrow.mask = mask
    x = torch.randn(*rows, inputs, generator=generator, requires_grad=True)
    weight = plain.weight if mask is None else mask * plain.weight
    expected = torch.nn.functional.linear(x, weight, plain.bias)
    assert torch.equal(narrow(x), expected)
    wanted = torch.autograd.grad(expected.square().sum(), (x, plain.weight, plain.bias))
    got = torch.autograd.grad(narrow(x).square().sum(), (x, plain.weight, plain.bias))
    for one, other in zip(got, wanted, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5)


def test_samples_in_single_precision_are_those_in_double(case):
    _, _, flow = case
    condition, numbers = draws(flow, 256)
    double = copy.deepcopy(flow.network).double()
    with torch.no_grad():
        single = flow.network.draw(condition, numbers)
        assert (single - double.draw(condition.double(), numbers.double())).abs().max() < 1e-3
        log_p = flow.network.log_prob(condition, single)
        assert (log_p - double.log_prob(condition.double(), single.double())).abs().max() < 1e-3


def test_loss_is_the_density(case):
    """Also where the two are computed in different ways."""
    _, _, flow = case
    condition, _ = draws(flow, 32)
    target = torch.randn(32, len(flow.declaration["variables"]))
    with torch.no_grad():
        loss = flow.network.loss({"condition": condition, "target": target})
        log_p = flow.network.log_prob(condition, target)
    if isinstance(flow.network, EnsembleNetwork):  # whose members learn one by one
        log_p = flow.network.each_log_prob(condition, target).mean(0)
    assert torch.allclose(loss, -log_p, atol=1e-5)


def test_jacobian_is_that_of_differentiation(case):
    _, _, flow = case
    if not isinstance(flow.network, FlowNetwork):
        return
    condition, numbers = (tensor.double() for tensor in draws(flow, 16))
    transform = copy.deepcopy(flow.network).double()(condition).transform
    _, log_det = transform.call_and_ladj(numbers)
    full = torch.autograd.functional.jacobian(transform, numbers)
    rows = torch.arange(len(numbers))
    assert torch.allclose(torch.linalg.slogdet(full[rows, :, rows])[1], log_det, atol=1e-9)


def draws(flow, rows):
    """Conditions and standard normal numbers."""
    generator = torch.Generator().manual_seed(3)
    condition = torch.randn(rows, len(flow.declaration["parameters"]), generator=generator)
    return condition, torch.randn(rows, flow.network.numbers, generator=generator)


def test_samples_are_labelled_typed_and_reproducible(case):
    _, dataset, flow = case
    labels = {p["name"]: dataset[p["name"]].values for p in flow.declaration["parameters"]}
    drawn = flow.draw(labels, np.random.default_rng(5))
    again = flow.draw(labels, np.random.default_rng(5))
    for variable in flow.scale.variables:
        assert np.array_equal(drawn[variable.name], again[variable.name])
        assert drawn[variable.name].dtype == variable.dtype
        assert np.isfinite(drawn[variable.name]).all()
        if variable.lower is not None:
            assert (drawn[variable.name].astype(np.float64) > variable.lower).all()


def test_log_prob_is_bit_equal_after_saving(case, tmp_path):
    spec, dataset, flow = case
    torch.save(flow.network.state_dict(), tmp_path / "weights.pt")
    np.savez(tmp_path / "state.npz", **flow.scale.state())
    declaration = json.loads(json.dumps(flow.declaration))
    network = spec.build(declaration)
    network.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    with np.load(tmp_path / "state.npz") as state:
        again = densities.untrained(spec, network.eval(), declaration, dict(state))
    xr.testing.assert_identical(again.log_prob(dataset), flow.log_prob(dataset))


@pytest.mark.parametrize("bins", [2, 3, 16, 40])
@pytest.mark.parametrize("bound", [1.0, 5.0])
def test_splines(bins, bound):
    """Derivative against autodiff, inverse, increasing, the identity outside."""
    generator = torch.Generator().manual_seed(bins)
    sizes = torch.randn(500, 2, 2, bins, generator=generator, dtype=torch.float64)
    slopes = torch.randn(500, 2, bins - 1, generator=generator, dtype=torch.float64)
    spline = RationalQuadraticSpline(sizes, slopes, bound)
    x = 0.6 * bound * torch.randn(500, 2, generator=generator, dtype=torch.float64)
    x.requires_grad_()
    y, ladj = spline.call_and_ladj(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert torch.allclose(slope.log(), ladj, atol=1e-9)
    assert torch.allclose(spline.inv(y), x, atol=1e-8)
    assert (spline(x + 1e-4) > y).all()
    outside = x.abs() >= bound
    assert outside.any()
    assert torch.equal(y[outside], x[outside])


def test_splines_agree_with_zuko():
    """The same knots give the same curve."""
    sizes, slopes = torch.zeros(7, 2, 8, dtype=torch.float64), torch.randn(7, 7).double()
    ours = RationalQuadraticSpline(sizes, slopes)
    theirs = MonotonicRQSTransform(sizes[:, 0], sizes[:, 1], slopes, bound=5.0)
    x = torch.linspace(-6, 6, 7).double()
    for got, expected in zip(ours.call_and_ladj(x), theirs.call_and_ladj(x), strict=True):
        assert torch.allclose(got, expected, atol=1e-12)


@pytest.mark.parametrize("spec", MODEL_TABLE.values(), ids=MODEL_TABLE)
@pytest.mark.parametrize("masses", [1, 2])
def test_density_integrates_to_one(spec, masses):
    simulator = Gaussians.on_grid(*[3] * masses)
    flow = train(spec, dataset_of(simulator, 2048), epochs=2, batch=256)
    line = np.linspace(-1.5, 2.5, 4000 if masses == 1 else 400)
    values = [grid.ravel() for grid in np.meshgrid(*[line] * masses)]
    variables, labels = (
        [v.name for v in kind] for kind in (flow.scale.variables, flow.scale.parameters)
    )
    columns = dict(zip(variables, values, strict=True))
    columns |= {name: np.full(values[0].size, 0.4) for name in labels}
    dataset = xr.Dataset({k: ("event", v, {"units": "1"}) for k, v in columns.items()})
    log_p = flow.log_prob(dataset)
    assert log_p.dims == ("event",)
    assert abs(float(np.exp(log_p).sum()) * (line[1] - line[0]) ** masses - 1) < 0.01


#: Settings, and the largest excess over the true density in nats: the scaled events are not
#: quite normal, which splines can follow and few affine maps cannot.
LEARNING = {
    "spline_flow": ({"bins": 8, "hidden": (32, 32)}, 0.03),
    "maf": ({"hidden": (32,), "layers": 3}, 0.1),
    "realnvp": ({"hidden": (32,), "layers": 4}, 0.1),
    "coupling_spline": ({"bins": 8, "hidden": (32,), "layers": 2}, 0.03),
    "mixture_density": ({"hidden": (32, 32), "components": 3}, 0.1),
    "ensemble": ({"model": "maf", "members": 2, "settings": {"hidden": (32,), "layers": 2}}, 0.1),
}


@pytest.mark.parametrize("name", densities.NAMES)
def test_log_prob_is_in_the_units_of_the_data(name):
    """And every model learns correlated Gaussians to a few hundredths of a nat."""
    simulator = Gaussians.on_grid(4, 4, covariance=Full((0.003, 0.002), (0.001,)))
    dataset = dataset_of(simulator, events=12_000)
    settings, most = LEARNING[name]
    flow = train(model(name, **settings), dataset, epochs=6)
    arrays = {name: dataset[name].values for name in dataset}
    excess = flow.log_prob(dataset).values - simulator.log_prob(arrays, arrays)
    assert abs(excess.mean()) < most


@pytest.mark.parametrize("spec", MODEL_TABLE.values(), ids=MODEL_TABLE)
@pytest.mark.parametrize("variables", [["x"], ["x", "y"]], ids=len)
def test_without_conditions(spec, variables):
    dataset = dataset_of(Gaussians.on_grid(1, 1), events=4096)[variables]
    # Alone, x has no network but free parameters, which begin at random and learn slowly.
    flow = train(spec, dataset, epochs=24 if len(variables) == 1 else 8, rate=0.05)
    drawn = flow.draw({}, np.random.default_rng(0), n=5000)
    assert set(drawn) == set(variables)
    assert abs(drawn["x"].mean() - 0.5) < 0.07
    assert abs(drawn["x"].std() / 0.25 - 1) < 0.4
    assert np.isfinite(flow.log_prob(dataset)).all()


def test_models_by_name():
    assert model("spline_flow", bins=4) == SplineFlow(bins=4)
    assert set(LEARNING) == set(densities.NAMES)  # which buys every model a test that it learns
    assert {type(spec) for spec in MODEL_TABLE.values()} == set(map(specification, densities.NAMES))


WRONG = {
    "unknown model": (lambda: model("spline_flaw"), "did you mean 'spline_flow'"),
    "unknown setting": (lambda: model("maf", layer=3), "did you mean 'layers'"),
    "unknown activation": (lambda: SplineFlow(activation="Silu"), "did you mean 'SiLU'"),
    "no layers": (lambda: MAF(layers=0), "at least one layer"),
    "no bins": (lambda: SplineFlow(bins=1), "at least 2 bins"),
    "which dimension": (
        lambda: sample_dim(xr.Dataset({"a": (("x", "y"), np.ones((2, 2)))})),
        "counts samples",
    ),
    "only parameters": (
        lambda: SplineFlow().prepare(dataset_of(SIMULATORS["one mass"])[["x_label"]]),
        "no variable along 'event'",
    ),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_named(make, message):
    with pytest.raises((LabelError, PluginError), match=message):
        make()


def test_a_dataset_in_other_units_is_refused():
    dataset = dataset_of(SIMULATORS["two masses"]).isel(event=slice(0, 500))
    flow = train(SplineFlow(bins=4, hidden=(8,)), dataset, epochs=1, batch=100)
    dataset["phi_mass"].attrs["units"] = "MeV"
    with pytest.raises(LabelError, match="'phi_mass' should be in 'GeV', got 'MeV'"):
        flow.log_prob(dataset)
