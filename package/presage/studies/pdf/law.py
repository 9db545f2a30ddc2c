"""The law of events: a prior of parameters, and the density of an event at each of them.

Users' labelled parameters and events are held against it by name, order and bounds. Leading
dimensions of tensors are free and broadcast; the last one counts parameters or features.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from presage.labels import Coordinate, LabelError
from presage.models.edges import arcsine
from presage.simulator import Simulator
from presage.studies.pdf.draws import Draws

Values = xr.DataArray | Tensor | np.ndarray
#: Events whose density is worked out at once.
_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Range:
    """A parameter of a problem: uniform between `low` and `high` unless the problem says more."""

    name: str
    low: float
    high: float
    long_name: str = ""


@dataclass(frozen=True)
class Feature:
    """A number that an event has, named as a :class:`~presage.labels.Variable` is."""

    name: str
    unit: str = "1"
    long_name: str = ""
    lower: float = -math.inf  # support
    upper: float = math.inf
    #: In which coordinates networks see it: ``"linear"``, ``"log"`` or ``"logit"`` (of the place
    #: between `lower` and `upper`). Stored is the number itself.
    scale: str = "linear"


def set_coordinates(prior: Sequence[Range], features: Sequence[Feature]) -> tuple[Coordinate, ...]:
    """Return the coordinates of a dataset of sets, along ``parameter`` and ``feature``."""

    def along(dim: str, name: str, values: Any, what: str) -> Coordinate:
        return Coordinate(f"{dim}_{name}", tuple(values), "1", what, dim)

    return (
        Coordinate("parameter", tuple(r.name for r in prior), long_name="parameter"),
        along("parameter", "low", (r.low for r in prior), "lower edge of the prior"),
        along("parameter", "high", (r.high for r in prior), "upper edge of the prior"),
        along("parameter", "title", (r.long_name or r.name for r in prior), "title"),
        Coordinate("feature", tuple(f.name for f in features), long_name="feature"),
        along("feature", "unit", (f.unit for f in features), "unit"),
        along("feature", "title", (f.long_name or f.name for f in features), "title"),
        along("feature", "scale", (f.scale for f in features), "scale for networks"),
        along("feature", "lower", (f.lower for f in features), "lower end of the support"),
        along("feature", "upper", (f.upper for f in features), "upper end of the support"),
    )


class Law(Simulator):
    """A prior and a density; a leaf states them as functions of tensors."""

    device: str  # where tensors live
    #: Whether a set without events is an observation.
    empty_sets: ClassVar[bool] = False

    @property
    @abstractmethod
    def prior(self) -> tuple[Range, ...]:
        """The parameters, and the box that their prior lives in."""

    @property
    @abstractmethod
    def features(self) -> tuple[Feature, ...]:
        """What an event consists of."""

    @abstractmethod
    def log_prob(self, theta: Tensor, events: Tensor) -> Tensor:
        """Return the natural logarithm of the density of each event.

        Parameters
        ----------
        theta
            ``(*, P)``, float64.
        events
            ``(*, E, F)``; leading dimensions broadcast against those of `theta`.

        Returns
        -------
        Tensor
            ``(*, E)``; differentiable in `theta`; -inf beyond the support.
        """

    def physical(self, theta: Tensor) -> Tensor:
        """Say where in the box the prior is not zero, ``(*,)`` booleans; everywhere by default."""
        return torch.ones(theta.shape[:-1], dtype=torch.bool, device=theta.device)

    @property
    def acceptance(self) -> float:
        """Share of the box that is physical: the prior's density is 1 / (acceptance · volume)."""
        return 1.0

    def supported(self, events: Tensor) -> Tensor:
        """Say which events ``(*, F)`` can occur, where the bounds of features do not say it all."""
        return torch.ones(events.shape[:-1], dtype=torch.bool, device=events.device)

    @cached_property
    def low(self) -> Tensor:
        """Lower edges of the box, ``(P,)``."""
        edges = [r.low for r in self.prior]
        return torch.tensor(edges, dtype=torch.float64, device=self.device)

    @cached_property
    def high(self) -> Tensor:
        """Upper edges of the box, ``(P,)``."""
        edges = [r.high for r in self.prior]
        return torch.tensor(edges, dtype=torch.float64, device=self.device)

    def draw_theta(self, draws: Draws, n: int, towards_edges: float = 0.0) -> Tensor:
        """Draw `n` parameters from the prior, ``(n, P)``: uniform in the physical part of the box.

        A share of them `towards_edges`, see :mod:`presage.models.edges`.

        Raises
        ------
        LabelError
            Hardly any of the box is physical.
        """
        found, had = [], 0
        for _ in range(1000):
            unit = draws.uniform(n, len(self.prior))
            if towards_edges:
                unit = torch.where(draws.uniform(n, 1) < towards_edges, arcsine(unit), unit)
            theta = self.low + (self.high - self.low) * unit
            kept = theta[self.physical(theta)]
            found.append(kept)
            had += len(kept)
            if had >= n:
                return torch.cat(found)[:n]
        raise LabelError(f"{self.name}: of {1000 * n} points of the box {had} are physical")

    def log_prior(self, theta: Tensor) -> Tensor:
        """Return the natural logarithm of the prior's density, ``(*,)``; -inf where it is zero."""
        inside = ((theta >= self.low) & (theta <= self.high)).all(-1)
        inside = inside & self.physical(torch.where(inside[..., None], theta, self.low))
        value = -float((self.high - self.low).log().sum()) - math.log(self.acceptance)
        density = torch.full_like(inside, value, dtype=torch.float64)
        return density.masked_fill(~inside, -math.inf)

    # -- for users: labelled -------------------------------------------------------------------

    def score(self, dataset: xr.Dataset) -> xr.DataArray:
        """Return the log density of every event of a labelled dataset.

        Parameters
        ----------
        dataset
            With ``theta`` ``[sample, parameter]`` and ``events``
            ``[sample, repeat, event, feature]``, dims in any order; for sets of unequal size
            ``events`` ``[event, feature]`` and ``event_count`` ``[sample]``.

        Returns
        -------
        xarray.DataArray
            ``log_prob`` ``[sample, repeat, event]``, or ``[event]``.

        Raises
        ------
        LabelError
            Parameters or features are not those of this problem, theta is outside the prior,
            or events are not in the support.
        """
        theta, events = dataset["theta"], dataset["events"]
        rows = [str(d) for d in theta.dims if d != "parameter"]
        parameters = self.check_theta(theta.transpose(*rows, "parameter"))
        if "event_count" in dataset:
            counts = dataset["event_count"].values
            values = self._score_flat(parameters, events, np.asarray(counts, dtype=np.int64))
            return _log_prob(values, events.isel(feature=0))
        others = [str(d) for d in events.dims if d not in (*rows, "event", "feature")]
        events = events.transpose(*rows, *others, "event", "feature")
        parameters = parameters.reshape(*parameters.shape[:-1], *[1] * len(others), -1)
        if not rows:
            values = self.log_prob(parameters, self.check_events(events)).cpu()
            return _log_prob(values, events.isel(feature=0))
        step = max(1, _AT_ONCE // max(1, math.prod(events.shape[1:-1])))
        pieces = [
            self.log_prob(parameters[i : i + step], self.check_events(events[i : i + step]))
            for i in range(0, events.shape[0], step)
        ]
        return _log_prob(torch.cat(pieces).cpu(), events.isel(feature=0))

    def _score_flat(self, theta: Tensor, events: xr.DataArray, counts: np.ndarray) -> Tensor:
        """Return the log density of the events of sets of unequal size, which lie end to end."""
        if len(theta) != len(counts) or int(counts.sum()) != events.sizes.get("event"):
            raise LabelError(
                f"{self.name}: {len(counts)} sets of {int(counts.sum())} events together, but "
                f"{len(theta)} theta and {events.sizes.get('event')} events"
            )
        if not counts.sum():
            return torch.zeros(0, dtype=torch.float64)
        sets = torch.split(self.check_events(events), counts.tolist())
        pairs = zip(theta, sets, strict=True)
        return torch.cat([self.log_prob(one, points) for one, points in pairs]).cpu()

    def check_theta(self, theta: Values) -> Tensor:
        """Return parameters ``(*, P)`` as a tensor; labelled ones have ``parameter`` moved last.

        Raises
        ------
        LabelError
            Other parameters than this problem's, numbers that are not finite, or outside the
            prior; the message names the first.
        """
        names = [r.name for r in self.prior]
        values = self._tensor(theta, "parameter", names, ())
        if not bool(torch.isfinite(values).all()):
            raise LabelError(f"{self.name}: theta holds numbers that are not finite")
        flat = values.reshape(-1, len(names))
        outside = (flat < self.low) | (flat > self.high)
        if bool(outside.any()):
            row, column = (int(i) for i in outside.nonzero()[0])
            r = self.prior[column]
            raise LabelError(
                f"{self.name}: {r.name} = {float(flat[row, column]):g} is outside the prior "
                f"[{r.low:g}, {r.high:g}]"
            )
        unphysical = ~self.physical(flat)
        if bool(unphysical.any()):
            shown = _shown(names, flat[unphysical][0])
            raise LabelError(f"{self.name}: {shown} is unphysical, where the prior is zero")
        return values

    def check_events(self, events: Values) -> Tensor:
        """Return events ``(*, E, F)`` as a tensor; labelled ones have ``event, feature`` last.

        Raises
        ------
        LabelError
            Other features than this problem's, an empty set, NaN, or events outside the
            support; the message names the first.
        """
        names = [f.name for f in self.features]
        values = self._tensor(events, "feature", names, ("event",))
        if values.dim() < 2 or (values.numel() == 0 and not self.empty_sets):
            raise LabelError(f"{self.name}: a set of events is empty; give at least one event")
        if values.numel() == 0:
            return values
        for column, feature in enumerate(self.features):
            one = values[..., column]
            if not bool(torch.isfinite(one).all()):
                count = int((~torch.isfinite(one)).sum())
                raise LabelError(f"{self.name}: {count} values of {feature.name} are not finite")
            low, high = float(one.min()), float(one.max())
            if low < feature.lower or high > feature.upper:
                raise LabelError(
                    f"{self.name}: {feature.name} should lie in [{feature.lower:g}, "
                    f"{feature.upper:g}] {feature.unit}, got {low:g} to {high:g}"
                )
        outside = ~self.supported(values)
        if bool(outside.any()):
            raise LabelError(
                f"{self.name}: {int(outside.sum())} events cannot occur, the first with "
                f"{_shown(names, values[outside][0])}"
            )
        return values

    def _tensor(
        self, array: Values, last: str, names: list[str], before: tuple[str, ...]
    ) -> Tensor:
        """Return an array with the named dimension last, checked for its names."""
        if isinstance(array, xr.DataArray):
            array = self._in_order(array, last, names, before).values
        if isinstance(array, np.ndarray):  # a copy: what a store maps is read-only
            array = torch.from_numpy(np.array(array, dtype=np.float64))
        values = torch.as_tensor(array).to(device=self.device, dtype=torch.float64)
        if values.shape[-1:] != (len(names),):
            raise LabelError(
                f"{self.name}: expected {len(names)} {last}s ({', '.join(names)}) along the last "
                f"dimension, got shape {tuple(values.shape)}"
            )
        return values

    def _in_order(
        self, array: xr.DataArray, last: str, names: list[str], before: tuple[str, ...]
    ) -> xr.DataArray:
        """Return an array with its dimensions and the names along the last one in order."""
        for dim in (*before, last):
            if dim not in array.dims:
                raise LabelError(
                    f"{self.name}: expected a dimension {dim!r}, got dims {array.dims}"
                )
        if last in array.coords:
            found = [str(name) for name in array[last].values]
            if sorted(found) != sorted(names):
                raise LabelError(
                    f"{self.name} has the {last}s {', '.join(names)}; these are "
                    f"{', '.join(found)}: of another problem?"
                )
            array = array.sel({last: names})
        return array.transpose(..., *before, last)


def _log_prob(values: Tensor, like: xr.DataArray) -> xr.DataArray:
    """Label log densities with the dimensions of the events."""
    return xr.DataArray(
        values.numpy(),
        dims=like.dims,
        coords={n: c for n, c in like.coords.items() if not str(n).startswith("feature")},
        name="log_prob",
        attrs={"long_name": "natural logarithm of the density of an event", "units": "1"},
    )


def _shown(names: list[str], values: Tensor) -> str:
    return ", ".join(f"{n} = {v:g}" for n, v in zip(names, values.tolist(), strict=True))
