"""Panel and HoloViews made ready, and one look for all views."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh  # registers the options of its plots
import panel as pn

from presage.analysis.canvas import INK

#: Shades of a density, of signed values, and of cells with too few events.
DENSITY, SIGNED, MASK = "viridis_r", "RdBu_r", "#dedede"
#: Sizes of panels in pixels.
WIDE, HIGH = 330, 300
hv.Store.set_current_backend("bokeh")


def ready() -> None:
    """Load what the browser needs into the notebook's cell; no outside host is asked.

    Each time: a page that was loaded anew knows nothing of the cells that ran before.
    """
    pn.extension(inline=True)


def plain(**how: Any) -> dict[str, Any]:
    """Return the options that all panels share, with some of one's own."""
    shared = {
        "width": WIDE,
        "height": HIGH,
        "toolbar": "above",
        "default_tools": ["pan", "wheel_zoom", "save", "reset"],
        "fontscale": 0.9,
        "fontsize": {"title": "12px"},
        "hooks": [_clean],
    }
    return shared | how


def _clean(plot: Any, _element: Any) -> None:
    """Take away what is not data."""
    figure = plot.state
    figure.title.text_font_style = "normal"
    figure.toolbar.logo, figure.toolbar.autohide = None, True
    figure.grid.grid_line_color = None
    for axis in figure.axis:
        axis.axis_line_color = axis.major_tick_line_color = INK
        axis.minor_tick_line_color = None
        axis.axis_label_text_font_style = "normal"
