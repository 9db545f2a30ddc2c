"""Sampling a flow at labels that were never simulated, while the visitor looks on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import xarray as xr

from presage.analysis import distances
from presage.analysis.histograms import count
from presage.analysis.labelled import Floats
from presage.rng import generator
from presage.store import EntryInfo, Store

from .origins import Ranges, trained_range
from .shelf import Shelf

#: Events of a draw.
EVENTS = 10_000
#: Bins lie between the outer quantiles of the flow's draw, as those of a product do, but no
#: further from the median than so many times half the interval of the inner ones.
QUANTILES, REACH = (0.005, 0.16, 0.5, 0.84, 0.995), 6.0
#: Events a bin, on average, from which bins are fine enough to have as many as the product's.
ENOUGH = 40
#: Of one draw. A second one takes longer to wake than it saves, the more so on a busy machine.
THREADS = 1
SHELF = Shelf()


class LiveError(ValueError):
    """What was asked for cannot be drawn; the message is for the visitor."""


@dataclass(frozen=True)
class Drawn:
    """What was drawn at a label."""

    label: list[float]  # Its values.
    # As a product of residuals with one label, the flows first among the sources.
    histograms: xr.Dataset
    # Source → for each variable ``mean``, ``sigma68``, and ``w1`` (over std, to the first source)
    # with its ``floor``.
    figures: Mapping[str, Any]
    nearest: list[float]  # The nearest trained label.
    no_rival: str  # Why there is no rival; empty where there is.
    strange: Sequence[str]  # What is to be said of a label that is far from the training.
    milliseconds: float  # How long it took, rivals apart.

    @property
    def sources(self) -> list[str]:
        """Flows and rivals."""
        return [str(name) for name in self.histograms["source"].values]


@dataclass(frozen=True)
class Bench:
    """What can be drawn beside a product."""

    store: Store  # Where the flows are.
    flows: Mapping[str, EntryInfo]  # Source → its fit.
    parameters: Sequence[str] = ()  # Names, in the product's order.
    variables: Sequence[str] = ()  # Names, too.
    held_out: Sequence[Sequence[float]] = ()  # Labels that were left out of the training.
    bins: int = 1  # Of each histogram.
    # Of the training, parameter → (low, high).
    ranges: Ranges = field(default_factory=dict)

    @classmethod
    def of(
        cls, store: Store, flows: Mapping[str, EntryInfo], parameters: Sequence[str], **more: Any
    ) -> Bench:
        """Keep the flows that take the product's parameters, with the range all were trained on."""
        spans = {source: trained_range(store, fit) for source, fit in flows.items()}
        kept = {
            source: flows[source] for source, span in spans.items() if set(span) == set(parameters)
        }
        ranges = {
            name: (max(spans[s][name][0] for s in kept), min(spans[s][name][1] for s in kept))
            for name in parameters
            if kept
        }
        return cls(store, kept, parameters, ranges=ranges, **more)

    def check(self, label: Sequence[Any], sources: Sequence[Any]) -> tuple[Floats, list[str]]:
        """Return the label ``[parameter]`` and the flows to draw from; LiveError if it cannot."""
        chosen = [str(source) for source in sources if str(source) in self.flows]
        try:
            values = np.array([float(value) for value in label])
        except (TypeError, ValueError):
            values = np.full(0, np.nan)
        if len(values) != len(self.parameters) or not np.isfinite(values).all() or not chosen:
            raise LiveError(
                f"a label is {len(self.parameters)} finite numbers, and a flow draws it"
            )
        for name, value in zip(self.parameters, values, strict=True):
            low, high = self.ranges[name]
            if not low <= value <= high:
                raise LiveError(f"{name} = {value:g} is outside the trained {low:g} … {high:g}")
        return values, chosen

    def warm(self) -> None:
        """Load what a first draw would have to wait for."""
        middle = [(low + high) / 2 for low, high in self.ranges.values()]
        self.draw(middle, list(self.flows)[:1])

    def draw(self, label: Sequence[Any], sources: Sequence[Any]) -> Drawn:
        """Draw from flows, and put the rivals beside them; LiveError as :meth:`check`."""
        values, chosen = self.check(label, sources)
        flows = [self.flow(source) for source in chosen]
        strange = [text for flow in flows for text in flow.strange_labels(values[None])]
        rivals, why = self._rivals(chosen[0])
        started = time.perf_counter()
        drawn = {s: self._events(own, values) for s, own in zip(chosen, flows, strict=True)}
        took, closest = time.perf_counter() - started, values
        if rivals is not None:
            drawn["morphing"] = rivals.morphing(values)
            closest, drawn["nearest"] = rivals.nearest(values)
        started = time.perf_counter()
        pair = list(drawn.values())[:2]
        edges = bulk_edges(pair[0], _bins(self.bins, min(map(len, pair))))
        histograms, figures = _binned(drawn, edges, self.variables), _figures(drawn)
        took += time.perf_counter() - started
        return Drawn(values.tolist(), histograms, figures, closest.tolist(), why,
                     list(dict.fromkeys(strange)), 1e3 * took)  # fmt: skip

    def flow(self, source: str) -> Any:
        """Return a flow, loaded once."""
        fit = self.flows[source]
        return SHELF.get(("flow", str(self.store.root), fit.key), partial(_load, self.store, fit))

    def _events(self, flow: Any, label: Floats) -> Floats:
        theta = {n: np.full(EVENTS, v) for n, v in zip(self.parameters, label, strict=True)}
        # The same normal draws at every label: what changes in the picture is the label's doing.
        events = flow.draw(theta, generator("live", 0, 0))
        return np.stack([events[name] for name in self.variables], axis=1, dtype=float)

    def _rivals(self, source: str) -> tuple[Any, str]:
        from .rivals import rivals_of

        fit = self.flows[source]
        if len(fit.parents) != 1:
            return None, "the flow was trained on several datasets"
        name = ("rivals", str(self.store.root), fit.parents[0], tuple(map(tuple, self.held_out)))
        make = partial(rivals_of, self.store, fit.parents[0], self.held_out)
        try:
            rivals = SHELF.get(name, make)
        except (OSError, RuntimeError, ValueError) as error:
            return None, str(error)
        order = [v.name for v in rivals.templates.grouped.variables]
        if order != list(self.variables):
            return None, "the training events have other variables"
        return rivals, ""


