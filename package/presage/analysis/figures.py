"""Figures of events and of residuals; each returns a :class:`Page`, a matplotlib figure.

Residuals are drawn from their product alone, without events. ``figure.savefig`` works as
ever; ``presage.products.record(name=figure)`` in a notebook keeps PNG, PDF and SVG.
"""

from __future__ import annotations

from presage.analysis.canvas import Page
from presage.analysis.event_figure import label_scatter
from presage.analysis.history_figure import history_figure
from presage.analysis.label_figures import label_map
from presage.analysis.marginal_figure import marginals
from presage.analysis.residual_figure import residual_figure

__all__ = ["Page", "history_figure", "label_map", "label_scatter", "marginals", "residual_figure"]
