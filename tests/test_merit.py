from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from event_toys import events_of, gaussian_events, grid
from presage.analysis import laws, merit
from presage.analysis.binned import binned, binned_chance
from presage.analysis.compare import compare
from presage.analysis.histograms import adaptive_edges, histogram
from presage.analysis.metrics import METRICS, measure
from presage.analysis.pull_histogram import pull_histogram
from presage.analysis.residuals import Residuals
from presage.analysis.samples import Sample
from presage.labels import LabelError

LABELS = grid(3, 2)
UNBINNED = [name for name, metric in METRICS.items() if metric.of is not None]
BINNED = [n for n in METRICS if n not in UNBINNED and not n.startswith("auc")]


def normal(rng, n):
    return rng.standard_normal(n)


def skew(rng, n):
    return np.exp(0.5 * rng.standard_normal(n))


def resonance(rng, n):
    """A narrow peak with a long tail to the left and a plateau, as a reconstructed mass has."""
    tail = rng.exponential(3, n) * (rng.random(n) < 0.3)
    return np.where(rng.random(n) < 0.08, rng.gamma(2, 4, n) - 25, rng.standard_normal(n) - tail)


SHAPES = [normal, skew, resonance]


def columns(shape, labels, n, seed, shift=0.0):
    """Many labels with one and the same distribution of two dependent masses."""
    rng = np.random.default_rng(seed)
    x = np.repeat(np.arange(labels, dtype=float), n)
    a = shape(rng, labels * n) + shift
    return events_of({"x": x, "a": a, "b": 0.5 * a + shape(rng, labels * n)}, labels=("x",))


# The floor


@pytest.fixture(scope="module", params=SHAPES, ids=lambda shape: shape.__name__)
def by_chance(request):
    reference, other = (columns(request.param, 80, n, s) for s, n in enumerate((4000, 2500)))
    return compare(reference, {"flow": other}, classifier=False)


@pytest.mark.parametrize("metric", [n for n in METRICS if n[:3] not in ("auc", "equ")])
def test_the_law_is_the_average_over_chance(by_chance, metric):
    found, law = (abs(by_chance[metric].sel(source=s)) for s in ("flow", "floor"))
    others = [dim for dim in found.dims if dim != "variable"]
    error = found.std(others) / np.sqrt(80)
    gap = abs(found.mean(others) - law.mean(others))
    assert (gap < 4 * error + 0.08 * law.mean(others)).all()


def test_of_mean_relative_bin_differences_it_is_known_in_closed_form():
    n, bins = 20_000, 40
    even = columns(lambda rng, k: rng.random(k), 30, n, 1)
    found = compare(even, {"flow": columns(lambda rng, k: rng.random(k), 30, n, 2)},
                    classifier=False).sel(variable="a")  # fmt: skip
    expected = 1.13 * np.sqrt(bins / n)
    for source in ("floor", "flow"):
        value = float(found["bin_difference"].sel(source=source).mean())
        assert value == pytest.approx(expected, rel=0.03)


