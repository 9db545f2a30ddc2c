"""Pictures beside one another on common axes: mostly two of one kind and their difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import BasicTicker, ColumnDataSource, LinearColorMapper, LogColorMapper, Range1d
from bokeh.plotting import figure

from dashboards.kit.arrays import Array, title_of
from dashboards.kit.figure import (
    BAR,
    BARE,
    DIVERGING,
    LEFT,
    SEQUENTIAL,
    colour_bar,
    framed,
    name_places,
    on_click,
)
from dashboards.kit.page import Panel
from dashboards.kit.pieces import columns, row
from dashboards.kit.theme import INK, MASK


@dataclass(frozen=True)
class Scale:
    """Colours of a picture."""

    low: float  # End of the scale.
    high: float  # The other one.
    title: str = ""  # Above the bar.
    diverging: bool = False  # Whether zero is in the middle, white.
    nothing: str = "#ffffff"  # Colour of what is not there.
    log: bool = False  # Whether it is logarithmic.
    ticks: Sequence[float] | str = ""  # On the bar, where they are to be these.
    best: float | None = None  # Where it is the high end, its colours change places.

    def mapper(self) -> Any:
        """Return the colour mapper."""
        kind = LogColorMapper if self.log else LinearColorMapper
        given: dict[str, Any] = {"nan_color": self.nothing}
        if not self.diverging:
            faint = self.nothing == "#ffffff" and (self.log or self.low > 0)
            given["low_color"] = "#ffffff" if faint else None
        palette = DIVERGING if self.diverging else SEQUENTIAL
        if self.best == self.high:
            palette = palette[::-1]
        return kind(palette=palette, low=self.low, high=self.high, **given)


@dataclass(frozen=True)
class Picture:
    """One of the pictures."""

    array: str  # Name of its array, ``[…, y, x]`` coded (:meth:`Array.coded`).
    scales: Mapping[str, Scale]  # Name → colours; with several, the state says which.
    title: str = ""  # Above it; ``*`` is the member of the cast that it is of.
    role: str = ""  # ``left``, ``middle`` or ``plus``: which member of the scene it is of.
    # Array that stands in for a difference where the members are compared with each other.
    between: str = ""
    unit: str = "events"  # Of the number of things in it.
    counted: bool = False  # Whether cells beyond the scale are counted in the title.
    bar: bool = True  # Whether the scale is shown beside it.


def axis(coordinate: xr.DataArray) -> dict[str, Any]:
    """Return an axis of :func:`images`: edges, title, and names of cells that are not alike."""
    values, title = coordinate.values.astype(float), title_of(coordinate)
    step = np.diff(values) if len(values) > 1 else np.ones(1)
    if not np.allclose(step, step[0], rtol=1e-3):
        names = [f"{value:.3g}" for value in values]
        return {"edges": [-0.5, len(values) - 0.5], "title": title, "names": names}
    return {"edges": [values[0] - step[0] / 2, values[-1] + step[0] / 2], "title": title}


def images(
    name: str,
    pictures: Sequence[Picture],
    arrays: Mapping[str, Array],
    shape: tuple[int, int],
    axes: Sequence[Mapping[str, Any]] = (),
    scale: str = "",
    on: Sequence[str] = (),
    over: Sequence[str] = (),
    **more: Any,
) -> Panel:
    """Return pictures of `shape` ``(y, x)``.

    Parameters
    ----------
    name
        Class of their row.
    pictures, arrays
        What is drawn.
    shape
        Numbers of cells.
    axes
        ``{"edges": (low, high), "title": …}`` of x and y, where they are always the same; with
        ``names`` of their cells, whose edges are at −½, ½, ….
    scale
        Choice of the scale.
    on
        Names of the state that it depends on, beside the arrays' indices.
    over
        Choices along x and y of a cell, which is marked; a click chooses it.
    more
        Where the axes follow the state: ``edges`` (an array), ``variable`` (its dim), ``pairs``,
        ``pair`` (the choice among them), ``titles``; ``total``: an array of how many things are
        in a picture; ``fetched``: whether arrays are asked for.
    """
    ranges = Range1d(0, 1), Range1d(0, 1)
    mappers = {repr(scale): scale.mapper() for one in pictures for scale in one.scales.values()}
    drawn = [_picture(k, one, shape, ranges, mappers) for k, one in enumerate(pictures)]
    figures = [one["figure"] for one in drawn]
    models: dict[str, Any] = {"pictures": drawn, "ranges": list(ranges)}
    if over:
        models["chosen"] = columns("x", "y")
        for plot in figures:
            _clickable(plot, models["chosen"])
    named = [about if "names" in about else None for about in (*axes, {}, {})]
    for k, plot in enumerate(figures):
        for shown, about in zip((plot.xaxis, plot.yaxis)[: 1 if k else 2], named, strict=False):
            if about:
                name_places(shown[0], about["names"], about["title"], 6)
    spec = {
        "pictures": [
            {name: given for name, given in vars(one).items() if name not in ("scales", "bar")}
            for one in pictures
        ],
        "side": shape[0], "square": shape[0] == shape[1], "axes": list(axes), "scale": scale,
        "over": list(over), **more,
    }  # fmt: skip
    return Panel("images", row(name, *figures), spec, models, arrays, figures,
                 on=[*on, *over, *filter(None, [scale])])  # fmt: skip


def _clickable(plot: figure, chosen: ColumnDataSource) -> None:
    """Let a click choose a cell, and mark the chosen one."""
    on_click(plot)
    for colour, wide in (("#ffffff", 4), (INK, 1.6)):  # seen on any colour beneath
        plot.scatter("x", "y", marker="cross", size=13, line_color=colour, line_width=wide,
                     source=chosen)  # fmt: skip


def _picture(
    place: int,
    one: Picture,
    shape: tuple[int, int],
    ranges: tuple[Range1d, Range1d],
    mappers: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a figure; each of its `scales` is an image and its colour bar."""
    first = place == 0
    plot: figure = framed(
        x_range=ranges[0], y_range=ranges[1], title=one.title or " ", x_axis_label=" ",
        y_axis_label=" ", min_border_left=LEFT if first else BARE,
        min_border_right=BAR if one.bar else BARE, min_border_top=4, min_width=120, min_height=120,
    )  # fmt: skip
    shades = list(one.scales.values())
    plot.background_fill_color = MASK if shades[0].nothing == MASK else "#ffffff"
    plot.xaxis.ticker = BasicTicker(desired_num_ticks=4)
    plot.yaxis.ticker = BasicTicker(desired_num_ticks=5)
    if not first:  # its scale is the first one's
        plot.left = []
    empty = np.zeros(shape, dtype=np.float32)
    source = ColumnDataSource({"image": [empty], "x": [0], "y": [0], "dw": [1], "dh": [1]})
    scales: dict[str, list[Any]] = {}
    for name, scale in one.scales.items():
        mapper = mappers[repr(scale)]
        scales[name] = [plot.image("image", x="x", y="y", dw="dw", dh="dh", color_mapper=mapper,
                                   source=source)]  # fmt: skip
        if one.bar:
            usual = "log" if scale.log else "linear"
            bar = colour_bar(mapper, scale.title, scale.ticks or usual)
            plot.add_layout(bar, "right")
            scales[name].append(bar)
    return {"figure": plot, "source": source, "scales": scales}
