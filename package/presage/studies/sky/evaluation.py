"""All methods on held-out skies: what each of them is made from, and their comparison."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import xarray as xr

from presage.models.fitted_cubes import FittedCubes
from presage.studies.sky.campaign import Campaign
from presage.studies.sky.measure import measure
from presage.studies.sky.report import SkyResiduals
from presage.studies.sky.rivals import RIVALS, Cleaner, Examples, Filter
from presage.studies.sky.skies import Sky
from presage.studies.sky.training import NETWORKS, Training
from presage.transforms import PCA, Wiener


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network, and the linear cleaning before it, by which `modes` components go."""

    fitted: FittedCubes
    before: PCA | Wiener
    modes: int = 0

    def clean(self, data: xr.DataArray) -> xr.Dataset:
        """Return ``signal`` and ``signal_error`` of an observed sky."""
        if isinstance(self.before, Wiener):
            return self.fitted.apply(xr.Dataset({"cleaned": self.before.clean(data)}))
        given = {"cleaned": self.before.clean(data, self.modes)}
        given["amplitude"] = self.before.modes_of(data, self.modes)
        return self.fitted.apply(xr.Dataset(given))


def trained(campaign: Campaign, training: Training, over: str) -> Network:
    """Return a network and what it starts from; what is missing is trained."""
    before = PCA(campaign.basis) if over == "pca" else Wiener(campaign.wiener)
    return Network(training.train(campaign, over), before, training.n_modes(campaign))


def evaluate(
    campaign: Campaign, training: Training, sky: Sky | None = None, part: str = "held_out"
) -> SkyResiduals:
    """Compare all methods on held-out skies, once; then read the store.

    Parameters
    ----------
    campaign
        Whose training skies everything was fitted to.
    training
        Of the networks, which are loaded where they were trained.
    sky
        Of the held-out skies: the campaign's own, or `campaign.other`, whose foregrounds no
        method knows.
    part
        ``"validation"`` for the skies that settings are chosen on, whose transfer of power
        :meth:`SkyResiduals.table` takes.
    """
    own, sky = campaign.model, sky or campaign.model
    basis, filtered = PCA(campaign.basis), Wiener(campaign.wiener)
    modes, measured = training.n_modes(campaign), campaign.measured(sky)
    pools = campaign.pools()
    examples = Examples(own, pools, basis, modes)

    @cache
    def unlike() -> Filter:
        """Return the filter of the other sky of two, which takes a while to work out."""
        return Filter(campaign.limit(campaign.other if sky == own else own))

    cleaners: dict[str, Cleaner] = {
        "wiener_other": lambda data: unlike().clean(data),
        "wiener_learned": Filter(filtered).clean,
        **{name: rival(examples).clean for name, rival in RIVALS.items()},
    }
    networks = {over: trained(campaign, training, over) for over in training.over}
    cleaners |= {NETWORKS[over]: network.clean for over, network in networks.items()}
    return measure(
        sky,
        campaign.pools(part, sky),
        cleaners,
        basis=basis,
        modes=modes,
        limit=campaign.limit() if measured else None,
        measured=measured,
        inputs=(
            filtered.dataset,
            *([campaign.measurement] if campaign.reader else []),
            *campaign.pools().values(),
            *(n.fitted for n in networks.values()),
        ),
        store=campaign.store,
        name=campaign.sky + (", another sky" if sky != own else ", own cubes" * measured),
    )
