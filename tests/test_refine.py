"""K folds over labels, the ranking of labels to simulate next, and what simulating them gains."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from event_toys import events_of, gaussian_events, grid, many_dimensional
from presage.emulation.split import at_labels, unique_labels
from presage.emulation.transport import HeldOut
from presage.generate import simulate
from presage.labels import LabelError, Parameter
from presage.labels.names import RESERVED
from presage.lineage import parent_of, recipe_of, take
from presage.pipeline import run_study
from presage.store import Store
from presage.studies.events import Resonance, Training
from presage.studies.events.refine import (
    Gain,
    JoinedEvents,
    KFold,
    Request,
    cost_by_counts,
    folds_of,
    kfold,
    label_errors,
    rank,
    ranking_figure,
    refine,
    table,
)
from presage.studies.events.refine.gain import labels_of
from presage.studies.events.refine.places import Steps, candidates_of, neighbours
from presage.studies.events.refine.ranking import at_random, first, interpolated

SCATTERED = np.random.Generator(np.random.Philox(3)).random((17, 2))
TABLES = {
    "line": np.array([[1.0], [2.0], [4.0], [8.0], [16.0]]),
    "grid": np.array(grid(6, 5)),
    "uneven grid": np.array(list(product([1.0, 10.0, 1000.0, 5000.0], [0.2, 0.3, 9.0]))),
    "grid with a hole": np.delete(np.array(grid(5, 5)), 12, axis=0),
    "constant parameter": np.array([(x, 7.0) for x in range(6)], dtype=float),
    "three parameters": np.array(list(product(range(4), range(3), range(3))), dtype=float),
    "scattered": SCATTERED,
}
PARAMETERS = [Parameter(name, dtype="float64") for name in ("a_label", "b_label", "c_label")]

every_table = pytest.mark.parametrize("labels", TABLES.values(), ids=TABLES)


def steps_apart(labels):
    places = Steps(labels).places
    return np.abs(places[:, None] - places[None]).sum(axis=2)


# Folds


@every_table
@pytest.mark.parametrize("folds", [2, 3, 5])
def test_folds_are_even_and_the_same_every_time(labels, folds):
    number = folds_of(labels, folds, seed=1)
    sizes = np.bincount(number, minlength=folds)
    assert sizes.sum() == len(labels)
    assert sizes.max() - sizes.min() <= 1
    np.testing.assert_array_equal(number, folds_of(labels, folds, seed=1))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("shape", "folds"), [((6, 6), 5), ((10, 10), 5), ((12,), 3), ((5, 7), 4)])
def test_what_is_held_out_keeps_its_neighbours(shape, folds, seed):
    labels = np.array(list(product(*map(range, shape))), dtype=float) * 100.0
    number = folds_of(labels, folds, seed=seed)
    together = number[:, None] == number[None]
    assert not (together & (steps_apart(labels) == 1)).any()


def test_another_seed_is_another_arrangement():
    labels = TABLES["grid"]
    assert (folds_of(labels, 5, seed=0) != folds_of(labels, 5, seed=1)).any()


@pytest.mark.parametrize("name", ["line", "grid", "uneven grid", "three parameters"])
def test_on_a_checkerboard_no_neighbours_are_held_out_together(name):
    labels = TABLES[name]
    number = folds_of(labels, 2, "checkerboard")
    near = steps_apart(labels) == 1
    assert near.any()
    assert not (near & (number[:, None] == number[None])).any()


@pytest.mark.parametrize(
    ("labels", "arguments", "message"),
    [
        (grid(2, 2), {"folds": 5}, "4 labels can be split into 2 to 4 folds, got 5"),
        (grid(2, 2), {"folds": 1}, "2 to 4 folds, got 1"),
        (grid(2, 2), {"folds": 2.5}, "2 to 4 folds, got 2.5"),
        (grid(3, 3), {"scheme": "spred"}, "no scheme 'spred'; did you mean 'spread'"),
        (grid(3, 3), {"scheme": "checkerboard"}, "a checkerboard has folds=2, got 5"),
        (SCATTERED, {"scheme": "checkerboard", "folds": 2}, "stand on no grid; use scheme='spr"),
        ([(1.0, 2.0)], {}, "at least two different labels are needed, got 1"),
    ],
)
def test_folds_that_make_no_sense_are_refused(labels, arguments, message):
    with pytest.raises(LabelError, match=message):
        folds_of(np.array(labels), **arguments)


# Places and candidates


@every_table
def test_places_lead_back_to_their_labels(labels):
    steps = Steps(labels)
    np.testing.assert_allclose(steps.labels(steps.places), labels, rtol=1e-12, atol=1e-12)
    assert steps.places.min() == 0


def test_a_step_leads_to_the_next_value_however_far_it_is():
    steps = Steps(TABLES["uneven grid"])
    assert steps.at(np.array([[505.0, 0.25]])).tolist() == [[1.5, 0.5]]


@pytest.mark.parametrize("shape", [(7,), (4, 3), (5, 5), (4, 3, 3)])
def test_candidates_are_the_middles_of_edges_faces_and_cells(shape):
    labels = np.array(list(product(*map(range, shape))), dtype=float)
    found = candidates_of(labels, None, PARAMETERS[: len(shape)])
    halves = product(*(np.arange(0, n - 0.5, 0.5) for n in shape))
    expected = {point for point in halves if any(x % 1 for x in point)}
    assert {tuple(row) for row in found.tolist()} == expected
    assert len(found) == len(expected)


def test_a_missing_label_is_a_candidate():
    labels = TABLES["grid with a hole"]
    assert (2.0, 2.0) in {
        tuple(row) for row in candidates_of(labels, None, PARAMETERS[:2]).tolist()
    }


@every_table
@pytest.mark.parametrize("wanted", [None, 40])
def test_candidates_are_new_and_within_the_range(labels, wanted):
    found = candidates_of(labels, wanted, PARAMETERS[: labels.shape[1]], seed=2)
    assert len(np.unique(found, axis=0)) == len(found) == (wanted or len(found))
    assert (found >= labels.min(axis=0)).all()
    assert (found <= labels.max(axis=0)).all()
    assert not set(map(tuple, found.tolist())) & set(map(tuple, labels.tolist()))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([(9.0, 1.0)], "candidate a_label=9, b_label=1 lies outside the range of the labels, from"),
        ([(0.5, np.nan)], "a candidate is not finite: a_label=0.5, b_label=nan"),
        ([(1.0, 1.0)], "candidate a_label=1, b_label=1 was simulated already"),
        ([(0.5, 0.5), (0.5, 0.5)], "candidate a_label=0.5, b_label=0.5 is given twice"),
        ([(0.5,)], r"a label is \(a_label, b_label\), got 1 values"),
        ([], "no candidates were given"),
        (0, "a number of candidates is at least 1, got 0"),
    ],
)
def test_candidates_that_cannot_be_simulated_are_refused(wanted, message):
    with pytest.raises(LabelError, match=message):
        candidates_of(np.array(grid(3, 3)), wanted, PARAMETERS[:2])


def test_labels_on_a_slanted_line_have_no_cells():
    with pytest.raises(LabelError, match=r"do not span them.*Give the candidates yourself"):
        neighbours(np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]))


# Ranking


@pytest.mark.parametrize("name", ["line", "grid", "uneven grid", "three parameters"])
def test_what_is_linear_is_interpolated_exactly(name):
    labels = TABLES[name]
    steps = Steps(labels)
    between = candidates_of(labels, None, PARAMETERS[: labels.shape[1]])
    slope = np.arange(1, labels.shape[1] + 1)
    found = interpolated(steps, between, steps.places @ slope)
    np.testing.assert_allclose(found, steps.at(between) @ slope, atol=1e-9)


def folded(errors, labels, store, floor=0.01):
    """A K-fold product with these errors of one variable at these labels."""
    labels = np.array(labels, dtype=float)
    w1 = np.stack([np.full(len(labels), np.nan), np.full(len(labels), floor), errors])
    names = ("phi_label", "omega_label")[: labels.shape[1]]
    data = xr.Dataset(
        {"w1_over_std": (("source", "label", "variable"), w1[..., None])},
        coords={
            "source": np.array(["reference", "floor", "flow"], dtype=object),
            "variable": np.array(["phi_mass"], dtype=object),
            **{
                name: ("label", labels[:, i], {"role": "parameter", "units": "GeV"})
                for i, name in enumerate(names)
            },
        },
        attrs={"model": "flow"},
    )
    return KFold(store.adopt(data, "toy"), (), store, lambda events: None, HeldOut(data, ()))


@pytest.fixture
def even(monkeypatch):
    """Models that disagree by the same everywhere."""
    monkeypatch.setattr(KFold, "disagreement", lambda kfold, labels, **_: np.ones(len(labels)))


def disagreeing(monkeypatch, function):
    monkeypatch.setattr(
        KFold,
        "disagreement",
        lambda kfold, labels, **_: np.apply_along_axis(function, 1, labels),
    )


def ranked(errors, labels, tmp_path, **settings):
    return rank(folded(errors, labels, Store(tmp_path)), progress=False, **settings)


def test_errors_are_those_of_the_worst_variable_without_the_noise(tmp_path):
    kfolds = folded([0.05, 0.01, 0.002], [(0.0,), (1.0,), (2.0,)], Store(tmp_path), floor=0.03)
    found = label_errors(kfolds.dataset)
    np.testing.assert_allclose(found, [0.04, 0.0, 0.0], atol=1e-12)


@pytest.mark.usefixtures("even")
def test_the_first_label_lies_beside_the_worst(tmp_path):
    labels = grid(5, 5)
    errors = np.full(25, 0.05)
    errors[labels.index((3.0, 1.0))] = 0.5
    ranking = ranked(errors, labels, tmp_path)
    best = np.array(labels_of(first(ranking, 1))[0])
    assert np.abs(best - (3.0, 1.0)).sum() == 0.5
    assert ranking["rank"].values.tolist() == list(range(1, 57))
    left = ranking["remaining_score"].values
    assert (np.diff(left) <= 1e-12).all()
    assert (left <= ranking["score"].values + 1e-12).all()
    assert ranking["phi_label"].attrs["units"] == "GeV"


@pytest.mark.usefixtures("even")
def test_where_the_error_is_the_same_everywhere_the_choice_is_spread(tmp_path):
    ranking = ranked(np.full(25, 0.1), grid(5, 5), tmp_path)
    chosen = np.array(labels_of(first(ranking, 5)))
    apart = np.linalg.norm(chosen[:, None] - chosen[None], axis=2)
    assert apart[np.triu_indices(5, 1)].min() >= 1.0


@pytest.mark.usefixtures("even")
def test_a_dear_label_has_to_be_worth_it(tmp_path):
    errors = np.linspace(0.1, 0.2, 25)
    plain = ranked(errors, grid(5, 5), tmp_path)
    best = labels_of(first(plain, 1))[0]
    dear = ranked(
        errors, grid(5, 5), tmp_path, cost=lambda t: np.where((t == best).all(axis=1), 50.0, 1.0)
    )
    assert labels_of(first(dear, 1))[0] != best
    assert labels_of(dear)[-1] == best
    np.testing.assert_allclose(dear["score"], dear["expected_error"] / dear["cost"])


def test_models_that_disagree_decide_where_the_folds_are_level(tmp_path, monkeypatch):
    disagreeing(monkeypatch, lambda label: 1.0 if label[0] > 2 else 0.1)
    ranking = ranked(np.full(25, 0.1), grid(5, 5), tmp_path)
    assert (first(ranking, 4)["phi_label"] > 2).all()


@pytest.mark.usefixtures("even")
def test_a_ranking_is_made_once_and_is_a_table_with_units(tmp_path):
    kfolds = folded(np.full(9, 0.1), grid(3, 3), Store(tmp_path))
    one, two = rank(kfolds, progress=False), rank(kfolds, progress=False)
    assert one.attrs["presage_key"] == two.attrs["presage_key"]
    frame = table(one, 3)
    assert list(frame.columns[:2]) == ["phi_label [GeV]", "omega_label [GeV]"]
    assert len(frame) == 3


@pytest.mark.usefixtures("even")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reach": 0.0}, "reach is a distance above 0"),
        ({"candidates": [(9.0, 9.0)]}, "lies outside the range"),
        ({"cost": lambda t: np.zeros(len(t))}, "numbers above 0, one for each candidate"),
        ({"cost": lambda t: np.ones(2)}, r"should return 16 numbers above 0.*shape \(2,\)"),
        ({"cost": lambda t: np.full(len(t), np.nan)}, "numbers above 0"),
    ],
)
def test_a_ranking_that_makes_no_sense_is_refused(settings, message, tmp_path):
    with pytest.raises(LabelError, match=message):
        ranked(np.full(9, 0.1), grid(3, 3), tmp_path, **settings)


@pytest.mark.usefixtures("even")
@pytest.mark.parametrize("number", [0, -1, 17, 1.5])
def test_no_more_can_be_chosen_than_there_are(number, tmp_path):
    ranking = ranked(np.full(9, 0.1), grid(3, 3), tmp_path)
    with pytest.raises(LabelError, match=f"1 to 16 labels can be chosen.*got {number}"):
        first(ranking, number)


def test_cost_is_what_the_counts_say_and_between_them_its_logarithm_is_linear():
    labels = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)]
    events = gaussian_events(labels, 0, counts=[800, 800, 50, 50])
    cost = cost_by_counts(unique_labels(events))
    np.testing.assert_allclose(cost(np.array(labels)), [1, 1, 16, 16])
    np.testing.assert_allclose(cost(np.array([(0.5, 0.5), (0.25, 0.0)])), [4, 2], rtol=1e-3)


@pytest.mark.usefixtures("even")
def test_a_random_choice_costs_as_much(tmp_path):
    labels = grid(5, 5)
    cheap = ranked(np.full(25, 0.1), labels, tmp_path)
    assert [at_random(cheap, 10.0, seed).sizes["rank"] for seed in range(3)] == [10, 10, 10]
    assert labels_of(at_random(cheap, 10.0, 0)) != labels_of(at_random(cheap, 10.0, 1))
    uneven = ranked(np.full(25, 0.1), labels, tmp_path, cost=lambda t: 1 + t[:, 0])
    for seed in range(5):
        spent = float(at_random(uneven, 20.0, seed)["cost"].sum())
        assert 19.0 <= spent <= 20.0 + 1e-9


# All of it, at a size where models are bad and quick

TINY = Training(hidden=(8,), bins=4, epochs=1, batch_size=128)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Events on a 3 x 3 grid, more of them as the truth, and their K folds."""
    store = Store(tmp_path_factory.mktemp("refine") / "store")
    source = Resonance.on_grid(3, 3, weights="equal")
    events = simulate(source, 9 * 120, seed=0, store=store, progress=False)
    truth = simulate(source, 9 * 300, seed=1, store=store, progress=False)
    settings = {"folds": 2, "truth": truth, "store": store, "progress": False}
    folds = kfold(events, TINY, **settings)
    return SimpleNamespace(
        store=store, source=source, events=events, truth=truth, settings=settings, folds=folds
    )


