"""Models by name: presage's own, those of installed packages, those of a user's own module.

A name that stands in a stored recipe is looked up among the first two alone: a file never says
which code is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import presage.plugins as plugins
from presage.labels import LabelError, nearest

#: Name → ``"module:Class"`` of its specification.
MODELS: Mapping[str, str] = {
    "spline_flow": "presage.models.flow:SplineFlow",
    "maf": "presage.models.flow:MAF",
    "realnvp": "presage.models.coupling:RealNVP",
    "coupling_spline": "presage.models.coupling:CouplingSpline",
    "mixture_density": "presage.models.mixture:MixtureDensity",
    "ensemble": "presage.models.ensemble:Ensemble",
    "set_encoder": "presage.models.sets:SetEncoder",
    "posterior_flow": "presage.models.posterior:PosteriorFlow",
    "unet": "presage.models.unet:UNet",
}


def specification(name: str) -> type[Any]:
    """Return the class of a model's settings by its name or, as ``"module:Class"``, its address.

    Raises
    ------
    PluginError
        There is no such model; the nearest name is suggested.
    """
    address = plugins.address_of(name, MODELS, plugins.MODELS, "model")
    found: type[Any] = plugins.resolve(address)
    if not (isinstance(found, type) and hasattr(found, "build") and hasattr(found, "name")):
        raise plugins.PluginError(
            f"{address} is no specification of a model: a frozen dataclass with name, version, "
            "prepare(dataset) and build(declaration), as those in presage.models"
        )
    return found


def model(name: str, **fields: Any) -> Any:
    """Return a model with its settings.

    Parameters
    ----------
    name
        ``"spline_flow"``, ``"maf"``, ``"set_encoder"``...; see :data:`MODELS`. Or a name that an
        installed package offers (entry points ``presage.models``), or ``"my_module:MyModel"``.
    fields
        Its settings.

    Raises
    ------
    PluginError
        No such model; the nearest name is suggested.
    LabelError
        No such setting; the nearest name is suggested.
    """
    return with_settings(specification(name), name, fields)


def with_settings(kind: type[Any], name: str, settings: Mapping[str, Any]) -> Any:
    """Return a specification of this kind; `name` is what an error calls it."""
    own = [f.name for f in fields(kind) if f.init]
    for given in settings:
        if given not in own:
            raise LabelError(f"{name} has no setting {given!r}{nearest(given, own)}")
    return kind(**settings)
