"""What is cleaned and trained in this study, with which settings: pools, networks.

Each step is kept in the store and found there again. The number of modes is chosen on validation
skies, and networks are trained from cleaned pools, of which they hold out members of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import xarray as xr

from presage.batches import Paired
from presage.fitting import fit
from presage.generate import simulate
from presage.labels import LabelError
from presage.models.fitted_cubes import FittedCubes
from presage.models.unet import INPUTS, UNet
from presage.models.unet_network import LOSSES
from presage.store import Store
from presage.studies.settings import StudySettings, setting
from presage.studies.sky.campaign import Campaign
from presage.studies.sky.cleaned import CleanedSky
from presage.studies.sky.rivals import POOLS
from presage.studies.sky.study import STUDY

#: What a network starts from, and what that method is called in comparisons.
NETWORKS = {"pca": "network", "wiener": "network_wiener"}


class Trained(NamedTuple):
    """What a training leaves: linear fits as datasets, and networks over each."""

    basis: xr.Dataset
    wiener: xr.Dataset
    network: FittedCubes | None = None
    network_wiener: FittedCubes | None = None


@dataclass(frozen=True)
class Training(StudySettings):
    """Settings from stored skies to trained networks.

    Parameters
    ----------
    over
        What networks start from, one for each: cubes cleaned by principal components ("pca"), by
        the learned Wiener filter ("wiener").
    modes
        Principal components that are removed; 0 takes the number after which validation skies
        are most like their signals: of the highest correlation.
    scatter
        Of the foregrounds that networks train on: each is multiplied by a factor with this
        standard deviation of its logarithm. It makes a network cautious where foregrounds are
        not those of the training, at a price where they are.
    network_inputs
        Of the network over principal components, see :class:`~presage.models.UNet`.
    widths
        Channels of its levels.
    loss
        What it minimises.
    epochs
        Passes over the longest pool.
    batch_size
        Skies of a step.
    learning_rate
        The highest one.
    ema
        Decay of the weights' moving average.
    accumulate
        Parts in which a batch goes through the network, to save memory.
    precision
        Of the network's arithmetic: "bf16-mixed" on a GPU.
    seed
        Of the trainings.
    """

    over: tuple[str, ...] = setting(("pca", "wiener"), choices=("pca", "wiener"))
    modes: int = setting(0, least=0)
    scatter: float = 0.5
    network_inputs: str = setting("cleaned+amplitude", choices=tuple(INPUTS))
    widths: tuple[int, ...] = (8, 16, 32)
    loss: str = setting("whitened", choices=tuple(LOSSES))
    epochs: int = setting(20, least=1)
    batch_size: int = setting(8, least=1)
    learning_rate: float = 4e-3
    ema: float = 0.99
    accumulate: int = setting(1, least=1)
    precision: str = "32-true"
    seed: int = 0

    origin: ClassVar[str] = "presage.studies.sky:Campaign"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = STUDY.presets

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.over:
            raise LabelError("over names what networks start from: pca, wiener or both")

    def n_modes(self, campaign: Campaign) -> int:
        """Return how many modes are removed."""
        return self.modes or int(campaign.scan.attrs["best_modes"])

    def cleaned(
        self, campaign: Campaign, part: str = "train", over: str = "pca", scatter: float = 0.0
    ) -> dict[str, xr.Dataset]:
        """Clean each pool of a part, or return what was cleaned before: pool → dataset.

        The foregrounds are first scattered by this much.
        """
        basis = campaign.basis if over == "pca" else campaign.wiener
        modes = self.n_modes(campaign) if over == "pca" else 0
        spread = {"foreground": scatter}
        sources = {
            n: CleanedSky(pool, basis, modes, spread.get(n, 0.0))
            for n, pool in campaign.pools(part).items()
        }
        return {n: simulate(s, s.length, store=campaign.store) for n, s in sources.items()}

    def pairs(self, campaign: Campaign, over: str = "pca") -> Paired:
        """Return the training skies, as sums of cleaned pools beside their signals."""
        pools = self.cleaned(campaign, over=over, scatter=self.scatter)
        names = ("cleaned", "amplitude") if over == "pca" else ("cleaned",)
        columns: dict[str, Any] = {n: [f"{pool}.{n}" for pool in POOLS] for n in names}
        pools["signal"] = pools["signal"].assign(campaign.pools()["signal"].data_vars)
        return Paired(pools, {**columns, "signal": "signal.signal"}, seed=campaign.seed)

    def network(self, campaign: Campaign, over: str = "pca") -> UNet:
        """Return the specification of a network."""
        return UNet(
            inputs=self.network_inputs if over == "pca" else "cleaned",
            periodic=campaign.across,
            widths=self.widths,
            loss=self.loss,
        )

    def fit(self, campaign: Campaign, store: Store | None = None) -> Trained:
        """Fit and train all of it, or return what was.

        Parameters
        ----------
        campaign
            Whose training skies are made first, where they are missing.
        store
            That of the campaign, if any.

        Raises
        ------
        LabelError
            Another store, or no campaign.
        """
        if not isinstance(campaign, Campaign) or store not in (None, campaign.store):
            raise LabelError(
                "the study sky trains on a campaign, whose pools and store go together: "
                "presage train sky --sky hard"
            )
        campaign.make()
        networks = {NETWORKS[over]: self.train(campaign, over) for over in self.over}
        return Trained(campaign.basis, campaign.wiener, **networks)

    def train(self, campaign: Campaign, over: str = "pca", progress: bool = True) -> FittedCubes:
        """Train a network over cleaned pools, or return it."""
        return fit(
            self.network(campaign, over),
            self.pairs(campaign, over),
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            ema=self.ema,
            accumulate=self.accumulate,
            precision=self.precision,
            seed=self.seed,
            store=campaign.store,
            progress=progress,
        )
