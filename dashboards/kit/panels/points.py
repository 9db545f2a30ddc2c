"""A number against another one, a point for each member of the cast; a click chooses one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bokeh.core.properties import value
from bokeh.models import ColumnDataSource, Range1d

from dashboards.kit.arrays import Array
from dashboards.kit.figure import framed, lines, on_click
from dashboards.kit.page import Cast, Panel
from dashboards.kit.pieces import columns, row
from dashboards.kit.theme import FONT, INK, MUTED


def points(
    name: str,
    x: str,
    y: str,
    arrays: Mapping[str, Array],
    cast: Cast,
    titles: tuple[str, str],
    aims: tuple[str, str] | None = None,
    on: Sequence[str] = (),
) -> Panel:
    """Return points in a plane, the two members that are compared ringed.

    Parameters
    ----------
    name
        Class of their place.
    x, y, arrays
        Arrays whose dims, the cast's among them, are all indices; NaN: there is no point.
    cast
        Whose points; a click chooses its `a`, with ⇧ its `b`.
    titles
        Of the axes.
    aims
        Arrays of the x and the y at which broken lines are drawn, where points reach there.
    on
        Names of the state that it depends on, beside the arrays' indices.
    """
    plot = framed(x_range=Range1d(0, 1), y_range=Range1d(0, 1), min_height=120,
                  x_axis_label=titles[0], y_axis_label=titles[1])  # fmt: skip
    empty = ColumnDataSource({name: [] for name in ("x", "y", "beside", "colour", "text")})
    aimed = lines(plot, MUTED, 1.0, (2, 3))
    models = {"figure": plot, "points": empty, "chosen": columns("x", "y"), "aims": aimed}
    plot.scatter("x", "y", size=15, fill_color=None, line_color=INK, line_width=1.6,
                 source=models["chosen"])  # fmt: skip
    plot.scatter("x", "y", size=9, fill_color="colour", line_color=None, source=models["points"])
    plot.text("x", "beside", "text", x_offset=11, text_baseline="middle", text_font=value(FONT),
              text_font_size="11px", text_color="colour", source=models["points"])  # fmt: skip
    on_click(plot)
    spec = {"x": x, "y": y, "aims": list(aims or ())}
    return Panel("points", row(name, plot), spec, models, arrays, [plot], on=[*on, *cast.on])
