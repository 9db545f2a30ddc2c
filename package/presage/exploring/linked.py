"""Samples side by side: what is selected in one panel is marked in all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import panel as pn
from holoviews.operation import histogram
from numpy.typing import NDArray

from presage.exploring.notebook import plain
from presage.labels import Floats

#: Points of a sample that are drawn in a joint panel, bins of a marginal.
POINTS, BINS = 2000, 40
_SIDE = 240


def linked(
    samples: Mapping[str, pd.DataFrame],
    titles: Mapping[str, str],
    colours: Mapping[str, str],
    truth: Mapping[str, float] | None = None,
    link: hv.link_selections | None = None,
) -> pn.GridBox:
    """Return marginals on the diagonal and joint panels below it.

    A box drawn in a joint panel, or a range on a marginal, selects: in every panel the selected
    part of each sample keeps its colour and the rest fades.

    Parameters
    ----------
    samples
        Name → rows, with the columns of `titles`.
    titles
        Column → axis title, in the order of the panels.
    colours
        Of samples.
    truth
        Column → a value to mark.
    link
        Holds the selection; a new one by default.
    """
    names, truth = list(titles), truth or {}
    axes = {name: hv.Dimension(name, label=title) for name, title in titles.items()}
    ends = {n: _ends([rows[n].to_numpy() for rows in samples.values()]) for n in names}
    sets = {
        kind: hv.Dataset(rows.iloc[_some(len(rows))], list(axes.values()))
        for kind, rows in samples.items()
    }
    link = link or hv.link_selections.instance(unselected_alpha=0.12)
    cells: list[Any] = []
    for row, y in enumerate(names):
        for column, x in enumerate(names):
            if column > row:
                cells.append(pn.Spacer(width=0))
                continue
            parts = [
                _marginal(one, axes[x], ends[x], colours[kind], kind)
                if x == y
                else hv.Points(one, [axes[x], axes[y]], label=kind).opts(color=colours[kind])
                for kind, one in sets.items()
            ]
            how = plain(
                width=_SIDE, height=_SIDE, xlim=ends[x], xlabel=titles[x], shared_axes=False,
                show_legend=False, active_tools=["box_select"],
            )  # fmt: skip
            if x == y:
                how |= {"yaxis": None, "ylim": (0, None)}
            else:
                how |= {"ylim": ends[y], "ylabel": "" if column else titles[y]}
            panel = link(hv.Overlay(parts)) * hv.Overlay(_true(x, y, truth))
            cells.append(pn.pane.HoloViews(panel.opts(hv.opts.Overlay(**how), *_LOOK)))
    return pn.GridBox(*cells, ncols=len(names))


#: Set after the selections are linked: they bring options of their own.
_LOOK = (
    hv.opts.Histogram(fill_alpha=0.35, line_alpha=0.0),
    hv.opts.Points(size=2.5, alpha=0.5),
)


def _true(x: str, y: str, truth: Mapping[str, float]) -> list[hv.Element]:
    """Return lines at the truth."""
    found = [hv.VLine(truth[x])] if x in truth else []
    found += [hv.HLine(truth[y])] if x != y and y in truth else []
    return [line.opts(color="#d55e00", line_width=1.2) for line in found]


def _some(count: int) -> NDArray[np.int64]:
    return np.linspace(0, count - 1, min(count, POINTS)).astype(np.int64)


def _ends(columns: Sequence[Floats]) -> tuple[float, float]:
    """Return a range that holds nearly all of every sample."""
    low, high = np.quantile(np.concatenate(columns), (0.001, 0.999))
    room = 0.06 * (high - low) or 0.5
    return float(low - room), float(high + room)


def _marginal(
    one: hv.Dataset, x: hv.Dimension, ends: tuple[float, float], colour: str, kind: str
) -> hv.Histogram:
    found = histogram(one, dimension=x.name, bin_range=ends, num_bins=BINS, normed=False)
    return found.relabel(kind).opts(color=colour)
