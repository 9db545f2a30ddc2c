"""Lines of text: the head, what colours mean, captions, a slider over the values of a choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bokeh.models import Div

from dashboards.kit.page import Panel
from dashboards.kit.pieces import piece

#: (name, CSS, class) of a line in the legend.
Key = tuple[str, str, str]


def head(keys: bool = False, more: Sequence[Key] = ()) -> Panel:
    """Return the line above the figures: the words ``head``, ``tag`` and ``more``, or the keys."""
    return _text("head", piece("head"), keys=keys, base="", more=list(more))


def keys(base: str = "", more: Sequence[Key] = ()) -> Panel:
    """Return the legend of the cast.

    Parameters
    ----------
    base
        What the base is called, ``*`` being its name; empty: it has a line as the others.
    more
        Further lines.
    """
    return _text("keys", piece("legend"), base=base, more=list(more))


def caption(words: str, name: str = "caption") -> Panel:
    """Return a text that Python wrote for each value of some indices, as HTML."""
    return _text("words", piece(name), words=words)


def slider(choice: str, heading: str, title: str) -> Panel:
    """Return a slider over the values of a choice."""
    div = piece("size", "live.css")
    return Panel("slider", div, {"choice": choice, "heading": heading, "title": title},
                 {"div": div}, on=[choice])  # fmt: skip


def _text(kind: str, div: Div, **spec: Any) -> Panel:
    return Panel(kind, div, spec, {"div": div}, texts=[div])
