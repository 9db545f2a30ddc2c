from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from event_toys import events_of, gaussian_events, grid, many_dimensional
from presage.analysis.histogram_morphing import histogram_morphing
from presage.analysis.labelled import group
from presage.analysis.morphing import label_weights, moment_morphing, nearest_label
from presage.labels import LabelError

LABELS = grid(5, 4)
HOLE = (2.0, 1.0)
TRAIN = [label for label in LABELS if label != HOLE]
RIVALS = [moment_morphing, histogram_morphing, nearest_label]
MORPHINGS = RIVALS[:2]


def weights_at(labels, target):
    found = label_weights(np.array(labels, dtype=float), np.array(target, dtype=float))
    mixed = {
        tuple(labels[i]): round(float(found.mixing[i]), 6) for i in np.flatnonzero(found.mixing)
    }
    return found, mixed


# Weights


def test_a_trained_label_is_itself():
    assert weights_at(LABELS, HOLE)[1] == {HOLE: 1.0}


def test_a_hole_of_a_grid_is_filled_evenly_by_its_neighbours():
    expected = {(1.0, 1.0): 0.25, (3.0, 1.0): 0.25, (2.0, 0.0): 0.25, (2.0, 2.0): 0.25}
    assert weights_at(TRAIN, HOLE)[1] == expected


def test_the_grids_steps_may_differ_as_much_as_they_like():
    stretched = [(500 * p, w / 100) for p, w in TRAIN]
    assert set(weights_at(stretched, (1000.0, 0.01))[1].values()) == {0.25}


def test_on_a_line_it_is_linear_interpolation_between_the_neighbours():
    assert weights_at([(1.0,), (2.0,), (4.0,), (100.0,)], (3.5,))[1] == {(2.0,): 0.25, (4.0,): 0.75}


def test_an_edge_is_interpolated_along_the_edge():
    edge = (0.0, 1.0)
    labels = [label for label in LABELS if label != edge]
    assert weights_at(labels, edge)[1] == {(0.0, 0.0): 0.5, (0.0, 2.0): 0.5}


def test_a_missing_row_is_bridged():
    labels = [label for label in LABELS if label[0] != 2.0]
    assert weights_at(labels, HOLE)[1] == {(1.0, 1.0): 0.5, (3.0, 1.0): 0.5}


def test_beyond_the_grid_moments_extrapolate_and_events_come_from_the_neighbours():
    found, mixed = weights_at([x for x in LABELS if x != (0.0, 0.0)], (0.0, 0.0))
    assert mixed == {(1.0, 0.0): 0.5, (0.0, 1.0): 0.5}
    assert found.moments.min() < 0


points = st.integers(2, 4)


@settings(max_examples=60)
@given(st.integers(1, 3), st.integers(0, 1000), st.booleans())
def test_weights_reproduce_linear_functions_anywhere(dims, seed, inside):
    rng = np.random.default_rng(seed)
    table = rng.random((12 * dims, dims)) * rng.uniform(0.01, 100, dims)
    shares = rng.dirichlet(np.ones(len(table)))
    target = shares @ table if inside else table.max(axis=0) * 1.3
    found = label_weights(table, target)
    assert found.mixing.min() >= 0
    assert found.mixing.sum() == pytest.approx(1)
    assert found.moments.sum() == pytest.approx(1)
    np.testing.assert_allclose(found.moments @ table, target, rtol=1e-6)
    if inside:
        np.testing.assert_allclose(found.mixing @ table, target, rtol=1e-4)
        assert np.count_nonzero(found.mixing) <= 2**dims + 1


# Events


@pytest.mark.parametrize("morph", MORPHINGS)
def test_a_shifting_and_widening_gaussian_is_exact(morph):
    train = gaussian_events(TRAIN, 20_000, seed=1, dtype="float64")
    drawn = morph(train, [HOLE], 60_000, seed=2)
    truth = gaussian_events([HOLE], 60_000, seed=3, dtype="float64")
    for name in ("phi_mass", "omega_mass"):
        x, y = drawn[name].values, truth[name].values
        assert abs(x.mean() - y.mean()) < 5 * y.std() / np.sqrt(15_000)
        assert x.std() == pytest.approx(y.std(), rel=0.02)
    rho = np.corrcoef(drawn["phi_mass"], drawn["omega_mass"])[0, 1]
    assert rho == pytest.approx(0.3, abs=0.02)


