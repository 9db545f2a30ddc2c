"""Whole numbers and atoms: found, trained, drawn exactly, with probabilities that add up."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_ndtr
from scipy.stats import norm

from presage import models
from presage.fitting import fit, load
from presage.labels import Parameter, Variable
from presage.models.cells import log_between
from presage.store import Store
from presage.transforms.event_scale import EventScale
from presage.transforms.kinds import Kind, kind_of
from presage.transforms.modes import find_cuts

RNG = np.random.default_rng(0)
N = 6000
LABEL = RNG.choice([1.0, 2.0, 3.0], N)
X = RNG.normal(LABEL, 0.2).astype("f4")
COUNTS = RNG.poisson(LABEL).astype("i4")


def with_spike(share: float, at: float = 0.5) -> Any:
    return np.where(np.arange(N) % 1000 < 1000 * share, np.float32(at), X)


#: Values → what they are.
KINDS = {
    "continuous": (X, Kind()),
    "one constant at each label": (LABEL + 1, Kind()),
    "a constant": (np.full(N, 0.5), Kind()),
    "rounded to a tenth": (np.round(100 * X, 1), Kind()),
    "each value twice": (np.repeat(X[: N // 2], 2), Kind()),
    "a thousandth at one value": (with_spike(0.001), Kind()),
    "a fifth at one value": (with_spike(0.2), Kind(atoms=(0.5,))),
    "two spikes": (np.where(np.arange(N) % 5, with_spike(0.2), 0.0), Kind(atoms=(0.0, 0.5))),
    "counts": (COUNTS, Kind(whole=True)),
    "counts as bytes": (COUNTS.astype("u1"), Kind(whole=True)),
    "many whole numbers": (RNG.integers(0, 10**6, N), Kind(whole=True)),
    "counts as floats": (COUNTS.astype("f4"), Kind(whole=True)),
    "hits as floats": (RNG.poisson(200.0, N).astype("f4"), Kind(whole=True)),
    "a charge": (RNG.choice([-1.0, 1.0], N), Kind(whole=True)),
    "few values": (RNG.choice([0.5, 1.5, 7.25], N), Kind(atoms=(0.5, 1.5, 7.25), rest=False)),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_values_are_is_found(name: str) -> None:
    x, kind = KINDS[name]
    found = kind_of(Variable("x"), {"x": x, "m": LABEL}, [Parameter("m")])
    assert found == kind
    assert Kind.of_entry(found.entry()) == found
    assert bool(found.said("x")) == (kind != Kind())


@given(st.floats(-30, 30), st.floats(1e-3, 60))
def test_logarithms_of_cells_are_right_in_both_tails(low: float, width: float) -> None:
    got = log_between(torch.tensor(low).double(), torch.tensor(low + width).double())
    a, b = (low, low + width) if 2 * low + width < 0 else (-low - width, -low)
    expected = log_ndtr(b) + np.log1p(-np.exp(log_ndtr(a) - log_ndtr(b)))
    assert float(got) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def events(**columns: tuple[Any, dict[str, Any]]) -> xr.Dataset:
    data = {"m": ("event", LABEL, Parameter("m").attributes())}
    for name, (values, declared) in columns.items():
        data[name] = ("event", values, Variable(name, **declared).attributes())
    return xr.Dataset(data, attrs={"presage_sample": "event"})


SHARE = RNG.random(N) < 0.1 * LABEL
JETS = np.where(COUNTS > 0, COUNTS * RNG.gamma(2.0, 1.0, N), 0.0).astype("f4")
EVENTS = {
    "counts": events(n=(COUNTS, {"dtype": "int32", "lower": 0.0})),
    "whole numbers of either sign": events(n=(COUNTS - 2, {"dtype": "int32"})),
    "a spike at a bound": events(
        x=(np.where(SHARE, 0.0, np.exp(X)).astype("f4"), {"lower": 0.0}),
    ),
    "a spike among others": events(x=(np.where(SHARE, 2.0, X).astype("f4"), {})),
    "modes far apart": events(
        x=(np.where(SHARE, 2000 * LABEL + X, -X).astype("f4"), {}),
    ),
    "modes and a spike": events(
        x=(np.where(COUNTS == 0, 700, np.where(SHARE, 2000 * LABEL, 0) + X).astype("f4"), {}),
    ),
    "few values": events(x=(RNG.choice([0.5, 1.5, 7.25], N).astype("f4"), {})),
    "jets": events(
        n=(COUNTS, {"dtype": "int32", "lower": 0.0}), ht=(JETS, {"lower": 0.0}), y=(X, {}),
    ),
}  # fmt: skip
SMALL: dict[str, Any] = {
    "exact": models.SplineFlow(bins=6, hidden=(16,)),
    "affine": models.MAF(layers=1, hidden=(16,)),
    "filled": models.MixtureDensity(components=4, hidden=(16,)),
    "coupled": models.CouplingSpline(bins=4, hidden=(8,), layers=2),
    "ensemble": models.Ensemble(members=2, settings={"bins": 6, "hidden": (16,)}),
}


@pytest.fixture(scope="module")
def trained():
    kept: dict[tuple[str, str], Any] = {}

    def get(model: str, name: str) -> Any:
        if (model, name) not in kept:
            kept[model, name] = fit(
                SMALL[model], EVENTS[name], epochs=2, batch_size=256, learning_rate=1e-2,
                validation=0, progress=False,
            )  # fmt: skip
        return kept[model, name]

    return get


def at(dataset: xr.Dataset, label: float, **columns: Any) -> xr.Dataset:
    size = len(next(iter(columns.values())))
    made = {n: ("event", np.asarray(v, dataset[n].dtype), dataset[n].attrs)
            for n, v in columns.items()}  # fmt: skip
    return xr.Dataset({"m": ("event", np.full(size, label), dataset.m.attrs), **made},
                      attrs=dataset.attrs)  # fmt: skip


def density(flow: Any, dataset: xr.Dataset) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.exp(flow.log_prob(dataset).values)


@pytest.mark.parametrize("model", SMALL)
@pytest.mark.parametrize("name", ["counts", "whole numbers of either sign", "few values"])
def test_probabilities_add_up_and_are_those_of_what_is_drawn(trained, name, model):
    flow, dataset = trained(model, name), EVENTS[name]
    variable = "x" if name == "few values" else "n"
    there = np.array([0.5, 1.5, 7.25]) if variable == "x" else np.arange(-40, 60)
    there = there[there >= 0] if name == "counts" else there
    drawn = flow.draw({"m": np.full(20_000, 1.7)}, np.random.default_rng(1))[variable]
    assert drawn.dtype == dataset[variable].dtype
    assert set(drawn.tolist()) <= set(there.astype(drawn.dtype).tolist())
    exact = flow.declaration["exact"]
    p = density(flow, at(dataset, 1.7, **{variable: there}))
    assert p.sum() == pytest.approx(1.0, abs=3e-4 if exact else 0.03)
    counted = np.array([(drawn == value).mean() for value in there.astype(drawn.dtype)])
    # What lies far beyond all events is drawn again, which the crude ones do often.
    assert np.abs(counted - p).max() < (0.02 if model in ("exact", "ensemble") else 0.06)


@pytest.mark.parametrize("model", SMALL)
@pytest.mark.parametrize("name", ["a spike at a bound", "a spike among others"])
def test_an_atom_has_a_probability_and_the_rest_a_density(trained, name, model):
    flow, dataset = trained(model, name), EVENTS[name]
    atom = 0.0 if "bound" in name else 2.0
    drawn = flow.draw({"m": np.full(20_000, 2.0)}, np.random.default_rng(1))["x"]
    edges = np.linspace(1e-4 if atom == 0 else -30, 60, 20_001)
    middle = (edges[1:] + edges[:-1]) / 2
    p = density(flow, at(dataset, 2.0, x=np.r_[atom, middle]))
    share = float((drawn == atom).mean())
    assert share == pytest.approx(p[0], abs=0.015)
    assert p[0] + (p[1:] * np.diff(edges)).sum() == pytest.approx(1.0, abs=0.03)


#: Law at a label → the number of cuts.
MODES = {
    "a normal": (lambda rng, n, a: a + rng.standard_normal(n), 0),
    "a Cauchy": (lambda rng, n, a: a + rng.standard_cauchy(n), 0),
    "even over decades": (lambda rng, n, a: 10 ** rng.uniform(0, 6, n), 0),
    "two peaks": (lambda rng, n, a: rng.choice([-2, 2], n) + 0.6 * rng.standard_normal(n), 0),
    "far apart": (lambda rng, n, a: np.where(rng.random(n) < 0.5, 90 + a, -30 * a) + X[:n], 1),
    "three": (lambda rng, n, a: np.array([0, 50 + a, 300])[rng.integers(0, 3, n)] + X[:n], 2),
    "one is gone": (lambda rng, n, a: np.where(rng.random(n) < 0.2 * (a > 1), 90, 0) + X[:n], 0),
}


@pytest.mark.parametrize("size", [60, 500, 5000])
@pytest.mark.parametrize("name", MODES)
def test_gaps_are_found_where_all_labels_have_them(name, size):
    law, number = MODES[name]
    rng = np.random.default_rng(4)
    labels = np.linspace(0.5, 3.0, 8)
    x = np.concatenate([law(rng, size, a) for a in labels])
    design = np.repeat((labels - labels.mean()) / labels.std(), size)[:, None]
    members = list(np.arange(8 * size).reshape(8, size))
    cuts = find_cuts(x, design, members, np.zeros(1, dtype=bool))
    assert len(cuts) == number


def test_modes_far_apart_are_right_to_their_own_widths(trained):
    flow = trained("exact", "modes far apart")
    for label in (1.0, 2.5):
        drawn = flow.draw({"m": np.full(8000, label)}, np.random.default_rng(1))["x"]
        upper = drawn > 1000
        assert upper.mean() == pytest.approx(0.1 * label, abs=0.06)
        assert np.abs(drawn[~upper] + label).max() < 3.0
        assert np.abs(drawn[upper] - 2001 * label).max() < 3.0


def test_several_columns_add_up(trained):
    """P(n) from log p by importance: the mean of p(n, ht, y) / q(ht, y) over q."""
    flow, dataset = trained("exact", "jets"), EVENTS["jets"]
    drawn = flow.draw({"m": np.full(20_000, 2.0)}, np.random.default_rng(1))
    size = 40_000
    rng = np.random.default_rng(2)
    ht, y = rng.exponential(6.0, size), rng.standard_cauchy(size)
    where = np.abs(y) < 200
    q = np.exp(-ht / 6) / 6 / (np.pi * (1 + y**2))
    for n in (0, 1, 2):
        p = density(flow, at(dataset, 2.0, n=np.full(size, n), ht=ht, y=y))
        zero = density(flow, at(dataset, 2.0, n=np.full(size, n), ht=0 * ht, y=y))
        total = np.mean(np.where(where, p / q, 0)) + np.mean(
            np.where(where, zero * np.pi * (1 + y**2), 0)
        )
        assert total == pytest.approx(np.mean(drawn["n"] == n), abs=0.03)


@pytest.mark.parametrize("name", EVENTS)
def test_coordinates_come_back_bit_equal(name, trained):
    flow, dataset = trained("exact", name), EVENTS[name]
    scale = flow.scale
    again = EventScale.from_state(scale.state(), flow.declaration)
    columns = {n: dataset[n].values for n in dataset.data_vars}
    a, b = (s.points(columns)[0] for s in (scale, again))
    assert a.keys() == b.keys()
    assert all(np.array_equal(a[k], b[k]) for k in a)
    assert again.said() == scale.said() != ""
    for k in ("low", "high"):
        assert k not in a or (a["low"] < a["high"]).all()


@pytest.mark.parametrize("model", ["exact", "filled"])
def test_events_of_mixed_kinds_go_through_a_store(model, tmp_path):
    store = Store(tmp_path)
    stored = store.adopt(EVENTS["jets"], "jets", sample="event")
    flow = fit(SMALL[model], stored, epochs=1, store=store, progress=False)
    back = load(flow.key, store)
    few = {n: EVENTS["jets"][n][:50] for n in EVENTS["jets"].data_vars}
    few_events = xr.Dataset(few, attrs=stored.attrs)
    assert np.array_equal(back.log_prob(few_events), flow.log_prob(few_events))
    drawn = back.sample([(1.5,), (2.5,)], 300)
    assert drawn["n"].dtype == "int32"
    assert int((drawn["n"] >= 0).sum()) == 600


def test_wide_whole_numbers_are_points_of_the_same_probabilities():
    """Cells of 1/1000 of a width: the density at n is its probability."""
    x = np.rint(RNG.normal(1000 * LABEL, 1000.0)).astype("i4")
    dataset = events(n=(x, {"dtype": "int32"}))
    flow = fit(SMALL["exact"], dataset, epochs=2, batch_size=256, validation=0, progress=False)
    assert [column.role for column in flow.scale.columns] == ["dense"]
    p = density(flow, at(dataset, 2.0, n=np.arange(-9000, 13_000)))
    assert p.sum() == pytest.approx(1.0, abs=0.01)
    assert norm.pdf(0) / 1000 / 3 < p.max() < 3 * norm.pdf(0) / 1000
