"""The Bokeh figures of the pdf page, empty: the kernel in the browser fills them.

A corner of five parameters has fifteen panels. As fifteen figures they would take a quarter of
a second to paint, so corner and data are one figure each: panels, ticks and their numbers are
lines and texts in units of a panel's side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bokeh.core.properties import value
from bokeh.models import ColumnDataSource, FixedTicker, Range1d
from bokeh.plotting import figure

from presage.studies.pdf.posterior_figures import COLOURS, SHADES

from .figures import LEFT, plain
from .pieces import columns
from .theme import FONT, INK, RULE

_TOOLS = "pan,wheel_zoom,box_zoom,reset,save"
_DASHES = {"corrected": (5, 2)}


@dataclass(frozen=True)
class Sheet:
    """A figure and the sources that the kernel fills, by name."""

    figure: figure
    sources: dict[str, ColumnDataSource]


def corner(count: int, kinds: Sequence[str]) -> Sheet:
    """Return the corner of `count` parameters: contours, marginals, truth and prior."""
    margin = 0.095 * count
    sheet = _bare((-margin, count + 0.02), (-0.075 * count, count + 0.02))
    plot, sources = sheet.figure, sheet.sources
    for name, shade in (("outer", SHADES[0]), ("inner", SHADES[1])):
        sources[name] = columns("x", "y")
        plot.patch("x", "y", fill_color=shade, line_color=None, source=sources[name])
    _lines(sheet, "prior", COLOURS["prior"], 1.0, (2, 2))
    for kind in kinds:
        _lines(sheet, f"{kind}_wide", COLOURS[kind], 0.9, _DASHES.get(kind))
        _lines(sheet, kind, COLOURS[kind], 1.6, _DASHES.get(kind))
    _lines(sheet, "truth", COLOURS["truth"], 1.1)
    sources["cross"] = columns("x", "y", "size")
    for colour, wide in (("#ffffff", 4), (COLOURS["truth"], 2)):
        plot.scatter("x", "y", marker="cross", size="size", line_color=colour, line_width=wide,
                     source=sources["cross"])  # fmt: skip
    _scales(sheet)
    return sheet


def data(panels: int) -> Sheet:
    """Return the figure of the events: one against the other, and each one's histogram."""
    sheet = _bare((-0.21, panels + 0.02), (-0.28, 1.08))
    plot, sources = sheet.figure, sheet.sources
    sources["fill"], sources["points"] = columns("x", "y"), columns("x", "y")
    plot.patch("x", "y", fill_color=SHADES[0], line_color=None, source=sources["fill"])
    _lines(sheet, "steps", COLOURS["reference"], 1.1)
    plot.scatter("x", "y", size=3, fill_color=COLOURS["reference"], fill_alpha=0.45,
                 line_color=None, source=sources["points"])  # fmt: skip
    _scales(sheet)
    return sheet


def curve(kinds: Sequence[str], x_range: Range1d, strip: bool = False) -> Sheet:
    """Return the figure of a curve's bands, or that of their residuals below it."""
    size = {"height": 150} if strip else {"min_height": 110}
    plot = figure(
        x_range=x_range,
        y_range=Range1d(0, 1),
        tools=_TOOLS,
        sizing_mode="stretch_width" if strip else "stretch_both",
        min_border_left=LEFT,
        min_border_right=10,
        min_border_top=4,
        min_border_bottom=44 if strip else 7,
        y_axis_label=" ",
        **size,
    )
    plain(plot)
    plot.outline_line_color = RULE
    plot.xaxis.visible = strip
    plot.xaxis.ticker = FixedTicker(ticks=[])  # the kernel's, for linear and logarithmic grids
    if strip:
        plot.toolbar_location = None
        plot.xaxis.axis_label = " "
    sheet = Sheet(plot, {})
    for name, shade in (("outer", SHADES[0]), ("inner", SHADES[1])):
        sheet.sources[name] = columns("x", "low", "high")
        plot.varea(x="x", y1="low", y2="high", fill_color=shade, source=sheet.sources[name])
    if strip:
        zero = ColumnDataSource({"x": [-1e9, 1e9], "y": [0.0, 0.0]})
        plot.line("x", "y", line_color=INK, line_width=0.8, source=zero)
    for kind in kinds:
        if kind != "reference":
            _lines(sheet, f"{kind}_wide", COLOURS[kind], 0.9, _DASHES.get(kind))
        _lines(sheet, kind, COLOURS[kind], 1.6, _DASHES.get(kind))
    _lines(sheet, "truth", COLOURS["truth"], 1.4)
    return sheet


def handed(sheets: Mapping[str, Sheet]) -> dict[str, Any]:
    """Return the sources of figures by name, for the kernel."""
    return {name: dict(sheet.sources) for name, sheet in sheets.items()}


def _bare(x: tuple[float, float], y: tuple[float, float]) -> Sheet:
    """Return a figure without axes, in units of a panel's side."""
    plot = figure(
        x_range=Range1d(*x),
        y_range=Range1d(*y),
        tools="",
        toolbar_location=None,
        sizing_mode="stretch_both",
        min_border=0,
        min_height=120,
    )
    plain(plot)
    plot.axis.visible = False
    plot.background_fill_color = plot.border_fill_color = None  # numbers stand beneath
    return Sheet(plot, {})


def _lines(
    sheet: Sheet, name: str, colour: str, width: float, dash: tuple[int, int] | None = None
) -> None:
    """Add lines that NaN separates."""
    sheet.sources[name] = columns("x", "y")
    sheet.figure.line("x", "y", line_color=colour, line_width=width, source=sheet.sources[name],
                      line_dash=list(dash or ()), line_join="round")  # fmt: skip


def _scales(sheet: Sheet) -> None:
    """Add the panels' axes: their lines and ticks, numbers, and names."""
    _lines(sheet, "axes", INK, 1.0)
    for name, align, baseline, dx, dy in (
        ("below", "center", "top", 0, 6), ("beside", "right", "middle", -6, 0),
    ):  # fmt: skip
        sheet.sources[name] = columns("x", "y", "text")
        sheet.figure.text("x", "y", text="text", x_offset=dx, y_offset=dy, text_align=align,
                          text_baseline=baseline, text_font=value(FONT), text_font_size="10.5px",
                          text_color=INK, source=sheet.sources[name])  # fmt: skip
    sheet.sources["names"] = columns("x", "y", "text", "angle")
    sheet.figure.text("x", "y", text="text", angle="angle", text_align="center",
                      text_font=value(FONT), text_baseline="middle", text_font_size="12px",
                      text_color=INK,
                      source=sheet.sources["names"])  # fmt: skip
