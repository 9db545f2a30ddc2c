"""Event weights: read, kept, and counted by what models and metrics are made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from presage.analysis.event_figure import label_scatter
from presage.analysis.labelled import declared
from presage.emulation import choose_held_out, hold_out
from presage.exchange import read_file, write_file
from presage.generate import simulate
from presage.inputs import InputWarning
from presage.labels import LabelError, Parameter, Schema, Variable, Weight
from presage.store import Store
from presage.studies.events import read_description
from presage.studies.events.numpy_files import NumpyReader
from presage.studies.events.refine.joined import JoinedEvents
from presage.studies.events.root import RootReader
from presage.transforms.weights import effective_size, quantile, weight_declared, weights_of

RNG = np.random.default_rng(0)
COLUMNS = {
    "m": RNG.normal(50, 5, 300).astype("f4"),
    "mass": np.repeat([40.0, 50.0, 60.0], 100),
    "gen": np.where(RNG.random(300) < 0.2, -2.5, 2.5).astype("f4"),
    "pileup": RNG.uniform(0.5, 1.5, 300).astype("f4"),
}
DESCRIPTION = """weight = "gen * pileup"
tree = "t"
files = "own.root"
[columns]
m = "m"
[labels]
mass = "mass"
"""


def dataset(weight: Any, **attrs: Any) -> xr.Dataset:
    """Events of three labels with these weights."""
    declared = {"role": "weight", **attrs}
    return xr.Dataset(
        {
            "mass": ("event", COLUMNS["mass"], {"role": "parameter"}),
            "m": ("event", COLUMNS["m"], {"units": "GeV"}),
            "w": ("event", np.asarray(weight), declared),
        },
        attrs={"presage_sample": "event"},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with uproot.recreate(tmp_path / "own.root") as file:
        file.mktree("t", {n: c.dtype for n, c in COLUMNS.items()}).extend(COLUMNS)
    both = COLUMNS["gen"] * COLUMNS["pileup"]
    np.savez(tmp_path / "own.npz", **COLUMNS, both=both)
    np.save(tmp_path / "own.npy", np.stack([COLUMNS["m"], both, COLUMNS["mass"]], axis=1))
    (tmp_path / "own.toml").write_text(DESCRIPTION)
    return tmp_path


#: Way of reading → the reader, of a folder.
READERS: dict[str, Callable[[Path], Any]] = {
    "ROOT": lambda f: RootReader(
        f / "own.root", "t", ["m"], ["mass"], weight="gen * pileup", cut="m > -1e9"
    ),
    "ROOT, a Weight": lambda f: RootReader(
        f / "own.root", "t", {Variable("m"): "m", Weight("weight"): "gen * pileup"}, ["mass"]
    ),
    "a description": lambda f: read_description(f / "own.toml"),
    "NumPy": lambda f: NumpyReader(f / "own.npz", ["m"], ["mass"], weight="both"),
    "NumPy without names": lambda f: NumpyReader(f / "own.npy", ["m", Weight("weight")], ["mass"]),
}


@pytest.mark.parametrize("way", READERS)
def test_weights_are_read_kept_and_exported(way: str, folder: Path) -> None:
    events = simulate(READERS[way](folder), store=Store(folder / "store"), progress=False)
    both = COLUMNS["gen"] * COLUMNS["pileup"]
    np.testing.assert_allclose(weights_of(events), both, rtol=1e-6)
    assert [v.name for v in declared(events)[2]] == ["m"]  # a weight is no observable
    train, held_out = hold_out(events, [(50.0,)])
    assert weight_declared(train) is not None
    assert held_out.sizes["event"] == 100
    write_file(events, folder / "out.nc")
    np.testing.assert_array_equal(weights_of(read_file(folder / "out.nc")), weights_of(events))


def test_a_reader_without_weight_keeps_its_key(folder: Path) -> None:
    plain = NumpyReader(folder / "own.npz", ["m"], ["mass"])
    assert "weight" not in plain.recipe().json
    weighted = NumpyReader(folder / "own.npz", ["m"], ["mass"], weight="both")
    assert plain.recipe().key != weighted.recipe().key
    same = NumpyReader(folder / "own.npz", weighted.columns, weighted.labels)
    assert same.recipe().key == weighted.recipe().key


def test_joined_events_keep_their_weight(tmp_path: Path) -> None:
    store = Store(tmp_path)
    events = store.adopt(dataset(COLUMNS["pileup"]), "toy", sample="event")
    both = simulate(JoinedEvents(events, events), store=store, progress=False)
    np.testing.assert_array_equal(weights_of(both), np.tile(weights_of(events), 2))


WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "two weights": (
        lambda f: RootReader(
            f / "own.root", "t", {Variable("m"): "m", Weight("w"): "gen"}, ["mass"], weight="pileup"
        ),
        r"one weight, and these are several: 'w', 'weight'\. Multiply them",
    ),
    "two weights in a dataset": (
        lambda f: weights_of(dataset(COLUMNS["gen"]).assign(v=dataset(COLUMNS["gen"])["w"])),
        r"one weight, and these are several: 'w', 'v'",
    ),
    "two weights of a schema": (
        lambda f: Schema("event", (Parameter("a"), Weight("v"), Weight("w"))),
        r"these are several: 'v', 'w'",
    ),
    "NaN in a file": (
        lambda f: list(
            RootReader(f / "own.root", "t", ["m"], ["mass"], weight="log(gen)").chunks()
        ),
        r"'weight' is NaN or infinite in \d+ of 300 selected events.*invalid='drop'",
    ),
    "NaN": (
        lambda f: weights_of(dataset(np.where(COLUMNS["m"] > 50, np.nan, 1.0))),
        r"the weight 'w' is NaN or infinite in \d+ of 300 events; leave them out",
    ),
    "a role that there is not": (
        lambda f: declared(dataset(COLUMNS["gen"], role="weights")),
        r"w: the attribute role is 'parameter' or 'weight', not 'weights'",
    ),
    "one for all": (
        lambda f: weights_of(dataset(COLUMNS["gen"]).assign(w=((), 1.0, {"role": "weight"}))),
        r"'w' has the dims \(\): it is one number for each event",
    ),
    "a unit too small": (lambda f: weights_of(dataset(np.full(300, 1e-200))), "another unit"),
    "no expression": (
        lambda f: RootReader(f / "own.root", "t", ["m"], ["mass"], weight=2.0),
        r"weight: an expression is text.*got 2\.0",
    ),
    "a list": (lambda f: Weight("w", ("variation",)), r"one number for each event, without dims"),
    "nothing but a weight": (
        lambda f: RootReader(f / "own.root", "t", labels=["mass"], weight="gen"),
        r"columns= is empty",
    ),
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.filterwarnings("ignore:invalid value encountered in log")
def test_wrong_weights_are_sentences(what: str, folder: Path) -> None:
    make, message = WRONG[what]
    with pytest.raises(ValueError, match=message):
        make(folder)


def test_invalid_weights_are_dropped_where_asked(folder: Path) -> None:
    reader = RootReader(
        folder / "own.root", "t", ["m"], ["mass"], weight="sqrt(gen)", invalid="drop"
    )
    with pytest.warns(InputWarning, match="not finite"):
        (chunk,) = reader.chunks()
    assert len(chunk["weight"]) == np.count_nonzero(COLUMNS["gen"] > 0)


@given(
    counts=st.lists(st.integers(1, 5), min_size=1, max_size=40),
    at=st.lists(st.floats(0.003, 0.997), min_size=1, max_size=5),
)
def test_whole_weights_are_repetitions(counts: list[int], at: list[float]) -> None:
    x = np.random.default_rng(len(counts)).normal(size=len(counts))
    repeated = np.quantile(np.repeat(x, counts), at, method="inverted_cdf")
    np.testing.assert_array_equal(quantile(x, np.array(counts, float), at), repeated)


def test_effective_sizes() -> None:
    assert effective_size(np.full(50, -3.0)) == 50
    assert effective_size(np.r_[np.full(80, 1.0), np.full(20, -1.0)]) == pytest.approx(36)
    assert effective_size(np.zeros(3)) == 0


def test_held_out_labels_have_effective_events_enough() -> None:
    weights = np.where(COLUMNS["mass"] == 50, np.tile([1.0, -0.6], 150), 2.0)
    with pytest.raises(LabelError, match=r"1 interior labels with at least 50 effective ev"):
        choose_held_out(dataset(weights), 1, 0)
    assert choose_held_out(dataset(np.abs(weights)), 1, 0) == [(50.0,)]


def test_events_are_drawn_with_their_weights() -> None:
    """What is subtracted is not seen, however small the unit of the weights."""
    doubled = xr.concat([dataset(np.full(300, 1e-9))] * 2, "event")
    beside = doubled.assign(m=doubled["m"] + np.repeat([0, 20], 300))
    weighted = beside.assign(w=("event", np.repeat([1e-9, 0.0], 300), {"role": "weight"}))
    heights = [
        label_scatter(one).axes[0].patches[0].get_data().values
        for one in (weighted, dataset(np.full(300, 1e-9)))
    ]
    assert heights[0].max() > 0
    assert np.count_nonzero(heights[0]) < 0.8 * np.count_nonzero(heights[1])
