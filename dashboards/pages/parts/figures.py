"""The Bokeh figures of the events page, empty: the kernel in the browser fills them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.core.properties import value
from bokeh.models import (
    BasicTicker,
    ColorBar,
    ColumnDataSource,
    CustomJSTickFormatter,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    LogColorMapper,
    LogTicker,
    Range1d,
)
from bokeh.palettes import RdBu11, Viridis256, interp_palette
from bokeh.plotting import figure

from .payload import Payload
from .pieces import columns
from .theme import BAND, FONT, INK, MASK, RULE

#: Cells with fewer events in both samples (were they of equal size) and bins with fewer in the
#: reference are masked.
LOW_CELL, LOW_BIN = 10, 25
#: Largest pull on the colour scale and on the strips.
PULL = 4.0
#: Densities below this share of the reference's peak are white.
FAINTEST = 2e-3
LEFT, BARE, BAR = 68, 8, 58
_TOOLS = "pan,wheel_zoom,box_zoom,reset,save"
DENSITY = tuple(reversed(Viridis256))
DIVERGING = tuple(interp_palette(RdBu11, 255))


#: A figure, or two, and what the kernel changes of it, by the names that the kernel knows.
Drawn = dict[str, Any]


def plain(plot: figure) -> figure:
    """Take away what is not data, and set the type."""
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    plot.toolbar_inner = True  # beside the frame it would take room from it
    plot.background_fill_color = plot.border_fill_color = "#ffffff"
    plot.outline_line_color = None
    plot.grid.grid_line_color = None
    for axis in plot.axis:
        axis.axis_line_color = axis.major_tick_line_color = INK
        axis.minor_tick_line_color = None
        axis.major_tick_in, axis.major_tick_out = 0, 4
        axis.major_label_text_font = axis.axis_label_text_font = FONT
        axis.major_label_text_font_size = "11px"
        axis.axis_label_text_font_size = "12px"
        axis.axis_label_text_font_style = "normal"
        axis.major_label_text_color = axis.axis_label_text_color = INK
        axis.axis_label_standoff = 5
        axis.major_label_standoff = 4
    plot.title.text_font = FONT
    plot.title.text_font_size = "12.5px"
    plot.title.text_font_style = "normal"
    plot.title.text_color = INK
    plot.title.standoff = 4
    return plot


def joint_panels(payload: Payload, ranges: tuple[Range1d, Range1d]) -> dict[str, Drawn]:
    """Return the panels ``reference``, ``generated`` and ``pull`` on common axes."""
    bins = payload.product.sizes["bin_x"]
    low = {"low_color": "#ffffff", "nan_color": "#ffffff"}
    density = {
        "log": LogColorMapper(palette=DENSITY, low=FAINTEST, high=1.0, **low),
        "linear": LinearColorMapper(palette=DENSITY, low=FAINTEST, high=1.0, **low),
    }
    pull = LinearColorMapper(palette=DIVERGING, low=-PULL, high=PULL, nan_color=MASK)
    return {
        "reference": _joint_panel("reference", ranges, bins, density, bar=False),
        "generated": _joint_panel("generated", ranges, bins, density, bar=True),
        "pull": _joint_panel("pull", ranges, bins, {"pull": pull}, bar=True),
    }


def _joint_panel(
    name: str, ranges: tuple[Range1d, Range1d], bins: int, mappers: dict[str, Any], bar: bool
) -> Drawn:
    """Return a panel; the kernel shows one of its `scales`, each an image and its colour bar."""
    first = name == "reference"
    plot = figure(
        x_range=ranges[0],
        y_range=ranges[1],
        tools=_TOOLS,
        title=name,
        min_border_left=LEFT if first else BARE,
        min_border_right=BARE if first else BAR,
        min_border_top=4,
        sizing_mode="stretch_both",
        min_width=120,
        min_height=120,
        x_axis_label=" ",
        y_axis_label=" ",
    )
    plain(plot)
    plot.background_fill_color = MASK if name == "pull" else "#ffffff"
    plot.outline_line_color = RULE
    plot.xaxis.ticker = BasicTicker(desired_num_ticks=4)
    plot.yaxis.ticker = BasicTicker(desired_num_ticks=5)
    if not first:  # its scale is the first one's
        plot.left = []
    empty = np.zeros((bins, bins), dtype=np.float32)
    source = ColumnDataSource({"image": [empty], "x": [0], "y": [0], "dw": [1], "dh": [1]})
    scales: dict[str, list[Any]] = {}
    for scale, mapper in mappers.items():
        shown = plot.image("image", x="x", y="y", dw="dw", dh="dh", color_mapper=mapper,
                           source=source)  # fmt: skip
        scales[scale] = [shown]
        if bar:
            legend = _colour_bar(mapper, scale)
            plot.add_layout(legend, "right")
            scales[scale].append(legend)
    return {"figure": plot, "source": source, "scales": scales}


def _colour_bar(mapper: Any, scale: str) -> ColorBar:
    pull = scale == "pull"
    ticker = FixedTicker(ticks=[-4, -2, 0, 2, 4] if pull else [])
    title = {"pull": "pull", "metric": ""}.get(scale, "density / peak")
    sign = '(tick > 0 ? "+" : "") + ' if pull else ""
    number = f'return ({sign}String(+tick.toPrecision(3))).replace("-", "−")'
    return ColorBar(
        color_mapper=mapper,
        width=9,
        padding=6,
        label_standoff=4,
        title=title or None,
        title_text_font=FONT,
        title_text_font_size="11px",
        title_text_font_style="normal",
        title_text_color=INK,
        title_standoff=5,
        ticker={"log": LogTicker(), "linear": BasicTicker(desired_num_ticks=5)}.get(scale, ticker),
        formatter=CustomJSTickFormatter(code=number),
        major_label_text_font=FONT,
        major_label_text_font_size="11px",
        major_label_text_color=INK,
        major_tick_line_color=INK,
        bar_line_color=RULE,
        background_fill_alpha=0.0,
    )


def marginal(names: Sequence[str], x_range: Range1d, colours: dict[str, str]) -> Drawn:
    """Return a variable's distribution above its strip, with lines and points for `names`."""
    common = {"x_range": x_range, "tools": _TOOLS, "min_border_left": LEFT, "min_border_right": 8}
    main = figure(
        **common,
        y_range=Range1d(0, 1),
        sizing_mode="stretch_both",
        min_height=90,
        min_border_bottom=7,
        min_border_top=6,
        y_axis_label="events per bin [%]",
    )
    strip = figure(
        **common,
        y_range=Range1d(-PULL, PULL),
        sizing_mode="stretch_width",
        height=120,
        min_border_bottom=44,
        min_border_top=2,
        y_axis_label="pull",
    )
    for plot in (plain(main), plain(strip)):
        plot.xaxis.ticker = BasicTicker(desired_num_ticks=7)
        plot.outline_line_color = RULE
    main.below = []  # the strip below has it
    main.yaxis.ticker = BasicTicker(desired_num_ticks=5)
    strip.yaxis.ticker = BasicTicker(desired_num_ticks=4)
    strip.toolbar_location = None
    return _with_glyphs(names, main, strip, colours)


