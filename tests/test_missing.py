"""Missing values are left out and counted, by models, histograms and metrics alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from presage import models
from presage.analysis.compare import compare
from presage.analysis.histograms import adaptive_edges, histogram
from presage.analysis.labelled import group
from presage.fitting import fit
from presage.labels import LabelError, Parameter, Schema, Variable, check_arrays, present
from presage.labels.missing import MissingWarning, complete
from presage.store import Store

N = 900
LACKING = np.arange(N) % 9 == 0


def events(how: float, seed: int = 0, declared: bool = True, cut: bool = False) -> xr.Dataset:
    """Return events of which one in nine has no x; `how` stands for that."""
    rng = np.random.default_rng(seed)
    m = np.repeat([1.0, 2.0, 3.0], N // 3)
    x = np.where(LACKING, how, rng.normal(10 * m, 1)).astype("f4")
    of = Variable("x", lower=0.0, missing=how if declared else None)
    dataset = xr.Dataset(
        {
            "m": ("event", m, Parameter("m").attributes()),
            "x": ("event", x, of.attributes()),
            "y": ("event", rng.normal(m, 1).astype("f4"), Variable("y").attributes()),
        },
        attrs={"presage_sample": "event"},
    )
    return dataset.isel(event=~LACKING) if cut else dataset


EITHER = pytest.mark.parametrize("how", [-999.9, float("nan")])
TEXT = r"100 of 900 events are left out, for a value is missing: 'x' in 100"


@EITHER
def test_histograms_and_metrics_are_those_of_the_events_that_have_all_values(how: float) -> None:
    with pytest.warns(MissingWarning, match=f"the dataset: {TEXT}"):
        edges = adaptive_edges(events(how))
    assert float(edges.sel(variable="x").min()) > 5.0
    with pytest.warns(MissingWarning, match=TEXT):
        counted = histogram(events(how), edges)
    same = histogram(events(how, cut=True), edges)
    xr.testing.assert_identical(counted, same)
    with pytest.warns(MissingWarning, match=TEXT):
        product = compare(events(how), {"flow": events(how, 1)}, classifier=False)
    again = compare(events(how, cut=True), {"flow": events(how, 1, cut=True)}, classifier=False)
    assert product.attrs["left_out_flow"] == product.attrs["left_out_reference"] == 100
    assert "left_out_flow" not in again.attrs
    xr.testing.assert_equal(product, again)


@EITHER
@pytest.mark.parametrize("model", [models.SplineFlow(bins=4, hidden=(4,)), models.Ensemble()])
def test_a_model_is_trained_on_what_is_there(how: float, model: Any, tmp_path: Any) -> None:
    store = Store(tmp_path)
    data = store.adopt(events(how), "mine", sample="event")
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 256, "progress": False}
    with pytest.warns(MissingWarning, match=f"the training samples: {TEXT}"):
        fitted = fit(model, data, store=store, **settings)
    whole = fit(model, events(how, cut=True), **settings)
    for (name, one), two in zip(
        fitted.network.state_dict().items(), whole.network.state_dict().values(), strict=True
    ):
        assert (one == two).all(), name
    drawn = fitted.draw({"m": np.ones(500)}, np.random.default_rng(0))
    assert present(drawn["x"], Variable("x", missing=-999.9)).all()
    with pytest.raises(LabelError, match=r"no value \(-999.9\) in 100|100 values that are not fin"):
        fitted.log_prob(data)


def test_nan_that_was_not_declared_is_refused() -> None:
    with pytest.raises(LabelError, match="'x' holds 100 values that are not finite"):
        group(events(float("nan"), declared=False).assign_attrs(presage_sample="event"))


def test_a_number_for_none_may_lie_beyond_a_bound() -> None:
    schema = Schema("event", (Variable("x", lower=0.0, missing=-999.0),))
    check_arrays({"x": np.array([1.0, -999.0], "f4")}, schema, 2, "mine")
    with pytest.raises(LabelError, match="reaches -998"):
        check_arrays({"x": np.array([1.0, -998.0], "f4")}, schema, 2, "mine")


def test_nothing_is_left() -> None:
    columns = {"x": np.array([-1.0, 2.0]), "y": np.array([3.0, np.nan])}
    both = [Variable("x", missing=-1.0), Variable("y", gaps=True)]
    with pytest.raises(LabelError, match=r"no event has a value in every column; 'x' in 1, 'y' in"):
        complete(columns, both, "mine")
    assert complete(columns, [Variable("x")], "mine") is None


def test_whole_numbers_have_missing_values_too() -> None:
    charge = Variable("q", dtype="int8", missing=-99)
    assert present(np.array([1, -99, -1], "i1"), charge).tolist() == [True, False, True]


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_a_number_for_none_is_found_in_any_precision(kind: str) -> None:
    single = np.array([-999.9, -999.9001, 1.0], "f4")
    assert present(single.astype(kind), Variable("x", missing=-999.9)).tolist() == [
        False,
        True,
        True,
    ]
