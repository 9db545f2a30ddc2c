"""When two labels are the same: laws, and every place that goes by them."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from presage.analysis.compare import compare
from presage.analysis.histograms import adaptive_edges, histogram
from presage.analysis.labelled import distinct_labels, group
from presage.emulation.grid import _check_inside
from presage.emulation.split import (
    at_ends,
    at_labels,
    choose_held_out,
    hold_out,
    unique_labels,
)
from presage.labels import LabelError, LabelMergeWarning, Parameter, Variable
from presage.labels.equality import beyond, merge, positions
from presage.studies.events import Resonance
from presage.studies.events.campaign import Campaign
from presage.studies.events.refine.places import candidates_of
from presage.studies.events.root.survey import Survey

M = Parameter("m", dtype="float64")
TURN = Parameter("angle", dtype="float64", period=2 * math.pi)
EXACT = Parameter("m", dtype="float64", tolerance=0.0)


def labels_of(values: list[float], counts: list[int] | None, parameter: Parameter) -> list[float]:
    """Return what each of some values is read as."""
    table = np.array(values, dtype=float)[:, None]
    number = np.ones(len(values), int) if counts is None else np.array(counts)
    labels, which = merge(table, number, [parameter])
    return [float(value) for value in labels[which, 0]]


THIRD = float(np.float32(1 / 3))


@pytest.mark.parametrize(
    ("parameter", "values", "counts", "read"),
    [
        (M, [5.125, 5.1250000001, 6.0], [1000, 50, 9], [5.125, 5.125, 6.0]),
        (M, [5.125, 5.1250000001, 6.0], [50, 1000, 9], [5.1250000001, 5.1250000001, 6.0]),
        (M, [1 / 3, THIRD, 2.0], None, [1 / 3, 1 / 3, 2.0]),  # ties: the smallest
        (M, [-1 / 3, -THIRD], [1, 2], [-THIRD, -THIRD]),
        (M, [1.0, 1.00001], None, [1.0, 1.00001]),  # ten times the tolerance
        (M, [0.0, 1e-17, 1.0, 2.0], [3, 1, 1, 1], [0.0, 0.0, 1.0, 2.0]),
        (M, [-1e-17, 1e-17, 1.0], [1, 2, 1], [1e-17, 1e-17, 1.0]),
        (M, [-0.0, 0.0, 1.0], None, [0.0, 0.0, 1.0]),
        (M, [0.0, 1e-20, 1e-16, 1e-11, 1e-6, 1.0], None, [0.0, 1e-20, 1e-16, 1e-11, 1e-6, 1.0]),
        (M, [10.0**k for k in range(-22, 5)], None, [10.0**k for k in range(-22, 5)]),
        (EXACT, [5.125, 5.1250000001, 0.0, 1e-17], None, [5.125, 5.1250000001, 0.0, 1e-17]),
        (Parameter("m", tolerance=0.01), [1.0, 1.005, 1.02], None, [1.0, 1.0, 1.02]),
        # A chain: the middle has most events and takes both; else each takes what is near it.
        (M, [1.0, 1 + 8e-7, 1 + 16e-7], [1, 9, 1], [1 + 8e-7] * 3),
        (M, [1.0, 1 + 8e-7, 1 + 16e-7], [9, 1, 5], [1.0, 1.0, 1 + 16e-7]),
        (M, [1.0, 1 + 9e-7, 1 + 16e-7], [9, 1, 5], [1.0, 1 + 16e-7, 1 + 16e-7]),
        (TURN, [-math.pi, math.pi, 0.0], [1, 2, 1], [math.pi, math.pi, 0.0]),
        (TURN, [0.0, 2 * math.pi, 1e-9, 1.0], [5, 1, 1, 1], [0.0, 0.0, 0.0, 1.0]),
        (TURN, [0.5, 0.5 - 2 * math.pi, 0.5 + 6 * math.pi], [1, 1, 1], [0.5 - 2 * math.pi] * 3),
    ],
)
def test_what_a_value_is_read_as(
    parameter: Parameter, values: list[float], counts: list[int] | None, read: list[float]
) -> None:
    assert labels_of(values, counts, parameter) == read


sizes = st.floats(1e-3, 1e6) | st.floats(-1e6, -1e-3) | st.just(0.0)
kinds = st.sampled_from([M, TURN, EXACT, Parameter("m", tolerance=1e-3)])


@given(values=st.lists(sizes, min_size=1, max_size=30), parameter=kinds, data=st.data())
def test_merged_labels_differ_and_every_spelling_finds_its_label(
    values: list[float], parameter: Parameter, data: Any
) -> None:
    blurred = data.draw(st.lists(st.sampled_from(values), max_size=30))
    table = np.unique(np.array(values + [v * (1 + 4e-7) for v in blurred]))[:, None]
    counts = np.array(
        data.draw(st.lists(st.integers(1, 9), min_size=len(table), max_size=len(table)))
    )
    labels, number = merge(table, counts, [parameter])
    assert (positions(labels, labels, [parameter]) == np.arange(len(labels))).all()
    assert (positions(table, labels, [parameter]) == number).all()
    again, same = merge(labels, np.bincount(number, weights=counts).astype(int), [parameter])
    assert (again == labels).all()
    assert (same == np.arange(len(labels))).all()
    order = np.random.default_rng(0).permutation(len(table))
    shuffled, where = merge(table[order], counts[order], [parameter])
    assert (shuffled[where] == labels[number[order]]).all()


def test_look_ups_of_labels_that_are_not_there() -> None:
    known = np.array([[1.0, 2.0], [3.0, 4.0]])
    wanted = [[1.0, 4.0], [3.0 * (1 + 1e-7), 4.0], [math.nan, 2.0], [math.inf, 4.0], [1.0, 2.1]]
    assert positions(np.array(wanted), known, [M, M]).tolist() == [-1, 1, -1, -1, -1]
    assert positions(known, known[:0], [M, M]).tolist() == [-1, -1]


LABELS = np.r_[np.full(1000, 5.125), np.full(50, 5.1250000001), np.full(900, 6.0), np.full(800, 7)]


def events(labels: np.ndarray[Any, Any] = LABELS, parameter: Parameter = M) -> xr.Dataset:
    x = np.random.default_rng(0).normal(labels, 1).astype("f4")
    return xr.Dataset(
        {
            "m": ("event", labels, parameter.attributes()),
            "x": ("event", x, Variable("x").attributes()),
        },
        attrs={"presage_sample": "event"},
    )


BOTH = r"1 labels come in 2 spellings .*m=5.125 \(1000\) with m=5.1250000001 \(50\)"


def test_nearly_equal_labels_are_one_everywhere(tmp_path: Any) -> None:
    noise = events()
    with pytest.warns(LabelMergeWarning, match=BOTH):
        counted = histogram(noise, adaptive_edges(noise))
    assert counted["events"].values.tolist() == [1050, 900, 800]
    with pytest.warns(LabelMergeWarning, match=BOTH):
        table = unique_labels(noise)
    assert table["m"].values.tolist() == [5.125, 6.0, 7.0]
    assert table["events"].values.tolist() == [1050, 900, 800]
    for spelling in (5.125, 5.1250000001, float(np.float32(5.125))):
        with pytest.warns(LabelMergeWarning, match=BOTH):
            train, held = hold_out(noise, [(spelling,)])
        assert np.unique(train["m"]).tolist() == [6.0, 7.0]
        assert held.sizes["event"] == 1050
        with pytest.warns(LabelMergeWarning):
            assert at_labels(noise, [(spelling,)]).sizes["event"] == 1050
    with pytest.warns(LabelMergeWarning):
        held_labels = choose_held_out(noise, interior=1, edge=2)
    assert sorted(held_labels) == [(5.125,), (6.0,), (7.0,)]
    with pytest.warns(LabelMergeWarning):
        product = compare(
            noise, {"flow": noise}, trained_labels=[(5.1250000001,)], classifier=False
        )
    assert product["held_out"].values.tolist() == [False, True, True]
    with pytest.raises(LabelError, match="simulated already"):
        candidates_of(np.array([[5.125], [7.0]]), [(5.125 + 1e-9,)], [M])
    with pytest.raises(LabelError, match="given twice"):
        candidates_of(np.array([[5.125], [7.0]]), [(6.0,), (6.0 + 1e-9,)], [M])


def test_labels_declared_to_be_exact_are_kept_apart() -> None:
    noise = events(parameter=EXACT)
    assert unique_labels(noise)["events"].values.tolist() == [1000, 50, 900, 800]
    train, _ = hold_out(noise, [(5.125,)])
    assert 5.1250000001 in train["m"].values


def test_files_count_the_events_of_all_spellings_of_a_label() -> None:
    survey = Survey()
    for value, number in ((5.125, 6), (float(np.float32(0.1)), 6), (0.1, 6)):
        survey.count({"m": np.full(number, value)}, ["m"])
    with pytest.warns(LabelMergeWarning, match="the files: 1 labels come in 2 spellings"):
        good = survey.enough(10, [M])
    assert good == {(float(np.float32(0.1)),), (0.1,)}


def test_integer_labels_are_labels() -> None:
    whole = events(np.repeat(np.array([100, 200, 300]), 60))
    _, table, sizes = distinct_labels([whole["m"].values], [M])
    assert (table[:, 0].tolist(), sizes.tolist()) == ([100.0, 200.0, 300.0], [60] * 3)
    assert hold_out(whole, [(200,)])[1].sizes["event"] == 60
    assert unique_labels(whole)["m"].dtype == "float64"


def test_whole_numbers_are_never_rounded_to_one() -> None:
    """Codes of particles differ in their seventh digit, times in seconds in their tenth."""
    for low in (1_000_022, 1_700_000_000):
        whole = events(np.repeat(low + np.arange(3), 60))
        assert unique_labels(whole)["m"].values.tolist() == [low, low + 1, low + 2]
        assert hold_out(whole, [(low + 1,)])[0].sizes["event"] == 120


def test_a_simulator_refuses_a_label_in_two_spellings() -> None:
    with pytest.raises(LabelError, match=r"a label is given twice, as \(1000.0, 4.0\) and"):
        Resonance.at([(1000.0, 4.0), (1000.0001, 4.0)])


@pytest.mark.parametrize(
    ("parameter", "value", "out"),
    [
        (M, float(np.float32(0.1)), False),
        (M, 0.1 - 1e-9, False),
        (M, 0.1 - 1e-6, True),
        (M, float(np.float32(0.3)), False),
        (M, 0.31, True),
        (EXACT, 0.3 + 1e-9, True),
        (TURN, 99.0, False),
    ],
)
def test_what_lies_beyond_a_range(parameter: Parameter, value: float, out: bool) -> None:
    assert beyond(np.array([value, 0.2]), 0.1, 0.3, parameter).tolist() == [out, False]


def test_a_bound_is_met_in_the_type_of_its_parameter() -> None:
    bounded = Parameter("m", dtype="float32", upper=0.1)
    _check_inside(float(np.float32(0.1)), bounded)
    with pytest.raises(LabelError, match=r"m should lie between -inf and 0.1, got 0.1001"):
        _check_inside(0.1001, bounded)


def test_an_end_of_a_circle_is_no_edge_of_a_cylinder() -> None:
    points = np.array([[m, angle] for m in (1.0, 2.0, 3.0) for angle in (-3.0, 0.0, 3.0)])
    assert at_ends(points, [M, TURN]).any(axis=1).tolist() == [True] * 3 + [False] * 3 + [True] * 3
    assert at_ends(points[:3, 1:], [TURN])[:, 0].tolist() == [True, False, True]


def test_ten_million_events_are_merged_on_the_small_table() -> None:
    labels = np.tile(LABELS, 100)
    codes, table, sizes = distinct_labels([labels], [M])
    assert table[:, 0].tolist() == [5.125, 6.0, 7.0]
    assert sizes.tolist() == [105_000, 90_000, 80_000]
    assert (np.bincount(codes) == sizes).all()


def test_one_spelling_of_a_value_in_all_labels_that_have_it() -> None:
    columns = [np.array([1.0, 1.0, 1 + 1e-9]), np.array([2.0, 2.0, 1.0])]
    codes, table, sizes = distinct_labels(columns, [M, M])
    assert table.tolist() == [[1.0, 1.0], [1.0, 2.0]]
    assert (codes.tolist(), sizes.tolist()) == ([1, 1, 0], [1, 2])


def test_a_million_continuous_values_are_left_as_they_are() -> None:
    values = np.random.default_rng(0).random(200_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, table, _ = distinct_labels([values], [M], "the events")
    assert len(table) == len(np.unique(values))


def test_grouped_events_are_found_by_any_spelling() -> None:
    with pytest.warns(LabelMergeWarning):
        grouped = group(events())
    assert grouped.find(np.array([[5.1250000001], [7.0]])).tolist() == [0, 2]
    with pytest.raises(LabelError, match=r"no events at m=5\.2; the closest .* is m=5\.125"):
        grouped.find(np.array([[5.2]]))


def test_a_campaign_counts_a_held_out_label_once(tmp_path: Any) -> None:
    class Given(Campaign):
        events = events()
        held_out_labels = [(5.1250000001,)]

    with pytest.warns(LabelMergeWarning):
        counts = Given(None).counts()  # type: ignore[arg-type]
    assert counts["held_out"].values.tolist() == [True, False, False]
