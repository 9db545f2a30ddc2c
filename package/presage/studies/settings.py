"""Settings of a study: frozen dataclasses whose fields say what they are and may be.

A notebook asks for such a class by what differs from a preset, and gets an object whose values
were checked::

    campaign = Campaign.preset("quick", {"n_events": 10_000}, store=store)

What a field is, its docstring says; its type is its annotation; its least value or its choices
are given where it is declared, by :func:`setting`. The command line, the notebooks and
``presage run NAME --help`` read all of it from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar, Self, cast

import presage.plugins as plugins
from presage.labels import LabelError, nearest
from presage.typed import coerce, declared_of, frozen, plain

#: The entry of a notebook's parameter that names a preset of its own.
PRESET = "preset"


def setting(
    default: Any, *, least: int | None = None, choices: Sequence[str] = (), group: str = ""
) -> Any:
    """Declare a field of settings.

    Parameters
    ----------
    default
        Its value where none is given.
    least
        The smallest value.
    choices
        Names that it may have; each of several, where it has several.
    group
        Entry points of installed packages whose names it may have as well; then
        ``"my_module:MyThing"`` may be given too.
    """
    return field(default=default, metadata={"least": least, "choices": choices, "group": group})


@dataclass(frozen=True)
class StudySettings:
    """Common ground of a study's classes of settings."""

    #: Preset → field → value, of all classes of the study; each takes the fields that it has.
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def __post_init__(self) -> None:
        for f in fields(self):
            value, least = getattr(self, f.name), f.metadata.get("least")
            if least is not None and value < least:
                raise LabelError(f"{f.name} should be at least {least}, got {value}")
            known = f.metadata.get("choices")
            for one in value if isinstance(value, tuple) else (value,):
                if not known or one in known:
                    continue
                group = f.metadata["group"]
                known = {*known, *(plugins.installed(group) if group else ())}
                if one not in known and not (group and plugins.is_address(one)):
                    raise LabelError(f"no {f.name} {one!r}{nearest(str(one), known)}")

    @classmethod
    def preset(
        cls, name: str = "", given: Mapping[str, Any] | Self | None = None, /, *before: Any,
        **more: Any,
    ) -> Self:  # fmt: skip
        """Return the settings of a preset, and what differs from them.

        Parameters
        ----------
        name
            Of the preset; empty for the defaults.
        given
            Field → value, checked and converted. Its entry ``preset`` wins over `name`. Settings
            that were made already are returned as they are.
        before
            Settings made before, of which a preset may depend.
        more
            As `given`; also fields that are no settings, such as the store.

        Raises
        ------
        LabelError
            No such preset, or a value that makes no sense.
        ParameterError
            A value is of another type.
        """
        if isinstance(given, cls):
            return given
        own = {**cast(Mapping[str, Any], given or {}), **more}
        known = declared_of(cls)
        values = cls.of_preset(own.pop(PRESET, "") or name, *before)
        for key, value in own.items():
            if key not in cls.__dataclass_fields__:
                raise LabelError(f"{cls.__name__} has no setting {key!r}{nearest(key, known)}")
            values[key] = coerce(key, value, known[key].kind) if key in known else value
        return cls(**{key: frozen(value) for key, value in values.items()})

    @classmethod
    def of_preset(cls, name: str, *before: Any) -> dict[str, Any]:  # noqa: ARG003
        """Return field → value of a preset; settings made `before` may have a say in it."""
        if name and name not in cls.presets:
            raise LabelError(f"no preset {name!r}{nearest(name, cls.presets)}")
        own = declared_of(cls)
        return {key: value for key, value in cls.presets.get(name, {}).items() if key in own}

    def values(self) -> dict[str, Any]:
        """Return name → value of every setting, in plain types."""
        return {name: plain(getattr(self, name)) for name in declared_of(type(self))}

    def check(self, run: Mapping[str, Any]) -> None:
        """Refuse what does not go with the other settings of a run, name → value or settings."""

    def inputs(self) -> Mapping[str, str]:
        """Return name → recipe key of what a run with these settings starts from, as it is now.

        A simulator as it is set, or users' files by content. The keys of all steps hold it.
        """
        return {}


def made_of(found: Any, settings: Mapping[str, Any], kind: type[Any], name: str) -> Any:
    """Return what a user named: an object of `kind`, its class, or a function that returns one.

    `settings` are its fields or arguments; messages call it `name`.

    Raises
    ------
    LabelError
        It is none of these, or has no such setting; the nearest name is suggested.
    """
    known = [f.name for f in fields(found) if f.init] if is_dataclass(found) else [*settings]
    for given in settings:
        if given not in known:
            raise LabelError(f"{name} has no setting {given!r}{nearest(given, known)}")
    built = replace(found, **settings) if isinstance(found, kind) else found(**settings)
    if not isinstance(built, kind):
        raise LabelError(
            f"{name} should be or return a {kind.__name__}, got {type(built).__name__}"
        )
    return built
