"""The frame of a page as HTML: title, links, which store; nothing is asked of outside hosts.

The frame is sent before Python has begun with the page itself. The browser then loads and
compiles BokehJS while the server builds the figures, and fetches them when both are done.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import bokeh

from presage.store import EntryInfo, Store

from .page import Page
from .theme import guide_text, text_of, whole

#: Parts of BokehJS that pages are drawn with; the others (WebGL, tables, formulae) take longer
#: to load than all of these.
BUNDLES = ("bokeh", "bokeh-widgets")
BOARD = "/board"


@dataclass(frozen=True)
class Framed:
    """A page's HTML and the policy that goes with it."""

    html: str
    policy: str


def first_page(store: Store, pages: Mapping[str, Page]) -> str:
    """Return the first page that has something to show, by a quick look at folders."""
    there = (n for n, p in pages.items() if p.producer and any(store.root.glob(f"{p.producer}/*/")))
    return next(there, next(iter(pages)))


def framed(
    page: str,
    pages: Mapping[str, Page],
    root: str,
    main: str = "",
    token: str = "",
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
) -> Framed:
    """Return the page of this name with `main` in it, HTML.

    With the `token` of a session that has figures, it stands there until they come. `styles` and
    `scripts` are text beside `page.css` and `frame.js`.
    """
    mark = secrets.token_urlsafe(12)
    sheets = "".join(f"<style>{text}</style>" for text in (text_of("page.css"), *styles))
    source = f"script/{{}}.js?v={bokeh.__version__}"
    bundles = BUNDLES if token else ()
    loaded = "".join(f'<script defer src="{source.format(name)}"></script>' for name in bundles)
    code = "\n".join((text_of("frame.js"), *scripts))
    given = json.dumps({"token": token, "board": BOARD[1:]}).replace("<", "\\u003c")
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>presage</title>'
        '<link rel="icon" href="data:,">'
        f"{loaded}{sheets}</head><body>{_bar(page, pages, root)}"
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
        "img-src 'self' data: blob:; media-src blob:; font-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def _bar(page: str, pages: Mapping[str, Page], root: str) -> str:
    links = "".join(
        f'<a href="?page={escape(name)}"{" class=here aria-current=page" if name == page else ""}>'
        f"{escape(about.title)}</a>"
        for name, about in pages.items()
    )
    return (
        f'<header><a class="title" href="?">presage</a><nav>{links}</nav>'
        f'<span class="root" title="folder of the store">{escape(root)}</span>'
        f"{_help(pages[page])}</header>"
        '<div id="said" role="status" aria-live="polite"></div>'
    )


def _help(page: Page) -> str:
    """Return the HTML of a page's help: keys, what colours and marks mean, terms."""
    keys = "".join(f"<dt>{escape(key)}</dt><dd>{escape(what)}</dd>" for key, what in page.keys)
    said = "".join(f"<p>{escape(text)}</p>" for text in page.reading.split("\n\n"))
    terms = "".join(
        f"<dt>{escape(term)}</dt><dd>{escape(meaning)} <code>{escape(formula)}</code></dd>"
        for term, meaning, formula in page.terms()
    )
    return (
        '<details class="help"><summary title="?">Help</summary><div>'
        f"<dl>{keys}<dt>?</dt><dd>this help</dd></dl>{said}<dl>{terms}</dl></div></details>"
    )


# -- where there is nothing to show ----------------------------------------------------------


def complete(entries: Sequence[EntryInfo], producer: str) -> list[EntryInfo]:
    """Return the finished products of one kind, the newest last."""
    found = [e for e in entries if e.producer == producer and e.kind == "product"]
    return sorted((e for e in found if e.state == "complete"), key=lambda e: e.created)


def nothing(
    name: str,
    pages: Mapping[str, Page],
    producers: Sequence[str],
    entries: Sequence[EntryInfo],
    store: Store,
) -> str:
    """Say what is missing, which command makes it, and what else can be looked at."""
    about, command = pages[name], f"presage run {name} --preset quick --store {store.root}"
    if not entries:
        said = f"There is nothing in {store.root} yet. This command {about.makes}; "
        return guide_text("The store is empty", [said + "it takes a few minutes:"], [command])
    full = [
        n for n, other in pages.items() if not other.producer or complete(entries, other.producer)
    ]
    links = (f'<a href="?page={escape(n)}">{escape(pages[n].title)}</a>' for n in full)
    elsewhere = f"<p>To be looked at in this store: {', '.join(links)}</p>"
    begun = [entry for entry in entries if entry.producer in producers]
    if begun:
        lines = [
            f"Of study {name} the store holds {_inventory(begun)}. Missing: {about.what}.",
            "The same command goes on where it stopped; what is complete is not made again:",
        ]
        return guide_text("The run is not finished", lines, [command], elsewhere)
    lines = [
        f"The store holds {_count(len(entries), 'dataset')}, none of study {name}.",
        f"This command {about.makes}:",
    ]
    return guide_text(f"No {about.what} here yet", lines, [command], elsewhere)


def failed(name: str, page: Page, store: Store, error: Exception) -> str:
    """Return what is said where a page cannot be made, and what can be looked at instead."""
    try:
        entries = [e for e in store.list() if e.producer == page.producer and e.recipe]
    except OSError:
        entries = []
    links = "".join(
        f'<li><a href="?page={escape(name)}&amp;key={entry.key[:16]}">{escape(entry.key[:16])}</a> '
        f"{escape(entry.created[:16].replace('T', ' '))}</li>"
        for entry in sorted(entries, key=lambda e: e.created, reverse=True)[:20]
    )
    there = f"{page.what.capitalize()} in this store:"
    others = f"<p>{there}</p><ul>{links}</ul>" if links else ""
    said = [f"{type(error).__name__}: {error}"]
    return guide_text("This page cannot be shown", said, [], others)


def _inventory(entries: Sequence[EntryInfo]) -> str:
    """Return what there is so far, in words."""
    samples = [e for e in entries if e.kind == "samples"]
    fits = [e for e in entries if e.producer.startswith("fit")]
    parts = [_count(len(entries) - len(samples) - len(fits), "other entry")]
    if samples:
        total = whole(sum(e.samples for e in samples))
        parts.insert(0, f"{total} samples in {_count(len(samples), 'dataset')}")
    if fits:
        done = sum(e.state == "complete" for e in fits)
        parts.insert(-1, f"{_count(len(fits), 'fit')}, {done} complete")
    return "; ".join(part for part in parts if not part.startswith("0 "))


def _count(number: int, name: str) -> str:
    plural = name[:-1] + "ies" if name.endswith("y") else name + "s"
    return f"{number} {name if number == 1 else plural}"
