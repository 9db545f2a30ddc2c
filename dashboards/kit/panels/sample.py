"""What was observed: one variable against the other, and each one's histogram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.kit.arrays import Array
from dashboards.kit.figure import bare, lines, panel_scales
from dashboards.kit.page import Panel
from dashboards.kit.pieces import columns, row
from dashboards.kit.theme import SHADES

_LINE = "#4d4d4d"


def sample(
    arrays: Mapping[str, Array],
    features: Sequence[Mapping[str, Any]],
    places: Sequence[Sequence[int]],
    dots: Sequence[int],
    size: str,
    choice: str = "",
) -> Panel:
    """Return points and histograms.

    Parameters
    ----------
    arrays
        ``events[…, event, feature]``, ``event_edges[…, feature, edge]`` and
        ``event_counts[…, feature, bin]``; logarithms where a feature is logarithmic.
    features
        ``title`` and ``log`` of each.
    places
        Features of each pair that can be drawn; `choice`: the choice among them.
    dots
        How many points are drawn, for each value of the index `size`.
    size
        Name of that index.
    """
    panels = min(3, len(features) + 1)
    plot = bare((-0.21, panels + 0.02), (-0.28, 1.08))
    sources: dict[str, Any] = {"fill": columns("x", "y"), "points": columns("x", "y")}
    plot.patch("x", "y", fill_color=SHADES[0], line_color=None, source=sources["fill"])
    sources["steps"] = lines(plot, _LINE, 1.1)
    plot.scatter("x", "y", size=3, fill_color=_LINE, fill_alpha=0.45,
                 line_color=None, source=sources["points"])  # fmt: skip
    sources |= panel_scales(plot)
    bins = arrays["event_counts"].values.shape[-1]
    spec = {"features": list(features), "places": [list(place) for place in places], "bins": bins,
            "dots": list(dots), "size": size, "choice": choice}  # fmt: skip
    return Panel("sample", row("events", plot), spec, {"sources": sources}, arrays, [plot],
                 on=[size, *filter(None, [choice])])  # fmt: skip
