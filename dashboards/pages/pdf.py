"""The page of study `pdf`: posteriors of observations beside the exact ones, and calibrations.

Python runs once per visit: it reads the products, makes empty figures and hands everything
to the kernel (``parts/pdf_kernel.js``), which draws every observation and size from then on.
"""

from __future__ import annotations

from typing import Any

from bokeh.models import Div

from presage.store import EntryInfo, Store

from .parts.foot import foot
from .parts.pdf_board import board
from .parts.pdf_exhibit import CALIBRATION, POSTERIORS, Exhibit
from .parts.theme import guide
from .parts.view import Query

PRODUCER = POSTERIORS
RUN = "presage run pdf --preset quick"


def page(store: Store, query: Query) -> list[Any]:
    """Return what stands on the page.

    Parameters
    ----------
    store
        Where products are.
    query
        What the address asks for; messages are added to it.
    """
    entries = store.list()
    products = _complete(entries, POSTERIORS)
    if not products:
        query.given = {}
        return [_nothing(entries, store)]
    known = [entry.key for entry in products]
    key = query.key(known) or known[-1]
    exhibit = Exhibit.of(store, key, products, _complete(entries, CALIBRATION), query)
    state = exhibit.initial_state(query)
    return [board(exhibit, state), foot(exhibit.entry, entries)]


def _complete(entries: list[EntryInfo], producer: str) -> list[EntryInfo]:
    """Return the finished products of one kind, the newest last."""
    found = [e for e in entries if e.producer == producer and e.kind == "product"]
    return sorted((e for e in found if e.state == "complete"), key=lambda e: e.created)


def _nothing(entries: list[EntryInfo], store: Store) -> Div:
    """Say what is missing, and which command makes it."""
    command = f"{RUN} --store {store.root}"
    if not entries:
        about = (
            f"There is nothing in {store.root} yet. This command simulates sets of events, "
            "trains a network on them and compares its posteriors with the exact ones; it takes "
            "a few minutes:"
        )
        return guide("The store is empty", [about], [command])
    fits = [e for e in entries if e.producer.startswith("fit")]
    done = sum(e.state == "complete" for e in fits)
    held = f"{len(entries)} dataset{'s' * (len(entries) > 1)}"
    held += f", {len(fits)} of them fits ({done} complete)" if fits else ""
    lines = [
        f"The store holds {held}, but no posteriors of this study yet.",
        "This command makes them; what is complete already is not made again:",
    ]
    return guide("No posteriors yet", lines, [command])
