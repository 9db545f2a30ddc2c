"""The frame of a page as HTML: title, links, which store; nothing is asked of outside hosts.

The frame is sent before Python has begun with the page itself. The browser then loads and
compiles BokehJS while the server builds the figures, and fetches them when both are done.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import bokeh

from presage.store import Store

from .guidance import guidance
from .theme import text_of


@dataclass(frozen=True)
class Page:
    """A page's title, what it shows, as producer and in words, and what the study's run does."""

    title: str
    producer: str = ""
    what: str = ""
    makes: str = ""


PAGES = {
    "events": Page("Events", "residuals", "residuals",
                   "simulates a grid of events, trains a flow on it and compares the two"),
    "pdf": Page("PDF", "pdf_posteriors", "posteriors",
                "simulates sets of events, trains a network on them and compares its posteriors "
                "with the exact ones"),
    "store": Page("Store"),
}  # fmt: skip
#: Parts of BokehJS that pages are drawn with; the others (WebGL, tables, formulae) take longer
#: to load than all of these.
BUNDLES = ("bokeh", "bokeh-widgets")
BOARD = "/board"


@dataclass(frozen=True)
class Framed:
    """A page's HTML and the policy that goes with it."""

    html: str
    policy: str


def first_page(store: Store) -> str:
    """Return the first page that has something to show, by a quick look at folders."""
    there = (n for n, p in PAGES.items() if p.producer and any(store.root.glob(f"{p.producer}/*/")))
    return next(there, "events")


def framed(
    page: str,
    root: str,
    main: str = "",
    token: str = "",
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
) -> Framed:
    """Return a page.

    Parameters
    ----------
    page
        Name in `PAGES`.
    root
        Folder of the store, as text.
    main
        What stands in it, as HTML; with `token` only until the figures are there.
    token
        Of the session that has the figures, where there are any.
    styles, scripts
        Stylesheets beside `page.css`, scripts beside `frame.js`.
    """
    mark = secrets.token_urlsafe(12)
    sheets = "".join(f"<style>{text_of(name)}</style>" for name in ("page.css", *styles))
    source = f"script/{{}}.js?v={bokeh.__version__}"
    bundles = BUNDLES if token else ()
    loaded = "".join(f'<script defer src="{source.format(name)}"></script>' for name in bundles)
    code = "\n".join(text_of(name) for name in ("frame.js", *scripts))
    given = json.dumps({"token": token, "board": BOARD[1:]}).replace("<", "\\u003c")
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>presage</title>'
        '<link rel="icon" href="data:,">'
        f"{loaded}{sheets}</head><body>{_bar(page, root)}"
        f'<main id="main">{main}</main>'
        f'<script nonce="{mark}">const given = {given};\n{code}</script>'
        "</body></html>"
    )
    return Framed(html, _policy(mark, bool(token)))


def _policy(mark: str, drawn: bool) -> str:
    """Return what the page may load and run: of this server, and of scripts only ours.

    Bokeh makes functions of the code of its callbacks, which has to be allowed where it draws.
    """
    scripts = "'self' 'unsafe-eval'" if drawn else ""
    return (
        f"default-src 'none'; script-src {scripts} 'nonce-{mark}'; style-src 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def _bar(page: str, root: str) -> str:
    links = "".join(
        f'<a href="?page={name}"{" class=here aria-current=page" if name == page else ""}>'
        f"{about.title}</a>"
        for name, about in PAGES.items()
    )
    return (
        f'<header><a class="title" href="?">presage</a><nav>{links}</nav>'
        f'<span class="root" title="folder of the store">{escape(root)}</span>'
        f"{guidance(page)}</header>"
        '<div id="said" role="status" aria-live="polite"></div>'
    )
