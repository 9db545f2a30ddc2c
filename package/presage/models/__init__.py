"""Models by name: frozen dataclasses of settings that prepare data and build a network."""

from __future__ import annotations

from typing import Any

from presage.labels import LabelError, nearest
from presage.models.conditional import ConditionalFlow
from presage.models.flow import MAF, SplineFlow

#: Name → specification.
MODELS: dict[str, type[Any]] = {SplineFlow.name: SplineFlow, MAF.name: MAF}


def model(name: str, **fields: Any) -> Any:
    """Return the specification of a model by its name.

    Parameters
    ----------
    name
        ``"spline_flow"``, ``"maf"``...
    fields
        Its settings.

    Raises
    ------
    LabelError
        No such model, or no such setting; the nearest name is suggested.
    """
    if name not in MODELS:
        raise LabelError(f"no model {name!r}{nearest(name, MODELS)}")
    kind = MODELS[name]
    for given in fields:
        if given not in kind.__dataclass_fields__:
            known = kind.__dataclass_fields__
            raise LabelError(f"{name} has no setting {given!r}{nearest(given, known)}")
    return kind(**fields)


__all__ = ["MAF", "MODELS", "ConditionalFlow", "SplineFlow", "model"]
