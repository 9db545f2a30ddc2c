"""The page of a study: one product in figures, flipped in the browser.

Python runs once per visit: it reads the product, makes empty figures and hands everything to the
kernel (scripts in ``parts/``), which draws every label or observation from then on.
"""

from __future__ import annotations

from html import escape
from typing import Any

from presage.store import EntryInfo, Store
from presage.studies import study

from .parts import board, exhibit, pdf_board, pdf_exhibit
from .parts.foot import foot
from .parts.frame import PAGES
from .parts.theme import guide_text, html
from .parts.view import Query

_MAKERS: dict[str, tuple[Any, Any]] = {
    "events": (exhibit.Exhibit.of, board.board),
    "pdf": (pdf_exhibit.Exhibit.of, pdf_board.board),
}


def page(name: str, store: Store, query: Query) -> list[Any]:
    """Return what stands on a page."""
    entries = store.list()
    products = complete(entries, PAGES[name].producer)
    if not products:
        query.given = {}
        return [html(_nothing(name, entries, store))]
    known = [entry.key for entry in products]
    opened, drawn = _MAKERS[name]
    shown = opened(store, query.key(known) or known[-1], entries, products, query)
    return [drawn(shown, shown.initial_state(query)), foot(shown.entry, entries)]


def complete(entries: list[EntryInfo], producer: str) -> list[EntryInfo]:
    """Return the finished products of one kind, the newest last."""
    found = [e for e in entries if e.producer == producer and e.kind == "product"]
    return sorted((e for e in found if e.state == "complete"), key=lambda e: e.created)


def _nothing(name: str, entries: list[EntryInfo], store: Store) -> str:
    """Say what is missing, which command makes it, and what else can be looked at."""
    about, command = PAGES[name], f"presage run {name} --preset quick --store {store.root}"
    if not entries:
        said = f"There is nothing in {store.root} yet. This command {about.makes}; "
        return guide_text("The store is empty", [said + "it takes a few minutes:"], [command])
    begun = [entry for entry in entries if entry.producer in study(name).producers]
    if begun:
        lines = [
            f"Of study {name} the store holds {_inventory(begun)}. Missing: {about.what}.",
            "The same command goes on where it stopped; what is complete is not made again:",
        ]
        return guide_text("The run is not finished", lines, [command], _elsewhere(entries))
    lines = [
        f"The store holds {_count(len(entries), 'dataset')}, none of study {name}.",
        f"This command {about.makes}:",
    ]
    return guide_text(f"No {about.what} here yet", lines, [command], _elsewhere(entries))


def _elsewhere(entries: list[EntryInfo]) -> str:
    """Return links to the pages that have something to show."""
    full = [
        n for n, other in PAGES.items() if not other.producer or complete(entries, other.producer)
    ]
    links = (f'<a href="?page={n}">{escape(PAGES[n].title)}</a>' for n in full)
    return f"<p>To be looked at in this store: {', '.join(links)}</p>"


def _inventory(entries: list[EntryInfo]) -> str:
    """Return what there is so far, in words."""
    samples = [e for e in entries if e.kind == "samples"]
    fits = [e for e in entries if e.producer.startswith("fit")]
    parts = [_count(len(entries) - len(samples) - len(fits), "other entry")]
    if samples:
        total = f"{sum(e.samples for e in samples):,}".replace(",", "\u202f")
        parts.insert(0, f"{total} samples in {_count(len(samples), 'dataset')}")
    if fits:
        done = sum(e.state == "complete" for e in fits)
        parts.insert(-1, f"{_count(len(fits), 'fit')}, {done} complete")
    return "; ".join(part for part in parts if not part.startswith("0 "))


def _count(number: int, name: str) -> str:
    plural = name[:-1] + "ies" if name.endswith("y") else name + "s"
    return f"{number} {name if number == 1 else plural}"
