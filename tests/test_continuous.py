"""What a continuous model refuses before it trains, and labels that simply work."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import xarray as xr

from presage import models
from presage.analysis.drawing import draw_at
from presage.analysis.labelled import group
from presage.emulation.sampling import sample
from presage.fitting import fit
from presage.labels import LabelError, Parameter, Variable, stored_as
from presage.store import Store
from presage.studies.events.refine.joined import JoinedEvents
from presage.transforms.atoms import AtomWarning, check_continuous

RNG = np.random.default_rng(0)
N = 6000
LABEL = RNG.choice([100.0, 200.0, 300.0], N)
X = RNG.normal(LABEL, 5.0).astype("f4")


def events(x: Any = X, m: Any = LABEL, **declared: Any) -> xr.Dataset:
    of = Variable("x", **declared).attributes()
    return xr.Dataset(
        {"m": ("event", m, Parameter("m").attributes()), "x": ("event", x, of)},
        attrs={"presage_sample": "event"},
    )


def with_spike(share: float) -> Any:
    return np.where(np.arange(N) % 1000 < 1000 * share, np.float32(0.5), X)


REFUSED = {
    "counts": (RNG.poisson(3.0, N), "holds whole numbers"),
    "counts as bytes": (RNG.poisson(3.0, N).astype("u1"), "holds whole numbers"),
    "many whole numbers": (RNG.integers(0, 10**6, N), "holds whole numbers"),
    "counts as floats": (RNG.poisson(3.0, N).astype("f4"), "different values in 6000 events"),
    "hits as floats": (RNG.poisson(200.0, N).astype("f4"), "holds whole numbers"),
    "two values": (RNG.choice([-1.0, 1.0], N), "takes only 2 different values in 6000 events"),
    "a constant and one more": (np.r_[np.zeros(N - 9), np.ones(9)], "takes only 2 different"),
}
LET_THROUGH = {
    "a continuous one": X,
    "one constant at each label": LABEL + 1,
    "a constant": np.full(N, 0.5),
    "rounded to a tenth": np.round(X, 1),
    "each value twice": np.repeat(X[: N // 2], 2),
    "half a percent at one value": with_spike(0.005),
}


@pytest.mark.parametrize("model", [models.SplineFlow(), models.MixtureDensity(), models.Ensemble()])
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_continuous_is_refused_before_training(kind: str, model: Any) -> None:
    x, text = REFUSED[kind]
    with pytest.raises(LabelError, match=rf"'x' {text}|'x' takes only \d+ {text}") as caught:
        fit(model, events(x), epochs=1, progress=False)
    assert "drop_vars('x')" in str(caught.value)
    assert "add uniform noise" in str(caught.value)


@pytest.mark.parametrize("kind", LET_THROUGH)
def test_what_is_continuous_is_let_through_in_silence(kind: str) -> None:
    columns = {"x": LET_THROUGH[kind], "m": LABEL}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_continuous(columns, [Variable("x")], [Parameter("m")])


@pytest.mark.parametrize("x", [1.5, -3e4, 0.0])
def test_a_constant_is_drawn_where_it_is(x: float) -> None:
    """Beside labels that are many, too: the place is then a smooth function."""
    given = events(np.full(N, x, "f4"))
    flow = fit(models.SplineFlow(bins=4, hidden=(8,)), given, epochs=1, progress=False)
    drawn = flow.draw({"m": np.full(500, 200.0)}, np.random.default_rng(0))
    np.testing.assert_allclose(drawn["x"], x, rtol=0.1, atol=1e-9)


def test_few_values_at_continuous_conditions_are_seen() -> None:
    columns = {"x": RNG.choice([0.0, 1.0, 2.0], N), "m": RNG.random(N)}
    with pytest.raises(LabelError, match="takes only 3 different values"):
        check_continuous(columns, [Variable("x")], [Parameter("m")])


def test_a_spike_is_warned_of_with_its_share() -> None:
    with pytest.warns(AtomWarning, match=r"'x' is exactly 0.5 in 20.0 % .*missing = 0.5 in"):
        check_continuous({"x": with_spike(0.2), "m": LABEL}, [Variable("x")], [Parameter("m")])


def test_floats_become_the_nearest_whole_number() -> None:
    values = np.array([-1.6, -0.4, 0.4, 0.6, 2.5, 2.9999])
    assert stored_as(values, "int32").tolist() == [-2, 0, 0, 1, 2, 3]
    assert stored_as(values, "float32").dtype == "float32"


def test_whole_number_labels_go_through_training_and_sampling(tmp_path: Any) -> None:
    store = Store(tmp_path)
    whole = store.adopt(events(m=LABEL.astype("i4"), lower=0.0), "mine", sample="event")
    flow = fit(models.SplineFlow(bins=4, hidden=(4,)), whole, epochs=1, store=store, progress=False)
    drawn = sample(flow, labels=[(150.5,), (200,)], n=10, store=store, progress=False)
    assert np.unique(drawn["m"]).tolist() == [150.5, 200.0]
    joined = JoinedEvents(whole, drawn)
    chunks = [chunk["m"] for chunk in joined.chunks()]
    assert joined.parameters[0].dtype == "float64"
    assert np.unique(np.concatenate(chunks)).tolist() == [100.0, 150.5, 200.0, 300.0]
    rival = draw_at(group(whole), whole, [(150.5,)], 5, 0, "toy", lambda c, n, r: np.ones((n, 1)))
    assert rival["m"].values.tolist() == [150.5] * 5


@pytest.mark.parametrize(("bounds", "on"), [({"lower": 100.0}, 100.0), ({"upper": 300.0}, 300.0)])
def test_a_label_on_its_bound_is_trained_at_and_sampled_at(
    bounds: Any, on: float, tmp_path: Any
) -> None:
    store = Store(tmp_path)
    given = events(follows="m")
    given["m"].attrs = Parameter("m", **bounds).attributes()
    given = store.adopt(given, "mine", sample="event")
    model = models.SplineFlow(bins=4, hidden=(8,))
    flow = fit(model, given, epochs=3, batch_size=256, store=store, progress=False)
    drawn = sample(flow, labels=[(on,)], n=500, store=store, progress=False)
    assert float(drawn["x"].median()) == pytest.approx(on, abs=15.0)
