"""The last line of a page of figures: where the product comes from, and what can be saved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from bokeh.models import Button, CustomJS, Row

from presage.store import EntryInfo

from .pieces import sheets
from .theme import html, whole


def foot(entry: EntryInfo, entries: Sequence[EntryInfo]) -> Row:
    """Return the line of a product, with the buttons of its picture and of its file."""
    line = html(provenance_line(entry, entries), styles={"min-width": "0"})
    picture = Button(label="PNG", width=62, height=26, margin=(0, 0, 0, 8),
                     stylesheets=sheets("control.css"))  # fmt: skip
    picture.js_on_click(CustomJS(code="window.presage.picture()"))
    link = f'<a class="save" href="product/{entry.key[:16]}.nc" download>netCDF</a>'
    export = html(link, sizing_mode=None, width=72, margin=(0, 0, 0, 8))
    return Row(children=[line, picture, export], sizing_mode="stretch_width")


def link(key: str, text: str) -> str:
    """Return a link to an entry's place on the store page."""
    return f'<a href="?page=store&key={escape(key[:16])}">{escape(text)}</a>'


def ancestors(entry: EntryInfo, entries: Iterable[EntryInfo]) -> list[EntryInfo]:
    """Return the entries that went into one, the nearest first, each once."""
    by_key = {other.key: other for other in entries}
    found: dict[str, EntryInfo] = {}
    queue = [parent.key for parent in entry.parents]
    while queue:
        key = queue.pop(0)
        if key in by_key and key not in found:
            found[key] = by_key[key]
            queue += [parent.key for parent in by_key[key].parents]
    return list(found.values())


def provenance_line(entry: EntryInfo, entries: Sequence[EntryInfo]) -> str:
    """Return producer, key, seeds and ancestors as one line of HTML."""
    parts = [f"{escape(entry.producer)} {link(entry.key, entry.key[:8])}"]
    for other in ancestors(entry, entries):
        about = f"{escape(other.producer)} {link(other.key, other.key[:8])}"
        if other.samples:
            about += f" ({whole(other.samples)} samples)"
        if other.recipe is not None:
            about += f" seed {other.recipe.seed}"
        parts.append(about)
    made = entry.created[:16].replace("T", " ")
    if made:
        parts.append(f"made {escape(made)} UTC")
    return f'<div class="provenance">{" &nbsp;·&nbsp; ".join(parts)}</div>'
