"""The page of the store: what there is, what it was made from, and whether it is sound.

Plain HTML without a session: everything it needs is asked for when it is needed, and a page
that was left open says so when the store is another by now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from dashboards.kit.page import Page
from dashboards.kit.query import Query
from dashboards.kit.theme import guide_text, size_text, text_of, whole
from dashboards.pages import pages as all_pages
from presage.store import EntryInfo, Store

from .details import details
from .lineage import lineage
from .standing import KINDS, Standing, standing_of

_FOLDER = Path(__file__).parent
STYLES = (text_of("piece.css"), text_of("store.css", _FOLDER))
SCRIPTS = (text_of("store.js", _FOLDER),)
#: Most lines of the list; the others are found by searching and sorting.
MOST = 500
_Told = tuple[EntryInfo, Standing]
#: Column → what it is sorted by; the newest and the largest first.
_ORDERS: dict[str, tuple[Callable[[_Told], Any], bool]] = {
    "producer": (lambda e: (e[0].producer, e[0].created), False),
    "key": (lambda e: e[0].key, False),
    "kind": (lambda e: (e[0].kind, e[0].producer), False),
    "samples": (lambda e: e[0].samples, True),
    "size": (lambda e: e[0].bytes, True),
    "created": (lambda e: e[0].created, True),
    "state": (lambda e: (KINDS.index(e[1].kind), e[0].producer), False),
}


def page(store: Store, query: Query, pages: Mapping[str, Page] | None = None) -> str:
    """Return the HTML of the page; `pages` are those that show products."""
    entries = store.list()
    if not entries:
        command = f"presage run events --preset quick --store {store.root}"
        about = f"There is nothing in {store.root} yet."
        return guide_text("The store is empty", [about], [command])
    standings = {entry.key: standing_of(entry) for entry in entries}
    sort = query.choose("sort", list(_ORDERS), "created")
    value, last_first = _ORDERS[sort]
    told = sorted(((e, standings[e.key]) for e in entries), key=value, reverse=last_first)
    key = query.key([e.key for e in entries]) or told[0][0].key
    entry = next(e for e in entries if e.key == key)
    search = query.given.get("q", "")
    shown = details(store, entry, standings[key], all_pages() if pages is None else pages)
    return (
        f'<div class="tools"><input id="search" type="search" value="{escape(search)}" '
        'placeholder="Search names, keys, settings" aria-label="Search" autocomplete="off">'
        f'<span id="summary">{_summary(told)}</span>'
        '<button type="button" data-check="">Check all</button></div>'
        '<p id="all" class="progress" role="status" aria-live="polite"></p>'
        f'<div id="graph">{lineage(key, entries, standings)}</div>'
        f'<div class="columns"><div id="list">{_table(told, key, sort, search)}</div>'
        f'<section id="details" aria-label="entry">{shown}'
        "</section></div>"
    )


def _summary(told: Sequence[_Told]) -> str:
    """Return how much there is, and what needs a look."""
    entries = [entry for entry, _ in told]
    parts = [f"{len(entries)} dataset{'s' * (len(entries) > 1)}"]
    parts.append(size_text(sum(entry.bytes for entry in entries)))
    counts = Counter(standing.kind for _, standing in told)
    names = {"newer": "from a newer presage", "gaps": "with gaps", "unchecked": "never checked"}
    parts += [f"{counts[kind]} {names.get(kind, kind)}" for kind in KINDS if counts[kind]]
    files, size = (sum(numbers) for numbers in zip(*(e.aside for e in entries), strict=True))
    if files:
        parts.append(f"{files} file{'s' * (files > 1)} in quarantine ({size_text(size)})")
    return escape(" · ".join(parts))


def _table(told: Sequence[_Told], key: str, sort: str, search: str) -> str:
    """Return the list as HTML; of a long one what is searched for, and of that the beginning."""
    words = search.lower().split()
    found = told if len(told) <= MOST or not words else [
        (entry, standing)
        for entry, standing in told
        if all(word in _text(entry, standing) for word in words)
    ]  # fmt: skip
    heads = "".join(_heading(title, key, sort) for title in _ORDERS)
    rows = "".join(_line(entry, standing, key, sort) for entry, standing in found[:MOST])
    more = ""
    if len(told) > MOST:
        shown = f"the first {MOST} of " if len(found) > MOST else ""
        more = f'<p class="muted" id="part">{shown}{len(found)} found: search, or sort.</p>'
    return (
        f'{more}<table class="entries"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    )


def _text(entry: EntryInfo, standing: Standing) -> str:
    """Return what is searched in."""
    settings = " ".join(f"{name} {value}" for name, value in entry.settings.items())
    text = f"{entry.producer} {entry.key} {entry.kind} {standing.text} {settings}"
    return " ".join(text.lower().split())[:4000]


def _address(key: str, sort: str) -> str:
    given: Mapping[str, str] = {"page": "store", "sort": sort, "key": key}
    return escape("?" + urlencode(given))


def _heading(title: str, key: str, sort: str) -> str:
    arrow, order = ("", "none")
    if title == sort:
        down = _ORDERS[title][1]
        arrow, order = (" ↓", "descending") if down else (" ↑", "ascending")
    link = f'<a href="{_address(key, title)}">{title}{arrow}</a>'
    return f'<th scope="col" aria-sort="{order}">{link}</th>'


def _line(entry: EntryInfo, standing: Standing, key: str, sort: str) -> str:
    go = _address(entry.short, sort)
    why = escape("; ".join(standing.more))
    cells = [
        f'<a href="{go}">{escape(entry.producer)}</a>',
        f"<code>{escape(entry.key[:8])}</code>",
        escape(entry.kind),
        whole(entry.samples or ""),
        size_text(entry.bytes),
        escape(entry.created[:16].replace("T", " ")),
        f'<span class="state {standing.kind}" title="{why}">{escape(standing.text)}</span>',
    ]
    here = ' class="chosen" aria-current="true"' if entry.key == key else ""
    return (
        f'<tr{here} data-text="{escape(_text(entry, standing))}">'
        + "".join(f"<td>{c}</td>" for c in cells)
        + "</tr>"
    )
