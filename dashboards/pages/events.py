"""The page of study `events`: residuals over the label grid, flipped in the browser.

Python runs once per visit: it reads the product, makes empty figures and hands all counts
to the kernel (``parts/kernel.js``), which draws every label from then on.
"""

from __future__ import annotations

import io
from typing import Any

import panel as pn

from presage.store import EntryInfo, Store

from .parts.board import board
from .parts.payload import Payload
from .parts.provenance import provenance_line
from .parts.theme import guide, html, text_of
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
    shown = pn.pane.Bokeh(
        board(payload, state, entry, products), margin=0, sizing_mode="stretch_width"
    )
    line = html(provenance_line(entry, entries), sizing_mode="stretch_width")
    foot = pn.Row(line, _export(payload, entry), sizing_mode="stretch_width", margin=0)
    return [shown, foot]


def _nothing(entries: list[EntryInfo], store: Store) -> pn.pane.HTML:
    """Say what is missing, and which command makes it."""
    command = f"{RUN} --store {store.root}"
    if not entries:
        about = (
            f"There is nothing in {store.root} yet. This command simulates a grid of events, "
            "trains a flow on it and compares the two; it takes a few minutes:"
        )
        return guide("The store is empty", [about], [command])
    missing = "the residuals" if _fits(entries) else "a trained flow and its residuals"
    about = "The same command goes on where it stopped; what is complete is not made again:"
    lines = [f"The store holds {_inventory(entries)}. Missing: {missing}.", about]
    return guide("The run is not finished", lines, [command])


def _fits(entries: list[EntryInfo]) -> list[EntryInfo]:
    return [e for e in entries if e.producer.startswith("fit")]


def _inventory(entries: list[EntryInfo]) -> str:
    """Return what there is so far, in words."""
    parts = []
    samples, fits = [e for e in entries if e.kind == "samples"], _fits(entries)
    if samples:
        total = f"{sum(e.samples for e in samples):,}".replace(",", "\u202f")
        parts.append(f"{total} samples in {len(samples)} dataset{'s' * (len(samples) > 1)}")
    if fits:
        done = sum(e.state == "complete" for e in fits)
        parts.append(f"{len(fits)} fit{'s' * (len(fits) > 1)}, {done} complete")
    return "; ".join(parts) or f"{len(entries)} other entries"


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
