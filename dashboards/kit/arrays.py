"""Labelled arrays on their way to the browser: each once, flat, in a type that it reads as it is.

The leading dims of an array are indices: the browser's state (or a panel) says where along each
of them. The others are drawn. Pictures may go as codes of eight bits with a table of what each
stands for, statistics of bins as numbers of sixteen: less than a pixel is lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from presage.analysis.canvas import titled

_WHOLE = (np.uint8, np.uint16, np.int16, np.int32)
_TYPES = ("uint8", "uint16", "int32", "float32", "float64")
#: Codes of eight bits: the last one stands for "nothing here".
CODES, NOTHING = 255, 255


@dataclass(frozen=True)
class Array:
    """An array for the browser."""

    values: np.ndarray  # Index dims first.
    dims: tuple[str, ...]  # Names of the index dims.
    half: bool = False  # Whether it goes as numbers of sixteen bits.
    table: np.ndarray | None = None  # What each code stands for, where `values` are codes.
    # Dim → which of its places are there, where not all are.
    slots: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, array: xr.DataArray, *drawn: str, **more: Any) -> Array:
        """Return a labelled array; all dims but the `drawn` ones are indices, in their order."""
        index = tuple(str(dim) for dim in array.dims if dim not in drawn)
        return cls(array.transpose(*index, *drawn).values, index, **more)

    @classmethod
    def coded(
        cls,
        array: xr.DataArray,
        *drawn: str,
        low: float,
        high: float,
        power: float = 0.0,
        **more: Any,
    ) -> Array:
        """Return it as codes.

        Evenly spaced between `low` and `high`, the outermost codes for what lies beyond; with a
        `power`, denser towards `low`, what lies beyond at the ends.
        """
        if power:
            table = low + (high - low) * np.linspace(0, 1, CODES) ** power
            place = ((array - low) / (high - low)).clip(0, 1) ** (1 / power) * (CODES - 1)
        else:
            step = (high - low) / (CODES - 3) or 1.0
            table = np.linspace(low - step, high + step, CODES)
            place = (1 + (array - low) / step).clip(1, CODES - 2)
            place = place.where(~(array > high), CODES - 1).where(~(array < low), 0)
        codes = place.round().where(array.notnull(), NOTHING).astype(np.uint8)
        return cls.of(codes, *drawn, table=np.append(table, np.nan), **more)

    def sent(self) -> np.ndarray:
        """Return the values, flat, in the smallest type that holds them."""
        values = self.values
        if self.half:
            values = np.clip(values, -6e4, 6e4)  # all that there are; axes end before
            return values.astype(np.float16).view(np.uint16).reshape(-1)
        if values.dtype.kind in "biu" and values.dtype != np.uint8:
            least, most = (int(values.min()), int(values.max())) if values.size else (0, 0)
            fits = (t for t in _WHOLE if np.iinfo(t).min <= least and most <= np.iinfo(t).max)
            values = values.astype(next(fits))
        elif values.dtype.name not in _TYPES:
            values = values.astype(np.float32)
        return np.ascontiguousarray(values).reshape(-1)

    def about(self, name: str, **more: Any) -> dict[str, Any]:
        """Return what the browser has to know of it."""
        table = None if self.table is None else [None if np.isnan(v) else float(v)
                                                 for v in self.table]  # fmt: skip
        slots = {dim: list(map(int, places)) for dim, places in self.slots.items()}
        return {"name": name, "dims": self.dims, "shape": self.values.shape, "half": self.half,
                "table": table, "slots": slots or None, **more}  # fmt: skip


@dataclass(frozen=True)
class Fetched:
    """Arrays that Python works out for some values of the state, when the browser asks."""

    names: tuple[str, ...]  # Of the arrays.
    by: tuple[str, ...]  # Names of the state that they belong to.
    # State → name → array; nothing where the state makes no sense.
    make: Callable[[Mapping[str, Any]], Mapping[str, Array]]

    def made(self, state: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
        """Return what is to be known of the arrays of a state, and their values."""
        found = self.make(state)
        values = [state[name] for name in self.by]
        key = json.dumps(values, separators=(",", ":"), ensure_ascii=False)
        about = [array.about(name, key=key) for name, array in found.items()]
        return about, {name: array.sent() for name, array in found.items()}


def title_of(array: xr.DataArray) -> str:
    """Return what an array is called, with its unit."""
    name = str(array.attrs.get("long_name", array.name)).replace("_", " ")
    return titled(name, str(array.attrs.get("units", "1")))


def words(texts: Any, *dims: str) -> dict[str, Any]:
    """Return texts for each value of some dims, ``texts[dims]``, as the browser holds them."""
    table = np.asarray(texts, dtype=object)
    return {"dims": dims, "shape": table.shape, "texts": [str(text) for text in table.reshape(-1)]}
