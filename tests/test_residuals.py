from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from event_toys import events_of, gaussian_events, grid, many_dimensional
from presage.analysis import distances
from presage.analysis.histograms import adaptive_edges, histogram
from presage.analysis.judging import against_rivals, best_rival, contests
from presage.analysis.labelled import group, label_table
from presage.analysis.metrics import METRICS, chance, measure
from presage.analysis.residuals import Residuals, compare, residuals
from presage.analysis.samples import Sample
from presage.labels import LabelError
from presage.store import Store

LABELS = grid(3, 2)
PER_VARIABLE = [name for name, m in METRICS.items() if m.dims[:1] == ("variable",)]

sizes = st.integers(1, 40)
values = st.floats(-1e6, 1e6, allow_subnormal=False)


@pytest.fixture(scope="module")
def product():
    return compare(
        gaussian_events(LABELS, 4000, seed=1),
        {"flow": gaussian_events(LABELS, 3000, seed=2, shift=0.05)},
        floor=gaussian_events(LABELS, 2500, seed=3),
        held_out_labels=[(1.0, 1.0), (1.0, 0.0)],
        classifier=False,
    )


# Distances


@given(st.lists(values, min_size=1, max_size=40), st.lists(values, min_size=1, max_size=40))
def test_wasserstein_is_scipys_and_kolmogorov_the_largest_gap(a, b):
    a, b = np.sort(a), np.sort(b)
    close = {"rel": 1e-9, "abs": 1e-9}
    assert distances.wasserstein(a, b) == pytest.approx(wasserstein_distance(a, b), **close)
    assert distances.wasserstein(b, a) == pytest.approx(distances.wasserstein(a, b), **close)
    at = np.concatenate([a, b])
    gaps = np.searchsorted(a, at, "right") / len(a) - np.searchsorted(b, at, "right") / len(b)
    assert distances.kolmogorov(a, b) == pytest.approx(abs(gaps).max(), abs=1e-12)


@given(st.lists(values, min_size=1, max_size=40), values)
def test_wasserstein_of_a_shift_is_the_shift(a, shift):
    a = np.sort(a)
    assert distances.wasserstein(a, a + shift) == pytest.approx(abs(shift), rel=1e-6, abs=1e-6)


def test_repeating_every_event_changes_no_distance():
    rng = np.random.default_rng(0)
    a, b = np.sort(rng.normal(size=300)), np.sort(rng.normal(size=200))
    twice = np.repeat(b, 2)
    assert distances.wasserstein(a, twice) == pytest.approx(distances.wasserstein(a, b))
    assert distances.kolmogorov(a, twice) == pytest.approx(distances.kolmogorov(a, b))


@pytest.mark.parametrize("n", [1000, 16_000])
@pytest.mark.parametrize("draw", ["normal", "exponential", "uniform"])
def test_chance_is_what_two_samples_give(draw, n):
    rng = np.random.default_rng(7)
    truth = Sample(getattr(rng, draw)(size=(100_000, 1)))
    samples = [
        (Sample(getattr(rng, draw)(size=(n, 1))), Sample(getattr(rng, draw)(size=(2 * n, 1))))
        for _ in range(30)
    ]
    found = [measure(b, a) for a, b in samples]
    expected = chance(Sample(truth.events[: 2 * n]), n)
    for name in ("w1_over_std", "w1_over_sigma68", "ks", "mean_shift", "std_shift", "cdf_error"):
        mean = np.mean([np.abs(f[name]).mean() for f in found])
        assert mean == pytest.approx(expected[name].mean(), rel=0.35), name


def test_the_law_of_the_floor_falls_with_the_root_of_the_size():
    x = Sample(np.random.default_rng(0).normal(size=(20_000, 1)))
    small, large = chance(x, 20_000), chance(Sample(np.tile(x.events, (4, 1))), 80_000)
    for name in ("w1_over_std", "ks", "mean_shift", "cdf_error"):
        np.testing.assert_allclose(small[name], 2 * large[name], rtol=0.01)
    assert distances.wasserstein_constant(x.columns[0]) == pytest.approx(1.285, abs=0.02)


# Histograms


