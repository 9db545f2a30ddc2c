"""The dashboard's server: one route, bound to this machine.

Examples
--------
From Python, or with ``presage dashboard``::

    from dashboards.app import serve
    serve("store")
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import panel as pn

from presage.store import Store

from .pages import events
from .pages import store as store_page
from .pages.parts.theme import PAGES, guide, notices, template
from .pages.parts.view import Query, query_of

ADDRESS = "127.0.0.1"
_MAKERS: dict[str, Callable[[Store, Query], list[Any]]] = {
    "events": events.page,
    "store": store_page.page,
}


def create_app(store: str | Path | Store | None = None) -> Callable[[], Any]:
    """Return the function that makes the page of one visit.

    Parameters
    ----------
    store
        A store or its folder; by default ``$PRESAGE_STORE``, else ``./store``.
    """
    shown = store if isinstance(store, Store) else Store(store)
    pn.extension()

    def app() -> Any:
        query = Query(query_of(pn.state.session_args))
        page = query.choose("page", list(PAGES), "events")
        try:
            main = _MAKERS[page](shown, query)
        except (OSError, RuntimeError, ValueError) as error:
            main = [guide("This page cannot be shown", [f"{type(error).__name__}: {error}"], [])]
        return template(page, [*notices(query.messages), *main], str(shown.root))

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
    pn.serve({"/": create_app(store)}, **settings(port or _free_port()), show=show)


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
