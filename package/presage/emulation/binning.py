"""Bins of chosen observables: which there are, and what share of some events is in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from presage.labels import Floats, LabelError, Variable, check_name, numbers_of
from presage.labels.circle import wrapped


@dataclass(frozen=True)
class Binning:
    """Bins of observables, all combinations of them in row-major order."""

    variables: tuple[Variable, ...]  # the observables
    edges: tuple[Floats, ...]  # of each

    @classmethod
    def of(cls, variables: Sequence[Variable], edges: Mapping[str, ArrayLike]) -> Binning:
        """Return the bins of some of the variables.

        Raises
        ------
        LabelError
            None, a variable that there is not, or edges that are not two finite ones at least
            that ascend.
        """
        known = {variable.name: variable for variable in variables}
        if not isinstance(edges, Mapping):
            raise LabelError(f"edges are a mapping, observable to edges of its bins, got {edges!r}")
        if not edges:
            raise LabelError(f"edges of which observable? There is {', '.join(known)}")
        kept = []
        for name, given in edges.items():
            check_name("observable", name, known)
            values = numbers_of(given, f"{name}: edges")
            steps = np.diff(values) if values.ndim == 1 else np.zeros(1)
            if len(steps) < 1 or not (np.isfinite(steps) & (steps > 0)).all():
                raise LabelError(f"{name}: edges are two finite numbers or more that ascend")
            kept.append(values)
        return cls(tuple(known[name] for name in edges), tuple(kept))

    @property
    def names(self) -> list[str]:
        """Names of the observables, which are the dims of a template."""
        return [variable.name for variable in self.variables]

    @property
    def shape(self) -> tuple[int, ...]:
        """Bins of each observable."""
        return tuple(len(values) - 1 for values in self.edges)

    def shares(self, events: Floats, weights: Floats | None = None) -> Floats:
        """Return the share of events ``[event, observable]`` in each bin, ``[bin]``.

        A bin holds its lower edge, the last one both. The share of weights is their sum over the
        number of events.
        """
        inside = np.ones(len(events), dtype=bool)
        place = np.zeros(len(events), dtype=np.int64)
        for column, variable, edges in zip(events.T, self.variables, self.edges, strict=True):
            x = column if variable.period is None else wrapped(column, variable)
            bins = np.searchsorted(edges, x, side="right") - 1
            bins[x == edges[-1]] = len(edges) - 2
            inside &= (bins >= 0) & (bins < len(edges) - 1)
            place = place * (len(edges) - 1) + bins
        chosen = None if weights is None else weights[inside]
        counts = np.bincount(place[inside], chosen, minlength=int(np.prod(self.shape)))
        return np.asarray(counts / len(events))

    def coordinates(self) -> dict[str, Any]:
        """Return the middles of the bins, and their edges as ``<observable>_edges``."""
        found: dict[str, Any] = {}
        for variable, edges in zip(self.variables, self.edges, strict=True):
            name, about = variable.name, {"units": variable.unit}
            title = variable.long_name or variable.name
            middle = (edges[1:] + edges[:-1]) / 2
            found[name] = (name, middle, {"long_name": title, **about})
            about["long_name"] = f"bin edges of {title}"
            found[f"{name}_edges"] = xr.Variable((f"{name}_edge",), edges, about)
        return found

    def arranged(self, cells: Floats) -> Floats:
        """Return ``[*, bin]`` as ``[*, *observables]``."""
        return np.asarray(cells.reshape(*cells.shape[:-1], *self.shape))
