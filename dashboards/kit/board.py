"""A view as Bokeh has it: controls, panels, and the scripts that fill them in the browser."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.models import Column, ColumnDataSource, CustomJS, LayoutDOM

from .arrays import Array
from .choice import Labels, cells
from .figure import lean
from .page import Live, View, Visit
from .pieces import column, piece, row
from .theme import text_of

_POOL = ThreadPoolExecutor(2, thread_name_prefix="live")
#: Kind of a panel → the script that draws it.
_SCRIPTS = {"images": "images", "histogram": "histogram", "heatmap": "heatmap", "curve": "curve",
            "corner": "corner", "sample": "sample", "table": "table", "spectrum": "sound",
            "audio": "sound", "points": "points"}  # fmt: skip


def board(view: View, visit: Visit, document: Document) -> Column:
    """Return all that stands on a page; it is filled as soon as the document is there."""
    state = {choice.name: choice.read(visit.query) for choice in view.choices} | dict(view.extra)
    if view.cast and view.cast.b and state[view.cast.b] == state[view.cast.a]:
        state[view.cast.b] = 0
    for choice in view.choices:
        if isinstance(choice, Labels):
            state["rest"] = choice.places[state[choice.name], 2:].tolist()
    boxes = {c.name: c.control(state[c.name]) for c in view.choices if c.heading}
    named = {name: cells(view.choices, boxes, [name]) for name in boxes}
    live = piece("live", "live.css") if view.live else None
    rows = [_controls(line, named, live) for line in view.controls]
    sources = {
        "request": ColumnDataSource({"about": [""]}),
        "answer": ColumnDataSource({"about": ["[]"]}),
        "live_request": ColumnDataSource({"serial": [0], "label": [[]], "members": [[]]}),
        "live_answer": ColumnDataSource({"serial": [0]}),
    }
    about, values = _arrays(view, state)
    figures = list(chain.from_iterable(panel.figures for panel in view.panels))
    given = {
        **sources, "live": live, "controls": boxes, "figures": figures,
        "panels": {f"panel{k}": dict(panel.models) for k, panel in enumerate(view.panels)},
        "texts": [*chain.from_iterable(panel.texts for panel in view.panels),
                  *(model for part in view.parts if part.later for model in part.parts)],
        "parts": [{"choice": part.choice, "values": list(part.values), "later": part.later,
                   "parts": [model for one in part.parts for model in
                             (named.get(one, []) if isinstance(one, str) else [one])]}
                  for part in view.parts],
    }  # fmt: skip
    meta = json.dumps(_meta(view, visit, state, about), ensure_ascii=False)
    kinds = dict.fromkeys(_SCRIPTS[p.kind] for p in view.panels if p.kind in _SCRIPTS)
    scripts = ["swift", "core", "live", "picture", *(f"panels/{k}" for k in ("scales", *kinds))]
    code = "\n".join(text_of(f"{name}.js") for name in (*scripts, "start"))
    arguments = {"meta_text": meta, "given_models": given, "given_arrays": values}
    document.js_on_event("document_ready", CustomJS(args=arguments, code=code))
    lean(figures)
    whole = column("whole", *rows, view.board)
    whole.tags = list(sources.values())  # the server only hears of what a root refers to
    _connect(view, sources, document)
    return whole


def _controls(line: Any, named: Mapping[str, list[Any]], live: Any) -> LayoutDOM:
    """Return a row of controls: choices by name, ``"live"`` for the sliders, models as they are."""
    parts: list[Any] = []
    for item in line:
        if isinstance(item, str):
            parts += [live] if item == "live" else named.get(item, [])
        else:
            parts.append(item)
    return row("controls", *parts)


def _arrays(
    view: View, state: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Return what is to be known of all arrays, and their values, each once."""
    given: dict[str, Array] = {}
    for panel in view.panels:
        given |= panel.arrays
    about = [array.about(name) for name, array in given.items()]
    values = {name: array.sent() for name, array in given.items()}
    for fetched in view.fetched.values():
        more, found = fetched.made(state)
        about, values = about + more, values | found
    return about, values


def _meta(
    view: View, visit: Visit, state: Mapping[str, Any], about: list[dict[str, Any]]
) -> dict[str, Any]:
    live = view.live
    return {
        "key": visit.entry.key,
        "state": state,
        "choices": [{"places": None, "neighbours": None, **choice.for_kernel()}
                    for choice in view.choices],
        "arrays": about,
        "cast": view.cast.for_browser() if view.cast else None,
        "fetched": {name: {"group": group, "by": one.by}
                    for group, one in view.fetched.items() for name in one.names},
        "words": view.words,
        "address": view.address,
        "live": None if live is None else {
            "why": live.why, "title": live.title, "loading": live.loading,
            "parameters": list(live.parameters)},
        "panels": [{"kind": panel.kind, "name": f"panel{k}", "on": panel.depends(), **panel.spec}
                   for k, panel in enumerate(view.panels)],
    }  # fmt: skip


def _connect(view: View, sources: Mapping[str, Any], document: Document) -> None:
    """Let the browser ask for arrays and for live draws."""
    if view.fetched:
        sources["answer"].js_on_change("data", CustomJS(code="window.presage.received()"))
        answer = partial(_send, view, sources["answer"])
        sources["request"].on_change("data", answer)
    if view.live and view.live.draw:
        sources["live_answer"].js_on_change("data", CustomJS(code="window.presage.answered()"))
        asked = partial(_asked, view.live, sources["live_answer"], document)
        sources["live_request"].on_change("data", asked)


def _send(
    view: View, answer: ColumnDataSource, _attribute: str, _old: Any, new: Mapping[str, Any]
) -> None:
    """Answer with arrays of the state that the browser is in; of no other than there are."""
    asked = json.loads(new["about"][0])
    state, needed = asked["state"], {name for one in view.fetched.values() for name in one.by}
    if not all(state.get(one.name) in one.held for one in view.choices if one.name in needed):
        return
    about: list[dict[str, Any]] = []
    values: dict[str, Any] = {}
    for group in asked["groups"]:
        if group in view.fetched:
            more, found = view.fetched[group].made(state)
            about, values = about + more, values | found
    columns = {name: [array] for name, array in values.items()}
    answer.data = {"about": [json.dumps(about, ensure_ascii=False)], **columns}


def _asked(
    live: Live, answer: ColumnDataSource, document: Document,
    _attribute: str, _old: Any, new: Mapping[str, Any],
) -> None:  # fmt: skip
    """Take a request: its number, the label and the members; without a label, get ready.

    Work is done in threads: a page never waits for another's.
    """
    serial, label, members = int(new["serial"][0]), list(new["label"][0]), list(new["members"][0])
    _POOL.submit(_work, live, answer, document, serial, label, members)


def _work(
    live: Live, answer: ColumnDataSource, document: Document,
    serial: int, label: list[Any], members: list[Any],
) -> None:  # fmt: skip
    columns: dict[str, list[Any]] = {"serial": [serial], "error": [""]}
    try:
        if not label:
            live.warm()
            return
        assert live.draw is not None
        about, arrays = live.draw(label, members)
        told = [array.about(name) for name, array in arrays.items()]
        columns["about"] = [json.dumps({**about, "arrays": told}, ensure_ascii=False)]
        columns |= {name: [array.sent()] for name, array in arrays.items()}
    except (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        columns["error"] = [str(error)]
    document.add_next_tick_callback(partial(setattr, answer, "data", columns))
