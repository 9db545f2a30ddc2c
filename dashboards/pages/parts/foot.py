"""The last line of a page of figures: where the product comes from, and what can be saved."""

from __future__ import annotations

from collections.abc import Sequence

from bokeh.models import Button, CustomJS, Div, InlineStyleSheet, Row

from presage.store import EntryInfo

from .provenance import provenance_line
from .theme import html, text_of


def foot(entry: EntryInfo, entries: Sequence[EntryInfo]) -> Row:
    """Return the line of a product."""
    line = html(provenance_line(entry, entries), styles={"min-width": "0"})
    return Row(children=[line, _picture(), _export(entry)], sizing_mode="stretch_width")


def _picture() -> Button:
    """Return the button that saves what is seen as a picture, made by the browser."""
    sheet = InlineStyleSheet(css=text_of("control.css"))
    button = Button(label="PNG", width=62, height=26, margin=(0, 0, 0, 8), stylesheets=[sheet])
    button.js_on_click(CustomJS(code="window.presage.picture()"))
    return button


def _export(entry: EntryInfo) -> Div:
    """Return the link that saves the product as the netCDF file that it is."""
    link = f'<a class="save" href="product/{entry.key[:16]}.nc" download>netCDF</a>'
    return html(link, sizing_mode=None, width=72, margin=(0, 0, 0, 8))
