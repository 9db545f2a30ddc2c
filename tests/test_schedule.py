"""The label of event i: a fixed function of i, with the weights' shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presage.emulation.grid import inner_nodes, mesh, schedule
from presage.labels import LabelError

WEIGHTS = st.lists(st.floats(0, 1e3), min_size=1, max_size=40).filter(lambda w: sum(w) > 1e-3)


@given(st.integers(0, 10**12), st.integers(1, 300))
def test_equal_weights_take_turns(start, labels):
    numbers = schedule(start, start + 100, labels)
    assert (numbers == np.arange(start, start + 100) % labels).all()


@given(WEIGHTS, st.integers(0, 500), st.integers(1, 500), st.integers(1, 500))
def test_a_range_is_a_part_of_the_whole(weights, start, first, second):
    weights = np.array(weights)
    whole = schedule(start, start + first + second, weights.size, weights)
    left = schedule(start, start + first, weights.size, weights)
    right = schedule(start + first, start + first + second, weights.size, weights)
    assert (whole == np.concatenate([left, right])).all()


@given(WEIGHTS)
def test_every_prefix_has_the_weights_shares(weights):
    weights = np.array(weights)
    numbers = schedule(0, 4000, weights.size, weights)
    assert not np.isin(np.flatnonzero(weights == 0), numbers).any()
    for n in (100, 1000, 4000):
        counts = np.bincount(numbers[:n], minlength=weights.size)
        assert np.abs(counts - n * weights / weights.sum()).max() < 12


def test_far_events_are_exact():
    weights = np.array([1.0, 2.0, 3.0])
    numbers = schedule(2**60, 2**60 + 6000, 3, weights)
    assert np.abs(np.bincount(numbers) - [1000, 2000, 3000]).max() < 12


@pytest.mark.parametrize("weights", [[], [1.0, 2.0], [-1.0, 1.0, 1.0], [0.0] * 3, [np.nan, 1, 1]])
def test_wrong_weights_are_named(weights):
    with pytest.raises(LabelError, match="weights should be 3 numbers"):
        schedule(0, 10, 3, np.array(weights))


def test_layouts():
    assert inner_nodes(3, 0, 4).tolist() == [1, 2, 3]
    assert mesh([1, 2], [3, 4]) == ((1, 3), (1, 4), (2, 3), (2, 4))