def test_counts_are_numpys_whatever_the_order_of_events():
    events = gaussian_events(LABELS, 500, counts=[100, 200, 300, 50, 700, 500])
    shuffled = events.isel(event=np.random.default_rng(0).permutation(events.sizes["event"]))
    edges = adaptive_edges(events, bins=12)
    counted = histogram(shuffled, edges)
    xr.testing.assert_identical(counted, histogram(events, edges.transpose(..., "label")))
    for i, (p, w) in enumerate(LABELS):
        here = events.isel(event=(events.phi_label.values == p) & (events.omega_label.values == w))
        x, y = (here[name].values.astype(float) for name in ("phi_mass", "omega_mass"))
        bins = edges.isel(label=i).sel(variable="phi_mass"), edges.isel(label=i)[1]
        np.testing.assert_array_equal(counted["counts"][i, 0], np.histogram(x, bins[0])[0])
        np.testing.assert_array_equal(counted["counts_2d"][i, 0], np.histogram2d(x, y, bins)[0])
    total = counted["counts"].sum("bin") + counted["underflow"] + counted["overflow"]
    assert (total == counted["events"]).all()


def test_edges_span_the_reference_and_a_constant_has_width():
    events = gaussian_events([(1.0, 2.0)], 1000)
    events["omega_mass"] = events["omega_mass"] * 0 + 3
    edges = adaptive_edges(events, bins=4)
    expected = np.quantile(events["phi_mass"].values, (0.005, 0.995))
    np.testing.assert_allclose(edges.sel(variable="phi_mass")[0, [0, -1]], expected, rtol=1e-6)
    assert (np.diff(edges) > 0).all()
    assert histogram(events, edges)["counts"].sel(variable="omega_mass").sum() == 1000


def test_pulls_of_independent_samples_are_standard_normal():
    labels = grid(10, 10)
    found = compare(
        gaussian_events(labels, 4000, seed=1),
        {"flow": gaussian_events(labels, 2000, seed=2)},
        classifier=False,
    )
    pull = found["bin_pull"].sel(source="flow")
    assert float(pull.std()) == pytest.approx(1.0, abs=0.05)
    assert found["chi2_per_ndf"].sel(source="flow").mean() == pytest.approx(1.0, abs=0.08)


# The product


def test_product_has_the_agreed_layout(product):
    assert list(product["source"].values) == ["reference", "floor", "flow"]
    assert product["counts"].dims == ("source", "label", "variable", "bin")
    assert product["counts_2d"].dims == ("source", "label", "pair", "bin_x", "bin_y")
    assert product["edges"].dims == ("label", "variable", "edge")
    assert product["counts"].dtype == product["counts_2d"].dtype == np.int32
    assert list(product["pair"].values) == ["phi_mass,omega_mass"]
    for name, metric in METRICS.items():
        assert product[name].dims == ("source", "label", *metric.dims)
        assert product[name].dtype == np.float64
        assert product[name].sel(source="reference").isnull().all()
    region = dict(zip(product["label"].values, product["region"].values, strict=True))
    assert set(region.values()) == {"trained", "edge"}
    assert product["phi_label"].attrs["units"] == "GeV"
    outside = product["underflow"] + product["overflow"]
    assert (product["outside"] == outside).all()


def test_metrics_vanish_for_the_same_events():
    events = gaussian_events(LABELS, 1000)
    found = compare(events, {"flow": events}, classifier=False).sel(source="flow")
    for name in ("w1_over_std", "mean_shift", "std_shift", "cdf_error", "ks", "bin_residual"):
        assert float(abs(found[name]).max()) < 1e-12, name
    assert float(found["chi2_per_ndf"].max()) < 1e-20
    assert (found["equivalent_events"] == 1000).all()


def test_order_of_events_labels_and_columns_does_not_matter(product):
    def shuffled(events, seed):
        order = np.random.default_rng(seed).permutation(events.sizes["event"])
        names = list(events.data_vars)[::-1]
        return events.isel(event=order)[names]

    reference = shuffled(gaussian_events(LABELS, 4000, seed=1), 1)
    reference = reference[["phi_label", "omega_label", "phi_mass", "omega_mass"]]
    again = compare(
        reference,
        {"flow": shuffled(gaussian_events(LABELS, 3000, seed=2, shift=0.05), 2)},
        floor=shuffled(gaussian_events(LABELS, 2500, seed=3), 3),
        held_out_labels=[{"omega_label": 1.0, "phi_label": 1.0}, (1.0, 0.0)],
        classifier=False,
    )
    xr.testing.assert_allclose(product, again, rtol=1e-12)


