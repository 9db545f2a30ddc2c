"""The study `sky` as a whole: its notebooks at tiny size, its campaign, what it reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from guides import examples, leaves, run
from presage.labels import LabelError
from presage.pipeline import run_study
from presage.pipeline.run import Run
from presage.store import Store, StoreError
from presage.studies.sky import STUDY, Campaign, SkyResiduals, Training
from presage.studies.sky.rivals import observed
from presage.transforms import PCA, Wiener


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All four notebooks, once."""
    root = tmp_path_factory.mktemp("tiny") / "store"
    (run,) = run_study("sky", preset="tiny", store=root, progress=False)
    return run


@pytest.fixture(scope="module")
def campaign(tiny: Run) -> Campaign:
    """What the notebooks made, from the same settings."""
    return Campaign.preset("tiny", store=tiny.store)


def test_the_study_leaves_labelled_products(tiny: Run) -> None:
    found = SkyResiduals(tiny.store.open(tiny.products["residuals"])).dataset
    methods = set(found["cleaner"].values)
    assert {"limit", "wiener_learned", "wiener_other", "pca", "network"} <= methods
    assert found["truth"].attrs["units"] == "mK"
    assert found["frequency"].attrs["units"] == "MHz"
    pending, seen = [tiny.products["residuals"]], set()
    while pending:
        recipe = tiny.store.find(pending.pop())
        seen.add(recipe.producer)
        pending += [parent.key for parent in recipe.parents]
    made = {"sky_signal", "sky_foregrounds", "sky_noise", "cleaned_sky", "fit-unet", "pca_basis"}
    assert made | {"learned_wiener", "sky_residuals"} <= seen
    assert seen <= set(STUDY.producers)  # of a raised version the notebooks hear


def test_methods_stand_where_they_can(tiny: Run) -> None:
    """Nobody beats the limit but by chance, and the learned ones come near it where it is low."""
    found = tiny.store.open(tiny.products["residuals"])
    band = found["ratio_to_limit_band"].isel(band=-1).to_series()
    assert band.min() > 0.97
    assert band[["wiener_learned", "network", "network_wiener"]].max() < 1.15
    assert band["pca"] > 1.15
    assert abs(float(found["coverage"].sel({"cleaner": "limit", "level": 0.68})) - 0.68) < 0.03


def test_the_study_leaves_figures_and_a_table(tiny: Run) -> None:
    leaves(tiny, "U-Net over PCA", "× limit", "another sky", "Nobody recovers")


def test_the_guide_to_cleaned_skies(tiny: Run, root: Path) -> None:
    (example,) = [e for e in examples(root / "docs/results.md") if "SkyResiduals(" in e]
    names: dict[str, Any] = {"theirs": tiny.store}
    run(example, {"b71c04d9": tiny.products["residuals"]}, names)
    assert names["plane"].shape == names["skies"].dataset["mode_count"].shape
    assert names["cube"].dims == ("frequency", "y", "x")


def test_nothing_is_fitted_to_what_is_held_out(tiny: Run, campaign: Campaign) -> None:
    parts = [campaign.pools(part) for part in ("train", "validation", "held_out")]
    keys = [{pool.attrs["presage_key"] for pool in pools.values()} for pools in parts]
    assert not keys[0] & keys[1] | keys[0] & keys[2] | keys[1] & keys[2]
    for fitted in (campaign.basis, campaign.wiener):
        recipe = tiny.store.find(fitted.attrs["presage_key"])
        assert {parent.key for parent in recipe.parents} == keys[0]


def test_sums_of_cached_cubes_are_the_cleaned_sum(campaign: Campaign) -> None:
    training = Training.preset("tiny")
    where, pools = slice(0, 4), campaign.pools()
    seen, signal = observed(pools, where), pools["signal"]["signal"]
    for over, clean in {
        "pca": lambda cube: PCA(campaign.basis).clean(cube, training.n_modes(campaign)),
        "wiener": Wiener(campaign.wiener).clean,
    }.items():
        cached = training.cleaned(campaign, over=over)
        added = sum(cached[name]["cleaned"].isel(sample=where).values for name in pools)
        error = added - clean(seen).values
        assert np.sqrt((error**2).mean()) < 1e-6 * float(signal.std())


def test_all_that_is_trained_is_found_again(tiny: Run, campaign: Campaign) -> None:
    found = Training.preset("tiny").fit(campaign, tiny.store)
    assert found.basis.attrs["presage_key"] == tiny.products["basis"]
    assert found.network.key == tiny.products["network_pca"]
    with pytest.raises(LabelError, match="trains on a campaign"):
        Training.preset("tiny").fit(campaign.pools()["signal"], tiny.store)


WRONG = {
    "no sky": ({"sky": "leek"}, "did you mean 'leakage'"),
    "few skies": ({"n_skies": 1}, "n_skies should be at least 10"),
    "no noise": ({"noise": -1.0}, "positive share"),
    "no setting": ({"hour": 3}, "hour"),
}


@pytest.mark.parametrize(("given", "text"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_explained(tmp_path: Path, given, text) -> None:
    with pytest.raises(LabelError) as error:
        _ = Campaign.preset("tiny", given, store=Store(tmp_path)).inputs()
    assert text in str(error.value)


def test_a_network_over_nothing_known_is_refused() -> None:
    with pytest.raises(LabelError, match="no over 'wienr'; did you mean 'wiener'"):
        Training(over=("pca", "wienr"))
    with pytest.raises(LabelError, match="pca, wiener or both"):
        Training(over=())


def test_what_was_not_made_names_its_notebook(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="1_simulate makes these skies"):
        Campaign.preset("tiny", store=Store(tmp_path)).pools()