def test_residuals_find_a_known_density_error_below_the_noise_of_bins():
    rng = np.random.default_rng(0)

    def wavy(rng, n, size):
        x = rng.random(2 * n)
        return x[rng.random(2 * n) < (1 + size * np.sin(2 * np.pi * x)) / 2][: n * 4 // 5]

    size, n = 0.04, 400_000
    events = [wavy(rng, n, s) for s in (0.0, size)]
    reference, other = (events_of({"x": np.zeros(len(e)), "m": e}, labels=("x",)) for e in events)
    found = merit.figures_of_merit(reference, other).isel(label=0, variable=0)
    residual = found["bin_residual"].sel(source=["events", "floor"])
    assert residual[0] == pytest.approx(size / np.sqrt(2), rel=0.12)
    assert residual[1] < 0.2 * residual[0]
    assert found["bin_difference"].sel(source="events") > found["bin_difference"][1]


def test_nearly_empty_bins_leave_the_residuals_without_bias():
    def sample(n, seed):
        return columns(lambda rng, k: rng.standard_t(2, k), 300, n, seed)

    reference, other = sample(200, 1), sample(120, 2)
    edges = adaptive_edges(reference, 60)
    r, g = (histogram(events, edges) for events in (reference, other))
    found, law = binned(r, g), binned_chance(r, g["events"])
    positive = float((found["bin_residual"] > 0).mean())
    assert 0.38 < positive < 0.52  # a χ² is above its mean in less than half of all cases
    ratio = found["bin_residual"].mean() / law["bin_residual"].mean()
    assert float(ratio) == pytest.approx(1, abs=0.15)


def test_no_chi_squared_is_negative_where_noise_is_taken_off():
    reference, other = (columns(normal, 60, 300, s) for s in (1, 2))
    name = "chi2_per_ndf_10k"
    found = merit.figures_of_merit(reference, other, [name])[name].sel(source="events")
    assert float(found.min()) == 1
    assert 0.3 < float((found == 1).mean()) < 0.7  # half of all samples have no excess


# Monte-Carlo-equivalent size


@pytest.mark.parametrize("n", [1000, 8000])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_simulated_sample_is_worth_its_own_size(shape, n):
    m, repeats = 60_000, 60
    rng = np.random.default_rng(5)
    found = {name: [] for name in ("equivalent_events", "equivalent_events_cdf")}
    truths = [Sample(shape(rng, (m, 1))) for _ in range(4)]
    for i in range(repeats):
        sample = shape(rng, (n, 1))
        again = Sample(np.concatenate([sample] * 8))  # as large as wanted: the cap is far away
        for name, values in measure(truths[i % 4], again, {n: METRICS[n] for n in found}).items():
            found[name].append(values[0])
    for sizes in found.values():
        # Its scatter is a factor of about 2, so that of the median 1.25 ln 2 / √repeats.
        assert abs(np.log(np.median(sizes) / n)) < 4 * 1.25 * np.log(2) / np.sqrt(repeats)
        assert 1.3 < np.quantile(sizes, 0.84) / np.median(sizes) < 3.5


def test_the_cap_is_the_smaller_sample_and_half_of_all_reach_it(by_chance):
    for name in ("equivalent_events", "equivalent_events_cdf"):
        values = by_chance[name].sel(source="flow").values
        assert values.max() == 2500
        assert 0.35 < (values == 2500).mean() < 0.65
        assert (by_chance[name].sel(source="floor") == 2500).all()
    assert laws.equivalent_size(0.0, 9000, 500) == 500
    assert laws.equivalent_size(1e9, 500, 500) == 1


@pytest.mark.parametrize("shape", SHAPES)
def test_bridges_give_the_mean_that_is_known_and_quantiles_around_it(shape):
    x = np.sort(shape(np.random.default_rng(1), 50_000))
    draws = laws.wasserstein_law(x)
    assert draws.mean() == pytest.approx(laws.wasserstein_constant(x))
    _, bridges = laws._bridges()
    assert bridges.mean(axis=0).max() == pytest.approx(laws.HALF_NORMAL / 2, rel=0.03)
    assert 0.85 < laws.typical_wasserstein(x) / draws.mean() < 0.97


def test_sizes_are_summed_up_by_source_and_region():
    labels = grid(4, 3)
    found = compare(
        gaussian_events(labels, 4000, seed=1),
        {"flow": gaussian_events(labels, 4000, seed=2, shift=0.05)},
        held_out_labels=[(1.0, 1.0), (2.0, 1.0), (0.0, 0.0)],
        trained_labels=labels,
        classifier=False,
    )
    table = Residuals(found).equivalent()
    assert list(table.index.get_level_values("region")) == ["edge", "interior", "all"] * 2
    flow, floor = (table.loc[(source, "all"), "W1"] for source in ("flow", "floor"))
    assert floor.tolist() == [4000] * 4
    assert flow["worst"] <= flow["16 %"] <= flow["median"] <= flow["84 %"] < 4000
    assert "simulated events a label (median, " in Residuals(found).verdict()
    assert "at least" not in Residuals(found).verdict()
    same = found.assign(equivalent_events=found["equivalent_events"] * 0 + 4000)
    assert "is worth at least 4 000 simulated events" in Residuals(same).verdict()
    assert "in CDF error" in Residuals(found).verdict()


# Pulls


def test_pulls_of_chance_fill_the_unit_normal_with_the_scatter_that_is_told(by_chance):
    found = pull_histogram(by_chance)
    assert (found["pulls"].sum("pull") == found["expected"].sum("pull").round()).all()
    assert (abs(found["mean"]) < 4 * found["mean_by_chance"]).all()
    assert (abs(found["width"] - found["width_by_chance"]) < 4 * found["width_scatter"]).all()
    per_label = by_chance["pull_width"].sel(source="flow").std("label")
    # 80 labels together scatter √80 times less than one does
    ratio = per_label / (found["width_scatter"] * np.sqrt(80))
    assert ((ratio > 0.7) & (ratio < 1.4)).all()


def test_pulls_of_an_error_are_wider_and_low_counts_are_left_out():
    reference, other = columns(normal, 5, 4000, 1), columns(normal, 5, 4000, 2, shift=0.2)
    found = merit.pulls(reference, other)
    wide = found["width"] - found["width_by_chance"]
    assert (wide.sel(variable="a") > 10 * found["width_scatter"].sel(variable="a")).all()
    assert 5 * 36 <= int(found["pulls"].sel(variable="a").sum()) <= 5 * 40
    assert int(merit.pulls(*(columns(normal, 5, 60, s) for s in (1, 2)))["pulls"].sum()) == 0
    assert found["pull_width"].dims == ("source", "label", "variable")


# One function each


def by_name(*names):
    return lambda *data, **settings: merit.figures_of_merit(*data, names, **settings)


FUNCTIONS = {
    "each metric": (
        merit.figures_of_merit,
        {n: m.dims for n, m in METRICS.items() if n not in ("auc", "auc_error")},
    ),
    "the classifier": (by_name("auc", "auc_error"), {"auc": (), "auc_error": ()}),
    "bounds": (merit.beyond_bounds, {"below_bound": ("variable",), "above_bound": ("variable",)}),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_takes_and_returns_labelled_datasets(name):
    function, dims_of = FUNCTIONS[name]
    labels = LABELS[: 1 if name == "the classifier" else 2]  # training takes time
    reference, other, second = (gaussian_events(labels, 250, seed=s) for s in (1, 2, 3))
    found = function(reference, other)
    assert set(found.data_vars) == set(dims_of)
    for name, dims in dims_of.items():
        assert found[name].dims == ("source", "label", *dims)
        assert found[name].attrs["units"] == "1"
        assert len(found[name].attrs["long_name"]) > 10
    assert list(found["source"].values) == ["events", "floor"]
    assert found["omega_label"].attrs["units"] == "GeV"
    assert found.attrs["floor"] == "law"
    measured = function(reference, other, floor=second)
    assert measured.attrs["floor"] == "measured"
    swapped = function(reference, second, floor=other)
    for name in dims_of:
        np.testing.assert_array_equal(measured[name][0], found[name][0])
        np.testing.assert_array_equal(measured[name][1], swapped[name][0])


def test_a_function_gives_what_the_whole_comparison_gives(by_chance):
    events = gaussian_events(LABELS, 300, seed=1), gaussian_events(LABELS, 200, seed=2)
    whole = compare(events[0], {"flow": events[1]}, classifier=False)
    alone = merit.figures_of_merit(*events)
    for name in alone.data_vars:
        np.testing.assert_array_equal(alone[name][0], whole[name].sel(source="flow"))


def test_shares_beyond_a_bound_are_those_of_the_events():
    reference = gaussian_events([(0.0, 2.0)], 500)
    events = gaussian_events([(0.0, 2.0)], 200, seed=1)
    reference["omega_mass"].attrs["valid_lower"] = 0.0
    events["omega_mass"][:5] = -0.1
    found = merit.beyond_bounds(reference, events)["below_bound"].sel(variable="omega_mass")
    np.testing.assert_allclose(found, [[5 / 200], [0.0]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a, b: merit.figures_of_merit(a, b, ["w1_over_st"]), "did you mean 'w1_over_std'"),
        (lambda a, b: merit.figures_of_merit(a, b, "k"), "no metric 'k'"),
        (lambda a, b: merit.figures_of_merit(a, b, minimum=101), "at least 101 are needed"),
        (lambda a, b: merit.figures_of_merit(a, b.drop_vars("phi_mass")), "no variable 'phi_mass'"),
        (lambda a, b: merit.pulls(a, b.isel(event=slice(100))), "no events at"),
        (lambda a, b: pull_histogram(compare(a, {"f": b}, classifier=False), "g"), "no source 'g'"),
        (
            lambda a, b: pull_histogram(compare(a, {"f": b}, classifier=False), "floor"),
            "an expectation, not a sample",
        ),
        (
            lambda a, b: Residuals(compare(a, {"f": b}, trained_labels=a, classifier=False))
            .equivalent(),
            "no label was held out",
        ),
    ],
)  # fmt: skip
def test_wrong_input_is_refused_in_clear_words(call, message):
    events = gaussian_events(LABELS[:2], 100, seed=1), gaussian_events(LABELS[:2], 100, seed=2)
    with pytest.raises(LabelError, match=message):
        call(*events)


def test_constant_variables_have_no_scale_and_no_worth():
    columns = {"x": np.zeros(100), "m": np.ones(100), "k": np.arange(100.0)}
    events = events_of(columns, labels=("x",))
    found = merit.figures_of_merit(events, events).sel(source="events", variable="m")
    for name in ("w1_over_std", "equivalent_events", "equivalent_events_cdf", "mean_shift"):
        assert np.isnan(found[name]).all(), name
    xr.testing.assert_equal(found["ks"], found["ks"] * 0)
