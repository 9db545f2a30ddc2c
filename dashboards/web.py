"""What the server answers beside Bokeh's own: pages, downloads, checks. Only to this machine."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, ClassVar

import bokeh
from bokeh.server.tornado import BokehTornado
from bokeh.settings import settings as bokeh_settings
from bokeh.util.token import generate_jwt_token, generate_session_id
from tornado.ioloop import IOLoop
from tornado.web import HTTPError, RequestHandler

from presage.recipe import Recipe
from presage.store import EntryInfo, Store, StoreError
from presage.store.listing import PRODUCT

from .guard import common
from .kit.frame import BOARD, BUNDLES, Framed, first_page, framed
from .kit.page import Page
from .kit.query import KEY, Query, query_of
from .kit.theme import guide_text, notices
from .pages.shelves import page as store_page

#: Seconds until the server begins with the figures when a browser has the scripts already, and
#: at the latest when it has not: they are sent before, and compiled meanwhile.
_HEAD_START, _AT_MOST = 0.02, 1.5
#: Cookie of a browser that has the scripts.
_SCRIPTS = "presage-scripts"
#: Seconds between two lines about progress.
_PAUSE = 0.1
#: Hashing leaves the server free for other visitors.
_HASHING = ThreadPoolExecutor(2, "hashing")


class Local(RequestHandler):
    """A handler of the store that is shown; who may ask is judged before (``guard.py``)."""

    def initialize(self, store: Store, pages: Mapping[str, Page]) -> None:
        """Take over what is shown."""
        self.store, self.pages = store, pages

    def prepare(self) -> None:
        """Set what every answer says."""
        common(self)

    def send(self, page: Framed) -> None:
        """Answer with a page."""
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", page.policy)
        self.finish(page.html.encode(errors="backslashreplace"))


class Home(Local):
    """The pages."""

    def get(self) -> None:
        """Answer with a page, its frame at least."""
        last = self.request.path.rsplit("/", 1)[1]
        if last:  # /pdf, or the prefix without its slash; a proxy may have cut what is before
            asked = f"./?page={last}&{self.request.query}".rstrip("&")
            self.redirect(asked if last in self.pages else f"{last}/")
            return
        query = Query(query_of(self.request.arguments))
        page = query.choose("page", list(self.pages), first_page(self.store, self.pages))
        root = str(self.store.root)
        if page != "store":
            wait = '<p class="waiting">Reading …</p>'
            self.send(framed(page, self.pages, root, wait, self._session()))
            return
        try:
            main = store_page.page(self.store, query, self.pages)
        except (OSError, RuntimeError, ValueError) as error:
            main = guide_text("This page cannot be shown", [f"{type(error).__name__}: {error}"], [])
        main = notices(query.messages) + main
        styles, scripts = store_page.STYLES, store_page.SCRIPTS
        self.send(framed(page, self.pages, root, main, styles=styles, scripts=scripts))

    def _session(self) -> str:
        """Return the token of a session that will be there when the browser asks for it."""
        app = self.application
        assert isinstance(app, BokehTornado)
        session = generate_session_id(secret_key=app.secret_key, signed=app.sign_sessions)
        payload: Any = {"headers": {}, "cookies": {}, "arguments": self.request.arguments}
        token = generate_jwt_token(
            session,
            secret_key=app.secret_key,
            signed=app.sign_sessions,
            expiration=app.session_token_expiration,
            extra_payload=payload,
        )
        context = app.applications[BOARD]  # where it is not found, the connection makes it
        make = context.create_session_if_needed
        asked_for = 0 if self.get_cookie(_SCRIPTS) == bokeh.__version__ else len(BUNDLES)
        given = Script.sent + asked_for, make, session, self.request, token
        IOLoop.current().call_later(_HEAD_START, _when_sent, *given)
        return token


async def _when_sent(scripts: int, make: Callable[..., Awaitable[object]], *given: object) -> None:
    """Make a session once so many scripts were sent since the start."""
    latest = time.monotonic() + _AT_MOST
    while Script.sent < scripts and time.monotonic() < latest:
        await asyncio.sleep(0.005)
    await make(*given)


class Script(Local):
    """A part of BokehJS, which a browser asks for once."""

    sent: ClassVar[int] = 0

    async def get(self, name: str) -> None:
        """Answer with the script, from memory."""
        if name not in BUNDLES:
            raise HTTPError(404)
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.set_header("Cache-Control", "public, max-age=31536000, immutable")
        self.set_cookie(_SCRIPTS, bokeh.__version__, expires_days=30, httponly=True,
                        samesite="strict")  # fmt: skip
        script = _script(name)
        self.set_header("Content-Length", len(script))
        self.write(script)
        await self.flush()
        Script.sent += 1


@cache
def _script(name: str) -> bytes:
    return (bokeh_settings.bokehjs_path() / "js" / f"{name}.min.js").read_bytes()


class Alive(Local):
    """Whether the server is there."""

    def get(self) -> None:
        """Say so."""
        self.finish("yes")


class Product(Local):
    """A product as the store holds it, or templates as a fit takes them, made for whoever asks."""

    async def get(self, key: str, kind: str) -> None:
        """Answer with a file to be kept."""
        recipe, path = None, None
        with contextlib.suppress(StoreError):
            recipe = self.store.find(key) if KEY.fullmatch(key) else None
            path = self.store.file(recipe, PRODUCT) if recipe else None
        if recipe is None or path is None:
            raise HTTPError(404, reason="There is no product with this key")
        made = None if kind == "nc" else await self._templates(recipe, kind)
        name = f"{recipe.producer if made is None else 'templates'}-{recipe.key[:16]}.{kind}"
        mime = "application/x-netcdf" if kind == "nc" else "application/octet-stream"
        self.set_header("Content-Type", mime)
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        with path.open("rb") if made is None else io.BytesIO(made) as file:
            while part := file.read(1 << 20):
                self.write(part)
                await self.flush()

    async def _templates(self, recipe: Recipe, kind: str) -> bytes:
        from .pages.events.template import written  # loads the page

        work = partial(written, self.store, recipe, kind, query_of(self.request.arguments))
        try:
            return await asyncio.get_running_loop().run_in_executor(_HASHING, work)
        except (LookupError, OSError, RuntimeError, ValueError) as error:
            reason = str(error).partition("\n")[0].encode("ascii", "ignore").decode()
            raise HTTPError(404, reason=reason) from error


class _LeftError(Exception):
    """Nobody waits for the answer any more."""


class Check(Local):
    """Hashes files again, one dataset's or all, and says line by line how far it is."""

    def on_connection_close(self) -> None:
        """Note that nobody waits."""
        self.left = True

    async def post(self) -> None:
        """Answer with a line of JSON now and then, and the problems at the end."""
        self.left = False
        asked = self.get_body_argument("key", "")[:64]
        entries = [e for e in self.store.list() if e.key.startswith(asked)]
        if not entries or (asked and (len(entries) > 1 or not KEY.fullmatch(asked))):
            raise HTTPError(404, reason="There is no dataset with this key")
        self.set_header("Content-Type", "application/x-ndjson")
        lines: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(**said: Any) -> None:
            if self.left:
                raise _LeftError
            loop.call_soon_threadsafe(lines.put_nowait, said)

        work = loop.run_in_executor(_HASHING, _check_all, self.store, entries, tell)
        while not (work.done() and lines.empty()):
            with contextlib.suppress(asyncio.TimeoutError):
                said = await asyncio.wait_for(lines.get(), 0.2)
                self.write(json.dumps(said) + "\n")
                await self.flush()
        problems = work.result()
        self.finish(json.dumps({"problems": problems, "datasets": len(entries)}) + "\n")


