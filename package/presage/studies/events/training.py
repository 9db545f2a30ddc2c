"""What is trained in this study, with which settings: shared by the notebooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from presage.fitting import Fitted, Settings, fit, fit_recipe, load, settings_for
from presage.labels import LabelError
from presage.models.ensemble import Ensemble
from presage.models.fitted_density import FittedDensity
from presage.models.table import specification
from presage.studies import made_by
from presage.studies.events.campaign import Campaign

if TYPE_CHECKING:
    from presage.studies.events.refine.kfolds import Fold

#: Name → schedule as this study means it.
_SCHEDULES: dict[str, dict[str, Any]] = {
    # Keras's PolynomialDecay(1e-3, 100, 1e-4, 0.5, cycle=True): what begins anew is shallower.
    "fedhex": {"name": "polynomial_decay", "power": 0.5, "end": 0.1, "steps": 100, "stretch": True},
}


@dataclass(frozen=True)
class Training:
    """A model and the settings of its training; what is empty or 0 is the model's own choice.

    Parameters
    ----------
    model
        A density of :data:`presage.models.MODELS`, of an installed package, or
        ``"my_module:MyModel"``.
    hidden, layers, bins
        Settings of the model, for those that have them.
    members
        Above 1: an ensemble of so many networks of `model`.
    epochs, batch_size, learning_rate, ema
        Settings of :func:`presage.fit`, by default those that suit the number of events.
    schedule
        A name in :data:`presage.fitting.schedules.SCHEDULES`; ``"fedhex"`` is that system's fall
        to 0.1 of the learning rate with the root of the steps that are left, begun anew every
        100 steps.
    seed
        Seed of the training.
    """

    model: str = "spline_flow"
    hidden: tuple[int, ...] = ()
    layers: int = 0
    bins: int = 0
    members: int = 1
    epochs: int = 0
    batch_size: int = 0
    learning_rate: float = 0.0
    ema: float = 0.0
    schedule: str = ""
    seed: int = 0

    @property
    def specification(self) -> Any:
        """The model's specification.

        Raises
        ------
        PluginError
            No such model; the nearest name is suggested.
        LabelError
            No such setting, or the model is no density that could be drawn from.
        """
        if self.members < 1:
            raise LabelError(
                f"members: 1 is a network alone, 2 a small ensemble; got {self.members}"
            )
        given = {"hidden": tuple(self.hidden), "layers": self.layers, "bins": self.bins}
        settings: dict[str, Any] = {name: value for name, value in given.items() if value}
        kind = specification(self.model)
        known = kind.__dataclass_fields__
        settings = {name: value for name, value in settings.items() if name in known}
        if self.model == Ensemble.name:
            raise LabelError(
                "an ensemble is made of a model that stands on its own: give that as model, and "
                "members=4"
            )
        if not issubclass(getattr(kind, "fitted", Fitted), FittedDensity):
            raise LabelError(
                f"{self.model} is no density of columns: events cannot be drawn from it"
            )
        if self.members > 1:
            return Ensemble(self.model, self.members, settings)
        return kind(**settings)

    def check(self) -> None:
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
        if self.schedule in _SCHEDULES:
            given["schedule"] = _SCHEDULES[self.schedule]
        return given
