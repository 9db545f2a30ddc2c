"""The calibration's figures; made when a visitor first asks for them."""

from __future__ import annotations

from html import escape
from typing import Any

import xarray as xr
from bokeh.models import (
    BasicTicker,
    ColumnDataSource,
    FixedTicker,
    Range1d,
)
from bokeh.plotting import figure

from dashboards.kit.figure import LEFT, framed, lean, legend
from dashboards.kit.foot import link
from dashboards.kit.pieces import note, row
from dashboards.kit.theme import INK
from presage.studies.pdf.calibration_panels import CURVES, Histogram, Panel, panels
from presage.studies.pdf.posterior_figures import COLOURS

from .exhibit import Exhibit

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
    try:
        plots = [_drawn(panel) for panel in panels(product).values()]
    except (ValueError, LookupError, TypeError) as error:
        return [note(f"The calibration cannot be shown: {escape(str(error)[:200])}")]
    lean(plots)
    return [note(_about(product, exhibit.checked.key)), row("checks", *plots, note(_READING))]


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


def _drawn(panel: Panel) -> figure:
    """Return a panel's figure: grey is where a calibrated posterior stays."""
    title = f"{panel.title}: {panel.verdict}" if panel.verdict else panel.title
    plot = framed(title=title, x_axis_label=panel.x, y_axis_label=panel.y, min_border_left=LEFT - 8,
                  min_border_right=0, min_width=180, min_height=160,
                  x_range=Range1d(*panel.x_range))  # fmt: skip
    shown: dict[str, Any] = {}
    for band in panel.bands:
        if band.width:
            plot.vbar(x=band.x, width=band.width, bottom=band.low, top=band.high,
                      fill_color=_CHANCE, line_color=None)  # fmt: skip
        else:
            source = ColumnDataSource({"x": band.x, "low": band.low, "high": band.high})
            plot.varea(x="x", y1="low", y2="high", fill_color=_CHANCE, source=source)
    for curve in panel.curves:
        if curve.points:
            line = plot.scatter(curve.x, curve.y, size=6.5, line_color=None,
                                fill_color=curve.colour)  # fmt: skip
        else:
            wide = 0.8 if curve.colour == CURVES else 1.6
            line = plot.line(curve.x, curve.y, line_color=curve.colour, line_width=wide)
        if curve.label:
            shown[curve.label] = line
    if panel.histogram is not None:
        _fill(plot, panel.histogram)
    else:
        plot.line([-1e9, 1e9], [0.0, 0.0], line_color=INK, line_width=0.8)
    if panel.ticks:
        few = len(panel.ticks) <= 10
        plot.xaxis.ticker = FixedTicker(ticks=list(panel.ticks))
        plot.xaxis.major_label_overrides = dict(panel.ticks)
        plot.xaxis.major_label_orientation = 0.5 if few else 1.5
        plot.xaxis.major_label_text_font_size = "11px" if few else "8px"
    if shown:
        legend(plot, shown)
    return plot


def _fill(plot: figure, found: Histogram) -> None:
    plot.y_range = Range1d(0, 1.08 * max(1.0, float(found.counts.max())))
    plot.quad(left=found.edges[:-1], right=found.edges[1:], bottom=0, top=found.counts,
              fill_color=_BLUE, fill_alpha=0.75, line_color="#ffffff", line_width=0.6)  # fmt: skip
    plot.line([found.mark, found.mark], [0, 1e9], line_color=INK, line_width=1.2)
    plot.yaxis.ticker = BasicTicker(desired_num_ticks=5)
