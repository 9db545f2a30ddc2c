"""What is not the study's default: visibilities, through all that the notebooks do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from presage.store import Store
from presage.studies.sky import Campaign, SkyResiduals, Training, sky_figures
from presage.studies.sky.evaluation import evaluate
from presage.studies.sky.figures import eigenvalue_figure
from presage.studies.sky.rivals import observed
from presage.studies.sky.skies import SKIES
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
    band = product["ratio_to_limit_band"].isel(band=-1).to_series()
    assert band.min() > 0.97
    assert band["wiener_learned"] < 1.2
    assert band["network_wiener"] < 1.5 < band["pca"]
    assert abs(float(product["coverage"].sel({"method": "limit", "level": 0.68})) - 0.68) < 0.04


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