def test_a_shift_is_found_and_beats_the_floor(product):
    shift = product["mean_shift"].sel(source="flow", variable="phi_mass")
    np.testing.assert_allclose(shift, 0.05, atol=0.06)
    assert float(shift.mean()) == pytest.approx(0.05, abs=0.02)
    w1 = product["w1_over_std"].sel(variable="phi_mass").mean("label")
    assert w1.sel(source="flow") > w1.sel(source="floor")


def test_below_bound_counts_events_beyond_the_declared_bound():
    reference = gaussian_events([(0.0, 2.0)], 500)
    candidate = reference.copy(deep=True)
    reference["omega_mass"].attrs["valid_lower"] = 0.0
    candidate["omega_mass"][:7] = -0.1
    found = compare(reference, {"flow": candidate}, classifier=False)
    beyond = found["below_bound"].sel(source="flow", label=0)
    assert beyond.sel(variable="omega_mass") == 7
    assert beyond.sel(variable="phi_mass") == 0


def test_without_a_second_sample_the_floor_is_a_law_and_says_so():
    reference, flow = gaussian_events(LABELS, 3000, seed=1), gaussian_events(LABELS, 2000, seed=2)
    law = compare(reference, {"flow": flow}, classifier=False)
    assert law.attrs["floor"] == "law"
    assert int(law["events"].sel(source="floor").sum()) == 0
    floor = law.sel(source="floor")
    for name in ("w1_over_std", "ks", "cdf_error", "bin_difference", "chi2_per_ndf"):
        measured = abs(law[name].sel(source="flow")).mean()  # flow is from the same distribution
        assert float(floor[name].mean()) == pytest.approx(float(measured), rel=0.4), name


def test_three_labels_and_three_masses_and_one_of_each():
    found = compare(
        many_dimensional(300), {"flow": many_dimensional(200, seed=1)}, classifier=False
    )
    assert list(found["pair"].values) == ["m0,m1", "m0,m2", "m1,m2"]
    assert found.sizes["label"] == 18
    line = events_of({"x": np.repeat([0.0, 1.0], 100), "m": np.arange(200.0)}, labels=("x",))
    found = compare(line, {"flow": line}, classifier=False)
    assert found.sizes["pair"] == 0
    assert Residuals(found).table().shape[0] == 2


def test_labels_in_single_and_double_precision_are_the_same_labels():
    labels = [(0.1, 0.7)]
    found = compare(
        gaussian_events(labels, 100, dtype="float64"),
        {"flow": gaussian_events(labels, 100, dtype="float32")},
        classifier=False,
    )
    assert int(found["events"].sel(source="flow").sum()) == 100


@settings(max_examples=25)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 10))
def test_grouping_keeps_every_event_with_its_label(numbers, seed):
    labels = np.array(numbers, dtype="float32")
    events = events_of(
        {"a": labels, "b": labels[::-1].copy(), "m": np.arange(len(labels))}, labels=("a", "b")
    )
    grouped = group(events)
    assert grouped.sizes.sum() == len(labels)
    for i, (a, b) in enumerate(grouped.table):
        mine = grouped.sample(i)[:, 0].astype(int)
        np.testing.assert_array_equal(labels[mine], a)
        np.testing.assert_array_equal(labels[::-1][mine], b)
    assert (np.lexsort(grouped.table.T[::-1]) == np.arange(len(grouped.table))).all()


@pytest.mark.parametrize(
    "labels",
    [
        [(1.0, 2.0), (3.0, 4.0)],
        [{"w": 2.0, "p": 1.0}, {"p": 3.0, "w": 4.0}],
        {"p": [1.0, 3.0], "w": [2.0, 4.0]},
        xr.Dataset({"p": ("label", [3.0, 1.0, 3.0]), "w": ("label", [4.0, 2.0, 4.0])}),
    ],
)
def test_labels_may_be_given_in_any_shape(labels):
    events = events_of({"p": [1.0], "w": [2.0], "m": [0.0]}, labels=("p", "w"))
    np.testing.assert_array_equal(label_table(labels, group(events).parameters), [[1, 2], [3, 4]])


# Tables and verdicts


