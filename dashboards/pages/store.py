"""The page of the store."""

from __future__ import annotations

from typing import Any

from presage.store import Store

from .parts.theme import html
from .parts.view import Query


def page(store: Store, query: Query) -> list[Any]:
    """Return what stands on the page."""
    return [html(f"{len(store.list())} entries")]
