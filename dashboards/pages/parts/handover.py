"""What Python hands to the kernel: arrays of all labels, names, and the models to fill."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource

from . import figures
from .choice import called
from .exhibit import RIVALS, Exhibit
from .payload import Payload, plain
from .theme import colours


def data(exhibit: Exhibit, state: dict[str, Any]) -> dict[str, Any]:
    """Return the arrays and names that the kernel draws from."""
    payload = exhibit.payload
    chosen, pair = np.arange(len(payload.table)), -1
    if not payload.whole:
        chosen, pair = payload.slice_of(state["label"]), state["pair"]
    flat = [payload.counts(), payload.edges(), payload.numbers(), payload.events()]
    return {
        "arrays": [array.reshape(-1) for array in flat],
        "cells_source": ColumnDataSource(_cell_columns(payload, chosen, pair)),
        "request_source": ColumnDataSource({"label": [0], "pair": [0]}),
        "meta_text": json.dumps(_meta(exhibit, state)),
    }


def _cell_columns(payload: Payload, labels: np.ndarray, pair: int) -> dict[str, list[Any]]:
    cells = payload.cells(labels, None if pair < 0 else pair)
    return {"cells": [cells.reshape(-1)], "pair": [pair], "labels": [labels.tolist()]}


def fetch(payload: Payload, cells: ColumnDataSource) -> Any:
    """Return the callback that sends another slice when the kernel asks for one."""

    def send(_attribute: str, _old: Any, new: Mapping[str, Any]) -> None:
        label, pair = int(new["label"][0]), int(new["pair"][0])
        if 0 <= label < len(payload.table) and 0 <= pair < len(payload.pairs):
            cells.data = _cell_columns(payload, payload.slice_of(label), pair)

    return send


def _meta(exhibit: Exhibit, state: dict[str, Any]) -> dict[str, Any]:
    payload = exhibit.payload
    index = {name: k for k, name in enumerate(payload.variables)}
    names = [
        ", ".join(
            f"{p.long_name or p.name} = {value:.5g}" + ("" if p.unit == "1" else f" {p.unit}")
            for p, value in zip(payload.parameters, row, strict=True)
        )
        for row in payload.table
    ]
    return {
        "key": exhibit.entry.key,
        "with": exhibit.partner.key if exhibit.partner else "",
        "sources": payload.sources,
        "cast": exhibit.cast,
        "marked": exhibit.marked,
        "rivals": {name: k for k, name in enumerate(exhibit.cast) if name in RIVALS},
        "live": _live(exhibit),
        "colours": colours(payload.sources),
        "fits": {name: fit.key for name, fit in exhibit.fits.items()},
        "axes": [axis.tolist() for axis in payload.axes],
        "drawn": payload.drawn,
        "called": {name: called(name) for name in exhibit.cast},
        "variables": payload.variables,
        "axis_titles": payload.axis_titles,
        "pair_names": payload.pairs,
        "choices": [choice.for_kernel() for choice in exhibit.choices],
        "pairs": [[index[name] for name in pair.split(",")] for pair in payload.pairs],
        "columns": [
            {"metric": c.metric, "of": c.of, "name": c.name, "title": c.title,
             "short": c.merit.short, "said": c.merit.said, "signed": c.merit.signed,
             "best": c.merit.best}
            for c in payload.columns
        ],
        "table": payload.table.tolist(),
        "names": names,
        "regions": payload.regions,
        "places": payload.places.tolist(),
        "neighbours": payload.neighbours.tolist(),
        "bins": payload.product.sizes["bin"],
        "side": payload.product.sizes.get("bin_x", 0),
        "pull": figures.PULL,
        "low_cell": figures.LOW_CELL,
        "low_bin": figures.LOW_BIN,
        "sequential": list(reversed(figures.DENSITY)),  # bright is large, as in the notebooks
        "diverging": list(figures.DIVERGING),
        "state": state,
    }  # fmt: skip


def _live(exhibit: Exhibit) -> dict[str, Any]:
    """Return what the sliders need: a range for each parameter, and the flows there are."""
    bench = exhibit.bench
    rows = []
    for parameter in exhibit.payload.parameters if bench.flows else ():
        low, high = bench.ranges[parameter.name]
        unit = "" if parameter.unit == "1" else parameter.unit
        rows.append({"name": parameter.long_name or parameter.name, "short": plain(parameter.name),
                     "low": low, "high": high, "unit": unit})  # fmt: skip
    return {"why": exhibit.why_not_live, "flows": list(bench.flows), "parameters": rows}