def _binned(drawn: Mapping[str, Floats], edges: Floats, variables: Sequence[str]) -> xr.Dataset:
    """Return histograms of all sources as a product of residuals holds them."""
    parts = [count(events, edges) for events in drawn.values()]
    wide = ("source", "label", "variable")
    data = {
        "counts": ((*wide, "bin"), np.stack([one for one, _ in parts])[:, None]),
        "counts_2d": (("source", "label", "pair", "bin_x", "bin_y"),
                      np.stack([cells for _, cells in parts])[:, None]),
        "events": (wide[:2], np.array([[len(events)] for events in drawn.values()])),
        "edges": (("label", "variable", "edge"), edges[None]),
    }  # fmt: skip
    pairs = [",".join(pair) for pair in combinations(variables, 2)]
    names = {"source": list(drawn), "variable": list(variables), "pair": pairs}
    coords = {name: np.array(values, dtype=object) for name, values in names.items()}
    return xr.Dataset(data, coords=coords)


def _load(store: Store, fit: EntryInfo) -> Any:
    """Return a flow; torch is loaded by the first visitor who asks."""
    import torch

    from presage.fitting import load

    torch.set_num_threads(THREADS)
    return load(fit.key, store)


def _bins(most: int, events: int) -> int:
    """Return how many bins, a divisor of `most`, leave some events in each."""
    fitting = [most // f for f in (1, 2) if most % f == 0]
    return next((bins for bins in fitting if events >= ENOUGH * bins), fitting[-1])


def bulk_edges(events: Floats, bins: int) -> Floats:
    """Return equal bins ``[variable, edge]`` over the bulk of a sample: few events fill few."""
    low, left, middle, right, high = np.quantile(events, QUANTILES, axis=0)
    reach = REACH * (right - left) / 2
    low, high = np.maximum(low, middle - reach), np.minimum(high, middle + reach)
    flat = high <= low
    low, high = np.where(flat, low - 1e-9, low), np.where(flat, high + 1e-9, high)
    result: Floats = np.linspace(low, high, bins + 1, axis=1)
    return result


def _figures(drawn: Mapping[str, Floats]) -> dict[str, Any]:
    """Return mean and width of each source, and the distance of each to the first one."""
    ordered = {name: np.sort(events, axis=0).T for name, events in drawn.items()}
    first = next(iter(ordered.values()))
    found: dict[str, Any] = {}
    for name, columns in ordered.items():
        rows = []
        for ours, column in zip(first, columns, strict=True):
            std = float(ours.std()) or 1.0
            law = distances.wasserstein_constant(ours) * (1 / len(ours) + 1 / len(column)) ** 0.5
            rows.append({
                "mean": float(column.mean()), "sigma68": distances.sigma68(column),
                "w1": distances.wasserstein(ours, column) / std,
                "floor": float(law) if np.isfinite(law) else None,
            })  # fmt: skip
        found[name] = rows
    return found