def test_table_and_verdict_say_who_wins():
    labels = grid(4, 4)
    held = [(1.0, 1.0), (2.0, 2.0)]
    train = gaussian_events([x for x in labels if x not in held], 2000, seed=5)
    reference = gaussian_events(held, 20_000, seed=6)
    good = residuals(
        gaussian_events(held, 20_000, seed=7), reference, train=train, classifier=False
    )
    table = good.table()
    assert list(table["region"]) == ["interior", "interior"]
    assert "W1/std phi_mass morphing" in table
    assert "W1/std omega_mass floor" in table
    assert "held-out labels" in good.verdict()
    bad = residuals(
        gaussian_events(held, 20_000, seed=7, shift=0.5), reference, train=train, classifier=False
    )
    assert list(bad.table()["against rivals"]) == ["worse", "worse"]
    assert set(bad.table()["best rival"]) <= {"morphing", "histogram_morphing"}
    assert "does not beat" in bad.verdict()
    assert not bad.table()["within 1 %"].any()
    summary = bad.summary()
    assert summary.loc[("w1_over_std", "phi_mass"), ("flow", "worst")] > 0.4


def test_a_model_has_to_beat_the_best_rival_of_each_label(product):
    values = {"floor": [0.01, 0.01], "flow": [0.5, 0.5], "morphing": [0.1, 9], "nearest": [9, 0.1]}
    one = product["w1_over_std"].sel(source="flow")
    w1 = [one * 0 + xr.DataArray(np.resize(v, 6), dims="label") for v in values.values()]
    distance = xr.concat(w1, dim=xr.Variable("source", list(values)), coords="minimal",
                         compat="override")  # fmt: skip
    found = product[["held_out"]].assign(w1_over_std=distance).assign_attrs(product.attrs)
    assert best_rival(found).tolist() == ["morphing", "nearest"] * 3
    assert set(against_rivals(found)) == {"worse"}
    assert against_rivals(found, "morphing").tolist() == ["worse", "better"] * 3
    nobody = product[["held_out", "w1_over_std"]]
    assert set(best_rival(nobody)) == set(against_rivals(nobody)) == {"-"}


def verdict_of(make, rival_shift=0.0, n=20_000):
    """Residuals at one held-out label of a model made by `make`, beside a rival."""

    def events(seed, draw=lambda rng: rng.standard_cauchy(n)):
        return events_of({"x": np.zeros(n), "m": draw(np.random.default_rng(seed))}, labels=("x",))

    rival = events(3, lambda rng: rng.standard_cauchy(n) + rival_shift)
    found = compare(events(1), {"flow": events(2, make), "morphing": rival}, classifier=False)
    return Residuals(found)


def test_what_w1_cannot_see_below_heavy_tails_ks_decides():
    found = verdict_of(lambda rng: rng.standard_cauchy(20_000), rival_shift=0.4)
    assert against_rivals(found.dataset).tolist() == ["better"]
    w1 = contests(found.dataset)["w1_over_std"]
    assert w1.tolist() == [0]
    assert contests(found.dataset)["ks"].tolist() == [1]


def narrowed(x):
    """Return it with half as wide a core below the same tails."""
    return np.where(np.abs(x) < 4, x / 2, x)


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (lambda rng: 20 * rng.standard_cauchy(20_000), "the width of m is 2"),
        (lambda rng: rng.standard_cauchy(20_000) + 9, "m is shifted by"),
        (
            lambda rng: narrowed(rng.standard_cauchy(20_000)),
            "of m below its 84 % quantile is off by +0",
        ),
    ],
)
def test_a_verdict_names_the_cause_and_the_label(make, cause):
    text = verdict_of(make).verdict()
    assert "worse at 1" in text
    assert "Worst at x = 0 GeV: " in text
    assert cause in text


def test_an_unknown_auc_is_not_within_the_bar_and_many_events_are_not_few():
    found = verdict_of(lambda rng: rng.standard_cauchy(20_000))
    assert not found.table()["within 1 %"].any()
    assert "within 1 % at 0 of 1 (AUC not measured at 1)" in found.verdict()
    assert "20 000 reference events a label cannot tell them apart" in found.verdict()


def test_a_few_events_beyond_the_range_are_told_from_chance():
    def with_outliers(rng):
        x = rng.uniform(-1, 1, 20_000)
        x[:8] *= 40
        return x

    def events(seed, make=lambda rng: rng.uniform(-1, 1, 20_000)):
        return events_of({"x": np.zeros(20_000), "m": make(np.random.default_rng(seed))},
                         labels=("x",))  # fmt: skip

    product = compare(
        events(1), {"flow": events(2, with_outliers), "morphing": events(3)}, classifier=False
    )
    share = product["beyond_range"].isel(label=0, variable=0)
    assert share.sel(source="flow") == pytest.approx(10 / 20_000, abs=5 / 20_000)
    assert share.sel(source="floor") == pytest.approx(2 / 20_001)
    text = Residuals(product).verdict()
    assert f"{float(share.sel(source='flow')):.1e} of a variable's events lie beyond" in text
    same = compare(events(1), {"flow": events(2), "morphing": events(3)}, classifier=False)
    assert "lie beyond the reference's range" not in Residuals(same).verdict()


