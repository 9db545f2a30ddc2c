"""What a run of the study starts from: asked, and its parameters checked, before any notebook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from presage.labels import LabelError
from presage.store import Store
from presage.studies.pdf.campaign import Campaign

#: Notebooks' parameters that are numbers of draws.
_DRAWS = ("n_draws", "n_proposals", "n_ranked", "n_kept")


def inputs(parameters: Mapping[str, Any], store: Store) -> dict[str, str]:
    """Return the recipe key of the training sets, which holds the problem and its settings.

    Parameters
    ----------
    parameters
        Those of the notebooks.
    store
        Where datasets live.

    Raises
    ------
    ValueError
        A value makes no sense; the message says which.
    """
    own = {f.name for f in fields(Campaign)} - {"store", "settings"}
    campaign = Campaign(store, **{n: v for n, v in parameters.items() if n in own})
    given = {"name": "training", "epochs": "epochs", "seed": "training_seed"}
    campaign.training(**{n: parameters[p] for n, p in given.items() if p in parameters})
    for name in _DRAWS:
        if parameters.get(name, 1) < 1:
            raise LabelError(f"{name} should be at least 1, got {parameters[name]}")
    if parameters.get("epochs", 0) < 0 or min(parameters.get("sizes", [1]), default=1) < 1:
        raise LabelError("epochs should be at least 0, and each of sizes at least 1")
    which, number = parameters.get("observation", 0), campaign.n_observations
    if not 0 <= which < number:
        raise LabelError(
            f"observation is the number of one of the {number} observations, 0 to {number - 1}; "
            f"got {which}"
        )
    return {"train": campaign.simulator.recipe(campaign.seed).key}
