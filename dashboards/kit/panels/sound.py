"""What is heard: a line spectrum and a player."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bokeh.models import ColumnDataSource, Range1d

from dashboards.kit.arrays import Array
from dashboards.kit.figure import framed
from dashboards.kit.page import Cast, Panel
from dashboards.kit.pieces import column, piece
from dashboards.kit.theme import INK


def spectrum(
    name: str,
    frequency: str,
    level: str,
    arrays: Mapping[str, Array],
    span: tuple[tuple[float, float], tuple[float, float]],
    cast: Cast | None = None,
    titles: tuple[str, str] = ("frequency [Hz]", "level [dB]"),
) -> Panel:
    """Return a spectrum of lines.

    Parameters
    ----------
    name
        Class of its place.
    frequency, level
        Arrays ``[…, line]``; lines that are not there are NaN.
    arrays
        With both.
    span
        (low, high) of frequencies and of levels; the lines stand on the lowest level.
    cast
        Whose lines.
    titles
        Of the axes.
    """
    plot = framed(x_range=Range1d(*span[0]), y_range=Range1d(*span[1]), min_height=120,
                  x_axis_label=titles[0], y_axis_label=titles[1])  # fmt: skip
    sources: dict[str, Any] = {}
    for k, colour in enumerate(cast.colours if cast else [INK]):
        source = sources[str(k)] = ColumnDataSource({"x": [], "y": [], "base": []})
        plot.segment(x0="x", x1="x", y0="base", y1="y", line_color=colour, line_width=1.4,
                     source=source)  # fmt: skip
        plot.scatter("x", "y", size=4, fill_color=colour, line_color=None, source=source)
    spec = {"frequency": frequency, "level": level, "floor": span[1][0], "cast": bool(cast)}
    return Panel("spectrum", column(name, plot), spec, {"lines": sources}, arrays, [plot],
                 on=cast.on if cast else ())  # fmt: skip


def audio(
    samples: str,
    arrays: Mapping[str, Array],
    rate: int,
    title: str = "",
    cast: Cast | None = None,
    on: Sequence[str] = (),
) -> Panel:
    """Return a player for each member that is shown.

    Parameters
    ----------
    samples
        Array ``[…, time]`` between −1 and 1.
    arrays
        With it.
    rate
        Samples a second.
    title
        Without a cast: what is heard.
    cast
        Whose sound.
    on
        Names of the state that it depends on, beside the array's indices.
    """
    div = piece("sound")
    spec = {"samples": samples, "rate": rate, "title": title, "cast": bool(cast)}
    needed = [*on, *(cast.on if cast else ())]
    return Panel("audio", div, spec, {"div": div}, arrays, on=needed)
