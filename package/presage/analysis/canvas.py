"""Figures without pyplot: no global state, no display, the same look everywhere."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

#: Colours of the sources; told apart with any kind of colour vision (Okabe & Ito).
COLOURS = {
    "reference": "#4d4d4d",
    "floor": "#b3b3b3",
    "morphing": "#d55e00",
    "histogram_morphing": "#e69f00",
    "nearest": "#009e73",
}
_MODELS = ("#0072b2", "#cc79a7", "#56b4e9", "#7b4fa3")
INK, FAINT = "#262626", "#d9d9d9"


class Page(Figure):
    """A figure that shows itself in a notebook.

    Parameters
    ----------
    width, height
        In inches.
    """

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), layout="constrained", facecolor="white")
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()


def colours(sources: list[str]) -> dict[str, str]:
    """Return a colour for every source; models get theirs in the order given."""
    models = [name for name in sources if name not in COLOURS]
    return COLOURS | {name: _MODELS[i % len(_MODELS)] for i, name in enumerate(models)}


def in_words(source: str) -> str:
    """Return a source's name as words, for legends and titles."""
    return source.replace("_", " ")


def tidy(axes: Axes, xlabel: str = "", ylabel: str = "", title: str = "") -> Axes:
    """Label axes and take away what is not data."""
    axes.spines[["top", "right"]].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(INK)
    axes.tick_params(labelsize=8, color=INK, labelcolor=INK)
    axes.set_xlabel(xlabel, fontsize=9, color=INK)
    axes.set_ylabel(ylabel, fontsize=9, color=INK)
    if title:
        axes.set_title(title, fontsize=9.5, color=INK, loc="left")
    return axes


def colourbar(
    figure: Figure, mappable: Any, axes: Axes | list[Axes], label: str, **how: Any
) -> Any:
    """Add a slim colour bar with its label."""
    bar = figure.colorbar(mappable, ax=axes, fraction=0.05, pad=0.02, aspect=28, **how)
    bar.set_label(label, fontsize=8.5, color=INK)
    bar.ax.tick_params(labelsize=7.5, color=INK, labelcolor=INK)
    bar.outline.set_visible(False)
    if bar.solids is not None:
        bar.solids.set_alpha(1.0)
    return bar
