"""Simulators from a name and from text: their fields, checked by name and type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from presage.cli.common import setting
from presage.labels import nearest
from presage.pipeline.parameters import ParameterError

if TYPE_CHECKING:
    from presage.simulator import Source

#: Field of a simulator → the option that sets it.
OPTIONS = {"n_events": "--num-events", "n_repeat": "--n-repeat", "device": "--device"}


def build(kind: Any, given: Mapping[str, str], options: Mapping[str, Any] | None = None) -> Source:
    """Build a simulator from text, checked against the types of its fields.

    `given` is field → text; `options` field → value of the command's own options, None where
    none was given.

    Raises
    ------
    ParameterError
        No such field, or a value of another type.
    """
    if not isinstance(kind, type) or not hasattr(kind, "schema"):
        raise ParameterError(f"{getattr(kind, 'name', kind)} is not a simulator")
    types = {f.name: f.type for f in fields(kind) if f.init}
    settings: dict[str, Any] = {}
    for name, value in (options or {}).items():
        if value is None:
            continue
        if name not in types:
            raise ParameterError(
                f"{getattr(kind, 'name', kind.__name__)} has no setting {name!r}, which "
                f"{OPTIONS.get(name, name)} sets; it has {', '.join(types) or 'none'}"
            )
        settings[name] = value
    for name, text in given.items():
        if name not in types:
            raise ParameterError(f"{kind.__name__} has no setting {name!r}{nearest(name, types)}")
        settings[name] = setting(name, text, str(types[name]))
    try:
        built: Source = kind(**settings)
    except TypeError as error:
        raise ParameterError(f"{kind.__name__}: {error}") from None
    return built
