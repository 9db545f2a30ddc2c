"""The board of the events page: figures and controls, laid out, with the kernel behind them."""

from __future__ import annotations

from typing import Any

import panel as pn
from bokeh.models import Column, CustomJS, Div, InlineStyleSheet, Range1d, Row

from presage.store import EntryInfo

from . import figures, handover
from .controls import controls
from .payload import Payload
from .theme import colours, text_of

#: Heights that follow the window's, so that everything is seen at once.
GRID = "clamp(220px, calc(60vh - 190px), 480px)"
JOINT, MARGINALS = "clamp(200px, 37vh, 430px)", "clamp(250px, 44vh, 500px)"


def board(
    payload: Payload, state: dict[str, Any], entry: EntryInfo, products: list[EntryInfo]
) -> Column:
    """Return the whole board, filled by the kernel as soon as the document is there.

    Parameters
    ----------
    payload
        The product.
    state
        What is shown first.
    entry, products
        The product's line in the store, and those of the others to choose from.
    """
    ranges = Range1d(0, 1), Range1d(0, 1)
    joint = figures.joint_panels(payload, ranges) if payload.pairs else {}
    shades = colours(payload.sources)
    shown = ranges if payload.pairs else ranges[:1]
    marginals = [figures.marginal(payload, x_range, shades) for x_range in shown]
    grid = figures.label_grid(payload)
    caption, table, head = (_piece() for _ in range(3))
    panel = controls(payload, state, shades, entry, products)
    arguments = {
        **handover.data(payload, state, entry.key),
        **handover.models(joint, marginals, grid, ranges),
        "caption": caption,
        "table_div": table,
        "head": head,
        "source_control": panel.source,
    }
    pn.state.curdoc.js_on_event(
        "document_ready", CustomJS(args=arguments, code=text_of("swift.js") + text_of("kernel.js"))
    )
    grid.figure.js_on_event("tap", CustomJS(code="window.presage.click(cb_obj.x, cb_obj.y)"))
    left = _column(_row([grid.figure], GRID), caption, table, flex="0 0 clamp(350px, 28vw, 450px)")
    pictures = [_row([p.figure for p in joint.values()], JOINT)] if joint else []
    stacks = [_column(m.main, m.strip, flex="1 1 0") for m in marginals]
    right = _column(head, *pictures, _row(stacks, MARGINALS), flex="1 1 0")
    body = _row([left, right], "auto")
    body.styles = {"gap": "20px"}
    whole = Column(children=[panel.row, body], sizing_mode="stretch_width", margin=0)
    _connect(whole, payload, arguments)
    return whole


def _connect(whole: Column, payload: Payload, arguments: dict[str, Any]) -> None:
    """Let the kernel ask for slices where not all counts were sent."""
    cells, request = arguments["cells_source"], arguments["request_source"]
    whole.tags = [cells, request]  # the server only hears of models that a root refers to
    if not payload.whole:
        cells.js_on_change("data", CustomJS(code="window.presage.received()"))
        request.on_change("data", handover.fetch(payload, cells))


def _piece() -> Div:
    """Return an empty piece of HTML for the kernel to fill."""
    sheet = InlineStyleSheet(css=text_of("piece.css"))
    empty = '<div class="text"></div>'
    return Div(text=empty, stylesheets=[sheet], sizing_mode="stretch_width", margin=0)


def _row(children: list[Any], height: str) -> Row:
    return Row(children=children, sizing_mode="stretch_width", styles={"height": height}, margin=0)


def _column(*children: Any, flex: str) -> Column:
    styles = {"flex": flex, "min-width": "0"}
    return Column(children=list(children), sizing_mode="stretch_both", styles=styles, margin=0)
