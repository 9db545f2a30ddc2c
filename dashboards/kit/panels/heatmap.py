"""A number over the labels of a grid, or over two indices, as squares; a click chooses one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, LinearColorMapper, Range1d

from dashboards.kit.arrays import Array
from dashboards.kit.choice import Choice, Labels
from dashboards.kit.figure import (
    DIVERGING,
    LEFT,
    SEQUENTIAL,
    colour_bar,
    framed,
    name_places,
    on_click,
)
from dashboards.kit.page import Panel
from dashboards.kit.pieces import columns, piece, row
from dashboards.kit.theme import INK, RULE


@dataclass(frozen=True)
class Column:
    """A number that squares can be coloured by."""

    title: str  # For people.
    said: str = ""  # All that is to be said of it.
    best: float | None = 0.0  # Its best value; None where more is always better.
    signed: bool = False  # Whether values go to both sides of the best one.


def heatmap(
    over: Choice | tuple[Choice, Choice],
    columns_: Sequence[Column],
    arrays: Mapping[str, Array],
    titles: Sequence[str],
    names: Sequence[str],
    regions: Sequence[Mapping[str, Any]] = (),
    marks: Sequence[str] = (),
    column: str = "",
    floor: int = -1,
    on: Sequence[str] = (),
    **roles: str,
) -> Panel:
    """Return a heat map, the chosen cell marked, with a caption where there are regions.

    Parameters
    ----------
    over
        The labels, or the two indices along x and y.
    columns_
        Numbers that there are; `column`: the choice among them.
    arrays
        What is drawn, the cells as drawn dims; `roles` says which array is the ``value``, and
        ``[…, region]`` the ``median``, ``worst``, ``better`` and ``difference``.
    titles
        Of the axes.
    names
        Of the cells, for those who point at one.
    regions
        ``name`` (``interior``, ``edge`` and ``trained`` have marks), ``title`` and ``size``.
    marks
        Region of each cell.
    floor
        Number of the member that chance gives; -1: none.
    on
        Names of the state that it depends on, beside the arrays' indices.
    """
    pair = (over,) if isinstance(over, Choice) else over
    grid = isinstance(over, Labels)
    axes: list[Any] = [*over.axes[:2]] if isinstance(over, Labels) else [c.values for c in pair]
    flat = len(axes) == 1
    axes = [*axes, np.zeros(1)][:2]
    plot = framed(x_range=Range1d(-0.5, len(axes[0]) - 0.5), tools="save",
                  y_range=Range1d(-0.5, len(axes[1]) - 0.5), min_border_left=LEFT - 8,
                  min_border_top=6, min_border_right=4, min_height=180)  # fmt: skip
    plot.outline_line_color = None
    for axis, values, title, most in zip((plot.xaxis[0], plot.yaxis[0]), axes,
                                         [*titles, ""], (5, 10), strict=False):  # fmt: skip
        name_places(axis, values, title, most)
    if flat:
        plot.left = []
    models = {"figure": plot, **_glyphs(plot, grid)}
    on_click(plot)
    said = piece("caption") if regions else None
    spec = {"over": [one.name for one in pair], "columns": [vars(one) for one in columns_],
            "column": column, "names": list(names), "marks": list(marks), "floor": floor,
            "regions": [dict(region) for region in regions], "diverging": DIVERGING,
            "sequential": SEQUENTIAL[::-1], **roles}  # fmt: skip
    listed = [*on, *(one.name for one in pair), *(["rest"] if grid else [])]
    if said:
        models["caption"] = said
    return Panel("heatmap", row("grid", plot), spec, models, arrays, [plot], [said] if said else [],
                 on=[*listed, *filter(None, [column])])  # fmt: skip


def _glyphs(plot: Any, grid: bool) -> dict[str, Any]:
    linear = LinearColorMapper(palette=SEQUENTIAL, low=0, high=1, nan_color="#ffffff")
    cells = ColumnDataSource({n: np.zeros(0) for n in ("x", "y", "value", "cell", "text")})
    field = {"field": "value", "transform": linear}
    squares = plot.rect("x", "y", width=0.94, height=0.94, fill_color=field,
                        line_color=RULE, line_width=0.5, source=cells)  # fmt: skip
    found: dict[str, Any] = {"cells": cells, "mapper": linear}
    marks = (("interior", "circle", 8), ("edge", "diamond", 10)) if grid else ()
    for name, marker, size in marks:
        found[name] = columns("x", "y")
        plot.scatter("x", "y", marker=marker, size=size, fill_color="#ffffff", line_color=INK,
                     line_width=1.4, source=found[name])  # fmt: skip
    found["chosen"] = columns("x", "y")
    for colour, wide in (("#ffffff", 6), (INK, 3)):  # seen on any colour beneath
        plot.rect("x", "y", width=1.0, height=1.0, fill_color=None, line_color=colour,
                  line_width=wide, line_join="miter", source=found["chosen"])  # fmt: skip
    if grid:
        found["cross"] = columns("x", "y")  # where something is drawn live, between the squares
        for colour, wide, size in (("#ffffff", 7, 19), (INK, 3, 17)):
            plot.scatter("x", "y", marker="cross", size=size, line_color=colour, line_width=wide,
                         source=found["cross"])  # fmt: skip
    found["bar"] = colour_bar(linear)
    plot.add_layout(found["bar"], "right")
    plot.add_tools(
        HoverTool(renderers=[squares], point_policy="follow_mouse", visible=False,
                  tooltips="<span style='font:12px sans-serif'>@text</span>")
    )  # fmt: skip
    return found
