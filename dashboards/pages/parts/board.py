"""The board of the events page: figures and controls, laid out, with the kernel behind them."""

from __future__ import annotations

from typing import Any

import panel as pn
from bokeh.models import Column, ColumnDataSource, CustomJS, Div, InlineStyleSheet, Range1d, Row

from . import figures, handover
from .controls import controls
from .exhibit import Exhibit
from .lean import lean
from .live import Visitor
from .loss import loss_panel
from .theme import colours, text_of

#: Heights that follow the window's, so that everything is seen at once.
GRID = "clamp(220px, calc(60vh - 205px), 480px)"
JOINT, MARGINALS = "clamp(200px, 35.5vh, 430px)", "clamp(250px, 42.5vh, 500px)"


def board(exhibit: Exhibit, state: dict[str, Any]) -> Column:
    """Return the whole board, filled by the kernel as soon as the document is there.

    Parameters
    ----------
    exhibit
        The product and what stands beside it.
    state
        What is shown first.
    """
    payload = exhibit.payload
    ranges = Range1d(0, 1), Range1d(0, 1)
    joint = figures.joint_panels(payload, ranges) if payload.pairs else {}
    shades = colours(payload.sources)
    shown = ranges if payload.pairs else ranges[:1]
    marginals = [figures.marginal(exhibit.marked, x_range, shades) for x_range in shown]
    grid = figures.label_grid(payload)
    pieces = {name: _piece() for name in ("caption", "table_div", "head")}
    bar = _piece("live.css")
    bar.styles = {"flex": "1 1 420px", "min-width": "0"}
    panel = controls(exhibit, state, shades)
    aside = Column(children=[], sizing_mode="stretch_width", margin=0, visible=False)
    arguments = {
        **handover.data(exhibit, state),
        **handover.models(joint, marginals, grid, ranges),
        **pieces,
        "live_div": bar,
        "aside": aside,
        "source_control": panel.source,
        "against_control": panel.against,
        "live_request": ColumnDataSource({"serial": [0], "label": [[]], "sources": [[]]}),
        "live_answer": ColumnDataSource({"serial": [0]}),
    }
    pn.state.curdoc.js_on_event("document_ready", CustomJS(args=arguments, code=_code()))
    lean(arguments["figure_models"])
    tap = "window.presage.click(cb_obj.x, cb_obj.y, cb_obj.modifiers?.shift)"
    grid.figure.js_on_event("tap", CustomJS(code=tap))
    left = _column(_row([grid.figure], GRID), pieces["caption"], pieces["table_div"], aside,
                   flex="0 0 clamp(350px, 28vw, 450px)")  # fmt: skip
    pictures = [_row([p.figure for p in joint.values()], JOINT)] if joint else []
    stacks = [_column(m.main, m.strip, flex="1 1 0") for m in marginals]
    right = _column(pieces["head"], *pictures, _row(stacks, MARGINALS), flex="1 1 0")
    body = _row([left, right], "auto")
    body.styles = {"gap": "20px"}
    second = _row([bar, *panel.second], "auto")
    second.styles = {"align-items": "center", "gap": "4px 5px", "padding": "0 0 5px"}
    whole = Column(children=[panel.first, second, body], sizing_mode="stretch_width", margin=0)
    _connect(whole, exhibit, arguments, shades)
    return whole


def _code() -> str:
    """Return the kernel: one function body, of several files."""
    return "\n".join(text_of(name) for name in ("swift.js", "tools.js", "kernel.js", "words.js",
                                                "live.js", "picture.js", "start.js"))  # fmt: skip


def _connect(
    whole: Column, exhibit: Exhibit, arguments: dict[str, Any], shades: dict[str, str]
) -> None:
    """Let the kernel ask for slices, live draws and loss histories."""
    names = ("cells_source", "request_source", "live_request", "live_answer", "aside")
    cells, request, wanted, answer, aside = (arguments[name] for name in names)
    whole.tags = [cells, request, wanted, answer]  # the server only hears of what a root refers to
    if not exhibit.payload.whole:
        cells.js_on_change("data", CustomJS(code="window.presage.received()"))
        request.on_change("data", handover.fetch(exhibit.payload, cells))
    if exhibit.bench.flows:
        visitor = Visitor(exhibit.bench, pn.state.curdoc, answer)
        answer.js_on_change("data", CustomJS(code="window.presage.answered()"))
        wanted.on_change("data", visitor.asked)

    def fill(_attribute: str, _old: bool, visible: bool) -> None:
        if visible and not aside.children:
            aside.children = loss_panel(exhibit.bench.store, exhibit.fits, shades)

    aside.on_change("visible", fill)


def _piece(sheet: str = "piece.css") -> Div:
    """Return an empty piece of HTML for the kernel to fill."""
    empty = '<div class="text"></div>'
    return Div(text=empty, stylesheets=[InlineStyleSheet(css=text_of(sheet))],
               sizing_mode="stretch_width", margin=0)  # fmt: skip


def _row(children: list[Any], height: str) -> Row:
    return Row(children=children, sizing_mode="stretch_width", styles={"height": height}, margin=0)


def _column(*children: Any, flex: str) -> Column:
    styles = {"flex": flex, "min-width": "0"}
    return Column(children=list(children), sizing_mode="stretch_both", styles=styles, margin=0)
