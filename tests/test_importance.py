"""Importance weights, draws chosen by them, and the classifier that tells posteriors apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from presage.analysis.c2st import Judge, c2st
from presage.analysis.importance import (
    efficiency,
    importance,
    pareto_k,
    resample,
)
from presage.labels import LabelError


def array(values, *dims):
    return xr.DataArray(np.asarray(values, dtype=float), dims=dims or ("draw",))


def wide_for_narrow(n=20_000, width=1.5, sets=2, seed=0):
    """Draws of N(0, width²) with both log densities, for the target N(0, 1) times e."""
    x = width * np.random.default_rng(seed).standard_normal((sets, n))
    target = -0.5 * x**2 - 0.5 * math.log(2 * math.pi) + 1.0
    proposal = -0.5 * (x / width) ** 2 - 0.5 * math.log(2 * math.pi) - math.log(width)
    return x, array(target, "set", "draw"), array(proposal, "set", "draw")


def test_weights_give_the_targets_moments_its_integral_and_the_efficiency():
    x, target, proposal = wide_for_narrow()
    found = importance(target, proposal)
    weight = np.exp(found["log_weight"].values)
    assert weight.sum(axis=1) == pytest.approx(1.0)
    assert (weight * x**2).sum(axis=1) == pytest.approx(1.0, abs=0.04)
    assert found["log_evidence"].values == pytest.approx(1.0, abs=0.02)
    # E[w]² / E[w²] of two normal laws: √(2 s² - 1) / s²
    assert found["efficiency"].values == pytest.approx(math.sqrt(3.5) / 2.25, abs=0.02)
    assert (found["pareto_k"] < 0.5).all()
    assert found["log_weight"].dims == ("set", "draw")


def test_a_draw_where_the_target_is_zero_weighs_nothing():
    found = importance(array([0.0, -np.inf, 0.0, 0.0]), array([0.0, 0.0, 0.0, 0.0]))
    assert np.exp(found["log_weight"].values) == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3])
    assert float(found["efficiency"]) == pytest.approx(0.75)
    assert float(found["pareto_k"]) == math.inf  # four draws show no tail


@pytest.mark.parametrize("shape", [0.2, 0.5, 0.9])
def test_the_shape_of_the_largest_weights_is_found(shape):
    logs = shape * np.random.default_rng(1).exponential(size=(20, 4000))
    assert pareto_k(logs).mean() == pytest.approx(shape, abs=0.06)


def test_the_shape_is_that_of_arviz():
    from presage.studies.pdf.ensemble import load_arviz

    rng = np.random.default_rng(2)
    rows = [rng.exponential(size=500) * 0.6, rng.standard_normal(1000), rng.standard_t(3, 3000)]
    for row in rows:
        assert pareto_k(row) == pytest.approx(float(load_arviz().psislw(row)[1]), abs=1e-6)


def test_equal_weights_have_no_tail():
    assert float(pareto_k(np.zeros(1000))) == 0.0
    assert float(efficiency(np.full((3, 10), -700.0))[0]) == pytest.approx(1.0)


@given(st.integers(1, 60), st.integers(0, 1000), st.floats(0.0, 3.0))
def test_chosen_draws_are_different_and_as_many_as_asked_for(n, seed, spread):
    logs = array(spread * np.random.default_rng(seed).standard_normal((2, 60)), "set", "draw")
    draws = xr.Dataset({"number": ("draw", np.arange(60))})
    kept = resample(draws, logs, n, seed=seed)
    for row in kept["number"].transpose("set", "draw").values:
        assert len(set(row)) == n
    assert (kept["clipped"] >= -1e-12).all()
    assert (kept["clipped"] < 1).all()


def test_chosen_draws_follow_the_target_and_what_was_cut_off_is_said():
    x, target, proposal = wide_for_narrow(sets=1)
    draws = xr.Dataset({"x": (("set", "draw"), x), "other": ("set", [7.0])})
    weight = importance(target, proposal)["log_weight"]
    kept = resample(draws, weight, 4000)
    assert kept["x"].dims == ("set", "draw")
    assert float(kept["clipped"][0]) == pytest.approx(0.0, abs=1e-9)
    place = np.sort(ndtr(kept["x"].values[0]))
    assert np.abs(place - np.arange(4000) / 4000).max() < 1.63 / math.sqrt(4000)
    assert float(kept["other"][0]) == 7.0
    # Too many: the same weights then pull towards the proposal, and `clipped` says how far.
    most = resample(draws, weight, 18_000)
    assert float(most["clipped"][0]) > 0.05
    assert most["x"].std() > 1.2


ZERO = array([0.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: importance(array([0.0, np.nan, 0.0]), ZERO), "target is NaN at 1 draws"),
        (lambda: importance(ZERO, array([0.0, np.nan, 0.0])), "proposal is NaN at 1 draws"),
        (lambda: importance(array([0.0, np.inf, 0.0]), ZERO), "+inf at a draw"),
        (lambda: importance(ZERO, array([0.0, -np.inf, 0.0])), "infinite at its own draws"),
        (lambda: importance(array([-np.inf] * 3), ZERO), "zero at every draw: the proposal"),
        (
            lambda: importance(array([[0.0] * 3, [-np.inf] * 3], "set", "draw"), ZERO),
            "zero at every draw of set 1",
        ),
        (lambda: importance(ZERO, array([0.0, 0.0])), "not of the same draws"),
        (lambda: importance(ZERO, array([0.0, 0.0], "row")), "should have a dimension 'draw'"),
        (
            lambda: resample(xr.Dataset({"x": ZERO}), array([0.0, -np.inf, -np.inf]), 2),
            "2 draws without repeats were asked for, but 1 of 3 have a weight",
        ),
        (lambda: resample(xr.Dataset({"x": ("row", [1.0])}), ZERO, 1), "no dimension 'draw'"),
    ],
)
def test_what_gives_no_weights_is_said(call, message):
    with pytest.raises(LabelError, match=message.replace("+", r"\+")):
        call()


#: Fewer folds than usual: an answer in a tenth of a second.
QUICK = Judge(folds=2)


def normal(n, seed, *, pairs=6, shift=0.0, width=1.0):
    x = np.random.default_rng(seed).standard_normal((pairs, n, 3))
    x[..., 0] = shift + width * x[..., 0]
    return array(x, "pair", "draw", "parameter")


def test_equal_laws_stay_below_the_floor_as_often_as_it_says():
    quick = Judge(steps=30, folds=2, batch_size=64)
    found = c2st(normal(600, 0, pairs=60), normal(500, 1, pairs=60), judge=quick)
    pulls = (found["accuracy"] - 0.5) / found["error"]
    assert abs(float(pulls.mean())) < 0.5
    assert 0.7 < float(pulls.std()) < 1.5
    assert (found["accuracy"] > found["floor"]).sum() <= 5
    assert float(found["error"][0]) == pytest.approx(math.sqrt((1 / 600 + 1 / 500) / 16))


@pytest.mark.parametrize(
    ("change", "best"),
    [({"shift": 0.5}, float(ndtr(0.25))), ({"width": 1.5}, 0.5968)],
)
def test_the_best_possible_accuracy_is_nearly_reached(change, best):
    found = c2st(normal(4000, 0, pairs=2), normal(4000, 1, pairs=2, **change), judge=QUICK)
    excess = float(found["accuracy"].mean()) - 0.5
    assert 0.85 * (best - 0.5) < excess < 1.1 * (best - 0.5)


def test_weights_make_draws_of_another_law_equal():
    x = normal(3000, 1, pairs=2, width=1.4)
    first = x.isel(parameter=0)
    weight = -0.5 * first**2 + 0.5 * (first / 1.4) ** 2
    plain = c2st(normal(2000, 0, pairs=2), x, judge=QUICK)
    weighted = c2st(normal(2000, 0, pairs=2), x, log_weight=weight, judge=QUICK)
    assert float(plain["accuracy"].mean()) > 0.56
    assert float(weighted["accuracy"].mean()) < 0.51
    assert (weighted["error"] > plain["error"]).all()


def test_units_and_a_common_narrow_direction_do_not_matter():
    a, b = normal(800, 0, pairs=2), normal(800, 1, pairs=2, shift=0.5)
    turn = np.array([[1.0, 1.0, 0.0], [0.0, 1e-4, 0.0], [0.0, 0.0, 1e6]])
    turned = [array(x.values @ turn + 5.0, "pair", "draw", "parameter") for x in (a, b)]
    first, second = (c2st(*both, judge=QUICK)["accuracy"] for both in ((a, b), turned))
    assert first.values == pytest.approx(second.values, abs=0.03)


def test_c2st_is_reproducible_labelled_and_leaves_global_randomness_alone():
    a = normal(300, 0, pairs=2).assign_coords(pair=["x", "y"])
    state = torch.random.get_rng_state()
    one, again, other = (
        c2st(a, normal(300, 1, pairs=1)[0], seed=s, judge=QUICK) for s in (1, 1, 2)
    )
    assert one.identical(again)
    assert not one.equals(other)
    assert list(one["pair"].values) == ["x", "y"]
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (normal(99, 0), normal(300, 1), "first holds 99 draws; a classifier needs 100"),
        (normal(300, 0), normal(300, 1) * np.nan, "second holds values that are not finite"),
        (normal(300, 0), normal(300, 0).rename(parameter="x"), "no dimension 'parameter'"),
        (normal(300, 0), normal(300, 0)[..., :2], "not of the same parameters"),
    ],
)
def test_samples_that_cannot_be_compared(first, second, message):
    with pytest.raises(LabelError, match=message):
        c2st(first, second)


def test_one_draw_with_all_the_weight_is_not_to_be_trusted():
    weights = np.array([0.0] + [-1000.0] * 1999)
    assert pareto_k(weights) == np.inf
    assert pareto_k(np.zeros(2000)) == 0