def test_every_label_is_held_out_once(tiny):
    data = tiny.folds.dataset
    assert data["held_out"].values.all()
    assert sorted(np.bincount(data["fold"].values)) == [4, 5]
    assert sorted(set(data["region"].values)) == ["edge", "interior"]
    assert {"flow", "morphing", "histogram_morphing", "nearest", "floor"} <= set(
        data["source"].values
    )
    assert np.isfinite(data["w1_over_std"].sel(source=["flow", "floor", "nearest"])).all()
    labels = np.stack([data["phi_label"].values, data["omega_label"].values], axis=1)
    for k, fit in enumerate(tiny.folds.fits):
        # The model of a fold has seen the events of all labels but its own.
        (seen,) = fit.recipe.parents
        inside = (data["fold"] != k).values
        columns = np.stack([tiny.events["phi_label"], tiny.events["omega_label"]], axis=1)
        mask = (columns[:, None] == labels[inside][None]).all(axis=2).any(axis=1)
        assert seen == parent_of(take(tiny.events, np.flatnonzero(mask)))


def test_a_rival_never_sees_the_label_it_is_judged_at(tiny):
    # Neighbours are thousands of GeV away: the nearest label is far off everywhere.
    nearest = tiny.folds.dataset["w1_over_std"].sel(source="nearest").max("variable")
    assert float(nearest.min()) > 0.3


