"""A calibrated posterior passes as often as it should; wrong ones fail where they should.

The toy has an exact posterior: theta ~ N(0, 1), x = theta + noise of width 0.5.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from presage.analysis.calibration import calibration, coverage
from presage.analysis.ranking import places, ranks
from presage.analysis.tarp import tarp
from presage.analysis.uniformity import ecdf_bands, uniformity
from presage.labels import LabelError

NAMES = {"parameter": ["first", "second", "third"]}
NOISE = 0.5


def toy(seed, observations=400, draws=99, *, width=1.0, shift=0.0, prior=False):
    """Return truth and draws of theta and of the log-likelihood."""
    rng = np.random.default_rng(seed)
    theta = rng.standard_normal((observations, 3))
    x = theta + NOISE * rng.standard_normal(theta.shape)
    precision = 1 + 1 / NOISE**2
    z = rng.standard_normal((observations, draws, 3))
    drawn = (x / NOISE**2 / precision)[:, None] + (shift + width * z) / math.sqrt(precision)
    drawn = z if prior else drawn
    fit = [-0.5 * ((t - y) ** 2).sum(-1) / NOISE**2 for t, y in ((theta, x), (drawn, x[:, None]))]
    truth = {
        "theta": xr.DataArray(theta, dims=("observation", "parameter"), coords=NAMES),
        "log_likelihood": xr.DataArray(fit[0], dims="observation"),
    }
    sample = {
        "theta": xr.DataArray(drawn, dims=("observation", "draw", "parameter"), coords=NAMES),
        "log_likelihood": xr.DataArray(fit[1], dims=("observation", "draw")),
    }
    return truth, sample


def verdicts(**wrong):
    """Return the share of 8 trials in which each quantity is found calibrated."""
    found = [calibration(*toy(seed, **wrong))["calibrated"].values for seed in range(8)]
    return np.mean(found, axis=0)


def test_a_calibrated_posterior_passes():
    found = [calibration(*toy(s), upper=["log_likelihood"])["calibrated"] for s in range(60)]
    # All four quantities pass in 95 of 100 trials, or more: binomial limits are whole numbers.
    passed = np.mean([bool(one.all()) for one in found])
    assert passed > 0.95 - 3 * math.sqrt(0.05 * 0.95 / 60)


@pytest.mark.parametrize("wrong", [{"width": 0.6}, {"width": 1.7}, {"shift": 0.5}])
def test_a_posterior_too_narrow_too_wide_or_shifted_fails_in_every_parameter(wrong):
    assert (verdicts(**wrong)[:3] < 0.2).all()


def test_a_posterior_that_equals_the_prior_fails_in_the_likelihood_alone():
    passed = verdicts(prior=True)
    assert (passed[:3] > 0.8).all()
    assert passed[3] == 0


def test_ranks_are_uniform_whole_numbers_under_the_names_of_the_quantities():
    found = ranks(*toy(0, observations=20_000, draws=9))
    assert list(found["quantity"].values) == ["first", "second", "third", "log_likelihood"]
    assert found.attrs["draw_count"] == 9
    for column in found.transpose("quantity", ...).values:
        counts = np.bincount(column, minlength=10)
        assert len(counts) == 10
        assert ((counts - 2000) ** 2 / 2000).sum() < 32  # chi² of 9, p = 2e-4


def test_ties_are_broken_at_random():
    steps = np.random.default_rng(0).integers(0, 3, size=(9000, 10)).astype(float)
    truth = xr.DataArray(steps[:, 0], dims="observation", name="steps")
    draws = xr.DataArray(steps[:, 1:], dims=("observation", "draw"))
    found = ranks(truth, draws)
    assert list(found["quantity"].values) == ["steps"]
    counts = np.bincount(found.values[:, 0], minlength=10)
    assert ((counts - 900) ** 2 / 900).sum() < 32


def test_the_bands_hold_uniform_numbers_as_often_as_they_say():
    for count in (50, 1000):
        bands = ecdf_bands(count, 0.9)
        numbers = np.sort(np.random.default_rng(count).random((4000, count)), axis=1)
        below = np.stack([(numbers < z).mean(axis=1) for z in bands["fraction"].values], axis=1)
        low, high = bands["ecdf_low"].values, bands["ecdf_high"].values
        inside = ((below >= low - 1e-12) & (below <= high + 1e-12)).all(axis=1).mean()
        assert inside == pytest.approx(0.9, abs=0.02), count


def test_uniformity_gives_uniform_p_values_and_agrees_with_the_bands():
    values = np.random.default_rng(3).random((300, 800))
    place = xr.DataArray(values, dims=("observation", "quantity"))
    place = place.assign_coords(quantity=[f"q{i}" for i in range(800)])
    p = uniformity(place).values
    assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.025)
    assert (p < 0.5).mean() == pytest.approx(0.5, abs=0.06)


@settings(max_examples=15)
@given(st.integers(1, 300), st.sampled_from([0.5, 0.9, 0.99]))
def test_bands_begin_at_0_end_at_1_and_rise(count, level):
    bands = ecdf_bands(count, level, points=20)
    for name in ("ecdf_low", "ecdf_high"):
        edge = bands[name].values
        assert (edge[0], edge[-1]) == (0.0, 1.0)
        assert (np.diff(edge) >= 0).all()
    assert (bands["ecdf_low"] <= bands["ecdf_high"]).all()


def test_coverage_counts_central_and_uppermost_values():
    values = np.array([[0.02, 0.02], [0.3, 0.3], [0.5, 0.5], [0.7, 0.7], [0.99, 0.99]])
    place = xr.DataArray(
        values, dims=("observation", "quantity"), coords={"quantity": ["a", "density"]}
    )
    found = coverage(place, (0.5, 0.95), upper=["density"])
    assert found["coverage"].values.tolist() == [[0.6, 0.6], [0.6, 0.8]]
    assert found["coverage_error"].values[0] == pytest.approx([0.5 / 5**0.5, 0.2179 / 5**0.5], 1e-3)


def test_limits_of_coverage_widen_with_the_number_of_tests():
    def limits(quantities, count=1000):
        place = xr.DataArray(np.full((count, quantities), 0.5), dims=("observation", "quantity"))
        found = coverage(place.assign_coords(quantity=np.arange(quantities)), (0.68,))
        return float(found["coverage_low"][0, 0]), float(found["coverage_high"][0, 0])

    assert limits(1) == pytest.approx((0.651, 0.709), abs=0.002)  # 1.96 √(pq / 1000)
    assert limits(50) == pytest.approx((0.631, 0.727), abs=0.003)  # 3.28 of them


BOX = [xr.DataArray([edge] * 3, dims="parameter", coords=NAMES) for edge in (-4.0, 4.0)]


def test_tarp_passes_a_calibrated_posterior_at_its_rate_and_fails_a_narrow_one():
    kept = []
    for seed in range(60):
        truth, draws = toy(seed, observations=200, draws=60)
        found = tarp(truth["theta"], draws["theta"], *BOX, seed=seed)
        kept.append(bool(found["tarp_distance"] <= found["tarp_bound"]))
    assert np.mean(kept) > 0.95 - 3 * math.sqrt(0.05 * 0.95 / 60)
    truth, draws = toy(0, observations=1000, width=0.6)
    found = tarp(truth["theta"], draws["theta"], *BOX)
    assert float(found["tarp_bound"]) == pytest.approx(0.043, abs=5e-4)
    assert float(found["tarp_distance"]) > 0.1
    assert float(found["expected_coverage"][-1]) == 1.0


def test_places_are_inside_and_follow_the_ranks():
    rank = ranks(*toy(0, observations=50))
    place = places(rank)
    assert ((place > 0) & (place < 1)).all()
    assert (np.floor(place * 100) == rank).all()


TRUTH, DRAWS = toy(0, observations=5)


@pytest.mark.parametrize(
    ("truth", "draws", "message"),
    [
        (TRUTH, {"theta": DRAWS["theta"]}, "truth has theta, log_likelihood; draws have theta"),
        (TRUTH["theta"], DRAWS["theta"].isel(draw=0), "draws with 'draw' besides"),
        (TRUTH["theta"] * np.nan, DRAWS["theta"], "the quantity holds NaN"),
        (
            TRUTH["theta"].assign_coords(parameter=["a", "b", "c"]),
            DRAWS["theta"],
            "not of the same labels",
        ),
        (
            TRUTH,
            {**DRAWS, "theta": DRAWS["theta"].isel(draw=slice(5))},
            r"different numbers of draws: \[5, 99\]",
        ),
        (
            {"a": TRUTH["theta"], "b": TRUTH["theta"]},
            {"a": DRAWS["theta"], "b": DRAWS["theta"]},
            "two quantities have the same name",
        ),
    ],
)
def test_ranks_of_what_does_not_belong_together(truth, draws, message):
    with pytest.raises(LabelError, match=message):
        ranks(truth, draws)


def test_ranks_without_their_number_of_draws():
    with pytest.raises(LabelError, match="draw_count"):
        places(ranks(TRUTH, DRAWS).drop_attrs())
