"""Ten million labelled events into one histogram a label, in one and two dimensions.

Beside NumPy and, where they are installed, the histogram libraries of the field. The peers
are handed what ours has to find out: which events are whose, and the edges.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.core import Result, paired, seconds, side_by_side
from benchmarks.data import labelled_events
from presage.analysis.histograms import adaptive_edges, histogram
from presage.analysis.labelled import Grouped, group
from presage.studies.events.resonance import Resonance

_EVENTS = {"small": 1_000_000, "full": 10_000_000}
_BINS = 40
_NAMES = ("phi_mass", "omega_mass")


def run(size: str, folder: Path) -> list[Result]:
    """Time grouping, edges and counting, and the counting alone beside its peers."""
    del folder
    n = _EVENTS[size]
    source, rng = Resonance.on_grid(weights="equal"), np.random.default_rng(0)
    events = labelled_events(source, source.label_table[rng.integers(100, size=n)], rng)
    grouped = group(events)
    edges = adaptive_edges(grouped, _BINS)
    ours = side_by_side(
        {
            "all": lambda: seconds(lambda: _bin(events)),
            "count": lambda: seconds(lambda: histogram(grouped, edges)),
            **{name: _timed(peer, grouped, edges.values) for name, peer in _peers().items()},
            "copy": lambda: seconds(lambda: _copy(events)),
        },
        rounds=3,
    )
    whole = statistics.median(ours["all"])
    limit = 2.0 * n / 1e7
    shown = f"{n:.0e} events, 100 labels, in random order"
    results = [
        Result("binning/group, edges, count", whole, "s", limit, most=True, note=shown,
               peer="one copy of the columns", ratio_to_peer=paired(ours["copy"], ours["all"]))
    ]  # fmt: skip
    for name in _peers():
        ratio = paired(ours[name], ours["count"])
        took = statistics.median(ours["count"])
        results.append(Result("binning/count alone", took, "s", peer=name, ratio_to_peer=ratio))
    return results


def _bin(events: xr.Dataset) -> xr.Dataset:
    grouped = group(events)
    return histogram(grouped, adaptive_edges(grouped, _BINS))


def _copy(events: xr.Dataset) -> None:
    """Read and write every value once: no method that sorts events by label does less."""
    for name in events.data_vars:
        events[name].values.copy()


def _peers() -> dict[str, Callable[..., Any]]:
    peers: dict[str, Callable[..., Any]] = {"numpy.histogram2d": np.histogram2d}
    try:
        import boost_histogram
    except ImportError:
        pass
    else:
        peers["boost-histogram"] = boost_histogram.numpy.histogram2d
    try:
        import fast_histogram
    except ImportError:
        pass
    else:
        peers["fast-histogram"] = fast_histogram.histogram2d
    return peers


def _timed(peer: Callable[..., Any], grouped: Grouped, edges: np.ndarray) -> Callable[[], float]:
    ranges = edges[:, :, [0, -1]]

    def count() -> None:
        for i, (start, stop) in enumerate(zip(grouped.starts, grouped.starts[1:], strict=False)):
            x, y = (grouped.columns[name][start:stop] for name in _NAMES)
            peer(x, y, bins=_BINS, range=ranges[i])

    return lambda: seconds(count)
