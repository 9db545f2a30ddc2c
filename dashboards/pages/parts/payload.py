"""A residuals product as the arrays that the browser holds: every label at once.

Counts, edges and numbers of all labels go to the browser in one message, so that moving
from label to label asks nothing of the server. The two-dimensional counts are most of it.
Where all of them are too many, they are sent one slice at a time: the labels of one grid
(the other parameters fixed by the sliders), for one pair of variables.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from presage.labels import Variable

from .merits import MERITS, Merit

Array = NDArray[Any]

#: Bytes of two-dimensional counts up to which all go to the browser at once; lower it for a
#: slow connection.
BUDGET = int(os.environ.get("PRESAGE_DASHBOARD_BUDGET", 32 << 20))
_ORDER = list(MERITS)
_HIDDEN = {"auc_error", "edges"}


@dataclass(frozen=True)
class Column:
    """One number per source and label.

    Parameters
    ----------
    metric, of
        Metric, and the variable or pair it is of (empty for the label as a whole).
    merit
        What it is called and means.
    values
        ``[source, label]``, NaN where there is none.
    """

    metric: str
    of: str
    merit: Merit
    values: Array

    @property
    def name(self) -> str:
        """Name in the address, ``w1_over_std:phi_mass``."""
        return f"{self.metric}:{self.of}" if self.of else self.metric

    @property
    def title(self) -> str:
        """For menus and axes."""
        return f"{self.merit.short} · {plain(self.of)}" if self.of else self.merit.short


@dataclass(frozen=True)
class Payload:
    """A residuals product, prepared for the browser."""

    product: xr.Dataset

    @cached_property
    def parameters(self) -> list[Variable]:
        """Declarations of the label's parameters."""
        return [
            Variable.of(array, "label")
            for array in self.product.coords.values()
            if array.dims == ("label",) and array.attrs.get("role") == "parameter"
        ]

    @cached_property
    def table(self) -> Array:
        """Labels ``[label, parameter]``."""
        columns = [self.product[p.name].values for p in self.parameters]
        return np.stack(columns, axis=1).astype(float)

    @cached_property
    def sources(self) -> list[str]:
        """All sources, the reference first."""
        names = [str(name) for name in self.product["source"].values]
        return ["reference", *(name for name in names if name != "reference")]

    @cached_property
    def drawn(self) -> list[str]:
        """Sources other than the reference that have events (a floor that is a law has none)."""
        events = self.product["events"]
        return [s for s in self.sources[1:] if int(events.sel(source=s).max()) > 0]

    @cached_property
    def variables(self) -> list[str]:
        """Names of the variables."""
        return [str(name) for name in self.product["variable"].values]

    @cached_property
    def axis_titles(self) -> list[str]:
        """What each variable's axis is called, units included."""
        if "title" in self.product.coords:
            return [str(title) for title in self.product["title"].values]
        return [plain(name) for name in self.variables]

    @cached_property
    def pairs(self) -> list[str]:
        """Names of the pairs, ``"phi_mass,omega_mass"``."""
        return [str(name) for name in self.product["pair"].values]

    @cached_property
    def regions(self) -> list[str]:
        """``interior``, ``edge`` or ``trained`` for each label."""
        return [str(region) for region in self.product["region"].values]

    @cached_property
    def columns(self) -> list[Column]:
        """All metrics, one column for each variable or pair."""
        found = [
            (str(name), array)
            for name, array in self.product.data_vars.items()
            if {"source", "label"} <= set(array.dims)
            and array.dtype.kind == "f"
            and set(array.dims) <= {"source", "label", "variable", "pair", "quantile"}
            and name not in _HIDDEN
        ]
        found.sort(key=lambda item: _ORDER.index(item[0]) if item[0] in _ORDER else len(_ORDER))
        return [column for name, array in found for column in self._split(name, array)]

    def _split(self, name: str, array: xr.DataArray) -> list[Column]:
        """Split a metric by variable or pair; of quantiles the worst is kept."""
        merit = MERITS.get(name) or Merit(str(array.attrs.get("long_name", name)))
        if "quantile" in array.dims:
            array = abs(array).max("quantile")
        array = array.sel(source=self.sources)
        for dim in ("variable", "pair"):
            if dim in array.dims:
                return [
                    Column(
                        name,
                        str(of),
                        merit,
                        array.sel({dim: of}).transpose("source", "label").values,
                    )
                    for of in array[dim].values
                ]
        return [Column(name, "", merit, array.transpose("source", "label").values)]

    # -- arrays ------------------------------------------------------------------------

    def edges(self) -> Array:
        """Return bin edges ``[label, variable, edge]``, float64."""
        return self.product["edges"].transpose("label", "variable", "edge").values

    def counts(self) -> Array:
        """Return counts ``[source, label, variable, bin]``."""
        return _small(self._sorted("counts", "label", "variable", "bin"))

    def events(self) -> Array:
        """Return the number of events ``[source, label]``."""
        return _small(self._sorted("events", "label"))

    def numbers(self) -> Array:
        """Return all metrics ``[column, source, label]``, float32."""
        shape = (0, len(self.sources), len(self.table))
        stacked = np.stack([c.values for c in self.columns]) if self.columns else np.empty(shape)
        return stacked.astype(np.float32)

    def cells(self, labels: Sequence[int] | Array, pair: int | None = None) -> Array:
        """Return two-dimensional counts ``[source, label, pair, bin_x, bin_y]`` of some labels."""
        chosen = self.product["counts_2d"].isel(label=labels)
        if pair is not None:
            chosen = chosen.isel(pair=[pair])
        chosen = chosen.sel(source=self.sources)
        return _small(chosen.transpose("source", "label", "pair", "bin_x", "bin_y").values)

    @cached_property
    def whole(self) -> bool:
        """Whether all two-dimensional counts fit into the budget."""
        joint = self.product["counts_2d"]
        itemsize = 2 if joint.size and int(joint.max()) < 65536 else 4
        return joint.size * itemsize <= BUDGET

    def slice_of(self, label: int) -> Array:
        """Numbers of the labels that share all but the first two parameters with `label`."""
        rest = self.table[:, 2:]
        return np.flatnonzero((rest == rest[label]).all(axis=1))

    def _sorted(self, name: str, *dims: str) -> Array:
        return self.product[name].sel(source=self.sources).transpose("source", *dims).values

    # -- the grid ----------------------------------------------------------------------

    @cached_property
    def axes(self) -> list[Array]:
        """Distinct values of each parameter, ascending."""
        return [np.unique(column) for column in self.table.T]

    @cached_property
    def places(self) -> Array:
        """Position of each label on each axis, ``[label, parameter]``."""
        columns = zip(self.axes, self.table.T, strict=True)
        return np.stack([np.searchsorted(axis, column) for axis, column in columns], axis=1)

    @cached_property
    def neighbours(self) -> Array:
        """The label that each arrow key leads to, ``[label, (left, right, down, up)]``."""
        places = self.places[:, :2].astype(float)
        if places.shape[1] == 1:
            places = np.column_stack([places, np.zeros(len(places))])
        result = np.tile(np.arange(len(places))[:, None], (1, 4))
        for label in range(len(places)):
            same = self.slice_of(label)
            step = places[same] - places[label]
            for k, (along, sign) in enumerate(((0, -1), (0, 1), (1, -1), (1, 1))):
                ahead = sign * step[:, along]
                cost = np.where(ahead > 0, ahead + 3 * np.abs(step[:, 1 - along]), np.inf)
                if np.isfinite(cost).any():
                    result[label, k] = same[int(cost.argmin())]
        return result

    @cached_property
    def worst(self) -> int:
        """The held-out label at which the first model does worst, by W1 where there is one."""
        model = str(self.product.attrs.get("model", "")) or (self.drawn or self.sources)[0]
        source = self.sources.index(model) if model in self.sources else len(self.sources) - 1
        held = np.array([region == "interior" for region in self.regions])
        held = held if held.any() else np.array([r != "trained" for r in self.regions])
        values = np.nanmax(np.stack([c.values[source] for c in self.columns[:2]]), axis=0)
        values = np.where(held if held.any() else True, values, -np.inf)
        return int(np.nanargmax(np.nan_to_num(values, nan=-np.inf)))


def plain(of: str) -> str:
    """Return the name of a variable or a pair for people, ``"phi mass × omega mass"``."""
    return of.replace("_", " ").replace(",", " × ")


def _small(counts: Array) -> Array:
    """Return counts in the smallest type that the browser reads as it is."""
    largest = int(counts.max()) if counts.size else 0
    return np.ascontiguousarray(counts, dtype=np.uint16 if largest < 65536 else np.int32)
