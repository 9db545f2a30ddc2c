"""The calibration's figures; made when a visitor first asks for them."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import (
    BasicTicker,
    ColumnDataSource,
    FixedTicker,
    Legend,
    LegendItem,
    Range1d,
)
from bokeh.plotting import figure

from presage.analysis.calibration_figures import CURVES, colours_of, outside, titles_of
from presage.analysis.posterior_figures import COLOURS

from .figures import LEFT, plain
from .lean import lean
from .pdf_exhibit import Exhibit
from .pieces import note, row
from .provenance import link
from .theme import FONT, INK, RULE

_CHANCE = "#e4e4e4"
_BLUE = COLOURS["estimate"]
_READING = (
    "<b>How to read this</b><br>Ranks of the truth among the draws are uniform if posteriors are "
    "right: above 0 on the left and below on the right, they are too narrow; the other way round, "
    "too wide; on one side throughout, shifted.<br>TARP looks at all parameters at once, coverage "
    "at one after the other. Ranks of the log-likelihood tell a posterior from the prior, which "
    "passes the tests of the parameters alone.<br>Efficiency is the share of the draws that is "
    "left after importance weighting with the exact likelihood; with k̂ above 0.7 the weights are "
    "not to be trusted."
)


def calibration_panels(exhibit: Exhibit) -> list[Any]:
    """Return the panels of the calibration beside a product, or what makes one."""
    try:
        product = exhibit.calibration()
    except (OSError, RuntimeError, ValueError, LookupError) as error:
        return [note(f"The calibration cannot be read: {escape(str(error))}")]
    if product is None or exhibit.checked is None:
        return [note("No calibration of this problem is in the store yet: "
                      "<code>presage run pdf --preset quick</code> makes one.")]  # fmt: skip
    cells = [*_panels(product), note(_READING)]
    return [note(_about(product, exhibit.checked.key)), row("checks", *cells)]


def _panels(product: xr.Dataset) -> list[Any]:
    """Return a figure of each thing that was checked, or why it cannot be shown."""
    cells: list[Any] = []
    for name, draw in _PANELS.items():
        if name not in product:
            continue
        try:
            cells.append(draw(product))
        except (ValueError, LookupError, TypeError) as error:
            cells.append(note(f"{name} cannot be shown: {escape(str(error)[:200])}"))
    lean(cell for cell in cells if isinstance(cell, figure))
    return cells


def _about(product: xr.Dataset, key: str) -> str:
    """Return what was checked, in a line of HTML."""
    names = ("kind", "problem", "observations", "n_events", "draw_count")
    kind, problem, number, events, draws = (
        escape(str(product.attrs.get(name, "?"))) for name in names
    )
    return (
        f"<b>{kind}</b> of {problem}, {number} observations of {events} events, {draws} draws "
        f"each · {link(key, key[:8])} · grey: where a calibrated posterior stays"
    )


def _panel(title: str, x: str, y: str, **settings: Any) -> figure:
    plot = figure(title=title, x_axis_label=x, y_axis_label=y, sizing_mode="stretch_both",
                  tools="pan,wheel_zoom,box_zoom,reset,save", min_border_left=LEFT - 8,
                  min_width=180, min_height=160, **settings)  # fmt: skip
    plain(plot)
    plot.outline_line_color = RULE
    return plot


def _named(plot: figure, shown: dict[str, Any], columns: int = 2) -> None:
    """Put a small legend below the axis."""
    items = [LegendItem(label=name, renderers=[line]) for name, line in shown.items()]
    plot.add_layout(
        Legend(items=items, ncols=columns, label_text_font=FONT, label_text_font_size="10.5px",
               label_text_color=INK, border_line_color=None, background_fill_alpha=0.0,
               padding=2, margin=2, spacing=6, location="bottom_left", glyph_width=14,
               glyph_height=10, label_height=12, label_standoff=4),
        "below",
    )  # fmt: skip


def _band(plot: figure, x: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    source = ColumnDataSource({"x": x, "low": low, "high": high})
    plot.varea(x="x", y1="low", y2="high", fill_color=_CHANCE, source=source)


def _zero(plot: figure, x: tuple[float, float] = (-1e9, 1e9)) -> None:
    plot.line(list(x), [0.0, 0.0], line_color=INK, line_width=0.8)


def _ranks(product: xr.Dataset) -> figure:
    lost, palette = outside(product), colours_of(product)
    said = "all inside" if not lost else f"{len(lost)} of {len(palette)} outside"
    plot = _panel(f"SBC ranks, simultaneous band: {said}", "rank / draws", "ECDF − uniform",
                  x_range=Range1d(0, 1))  # fmt: skip
    steps = product["fraction"].values
    _band(plot, steps, product["ecdf_low"].values - steps, product["ecdf_high"].values - steps)
    _zero(plot, (0, 1))
    lines = {
        name: plot.line(
            steps,
            product["ecdf"].sel(quantity=name).values - steps,
            line_color=colour,
            line_width=0.8 if colour == CURVES else 1.4,
        )
        for name, colour in palette.items()
    }
    _named(plot, {title: lines[name] for name, title in titles_of(palette).items()}, 4)
    return plot


def _tarp(product: xr.Dataset) -> figure:
    """Draw expected coverage minus credibility: the bound is seen better than on a diagonal."""
    expected = product["expected_coverage"]
    credibility, bound = expected["credibility"].values, float(product["tarp_bound"])
    worst = float(product["tarp_distance"])
    plot = _panel(f"TARP: max |ECP − α| {worst:.3f}, bound {bound:.3f}", "credibility α",
                  "expected coverage − α", x_range=Range1d(0, 1))  # fmt: skip
    _band(plot, np.array([0.0, 1.0]), np.full(2, -bound), np.full(2, bound))
    _zero(plot, (0, 1))
    plot.line(credibility, expected.values - credibility, line_color=_BLUE, line_width=1.8)
    return plot


def _coverage(product: xr.Dataset) -> figure:
    names = [str(name) for name in product["quantity"].values]
    levels = [float(level) for level in product["level"].values]
    title = "Coverage of intervals"
    plot = _panel(title, "", "coverage − mass [points]",
                  x_range=Range1d(-0.6, len(names) - 0.4))  # fmt: skip
    _zero(plot, (-1, len(names)))
    wide, shown = 0.74 / len(levels), {}
    shades = ("#56b4e9", "#0072b2", "#e69f00", "#d55e00", "#009e73")
    for k, level in enumerate(levels):
        here = product.sel(level=level)
        low, high = (100 * (here[f"coverage_{end}"].values - level) for end in ("low", "high"))
        x = np.arange(len(names)) + (k - (len(levels) - 1) / 2) * wide
        plot.vbar(x=x, width=0.86 * wide, bottom=low, top=high, fill_color=_CHANCE,
                  line_color=None)  # fmt: skip
        shown[f"{100 * level:.0f} %"] = plot.scatter(
            x, 100 * (here["coverage"].values - level), size=6.5, line_color=None,
            fill_color=shades[k % len(shades)],
        )  # fmt: skip
    plot.xaxis.ticker = FixedTicker(ticks=list(range(len(names))))
    plot.xaxis.major_label_overrides = dict(enumerate(names))
    few = len(names) <= 10
    plot.xaxis.major_label_orientation = 0.5 if few else 1.5
    plot.xaxis.major_label_text_font_size = "11px" if few else "8px"
    _named(plot, shown, len(levels))
    return plot


def _efficiency(product: xr.Dataset) -> figure:
    values = 100 * product["efficiency"].values
    title = f"Efficiency: median {np.nanmedian(values):.0f} %"
    if "pareto_k" in product:
        title += f", k̂ < 0.7 for {100 * float((product['pareto_k'] < 0.7).mean()):.0f} %"
    return _histogram(values, 0.0, 100.0, title, "effective share of draws [%]")


def _c2st(product: xr.Dataset) -> figure:
    values = product["c2st"].values
    title = f"C2ST against the reference: median {np.nanmedian(values):.3f}"
    return _histogram(values, 0.4, 1.0, title, "accuracy")


def _histogram(values: np.ndarray, low: float, high: float, title: str, x: str) -> figure:
    counts, edges = np.histogram(values[np.isfinite(values)], 25, (low, high))
    plot = _panel(title, x, "observations", x_range=Range1d(low, high),
                  y_range=Range1d(0, 1.08 * max(1, int(counts.max()))))  # fmt: skip
    plot.quad(left=edges[:-1], right=edges[1:], bottom=0, top=counts, fill_color=_BLUE,
              fill_alpha=0.75, line_color="#ffffff", line_width=0.6)  # fmt: skip
    middle = float(np.nanmedian(values))
    plot.line([middle, middle], [0, 1e9], line_color=INK, line_width=1.2)
    plot.yaxis.ticker = BasicTicker(desired_num_ticks=5)
    return plot


def _predictive(product: xr.Dataset) -> figure:
    steps = product["fraction"].values
    plot = _panel("Posterior predictive p-values", "p-value", "ECDF − uniform",
                  x_range=Range1d(0, 1))  # fmt: skip
    low, high = (product[f"predictive_{end}"].values - steps for end in ("low", "high"))
    _band(plot, steps, low, high)
    _zero(plot, (0, 1))
    shown = product["predictive"].values - steps
    plot.line(steps, shown, line_color=_BLUE, line_width=1.8)
    return plot


_PANELS: dict[str, Callable[[xr.Dataset], figure]] = {
    "ecdf": _ranks,
    "expected_coverage": _tarp,
    "coverage": _coverage,
    "efficiency": _efficiency,
    "predictive": _predictive,
    "c2st": _c2st,
}
