"""Histograms, measures and figures of whole numbers."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from presage.analysis.compare import compare
from presage.analysis.histograms import adaptive_edges, histogram
from presage.analysis.morphing import moment_morphing
from presage.analysis.residuals import Residuals
from presage.labels import Parameter, Variable


def counts(mean: float, seed: int, n: int = 4000) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    label = np.repeat([1.0, 2.0, 3.0], n)
    declared = Variable("n", dtype="int32", lower=0).attributes()
    return xr.Dataset(
        {
            "m": ("event", label, Parameter("m", dtype="float64").attributes()),
            "n": ("event", rng.poisson(mean * label).astype("i4"), declared),
        },
        attrs={"presage_sample": "event"},
    )


@pytest.mark.parametrize(("mean", "bins"), [(2.0, 40), (2.0, 5), (500.0, 40)])
def test_bins_lie_about_whole_numbers(mean, bins):
    events = counts(mean, 0)
    edges = adaptive_edges(events, bins)
    assert np.array_equal(edges % 1, np.full(edges.shape, 0.5))
    width = edges.diff("edge")
    assert (width == width.isel(edge=0)).all()
    counted = histogram(events, edges)
    outside = (counted["underflow"] + counted["overflow"]) / counted["events"]
    assert float(outside.max()) < 0.011
    if mean == 2.0 and bins == 40:
        own = events["n"].values[events["m"] == 2.0]
        first = int(edges[1, 0, 0] + 0.5)
        expected = np.bincount(own, minlength=60)[first : first + bins]
        assert np.array_equal(counted["counts"][1, 0], expected)


def test_counts_are_compared_and_drawn():
    truth, floor, other = (counts(4.0, seed) for seed in range(3))
    product = compare(truth, {"flow": other}, floor=floor, classifier=False, bins=60)
    assert float(product["w1_over_std"].sel(source="flow").max()) < 0.08
    figure = Residuals(product).marginals(label=0)
    low, high = figure.axes[0].get_xlim()
    assert (low + 0.5) % 1 == 0
    assert high < 20


def test_the_classical_rival_draws_whole_numbers():
    drawn = moment_morphing(counts(4.0, 0), [(1.5,)], 500, 0)
    assert drawn["n"].dtype == "int32"
    assert float(drawn["n"].mean()) == pytest.approx(6.0, abs=0.5)
