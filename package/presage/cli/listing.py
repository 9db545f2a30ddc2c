"""The lines of ``presage store ls``: chosen, ordered, and told apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from presage.recipe import Recipe
    from presage.store import EntryInfo

_WIDEST = 70  # letters of the last column


Order = Literal["size", "time", "name"]
_ORDERS: Mapping[Order | None, tuple[Callable[[EntryInfo], Any], bool]] = {
    None: (lambda entry: (entry.producer, entry.created), False),
    "size": (lambda entry: entry.bytes, True),
    "time": (lambda entry: entry.created, True),
    "name": (lambda entry: (entry.producer, entry.key), False),
}


def in_order(entries: Iterable[EntryInfo], order: Order | None) -> list[EntryInfo]:
    """Return entries by name, the largest or the newest first, or each producer's by age."""
    key, last_first = _ORDERS[order]
    return sorted(entries, key=key, reverse=last_first)


def table(entries: Sequence[EntryInfo], tags: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Return head and rows of a listing; `tags` are name → key."""
    head = ("producer", "key", "kind", "samples", "size", "created", "state", "name", "differs in")
    apart = differences(entries)
    rows = [_row(entry, tags, apart[entry.key]) for entry in entries]
    return [head, *rows]


def _row(entry: EntryInfo, tags: Mapping[str, str], apart: str) -> tuple[str, ...]:
    samples = str(entry.samples) if entry.kind == "samples" else ""
    names = ", ".join(name for name, key in tags.items() if key == entry.key)
    return (
        entry.producer, entry.key[:16], entry.kind, samples, readable(entry.bytes),
        entry.created[:19], entry.state, names, shortened(apart, _WIDEST),
    )  # fmt: skip


def differences(entries: Sequence[EntryInfo]) -> dict[str, str]:
    """Return for each key the settings that are not the same in all entries of its producer.

    Short ones stand first, so that a long list does not push a seed out of the column.
    """
    found = {entry.key: "" for entry in entries}
    for producer in {entry.producer for entry in entries}:
        settings = {
            e.key: _settings(e.recipe)
            for e in entries
            if e.producer == producer and e.recipe is not None
        }
        names = list(dict.fromkeys(name for held in settings.values() for name in held))
        unlike = [n for n in names if len({held.get(n) for held in settings.values()}) > 1]
        unlike.sort(key=lambda n: max(len(held.get(n, "")) for held in settings.values()))
        for key, held in settings.items():
            found[key] = " ".join(f"{n}={shortened(held[n], 40)}" for n in unlike if n in held)
    return found


def _settings(recipe: Recipe) -> dict[str, str]:
    """Return everything that a recipe depends on as name → text, parts by their own names."""
    flat: dict[str, str] = {}

    def note(name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for inner, part in value.items():
                # What a part is called stands for it: optimizer=adam, not name=adam.
                note(name if name and inner == "name" else str(inner), part)
        else:
            # The whole text: lists of labels often differ only behind their beginning.
            flat[name if name not in flat else f"{name}'"] = _text(value)

    note("", recipe.fields)
    parents = [f"{p.key[:6]}[{p.start}:{p.stop}]" if p.stop else p.key[:6] for p in recipe.parents]
    return {**flat, "seed": str(recipe.seed), "version": str(recipe.version),
            "from": ",".join(parents)}  # fmt: skip


def shortened(value: object, most: int = 100) -> str:
    """Return a value as text of at most so many letters."""
    text = _text(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def readable(size: float) -> str:
    """Return a number of bytes in words; a kB is 1000 bytes.

    Examples
    --------
    >>> readable(1536)
    '1.5 kB'
    >>> readable(1_048_576)
    '1.0 MB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
