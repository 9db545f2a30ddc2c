"""Typed parameters of a notebook: read from its ``parameters`` cell, given a value by name.

papermill injects whatever it is given; a misspelt name or a text in place of a number is
then found late or never. Here the cell itself is the declaration::

    from presage.studies.events import Campaign

    preset: str = ""  # settings to begin from
    campaign: Campaign = {}  # settings of the events that differ
    n_drawn: int = 1000  # events drawn at each label

One assignment a line, the type annotated (or taken from the default), the default a
literal, the comment a help text. A file or folder is annotated as ``Path``: notebooks run in a
folder of their own, so a path is made absolute here.

A parameter whose type is a class of settings (:class:`presage.studies.settings.StudySettings`)
maps names of that class's fields to values; whoever gives one need not say of which parameter:
``n_events`` is ``campaign.n_events``.
"""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from presage.labels import nearest
from presage.plugins import resolve
from presage.studies.settings import PRESET, StudySettings
from presage.typed import (
    Declared,
    Kind,
    ParameterError,
    coerce,
    declared_of,
    kind_of,
    literal,
    values,
)


def declarations(source: str, where: str = "the parameters cell") -> dict[str, Declared]:
    """Read a parameters cell, which errors call `where`.

    Examples
    --------
    >>> declared = declarations("n_events: int = 48_500  # over the whole grid")
    >>> declared["n_events"].default, declared["n_events"].help
    (48500, 'over the whole grid')
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise ParameterError(f"{where} is not Python: {error.msg}, line {error.lineno}") from None
    lines = source.splitlines()
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    imported: dict[str, str] = {}
    found: dict[str, Declared] = {}
    for node in tree.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        if isinstance(node, ast.ImportFrom) and {a.asname or a.name for a in node.names} <= names:
            imported |= {a.asname or a.name: f"{node.module}:{a.name}" for a in node.names}
            continue
        declared = _declared(node, lines, where, imported)
        found[declared.name] = declared
    return found


def _declared(
    node: ast.stmt, lines: Sequence[str], where: str, imported: Mapping[str, str]
) -> Declared:
    target: ast.expr | None = None
    if isinstance(node, ast.AnnAssign):
        target = node.target
    elif isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
    shown = lines[node.lineno - 1].strip()
    if not isinstance(target, ast.Name) or not isinstance(node, (ast.Assign, ast.AnnAssign)):
        raise ParameterError(f"{where}: expected 'name: type = value', got {shown!r}")
    try:
        default = ast.literal_eval(node.value) if node.value is not None else None
    except ValueError:
        raise ParameterError(
            f"{where}: the default of {target.id} must be a literal (a number, text, a list), "
            f"got {shown!r}"
        ) from None
    end = lines[(node.end_lineno or 1) - 1].encode()[node.end_col_offset :].decode()
    help_text = end.partition("#")[2].strip()
    note = node.annotation if isinstance(node, ast.AnnAssign) else None
    settings = imported.get(ast.unparse(note), "") if note is not None else ""
    if settings and not settings.startswith("pathlib:"):
        kind = Kind("dict")
    else:
        settings = ""
        kind = kind_of(note or ast.Name(type(default).__name__), where)
    default = coerce(target.id, default, kind)
    return Declared(target.id, kind, default, help_text, settings=settings)


def settings_class(declared: Declared) -> type[StudySettings]:
    """Return the class whose fields a parameter maps to values."""
    found = resolve(declared.settings)
    if isinstance(found, type) and issubclass(found, StudySettings):
        return found
    raise ParameterError(
        f"the type of {declared.name} is {declared.settings}, which is no StudySettings"
    )


def defaults(declared: Mapping[str, Declared]) -> dict[str, Any]:
    """Return name → default."""
    return {name: parameter.default for name, parameter in declared.items()}


def by_name(declared: Iterable[Declared]) -> dict[str, Declared]:
    """Return every value that may be given, under the shortest name that reaches it.

    Parameters of notebooks come first; then the fields of those that are classes of settings, in
    their order. Where a name is taken already, the field is called ``training.seed``.
    """
    parameters = {d.name: d for d in declared}
    found = {n: d for n, d in parameters.items() if not d.settings}
    for name, parameter in parameters.items():
        if parameter.settings:
            for field, one in declared_of(settings_class(parameter)).items():
                short = field if field not in {*found, *parameters} else f"{name}.{field}"
                found[short] = replace(one, section=name)
    return found


def spread(given: Mapping[str, Any], known: Mapping[str, Declared]) -> dict[str, Any]:
    """Return full name → value of what was given by short names, full names or whole mappings.

    ``{"n_events": 5}``, ``{"campaign.n_events": 5}`` and ``{"campaign": {"n_events": 5}}`` are
    one. ``training_seed`` is ``training.seed``, and a text for a whole mapping is its preset.
    """
    sections = {d.section for d in known.values()} - {""}
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name in sections:
            read = literal(value) if isinstance(value, str) else value
            inner = read if isinstance(read, Mapping) else {PRESET: read}
            value_of = {f"{name}.{key}": one for key, one in inner.items()}
        else:
            value_of = {name: value}
        for key, one in value_of.items():
            found[full_name(key, known)] = one
    return found


def full_name(name: str, known: Mapping[str, Declared]) -> str:
    """Return ``parameter`` or ``parameter.field`` of what a name means."""
    full = {short: f"{d.section}.{d.name}" if d.section else d.name for short, d in known.items()}
    if name in full:
        return full[name]
    spelt = {variant: one for one in full.values() for variant in (one, one.replace(".", "_"))}
    presets = {f"{d.section}.{PRESET}" for d in known.values() if d.section}
    if name not in spelt and name not in presets:
        raise ParameterError(f"no notebook has a parameter {name!r}{nearest(name, full)}")
    return spelt.get(name, name)


# -- where values come from: preset, an earlier run, a file, the command line; sweeps ------------

#: A parameter that notebooks may declare for Jupyter and plain papermill.
_STORE = "store"
_MOST = 10_000  # combinations of a sweep


def combinations(
    sources: Sequence[tuple[str, Mapping[str, Any]]], known: Mapping[str, Declared]
) -> list[dict[str, Any]]:
    """Merge sources (where from, name → value) and return every combination of a sweep.

    Later sources win. Only what was given is in it, checked and in declared types, fields as
    mappings: ``{"campaign": {"n_events": 10}}``; ``[{}]`` if nothing was.
    """
    declared = {full_name(name, known): one for name, one in known.items()}
    merged: dict[str, list[Any]] = {}
    for source, given in sources:
        if _STORE in given:  # where results lie is no part of what they are: all steps share one
            raise ParameterError(f"{source}: give the store as --store FOLDER, not as a parameter")
        try:
            for name, value in spread(given, known).items():
                kind = declared[name].kind if name in declared else Kind("str")  # of a preset
                merged[name] = values(name.rpartition(".")[2], value, kind)
        except ParameterError as error:
            raise ParameterError(f"{source}: {error}") from None
    if (count := math.prod(map(len, merged.values()))) > _MOST:
        raise ParameterError(f"a sweep of {count} combinations; at most {_MOST} are run")
    return [
        _nested(dict(zip(merged, combination, strict=True)))
        for combination in itertools.product(*merged.values())
    ]


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in flat.items():
        section, dot, field = name.partition(".")
        if dot:
            found.setdefault(section, {})[field] = value
        else:
            found[name] = value
    return found
