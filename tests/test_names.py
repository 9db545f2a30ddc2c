"""Names of users' columns: those that collide are refused before any work, all others work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from event_toys import events_of, gaussian_events, grid
from presage.analysis.compare import compare
from presage.analysis.labelled import group
from presage.analysis.metrics import METRICS
from presage.analysis.residuals import residuals
from presage.emulation.split import hold_out, unique_labels
from presage.fitting import fit
from presage.labels import Coordinate, LabelError, Parameter, Schema, Variable
from presage.labels.names import RESERVED
from presage.models import SplineFlow
from presage.store import Store, StoreError


def truth(seed: int = 0) -> xr.Dataset:
    return gaussian_events(grid(3, 3), 60, seed=seed)


def test_the_reserved_names_are_those_of_the_products() -> None:
    one, two, three = (truth(seed) for seed in range(3))
    made = compare(one, {"flow": two}, floor=three, classifier=False)
    weighted = one.assign(w=("event", np.full(one.sizes["event"], 2.0), {"role": "weight"}))
    also = compare(weighted, {"flow": two}, classifier=False)
    names = {
        *map(str, also.variables),
        *map(str, made.variables),
        *map(str, made.dims),
        *unique_labels(truth()),
    }
    assert names - {"phi_label", "omega_label"} <= RESERVED
    assert set(METRICS) <= RESERVED


def named(name: str) -> xr.Dataset:
    return truth().rename(phi_label=name)


TINY = SplineFlow(bins=4, hidden=(4,))
DOORS: dict[str, Callable[[xr.Dataset, Store], Any]] = {
    "adopt": lambda events, store: store.adopt(events, "mine", sample="event"),
    "fit": lambda events, store: fit(TINY, events, epochs=1, progress=False),
    "hold_out": lambda events, store: hold_out(events, [(0.0, 0.0)]),
    "residuals": lambda events, store: residuals(events, events),
    "unique_labels": lambda events, store: unique_labels(events),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", ["source", "variable", "edge", "region", "w1_over_std"])
def test_a_label_of_a_reserved_name_is_refused_at_every_door(
    door: str, name: str, tmp_path: Any
) -> None:
    text = f"a label cannot be called '{name}': .* Rename it, to '{name}_value' for one"
    with pytest.raises(LabelError, match=text):
        DOORS[door](named(name), Store(tmp_path))


@pytest.mark.parametrize("name", ["mean", "width", "scatter", "time", "values", "lambda", "µ"])
def test_labels_of_other_names_go_through_to_the_end(name: str) -> None:
    columns = {name: np.repeat([1.0, 2.0], 60), "x": np.random.default_rng(0).normal(size=120)}
    given = events_of(columns, labels=(name,))
    made = compare(given, {"flow": given}, floor=given, classifier=False)
    assert made[name].values.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_source_refuses_every_reserved_label(name: str) -> None:
    with pytest.raises(LabelError, match=f"a label cannot be called '{name}'"):
        Schema("event", (Parameter(name), Variable("x")))
    Schema("event", (Parameter(f"{name}_label"), Variable(name)))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("event", "the number of the sample"),
        ("hits", "a dimension"),
        ("hits_count", "a length"),
        ("hits_start", "a position"),
        ("band", "a dimension"),
        ("pixel", "a dimension"),
        ("frequency", "a coordinate"),
    ],
)
def test_a_column_that_would_be_hidden_is_refused(name: str, what: str) -> None:
    others = (Variable("hit", ("hits",)), Variable("image", ("pixel", "band")))
    bands = Coordinate("frequency", (1.0, 2.0), dim="band")
    for column in (Variable(name), Parameter(name)):
        with pytest.raises(LabelError, match=f"cannot be called '{name}': that is {what} in"):
            Schema("event", (*others, column), (bands,), ("hits",))


def test_numbers_of_ones_own_along_the_samples_are_not_lost(tmp_path: Any) -> None:
    mine = truth().assign_coords(event=np.arange(1000, 1540)).drop_attrs(deep=False)
    with pytest.raises(StoreError, match="the coordinate 'event' of int64 would be lost"):
        Store(tmp_path).adopt(mine, "mine", sample="event")


def test_observables_of_any_name_go_through_to_the_end(tmp_path: Any) -> None:
    names = ["source", "variable", "edge", "label", "bin", "events", "counts"]

    def made(seed: int) -> xr.Dataset:
        rng = np.random.default_rng(seed)
        m = np.repeat([1.0, 2.0, 3.0], 80)
        columns = {"m": m, **{name: rng.normal(m, 1).astype("f4") for name in names}}
        return Store(tmp_path).adopt(events_of(columns, labels=("m",)), "mine", sample="event")

    found = residuals(made(0), made(1), train=made(2), store=Store(tmp_path), classifier=False)
    assert found.dataset["variable"].values.tolist() == names
    assert np.isfinite(found.dataset["w1_over_std"].sel(source="flow")).all()
    assert set(names) <= set(group(made(0)).columns)
    assert found.verdict()
