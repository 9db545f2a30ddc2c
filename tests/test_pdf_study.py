"""The study as a whole: its notebooks at tiny size, its campaign, what it reports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from guides import examples, leaves, run
from presage.labels import LabelError
from presage.pipeline import run_study
from presage.pipeline.run import Run
from presage.store import Store, StoreError
from presage.studies.pdf import Campaign, Inference, Training, fisher_information
from presage.studies.pdf.measure import Effort, calibrate, observed_sets, posteriors
from presage.studies.pdf.report import scores, verdict
from presage.studies.pdf.set_figures import information_figure, point_figure, sets_figure
from presage.studies.pdf.ways import compare_ways


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All four notebooks, once."""
    root = tmp_path_factory.mktemp("tiny") / "store"
    (run,) = run_study("pdf", preset="tiny", store=root, progress=False)
    return run


def test_the_study_leaves_labelled_products(tiny):
    store, products = tiny.store, tiny.products
    compared = store.open(products["posteriors"])
    assert list(compared["kind"].values) == ["estimate", "corrected", "reference"]
    assert compared.sizes["observation"] == 2
    assert compared["c2st"].sel(kind="estimate").notnull().all()
    assert ((compared["efficiency"] > 0) & (compared["efficiency"] <= 1)).all()
    checked = store.open(products["calibration"])
    assert {"mu_x", "rho", "log_likelihood", "log_prob"} <= set(checked["quantity"].values)
    assert checked.attrs["kind"] == "estimate"
    assert store.open(products["corrected"]).attrs["kind"] == "corrected"


def test_the_guide_to_posterior_draws(tiny, root):
    _, _, example, *_ = examples(root / "docs/results.md")
    names = {"theirs": tiny.store}
    run(example, {"a5538ede": tiny.products["posteriors"]}, names)
    stored = tiny.store.open(tiny.products["posteriors"])["draws"]
    assert names["draws"].columns.tolist() == stored["parameter"].values.tolist()
    assert names["draws"].shape == (stored.sizes["draw"], stored.sizes["parameter"])
    assert (names["truth"].index == names["draws"].columns).all()


def test_products_say_what_they_were_made_from(tiny):
    pending, seen = [tiny.products["posteriors"]], set()
    while pending:
        recipe = tiny.store.find(pending.pop())
        seen.add(recipe.producer)
        pending += [parent.key for parent in recipe.parents]
    assert {"gaussian", "fit-set_encoder", "pooled_features", "fit-posterior_flow"} <= seen


def test_the_study_leaves_figures_and_a_table(tiny):
    leaves(tiny, "C2ST", "corrected", "efficiency", "TARP", "ranks of")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    store = Store(tmp_path_factory.mktemp("small") / "store")
    sizes = {"n_samples": 200, "n_events": 40, "n_repeat": 2, "n_calibration": 25}
    campaign = Campaign(store, "gaussian", n_observations=3, **sizes)
    campaign.make()
    return campaign


def test_what_is_observed_was_not_trained_on(small):
    parts = [small.train, small.observations, small.calibration]
    assert [part.sizes["sample"] for part in parts] == [200, 3, 25]
    values = [set(part["theta"].values[:, 0].tolist()) for part in parts]
    assert not values[0] & values[1]
    assert not values[0] & values[2]
    assert not values[1] & values[2]


def test_stored_and_on_the_fly_give_the_same_weights(small):
    found = compare_ways(Training.preset("quick"), small, n_samples=150, epochs=1)
    difference = dict(zip(found["way"].values, found["difference"].values, strict=True))
    assert difference["stored"] == difference["on the fly"] == 0
    assert difference["fresh"] == 0  # the first epoch is that of the stored samples
    again = compare_ways(Training.preset("quick"), small, n_samples=150, epochs=2)
    assert float(again["difference"].sel(way="on the fly")) == 0
    assert float(again["difference"].sel(way="fresh")) > 0


def test_pictures_of_sets(small):
    theta = small.observations["theta"]
    limit = fisher_information(small.single, theta, n_draws=500)
    truth = observed_sets(small.observations)["theta"]
    pages = [
        sets_figure(small.observations),
        information_figure(limit, theta),
        point_figure(truth + 0.1, truth),
    ]
    assert [sum(a.get_visible() for a in page.axes) for page in pages] == [2, 1, 5]


