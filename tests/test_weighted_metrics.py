"""Metrics, histograms, rivals of events with weights: repetition, signs, what chance gives."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from dashboards.pages.events.rivals import Rivals

from event_toys import events_of
from presage.analysis import distances
from presage.analysis import weighted_distances as weighted
from presage.analysis.compare import compare
from presage.analysis.histogram_morphing import histogram_morphing
from presage.analysis.histograms import adaptive_edges, histogram
from presage.analysis.labelled import group
from presage.analysis.metrics import METRICS
from presage.analysis.morphing import Templates, moment_morphing
from presage.analysis.pull_histogram import pull_histogram
from presage.analysis.residuals import Residuals
from presage.labels import LabelError
from presage.transforms.cells import drawn_by_weight, without_negative

SIZE, LABELS = 3000, 40


def with_weights(events: xr.Dataset, weights: np.ndarray) -> xr.Dataset:
    return events.assign(w=("event", weights, {"role": "weight"}))


def columns(labels: int, n: int, seed: int) -> xr.Dataset:
    """Many labels with one and the same distribution of two dependent masses."""
    rng = np.random.default_rng(seed)
    a = rng.standard_normal(labels * n) - rng.exponential(1, labels * n)
    x = np.repeat(np.arange(labels, dtype=float), n)
    return events_of({"x": x, "a": a, "b": 0.5 * a + rng.standard_normal(labels * n)}, ("x",))


def repeated(events: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Events with whole weights, and the same events so many times."""
    counts = np.random.default_rng(1).integers(0, 4, events.sizes["event"])
    return with_weights(events, counts.astype("f4")), events.isel(
        event=np.repeat(np.arange(len(counts)), counts)
    )


# Whole weights are repetitions


def test_of_histograms() -> None:
    with_them, again = repeated(columns(3, 400, 0))
    edges = adaptive_edges(with_them, 12)
    found, wanted = histogram(with_them, edges), histogram(again, edges)
    for name in ("counts", "underflow", "overflow", "counts_2d"):
        np.testing.assert_array_equal(found[name], wanted[name])
    np.testing.assert_array_equal(found["sum_of_weights"], wanted["events"])
    squares = np.add.reduceat(group(with_them).weights ** 2, group(with_them).starts[:-1])
    whole = [found[f"{n}_variance"] for n in ("counts", "underflow", "overflow")]
    np.testing.assert_allclose((whole[0].sum("bin") + whole[1] + whole[2])[:, 0], squares)


def test_of_distances() -> None:
    rng = np.random.default_rng(2)
    a, b = np.sort(rng.normal(size=300)), np.sort(rng.normal(0.2, 1.1, 170))
    counts = rng.integers(1, 5, 300), rng.integers(1, 5, 170)
    again = [np.repeat(x, n) for x, n in zip((a, b), counts, strict=True)]
    own = [n.astype(float) for n in counts]
    for name in ("wasserstein", "kolmogorov", "beyond_range"):
        found = getattr(weighted, name)(a, b, *own)
        assert found == pytest.approx(getattr(distances, name)(*again), rel=1e-12), name
    means, width = weighted.moments(a, own[0])
    assert (means, width) == pytest.approx((again[0].mean(), again[0].std()))
    ones = np.ones(300)
    assert weighted.worth(a, 3.0 * ones) == pytest.approx(300)


def test_of_templates_and_of_what_is_drawn_from_them() -> None:
    with_them, again = repeated(columns(3, 4000, 3))
    np.testing.assert_allclose(Templates.of(with_them).moments, Templates.of(again).moments)
    for morphing in (moment_morphing, histogram_morphing):
        drawn = [morphing(train, [(0.5,)], 20_000) for train in (with_them, again)]
        assert "w" not in drawn[0]
        gap = distances.wasserstein(*(np.sort(d["a"].values) for d in drawn))
        assert gap < 0.02 * float(drawn[0]["a"].std())


def test_equal_weights_are_none() -> None:
    events, other = columns(4, 500, 4), columns(4, 300, 5)
    plain = compare(events, {"flow": other}, classifier=False)
    found = compare(with_weights(events, np.full(2000, 7.0)), {"flow": other}, classifier=False)
    np.testing.assert_allclose(found["events"], plain["events"], rtol=1e-6)
    edges = plain["edges"].rename("edges")
    bins = histogram(with_weights(events, np.full(2000, 7.0)), edges)
    np.testing.assert_allclose(bins["counts"], 7 * histogram(events, edges)["counts"])
    for name in ("w1_over_std", "ks"):
        np.testing.assert_allclose(
            found[name].sel(source="flow"), plain[name].sel(source="flow"), rtol=1e-9
        )


# Chance


