"""The look: one font, few colours, one template; nothing is asked of outside hosts."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

import panel as pn

from presage.analysis.canvas import INK
from presage.analysis.canvas import colours as colours

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'
MUTED, RULE, BAND, MASK = "#6b6f76", "#dfe1e5", "#e9e9e9", "#f0eff2"
_FOLDER = Path(__file__).parent

PAGES = {"events": "Events", "store": "Store"}


def text_of(name: str) -> str:
    """Return a stylesheet or script that lies beside this module."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def template(page: str, main: Iterable[object], root: str) -> pn.template.BootstrapTemplate:
    """Return the frame of a page: title, links to the pages, which store it shows.

    Parameters
    ----------
    page
        Name in `PAGES`.
    main
        What stands in it.
    root
        Folder of the store, as text.
    """
    links = "".join(
        f'<a href="?page={name}"{" class=here" if name == page else ""}>{title}</a>'
        for name, title in PAGES.items()
    )
    shown = f'<span class="root" title="folder of the store">{escape(root)}</span>'
    bar = html(f'<div class="bar"><span>{links}</span>{shown}</div>', sizing_mode="stretch_width")
    frame = pn.template.BootstrapTemplate(
        title="presage",
        header=[bar],
        header_background="#ffffff",
        header_color=INK,
        theme=pn.theme.DefaultTheme,
        busy_indicator=None,
        raw_css=[text_of("page.css")],
    )
    frame.main.extend(main)
    return frame


def html(text: str, **settings: object) -> pn.pane.HTML:
    """Return a piece of HTML in the page's style; whoever makes `text` escapes its parts."""
    return pn.pane.HTML(text, stylesheets=[text_of("piece.css")], margin=0, **settings)


def notices(messages: Iterable[str]) -> list[pn.pane.HTML]:
    """Return one closable line for each message, escaped."""
    return [
        html(
            f'<div class="notice" role="status"><span>{escape(message)}</span>'
            '<a href="#" onclick="this.parentNode.remove(); return false">close</a></div>',
            sizing_mode="stretch_width",
        )
        for message in messages
    ]


def guide(title: str, lines: Iterable[str], commands: Iterable[str]) -> pn.pane.HTML:
    """Return a friendly page: what is missing, and the commands that make it."""
    said = "".join(f"<p>{escape(line)}</p>" for line in lines)
    typed = "".join(f"<pre>{escape(command)}</pre>" for command in commands)
    return html(
        f'<div class="guide"><h2>{escape(title)}</h2>{said}{typed}</div>',
        sizing_mode="stretch_width",
    )


def size_text(size: float) -> str:
    """Return a number of bytes for people, ``"6.9 MB"``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
