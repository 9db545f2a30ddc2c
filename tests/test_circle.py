"""Angles as observables: wrapped, trained, drawn and compared as what they are."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import uproot
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from presage import models
from presage.analysis.compare import compare
from presage.analysis.histogram_morphing import histogram_morphing
from presage.analysis.labelled import group
from presage.analysis.morphing import moment_morphing, nearest_label
from presage.fitting import fit
from presage.generate import simulate
from presage.labels import LabelError, Parameter, Schema, Variable, check_arrays
from presage.labels.circle import emptiest, opened, wrapped
from presage.store import Store
from presage.studies.events.root import RootReader
from presage.transforms.scale import LabelScale

PHI = Variable("phi", period=2 * math.pi, unit="rad")
DEGREES = Variable("phi", period=360.0, lower=0.0, dtype="float64")
LABEL = Parameter("m", dtype="float64")


@given(
    x=st.lists(st.floats(-1e3, 1e3), min_size=1),
    variable=st.sampled_from([PHI, DEGREES, Variable("phi", period=1.0, lower=-0.2)]),
)
def test_wrapped_values_lie_within_one_period_and_mean_the_same(
    x: list[float], variable: Variable
) -> None:
    given_values = np.array(x).astype(variable.dtype)
    found = wrapped(given_values, variable)
    assert variable.period is not None
    start = -variable.period / 2 if variable.lower is None else variable.lower
    assert found.dtype == given_values.dtype
    assert (found.astype(float) >= start).all()
    assert (found.astype(float) < start + variable.period).all()
    turns = (found.astype(float) - given_values) / variable.period
    assert np.abs(turns - turns.round()).max() < 1e-3
    assert (wrapped(found, variable) == found).all()


def test_a_circle_is_cut_where_it_is_empty() -> None:
    rng = np.random.default_rng(0)
    for centre in (-3.1, -1.0, 0.0, 2.0, 3.1):
        x = wrapped(rng.normal(centre, 0.3, 2000).astype("f4"), PHI)
        away = abs(emptiest(x, PHI) - centre) % (2 * math.pi)
        assert min(away, 2 * math.pi - away) > 2.5
    assert np.ptp(opened(x, emptiest(x, PHI), 2 * math.pi)) < 2.5


def test_a_new_dataset_has_its_angles_within_one_period() -> None:
    schema = Schema("event", (PHI,))
    x = np.array([-math.pi, math.pi, 3.5, -3.5, 0.0], "f4")
    found = check_arrays({"phi": x}, schema, 5, "mine")["phi"]
    assert found[[0, 1, 4]].tolist() == x[[0, 1, 4]].tolist()  # to the rounding of their type
    assert found[2:4] == pytest.approx([3.5 - 2 * math.pi, 2 * math.pi - 3.5], abs=1e-6)
    with pytest.raises(LabelError, match=r"'phi' reaches 359, but has a period of 6.28319 .*unit"):
        check_arrays({"phi": np.array([1.0, 359.0], "f4")}, schema, 2, "mine")
    sentinel = Schema("event", (Variable("phi", period=2 * math.pi, missing=-999.0),))
    kept = check_arrays({"phi": np.array([1.0, -999.0], "f4")}, sentinel, 2, "mine")["phi"]
    assert kept.tolist() == [1.0, -999.0]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"period": 0.0}, "a period should be positive"),
        ({"period": math.inf}, "a period should be positive"),
        ({"period": 6.0, "upper": 3.0}, "give lower=-3.0 instead of upper=3.0"),
        ({"period": 6.0, "lower": 0.0, "upper": 3.0}, "the range begins at lower="),
        ({"period": 6, "dtype": "int32"}, "a variable with a period is a float"),
    ],
)
def test_periods_that_make_no_sense_are_refused(settings: Any, text: str) -> None:
    with pytest.raises(LabelError, match=text):
        Variable("phi", **settings)


def events(seed: int, n: int = 3000, kind: str = "seam", variable: Variable = PHI) -> xr.Dataset:
    """Return angles: a peak on the seam, one that goes round with the label, or all alike."""
    rng = np.random.default_rng(seed)
    m = np.repeat([0.0, 1.0, 2.0], n)
    centre = {"seam": np.full(3 * n, math.pi), "round": 2.0 * m}.get(kind)
    x = rng.uniform(-9, 9, 3 * n) if centre is None else rng.normal(centre, 0.4)
    if kind == "even":
        x = rng.uniform(-math.pi, math.pi, 3 * n)
    phi = wrapped(x.astype("f4"), variable)
    y = rng.normal(np.cos(phi), 0.2).astype("f4")
    return xr.Dataset(
        {
            "m": ("event", m, LABEL.attributes()),
            "phi": ("event", phi, variable.attributes()),
            "y": ("event", y, Variable("y").attributes()),
        },
        attrs={"presage_sample": "event"},
    )


@pytest.mark.parametrize("kind", ["seam", "round", "even"])
def test_a_scaling_inverts_and_its_slope_is_that_of_the_map(kind: str) -> None:
    data = events(0, 400, kind)
    scale = LabelScale.fit_dataset(data)
    again = LabelScale.from_state(scale.state(), scale.declaration())
    columns = {str(name): array.values.astype(float) for name, array in data.data_vars.items()}
    z = again.apply(columns, columns)
    back = again.inverse(z, columns)
    turns = (back["phi"] - columns["phi"]) / (2 * math.pi)
    assert np.abs(turns - turns.round()).max() < 1e-6
    further = again.apply({**columns, "phi": columns["phi"] + 2 * math.pi}, columns)
    assert further["phi"] == pytest.approx(z["phi"], abs=1e-6)


@pytest.mark.parametrize("kind", ["seam", "even"])
def test_a_flow_on_a_circle(kind: str) -> None:
    data = events(0, kind=kind).drop_vars("y")
    flow = fit(
        models.SplineFlow(bins=8, hidden=(16,)), data, epochs=8, learning_rate=1e-2, progress=False
    )
    flow = replace(flow, seen=None)  # all of the circle is asked for, however empty
    m = np.ones(20_000)
    drawn = flow.draw({"m": m}, np.random.default_rng(0))["phi"]
    assert np.abs(drawn.astype(float)).max() <= math.pi
    grid = np.linspace(-math.pi, math.pi, 40_001)[:-1]
    at = xr.Dataset(
        {
            "m": ("event", np.ones(len(grid)), LABEL.attributes()),
            "phi": ("event", grid, PHI.attributes()),
        }
    )
    p = np.exp(flow.log_prob(at).values)
    assert p.mean() * 2 * math.pi == pytest.approx(1.0, abs=2e-3)
    if kind == "seam":  # the peak goes on across the end of the range
        assert p[0] == pytest.approx(p[-1], rel=0.01)
        assert p[0] == pytest.approx(1 / math.sqrt(2 * math.pi) / 0.4, rel=0.15)
        assert np.mean(np.abs(drawn) < 1.0) < 1e-3
    else:  # but for a thousandth of the circle
        away = np.sort(p)[len(p) // 1000 :]
        assert away.min() > 0.6 / (2 * math.pi)


@pytest.mark.parametrize("kind", ["seam", "round"])
def test_metrics_go_round(kind: str) -> None:
    one, two, three = (events(seed, 2000, kind) for seed in range(3))
    moved = two.assign(phi=two["phi"].copy(data=wrapped(two["phi"].values + 0.04, PHI)))
    product = compare(one, {"same": two, "moved": moved}, floor=three, classifier=False)
    w1 = product["w1_over_std"].sel(variable="phi")
    assert float(w1.sel(source="same").max()) < 0.1
    assert w1.sel(source="moved").values == pytest.approx(0.1, abs=0.05)
    # No empty bins between two halves of a peak.
    edges = product["edges"].sel(variable="phi")
    assert float(np.ptp(edges.values, axis=-1).max()) < 3.0
    inside = product["counts"].sel(variable="phi", source="same").sum("bin")
    assert (inside > 0.97 * 2000).all()
    assert int(product["below_bound"].sum()) == 0
    assert abs(float(product["pull_mean"].sel(variable="phi", source="same").mean())) < 1.0


TURN = Variable("phi", period=2 * math.pi, lower=0.0)


@pytest.mark.parametrize("draw", [moment_morphing, histogram_morphing, nearest_label])
@pytest.mark.parametrize("variable", [PHI, TURN])
@pytest.mark.parametrize("kind", ["seam", "round"])
def test_what_rivals_draw_lies_within_the_range(kind: str, variable: Variable, draw: Any) -> None:
    train = events(0, 300, kind, variable)
    phi = draw(train, [(0.1,), (1.1,)], 500)["phi"].values.astype(float)
    start = 0.0 if variable is TURN else -math.pi
    assert phi.min() >= start
    assert phi.max() < start + 2 * math.pi
    centre = np.repeat([math.pi, math.pi] if kind == "seam" else [0.1, 2.1], 500)
    away = np.abs(np.mod(phi - centre + math.pi, 2 * math.pi) - math.pi)
    assert np.quantile(away, 0.99) < 1.6


def test_the_start_of_a_period_is_no_bound(tmp_path: Any) -> None:
    x = np.array([-1e-7, 3.0, -0.5], "f4")
    schema = Schema("event", (TURN,))
    found = check_arrays({"phi": x}, schema, 3, "mine")["phi"]
    assert found[1] == 3.0
    assert found[2] == pytest.approx(2 * math.pi - 0.5)
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("Events", {"phi": "f4", "m": "f4"}).extend({"phi": x, "m": x})
    reader = RootReader(tmp_path / "a.root", columns={TURN: "phi"}, labels={"m": "m"})
    read = simulate(reader, store=Store(tmp_path / "store"), progress=False)
    assert read["phi"].values == pytest.approx(found)


def test_values_of_a_label_lie_from_its_cut_on() -> None:
    grouped = group(events(0, 500, "round"))
    for k, cut in enumerate(grouped.cuts["phi"]):
        own = grouped.sample(k)[:, 0]
        assert own.min() >= cut - 1e-6
        assert own.max() <= cut + 2 * math.pi + 1e-6
        assert np.ptp(own) < 4.0