def test_interpolated_moments_are_hit_exactly_when_no_event_repeats():
    # One template at a quarter way: mean and width follow the straight line between the two.
    line = gaussian_events([(0.0, 0.0), (4.0, 0.0)], 4000, seed=1, dtype="float64")
    drawn = moment_morphing(line, [(1.0, 0.0)], 8000, seed=2)
    means, widths = (
        [getattr(group(line).sample(i)[:, 0], f)() for i in (0, 1)] for f in ("mean", "std")
    )
    assert float(drawn["phi_mass"].mean()) == pytest.approx(
        0.75 * means[0] + 0.25 * means[1], abs=0.03
    )
    assert float(drawn["phi_mass"].std()) == pytest.approx(
        0.75 * widths[0] + 0.25 * widths[1], rel=0.02
    )


@pytest.mark.parametrize("morph", MORPHINGS)
def test_at_a_trained_label_the_events_are_its_own(morph):
    train = gaussian_events(LABELS, 100, dtype="float32")
    drawn = morph(train, [HOLE], 100)
    own = train.isel(event=np.flatnonzero((train.phi_label == 2) & (train.omega_label == 1)))
    np.testing.assert_allclose(np.sort(drawn["phi_mass"]), np.sort(own["phi_mass"]), rtol=1e-6)
    assert drawn.attrs["repeated"] == 0


@pytest.mark.parametrize("draw", RIVALS)
def test_draws_look_like_the_training_events(draw):
    train = gaussian_events(TRAIN, 50)
    drawn = draw(train, {"omega_label": [1.0, 2.5], "phi_label": [2.0, 0.5]}, 200, seed=4)
    assert list(drawn.data_vars) == list(train.data_vars)
    assert drawn.sizes["event"] == 400
    for name in train.data_vars:
        assert drawn[name].dtype == train[name].dtype
        assert drawn[name].attrs == train[name].attrs
    assert drawn.attrs["presage_sample"] == "event"
    table = group(drawn).table
    np.testing.assert_array_equal(table, [[0.5, 2.5], [2.0, 1.0]])
    xr.testing.assert_identical(drawn, draw(train, [(2.0, 1.0), (0.5, 2.5)], [200, 200], seed=4))


@pytest.mark.parametrize("draw", RIVALS)
def test_what_is_drawn_at_a_label_depends_on_seed_and_label_only(draw):
    train = gaussian_events(TRAIN, 50)
    both = draw(train, [(0.5, 2.5), HOLE], 60, seed=1)
    alone = draw(train, [HOLE], 60, seed=1)
    np.testing.assert_array_equal(both["phi_mass"][60:], alone["phi_mass"])
    other = draw(train, [HOLE], 60, seed=2)
    assert not np.array_equal(other["phi_mass"], alone["phi_mass"])
    order = np.random.default_rng(0).permutation(train.sizes["event"])
    again = draw(train.isel(event=order), [HOLE], 60, seed=1)
    assert abs(float(again["phi_mass"].mean() - alone["phi_mass"].mean())) < 1


def test_repeats_are_told_and_spread_evenly():
    train = gaussian_events(TRAIN, 50)
    drawn = nearest_label(train, [(2.2, 1.9)], 150)
    assert drawn.attrs["repeated"] == pytest.approx(100 / 150)
    assert set(np.unique(drawn["phi_mass"], return_counts=True)[1]) == {3}
    assert nearest_label(train, [(2.2, 1.9)], 50).attrs["repeated"] == 0


def test_the_nearest_label_is_nearest_in_steps_of_the_grid():
    train = gaussian_events([(0.0, 0.0), (1000.0, 0.0), (0.0, 1.0), (1000.0, 1.0)], 20)
    drawn = nearest_label(train, [(400.0, 0.9)], 20)
    own = train.isel(event=np.flatnonzero((train.phi_label == 0) & (train.omega_label == 1)))
    np.testing.assert_array_equal(np.sort(drawn["phi_mass"]), np.sort(own["phi_mass"]))


@pytest.mark.parametrize("morph", MORPHINGS)
def test_three_labels_and_three_masses(morph):
    events = many_dimensional(400)
    target = (1.0, 1.0, 0.0)
    keep = ~((events.l0 == 1) & (events.l1 == 1) & (events.l2 == 0))
    drawn = morph(events.isel(event=np.flatnonzero(keep)), [target], 1000)
    for i, centre in enumerate(target):
        assert float(drawn[f"m{i}"].mean()) == pytest.approx(centre, abs=0.1)


@pytest.mark.parametrize("morph", MORPHINGS)
def test_a_constant_variable_survives(morph):
    events = events_of({"x": np.repeat([0.0, 2.0], 10), "m": np.repeat([1.0, 3.0], 10)}, ("x",))
    np.testing.assert_allclose(morph(events, [(1.0,)], 10)["m"], 2.0)