def test_tables_and_figures_take_k_folds_as_they_are(tiny):
    assert len(tiny.folds.table()) >= 9
    assert "at 9 held-out labels" in tiny.folds.verdict()
    assert tiny.folds.map()._repr_png_().startswith(b"\x89PNG")


def test_the_same_folds_are_read_from_the_store(tiny):
    before = {entry.key for entry in tiny.store.list()}
    again = kfold(tiny.events, TINY, **tiny.settings)
    assert again.dataset.attrs["presage_key"] == tiny.folds.dataset.attrs["presage_key"]
    assert {entry.key for entry in tiny.store.list()} == before
    other = kfold(tiny.events, TINY, **{**tiny.settings, "rivals": False})
    assert other.dataset.attrs["presage_key"] != again.dataset.attrs["presage_key"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"folds": 10}, "9 labels can be split into 2 to 9 folds, got 10"),
        ({"minimum": 1000}, "0 labels have at least 1000 events to be judged by"),
        ({"labels": [(95.0, 1.0)]}, "the events has no events at phi_label=95, omega_label=1"),
        ({"labels": [(95.0,)]}, "a label is"),
    ],
)
def test_k_folds_that_cannot_be_made_are_refused(tiny, settings, message):
    with pytest.raises(LabelError, match=message):
        kfold(tiny.events, TINY, **{**tiny.settings, **settings})


