"""What several things are set to by one list of names and texts, and how that is listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, is_dataclass, replace
from typing import Any

from presage.cli.listing import shortened
from presage.labels import nearest
from presage.typed import Declared, ParameterError, coerce, frozen, settings_of

#: Other spellings of settings, as other programs have them.
SPELLINGS = {"num_events": "n_events", "num_epochs": "epochs"}


@dataclass(frozen=True)
class Group:
    """The settings of one thing; its role, ``simulator`` or ``model``, tells it from others."""

    role: str
    owner: str
    settings: Mapping[str, Declared]

    @classmethod
    def of(cls, role: str, owner: str, thing: Any, without: Iterable[str] = ()) -> Group:
        """Return what a class, an object or a function can be set to, `without` some.

        Where a setting is a dataclass itself, its fields are: ``coupling.alpha_s``.
        """
        found: dict[str, Declared] = {}
        for name, declared in settings_of(thing).items():
            if is_dataclass(declared.default) and not isinstance(declared.default, type):
                inner = cls.of(role, owner, declared.default).settings
                found |= {f"{name}.{n}": replace(d, name=f"{name}.{n}") for n, d in inner.items()}
            elif name not in without:
                found[name] = declared
        return cls(role, owner, found)


def row(declared: Declared) -> tuple[str, str]:
    """Return name, type and default, and what is said of it, for a list of definitions."""
    needed = declared.default is MISSING
    default = "" if needed else f" = {shortened(repr(declared.default), 60)}"
    said = [declared.help] if declared.help else []
    said += [f"in {declared.unit}"] if declared.unit else []
    said += [f"one of {', '.join(declared.choices)}"] if declared.choices else []
    said += ["has to be given"] if needed else []
    return f"{declared.name}: {declared.kind}{default}", "; ".join(said)


def divide(given: Mapping[str, str], groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Return for each group, of a role of its own, the settings that are its, in their types.

    A name that several groups have is preceded by a role: ``model.hidden``.
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
        parts[index][own] = frozen(coerce(own, text, groups[index].settings[own].kind))
    return parts


def owners_of(name: str, groups: Sequence[Group]) -> list[tuple[int, str]]:
    """Return number of each group that has a setting of this name, and what it is called there."""
    found = []
    for index, group in enumerate(groups):
        plain = name.removeprefix(f"{group.role}.")
        own = plain if plain in group.settings else SPELLINGS.get(plain, plain)
        if own in group.settings:
            found.append((index, own))
    return found


def build(thing: Any, settings: Mapping[str, Any], store: Any = None) -> Any:
    """Return an object of a class, another one with some other settings, or what a function gives.

    What has an argument `store`, a function or a class, gets it.
    """
    known, given = settings_of(thing), {n: v for n, v in settings.items() if "." not in n}
    for name in {name.partition(".")[0] for name in settings if "." in name}:
        parts = {n.partition(".")[2]: v for n, v in settings.items() if n.startswith(f"{name}.")}
        given[name] = build(known[name].default, parts)
    if is_dataclass(thing) and not isinstance(thing, type):
        return replace(thing, **given)
    if "store" in known:
        given["store"] = store
    lacking = [n for n, d in known.items() if d.default is MISSING and n not in given]
    if lacking:
        options = " ".join(f"--{name.replace('_', '-')} VALUE" for name in lacking)
        raise ParameterError(f"{thing.__name__} needs {', '.join(lacking)}: {options}")
    return thing(**given)
