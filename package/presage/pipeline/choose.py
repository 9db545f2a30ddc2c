"""Where parameters come from: preset, an earlier run, a file, the command line; sweeps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from presage.pipeline.parameters import full_name, spread
from presage.typed import Declared, Kind, ParameterError, values

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