def _check_all(store: Store, entries: list[EntryInfo], tell: Callable[..., None]) -> list[str]:
    """Check entries one by one; return what is wrong, each with its producer and key."""
    total = sum(entry.bytes for entry in entries)
    problems: list[str] = []
    before, last = 0, 0.0

    def progress(done: int, _of: int) -> None:
        nonlocal last
        if time.monotonic() - last > _PAUSE:
            last = time.monotonic()
            tell(done=before + done, of=total)

    for entry in entries:
        try:
            found = store.check(entry.name, progress, remember=True)
        except (StoreError, OSError) as error:
            found = [str(error)]
        except _LeftError:
            return problems
        problems += [f"{entry.producer} {entry.key[:8]}: {problem}" for problem in found]
        before += entry.bytes
    return problems


def routes(
    store: Store, pages: Mapping[str, Page]
) -> list[tuple[str, type[Local], dict[str, Any]]]:
    """Return what the server answers beside Bokeh's own."""
    handlers = {
        "": Home,
        "/": Home,
        f"/(?:{'|'.join(map(re.escape, pages))})": Home,
        r"/script/([\w-]+)\.js": Script,
        "/alive": Alive,
        r"/product/(\w+)\.(nc|root|json)": Product,
        "/check": Check,
    }
    given = {"store": store, "pages": pages}
    return [(path, handler, given) for path, handler in handlers.items()]
