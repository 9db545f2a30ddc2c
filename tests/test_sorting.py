from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from presage.transforms import sorting
from presage.transforms.sorting import by_code, distinct, side_by_side

BLOCK = 4096
N = 3 * BLOCK + 17


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(sorting, "BLOCK", BLOCK)


def columns_of(kind):
    """Columns of labels of every kind that users have."""
    rng = np.random.default_rng(3)
    grid = rng.integers(0, 10, (2, N))
    return {
        "float32 grid": [(0.1 * grid[0]).astype("float32"), (1e3 * grid[1]).astype("float32")],
        "float64 grid, some labels missing": [grid[0] * 0.7, np.where(grid[0] == 3, 1, grid[1])],
        "integers": [grid[0].astype(np.int16), grid[1]],
        "zeros of both signs": [np.where(rng.random(N) < 0.5, -0.0, 0.0), grid[0].astype(float)],
        "a rare label": [np.where(np.arange(N) == N - 2, 7.5, 1.0)],
        "more labels than a table": [rng.integers(0, 5000, N) / 7],
        "one label": [np.full(N, 3.5)],
        "three columns": [grid[0] / 3, grid[1] / 7, rng.integers(0, 3, N) - 1.0],
        "too many combinations": [rng.integers(0, 250, N) / k for k in (3, 5, 7)],
        "none": [np.zeros(0)],
    }[kind]


KINDS = (
    "float32 grid",
    "float64 grid, some labels missing",
    "integers",
    "zeros of both signs",
    "a rare label",
    "more labels than a table",
    "one label",
    "three columns",
    "too many combinations",
    "none",
)


@pytest.mark.parametrize("kind", KINDS)
def test_codes_are_the_places_in_the_sorted_table_of_rows(kind):
    columns = columns_of(kind)
    codes, table = distinct(columns)
    rows = np.stack(columns, axis=1).astype(float)
    np.testing.assert_array_equal(table[codes], rows)
    expected, places = np.unique(rows, axis=0, return_inverse=True)
    np.testing.assert_array_equal(table, expected)
    np.testing.assert_array_equal(codes, places.ravel())


@pytest.mark.parametrize("kinds", [1, 7, 300, 20_000])
@pytest.mark.parametrize("events", [0, 5, N])
def test_events_keep_their_order_within_a_label(kinds, events):
    rng = np.random.default_rng(1)
    codes = rng.integers(0, kinds, events).astype(np.uint16)
    columns = [np.arange(events), rng.standard_normal(events).astype("float32")]
    starts, arranged = by_code(codes, kinds, columns)
    order = np.argsort(codes, kind="stable")
    np.testing.assert_array_equal(np.diff(starts), np.bincount(codes, minlength=kinds))
    for column, found in zip(columns, arranged, strict=True):
        np.testing.assert_array_equal(found, column[order])
        assert found.dtype == column.dtype


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=30), st.integers(1, 4))
def test_any_values_get_their_places(values, repeats):
    column = np.array(values * repeats)
    codes, table = distinct([column, column[::-1]])
    np.testing.assert_array_equal(table[codes], np.stack([column, column[::-1]], axis=1))
    assert len(np.unique(table, axis=0)) == len(table) == codes.max() + 1


@pytest.mark.parametrize("cores", [1, 3])
def test_results_and_errors_do_not_depend_on_the_number_of_cores(cores, monkeypatch):
    monkeypatch.setattr(sorting, "_cores", lambda: cores)
    assert side_by_side(lambda x: x * x, range(20)) == [x * x for x in range(20)]
    assert len(distinct(columns_of("float32 grid"))[1]) == 100
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda x: 1 / x, [1, 0, 2])
