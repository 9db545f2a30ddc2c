"""The board of the events page: figures and controls, laid out, with the kernel behind them."""

from __future__ import annotations

from typing import Any

import panel as pn
from bokeh.models import Column, ColumnDataSource, CustomJS, Plot, Range1d

from . import figures, handover
from .choice import controls_of
from .controls import rows
from .exhibit import Exhibit
from .lean import lean
from .live import Visitor
from .loss import loss_panel
from .pieces import column, kernel, later, piece, row
from .theme import colours


def board(exhibit: Exhibit, state: dict[str, Any]) -> Column:
    """Return the whole board, filled by the kernel as soon as the document is there."""
    payload = exhibit.payload
    ranges = Range1d(0, 1), Range1d(0, 1)
    joint = figures.joint_panels(payload, ranges) if payload.pairs else {}
    shades = colours(payload.sources)
    shown = ranges if payload.pairs else ranges[:1]
    marginals = [figures.marginal(exhibit.marked, x_range, shades) for x_range in shown]
    grid = figures.label_grid(payload)
    table, live = piece("table"), piece("live", "live.css")
    pieces = {name: piece(name) for name in ("caption", "head", "legend")}
    boxes = controls_of(exhibit.choices, state)
    first, second = rows(exhibit, state, boxes, live)
    aside = later(lambda: loss_panel(exhibit.bench.store, exhibit.fits, shades))
    arguments = {
        **handover.data(exhibit, state),
        "joint_models": joint,
        "marginal_models": marginals,
        "grid_models": grid,
        "ranges": list(ranges),
        "figure_models": [
            plot
            for panel in (grid, *joint.values(), *marginals)
            for plot in panel.values()
            if isinstance(plot, Plot)
        ],
        **pieces,
        "table_div": table,
        "live_div": live,
        "aside": aside,
        "controls": boxes,
        "live_request": ColumnDataSource({"serial": [0], "label": [[]], "sources": [[]]}),
        "live_answer": ColumnDataSource({"serial": [0]}),
    }
    code = kernel("kernel.js", "words.js", "live.js", "start.js")
    pn.state.curdoc.js_on_event("document_ready", CustomJS(args=arguments, code=code))
    lean(arguments["figure_models"])
    tap = "window.presage.click(cb_obj.x, cb_obj.y, cb_obj.modifiers?.shift)"
    grid["figure"].js_on_event("tap", CustomJS(code=tap))
    pictures = [row("joint", *(p["figure"] for p in joint.values()))] if joint else []
    stacks = [column("half", m["main"], m["strip"]) for m in marginals]
    left = column("left", row("grid", grid["figure"]), pieces["caption"], table, aside)
    right = column(
        "right",
        pieces["head"],
        *pictures,
        pieces["legend"],
        row("marginals" if joint else "tall", *stacks),
    )
    whole = column("whole", first, second, row("board", left, right))
    _connect(whole, exhibit, arguments)
    return whole


def _connect(whole: Column, exhibit: Exhibit, arguments: dict[str, Any]) -> None:
    """Let the kernel ask for slices and live draws."""
    names = ("cells_source", "request_source", "live_request", "live_answer")
    cells, request, wanted, answer = (arguments[name] for name in names)
    whole.tags = [cells, request, wanted, answer]  # the server only hears of what a root refers to
    if not exhibit.payload.whole:
        cells.js_on_change("data", CustomJS(code="window.presage.received()"))
        request.on_change("data", handover.fetch(exhibit.payload, cells))
    if exhibit.bench.flows:
        visitor = Visitor(exhibit.bench, pn.state.curdoc, answer)
        answer.js_on_change("data", CustomJS(code="window.presage.answered()"))
        wanted.on_change("data", visitor.asked)
