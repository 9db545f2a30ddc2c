"""Sampling a flow at labels that were never simulated, while the visitor looks on.

The browser asks by writing a label into one column source, on release of a slider; the
answer comes back in another. Work is done in threads: a page never waits for another's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.models import ColumnDataSource

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
_POOL = ThreadPoolExecutor(2, thread_name_prefix="live")


class LiveError(ValueError):
    """What was asked for cannot be drawn; the message is for the visitor."""


@dataclass(frozen=True)
class Bench:
    """What can be drawn beside a product.

    Parameters
    ----------
    store
        Where the flows are.
    flows
        Source → its fit.
    parameters, variables
        Names, in the product's order.
    held_out
        Labels that were left out of the training.
    bins
        Of each histogram.
    """

    store: Store
    flows: Mapping[str, EntryInfo]
    parameters: Sequence[str]
    variables: Sequence[str]
    held_out: Sequence[Sequence[float]]
    bins: int
    ranges: Ranges = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store, flows: Mapping[str, EntryInfo], **settings: Any) -> Bench:
        """Keep the flows that take the product's parameters, with the range all were trained on."""
        names = list(settings["parameters"])
        spans = {source: trained_range(store, fit) for source, fit in flows.items()}
        kept = {source: flows[source] for source, span in spans.items() if set(span) == set(names)}
        ranges = {
            name: (max(spans[s][name][0] for s in kept), min(spans[s][name][1] for s in kept))
            for name in names
            if kept
        }
        return cls(store, kept, ranges=ranges, **settings)

    def check(self, label: Sequence[Any], sources: Sequence[Any]) -> tuple[Floats, list[str]]:
        """Return the label ``[parameter]`` and the flows to draw from.

        Raises
        ------
        LiveError
            Not numbers, outside of the trained range, or no such flow.
        """
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

    def draw(self, label: Sequence[Any], sources: Sequence[Any]) -> dict[str, Any]:
        """Draw from flows, and put the rivals beside them.

        Returns
        -------
        dict
            ``edges[variable, edge]``, ``counts[source, variable, bin]``,
            ``cells[source, pair, bin, bin]`` (float32, flat), and ``about``, the rest as JSON.

        Raises
        ------
        LiveError
            As :meth:`check`.
        """
        values, chosen = self.check(label, sources)
        flows = [self._flow(source) for source in chosen]
        strange = [text for flow in flows for text in flow.strange_labels(values[None])]
        rivals, why = self._rivals(chosen[0])
        watch = _Watch()
        with watch("ms"):
            drawn = {s: self._events(own, values) for s, own in zip(chosen, flows, strict=True)}
        about: dict[str, Any] = {"label": values.tolist(), "no_rival": why,
                                 "strange": "; ".join(dict.fromkeys(strange))}  # fmt: skip
        with watch("rival_ms"):
            if rivals is not None:
                drawn["morphing"] = rivals.morphing(values)
                closest, drawn["nearest"] = rivals.nearest(values)
                about["nearest"] = closest.tolist()
        with watch("ms"):
            pair = list(drawn.values())[:2]
            edges = _edges(pair[0], _bins(self.bins, min(map(len, pair))))
            binned = [count(events, edges) for events in drawn.values()]
            flat = [np.concatenate([part[k].ravel() for part in binned], dtype=np.float32)
                    for k in (0, 1)]  # fmt: skip
        about |= {"sources": list(drawn), "events": [len(events) for events in drawn.values()],
                  "figures": _figures(drawn), "bins": edges.shape[1] - 1, **watch.took}  # fmt: skip
        return {"edges": edges.ravel(), "counts": flat[0], "cells": flat[1],
                "about": json.dumps(about)}  # fmt: skip

    def _flow(self, source: str) -> Any:
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


class _Watch:
    """Adds up milliseconds by name."""

    def __init__(self) -> None:
        self.took: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.took[name] = self.took.get(name, 0.0) + 1e3 * (time.perf_counter() - started)


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


def _edges(events: Floats, bins: int) -> Floats:
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
                "w1": distances.wasserstein(ours, column) / std, "floor": _number(law),
            })  # fmt: skip
        found[name] = rows
    return found


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


@dataclass
class Visitor:
    """Answers one page's requests.

    Parameters
    ----------
    bench
        What can be drawn.
    document
        The page's.
    answer
        Filled with what was drawn, or why not.
    """

    bench: Bench
    document: Document
    answer: ColumnDataSource

    def asked(self, _attribute: str, _old: Any, new: Mapping[str, Any]) -> None:
        """Take a request: its number, the label and the sources; without a label, get ready."""
        _POOL.submit(
            self._work, int(new["serial"][0]), list(new["label"][0]), list(new["sources"][0])
        )

    def _work(self, serial: int, label: list[Any], sources: list[Any]) -> None:
        try:
            if not label:
                self.bench.warm()
                return
            found = {**self.bench.draw(label, sources), "error": ""}
        except (
            ArithmeticError,
            LookupError,
            OSError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            found = {"error": f"{error}" if isinstance(error, LiveError) else f"cannot: {error}"}
        columns = {name: [value] for name, value in {**found, "serial": serial}.items()}
        self.document.add_next_tick_callback(partial(self._show, columns))

    def _show(self, columns: dict[str, Any]) -> None:
        self.answer.data = columns
