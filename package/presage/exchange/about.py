"""What a file of bare arrays says of them: dimensions, units, and the recipe, as JSON text."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from presage.labels import LabelError, nearest

#: Name under which formats keep the text.
ABOUT = "presage_about"


def check_suffix(path: Path, known: Collection[str]) -> None:
    """Refuse a file whose suffix stands for no format; the nearest is suggested."""
    if path.suffix not in known:
        near = nearest(path.suffix, known) if path.suffix else ""
        raise LabelError(
            f"{path.name}: the suffix says the format, one of {', '.join(known)}{near}"
        )


def describe(dataset: xr.Dataset) -> str:
    """Return dimensions and attributes of a dataset's variables, and its own, as JSON."""
    variables = {
        str(name): {
            "dims": [str(dim) for dim in variable.dims],
            "attributes": _plain(variable.attrs),
            "coordinate": name in dataset.coords,
        }
        for name, variable in dataset.variables.items()
    }
    return json.dumps({"variables": variables, "attributes": _plain(dataset.attrs)})


def restore(arrays: Mapping[str, Any], text: str, source: str) -> xr.Dataset:
    """Return the dataset that the arrays were, as far as the description fits them."""
    try:
        about = json.loads(text)
        known = about["variables"]
        dataset = xr.Dataset(
            {n: (known[n]["dims"], a, known[n]["attributes"]) for n, a in arrays.items()},
            attrs=about["attributes"],
        )
        return dataset.set_coords([n for n in arrays if known[n]["coordinate"]])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LabelError(
            f"{source}: {ABOUT} does not describe its arrays ({error}); remove it, or write the "
            "file again"
        ) from error


def _plain(value: Any) -> Any:
    """Return attributes in JSON's terms."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, (bool, int, float)) else str(value)
