"""Holding out labels, drawing from a flow, and what is said when that makes no sense."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import presage as ps
from presage.analysis.labelled import declared, label_table
from presage.emulation import at_labels
from presage.emulation.grid import LabelledSimulator
from presage.emulation.sampling import FlowSampler, RangeWarning
from presage.emulation.split import choose_held_out, unique_labels
from presage.fitting import Fitted
from presage.labels import LabelError
from presage.store import Store, StoreError
from presage.studies import rebuild
from presage.studies.events import Campaign, Resonance, Training
from presage.studies.events.sources import SOURCES


@pytest.fixture(scope="module")
def events(store: Store) -> xr.Dataset:
    return ps.simulate(Resonance.on_grid(4, 4, weights="equal"), 1600, store=store)


@pytest.fixture(scope="module")
def fitted(store: Store, events: xr.Dataset) -> Fitted:
    train, _ = ps.hold_out(events, [(1866.7, 3.175)])
    model = ps.models.SplineFlow(bins=4, hidden=(8,))
    return ps.fit(model, train, epochs=1, store=store, progress=False)


def test_hold_out_parts_the_events_by_label(events: xr.Dataset) -> None:
    label = (1866.7, 3.175)
    train, held_out = ps.hold_out(events, [label])
    assert held_out.sizes["event"] == 100
    assert train.sizes["event"] == 1500
    assert not set(train["event"].values) & set(held_out["event"].values)
    xr.testing.assert_identical(held_out, at_labels(events, [label]))
    assert unique_labels(held_out).sizes["label"] == 1


def test_one_label_is_given_without_a_list(events: xr.Dataset, fitted: Fitted) -> None:
    label = (1866.7, 3.175)
    for got, listed in zip(ps.hold_out(events, label), ps.hold_out(events, [label]), strict=True):
        xr.testing.assert_identical(got, listed)
    drawn = fitted.sample(np.array(label), 5)
    assert drawn.sizes["event"] == 5
    assert float(drawn["omega_label"][0]) == 3.175


def test_a_table_of_pandas_is_refused_with_what_to_do(fitted: Fitted, events: xr.Dataset) -> None:
    with pytest.raises(LabelError, match=r"got DataFrame; .*from_dataframe"):
        fitted.log_prob(events.to_dataframe())  # type: ignore[arg-type]


def test_held_out_labels_are_inside_and_on_the_edge(events: xr.Dataset) -> None:
    chosen = np.array(choose_held_out(events, interior=2, edge=2))
    phi, omega = np.unique(events["phi_label"]), np.unique(events["omega_label"])
    inside = [(p in phi[1:-1]) and (w in omega[1:-1]) for p, w in chosen]
    assert inside == [True, True, False, False]
    assert len({tuple(label) for label in chosen.tolist()}) == 4


def test_by_default_a_small_grid_keeps_most_of_its_labels(store: Store) -> None:
    for grid, held in (((7, 1), 1), ((4, 3), 4), ((7, 7), 8)):
        source = Resonance.on_grid(*grid, weights="equal")
        small = ps.simulate(source, 60 * grid[0] * grid[1], seed=9, store=store)
        assert len(choose_held_out(small)) == held
    with pytest.raises(LabelError, match=r"there are 0 of 49 \(25 more have fewer\)"):
        choose_held_out(small, minimum=61)


def test_drawn_events_look_like_the_training_events(
    fitted: Fitted, events: xr.Dataset, store: Store
) -> None:
    drawn = ps.sample(fitted, labels=[(2000.0, 4.0), (3000.0, 5.0)], n=[300, 100], store=store)
    assert list(drawn.data_vars) == list(events.data_vars)
    assert drawn["phi_mass"].attrs["units"] == "GeV"
    assert (drawn["omega_mass"] >= 0.415).all()
    counts = unique_labels(drawn)["events"].values
    np.testing.assert_allclose(counts, [300, 100], atol=2)
    again = ps.sample(
        ps.load(fitted.key, store), labels=[(2000.0, 4.0), (3000.0, 5.0)], n=[300, 100], store=store
    )
    xr.testing.assert_identical(drawn, again)
    assert ps.verify(ps_sampler(fitted), seed=0, store=store, fraction=1.0) == 400


def ps_sampler(fitted: Fitted) -> Any:
    return FlowSampler(labels=((2000.0, 4.0), (3000.0, 5.0)), weights=(300.0, 100.0), fitted=fitted)


DRAWN = {
    "by a function": lambda fitted, store: ps.sample(
        fitted, labels=[(9000.0, 4.0)], n=10, store=store
    ),
    "by a simulator": lambda fitted, _: FlowSampler(labels=((9000.0, 4.0),), fitted=fitted),
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_labels_beyond_the_trained_range_are_said(fitted: Fitted, store: Store, draw: Any) -> None:
    text = r"phi_label = 9000 is outside .*\[95, 5410\] GeV"
    with pytest.warns(RangeWarning, match=text) as said:
        draw(fitted, store)
    assert [warning.filename for warning in said] == [__file__]


WRONG = {
    "no events": ({"n": 0}, LabelError, "at least 1 event a label"),
    "sizes of other labels": ({"n": [1, 2]}, LabelError, "one number or 1 of them"),
    "a label of one number": ({"labels": [(1.0,)]}, LabelError, "got 1 values"),
    "not a number": ({"labels": [(np.nan, 1.0)]}, LabelError, "must be finite"),
    "no label": ({"labels": []}, LabelError, "at least one label is needed"),
    "a number for two": ({"labels": [5.0]}, LabelError, "got 1 values"),
    "text": ({"labels": "all"}, LabelError, "a label is numbers .* got 'all'"),
    "an impossible label": ({"labels": [(-5.0, 1.0)]}, LabelError, "phi_label"),
}


@pytest.mark.filterwarnings("ignore::presage.emulation.sampling.RangeWarning")
@pytest.mark.parametrize(("given", "kind", "text"), WRONG.values(), ids=WRONG)
def test_wrong_draws(
    fitted: Fitted, store: Store, given: dict[str, Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        ps.sample(fitted, **{"labels": [(2000.0, 4.0)], "n": 10, "store": store, **given})


HELD = {
    "a label between two": ([(1000.0, 3.0)], "there is no label .* the nearest is phi_label"),
    "a label of one number": ([(1000.0,)], r"a label is \(phi_label, omega_label\), got 1 values"),
    "no number": ([(math.nan, 3.0)], r"a label is finite numbers, got \(nan, 3.0\)"),
    "text": ([("light", 3.0)], r"a label is numbers \(phi_label, omega_label\), got \('light'"),
    "by name, one lacks": ([{"phi_label": 1.0}], "the labels lack 'omega_label'"),
    "none": ([], "at least one label"),
    "all": (Resonance.on_grid(4, 4).labels, "nothing is left to train on"),
}


@pytest.mark.parametrize(("labels", "text"), HELD.values(), ids=HELD)
def test_wrong_labels_to_hold_out(events: xr.Dataset, labels: Any, text: str) -> None:
    with pytest.raises(LabelError, match=text):
        ps.hold_out(events, labels)


def test_a_missing_parent_names_what_makes_it(tmp_path: Path) -> None:
    size = {"grid": (4, 4), "n_events": 800, "n_truth": 50, "n_grid": 20, "weights": "equal"}
    campaign = Campaign(store=Store(tmp_path), interior=1, edge=1, **size)
    with pytest.raises(StoreError, match=r"1_generate makes these events.*presage run events"):
        _ = campaign.events
    campaign.make()
    with pytest.raises(StoreError, match="2_train makes spline_flow with these settings"):
        Training().load(campaign)
    with pytest.raises(LabelError, match="no model 'spline_flo'; did you mean 'spline_flow'"):
        Training(model="spline_flo").load(campaign)
    with pytest.raises(LabelError, match="no source 'resonanse'; did you mean 'resonance'"):
        Campaign(store=Store(tmp_path), source="resonanse")


WISHES: dict[str, tuple[dict[str, Any], str]] = {
    "a name": ({"source": "resonanc"}, "no source 'resonanc'; did you mean 'resonance'"),
    "another grid": ({"grid": (3,)}, r"resonance has 2 axes of labels: .* \[10, 10\], got \[3\]"),
    "weights": ({"weights": "fair"}, "resonance knows no weights 'fair'"),
    "no files": ({"source": "root"}, "source='root' needs path=, a file or a folder"),
}


@pytest.mark.parametrize(("wish", "text"), WISHES.values(), ids=WISHES)
def test_wrong_wishes_of_a_source(wish: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=text):
        _ = Campaign(store=Store(tmp_path), **wish).producer


GRIDS = {
    "resonance": (3, 3),
    "resonance_decay": (3, 3),
    "gaussians_line": (4,),
    "gaussians_grid": (3, 3),
    "gaussians_cube": (2, 2, 2),
    "gaussians_circle": (4,),
}


@pytest.mark.parametrize("source", sorted(set(SOURCES) - {"root", "numpy"}))
def test_every_source_makes_events_truth_and_floor(source: str, tmp_path: Path) -> None:
    size = {"n_events": 400, "interior": 0, "edge": 1, "n_truth": 60, "n_grid": 10}
    campaign = Campaign(store=Store(tmp_path), source=source, grid=GRIDS[source], **size)
    assert campaign.make().sizes["event"] == 400
    assert campaign.truth.sizes == campaign.floor.sizes
    labels, sizes = campaign._sizes(60)
    counts = campaign.truth.sizes["event"]
    assert counts == sum(sizes) == 60 + 10 * (len(labels) - 1)
    own = Campaign(store=Store(tmp_path), source=source, grid=()).producer
    assert isinstance(own, LabelledSimulator)
    assert rebuild(own.recipe()) == own


def test_a_campaign_asks_its_simulator_again(tmp_path: Path) -> None:
    """Truth and floor keep every setting of the simulator but labels and weights."""
    size = {"grid": (4, 4), "n_events": 800, "n_truth": 50, "n_grid": 20}
    campaign = Campaign(store=Store(tmp_path), source="gaussians_grid", interior=4, edge=0, **size)
    campaign.make()
    assert campaign.truth.sizes["event"] == 4 * 50 + 12 * 20
    there = label_table(campaign.events, declared(campaign.events)[1])
    for new in campaign.new_labels:
        assert all(abs(new - label).max() > 0.09 for label in there)
        assert ((new > there.min(axis=0)) & (new < there.max(axis=0))).all()
