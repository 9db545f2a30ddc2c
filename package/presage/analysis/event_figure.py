"""The figure of events by label: scatters of pairs of variables, or histograms of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from presage.analysis.canvas import SERIES, WIDTH, Page, colourbar, number, tidy, titled
from presage.analysis.labelled import Floats, declared
from presage.labels import LabelError, Variable, check_name
from presage.labels.missing import present
from presage.transforms.weights import weights_of

#: Labels up to which each has a style of its own; more are told apart by a colour bar.
FEW = 6
#: Of more labels, at most so many are drawn as histograms; panels of at most so many pairs.
_LINES, _PANELS = 12, 4
#: Shares of a label's events inside its contours.
_INSIDE = (0.5, 0.9)


def label_scatter(
    events: xr.Dataset,
    x: str | None = None,
    y: str | None = None,
    colour: str | None = None,
    most: int = 10_000,
) -> Page:
    """Draw events of all labels, those of different labels in different colours.

    Up to six labels have contours that hold 50 and 90 % of their events; more are coloured
    by one parameter. One variable is drawn as histograms.

    Parameters
    ----------
    events
        Events with label columns.
    x, y
        Variables on the axes; by default the first one against each of the next four.
    colour
        Parameter; by default the first.
    most
        At most about this many dots, chosen at random; the title says so.

    Raises
    ------
    LabelError
        There is no such variable or parameter, or no event.
    """
    dim, parameters, variables = declared(events)
    by_name = {v.name: v for v in (*parameters, *variables)}
    for name in (n for n in (x, y, colour) if n is not None):
        check_name("variable", name, by_name)
    if not events.sizes[dim]:
        raise LabelError("there are no events to draw")
    first = x or variables[0].name
    others = [y] if y else [v.name for v in variables if v.name != first][:_PANELS]
    chosen = _at_random(events.sizes[dim], most if others else events.sizes[dim])
    names = {first, *others, *(p.name for p in parameters)}
    columns = {n: events[n].values[chosen] for n in names}
    weights = weights_of(events, dim, "the events")
    weights = np.ones(len(chosen)) if weights is None else weights[chosen]
    # NaN where a value is declared to be missing: no peak at -999.
    columns = {n: np.where(present(c, by_name[n]), c, np.nan) for n, c in columns.items()}
    table = np.stack([columns[p.name] for p in parameters], axis=1)
    labels, code = np.unique(table, axis=0, return_inverse=True)
    shown = by_name[colour or parameters[0].name]
    drawn = _Labels(parameters, labels, code.ravel(), shown, weights)
    page = _page(len(others))
    axes = list(np.ravel(page.subplots(-(-len(others) // 2) or 1, min(len(others), 2) or 1)))
    if not others:
        _histograms(axes[0], columns[first], by_name[first], drawn)
    for axis, other in zip(axes, others, strict=False):
        _scatter(axis, columns[first], columns[other], drawn)
        tidy(axis, by_name[first].title, by_name[other].title, inches=2.5)
    for axis in axes[max(len(others), 1) :]:
        axis.set_visible(False)
    _explain(page, axes, drawn, len(chosen), events.sizes[dim], bool(others))
    return page


class _Labels:
    """The labels of some events, and how each is drawn.

    Parameters
    ----------
    parameters
        Their declarations.
    table
        Distinct labels ``[label, parameter]``.
    code
        Number of each event's label.
    colour
        What the colour bar shows, of more than `FEW` labels.
    weights
        What each event counts for; a dot is there whatever it counts.
    """

    def __init__(
        self, parameters: Sequence[Variable], table: Floats, code: NDArray[np.int64],
        colour: Variable, weights: Floats,
    ) -> None:  # fmt: skip
        self.parameters, self.table, self.code, self.colour = parameters, table, code, colour
        self.weights = weights
        self.values = table[:, [p.name for p in parameters].index(colour.name)]
        self.few = len(table) <= FEW
        self.map = ScalarMappable(Normalize(self.values.min(), self.values.max()), "viridis")

    def style(self, label: int) -> tuple[Any, Any]:
        """Return colour and dash of a label."""
        if self.few:
            return SERIES[label].colour, SERIES[label].dash
        return self.map.to_rgba(self.values[label]), "solid"

    def name(self, label: int) -> str:
        """Return the values of a label with their units."""
        pairs = zip(self.parameters, self.table[label], strict=True)
        return ", ".join(f"{v:.5g}{'' if p.unit == '1' else ' ' + p.unit}" for p, v in pairs)


def _page(panels: int) -> Page:
    if panels > 1:
        return Page(WIDTH, 3.0 * -(-panels // 2) + 0.5)
    return Page(0.75 * WIDTH, 4.2 if panels else 3.4)


def _at_random(total: int, most: int) -> NDArray[np.int64]:
    """Return which events are drawn, in the order of drawing: none always lies on top."""
    rng = np.random.Generator(np.random.Philox(0))
    # At random: labels often take turns, and every second event would miss half of them.
    chosen = np.unique(rng.integers(total, size=most)) if total > most else np.arange(total)
    return rng.permutation(chosen)


def _scatter(axis: Axes, x: Floats, y: Floats, drawn: _Labels) -> None:
    colours = [drawn.style(k)[0] for k in range(len(drawn.table))]
    alpha = 0.25 if drawn.few else 0.7
    axis.scatter(
        x, y, c=np.array(colours, dtype=object)[drawn.code].tolist(), s=2.5, lw=0,
        alpha=alpha, rasterized=True,
    )  # fmt: skip
    ends = [_ends(column) for column in (x, y)]
    axis.set(xlim=ends[0], ylim=ends[1])
    for label in range(len(drawn.table) if drawn.few else 0):
        inside = drawn.code == label
        _contours(axis, x[inside], y[inside], drawn.weights[inside], *drawn.style(label))


def _contours(axis: Axes, x: Floats, y: Floats, weights: Floats, colour: Any, dash: Any) -> None:
    """Draw the lines that hold half and nine tenths of some events."""
    bins = int(np.clip(2 * len(x) ** (1 / 3), 8, 60))
    spans = [np.quantile(c[np.isfinite(c)], (0.005, 0.995)) for c in (x, y)]
    if len(x) < 50 or any(low >= high for low, high in spans):
        return
    cells, *edges = np.histogram2d(x, y, bins, range=[tuple(s) for s in spans], weights=weights)
    density = np.pad(gaussian_filter(np.maximum(cells.T, 0), 0.8, mode="constant"), 1)
    centres = [np.r_[e[0], (e[1:] + e[:-1]) / 2, e[-1]] for e in edges]
    axis.contour(*centres, density, levels=enclosing(density, _INSIDE), colors=[colour],
                 linewidths=1.2, linestyles=[dash])  # fmt: skip


def enclosing(density: Floats, shares: Sequence[float]) -> list[float]:
    """Return the heights above which these shares of a density ``[*]`` lie, ascending."""
    ordered = np.sort(density.ravel())[::-1]
    inside = np.cumsum(ordered) / ordered.sum()
    heights = [float(ordered[np.searchsorted(inside, s)]) for s in sorted(shares, reverse=True)]
    for i in range(1, len(heights)):  # contour() wants them strictly ascending
        heights[i] = max(heights[i], heights[i - 1] * (1 + 1e-6) + 1e-15)
    return heights


def _ends(column: Floats, beyond: float = 0.001) -> tuple[float, float]:
    """Return an interval that holds nearly all events."""
    low, high = np.nanquantile(column, (beyond, 1 - beyond))
    wide = high - low or 1.0
    return float(low - 0.03 * wide), float(high + 0.05 * wide)


def _histograms(axis: Axes, values: Floats, variable: Variable, drawn: _Labels) -> None:
    edges = np.linspace(*_ends(values, 0.005), 61)
    last, most = len(drawn.table) - 1, FEW if drawn.few else _LINES
    for label in np.unique(np.linspace(0, last, most).astype(int)).tolist():
        own = drawn.code == label
        counts = np.histogram(values[own], edges, weights=drawn.weights[own])[0]
        colour, dash = drawn.style(label)
        density = counts / (counts.sum() or 1) / np.diff(edges)
        axis.stairs(density, edges, color=colour, ls=dash, lw=1.2)
    per_unit = "1" if variable.unit == "1" else f"1/{variable.unit}"
    tidy(axis, variable.title, titled("density", per_unit))
    axis.set_ylim(bottom=0)


def _explain(
    page: Page, axes: list[Axes], drawn: _Labels, chosen: int, total: int, pairs: bool
) -> None:
    said = f"{number(total)} events"
    if chosen < total:
        said = f"{number(chosen)} of {said}, chosen at random"
    if drawn.few:
        said += "; contours hold 50 and 90 % of a label's" if pairs else ""
        names = ", ".join(p.title for p in drawn.parameters)
        lines = [
            Line2D([], [], color=drawn.style(k)[0], ls=drawn.style(k)[1], label=drawn.name(k))
            for k in range(len(drawn.table))
        ]
        page.key(lines, title=names)
    else:
        if not pairs and len(drawn.table) > _LINES:
            said += f"; {_LINES} of {len(drawn.table)} labels"
        colourbar(page, drawn.map, axes, drawn.colour.title)
    page.heading(said)
