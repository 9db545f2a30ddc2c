"""Curves with bands and the truth, and below them what they are away from a base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bokeh.models import FixedTicker, Range1d
from bokeh.plotting import figure

from dashboards.kit.arrays import Array
from dashboards.kit.figure import above_and_below, framed, legend, lines, zero
from dashboards.kit.page import Cast, Panel
from dashboards.kit.pieces import column, columns
from dashboards.kit.theme import INK, SHADES


@dataclass(frozen=True)
class Line:
    """A curve."""

    title: str  # Of the upper axis.
    x: str  # Of the axis of points.
    grid: str  # Array of its points, ``[…, point]``.
    # Array of its quantiles, ``[…, level, point]``: one level, or three or five around the median.
    band: str
    truth: str = ""  # Array of the true curve; empty, as those that follow, for none.
    residual: str = ""  # Array of what the band is away from a base,
    true_residual: str = ""  # and the true curve.
    log: bool = False  # Whether the points are shown on a logarithmic axis,
    log_y: bool = False  # and the values.
    # What the axis of the values never goes beyond.
    ends: tuple[float | None, float | None] = (None, None)
    further: Sequence[str] = ()  # Arrays ``[…, point]`` of the panel's further lines.


def curve(
    name: str,
    lines_: Sequence[Line],
    arrays: Mapping[str, Array],
    levels: int = 1,
    cast: Cast | None = None,
    choice: str = "",
    scale: str = "",
    reach: Mapping[str, float | None] | None = None,
    strip_title: str = "",
    truth_colour: str = INK,
    on: Sequence[str] = (),
    called: str = "",
    further: Sequence[tuple[str, str]] = (),
    **more: Any,
) -> Panel:
    """Return curves, one of which is shown.

    Parameters
    ----------
    name
        Class of their place.
    lines_, arrays
        What is drawn; `choice`: the choice among the curves.
    levels
        Quantiles of each band.
    cast
        Whose curves; the base's bands are filled, and those of a curve of nobody's.
    scale
        Choice of what the strip shows; `reach`: value → how far it goes, None for as far as need
        be; `strip_title`: name of the words at its axis.
    truth_colour
        Of the true curve.
    on
        Names of the state that it depends on, beside the arrays' indices.
    called, further
        What the legend calls the curve; name and colour of further lines, where it has them.
    more
        ``mark``: array of the point that is marked; ``pair``: whether of the cast only the two
        that are compared are drawn; ``fetched``: whether arrays are asked for.
    """
    strips = any(line.residual for line in lines_)
    shared = Range1d(0, 1)
    if strips:
        main, strip = above_and_below(shared, 150, 10)
        main.min_height, main.min_border_top = 110, 4
        main.xaxis.visible = False
    else:
        main = strip = framed(x_range=shared, y_range=Range1d(0, 1), min_height=110,
                              x_axis_label=" ", y_axis_label=" ", min_border_top=4)  # fmt: skip
    models: dict[str, Any] = {"main": _glyphs(main, cast, truth_colour, levels)}
    if strips:
        models["strip"] = _glyphs(strip, cast, truth_colour, levels, strip=True)
    for plot in (main, strip):
        plot.xaxis.ticker = FixedTicker(ticks=[])  # the browser's, for linear and log grids
    if any(line.log_y for line in lines_):
        main.yaxis.ticker = FixedTicker(ticks=[])
    if further or more.get("mark"):
        _add_further(main, models["main"], called, further)
    models["axes"] = {
        "x": shared, "y": main.y_range, "strip": strip.y_range, "x_axis": strip.xaxis[0],
        "top_axis": main.xaxis[0], "y_axis": main.yaxis[0], "strip_axis": strip.yaxis[0],
    }  # fmt: skip
    spec = {
        "curves": [vars(line) for line in lines_],
        "levels": levels,
        "choice": choice,
        "scale": scale,
        "reach": reach or {"sigma": None},
        "strip_title": strip_title,
        "cast": bool(cast),
        **more,
    }  # fmt: skip
    figures = [main, strip] if strips else [main]
    needed = [*on, *filter(None, (choice, scale)), *(cast.on if cast else ())]
    return Panel("curve", column(name, *figures), spec, models, arrays, figures, on=needed)


def _add_further(
    plot: figure, found: dict[str, Any], name: str, further: Sequence[tuple[str, str]]
) -> None:
    """Add further lines with a legend, and a mark."""
    shown = {name: plot.select({"name": "curve"})[0]} if name else {}
    found["further"] = []
    for title, colour in further:
        found["further"].append(lines(plot, colour, 1.4))
        shown[title] = plot.renderers[-1]
    found["mark"] = lines(plot, INK, 1.0, (4, 3))
    if further:
        legend(plot, shown, "center", ncols=1, location="top_right", background_fill_alpha=0.7)


def _glyphs(
    plot: figure, cast: Cast | None, truth: str, levels: int, strip: bool = False
) -> dict[str, Any]:
    found: dict[str, Any] = {"lines": {}, "wide": {}}
    for name, shade, least in (("outer", SHADES[0], 5), ("inner", SHADES[1], 3)):
        if levels < least:
            continue
        found[name] = columns("x", "low", "high")
        plot.varea(x="x", y1="low", y2="high", fill_color=shade, source=found[name])
    if strip:
        zero(plot)
    names, colours = (cast.names, cast.colours) if cast else ([""], [INK])
    for k, (name, colour) in enumerate(zip(names, colours, strict=True)):
        dash = (5, 2) if cast and name in cast.dashed else None
        if levels > 1 and cast and k != cast.base:
            found["wide"][str(k)] = lines(plot, colour, 0.9, dash)
        found["lines"][str(k)] = lines(plot, colour, 1.6, dash)
        plot.renderers[-1].name = "curve"
    found["truth"] = lines(plot, truth, 1.4)
    return found
