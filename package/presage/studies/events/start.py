"""What a run of the study starts from: asked, and its parameters checked, before any notebook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from presage.labels import LabelError
from presage.labels.errors import check_name
from presage.store import Store
from presage.studies.events.campaign import Campaign
from presage.studies.events.refine.folds import SCHEMES
from presage.studies.events.training import Training

#: Notebooks' parameter → its least value, where no object of the study would refuse it in time.
_LEAST = {
    "interior": 0, "edge": 0, "n_truth": 1, "n_grid": 1, "n_generated": 1, "histogram_bins": 1,
    "folds": 2, "refine": 1, "n_random": 0,
}  # fmt: skip


def inputs(parameters: Mapping[str, Any], store: Store) -> dict[str, str]:
    """Return the recipe key of the events: of a simulator's settings, of files by content.

    Parameters
    ----------
    parameters
        Those of the notebooks.
    store
        Where datasets live.

    Raises
    ------
    ValueError
        A value makes no sense, or files cannot be read; the message says which.
    """
    for name, least in _LEAST.items():
        if parameters.get(name, least) < least:
            raise LabelError(f"{name} should be at least {least}, got {parameters[name]}")
    scheme = parameters.get("scheme", SCHEMES[0])
    check_name("scheme", scheme, SCHEMES)
    settings = {**parameters, "seed": parameters.get("training_seed", 0)}
    Training(**_own(Training, settings)).check()
    campaign = Campaign(store, **_own(Campaign, parameters))
    campaign.check()
    return {"events": campaign.producer.recipe(campaign.events_seed).key}


def _own(kind: type, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that a class has fields for, lists as tuples."""
    known = {f.name for f in fields(kind)}
    own = {name: value for name, value in parameters.items() if name in known - {"store"}}
    return {n: tuple(v) if isinstance(v, list) else v for n, v in own.items()}