def quantile_events(labels, quantile, n=4001):
    """One label x and one mass whose quantile function at x is given: samples without noise."""
    p = (np.arange(n) + 0.5) / n
    columns = {"x": np.repeat(labels, n), "m": np.concatenate([quantile(x, p) for x in labels])}
    return events_of(columns, labels=("x",), lower=0.0)


@pytest.mark.parametrize("target", [0.25, 1.0, 1.9, 2.5, -0.4])
@pytest.mark.parametrize("shape", [np.sqrt, lambda p: -np.log1p(-p), lambda p: p > 0.7])
def test_any_shape_that_moves_and_widens_linearly_is_interpolated_exactly(shape, target):
    def quantile(x, p):
        return 20 + 3 * x + (2 + x) * shape(p)

    train = quantile_events([0.0, 2.0, 3.0][: 2 if target < 2 else 3], quantile)
    drawn = histogram_morphing(train, [(target,)], 4001)
    expected = quantile(target, (np.arange(4001) + 0.5) / 4001)
    parts = np.sort(drawn["m"])  # the templates' shares leave noise, the values themselves none
    near = np.searchsorted(np.sort(expected), parts).clip(1, 4000)
    gap = np.minimum(abs(np.sort(expected)[near] - parts), abs(np.sort(expected)[near - 1] - parts))
    assert gap.max() < 0.05
    assert abs(parts.mean() - expected.mean()) < 0.02 * expected.std()


def test_one_peak_between_two_peaks_where_moments_only_mix_shapes():
    def quantile(x, p):  # the tail grows with the label: no shift and stretch can do that
        return 30 - 5 * (1 - p) ** (1 / (0.5 + x))

    train, p = quantile_events([0.0, 2.0], quantile), (np.arange(4001) + 0.5) / 4001
    wanted = (quantile(0.0, p) + quantile(2.0, p)) / 2
    found = {
        draw.__name__: abs(np.sort(draw(train, [(1.0,)], 4001)["m"]) - wanted).mean()
        for draw in MORPHINGS
    }
    assert found["histogram_morphing"] < 0.3 * found["moment_morphing"]


def test_bounds_are_respected_inside_and_outside_the_labels():
    rng = np.random.default_rng(0)
    labels = np.repeat([0.0, 1.0, 2.0], 3000)
    mass = (0.3 + labels) * rng.exponential(1, 9000)
    events = events_of({"x": labels, "m": mass}, labels=("x",), lower=0.0)
    for target in (0.4, 1.7, 2.6, -0.25):
        drawn = histogram_morphing(events, [(target,)], 3000)["m"]
        assert drawn.min() >= 0
        assert float(drawn.mean()) == pytest.approx(0.3 + target, rel=0.1, abs=0.03)
    assert (moment_morphing(events, [(0.4,)], 3000)["m"] < 0).any()


def test_the_dependence_between_variables_is_the_neighbours():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((2, 20_000))
    x = np.repeat([0.0, 2.0], 10_000)
    columns = {"x": x, "a": np.exp(z[0] / 3) + x, "b": (0.8 * z[0] + 0.6 * z[1]) ** 3 - x}
    drawn = histogram_morphing(events_of(columns, labels=("x",)), [(1.0,)], 20_000)
    ranks = np.stack([drawn[name].values.argsort().argsort() for name in "ab"])
    expected = 6 / np.pi * np.arcsin(0.8 / 2)  # rank correlation of a Gaussian copula
    assert np.corrcoef(ranks)[0, 1] == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("labels", "n", "message"),
    [
        ([HOLE], 0, "at least 1"),
        ([HOLE], [5, 5], "one number or 1 of them"),
        ([], 5, "no labels were given"),
        ([(1.0,)], 5, r"a label is \(phi_label, omega_label\), got 1 values"),
        ({"phi_label": [1.0], "omega_lable": [2.0]}, 5, "lack 'omega_label'; did you mean"),
        ([(np.nan, 1.0)], 5, "not finite"),
    ],
)
def test_wrong_labels_are_refused(labels, n, message):
    with pytest.raises(LabelError, match=message):
        histogram_morphing(gaussian_events(TRAIN, 5), labels, n)
    with pytest.raises(LabelError, match=message):
        moment_morphing(gaussian_events(TRAIN, 5), labels, n)


def test_a_label_with_a_single_event_is_refused():
    lone = gaussian_events(TRAIN, 5, counts=[1] + [5] * (len(TRAIN) - 1))
    with pytest.raises(LabelError, match="only one event at phi_label=0, omega_label=0"):
        moment_morphing(lone, [HOLE], 5)
