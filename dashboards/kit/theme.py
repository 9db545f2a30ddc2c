"""The look: one font, few colours, and the pieces of HTML that pages are made of."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from bokeh.models import Div, InlineStyleSheet

from presage.analysis.canvas import INK as INK
from presage.analysis.canvas import colours as colours

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'
MUTED, RULE, BAND, MASK = "#6b6f76", "#dfe1e5", "#e9e9e9", "#f0eff2"
#: Fills of a base's bands and contours, the outer one first.
SHADES = ("#e9e9e9", "#d2d2d2")
_FOLDER = Path(__file__).parent


@cache
def text_of(name: str, folder: Path = _FOLDER) -> str:
    """Return a stylesheet or script that lies beside this module, or in another folder."""
    return (folder / name).read_text(encoding="utf-8")


def html(text: str, **settings: Any) -> Div:
    """Return a piece of HTML in the page's style; whoever makes `text` escapes its parts."""
    sheet = InlineStyleSheet(css=text_of("piece.css"))
    given = {"sizing_mode": "stretch_width", "margin": 0, **settings}
    return Div(text=text, stylesheets=[sheet], disable_math=True, **given)


def notices(messages: Iterable[str]) -> str:
    """Return one closable line of HTML for each message, escaped."""
    return "".join(
        f'<div class="notice" role="status"><span>{escape(message)}</span>'
        '<button type="button" class="close">close</button></div>'
        for message in messages
    )


def guide_text(title: str, lines: Iterable[str], commands: Iterable[str], more: str = "") -> str:
    """Return the HTML of a friendly page: what is missing, the commands that make it, `more`."""
    said = "".join(f"<p>{escape(line)}</p>" for line in lines)
    typed = "".join(f"<pre>{escape(command)}</pre>" for command in commands)
    return f'<div class="guide"><h2>{escape(title)}</h2>{said}{typed}{more}</div>'


def whole(number: int | str) -> str:
    """Return a whole number with thin spaces between its thousands; another text as it is."""
    return f"{int(number):,}".replace(",", "\u202f") if str(number).isdigit() else str(number)


def size_text(size: float) -> str:
    """Return a number of bytes for people, ``"6.9 MB"``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
