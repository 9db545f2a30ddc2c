"""What boards are laid out from: texts, rows and columns that follow the window (board.css)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.models import Column, ColumnDataSource, Div, InlineStyleSheet, Row

from .theme import html, text_of


def sheets(*names: str) -> list[InlineStyleSheet]:
    """Return stylesheets that lie beside this module."""
    return [InlineStyleSheet(css=text_of(name)) for name in names]


def piece(name: str, sheet: str = "piece.css") -> Div:
    """Return an empty text for the kernel to fill; `name` is its class."""
    return Div(text='<div class="text"></div>', stylesheets=sheets(sheet, "board.css"),
               css_classes=[f"{name}-box"], sizing_mode="stretch_width", margin=0)  # fmt: skip


def note(text: str) -> Div:
    """Return a text of a few lines; whoever makes it escapes its parts."""
    return Div(text=f'<div class="caption">{text}</div>', stylesheets=sheets("piece.css"),
               disable_math=True, sizing_mode="stretch_width", margin=(4, 0, 2, 0))  # fmt: skip


def row(name: str, *children: Any, sizing_mode: str | None = "stretch_width") -> Row:
    """Return things beside one another; `name` is their class."""
    return Row(children=list(children), css_classes=[f"{name}-box"], margin=0,
               stylesheets=sheets("board.css"), sizing_mode=sizing_mode)  # fmt: skip


def column(name: str, *children: Any) -> Column:
    """Return things under one another; `name` is their class."""
    return Column(children=list(children), css_classes=[f"{name}-box"], margin=0,
                  stylesheets=sheets("board.css"), sizing_mode="stretch_width")  # fmt: skip


def later(make: Callable[[], list[Any]]) -> Column:
    """Return a place that is not seen yet, and filled when it first is."""
    place = column("aside", html("Reading …"))
    place.visible = False

    def fill(_attribute: str, _old: bool, visible: bool) -> None:
        if visible and not place.tags:
            place.tags = ["made"]
            place.children = make()

    place.on_change("visible", fill)
    return place


def columns(*names: str) -> ColumnDataSource:
    """Return an empty source of these columns."""
    return ColumnDataSource({name: np.zeros(0) for name in names})
