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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any, TypeVar

from presage.labels import nearest
from presage.recipe import settings_of

Named = TypeVar("Named")

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
    except Exception as error:  # whatever a module of somebody's own raises
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
    if name not in found and set(name) & set("./\\:"):
        module, _, thing = name.partition(":")
        module = module.removesuffix(".py").replace("\\", "/").replace("/", ".").strip(".")
        raise PluginError(
            f"there is no {what} {name!r}; one of your own is named by its module and its name "
            f"there: {module}:{thing or 'MyThing'}, in the folder from which Python finds {module}"
        )
    if name not in found:
        raise PluginError(
            f"there is no {what} {name!r}{nearest(name, found)} (one of your own is named by its "
            "module: my_package.toys:MyThing)"
        )
    return found[name]


def versioned(version: int) -> Callable[[Named], Named]:
    """Give a function of one's own the version that recipes hold beside its name.

    Parameters
    ----------
    version
        Raise it whenever the function's results change.

    Examples
    --------
    >>> @versioned(1)
    ... def absolute_error(network, batch):
    ...     return (network(batch["x"]) - batch["y"]).abs().mean(1)
    """

    def mark(function: Named) -> Named:
        function.version = version  # type: ignore[attr-defined]
        return function

    return mark


def declared(thing: Any, what: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return a function of a user's own, and what stands for it in a recipe.

    Parameters
    ----------
    thing
        The function, ``"module:function"``, or a frozen dataclass that can be called, whose
        settings then count too.
    what
        What it is for, in messages.

    Raises
    ------
    PluginError
        It cannot be called, or has no name or version: recipes could not tell two apart.
    """
    function = resolve(thing) if isinstance(thing, str) else thing
    if not callable(function):
        raise PluginError(f"{what} is to be a function or 'module:function', got {thing!r}")
    name = getattr(function, "name", getattr(function, "__name__", type(function).__name__))
    version = getattr(function, "version", None)
    if name == "<lambda>" or not isinstance(version, int):
        fault = "a lambda has no name" if name == "<lambda>" else f"{name} has no version"
        raise PluginError(
            f"{what}: {fault}, by which a recipe could tell what was used. Write a function with "
            "def, and @presage.versioned(1) above it; raise the version when its results change"
        )
    identity = {"name": name, "version": version}
    if is_dataclass(function) and not isinstance(function, type):
        identity["settings"] = settings_of(function)
    return function, identity


def _public(thing: Any) -> Iterable[str]:
    return (name for name in dir(thing) if not name.startswith("_"))
