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
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import panel as pn
from bokeh.models import Column, CustomJS
from tornado.ioloop import IOLoop

from presage.store import Store

from .guard import guard, origin_of, prefix_of
from .pages import study
from .pages.parts.frame import BOARD, PAGES, first_page
from .pages.parts.theme import guide_text, html, notices
from .pages.parts.view import Query, query_of
from .web import routes

ADDRESS = "127.0.0.1"


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
        page = query.choose("page", list(PAGES), first_page(shown))
        try:
            main = study.page(page, shown, query)
        except (OSError, RuntimeError, ValueError, LookupError) as error:
            main = [html(_failed(shown, page, f"{type(error).__name__}: {error}"))]
        above = [html(notices(query.messages))] if query.messages else []
        document = pn.state.curdoc
        document.config.reconnect_session = document.config.notify_connection_status = False
        document.js_on_event("connection_lost", CustomJS(code="window.frame.lost()"))
        column = Column(children=[*above, *main], sizing_mode="stretch_width", margin=0)
        document.add_root(column)

    return app


def serve(
    store: str | Path | Store | None = None,
    port: int = 5006,
    show: bool = True,
    origins: Sequence[str] = (),
    prefix: str = "",
) -> None:
    """Serve the dashboard on this machine until it is interrupted.

    Parameters
    ----------
    store
        A store or its folder; by default ``$PRESAGE_STORE``, else ``./store``.
    port
        Port on 127.0.0.1; 0 takes a free one, which is printed.
    show
        Open a browser.
    origins
        ``HOST[:PORT]`` of tunnels and proxies, as browsers' address bars show them; pages of
        this machine are always answered, others never.
    prefix
        Path that a proxy puts before every address and hands on. Without one, pages work below
        any path that a proxy takes away.

    Raises
    ------
    ValueError
        An origin or the prefix is none.
    """
    shown = _opened(store)
    listen = settings(port or _free_port(), origins, prefix)
    # What is loaded by now stays: looking through it for rubbish takes a fifth of a visit's time.
    IOLoop.current().add_callback(gc.freeze)
    apps, patterns = {BOARD: create_app(shown)}, routes(shown)
    server = pn.io.server.get_server(apps, extra_patterns=patterns, **listen, show=show, warm=True)
    paths = [listen["prefix"] + path for path in (*(p for p, *_ in patterns), f"{BOARD}/ws")]
    guard(server._tornado, listen["websocket_origin"], paths)
    server.start()
    server.io_loop.start()


def _failed(store: Store, page: str, error: str) -> str:
    """Return what is said where a page cannot be made, and what can be looked at instead."""
    about = PAGES[page]
    try:
        entries = [e for e in store.list() if e.producer == about.producer and e.recipe]
    except OSError:
        entries = []
    links = "".join(
        f'<li><a href="?page={escape(page)}&amp;key={entry.key[:16]}">{escape(entry.key[:16])}</a> '
        f"{escape(entry.created[:16].replace('T', ' '))}</li>"
        for entry in sorted(entries, key=lambda e: e.created, reverse=True)[:20]
    )
    there = f"{about.what.capitalize()} in this store:"
    others = f"<p>{there}</p><ul>{links}</ul>" if links else ""
    return guide_text("This page cannot be shown", [error], [], others)


def _opened(store: str | Path | Store | None) -> Store:
    return store if isinstance(store, Store) else Store(store)


def _free_port() -> int:
    """Return a port that is free now: the allowed origins name it, so it is chosen before."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def settings(port: int, origins: Sequence[str] = (), prefix: str = "") -> dict[str, Any]:
    """Return how the server listens: to this machine, for pages of this machine and `origins`."""
    names = [f"localhost:{port}", f"{ADDRESS}:{port}", *origins]
    return {
        "address": ADDRESS,
        "port": port,
        "prefix": prefix_of(prefix),
        "websocket_origin": [header for name in names for header in origin_of(name)],
        "title": "presage",
        "check_unused_sessions": 5000,
        "unused_session_lifetime": 20000,
    }
