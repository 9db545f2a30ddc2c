"""Where parameters come from: preset, an earlier run, a file, the command line; sweeps."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from presage.labels import nearest
from presage.pipeline.parameters import Declared, ParameterError, values

#: A parameter that notebooks may declare for Jupyter and plain papermill.
_STORE = "store"


def from_file(path: Path) -> dict[str, Any]:
    """Read a TOML file of parameters, one ``name = value`` a line.

    Raises
    ------
    ParameterError
        The file is missing, is not TOML, or holds tables.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParameterError(f"cannot read {path}: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise ParameterError(f"{path} is not TOML: {error}") from None
    tables = [name for name, value in content.items() if isinstance(value, dict)]
    if tables:
        raise ParameterError(
            f"{path} holds a table [{tables[0]}]; parameters stand at the top, 'name = value'"
        )
    return content


def combinations(
    sources: Sequence[tuple[str, Mapping[str, Any]]], known: Mapping[str, Declared]
) -> list[dict[str, Any]]:
    """Merge sources (where from, name → value) and return every combination of a sweep.

    Later sources win. Only what was given is in it, checked and in declared types: ``[{}]`` if
    nothing was.

    Raises
    ------
    ParameterError
        A name is unknown (the nearest is suggested) or a value of the wrong type; the message
        names the source.
    """
    merged: dict[str, list[Any]] = {}
    for source, given in sources:
        if _STORE in given:  # where results lie is no part of what they are: all steps share one
            raise ParameterError(f"{source}: give the store as --store FOLDER, not as a parameter")
        for name, value in given.items():
            if name not in known:
                near = nearest(name, known)
                raise ParameterError(f"{source}: no notebook has a parameter {name!r}{near}")
            try:
                merged[name] = values(name, value, known[name].kind)
            except ParameterError as error:
                raise ParameterError(f"{source}: {error}") from None
    return [
        dict(zip(merged, combination, strict=True))
        for combination in itertools.product(*merged.values())
    ]
