"""What a simulator, a model or a function can be set to: read from its fields or arguments.

A setting's name, type and default are those of a dataclass field, or of a function's argument;
its description is the first sentence of the entry in the numpydoc section ``Parameters``; a unit
is declared by ``field(metadata={"unit": "GeV"})``, choices by ``Literal["a", "b"]``. Texts of the
command line become values of these types here.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from typing import Any

from presage.cli.listing import shortened
from presage.labels import nearest
from presage.typed import ParameterError, coerce, described, description, kind_of, literal

#: Other spellings of settings, as other programs have them.
SPELLINGS = {"num_events": "n_events", "num_epochs": "epochs"}


@dataclass(frozen=True)
class Setting:
    """One setting: `type` is its annotation as text, `default` MISSING where it has none."""

    name: str
    type: str
    default: Any = MISSING
    help: str = ""
    choices: tuple[str, ...] = ()
    unit: str = ""

    def __post_init__(self) -> None:
        named = re.fullmatch(r"(?:typing\.)?Literal\[(.*)\]", self.type, re.DOTALL)
        if named:
            choices = tuple(map(str, ast.literal_eval(f"({named[1]},)")))
            object.__setattr__(self, "choices", choices)

    def value(self, text: str) -> Any:
        """Return a text in this type; one that only the thing itself knows is a literal.

        Raises
        ------
        ParameterError
            The text is of another type, or none of the choices.
        """
        if self.choices and text not in self.choices:
            raise ParameterError(f"no {self.name} {text!r}{nearest(text, self.choices)}")
        try:
            kind = kind_of(ast.parse(self.type, mode="eval").body, self.name)
        except (ParameterError, SyntaxError):
            return literal(text)
        return _as_tuple(coerce(self.name, text, kind))

    def row(self) -> tuple[str, str]:
        """Return name, type and default, and what is said of it, for a list of definitions."""
        default = "" if self.default is MISSING else f" = {shortened(repr(self.default), 60)}"
        said = [self.help] if self.help else []
        said += [f"in {self.unit}"] if self.unit else []
        said += [f"one of {', '.join(self.choices)}"] if self.choices else []
        said += ["has to be given"] if self.default is MISSING else []
        return f"{self.name}: {self.type}{default}", "; ".join(said)


@dataclass(frozen=True)
class Group:
    """The settings of one thing; its role, ``simulator`` or ``model``, tells it from others."""

    role: str
    owner: str
    settings: Mapping[str, Setting]


def settings_of(role: str, owner: str, thing: Any, without: Iterable[str] = ()) -> Group:
    """Return what a dataclass, an object of one, or a function can be set to, `without` some.

    Raises
    ------
    ParameterError
        It is none of these.
    """
    if is_dataclass(thing):
        found = [
            Setting(f.name, _text(f.type), _default(thing, f), description(thing, f.name),
                    unit=f.metadata.get("unit", ""))
            for f in fields(thing) if f.init
        ]  # fmt: skip
    elif callable(thing) and not isinstance(thing, type):
        given, said = inspect.signature(thing).parameters, described(thing)
        found = [
            Setting(name, _text(one.annotation), _or_missing(one.default), said.get(name, ""))
            for name, one in given.items()
        ]
    else:
        raise ParameterError(f"{owner} is no dataclass of settings, and no function")
    return Group(role, owner, {s.name: s for s in found if s.name not in without})


def _default(thing: Any, field: Field[Any]) -> Any:
    if not isinstance(thing, type):
        return getattr(thing, field.name)
    return field.default if field.default_factory is MISSING else field.default_factory()


def _or_missing(default: Any) -> Any:
    return MISSING if default is inspect.Parameter.empty else default


def divide(given: Mapping[str, str], groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Return for each group the settings that are its, in their types.

    Parameters
    ----------
    given
        Name → text. A name that several groups have is preceded by a role: ``model.hidden``.
    groups
        What is set, each of its own role.

    Raises
    ------
    ParameterError
        None has a setting of this name, several have, or its value is of another type.
    """
    parts: list[dict[str, Any]] = [{} for _ in groups]
    for name, text in given.items():
        owners = owners_of(name, groups)
        if not owners:
            who = " nor ".join(group.owner for group in groups)
            raise ParameterError(
                f"{'neither ' if len(groups) > 1 else ''}{who} has "
                f"{'a' if len(groups) > 1 else 'no'} setting {name!r}"
                f"{nearest(name, (s for group in groups for s in group.settings))}"
            )
        if len(owners) > 1:
            ways = " or ".join(f"--{groups[i].role}.{own}" for i, own in owners)
            raise ParameterError(f"several things have a setting {name!r}; say which: {ways}")
        ((index, own),) = owners
        parts[index][own] = groups[index].settings[own].value(text)
    return parts


def owners_of(name: str, groups: Sequence[Group]) -> list[tuple[int, str]]:
    """Return number of each group that has a setting of this name, and what it is called there."""
    role, dot, plain = name.rpartition(".")
    found = []
    for index, group in enumerate(groups):
        own = plain if plain in group.settings else SPELLINGS.get(plain, plain)
        if own in group.settings and (not dot or role == group.role):
            found.append((index, own))
    return found


def build(thing: Any, settings: Mapping[str, Any], store: Any = None) -> Any:
    """Return an object of a class, another one with some other settings, or what a function gives.

    A function that has an argument `store` gets it.

    Raises
    ------
    ParameterError
        A setting that it needs is missing.
    """
    if is_dataclass(thing) and not isinstance(thing, type):
        return replace(thing, **settings)
    known = settings_of("", "", thing).settings
    if not isinstance(thing, type) and "store" in known:
        settings = {**settings, "store": store}
    lacking = [n for n, s in known.items() if s.default is MISSING and n not in settings]
    if lacking:
        options = " ".join(f"--{name.replace('_', '-')} VALUE" for name in lacking)
        raise ParameterError(f"{thing.__name__} needs {', '.join(lacking)}: {options}")
    return thing(**settings)


def _text(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
