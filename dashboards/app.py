"""The dashboard's server, bound to this machine.

Examples
--------
From Python, or with ``presage dashboard``::

    from dashboards.app import serve
    serve("store")
"""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import panel as pn
from bokeh.models import Column, CustomJS
from tornado.ioloop import IOLoop

from presage.store import Store

from .pages import events, pdf
from .pages.parts.frame import BOARD, PAGES
from .pages.parts.theme import guide_text, html, notices
from .pages.parts.view import Query, query_of
from .web import routes

ADDRESS = "127.0.0.1"
_MAKERS: dict[str, Callable[[Store, Query], list[Any]]] = {"events": events.page, "pdf": pdf.page}
#: What each page shows, for those that can be shown where one cannot.
_PRODUCERS = {"events": events.PRODUCER, "pdf": pdf.PRODUCER}
_OTHERS = {"events": "Residuals", "pdf": "Posteriors"}


def create_app(store: str | Path | Store | None = None) -> Callable[[], None]:
    """Return the function that makes the figures of one visit.

    Parameters
    ----------
    store
        A store or its folder; by default ``$PRESAGE_STORE``, else ``./store``.
    """
    shown = _opened(store)

    def app() -> None:
        query = Query(query_of(pn.state.session_args))
        page = query.choose("page", list(PAGES), "events")
        try:
            main = _MAKERS.get(page, events.page)(shown, query)
        except (OSError, RuntimeError, ValueError, LookupError) as error:
            main = [html(_failed(shown, page, f"{type(error).__name__}: {error}"))]
        above = [html(notices(query.messages))] if query.messages else []
        document = pn.state.curdoc
        document.config.reconnect_session = document.config.notify_connection_status = False
        document.js_on_event("connection_lost", CustomJS(code="window.frame.lost()"))
        column = Column(children=[*above, *main], sizing_mode="stretch_width", margin=0)
        document.add_root(column)

    return app


def serve(store: str | Path | Store | None = None, port: int = 5006, show: bool = True) -> None:
    """Serve the dashboard on this machine until it is interrupted.

    Parameters
    ----------
    store
        A store or its folder; by default ``$PRESAGE_STORE``, else ``./store``.
    port
        Port on 127.0.0.1; 0 takes a free one, which is printed.
    show
        Open a browser.
    """
    shown = _opened(store)
    listen = settings(port or _free_port())
    # What is loaded by now stays: looking through it for rubbish takes a fifth of a visit's time.
    IOLoop.current().add_callback(gc.freeze)
    apps, patterns = {BOARD: create_app(shown)}, routes(shown)
    pn.serve(apps, extra_patterns=patterns, **listen, show=show, warm=True)


def _failed(store: Store, page: str, error: str) -> str:
    """Return what is said where a page cannot be made, and what can be looked at instead."""
    producer = _PRODUCERS.get(page, events.PRODUCER)
    try:
        entries = [e for e in store.list() if e.producer == producer and e.recipe]
    except OSError:
        entries = []
    links = "".join(
        f'<li><a href="?page={escape(page)}&amp;key={entry.key[:16]}">{escape(entry.key[:16])}</a> '
        f"{escape(entry.created[:16].replace('T', ' '))}</li>"
        for entry in sorted(entries, key=lambda e: e.created, reverse=True)[:20]
    )
    there = f"{_OTHERS.get(page, _OTHERS['events'])} in this store:"
    others = f'<div class="guide"><p>{there}</p><ul>{links}</ul></div>'
    return guide_text("This page cannot be shown", [error], []) + (others if links else "")


def _opened(store: str | Path | Store | None) -> Store:
    return store if isinstance(store, Store) else Store(store)


def _free_port() -> int:
    """Return a port that is free now: the allowed origins name it, so it is chosen before."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def settings(port: int) -> dict[str, Any]:
    """Return how the server listens: to this machine, for pages of this machine."""
    names = ("localhost", ADDRESS)
    return {
        "address": ADDRESS,
        "port": port,
        "websocket_origin": [f"{name}:{port}" for name in names],
        "title": "presage",
        "check_unused_sessions": 5000,
        "unused_session_lifetime": 20000,
    }
