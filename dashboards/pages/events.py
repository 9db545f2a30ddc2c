"""The page of study `events`: residuals over the label grid, flipped in the browser.

Python runs once per visit: it reads the product, makes empty figures and hands all counts
to the kernel (``parts/kernel.js``), which draws every label from then on.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import panel as pn
from bokeh.models import (
    Column,
    ColumnDataSource,
    CustomJS,
    Div,
    InlineStyleSheet,
    Range1d,
    Row,
)
from presage.store import EntryInfo, Store

from .parts import figures
from .parts.controls import controls
from .parts.payload import Payload
from .parts.provenance import provenance_line
from .parts.theme import colours, guide, html, text_of
from .parts.view import SCALES, STRIPS, Query

PRODUCER = "residuals"
RUN = "presage run events --preset quick"


def page(store: Store, query: Query) -> list[Any]:
    """Return what stands on the page.

    Parameters
    ----------
    store
        Where products are.
    query
        What the address asks for; messages are added to it.
    """
    entries = store.list()
    products = [e for e in entries if e.producer == PRODUCER and e.kind == "product"]
    products = sorted((e for e in products if e.state == "complete"), key=lambda e: e.created)
    if not products:
        query.given = {}
        return [_nothing(entries, store)]
    known = [entry.key for entry in products]
    key = query.key(known) or known[-1]
    payload = Payload(store.open(key))
    if not payload.drawn or not payload.columns:
        return [guide("These residuals hold no generated events", [f"Key {key[:16]}."], [RUN])]
    entry = next(e for e in products if e.key == key)
    state = initial_state(payload, query)
    return [_assemble(store, payload, state, entry, products, entries)]


def _nothing(entries: list[EntryInfo], store: Store) -> pn.pane.HTML:
    """Say what is missing, and which command makes it."""
    folder = f"--store {store.root}"
    if not entries:
        return guide(
            "The store is empty",
            [
                f"There is nothing in {store.root} yet. This command simulates a grid of events, "
                "trains a flow on it and compares the two; it takes a few minutes:",
            ],
            [f"{RUN} {folder}", f"python3 run.py demo          # the same, from a checkout"],
        )
    fits = [e for e in entries if e.producer.startswith("fit")]
    samples = [e for e in entries if e.kind == "samples"]
    have = [
        f"{sum(e.samples for e in samples):,} samples in {len(samples)} datasets" if samples else "",
        f"{len(fits)} fits, {sum(e.state == 'complete' for e in fits)} of them complete"
        if fits else "",
    ]  # fmt: skip
    said = "; ".join(part for part in have if part) or f"{len(entries)} other entries"
    missing = "the residuals" if fits else "a trained flow and its residuals"
    return guide(
        "The run is not finished",
        [
            f"The store holds {said}. Missing: {missing}.",
            "The same command goes on where it stopped; what is complete is not made again:",
        ],
        [f"{RUN} {folder}"],
    )


def initial_state(payload: Payload, query: Query) -> dict[str, Any]:
    """Return what is shown first, from the address where it makes sense."""
    names = [column.name for column in payload.columns]
    model = str(payload.product.attrs.get("model", ""))
    default = model if model in payload.drawn else payload.drawn[0]
    default = "flow" if "flow" in payload.drawn else default
    label = query.label(payload.table, [p.name for p in payload.parameters], payload.worst)
    pair = query.choose("pair", payload.pairs, payload.pairs[0] if payload.pairs else "")
    rivals = [name for name in payload.drawn if name not in (default, "floor")]
    return {
        "label": label,
        "rest": [int(place) for place in payload.places[label, 2:]],
        "source": payload.sources.index(query.choose("source", payload.drawn, default)),
        "column": names.index(query.choose("metric", names, names[0])),
        "pair": payload.pairs.index(pair) if pair else 0,
        "overlay": query.several("overlay", payload.drawn, rivals[:1]),
        "strip": query.choose("strip", STRIPS, STRIPS[0]),
        "colour": query.choose("colour", SCALES, SCALES[0]),
    }


def _assemble(
    store: Store,
    payload: Payload,
    state: dict[str, Any],
    entry: EntryInfo,
    products: list[EntryInfo],
    entries: list[EntryInfo],
) -> pn.Column:
    shades = colours(payload.sources)
    ranges = Range1d(0, 1), Range1d(0, 1)
    joint = figures.joint_panels(payload, ranges) if payload.pairs else {}
    shown = range(2 if payload.pairs else 1)
    marginals = [figures.marginal(payload, ranges[k], shades) for k in shown]
    grid = figures.label_grid(payload)
    divs = {name: _piece() for name in ("caption", "table", "head")}
    panel = controls(payload, state, shades, entry, products)
    kernel = CustomJS(
        args={
            **_data(payload, state, entry),
            **_models(joint, marginals, grid, ranges),
            **{f"{name}_div" if name == "table" else name: div for name, div in divs.items()},
            "source_control": panel.source,
        },
        code=text_of("kernel.js"),
    )
    cells, request = kernel.args["cells_source"], kernel.args["request_source"]
    if not payload.whole:
        cells.js_on_change("data", CustomJS(code="window.presage.received()"))
        request.on_change("data", _fetch(payload, cells))
    grid.figure.js_on_event("tap", CustomJS(code="window.presage.click(cb_obj.x, cb_obj.y)"))
    pn.state.curdoc.js_on_event("document_ready", kernel)
    left = _column(
        _row([grid.figure], "clamp(230px, 43vh, 470px)"),
        divs["caption"],
        divs["table"],
        flex="0 0 clamp(350px, 28vw, 450px)",
    )
    pictures = [_row([p.figure for p in joint.values()], "clamp(200px, 37vh, 430px)")] if joint else []
    stacks = [_column(m.main, m.strip, flex="1 1 0") for m in marginals]
    right = _column(divs["head"], *pictures, _row(stacks, "clamp(250px, 44vh, 500px)"), flex="1 1 0")
    body = Row(children=[left, right], sizing_mode="stretch_width", styles={"gap": "20px"}, margin=0)
    foot = pn.Row(html(provenance_line(entry, entries), sizing_mode="stretch_width"),
                  _export(payload, entry), sizing_mode="stretch_width", margin=0)  # fmt: skip
    # One Bokeh layout: Panel would put the styles of its own widgets in place of these.
    whole = Column(children=[panel.row, body], sizing_mode="stretch_width", margin=0)
    whole.tags = [cells, request]  # the server only hears of models that a root refers to
    return pn.Column(pn.pane.Bokeh(whole, margin=0, sizing_mode="stretch_width"), foot,
                     sizing_mode="stretch_width", margin=0)  # fmt: skip


def _piece() -> Div:
    """Return an empty piece of HTML for the kernel to fill."""
    sheet = InlineStyleSheet(css=text_of("piece.css"))
    return Div(text='<div class="text"></div>', stylesheets=[sheet], sizing_mode="stretch_width", margin=0)


def _row(children: list[Any], height: str) -> Row:
    return Row(children=children, sizing_mode="stretch_width", styles={"height": height}, margin=0)


def _column(*children: Any, flex: str) -> Column:
    styles = {"flex": flex, "min-width": "0"}
    return Column(children=list(children), sizing_mode="stretch_both", styles=styles, margin=0)


def _data(payload: Payload, state: dict[str, Any], entry: EntryInfo) -> dict[str, Any]:
    """Return the arrays and names that the kernel draws from."""
    chosen, pair = np.arange(len(payload.table)), -1
    if not payload.whole:
        chosen, pair = payload.slice_of(state["label"]), state["pair"]
    flat = [payload.counts(), payload.edges(), payload.numbers(), payload.events()]
    return {
        "arrays": [array.reshape(-1) for array in flat],
        "cells_source": _cells(payload, chosen, pair),
        "request_source": ColumnDataSource({"label": [0], "pair": [0]}),
        "meta_text": json.dumps(_meta(payload, state, entry)),
    }


def _cells(payload: Payload, labels: np.ndarray, pair: int) -> ColumnDataSource:
    return ColumnDataSource(_cell_columns(payload, labels, pair))


def _cell_columns(payload: Payload, labels: np.ndarray, pair: int) -> dict[str, list[Any]]:
    cells = payload.cells(labels, None if pair < 0 else pair)
    return {"cells": [cells.reshape(-1)], "pair": [pair], "labels": [labels.tolist()]}


def _fetch(payload: Payload, cells: ColumnDataSource) -> Any:
    """Return the callback that sends another slice when the kernel asks for one."""

    def send(_attribute: str, _old: Any, new: Mapping[str, Any]) -> None:
        label, pair = int(new["label"][0]), int(new["pair"][0])
        if 0 <= label < len(payload.table) and 0 <= pair < len(payload.pairs):
            cells.data = _cell_columns(payload, payload.slice_of(label), pair)

    return send


def _meta(payload: Payload, state: dict[str, Any], entry: EntryInfo) -> dict[str, Any]:
    index = {name: k for k, name in enumerate(payload.variables)}
    names = [
        ", ".join(
            f"{p.long_name or p.name} = {value:.5g}" + ("" if p.unit == "1" else f" {p.unit}")
            for p, value in zip(payload.parameters, row, strict=True)
        )
        for row in payload.table
    ]
    return {
        "key": entry.key,
        "sources": payload.sources,
        "drawn": payload.drawn,
        "variables": payload.variables,
        "axis_titles": payload.axis_titles,
        "pair_names": payload.pairs,
        "pairs": [[index[name] for name in pair.split(",")] for pair in payload.pairs],
        "columns": [
            {"metric": c.metric, "of": c.of, "name": c.name, "title": c.title, "signed": c.signed,
             "large_is_good": c.large_is_good}
            for c in payload.columns
        ],
        "table": payload.table.tolist(),
        "names": names,
        "regions": payload.regions,
        "places": payload.places.tolist(),
        "neighbours": payload.neighbours.tolist(),
        "bins": payload.product.sizes["bin"],
        "side": payload.product.sizes.get("bin_x", 0),
        "low_cell": figures.LOW_CELL,
        "low_bin": figures.LOW_BIN,
        "sequential": list(figures.DENSITY),
        "diverging": list(figures.DIVERGING),
        "state": state,
    }  # fmt: skip


def _models(
    joint: dict[str, figures.Joint],
    marginals: list[figures.Marginal],
    grid: figures.Grid,
    ranges: tuple[Range1d, Range1d],
) -> dict[str, Any]:
    """Return the Bokeh models that the kernel changes."""
    return {
        "joint_models": {name: panel.source for name, panel in joint.items()},
        "title_models": {name: panel.figure.title for name, panel in joint.items()},
        "scale_models": [
            {"scale": scale, "models": models}
            for name, panel in joint.items() if name != "pull"
            for scale, models in panel.scales.items()
        ],
        "ranges": list(ranges),
        "marginal_models": [
            {
                "x_range": m.main.x_range,
                "y_range": m.main.y_range,
                "strip_range": m.strip.y_range,
                "axis": m.strip.xaxis[0],
                "strip_axis": m.strip.yaxis[0],
                "outlines": m.outlines,
                "points": m.points,
                "bars": m.bars,
                "band": m.band,
                "masked": m.masked,
            }
            for m in marginals
        ],
        "grid_models": {
            "cells": grid.cells,
            "chosen": grid.chosen,
            "interior": grid.marks["interior"],
            "edge": grid.marks["edge"],
            "mapper": grid.mapper["linear"],
        },
    }


def _export(payload: Payload, entry: EntryInfo) -> pn.widgets.FileDownload:
    """Return the button that saves the product as a netCDF file."""

    def content() -> io.BytesIO:
        return io.BytesIO(bytes(payload.product.to_netcdf(engine="h5netcdf")))

    return pn.widgets.FileDownload(
        callback=content,
        filename=f"residuals-{entry.key[:16]}.nc",
        label="netCDF",
        button_type="default",
        button_style="outline",
        height=26,
        width=90,
        margin=(0, 0, 0, 8),
        stylesheets=[text_of("control.css")],
    )