def lognormal(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.exp(0.6 * rng.standard_normal(len(x)))


def signs(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.random(len(x)) < 0.2, -1.0, 1.0)


def signs_in_the_tail(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Weights of mean 1 at each x, of which the more are negative the further x is out."""
    share = np.clip(0.1 - 0.08 * x, 0.05, 0.35)
    return np.where(rng.random(len(x)) < share, -1.0, 1.0) / (1 - 2 * share)


@pytest.fixture(scope="module", params=[lognormal, signs, signs_in_the_tail])
def by_chance(request: pytest.FixtureRequest) -> xr.Dataset:
    """Weights that are 1 on average, so that the law of the events is the unweighted one."""
    reference, other = columns(LABELS, SIZE, 6), columns(LABELS, 2000, 7)
    rng = np.random.default_rng(8)
    weights = request.param(reference["a"].values, rng)
    # So few bins that the outermost ones hold events enough.
    return compare(with_weights(reference, weights), {"flow": other}, bins=8, classifier=False)


@pytest.mark.parametrize("metric", [n for n in METRICS if n[:3] not in ("auc", "equ")])
def test_the_law_is_the_average_over_chance(by_chance: xr.Dataset, metric: str) -> None:
    found, law = (abs(by_chance[metric].sel(source=s)) for s in ("flow", "floor"))
    others = [dim for dim in found.dims if dim not in ("variable", "pair")]
    error = found.std(others) / np.sqrt(LABELS)
    gap = abs(found.mean(others) - law.mean(others))
    assert (gap < 4 * error + 0.12 * law.mean(others)).all(), (found.mean(others), law.mean(others))


def test_pulls_are_unit_normal(by_chance: xr.Dataset) -> None:
    found = pull_histogram(by_chance, "flow")
    assert (abs(found["mean"]) < 4 * found["mean_by_chance"]).all()
    gap = abs(found["width"] - found["width_by_chance"])
    assert (gap < 4 * found["width_scatter"]).all()
    assert int(found["pulls"].sum()) == int(by_chance["bin_few"].sel(source="flow").size) - int(
        by_chance["bin_few"].sel(source="flow").sum()
    )


def test_pulls_of_few_events_lean_to_no_side() -> None:
    reference, other = columns(150, 600, 20), columns(150, 6000, 21)
    rng = np.random.default_rng(22)
    weights = signs(reference["a"].values, rng) * rng.uniform(0.7, 1.3, len(reference["a"]))
    product = compare(with_weights(reference, weights), {"flow": other}, bins=12, classifier=False)
    found = pull_histogram(product)
    assert (abs(found["mean"]) < 0.1).all()
    assert (abs(found["width"] - found["width_by_chance"]) < 0.1).all()


def test_half_of_all_samples_reach_their_size(by_chance: xr.Dataset) -> None:
    values = by_chance["equivalent_events"].sel(source="flow")
    cap = by_chance["equivalent_events"].sel(source="floor")
    assert 0.3 < float((values >= cap * (1 - 1e-9)).mean()) < 0.7


def test_a_classifier_sees_no_difference_where_there_is_none() -> None:
    reference, other = columns(2, 6000, 9), columns(2, 4000, 10)
    weights = signs_in_the_tail(reference["a"].values, np.random.default_rng(0))
    found = compare(with_weights(reference, weights), {"flow": other}).sel(source="flow")
    assert (abs(found["auc"] - 0.5) < 4 * found["auc_error"]).all()
    unweighted = compare(reference, {"flow": other}).sel(source="flow")
    assert (found["auc_error"] > unweighted["auc_error"]).all()  # they are worth fewer events


def test_a_weighted_product_is_shown(by_chance: xr.Dataset) -> None:
    shown = Residuals(by_chance)
    assert "simulated events a label" in shown.verdict()
    assert set(shown.summary().index.get_level_values(0)) <= set(METRICS)
    for page in (shown.figure(0), shown.marginals(0), shown.pulls()):
        assert page.axes


def test_live_rivals_are_drawn_by_weight() -> None:
    """Of 4000 events, a quarter of which are subtracted, a quarter is left in worth."""
    events = columns(3, 4000, 15)
    signs = np.where(np.random.default_rng(16).random(12_000) < 0.25, -1.0, 1.0)
    beside = events.assign(a=events["a"] + np.where(signs < 0, 3.0, 0.0))
    rivals = Rivals(Templates.of(with_weights(beside, np.where(signs < 0, 0.0, 1.0))))
    _, nearest = rivals.nearest(np.array([0.1]))
    assert abs(nearest[:, 0].mean() - float(events["a"].mean())) < 0.15  # none from beside
    signed = Rivals(Templates.of(with_weights(events, signs)))
    assert 850 < len(signed.nearest(np.array([0.0]))[1]) < 1150
    assert 1700 < len(signed.morphing(np.array([0.5]))) < 2300


# Negative weights


def test_cells_keep_the_sum_and_leave_none_negative() -> None:
    rng = np.random.default_rng(11)
    events = rng.normal(size=(3000, 2))
    weights = signs(events[:, 0], rng)
    found = without_negative(weights, events)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(weights.sum())
    mean = [np.average(events[:, 0], weights=w) for w in (found, weights)]
    assert abs(mean[0] - mean[1]) < 0.01
    positive = np.abs(weights)
    assert without_negative(positive, events) is positive


def test_drawing_by_weight_is_fair() -> None:
    weights = np.array([0.0, 1.0, 2.0, 1.0, 4.0])
    assert np.bincount(drawn_by_weight(weights, 8), minlength=5).tolist() == [0, 1, 2, 1, 4]
    assert drawn_by_weight(np.full(6, 0.3), 6).tolist() == list(range(6))


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        (np.array([1.0, -1.0]), r"x=1 are more negative than positive \(their sum is -300\)"),
        (np.array([1.0, 0.0]), r"the weights of the 300 events at x=1 are all zero"),
    ],
)
def test_a_label_that_counts_nothing_is_named(factor: np.ndarray, message: str) -> None:
    events = with_weights(columns(2, 300, 12), np.repeat(factor, 300))
    with pytest.raises(LabelError, match=message):
        moment_morphing(events, [(0.5,)], 10)


def test_too_few_effective_events_are_refused() -> None:
    weights = np.tile(np.r_[1000.0, np.ones(199)], 2)
    with pytest.raises(LabelError, match=r"has 1\.\d+ effective events"):
        compare(with_weights(columns(2, 200, 13), weights), {"flow": columns(2, 200, 14)})
