"""Constants and labels that simply work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from presage import models
from presage.analysis.drawing import draw_at
from presage.analysis.labelled import group
from presage.emulation.sampling import sample
from presage.fitting import fit
from presage.labels import Parameter, Variable, stored_as
from presage.store import Store
from presage.studies.events.refine.joined import JoinedEvents

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


@pytest.mark.parametrize("x", [1.5, -3e4, 0.0])
def test_a_constant_is_drawn_where_it_is(x: float) -> None:
    """Beside labels that are many, too: the place is then a smooth function."""
    given = events(np.full(N, x, "f4"))
    flow = fit(models.SplineFlow(bins=4, hidden=(8,)), given, epochs=1, progress=False)
    drawn = flow.draw({"m": np.full(500, 200.0)}, np.random.default_rng(0))
    np.testing.assert_allclose(drawn["x"], x, rtol=0.1, atol=1e-9)


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
