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
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bokeh.document import Document
from bokeh.models import Column, CustomJS
from bokeh.server.server import BaseServer
from bokeh.server.tornado import BokehTornado
from panel.io.application import build_applications
from panel.io.state import state as panel_state
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop

from presage.store import Store

from .guard import guard, origin_of, prefix_of
from .kit.board import board
from .kit.foot import foot
from .kit.frame import BOARD, complete, failed, first_page, nothing
from .kit.page import Page, Visit
from .kit.query import Query, query_of
from .kit.theme import html, notices
from .pages import pages, producers_of
from .web import routes

ADDRESS = "127.0.0.1"


def create_app(
    store: str | Path | Store | None = None, studies: Sequence[str] = ()
) -> Callable[[], None]:
    """Return the function that makes the figures of one visit.

    Parameters
    ----------
    store
        A store or its folder; by default ``$PRESAGE_STORE``, else ``./store``.
    studies
        Addresses of studies that are neither presage's nor installed, ``"my_package.toy:STUDY"``.
    """
    shown, known = _opened(store), pages(tuple(studies))

    def app() -> None:
        document = panel_state.curdoc
        query = Query(query_of(panel_state.session_args))
        page = query.choose("page", list(known), first_page(shown, known))
        try:
            main = _made(page, known, studies, shown, query, document)
        except (OSError, RuntimeError, ValueError, LookupError) as error:
            main = [html(failed(page, known[page], shown, error))]
        above = [html(notices(query.messages))] if query.messages else []
        document.config.reconnect_session = document.config.notify_connection_status = False
        document.js_on_event("connection_lost", CustomJS(code="window.frame.lost()"))
        column = Column(children=[*above, *main], sizing_mode="stretch_width", margin=0)
        document.add_root(column)

    return app


def _made(
    name: str, known: Mapping[str, Page], studies: Sequence[str], store: Store, query: Query,
    document: Document,
) -> list[Any]:  # fmt: skip
    """Return what stands on a page: of the product that the address asks for, or the newest."""
    page, entries = known[name], store.list()
    if page.fault:
        raise ValueError(page.fault)
    products = complete(entries, page.producer)
    if page.view is None or not products:
        query.given = {}
        return [html(nothing(name, known, producers_of(name, studies), entries, store))]
    keys = [entry.key for entry in products]
    key = query.key(keys) or keys[-1]
    visit = Visit(store, next(e for e in products if e.key == key), entries, products, query)
    return [board(page.view(visit), visit, document), foot(visit.entry, entries)]


def serve(
    store: str | Path | Store | None = None,
    port: int = 5006,
    show: bool = True,
    origins: Sequence[str] = (),
    prefix: str = "",
    studies: Sequence[str] = (),
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
    studies
        Addresses of studies that are neither presage's nor installed, whose pages are shown too.

    Raises
    ------
    ValueError
        An origin or the prefix is none.
    PluginError
        One of `studies` is none.
    """
    shown, names = _opened(store), tuple(studies)
    listen = settings(port or _free_port(), origins, prefix)
    before, hosts = listen["prefix"], listen["websocket_origin"]
    patterns = routes(shown, pages(names))
    apps = build_applications({BOARD: create_app(shown, names)}, title=listen["title"])
    apps[BOARD].create_document()  # loads what the first visit would have to wait for
    app = BokehTornado(
        apps,
        prefix=before,
        extra_websocket_origins=hosts,
        extra_patterns=list(patterns),
        check_unused_sessions_milliseconds=listen["check_unused_sessions"],
        unused_session_lifetime_milliseconds=listen["unused_session_lifetime"],
    )
    guard(app, hosts, [before + path for path in (*(p for p, *_ in patterns), f"{BOARD}/ws")])
    http = HTTPServer(app)
    http.listen(listen["port"], listen["address"])
    loop = IOLoop.current()
    # What is loaded by now stays: looking through it for rubbish takes a fifth of a visit's time.
    loop.add_callback(gc.freeze)
    BaseServer(loop, app, http).start()
    address = f"http://localhost:{listen['port']}{before}/"
    print(f"Launching server at {address}", flush=True)
    if show:
        loop.add_callback(webbrowser.open, address)
    loop.start()


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