def _with_glyphs(
    names: Sequence[str], main: figure, strip: figure, colours: dict[str, str]
) -> Drawn:
    outlines, points = {}, {}
    masked = columns("left", "right")
    for plot in (main, strip):
        plot.quad(left="left", right="right", bottom=-1e9, top=1e9, fill_color=MASK,
                  line_color=None, source=masked)  # fmt: skip
    band = columns("x", "low", "high")
    strip.varea(x="x", y1="low", y2="high", fill_color=BAND, fill_alpha=1.0, source=band)
    zero = ColumnDataSource({"x": [-1e9, 1e9], "y": [0.0, 0.0]})
    strip.line("x", "y", line_color=INK, line_width=0.8, source=zero)
    outlines["reference"] = columns("x", "y")
    main.varea(x="x", y1=0, y2="y", fill_color="#e6e6e6", source=outlines["reference"])
    main.line("x", "y", line_color=colours["reference"], line_width=1.1,
              source=outlines["reference"])  # fmt: skip
    bars = columns("x", "low", "high")
    main.segment(x0="x", x1="x", y0="low", y1="high", line_color=colours["reference"],
                 line_width=1.0, source=bars)  # fmt: skip
    for name in reversed(names):
        outlines[name], points[name] = columns("x", "y"), columns("x", "y", "low", "high")
        main.line("x", "y", line_color=colours[name], line_width=1.6, source=outlines[name])
        strip.segment(x0="x", x1="x", y0="low", y1="high", line_color=colours[name],
                      line_width=1.1, source=points[name])  # fmt: skip
        strip.scatter("x", "y", size=4, fill_color=colours[name], line_color=None,
                      source=points[name])  # fmt: skip
    beyond, said = (
        ColumnDataSource({name: [] for name in names})
        for names in (("x", "y", "marker", "colour"), ("x", "y", "text"))
    )
    strip.scatter("x", "y", marker="marker", size=8, fill_color="colour", line_color="#ffffff",
                  line_width=0.5, source=beyond)  # fmt: skip
    strip.text("x", "y", text="text", text_align="right", text_baseline="top", x_offset=-4,
               y_offset=2, text_font=value(FONT), text_font_size="10.5px", text_color=INK,
               background_fill_color="#ffffff", background_fill_alpha=0.8, source=said)  # fmt: skip
    return {"main": main, "strip": strip, "outlines": outlines, "points": points, "bars": bars,
            "band": band, "masked": masked, "beyond": beyond, "said": said}  # fmt: skip


