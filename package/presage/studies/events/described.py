"""A reader described by a TOML file, for files whose layout is a user's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from presage.foreign import read_toml
from presage.labels import LabelError, Parameter, Variable, nearest
from presage.studies.events.numpy_files import NumpyReader
from presage.studies.events.root import FEDHEX, RootReader

_LAYOUTS = {"fedhex": FEDHEX}


class DescriptionError(LabelError):
    """A description cannot be read, or names what there is not."""


def read_description(path: str | os.PathLike[str], **others: Any) -> RootReader | NumpyReader:
    """Return the reader that a TOML file describes.

    The keys are the settings of :class:`RootReader`, whose ``files`` are relative to the TOML
    file, or of :class:`NumpyReader`, which has one ``file``. Each column and label is a table
    with the fields of its declaration, and with its ``expression`` over branches, or the
    ``column`` of a NumPy file that has named ones::

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

    ``layout = "fedhex"`` fills in a known layout of ROOT files; it is the default of NumPy
    files.

    Parameters
    ----------
    path
        The file.
    others
        Settings in place of the file's.

    Raises
    ------
    LabelError
        It cannot be read, or names a setting that there is not.
    """
    path = Path(path).expanduser()
    try:
        given = {**read_toml(path), **others}
    except FileNotFoundError as error:
        raise DescriptionError(f"{error}: a description (docs/files.md) is needed") from None
    numpy_file = "file" in given
    kind: type[RootReader | NumpyReader] = NumpyReader if numpy_file else RootReader
    known = [f.name for f in fields(kind)]
    for name in given:
        if name not in known and (numpy_file or name != "layout"):
            raise DescriptionError(f"{path}: no setting {name!r}{nearest(name, known)}")
    settings = {n: v for n, v in given.items() if n not in ("file", "files", "layout")}
    source = "column" if numpy_file else "expression"
    for name, declared in (("columns", Variable), ("labels", Parameter)):
        if name in settings:
            settings[name] = _columns(settings[name], declared, source, f"{path}, {name}")
    try:
        if numpy_file:
            return NumpyReader(_beside(path, given["file"]), **settings)
        return _root(path, given, settings)
    except TypeError as error:  # min_events = "many"
        raise DescriptionError(f"{path}: a setting is of another type: {error}") from error


def _root(path: Path, given: Mapping[str, Any], settings: dict[str, Any]) -> RootReader:
    if "files" not in given:
        raise DescriptionError(
            f"{path} needs files = '...', a folder or file of ROOT relative to it, or file = "
            "'...' of NumPy"
        )
    listed = given["files"] if isinstance(given["files"], list) else [given["files"]]
    files = [_beside(path, name) for name in listed]
    where: Any = files[0] if len(files) == 1 else tuple(files)
    if "layout" not in given:
        return RootReader(where, **settings)
    if given["layout"] not in _LAYOUTS:
        raise DescriptionError(
            f"{path}: no layout {given['layout']!r}{nearest(str(given['layout']), _LAYOUTS)}"
        )
    return RootReader.of(where, _LAYOUTS[given["layout"]], **settings)


def _beside(path: Path, name: Any) -> str:
    """Return a path relative to the description's folder; ``~``, ``$NAME`` and URLs are none."""
    written = os.fsdecode(str(name).encode())  # in UTF-8, whatever the locale takes names to be
    text = os.path.expandvars(os.path.expanduser(written))  # noqa: PTH111
    return text if "://" in text else os.path.join(path.parent.absolute(), text)  # noqa: PTH118


def _columns(tables: Any, kind: type[Variable], source: str, where: str) -> dict[Variable, str]:
    """Return declaration → where it is read from; `source` is the key that says so."""
    if not isinstance(tables, Mapping):
        raise DescriptionError(f"{where} should be tables, one for each name")
    found: dict[Variable, str] = {}
    known = [f.name for f in fields(kind)]
    default = {"dtype": "float64"} if kind is Parameter else {}
    for name, table in tables.items():
        table = {source: table} if isinstance(table, str) else dict(table)
        read_from = table.pop(source, name)
        for key in table:
            if key not in known:
                raise DescriptionError(
                    f"{where}.{name}: no field {key!r}{nearest(key, [source, *known])}"
                )
        try:
            found[kind(name, **{**default, **table})] = read_from
        except (LabelError, TypeError) as error:
            raise DescriptionError(f"{where}.{name}: {error}") from error
    return found
