"""Models by name: frozen dataclasses of settings that prepare data and build a network."""

from __future__ import annotations

from typing import Any

from presage.models.conditional import ConditionalFlow
from presage.models.coupling import CouplingSpline, RealNVP
from presage.models.density import DensityNetwork
from presage.models.ensemble import SINGLE, Ensemble, single
from presage.models.flow import MAF, SplineFlow
from presage.models.mixture import MixtureDensity

#: Name → specification.
MODELS: dict[str, type[Any]] = {**SINGLE, Ensemble.name: Ensemble}


def model(name: str, **fields: Any) -> Any:
    """Return the specification of a model by its name.

    Parameters
    ----------
    name
        ``"spline_flow"``, ``"maf"``, ``"realnvp"``...; see :data:`MODELS`.
    fields
        Its settings.

    Raises
    ------
    LabelError
        No such model, or no such setting; the nearest name is suggested.
    """
    return single(name, fields, MODELS)


__all__ = [
    "MAF",
    "MODELS",
    "ConditionalFlow",
    "CouplingSpline",
    "DensityNetwork",
    "Ensemble",
    "MixtureDensity",
    "RealNVP",
    "SplineFlow",
    "model",
]
