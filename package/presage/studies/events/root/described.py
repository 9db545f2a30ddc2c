"""A reader described by a TOML file, for grids whose layout is a user's own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from presage.labels import LabelError, Parameter, Variable, nearest
from presage.studies.events.root.errors import RootError
from presage.studies.events.root.layout import FEDHEX
from presage.studies.events.root.reader import RootReader

_MAX_BYTES = 1 << 20
_LAYOUTS = {"fedhex": FEDHEX}


def read_description(path: Path) -> RootReader:
    """Return the reader that a TOML file describes.

    The keys are the settings of :class:`RootReader`; ``files`` is relative to the TOML file,
    ``layout = "fedhex"`` fills in a known layout. Each column and label is a table with its
    ``expression`` and the fields of its declaration::

        files = "grid"
        tree = "events"
        cut = "n_photons > 0"
        [columns.pair_mass]
        expression = "M"
        unit = "GeV"
        lower = 0.0
        [labels.true_mass]
        expression = "gen_mass[0]"
        unit = "GeV"

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    RootError
        It cannot be read, or names a setting that there is not.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise RootError(f"{path} is too large for a description ({path.stat().st_size} bytes)")
        given = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RootError(f"{path} cannot be read as TOML: {error}") from error
    known = [f.name for f in fields(RootReader)]
    for name in given:
        if name not in (*known, "layout"):
            raise RootError(f"{path}: no setting {name!r}{nearest(name, known)}")
    if "files" not in given:
        raise RootError(f"{path} needs files = '...', a folder or file relative to it")
    settings = {n: v for n, v in given.items() if n not in ("files", "layout")}
    for name, kind in (("columns", Variable), ("labels", Parameter)):
        if name in settings:
            settings[name] = _columns(settings[name], kind, f"{path}, {name}")
    files = [str((path.parent / name).resolve()) for name in _listed(given["files"])]
    where: Any = files[0] if len(files) == 1 else tuple(files)
    if "layout" not in given:
        return RootReader(where, **settings)
    if given["layout"] not in _LAYOUTS:
        raise RootError(
            f"{path}: no layout {given['layout']!r}{nearest(given['layout'], _LAYOUTS)}"
        )
    return RootReader.of(where, _LAYOUTS[given["layout"]], **settings)


def _listed(files: Any) -> list[str]:
    return [str(name) for name in files] if isinstance(files, list) else [str(files)]


def _columns(tables: Any, kind: type[Variable], where: str) -> dict[Variable, str]:
    if not isinstance(tables, Mapping):
        raise RootError(f"{where} should be tables, one for each name")
    found: dict[Variable, str] = {}
    known = [f.name for f in fields(kind)]
    default = {"dtype": "float64"} if kind is Parameter else {}
    for name, table in tables.items():
        table = {"expression": table} if isinstance(table, str) else dict(table)
        expression = table.pop("expression", name)
        for key in table:
            if key not in known:
                raise RootError(f"{where}.{name}: no field {key!r}{nearest(key, known)}")
        try:
            found[kind(name, **{**default, **table})] = expression
        except (LabelError, TypeError) as error:
            raise RootError(f"{where}.{name}: {error}") from error
    return found
