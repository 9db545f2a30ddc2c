"""Who is answered, on every path of the server, the framework's own ones included.

A page of another host can have its own name lead to this machine, and would read the store as if
it were a page of the dashboard. So a request is looked at before any handler is chosen: the
names in ``Host`` and ``Origin`` have to be the dashboard's, and the path has to be one that the
pages use. What Panel and Bokeh serve beside (their page with a session's token, a script for
other sites, files of modules) is needed by nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher, Rule
from tornado.web import Application, RequestHandler

_NAME = re.compile(r"(?:https?://)?([\w.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?/?", re.IGNORECASE)
_PATH = re.compile(r"(/[\w.~-]*)*")
#: Ports that an address leaves out.
_USUAL = ("", ":80", ":443")


def origin_of(text: str) -> list[str]:
    """Return the ``Host`` headers of ``HOST[:PORT]``, of the usual ports where it names none.

    ValueError says that it is no such address, or would stand for any (``*``).
    """
    found = _NAME.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"an origin is HOST[:PORT] of the browser's address bar, got {text!r}")
    name, port = found[1].lower(), found[2] or ""
    return [name + each for each in (_USUAL if port in _USUAL else (port,))]


def prefix_of(text: str) -> str:
    """Return a path prefix with one slash before and none behind it; empty for none.

    ValueError says that it has characters that a path does not need, or leads upwards.
    """
    path = f"/{text.strip().strip('/')}".rstrip("/")
    if not _PATH.fullmatch(path) or {"..", "."} & set(path.split("/")):
        raise ValueError(f"a prefix is a path like /some/path, got {text!r}")
    return path


def common(handler: RequestHandler) -> None:
    """Set what every answer says: not kept, not guessed at, of use to these pages only."""
    handler.set_header("Cache-Control", "no-store")
    handler.set_header("X-Content-Type-Options", "nosniff")
    handler.set_header("Referrer-Policy", "same-origin")
    handler.set_header("Cross-Origin-Resource-Policy", "same-origin")
    handler.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")


class Refusal(RequestHandler):
    """The answer to whom nothing is shown."""

    def initialize(self, status: int, why: str) -> None:
        """Take over what is wrong."""
        self.status, self.why = status, why

    def prepare(self) -> None:
        """Answer, whatever the method."""
        common(self)
        self.set_status(self.status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(self.why + "\n")


class Strange(Matcher):
    """Every request that is not one of the dashboard's pages to the dashboard's own names."""

    def __init__(self, names: Iterable[str], paths: Iterable[str]) -> None:
        """Take over the dashboard's ``Host`` headers, and patterns of what is there."""
        self.names = frozenset(names)
        self.paths = [re.compile(path) for path in paths]

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Return how to refuse a request, None for one that is to be answered."""
        asked = [request.headers.get("Host", "")]
        origin = request.headers.get("Origin")
        if origin is not None:  # of a page without an address it is "null"
            asked.append(urlsplit(origin).netloc)
        strange = [name for name in asked if name.lower() not in self.names]
        if strange:
            why = f"This dashboard answers to its own address only, not to {strange[0]!r}.\n"
            why += "If you came here by a tunnel or proxy, start it with --origin HOST[:PORT]."
            return {"target_kwargs": {"status": 403, "why": why}}
        if any(path.fullmatch(request.path) for path in self.paths):
            return None
        return {"target_kwargs": {"status": 404, "why": "There is no such page here."}}


def guard(app: Application, names: Iterable[str], paths: Iterable[str]) -> None:
    """Have an application refuse strange requests before it looks for a handler."""
    router = app.default_router
    router.rules.insert(0, router.process_rule(Rule(Strange(names, paths), Refusal)))