WRONG = {
    "no theta": ({"n_samples": 0}, "n_samples should be at least 1"),
    "no problem": ({"problem": "gausian"}, "did you mean 'gaussian'"),
    "no events": ({"n_events": 0}, "n_events should be at least 1"),
    "random sizes": ({"problem": "realistic_dis_events"}, "sets of random size"),
    "no setting": ({"settings": {"n_event": 3}}, "n_event"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_wrong_campaigns_are_named(given, message, tmp_path: Path):
    with pytest.raises(LabelError, match=message):
        _ = Campaign(Store(tmp_path), **given).simulator


def test_what_is_missing_names_the_notebook(tmp_path: Path):
    with pytest.raises(StoreError, match="Notebook 1_generate makes these sets"):
        _ = Campaign(Store(tmp_path), n_samples=10, n_events=10).train


def test_sizes_and_kinds_that_cannot_be(small):
    nothing: Inference = None  # type: ignore[assignment]  # nobody gets as far as using it
    with pytest.raises(LabelError, match="sizes lie between 1 and 40 events"):
        posteriors(small, nothing, [41])
    with pytest.raises(LabelError, match='kind is "estimate" or "corrected"'):
        calibrate(small, nothing, "guessed", Effort())


def test_settings_by_name(small):
    assert Training.preset("quick", {"epochs": 3}, small).encoder_epochs == 2
    assert Training.preset("", {}, small) == Training.preset("gaussian")
    assert Training.preset("simplified_dis") != Training()
    assert Training.preset("", {"preset": "quick"}, small) == Training.preset("quick")
    measured = replace(small, problem="realistic_dis")
    assert Training.preset("large", {}, measured) == Training.preset(
        "realistic_dis",
        encoder_samples=300_000,
        epochs=4,
        batch_size=400,
        learning_rate=3e-3,
    )
    with pytest.raises(LabelError, match="did you mean 'quick'"):
        Training.preset("quik", {}, small)


def test_scores_and_verdict_say_what_the_products_hold():
    shape = {"observation": 2, "size": 1, "kind": 3, "parameter": 2}
    kinds = {"kind": ["estimate", "corrected", "reference"]}
    c2st = np.array([0.6, 0.51, np.nan]) + np.array([0.0, 0.02])[:, None, None]
    product = xr.Dataset(
        {
            "c2st": (("observation", "size", "kind"), c2st),
            "c2st_floor": (("observation", "size"), np.full((2, 1), 0.52)),
            "efficiency": (("observation", "size"), np.array([[0.4], [0.2]])),
            "pareto_k": (("observation", "size"), np.array([[0.1], [0.5]])),
            "reliable": (("observation", "size"), np.array([[1], [0]])),
            "sd_ratio": (tuple(shape), np.full(tuple(shape.values()), 1.1)),
        },
        coords={"size": [100], **kinds},
    )
    row = scores(product).loc[100]
    assert row["C2ST"] == pytest.approx(0.61)
    assert row["worst"] == pytest.approx(0.62)
    assert row["lowest"] == pytest.approx(0.2)
    assert row["reliable"] == pytest.approx(0.5)
    assert row["sd / exact"] == pytest.approx(1.1)
    checked = xr.Dataset(
        {
            "ecdf": (("quantity", "fraction"), np.array([[0, 0.5, 1], [0, 0.9, 1], [0, 0.1, 1]])),
            "ecdf_low": ("fraction", np.array([0.0, 0.4, 1.0])),
            "ecdf_high": ("fraction", np.array([0.0, 0.6, 1.0])),
            "efficiency": ("observation", np.array([0.05, 0.5])),
            "pareto_k": ("observation", np.array([0.9, 0.2])),
            "tarp_distance": 0.1,
            "tarp_bound": 0.2,
            "uniformity_p": ("quantity", np.array([0.5, 1e-6, 1e-4])),
            "rank": (("observation", "quantity"), np.array([[0, 0, 3], [4, 4, 4]])),
        },
        coords={"quantity": ["good", "bad", "log_likelihood"]},
        attrs={"kind": "estimate", "draw_count": 4},
    )
    text = verdict(checked)
    assert (
        "mean rank 0.875 (exact: 0.5), uniform with p = 0.0001; below 0.01: the posterior is "
        "too wide" in text
    )
    assert "ranks of 1 of 2 quantities" in text
    assert "outside: bad" in text
    assert "largest difference 0.100" in text
    assert "below 10% for 50.0%" in text


def test_a_size_that_was_not_trained_gives_no_posterior_of_no_width(tiny):
    """With one trained size log N is a constant: nothing was learnt of what another does."""
    store = tiny.store
    settings = {"n_samples": 600, "n_events": 60, "n_observations": 2}
    campaign = Campaign(store, n_calibration=60, **settings)
    inference = campaign.inference(Training.preset("quick", epochs=3), progress=False)
    observed = observed_sets(campaign.observations)["events"]
    whole = inference.sample(observed, 200, probe=False)["theta"].std("draw")
    with pytest.warns(UserWarning, match="not trained with"):
        half = inference.sample(observed.isel(event=slice(0, 30)), 200, probe=False)["theta"].std(
            "draw"
        )
    assert float((half / whole).min()) > 0.2


def test_curves_are_scored_against_the_reference(tiny):
    table = scores(tiny.store.open(tiny.products["posteriors"]))
    names = [name for name in table.columns if "error / exact" in name]
    assert names == ["density_x: error / exact"]
    assert (table[[*names, "width / exact"]] > 0).all(axis=None)