def test_two_labels_leave_nothing_to_interpolate(tiny):
    two = at_labels(tiny.events, [(95.0, 0.25), (95.0, 4.6375)])
    with pytest.raises(LabelError, match="holding out 1 labels leaves 1 to train on"):
        kfold(two, TINY, folds=2, store=tiny.store, progress=False)


@pytest.fixture(scope="module")
def gain(tiny):
    ranking = rank(tiny.folds, progress=False)
    return ranking, refine(
        tiny.events, tiny.source, tiny.folds, ranking, labels=2, seed=3, progress=False
    )


def test_both_arms_are_judged_at_the_labels_of_before(tiny, gain):
    ranking, found = gain
    data = found.dataset
    assert data["arm"].values.tolist() == ["before", "chosen", "random"]
    assert data.sizes["label"] == 9
    np.testing.assert_allclose(
        data["w1_over_std"].sel(arm="before"),
        tiny.folds.dataset["w1_over_std"].sel(source="flow").max("variable"),
    )
    assert (data["w1_over_std"].sel(arm="chosen") != data["w1_over_std"].sel(arm="before")).any()
    added = data.sel(arm="chosen")
    chosen = list(
        zip(added["added_phi_label"].values, added["added_omega_label"].values, strict=True)
    )
    assert chosen == labels_of(first(ranking, 2))
    assert data["added"].sum("place").values.tolist() == [0, 2, 2]
    assert data["cost"].values.tolist() == [0, 2, 2]


