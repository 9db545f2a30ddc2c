"""What is trained in this study, with which settings: shared by the notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import presage.plugins as plugins
from presage.fitting import Fitted, Settings, fit, fit_recipe, load, settings_for
from presage.labels import LabelError
from presage.models.ensemble import Ensemble
from presage.models.fitted_density import FittedDensity
from presage.models.table import MODELS, specification, with_settings
from presage.studies import made_by
from presage.studies.events.campaign import Campaign
from presage.studies.events.study import STUDY
from presage.studies.settings import StudySettings, setting
from presage.typed import frozen

if TYPE_CHECKING:
    from presage.studies.events.refine.kfolds import Fold

#: Name → schedule as this study means it.
_SCHEDULES: dict[str, dict[str, Any]] = {
    # Keras's PolynomialDecay(1e-3, 100, 1e-4, 0.5, cycle=True): what begins anew is shallower.
    "fedhex": {"name": "polynomial_decay", "power": 0.5, "end": 0.1, "steps": 100, "stretch": True},
}


@dataclass(frozen=True)
class Training(StudySettings):
    """A model and the settings of its training; what is empty or 0 is the model's own choice.

    Parameters
    ----------
    model
        A density of columns, "my_package.nets:MyModel" for one of your own.
    hidden
        Widths of the network's hidden layers; this and the next two for models that have them.
    layers
        Maps in a row.
    bins
        Segments of a spline.
    members
        Networks; above 1 an ensemble of them.
    epochs
        Passes over the events, by default those that suit their number.
    batch_size
        Events of a step.
    learning_rate
        The highest one.
    ema
        Decay of the weights' moving average.
    schedule
        Of the learning rate; "fedhex" is that system's fall to 0.1 of it with the root of the
        steps that are left, begun anew every 100 steps.
    seed
        Seed of the training.
    resample
        Number of a bootstrap sample of the events to train on, from 0 on; -1 for the events.
    """

    model: str = setting("spline_flow", choices=tuple(MODELS), group=plugins.MODELS)
    hidden: tuple[int, ...] = ()
    layers: int = 0
    bins: int = 0
    members: int = setting(1, least=1)
    epochs: int = 0
    batch_size: int = 0
    learning_rate: float = 0.0
    ema: float = 0.0
    schedule: str = ""
    seed: int = 0
    resample: int = setting(-1, least=-1)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = STUDY.presets

    @cached_property
    def specification(self) -> Any:
        """The model's specification.

        Raises
        ------
        LabelError
            The model is no density that could be drawn from, or has no such setting.
        """
        kind = specification(self.model)
        given = {n: value for n in ("hidden", "layers", "bins") if (value := getattr(self, n))}
        # What a preset sets is for all models, which take what they have of it.
        shared = [(n, frozen(value)) for one in self.presets.values() for n, value in one.items()]
        settings = {
            name: value
            for name, value in given.items()
            if name in kind.__dataclass_fields__ or (name, value) not in shared
        }
        if self.model == Ensemble.name:
            raise LabelError(
                "an ensemble is made of a model that stands on its own: give that as model, and "
                "members=4"
            )
        if not issubclass(getattr(kind, "fitted", Fitted), FittedDensity):
            raise LabelError(
                f"{self.model} is no density of columns: events cannot be drawn from it"
            )
        alone = with_settings(kind, self.model, settings)
        return alone if self.members == 1 else Ensemble(self.model, self.members, settings)

    def check(self, run: Mapping[str, Any]) -> None:
        """Raise now what wrong settings would raise at the training."""
        _ = self.specification
        Settings(**self._settings())

    def fit(self, campaign: Campaign | Fold, progress: bool = True) -> FittedDensity:
        """Train on a campaign's events, or a fold's; or return what was trained before."""
        fitted: FittedDensity = fit(
            self.specification,
            campaign.train,
            seed=self.seed,
            store=campaign.store,
            progress=progress,
            **self._settings(),
        )
        return fitted

    def load(self, campaign: Campaign) -> FittedDensity:
        """Return the trained model.

        Raises
        ------
        StoreError
            It was not trained yet; the message says what trains it.
        """
        model = self.specification
        settings = settings_for(model, campaign.train, **self._settings())
        recipe = fit_recipe(model, campaign.train, settings, self.seed, campaign.store)
        with made_by("2_train", f"{self.model} with these settings", "events"):
            own = {model.name: type(model)}
            fitted: FittedDensity = load(recipe.key, campaign.store, models=own)
        return fitted

    def _settings(self) -> dict[str, Any]:
        """Return what was given."""
        names = ("epochs", "batch_size", "learning_rate", "ema", "schedule")
        given = {name: getattr(self, name) for name in names if getattr(self, name)}
        if self.resample >= 0:
            given["resample"] = self.resample
        if self.schedule in _SCHEDULES:
            given["schedule"] = _SCHEDULES[self.schedule]
        return given
