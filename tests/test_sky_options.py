"""What is not the study's default, through all that the notebooks do: visibilities, own cubes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from presage.inputs import InputWarning
from presage.labels import LabelError
from presage.store import Store
from presage.studies.sky import Campaign, SkyResiduals, Training, exact_filter, sky_figures
from presage.studies.sky.evaluation import evaluate
from presage.studies.sky.figures import eigenvalue_figure
from presage.studies.sky.geometry import Patch
from presage.studies.sky.rivals import observed
from presage.studies.sky.skies import SKIES, SkyForegrounds
from presage.studies.sky.visibilities import Interferometer
from presage.transforms import PCA, Wiener

TRAINING = Training.preset("tiny")


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """The preset with fewer baselines, made."""
    few = replace(SKIES["visibilities"], beam=Interferometer(baselines=6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SKIES, "visibilities", few)
        store = Store(tmp_path_factory.mktemp("visibilities") / "store")
        made = Campaign.preset("tiny", {"sky": "visibilities"}, store=store)
        made.make()
        yield made


@pytest.fixture(scope="module")
def residuals(campaign: Campaign) -> SkyResiduals:
    """All methods on held-out visibilities."""
    return evaluate(campaign, TRAINING)


def test_methods_stand_where_they_can(residuals: SkyResiduals) -> None:
    """Networks of one epoch learn little; the one over the filter starts beyond PCA's reach."""
    product = residuals.dataset
    assert product["truth"].dims == ("sky", "frequency", "baseline", "right_ascension")
    assert product["truth"].attrs["units"] == "mK sr"
    assert product.sizes["k"] > 4
    band = product["ratio_to_limit_band"].isel(band=-1).to_series()
    assert band.min() > 0.97
    assert band["wiener_learned"] < 1.2
    assert band["network_wiener"] < 1.5 < band["pca"]
    assert abs(float(product["coverage"].sel({"cleaner": "limit", "level": 0.68})) - 0.68) < 0.04


def test_sums_of_cached_visibilities_are_the_cleaned_sum(campaign: Campaign) -> None:
    """Of complex values: a phase on the sky is one on what is left of it."""
    seen, signal = observed(campaign.pools(), slice(0, 4)), campaign.pools()["signal"]["signal"]
    turned = seen.copy(data=np.stack([-seen.values[:, :, 1], seen.values[:, :, 0]], axis=2))
    modes = TRAINING.n_modes(campaign)
    cleaners = {
        "pca": lambda cube: PCA(campaign.basis).clean(cube, modes),
        "wiener": Wiener(campaign.wiener).clean,
    }
    for over, clean in cleaners.items():
        cached, found = TRAINING.cleaned(campaign, over=over), clean(seen)
        added = sum(pool["cleaned"].isel(sample=slice(0, 4)).values for pool in cached.values())
        scale = 1e-6 * float(signal.std())
        assert np.sqrt(((added - found.values) ** 2).mean()) < scale
        assert np.abs(clean(turned).values[:, :, 1] - found.values[:, :, 0]).max() < scale


def test_figures_are_drawn(campaign: Campaign, residuals: SkyResiduals) -> None:
    strengths = sky_figures.strengths(campaign)
    assert strengths.columns.tolist() == ["rms [mK sr]", "exact [mK sr]"]
    np.testing.assert_allclose(strengths.iloc[:, 0], strengths.iloc[:, 1], rtol=0.2)
    pages = [
        sky_figures.pools_figure(campaign),
        sky_figures.power_figure(campaign),
        sky_figures.learned_figure(campaign),
        sky_figures.look_figure(campaign, TRAINING),
        eigenvalue_figure(campaign.basis, campaign.scan),
        residuals.planes(),
        residuals.spectra(),
        residuals.maps(),
        residuals.lines_of_sight(),
    ]
    for page in pages:
        assert any(axes.has_data() for axes in page.axes)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """Foregrounds from a file, whose axes and units are another program's."""
    folder = tmp_path_factory.mktemp("own")
    patch = Patch(low=700.0, high=740.0, channels=10, pixels=12, pixel=0.5)
    cubes = SkyForegrounds(patch=patch).observed(np.random.default_rng(1), 40)
    with h5py.File(folder / "skies.h5", "w") as file:
        file["maps"] = 1e-3 * cubes.transpose(0, 2, 3, 1)[..., ::-1]
        file["nu"] = patch.frequency[::-1] / 1e3
    said = {"dims": "sample, y, x, frequency", "array": "maps", "frequency": "nu", "unit": "K",
            "frequency_unit": "GHz", "pixel": 0.5}  # fmt: skip
    given = {"sky": "easy", "foreground_files": str(folder / "skies.h5"), "file_settings": said}
    campaign = Campaign.preset("tiny", given, store=Store(folder / "store"))
    with pytest.warns(InputWarning):
        campaign.make()
    assert campaign.model.patch == patch
    found = campaign.pools("held_out")["foreground"]["foreground"]
    np.testing.assert_allclose(found, cubes[-8:], rtol=1e-12)
    return campaign


def test_foregrounds_of_ones_own_go_all_the_way(own: Campaign) -> None:
    """Their covariances are measured, and what was measured is called so."""
    found = evaluate(own, TRAINING)
    band = found.dataset["ratio_to_limit_band"].isel(band=-1).to_series()
    assert band.min() > 0.97
    assert band["wiener_learned"] < 1.05 < band["pca"]
    assert "measured on all cubes" in found.verdict()
    assert found.dataset.attrs["sky"] == "easy, own cubes"
    assert found.table().index[0] == "Limit: Wiener filter, measured"
    true = exact_filter(own.model)  # of what the file was made with
    left = [np.einsum("sff->s", c) for c in
            (own.limit().residual_covariance(true), true.residual_covariance())]  # fmt: skip
    assert 1 < np.median(left[0] / left[1]) < 1.2
    other = evaluate(own, TRAINING, own.other)
    assert "true covariances" in other.verdict()
    for page in (sky_figures.power_figure(own), sky_figures.learned_figure(own)):
        assert any(axes.has_data() for axes in page.axes)
    assert np.isnan(sky_figures.strengths(own).loc["foreground"].iloc[1])


def test_files_are_known_by_their_content(own: Campaign, tmp_path: Path) -> None:
    moved = shutil.copy(own.foreground_files, tmp_path / "skies.h5")
    assert replace(own, foreground_files=moved).inputs() == own.inputs()
    with h5py.File(moved, "r+") as file:
        file["maps"][0, 0, 0, 0] += 1.0
    assert replace(own, foreground_files=moved).inputs() != own.inputs()
    with pytest.raises(LabelError, match="take another sky"):
        replace(own, sky="visibilities").inputs()
    with pytest.raises(LabelError, match=r"40 cubes of foregrounds are too few.*n_held_out=10"):
        replace(own, n_held_out=20).pools()