def test_a_gain_says_where_it_came_from(tiny, gain):
    pending, seen = [recipe_of(gain[1].dataset)], set()
    while pending:
        recipe = pending.pop()
        seen.add(recipe.producer)
        pending += [tiny.store.find(parent.key) for parent in recipe.parents]
    assert seen == {
        "refinement", "label_ranking", "residuals", "flow_sample", "fit-spline_flow",
        "joined_events", "resonance",
    }  # fmt: skip


def test_no_label_can_be_called_like_something_of_these_products(tiny, gain):
    ranking, found = gain
    for made in (tiny.folds.dataset, ranking, found.dataset):
        names = {*map(str, made.variables), *map(str, made.dims)}
        own = {n for n in names if not n.startswith(("phi_label", "omega_label", "added_"))}
        assert own <= RESERVED


def test_a_gain_shows_itself(gain):
    ranking, found = gain
    frame = found.table()
    assert frame["labels added"].tolist() == [0, 2, 2]
    assert (frame["worst W1/std"] >= frame["median W1/std"]).all()
    assert "with 2 chosen labels simulated" in found.verdict()
    assert found.figure()._repr_png_().startswith(b"\x89PNG")
    assert ranking_figure(ranking, 2)._repr_png_().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_gain_is_read_from_the_store(tiny, gain):
    before = {entry.key for entry in tiny.store.list()}
    ranking, found = gain
    again = refine(tiny.events, tiny.source, tiny.folds, ranking, labels=2, seed=3, progress=False)
    assert {entry.key for entry in tiny.store.list()} == before
    xr.testing.assert_identical(again.dataset, found.dataset)


def test_several_random_choices_are_summed_up(gain):
    data = gain[1].dataset
    worst = data["w1_over_std"].max("label")
    several = xr.concat([data, data.sel(arm=["random"]).assign_coords(arm=["random 2"])], dim="arm")
    beaten = int(float(worst.sel(arm="chosen")) < float(worst.sel(arm="random")))
    assert Gain(several).verdict().endswith(f"2 times; better than {2 * beaten} of them.")


