"""Empty Bokeh figures as the kit's panels have them; scripts in the browser fill them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bokeh.core.properties import value
from bokeh.models import (
    BasicTicker,
    ColorBar,
    ColumnDataSource,
    CustomJS,
    CustomJSTickFormatter,
    FixedTicker,
    GlyphRenderer,
    Grid,
    Legend,
    LegendItem,
    Line,
    LogTicker,
    Plot,
    Range1d,
)
from bokeh.palettes import RdBu11, Viridis256, interp_palette
from bokeh.plotting import figure

from .pieces import columns
from .theme import FONT, INK, RULE

LEFT, BARE, BAR = 68, 8, 58
TOOLS = "pan,wheel_zoom,box_zoom,reset,save"
SEQUENTIAL = tuple(reversed(Viridis256))
DIVERGING = tuple(interp_palette(RdBu11, 255))
#: Digits as people read them, for axes that Bokeh would label otherwise.
NUMBER = 'return String(+tick.toPrecision(3)).replace("-", "−")'


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


def framed(tall: int | None = None, **settings: Any) -> figure:
    """Return a figure with a thin frame that fills its place, or one of a fixed height."""
    size: dict[str, Any] = (
        {"sizing_mode": "stretch_width", "height": tall}
        if tall
        else {"sizing_mode": "stretch_both"}
    )
    given = {"tools": TOOLS, "min_border_left": LEFT, "min_border_right": 8, **size, **settings}
    plot = plain(figure(**given))
    plot.outline_line_color = RULE
    return plot


def above_and_below(
    x_range: Range1d, tall: int = 120, right: int = 8, y: str = " "
) -> tuple[figure, figure]:
    """Return a figure and a strip below it that has the axis of both."""
    common = {"x_range": x_range, "min_border_right": right}
    main = framed(**common, y_range=Range1d(0, 1), min_height=90, min_border_bottom=7,
                  min_border_top=6, y_axis_label=y)  # fmt: skip
    strip = framed(tall, **common, y_range=Range1d(-1, 1), min_border_bottom=44, min_border_top=2,
                   y_axis_label=" ", x_axis_label=" ")  # fmt: skip
    strip.toolbar_location = None
    return main, strip


def zero(plot: figure) -> None:
    """Draw the line that a strip's values are away from."""
    source = ColumnDataSource({"x": [-1e9, 1e9], "y": [0.0, 0.0]})
    plot.line("x", "y", line_color=INK, line_width=0.8, source=source)


def bare(x: tuple[float, float], y: tuple[float, float]) -> figure:
    """Return a figure without axes, of panels in units of their side."""
    plot = figure(x_range=Range1d(*x), y_range=Range1d(*y), tools="", toolbar_location=None,
                  sizing_mode="stretch_both", min_border=0, min_height=120)  # fmt: skip
    plain(plot)
    plot.axis.visible = False
    plot.background_fill_color = plot.border_fill_color = None  # numbers stand beneath
    return plot


def on_click(plot: figure) -> None:
    """Let clicks into a figure choose what its panel shows there."""
    plot.js_on_event("tap", CustomJS(
        code="window.presage.click(cb_obj.x, cb_obj.y, cb_obj.modifiers?.shift, cb_obj.origin)"
    ))  # fmt: skip


def legend(plot: figure, shown: Mapping[str, Any], place: str = "below", **settings: Any) -> None:
    """Put a small legend into a figure, by default below the axis: name → what is drawn."""
    items = [LegendItem(label=name, renderers=[line]) for name, line in shown.items()]
    given = {"ncols": 4, "background_fill_alpha": 0.0, "location": "bottom_left", **settings}
    plot.add_layout(
        Legend(items=items, label_text_font=FONT, label_text_font_size="10.5px",
               label_text_color=INK, border_line_color=None, padding=2, margin=2, spacing=6,
               glyph_width=14, glyph_height=10, label_height=12, label_standoff=4, **given),
        place,
    )  # fmt: skip


def lines(
    plot: figure, colour: str, width: float, dash: Sequence[int] | None = None
) -> ColumnDataSource:
    """Add lines that NaN separates; return their source."""
    source = columns("x", "y")
    glyph = Line(x="x", y="y", line_color=colour, line_width=width, line_dash=list(dash or ()),
                 line_join="round")  # fmt: skip
    plot.add_glyph(source, glyph)  # half the time of `plot.line`, and a page has a hundred
    return source


def panel_scales(plot: figure) -> dict[str, ColumnDataSource]:
    """Add the axes of panels that share a figure: their lines and ticks, numbers, and names."""
    sources = {"axes": lines(plot, INK, 1.0)}
    common = {"text": "text", "text_font": value(FONT), "text_color": INK}
    for name, align, baseline, dx, dy in (
        ("below", "center", "top", 0, 6), ("beside", "right", "middle", -6, 0),
    ):  # fmt: skip
        sources[name] = columns("x", "y", "text")
        plot.text("x", "y", x_offset=dx, y_offset=dy, text_align=align, text_baseline=baseline,
                  text_font_size="10.5px", source=sources[name], **common)  # fmt: skip
    sources["names"] = columns("x", "y", "text", "angle")
    plot.text("x", "y", angle="angle", text_align="center", text_baseline="middle",
              text_font_size="12px", source=sources["names"], **common)  # fmt: skip
    return sources


def colour_bar(mapper: Any, title: str = "", ticks: Sequence[float] | str = ()) -> ColorBar:
    """Return a bar beside a figure; `ticks` are fixed ones, ``"log"`` or ``"linear"``."""
    fixed = [] if isinstance(ticks, str) else list(ticks)
    ticker = {"log": LogTicker(), "linear": BasicTicker(desired_num_ticks=5)}.get(
        str(ticks), FixedTicker(ticks=fixed)
    )
    sign = '(tick > 0 ? "+" : "") + ' if min(fixed, default=0.0) < 0 else ""
    code = f'return ({sign}String(+tick.toPrecision(3))).replace("-", "−")'
    return ColorBar(
        color_mapper=mapper, width=9, padding=6, label_standoff=4, title=title or None,
        title_text_font=FONT, title_text_font_size="11px", title_text_font_style="normal",
        title_text_color=INK, title_standoff=5, ticker=ticker,
        formatter=CustomJSTickFormatter(code=code), major_label_text_font=FONT,
        major_label_text_font_size="11px", major_label_text_color=INK,
        major_tick_line_color=INK, bar_line_color=RULE, background_fill_alpha=0.0,
    )  # fmt: skip


def name_places(axis: Any, values: Sequence[Any], title: str, most: int) -> None:
    """Label whole-number places with what stands there, at most so many of them."""
    every = max(1, -(-len(values) // most))
    places = list(range(0, len(values), every))
    axis.ticker = FixedTicker(ticks=places)
    axis.major_label_overrides = {
        i: values[i] if isinstance(values[i], str) else f"{float(values[i]):.4g}" for i in places
    }
    axis.axis_label = title
    axis.major_label_text_font_size = "10.5px"


def lean(plots: Iterable[Plot]) -> None:
    """Take grids without lines, and glyphs of selections that cannot be made, out of figures.

    A third of what the browser has to build and a part of what it paints at every flip are such
    things; see also ``swift.js``. The figures are complete, without tools that select or legends
    that mute.
    """
    for plot in plots:
        plot.center = [
            part for part in plot.center
            if not (isinstance(part, Grid) and part.grid_line_color is None)
        ]  # fmt: skip
        for shown in plot.renderers:
            if isinstance(shown, GlyphRenderer):
                shown.update(nonselection_glyph=None, selection_glyph=None, muted_glyph=None)
