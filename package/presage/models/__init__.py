"""Models by name: frozen dataclasses of settings that prepare data and build a network."""

from __future__ import annotations

from typing import Any

from presage.models.conditional import ConditionalFlow
from presage.models.coupling import CouplingSpline, RealNVP
from presage.models.density import DensityNetwork
from presage.models.ensemble import SINGLE, Ensemble, single
from presage.models.flow import MAF, SplineFlow
from presage.models.mixture import MixtureDensity
from presage.models.posterior import PosteriorFlow
from presage.models.sets import SetEncoder

#: Name → specification of a density of columns.
MODELS: dict[str, type[Any]] = {**SINGLE, Ensemble.name: Ensemble}
#: The same for sets of events: an encoder, and a posterior of what it encodes.
SET_MODELS: dict[str, type[Any]] = {kind.name: kind for kind in (SetEncoder, PosteriorFlow)}


def model(name: str, **fields: Any) -> Any:
    """Return the specification of a model by its name.

    Parameters
    ----------
    name
        ``"spline_flow"``, ``"maf"``, ``"set_encoder"``...; see :data:`MODELS` and
        :data:`SET_MODELS`.
    fields
        Its settings.

    Raises
    ------
    LabelError
        No such model, or no such setting; the nearest name is suggested.
    """
    return single(name, fields, {**MODELS, **SET_MODELS})


__all__ = [
    "MAF",
    "MODELS",
    "SET_MODELS",
    "ConditionalFlow",
    "CouplingSpline",
    "DensityNetwork",
    "Ensemble",
    "MixtureDensity",
    "PosteriorFlow",
    "RealNVP",
    "SetEncoder",
    "SplineFlow",
    "model",
]
