"""One variable's distributions, and below them the strip of what they differ by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bokeh.core.properties import value
from bokeh.models import BasicTicker, ColumnDataSource, Range1d

from dashboards.kit.arrays import Array
from dashboards.kit.figure import above_and_below, zero
from dashboards.kit.page import Cast, Panel
from dashboards.kit.pieces import column, columns
from dashboards.kit.theme import BAND, FONT, INK, MASK


def histogram(
    cast: Cast,
    arrays: Mapping[str, Array],
    roles: Mapping[str, str],
    x_range: Range1d,
    y: str,
    on: Sequence[str] = (),
    **spec: Any,
) -> Panel:
    """Return a histogram with its strip.

    Parameters
    ----------
    cast
        Who is shown: the base with its errors, the others as lines, and in the strip as points.
    arrays
        What is drawn, ``[member, …, variable, bin]``.
    roles
        ``edges``, ``density``, ``error``, ``pull``, ``ratio``, ``ratio_error``, ``ratio_floor``
        and ``few`` → the names of the arrays.
    x_range
        Shared with what stands above; `y`: the title of the upper axis.
    on
        Further names of the state that it depends on.
    spec
        ``variable`` (dim), ``titles`` of variables, ``pairs`` and ``pair``, the choice among them,
        with ``place``, which of the two is shown here; ``strip``: the choice of what it shows.
    """
    main, strip = above_and_below(x_range, y=y)
    for plot in (main, strip):
        plot.xaxis.ticker = BasicTicker(desired_num_ticks=7)
    main.below = []  # the strip below has it
    main.yaxis.ticker = BasicTicker(desired_num_ticks=5)
    strip.yaxis.ticker = BasicTicker(desired_num_ticks=4)
    models = {"main": main, "strip": strip, **_glyphs(cast, main, strip)}
    return Panel("histogram", column("half", main, strip), {"arrays": dict(roles), **spec}, models,
                 arrays, (main, strip), on=[*on, spec["strip"], *cast.on])  # fmt: skip


def _glyphs(cast: Cast, main: Any, strip: Any) -> dict[str, Any]:
    masked, band, base, bars = (columns(*names) for names in (
        ("left", "right"), ("x", "low", "high"), ("x", "y"), ("x", "low", "high")))  # fmt: skip
    for plot in (main, strip):
        plot.quad(left="left", right="right", bottom=-1e9, top=1e9, fill_color=MASK,
                  line_color=None, source=masked)  # fmt: skip
    strip.varea(x="x", y1="low", y2="high", fill_color=BAND, fill_alpha=1.0, source=band)
    zero(strip)
    colour = cast.colours[cast.base]
    main.varea(x="x", y1=0, y2="y", fill_color="#e6e6e6", source=base)
    main.line("x", "y", line_color=colour, line_width=1.1, source=base)
    main.segment(x0="x", x1="x", y0="low", y1="high", line_color=colour, line_width=1.0,
                 source=bars)  # fmt: skip
    outlines, points = {}, {}
    for k in reversed(cast.drawn):
        outlines[str(k)], points[str(k)] = columns("x", "y"), columns("x", "y", "low", "high")
        main.line("x", "y", line_color=cast.colours[k], line_width=1.6, source=outlines[str(k)])
        strip.segment(x0="x", x1="x", y0="low", y1="high", line_color=cast.colours[k],
                      line_width=1.1, source=points[str(k)])  # fmt: skip
        strip.scatter("x", "y", size=4, fill_color=cast.colours[k], line_color=None,
                      source=points[str(k)])  # fmt: skip
    beyond, said = (ColumnDataSource({name: [] for name in names}) for names in (
        ("x", "y", "marker", "colour"), ("x", "y", "text")))  # fmt: skip
    strip.scatter("x", "y", marker="marker", size=8, fill_color="colour", line_color="#ffffff",
                  line_width=0.5, source=beyond)  # fmt: skip
    strip.text("x", "y", text="text", text_align="right", text_baseline="top", x_offset=-4,
               y_offset=2, text_font=value(FONT), text_font_size="10.5px", text_color=INK,
               background_fill_color="#ffffff", background_fill_alpha=0.8, source=said)  # fmt: skip
    return {"base": base, "bars": bars, "band": band, "masked": masked, "outlines": outlines,
            "points": points, "beyond": beyond, "said": said}  # fmt: skip
