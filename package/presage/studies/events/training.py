"""What is trained in this study, with which settings: shared by the notebooks."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from presage.fit import Fitted, Settings, fit, fit_recipe, load
from presage.models import MODELS, model
from presage.store import StoreError
from presage.studies.events.campaign import Campaign


@dataclass(frozen=True)
class Training:
    """A model and the settings of its training.

    Parameters
    ----------
    model
        Name in :data:`presage.models.MODELS`.
    hidden, layers, bins
        Settings of the model; `bins` is for those that have any.
    epochs, batch_size, learning_rate, ema
        Settings of :func:`presage.fit`; an `ema` of 0 takes the last weights.
    seed
        Seed of the training.
    """

    model: str = "spline_flow"
    hidden: tuple[int, ...] = (64, 64)
    layers: int = 1
    bins: int = 16
    epochs: int = 50
    batch_size: int = 1024
    learning_rate: float = 5e-3
    ema: float = 0.0
    seed: int = 0

    @property
    def specification(self) -> Any:
        """The model's specification."""
        settings: dict[str, Any] = {"hidden": self.hidden, "layers": self.layers}
        if self.model not in MODELS or "bins" in {f.name for f in fields(MODELS[self.model])}:
            settings["bins"] = self.bins
        return model(self.model, **settings)

    def fit(self, campaign: Campaign) -> Fitted:
        """Train on a campaign's events, or return what was trained before."""
        return fit(
            self.specification,
            campaign.train,
            seed=self.seed,
            store=campaign.store,
            **self._settings(),
        )

    def load(self, campaign: Campaign) -> Fitted:
        """Return the trained model.

        Raises
        ------
        StoreError
            It was not trained yet; the message says what trains it.
        """
        settings = Settings(**self._settings())
        recipe = fit_recipe(self.specification, campaign.train, settings, self.seed, campaign.store)
        try:
            return load(recipe.key, campaign.store)
        except StoreError as error:
            raise StoreError(
                f"{self.model} was not trained with these settings yet ({error}). Notebook "
                "2_train does that: run it first with the same parameters, or all notebooks "
                "with: presage run events"
            ) from error

    def _settings(self) -> dict[str, Any]:
        return {
            # A short rise and quick second moments: the fits are a few thousand steps long.
            "schedule": {"name": "one_cycle", "rise": 0.1, "start": 0.1},
            "optimizer": {"name": "adam", "betas": (0.9, 0.99)},
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "ema": self.ema or None,
        }
