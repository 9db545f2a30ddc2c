"""What is trained in this study, with which settings: encoder, features, posterior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import xarray as xr

from presage.batches import block_size
from presage.fitting import fit
from presage.generate import simulate
from presage.lineage import sample_dim, take
from presage.models.fitted_encoder import FittedEncoder
from presage.models.fitted_posterior import FittedPosterior
from presage.models.posterior import PosteriorFlow
from presage.models.sets import SetEncoder
from presage.store import Store
from presage.studies.pdf.features import PooledFeatures
from presage.studies.pdf.study import STUDY
from presage.studies.settings import StudySettings, setting


class Trained(NamedTuple):
    """What a training leaves.

    Attributes
    ----------
    encoder
        The set encoder.
    features
        Pooled features of every view, as a stored dataset.
    posterior
        The posterior of these features.
    """

    encoder: FittedEncoder
    features: xr.Dataset
    posterior: FittedPosterior


@dataclass(frozen=True)
class Training(StudySettings):
    """All settings, from stored sets to a posterior.

    Parameters
    ----------
    hidden
        Widths of the encoder's hidden layers, see :class:`~presage.models.SetEncoder`.
    seeds
        Learned questions of its attention; 0 pools by the mean alone.
    objective
        What its point estimate minimises.
    regress, place
        Feature whose curve is fitted by least squares, and the feature along which it goes.
    encoder_epochs
        Passes of the encoder's training; each sees one set of every theta.
    encoder_batch
        Theta of a step of it.
    encoder_rate
        Its learning rate.
    encoder_samples
        Theta that it is trained with, the first ones: what more of them teach, they teach the
        posterior.
    smallest
        Fewest events that the encoder is trained with.
    sizes
        Numbers of events that the posterior is trained for; those above the stored sets' size
        are left out, and that size itself is always among them.
    per_size
        Disjoint parts of one size taken from each stored set.
    head
        Widths of the posterior's layers, see :class:`~presage.models.PosteriorFlow`.
    flow_hidden, layers, bins
        Of its flow: widths of hidden layers, maps in a row, segments of a spline.
    link
        How the posterior keeps to the prior's box.
    views
        Of a theta in a batch of the posterior's training.
    straight
        Coordinates in which the posterior of a curve is straight, see
        :data:`presage.models.box.COORDINATES`.
    epochs
        Passes of the posterior's training.
    batch_size
        Theta of a step of it.
    learning_rate
        The highest one.
    weight_decay
        Of AdamW.
    ema
        Decay of the weights' moving average.
    patience
        Epochs without a better loss of held-out theta after which it ends; 0 trains to the end.
        The weights kept are those with the best such loss.
    validation
        Share of the theta that is held out: the last ones.
    seed
        Of both trainings.
    """

    hidden: tuple[int, ...] = (64, 64)
    seeds: int = 4
    objective: str = "mse"
    regress: str = ""
    place: str = ""
    encoder_epochs: int = setting(1, least=1)
    encoder_batch: int = 64
    encoder_rate: float = 2e-3
    encoder_samples: int = setting(100_000, least=2)
    smallest: int = 50
    sizes: tuple[int, ...] = (100, 300, 1000)
    per_size: int = 2
    head: tuple[int, ...] = (256, 256)
    flow_hidden: tuple[int, ...] = (64,)
    layers: int = 1
    bins: int = 8
    link: str = "truncated"
    views: int = 8
    straight: str = ""
    epochs: int = setting(10, least=1)
    batch_size: int = 100
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    ema: float = 0.998
    patience: int = 0
    validation: float = 0.05
    seed: int = 0

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = STUDY.presets

    @classmethod
    def of_preset(cls, name: str, *before: Any) -> dict[str, Any]:
        """Return named settings: of the study's presets, or those measured for a problem.

        With a campaign made `before`, its problem's own are what all others begin from.
        """
        if name in PRESETS:
            return dict(PRESETS[name])
        own = PRESETS.get(before[0].problem, {}) if before else {}
        return {**own, **super().of_preset("" if name == "auto" else name)}

    @property
    def encoder_model(self) -> SetEncoder:
        """The encoder's specification."""
        return SetEncoder(
            hidden=tuple(self.hidden),
            seeds=self.seeds,
            objective=self.objective,
            regress=self.regress,
            place=self.place,
            smallest=self.smallest,
        )

    @property
    def posterior_model(self) -> PosteriorFlow:
        """The posterior's specification."""
        return PosteriorFlow(
            hidden=tuple(self.head),
            flow_hidden=tuple(self.flow_hidden),
            layers=self.layers,
            bins=self.bins,
            link=self.link,
            views=self.views,
            straight=self.straight,
        )

    def fit(self, events: xr.Dataset, store: Store, *, progress: bool = True) -> Trained:
        """Train the encoder, cache the features of all views, train the posterior.

        What is in the store already is not done again.

        Parameters
        ----------
        events
            Sets of a problem, stored or on the fly: both give the same.
        store
            Where all three go.
        progress
            Whether to show bars.
        """
        encoder = self.fit_encoder(events, store, progress=progress)
        features = self.pool(events, encoder, store, progress=progress)
        return Trained(encoder, features, self.fit_posterior(features, store, progress=progress))

    def fit_encoder(
        self, events: xr.Dataset, store: Store | None, *, progress: bool = True
    ) -> FittedEncoder:
        """Train the encoder, or return it; without a store it stays in memory."""
        if events.sizes[sample_dim(events)] > self.encoder_samples:
            events = take(events, slice(0, self.encoder_samples))
        return fit(
            self.encoder_model,
            events,
            epochs=self.encoder_epochs,
            batch_size=self._batch(self.encoder_batch, events),
            learning_rate=self.encoder_rate,
            ema=0.99,
            clip=1.0,
            validation=self._held_out(events),
            # The order that samples on the fly have; merged or imported ones know no blocks.
            shuffle="aligned" if block_size(events) else "auto",
            seed=self.seed,
            store=store,
            progress=progress,
        )

    def _held_out(self, samples: xr.Dataset) -> tuple[int, int] | float:
        """Return the same theta for both trainings."""
        total = samples.sizes["sample"]
        count = round(self.validation * total)
        return (total - max(1, count), total) if self.validation else 0.0

    def _batch(self, wanted: int, data: xr.Dataset) -> int:
        """Return the size of batches: no larger than the training part."""
        samples = data.sizes[sample_dim(data)]
        return min(wanted, samples - round(self.validation * samples))

    def pool(
        self, events: xr.Dataset, encoder: FittedEncoder, store: Store, *, progress: bool = True
    ) -> xr.Dataset:
        """Make the features of all views, or return them."""
        stored = events.sizes["event"]
        sizes = tuple(sorted({min(n, stored) for n in (*self.sizes, stored)}, reverse=True))
        if "event_count" in events:  # how many there are is part of the observation
            sizes = ()
        source = PooledFeatures(events, encoder, sizes, self.per_size)
        return simulate(source, source.length, store=store, progress=progress)

    def fit_posterior(
        self, features: xr.Dataset, store: Store, *, progress: bool = True
    ) -> FittedPosterior:
        """Train the posterior, or return it."""
        options: Mapping[str, Any] = {"name": "adamw", "weight_decay": self.weight_decay}
        return fit(
            self.posterior_model,
            features,
            epochs=self.epochs,
            batch_size=self._batch(self.batch_size, features),
            learning_rate=self.learning_rate,
            optimizer=options,
            ema=self.ema,
            clip=5.0,
            validation=self._held_out(features),
            keep="best",
            patience=self.patience or None,
            seed=self.seed,
            store=store,
            progress=progress,
        )


#: Problem → settings that differ from the defaults, as they were measured with 1e5 theta
#: and a set of 1000 events for each. For `realistic_dis` the features are the coefficients of
#: least squares, so the encoder beside them is small.
PRESETS: dict[str, dict[str, Any]] = {
    "gaussian": {},
    "simplified_dis": {"epochs": 16, "batch_size": 200},
    "realistic_dis": {
        "hidden": (16,),
        "seeds": 0,
        "regress": "F2",
        "place": "x",
        "straight": "bounded_curve",
        "head": (512, 512),
        "epochs": 12,
    },
    "mceg": {},
}