def test_table_knows_when_there_is_no_rival_and_nothing_held_out(product):
    assert "No rival was drawn" in Residuals(product).verdict()
    trained = product.assign_coords(held_out=("label", np.zeros(len(LABELS), dtype=bool)))
    assert "No label was held out" in Residuals(trained).verdict()
    assert len(Residuals(trained).table()) == 0
    assert len(Residuals(trained).table("all")) == len(LABELS)


def test_residuals_are_computed_once_and_read_back_the_same(tmp_path):
    store = Store(tmp_path)
    stored = {
        name: store.adopt(gaussian_events(LABELS, 300, seed=i), name, sample="event")
        for i, name in enumerate(("truth", "drawn"))
    }
    first = residuals(stored["drawn"], stored["truth"], store=store, classifier=False)
    assert [entry.producer for entry in store.list()].count("residuals") == 1
    again = residuals(stored["drawn"], stored["truth"], store=store, classifier=False)
    xr.testing.assert_equal(first.dataset.load(), again.dataset.load())
    xr.testing.assert_allclose(
        compare(stored["truth"], {"flow": stored["drawn"]}, classifier=False), again.dataset
    )
    assert again.table().equals(first.table())


# Errors


def _without(name):
    return gaussian_events(LABELS, 100).drop_vars(name)


def _changed(name, attrs=None, value=None):
    events = gaussian_events(LABELS, 100)
    if attrs is not None:
        events[name].attrs.update(attrs)
    if value is not None:
        events[name][3] = value
    return events


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        (_without("omega_mass"), "candidate 'flow'.*no variable 'omega_mass'"),
        (_without("phi_label"), "candidate 'flow'.*no variable 'phi_label'"),
        (_changed("phi_mass", {"units": "TeV"}), "should be in 'GeV', got 'TeV'; convert"),
        (_changed("phi_mass", value=np.nan), "'phi_mass' holds 1 values that are not finite"),
        (gaussian_events(LABELS[1:], 100), "no events at phi_label=0, omega_label=0; the closest"),
        (gaussian_events(LABELS, 20), "has 20 events at .*, at least 50 are needed; add events"),
        (gaussian_events(LABELS, 100).isel(event=slice(0)), "candidate 'flow' is empty"),
        (gaussian_events(LABELS, 100).rename(event="row"), "no dimension 'event'"),
    ],
)
def test_wrong_candidates_are_refused_in_clear_words(candidate, message):
    with pytest.raises(LabelError, match=message):
        compare(gaussian_events(LABELS, 100), {"flow": candidate}, classifier=False)


def test_wrong_references_and_choices_are_refused(product):
    events = gaussian_events(LABELS, 100)
    unlabelled = events.copy()
    for name in ("phi_label", "omega_label"):
        unlabelled[name].attrs = {}
    table = [
        (lambda: compare(unlabelled, {"flow": events}), "has no labels: mark their columns"),
        (lambda: compare(events, {}), "at least one candidate"),
        (lambda: compare(events, {"floor": events}), "cannot be called 'floor'"),
        (lambda: compare(events, {"f": events}, bins=0), "at least one bin"),
        (
            lambda: compare(events, {"f": events}, held_out_labels=[(9.0, 9.0)]),
            "no events at phi_label=9",
        ),
        (lambda: compare(events, {"f": events}, held_out_labels=[(9.0,)]), "a label is"),
        (lambda: Residuals(product).table("some"), "'held_out' or 'all'"),
        (lambda: Residuals(product[["events"]]), "shows what presage.residuals made"),
        (lambda: Residuals(product).figure(label=99), "numbered 0 to 5"),
        (lambda: Residuals(product).figure(label=(1.0, 0.3)), "the closest is phi_label = 1 GeV"),
        (lambda: Residuals(product).figure(pair="phi_mas,omega_mass"), "did you mean"),
        (lambda: Residuals(product).figure(source="flo"), "no source 'flo'"),
        (lambda: Residuals(product).map("w1_over_st"), "did you mean 'w1_over_std'"),
    ]
    for call, message in table:
        with pytest.raises(LabelError, match=message):
            call()