def label_grid(payload: Payload) -> Drawn:
    """Return the clickable grid of labels, coloured by a metric, held-out labels marked."""
    axes = [*payload.axes[:2], np.zeros(1)][:2]
    plot = figure(
        x_range=Range1d(-0.5, len(axes[0]) - 0.5),
        y_range=Range1d(-0.5, len(axes[1]) - 0.5),
        tools="save",
        min_border_left=LEFT - 8,
        min_border_top=6,
        min_border_right=4,
        sizing_mode="stretch_both",
        min_height=180,
    )
    plain(plot)
    for axis, values, parameter, most in zip(
        (plot.xaxis[0], plot.yaxis[0]), axes, [*payload.parameters, None], (5, 10), strict=False
    ):
        _name_places(axis, values, parameter.title if parameter else "", most)
    if len(payload.axes) == 1:
        plot.left = []
    linear = LinearColorMapper(palette=DENSITY, low=0, high=1, nan_color="#ffffff")
    cells = ColumnDataSource({n: np.zeros(0) for n in ("x", "y", "value", "label", "text")})
    field = {"field": "value", "transform": linear}
    squares = plot.rect("x", "y", width=0.94, height=0.94, fill_color=field,
                        line_color=RULE, line_width=0.5, source=cells)  # fmt: skip
    squares.nonselection_glyph = squares.selection_glyph = None
    marks = {name: columns("x", "y") for name in ("interior", "edge")}
    for name, marker, size in (("interior", "circle", 8), ("edge", "diamond", 10)):
        plot.scatter("x", "y", marker=marker, size=size, fill_color="#ffffff", line_color=INK,
                     line_width=1.4, source=marks[name])  # fmt: skip
    chosen = columns("x", "y")
    for colour, wide in (("#ffffff", 6), (INK, 3)):  # seen on any colour beneath
        plot.rect("x", "y", width=1.0, height=1.0, fill_color=None, line_color=colour,
                  line_width=wide, line_join="miter", source=chosen)  # fmt: skip
    cross = columns("x", "y")  # where a flow is drawn live, between the squares
    for colour, wide, size in (("#ffffff", 7, 19), (INK, 3, 17)):
        plot.scatter("x", "y", marker="cross", size=size, line_color=colour, line_width=wide,
                     source=cross)  # fmt: skip
    bar = _colour_bar(linear, "metric")
    plot.add_layout(bar, "right")
    plot.add_tools(
        HoverTool(
            renderers=[squares], tooltips="<span style='font:12px sans-serif'>@text</span>",
            point_policy="follow_mouse", visible=False,
        )
    )  # fmt: skip
    return {"figure": plot, "cells": cells, "chosen": chosen, "cross": cross, **marks,
            "mapper": linear, "bar": bar}  # fmt: skip


def _name_places(axis: Any, values: Sequence[float] | np.ndarray, title: str, most: int) -> None:
    """Label whole-number places with the parameter's values, at most so many of them."""
    every = max(1, -(-len(values) // most))
    places = list(range(0, len(values), every))
    axis.ticker = FixedTicker(ticks=places)
    axis.major_label_overrides = {i: f"{float(values[i]):.4g}" for i in places}
    axis.axis_label = title
    axis.major_label_text_font_size = "10.5px"
