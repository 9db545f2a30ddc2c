"""Figures without what Bokeh adds to each of them and nobody sees; see also ``swift.js``."""

from __future__ import annotations

from collections.abc import Iterable

from bokeh.models import GlyphRenderer, Grid, Plot


def lean(plots: Iterable[Plot]) -> None:
    """Take grids without lines, and glyphs of selections that cannot be made, out of figures.

    A third of what the browser has to build and a part of what it paints at every flip are
    such things.

    Parameters
    ----------
    plots
        Complete figures without tools that select, and without legends that mute.
    """
    for plot in plots:
        plot.center = [part for part in plot.center if not _is_blank(part)]
        for shown in plot.renderers:
            if isinstance(shown, GlyphRenderer):
                shown.update(nonselection_glyph=None, selection_glyph=None, muted_glyph=None)


def _is_blank(part: object) -> bool:
    return isinstance(part, Grid) and part.grid_line_color is None
