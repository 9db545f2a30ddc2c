"""The page of study `events`: residuals over the label grid, flipped in the browser.

Python runs once per visit: it reads the product, makes empty figures and hands all counts
to the kernel (``parts/kernel.js``), which draws every label from then on.
"""

from __future__ import annotations

from typing import Any

from bokeh.models import Div

from presage.store import EntryInfo, Store

from .parts.board import board
from .parts.exhibit import Exhibit
from .parts.foot import foot
from .parts.theme import guide
from .parts.view import Query

PRODUCER = "residuals"
RUN = "presage run events --preset quick"


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
    products = [e for e in entries if e.producer == PRODUCER and e.kind == "product"]
    products = sorted((e for e in products if e.state == "complete"), key=lambda e: e.created)
    if not products:
        query.given = {}
        return [_nothing(entries, store)]
    known = [entry.key for entry in products]
    key = query.key(known) or known[-1]
    exhibit = Exhibit.of(store, key, entries, products, query)
    if not exhibit.payload.drawn or not exhibit.payload.columns:
        return [guide("These residuals hold no generated events", [f"Key {key[:16]}."], [RUN])]
    state = exhibit.initial_state(query)
    return [board(exhibit, state), foot(exhibit.entry, entries)]


def _nothing(entries: list[EntryInfo], store: Store) -> Div:
    """Say what is missing, and which command makes it."""
    command = f"{RUN} --store {store.root}"
    if not entries:
        about = (
            f"There is nothing in {store.root} yet. This command simulates a grid of events, "
            "trains a flow on it and compares the two; it takes a few minutes:"
        )
        return guide("The store is empty", [about], [command])
    missing = "the residuals" if _fits(entries) else "a trained flow and its residuals"
    about = "The same command goes on where it stopped; what is complete is not made again:"
    lines = [f"The store holds {_inventory(entries)}. Missing: {missing}.", about]
    return guide("The run is not finished", lines, [command])


def _fits(entries: list[EntryInfo]) -> list[EntryInfo]:
    return [e for e in entries if e.producer.startswith("fit")]


def _inventory(entries: list[EntryInfo]) -> str:
    """Return what there is so far, in words."""
    parts = []
    samples, fits = [e for e in entries if e.kind == "samples"], _fits(entries)
    if samples:
        total = f"{sum(e.samples for e in samples):,}".replace(",", "\u202f")
        parts.append(f"{total} samples in {len(samples)} dataset{'s' * (len(samples) > 1)}")
    if fits:
        done = sum(e.state == "complete" for e in fits)
        parts.append(f"{len(fits)} fit{'s' * (len(fits) > 1)}, {done} complete")
    return "; ".join(parts) or f"{len(entries)} other entries"
