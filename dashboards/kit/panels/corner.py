"""Every two parameters against each other, and each one alone, of several posteriors.

A corner of five parameters has fifteen panels. As fifteen figures they would take a quarter of
a second to paint, so the corner is one figure: panels, ticks and their numbers are lines and
texts in units of a panel's side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.kit.arrays import Array
from dashboards.kit.figure import bare, lines, panel_scales
from dashboards.kit.page import Cast, Panel
from dashboards.kit.pieces import columns
from dashboards.kit.theme import SHADES


def corner(
    cast: Cast, arrays: Mapping[str, Array], range_: str, colours: Mapping[str, str], **spec: Any
) -> Panel:
    """Return a corner; its place is the figure.

    Parameters
    ----------
    cast
        The posteriors; the base's contours are filled.
    arrays
        ``contour[…, pair, mass, vertex, axis]``, ``marginal[…, parameter, point]`` over the span
        ``shown[…, parameter, edge]``, ``theta[…, parameter]`` (the truth), ``prior_density``.
    range_
        Choice of what the axes span, ``posterior`` or ``prior``.
    colours
        Of the ``prior`` and of the ``truth``.
    spec
        ``parameters`` (names), ``low``, ``high`` (of the prior), and the numbers of ``points``,
        ``vertices`` and ``masses``.
    """
    count: int = len(spec["parameters"])
    plot = bare((-0.095 * count, count + 0.02), (-0.075 * count, count + 0.02))
    sources: dict[str, Any] = {}
    for name, shade in (("outer", SHADES[0]), ("inner", SHADES[1])):
        sources[name] = columns("x", "y")
        plot.patch("x", "y", fill_color=shade, line_color=None, source=sources[name])
    sources["prior"] = lines(plot, colours["prior"], 1.0, (2, 2))
    for name, colour in zip(cast.names, cast.colours, strict=True):
        dash: Sequence[int] | None = (5, 2) if name in cast.dashed else None
        sources[f"{name}_wide"] = lines(plot, colour, 0.9, dash)
        sources[name] = lines(plot, colour, 1.6, dash)
    sources["truth"] = lines(plot, colours["truth"], 1.1)
    sources["cross"] = columns("x", "y", "size")
    for colour, wide in (("#ffffff", 4), (colours["truth"], 2)):
        plot.scatter("x", "y", marker="cross", size="size", line_color=colour, line_width=wide,
                     source=sources["cross"])  # fmt: skip
    sources |= panel_scales(plot)
    return Panel("corner", plot, {"range": range_, **spec}, {"sources": sources}, arrays, [plot],
                 on=[range_, *cast.on])  # fmt: skip
