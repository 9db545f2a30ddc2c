"""Where a product comes from, in one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from presage.store import EntryInfo


def link(key: str, text: str) -> str:
    """Return a link to an entry's place on the store page."""
    return f'<a href="?page=store&key={escape(key[:16])}">{escape(text)}</a>'


def ancestors(entry: EntryInfo, entries: Iterable[EntryInfo]) -> list[EntryInfo]:
    """Return the entries that went into one, the nearest first, each once."""
    by_key = {other.key: other for other in entries}
    found: dict[str, EntryInfo] = {}
    queue = [parent.key for parent in entry.parents]
    while queue:
        key = queue.pop(0)
        if key in by_key and key not in found:
            found[key] = by_key[key]
            queue += [parent.key for parent in by_key[key].parents]
    return list(found.values())


def provenance_line(entry: EntryInfo, entries: Sequence[EntryInfo]) -> str:
    """Return producer, key, seeds and ancestors as one line of HTML."""
    parts = [f"{escape(entry.producer)} {link(entry.key, entry.key[:8])}"]
    for other in ancestors(entry, entries):
        about = f"{escape(other.producer)} {link(other.key, other.key[:8])}"
        if other.samples:
            about += f" ({other.samples:,} samples)".replace(",", "\u202f")
        if other.recipe is not None:
            about += f" seed {other.recipe.seed}"
        parts.append(about)
    made = entry.created[:16].replace("T", " ")
    if made:
        parts.append(f"made {escape(made)} UTC")
    return f'<div class="provenance">{" &nbsp;·&nbsp; ".join(parts)}</div>'
