"""Figures without pyplot: no global state, no display, the same look everywhere.

Sizes are those of print: a page is at most as wide as two columns of a journal, and no text
on it is smaller than 7 pt. What colour says, a dash or a mark says as well.
"""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

#: Width of two columns of a journal, in inches; sizes of text, in points.
WIDTH = 7.1
SMALL, TEXT, HEADING = 7.0, 8.0, 9.0


class Style(NamedTuple):
    """How one of several series is drawn: told apart in colour and in grey."""

    colour: str
    dash: Any = "solid"
    marker: str = "o"


#: Of series in order; told apart with any kind of colour vision (Okabe & Ito).
SERIES = (
    Style("#0072b2", "solid", "o"),
    Style("#d55e00", (0, (5, 1.5)), "s"),
    Style("#009e73", (0, (1, 1)), "^"),
    Style("#cc79a7", (0, (6, 1.5, 1, 1.5)), "D"),
    Style("#e69f00", (0, (9, 2)), "v"),
    Style("#56b4e9", (0, (3, 1)), "P"),
    Style("#7b4fa3", (0, (5, 1, 1, 1, 1, 1)), "X"),
    Style("#4d4d4d", (0, (2, 2)), "*"),
)
#: Of the sources that every comparison has.
SOURCES = {
    "reference": Style("#4d4d4d"),
    "floor": Style("#b3b3b3", (0, (2, 2)), "_"),
    "morphing": Style("#d55e00", (0, (5, 1.5)), "s"),
    "histogram_morphing": Style("#e69f00", (0, (6, 1.5, 1, 1.5)), "D"),
    "nearest": Style("#009e73", (0, (1.5, 1)), "^"),
}
_MODELS = (
    Style("#0072b2", "solid", "o"),
    Style("#cc79a7", (0, (9, 2)), "v"),
    Style("#56b4e9", (0, (3, 1)), "P"),
    Style("#7b4fa3", (0, (5, 1, 1, 1, 1, 1)), "X"),
)
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
        self.savefig(buffer, format="png", dpi=130)
        return buffer.getvalue()

    def heading(self, text: str) -> None:
        """Write a title above all panels, in lines that fit."""
        width = int(110 * self.get_figwidth() / WIDTH)
        self.suptitle(wrapped(text, width), fontsize=HEADING, color=INK)

    def key_of(self, *panels: Axes) -> None:
        """Explain what is named in some panels in one legend below all."""
        self.key([h for axes in panels for h in axes.get_legend_handles_labels()[0]])

    def key(self, handles: Sequence[Any], title: str | None = None) -> None:
        """Explain marks and lines in one legend below all panels, each name once."""
        named = {handle.get_label(): handle for handle in handles}
        if not named:
            return
        lines = [line for name in named for line in name.split("\n")]
        widest = 0.6 + 0.055 * max(map(len, lines))  # inches, at SMALL
        columns = max(1, min(len(named), int(self.get_figwidth() / widest)))
        self.legend(handles=list(named.values()), loc="outside lower center", ncols=columns,
                    fontsize=SMALL, frameon=False, labelcolor=INK, title=title,
                    title_fontsize=SMALL)  # fmt: skip


def styles(sources: Sequence[str]) -> dict[str, Style]:
    """Return a style for every source; models get theirs in the order given."""
    models = [name for name in sources if name not in SOURCES]
    return SOURCES | {name: _MODELS[i % len(_MODELS)] for i, name in enumerate(models)}


def colours(sources: Sequence[str]) -> dict[str, str]:
    """Return the colour of every source, as :func:`styles` has it."""
    return {name: style.colour for name, style in styles(sources).items()}


def in_words(source: str) -> str:
    """Return a source's name as words, for legends and titles."""
    return source.replace("_", " ")


def raised(unit: str) -> str:
    """Return a unit with its powers raised: mK² for mK2."""
    return re.sub(r"(?<=[A-Za-z)])[23]\b", lambda power: "²³"[int(power[0]) - 2], unit)


def titled(name: str, unit: str = "1") -> str:
    """Return an axis title: a name and, where there is one, the unit in brackets."""
    return name if unit in ("", "1") else f"{name} [{unit}]"


def number(count: float) -> str:
    """Return a whole number with thousands apart."""
    return f"{round(count):,}".replace(",", "\u202f")


def wrapped(text: str, width: int) -> str:
    """Break a text between words into lines of at most so many letters."""
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def tidy(
    axes: Axes, xlabel: str = "", ylabel: str = "", title: str = "", inches: float | None = None
) -> Axes:
    """Label axes and take away what is not data; empty texts are left out.

    Labels are broken into lines that are not longer than axes of so many `inches`.
    """
    axes.spines[["top", "right"]].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(INK)
    axes.tick_params(labelsize=SMALL, color=INK, labelcolor=INK, which="both")
    axes.yaxis.get_offset_text().set_fontsize(SMALL)
    if inches is not None:
        width = max(8, int(inches * 72 / (0.56 * TEXT)))
        xlabel, ylabel = (wrapped(text, width) for text in (xlabel, ylabel))
    axes.set_xlabel(xlabel, fontsize=TEXT, color=INK)
    axes.set_ylabel(ylabel, fontsize=TEXT, color=INK)
    if title:
        axes.set_title(title, fontsize=TEXT, color=INK, loc="left")
    return axes


def plain_log(axis: Any, low: float, high: float) -> None:
    """Write plain numbers between `low` and `high` along a logarithmic axis, however short."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high < 1000 * low else (1,)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    if sum(low <= tick <= high for tick in ticks) < 2:
        ticks = list(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    axis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def colourbar(
    figure: Figure, mappable: Any, axes: Axes | list[Axes], label: str, **how: Any
) -> Any:
    """Add a slim colour bar with its label."""
    bar = figure.colorbar(mappable, ax=axes, fraction=0.05, pad=0.02, aspect=28, **how)
    bar.set_label(label, fontsize=TEXT, color=INK)
    bar.ax.tick_params(labelsize=SMALL, color=INK, labelcolor=INK, which="both")
    bar.ax.yaxis.get_offset_text().set_fontsize(SMALL)
    bar.outline.set_visible(False)
    if bar.solids is not None:
        bar.solids.set_alpha(1.0)
        bar.solids.set_rasterized(True)
    return bar
