"""Things by name: presage's own, those of installed packages, those of a user's own module.

Wherever a simulator, reader, model or study is asked for by name, the name may be

* one of presage's own, ``"resonance"``;
* an entry point of an installed package, in the group ``presage.studies``,
  ``presage.simulators`` or ``presage.models``;
* ``"my_package.toys:MySimulator"``, something in a module that Python can import.

A name comes from whoever sits at the keyboard, in Python or on the command line. Files of a
store name what they were made by too: those names are never imported from here.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from presage.labels import nearest

STUDIES, SIMULATORS, MODELS = "presage.studies", "presage.simulators", "presage.models"


class PluginError(ValueError):
    """A name leads to nothing, or its code cannot be imported."""


def is_address(name: str) -> bool:
    """Return whether a name is ``"module:attribute"``."""
    module, colon, attribute = name.partition(":")
    parts = [*module.split("."), *attribute.split(".")]
    return bool(colon) and all(part.isidentifier() for part in parts)


def resolve(address: str) -> Any:
    """Return the object at ``"module:attribute"``.

    Raises
    ------
    PluginError
        There is no such module or attribute, or importing it fails; the cause is attached.
    """
    if not is_address(address):
        raise PluginError(f"code is named as 'module:attribute', got {address!r}")
    module, _, attribute = address.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise PluginError(
            f"{address}: importing {module} failed: {error}. Python looks in the folder that it "
            "was started in, in $PYTHONPATH and among installed packages"
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise PluginError(f"{module} has no {part!r}{nearest(part, _public(found))}")
        found = getattr(found, part)
    return found


@cache
def installed(group: str) -> Mapping[str, str]:
    """Return name → ``"module:attribute"`` of what installed packages offer; nothing is imported.

    Raises
    ------
    PluginError
        Two packages offer different things by one name.
    """
    found: dict[str, str] = {}
    for entry in entry_points(group=group):
        if found.setdefault(entry.name, entry.value) != entry.value:
            raise PluginError(
                f"two installed packages offer {entry.name!r} in {group}: {found[entry.name]} "
                f"and {entry.value}; name one by its address"
            )
    return found


def address_of(name: str, known: Mapping[str, str], group: str, what: str) -> str:
    """Return the address behind a name: one of `known`, of an installed package, or itself.

    Parameters
    ----------
    name
        What was asked for.
    known
        presage's own names → addresses; they win over those of other packages.
    group
        Entry points that are looked through.
    what
        The kind of thing, in the message.

    Raises
    ------
    PluginError
        There is nothing of this name; the nearest is suggested.
    """
    if is_address(name):
        return name
    found = {**installed(group), **known}
    if name not in found:
        raise PluginError(
            f"there is no {what} {name!r}{nearest(name, found)} (one of your own is named by its "
            "module: my_package.toys:MyThing)"
        )
    return found[name]


def _public(thing: Any) -> Iterable[str]:
    return (name for name in dir(thing) if not name.startswith("_"))
