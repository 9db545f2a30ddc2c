"""Orders that are computed place by place: permutations, and no less random than shuffled lists."""

from __future__ import annotations

import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from presage.batches import Plan
from presage.batches.permutation import HELD, draw_keys, permutation, permuted
from presage.rng import generator

MANY = 10**9


def keys_of(seed):
    return draw_keys(generator("test", seed, 0))


def order(seed, samples=MANY):
    return permutation(samples, generator("test", seed, 0))


@pytest.mark.parametrize("samples", range(1, 51))
def test_every_sample_comes_once(samples):
    for seed in range(20):
        found = permuted(np.arange(samples), samples, keys_of(seed))
        assert sorted(found) == list(range(samples))


@pytest.mark.parametrize("samples", [255, 256, 257, 4095, 4097, 1 << 20, (1 << 20) + 1])
def test_every_sample_comes_once_beside_powers_of_two(samples):
    found = permuted(np.arange(samples), samples, keys_of(1))
    assert np.bincount(found, minlength=samples).tolist() == [1] * samples


@given(st.integers(HELD + 1, 1 << 62), st.integers(0, 1 << 40), st.data())
def test_of_many_samples_none_comes_twice(samples, seed, data):
    start = data.draw(st.integers(0, samples - 200))
    far = data.draw(st.lists(st.integers(0, samples - 1), max_size=50))
    places = np.unique([*range(start, start + 200), *far])
    found = order(seed, samples)[places]
    assert found.min() >= 0
    assert found.max() < samples
    assert len(np.unique(found)) == len(places)
    np.testing.assert_array_equal(order(seed, samples)[start : start + 200],
                                  found[np.searchsorted(places, start):][:200])  # fmt: skip


def even(cells, number):
    """The probability that so many equally likely cells are filled as these."""
    return stats.chisquare(np.bincount(cells, minlength=number)).pvalue


SIZES = [1000, HELD + 1, MANY, (1 << 30) - 1]


@pytest.mark.parametrize("samples", SIZES)
def test_a_place_gets_any_sample_equally_often(samples):
    places = np.array([0, 1, samples // 2, samples - 1])
    found = np.array([permuted(places, samples, keys_of(seed)) for seed in range(3000)])
    cells = found * 40 // samples
    assert min(even(column, 40) for column in cells.T) > 1e-4
    for one, other in combinations(range(4), 2):  # what stands elsewhere tells nothing
        pairs = (found[:, one] * 8 // samples) * 8 + found[:, other] * 8 // samples
        assert even(pairs, 64) > 1e-4


@pytest.mark.parametrize("samples", SIZES[1:])
@pytest.mark.parametrize("stride", [1, 2, 1 << 12])
def test_neighbours_in_an_order_are_strangers(samples, stride):
    places = np.arange(0, min(samples, 400_000 * stride), stride)[:400_000]
    found = order(3, samples)[places]
    assert even(found * 100 // samples, 100) > 1e-4
    assert even((found[1:] - found[:-1]) % samples * 100 // samples, 100) > 1e-4
    for digits in (found % 16, found * 16 // samples):
        assert even(digits[:-1] * 16 + digits[1:], 256) > 1e-4
    for lag in (1, 2, 3, 64, 1024):
        correlation = np.corrcoef(found[:-lag], found[lag:])[0, 1]
        assert abs(correlation) < 4.5 / np.sqrt(len(found))
    assert abs(np.corrcoef(places, found)[0, 1]) < 4.5 / np.sqrt(len(found))


def test_epochs_and_seeds_have_orders_of_their_own():
    kinds = [(seed, epoch) for seed in (0, 1, 2) for epoch in (0, 1, 2)]
    found = [Plan(MANY, 1024, seed).epoch(epoch).order(0, 200_000) for seed, epoch in kinds]
    for one, other in combinations(found, 2):
        assert np.count_nonzero(one == other) <= 4
        assert abs(np.corrcoef(one, other)[0, 1]) < 4.5 / np.sqrt(len(one))
        assert even((one - other) % MANY * 100 // MANY, 100) > 1e-4


def test_only_the_keys_of_computed_orders_say_so():
    """Plans of lists keep the keys that they had; a key never stands for two orders."""
    assert Plan(HELD, 1024).key == "8e22754910202148"
    assert Plan(HELD + 1, 1024).key != "2f76b4662328ebc8"  # when that order was a list
    assert Plan(HELD + 1, 1024, 0, "block", 512, 64).key == "19d6e2b81160308a"


def test_an_order_is_the_same_on_every_machine():
    found = Plan(MANY, 1024, seed=5).epoch(2).order(123_456_789, 123_456_794)
    assert found.tolist() == [178701364, 123984406, 353037138, 192141569, 878603744]


def test_a_batch_costs_less_than_a_millisecond():
    epoch = Plan(MANY, 1024).epoch(0)
    took = []
    for step in range(50):
        begun = time.perf_counter()
        epoch.share(step)
        took.append(time.perf_counter() - begun)
    assert min(took) < 1e-3