def test_files_are_asked_for(tiny, gain, tmp_path):
    reader = JoinedEvents(tiny.events, tiny.events)  # any reader: files hold what they hold
    asked = refine(tiny.events, reader, tiny.folds, gain[0], labels=3, progress=False)
    assert isinstance(asked, Request)
    assert asked.table()["phi_label [GeV]"].tolist() == [x for x, _ in labels_of(asked.dataset)]
    assert "simulate these 3 labels" in asked.verdict()
    assert asked.figure()._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": 0}, "1 to 16 labels can be chosen"),
        ({"labels": 99}, "1 to 16 labels can be chosen"),
        ({"random": 0}, "are at least 1; got 120 and 0"),
        ({"events_per_label": -5}, "are at least 1; got -5 and 1"),
        ({"simulator": object()}, "object cannot simulate new labels; a LabelledSimulator can"),
    ],
)
def test_a_refinement_that_cannot_be_done_is_refused(tiny, gain, arguments, message):
    given = {"simulator": tiny.source, "before": tiny.folds, "ranking": gain[0], **arguments}
    with pytest.raises(LabelError, match=message):
        refine(tiny.events, **given, progress=False)


# Joined events


def test_joined_events_are_one_after_the_other(tiny):
    joined = simulate(JoinedEvents(tiny.events, tiny.truth), store=tiny.store, progress=False)
    for name in tiny.events.data_vars:
        both = np.concatenate([tiny.events[name].values, tiny.truth[name].values])
        np.testing.assert_array_equal(joined[name].values, both)
        assert joined[name].attrs["units"] == tiny.events[name].attrs["units"]
    origins = [tiny.store.find(parent.key) for parent in recipe_of(joined).parents]
    assert origins == [recipe_of(tiny.events), recipe_of(tiny.truth)]


def _without(events):
    return events.drop_vars("omega_mass")


def _in_mev(events):
    changed = events.copy()
    changed["phi_mass"].attrs["units"] = "MeV"
    return changed


def _with_more(events):
    return events.assign(weight=events["phi_mass"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without, "no variable 'omega_mass'"),
        (_in_mev, "'phi_mass' should be in 'GeV', got 'MeV'"),
        (_with_more, "a column more than the first: weight"),
    ],
)
def test_events_of_other_columns_are_not_joined(tiny, change, message):
    with pytest.raises(LabelError, match=message):
        JoinedEvents(tiny.events, change(tiny.truth))


def test_three_labels_and_masses_are_folded_and_ranked(tmp_path):
    store = Store(tmp_path)
    cube = list(product([0.0, 1.0], repeat=3))
    events = store.adopt(many_dimensional(60, labels=cube), "cube", sample="event")
    folds = kfold(events, TINY, folds=2, rivals=False, store=store, progress=False)
    assert folds.dataset.sizes["label"] == 8
    ranking = rank(folds, candidates=[(0.5, 0.5, 0.5), (0.5, 1.0, 0.0)], progress=False)
    assert ranking.sizes["rank"] == 2
    assert (ranking["disagreement"] > 0).all()


def test_a_line_of_labels_is_drawn_as_a_line(tmp_path, even):
    labels = [(float(x),) for x in range(5)]
    ranking = rank(folded(np.linspace(0.1, 0.3, 5), labels, Store(tmp_path)), progress=False)
    assert labels_of(first(ranking, 1)) == [(3.5,)]
    assert ranking_figure(ranking, 2)._repr_png_().startswith(b"\x89PNG")
    columns = {"phi_label": [0.0, 1.0], "phi_mass": [1.0, 2.0]}
    assert len(unique_labels(events_of(columns))["events"]) == 2


# presage run NAME --refine N


@pytest.mark.parametrize(
    ("chosen", "number", "message"),
    [
        ("events", 0, "refine should be at least 1, got 0"),
        ("events", -3, "at least 1, got -3"),
        ("pdf", 3, "no notebook has a parameter 'refine'"),
    ],
)
def test_a_run_that_cannot_refine_says_so(chosen, number, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run_study(chosen, parameters={"refine": number}, store=tmp_path / "store", progress=False)
    assert not (tmp_path / "store").exists()
