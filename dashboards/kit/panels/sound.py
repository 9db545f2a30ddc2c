"""What is heard: a line spectrum and a player."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bokeh.models import Range1d

from dashboards.kit.arrays import Array
from dashboards.kit.figure import BAR, BARE, LEFT, framed, legend, lines
from dashboards.kit.page import Cast, Panel
from dashboards.kit.pieces import piece, row
from dashboards.kit.theme import INK


def spectrum(
    name: str,
    frequency: str,
    level: str,
    arrays: Mapping[str, Array],
    span: tuple[tuple[float, float], tuple[float, float]],
    cast: Cast | None = None,
    titles: tuple[str, str] = ("frequency [Hz]", "level [dB]"),
    roles: Sequence[str] = (),
    groups: Sequence[tuple[str, str]] = (),
    group: str = "",
    said: str = "",
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
    roles
        ``plus`` and ``minus``: members of the scene, each in a figure, on common axes; without
        them all that are shown are in one.
    groups, group
        Name and colour of each kind of lines, and the array ``[…, line]`` of which kind each is.
    said
        Name of the words above a figure.
    """
    ranges = Range1d(*span[0]), Range1d(*span[1])
    figures, drawn = [], []
    for place, role in enumerate(roles or ("",)):
        plot = framed(x_range=ranges[0], y_range=ranges[1], min_height=120, title=" " * bool(said),
                      x_axis_label=titles[0], y_axis_label=titles[1],
                      min_border_left=BARE if place else LEFT,
                      min_border_right=BAR if place else BARE)  # fmt: skip
        if place:  # its levels are the first one's
            plot.left = []
        colours = cast.colours if cast and not role else [INK]
        shown = {}
        for member, colour in enumerate(colours):
            for kind, (title, own) in enumerate(groups or [("", colour)]):
                source = lines(plot, own, 1.4)
                shown[title] = plot.renderers[-1]
                drawn.append({"figure": place, "role": role, "member": member, "kind": kind,
                              "source": source})  # fmt: skip
        figures.append(plot)
    if groups:
        legend(plot, shown, "center", location="top_right", background_fill_alpha=0.7)
    spec = {"frequency": frequency, "level": level, "floor": span[1][0], "cast": bool(cast),
            "group": group, "said": said}  # fmt: skip
    models = {"figures": figures, "lines": drawn}
    return Panel("spectrum", row(name, *figures), spec, models, arrays, figures,
                 on=cast.on if cast else ())  # fmt: skip


def audio(
    samples: str,
    arrays: Mapping[str, Array],
    rate: int,
    title: str = "",
    cast: Cast | None = None,
    on: Sequence[str] = (),
    fetched: bool = False,
) -> Panel:
    """Return a player for each member that is shown.

    Parameters
    ----------
    samples
        Array ``[…, time]`` between −1 and 1, or of whole numbers of 16 bits.
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
    fetched
        Whether the array is asked for.
    """
    div = piece("sound")
    spec = {"samples": samples, "rate": rate, "title": title, "cast": bool(cast),
            "fetched": fetched}  # fmt: skip
    needed = [*on, *(cast.on if cast else ())]
    return Panel("audio", div, spec, {"div": div}, arrays, on=needed)
