"""The lines of ``presage store ls``: chosen, ordered, and told apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from presage.store import EntryInfo

Value = TypeVar("Value")

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


def table(
    entries: Sequence[EntryInfo], tags: Mapping[str, str], known: Iterable[str] | None = None
) -> list[tuple[str, ...]]:
    """Return head and rows of a listing.

    Parameters
    ----------
    entries
        What is listed.
    tags
        Name → key.
    known
        Keys of all that the store holds, where more than `entries`: parents that are none of
        these are named.
    """
    head = ("producer", "key", "kind", "samples", "size", "created", "state", "name", "differs in")
    apart, names = differences(entries), grouped((key, name) for name, key in tags.items())
    keys = {entry.key for entry in entries} if known is None else set(known)
    rows = [
        _row(e, _state(e, keys), ", ".join(names.get(e.key, ())), apart[e.key]) for e in entries
    ]
    return [head, *rows]


def _row(entry: EntryInfo, state: str, names: str, apart: str) -> tuple[str, ...]:
    samples = str(entry.samples) if entry.kind == "samples" else ""
    cells = (
        entry.producer, entry.short, entry.kind, samples, readable(entry.bytes),
        entry.created[:19], state, names, shortened(apart, _WIDEST),
    )  # fmt: skip
    return cells if "".join(cells).isprintable() else tuple(map(_printable, cells))


def _state(entry: EntryInfo, keys: Container[str]) -> str:
    state = "; ".join(entry.wrong) or entry.state
    gone = {parent.key[:16] for parent in entry.parents if parent.key not in keys}
    return state + "".join(f"; made from {key}, which is not in this store" for key in sorted(gone))


def differences(entries: Sequence[EntryInfo]) -> dict[str, str]:
    """Return for each key the settings that are not the same in all entries of its producer.

    Short ones stand first, so that a long list does not push a seed out of the column.
    """
    found = {entry.key: "" for entry in entries}
    for alike in grouped((e.producer, e) for e in entries if e.settings).values():
        names = list(dict.fromkeys(name for entry in alike for name in entry.settings))
        unlike = [n for n in names if len({e.settings.get(n) for e in alike}) > 1]
        unlike.sort(key=lambda n: max(len(e.settings.get(n, "")) for e in alike))
        for entry in alike:
            held = entry.settings
            found[entry.key] = " ".join(
                f"{n}={shortened(held[n], 40)}" for n in unlike if n in held
            )
    return found


def shortened(value: object, most: int = 100) -> str:
    """Return a value as text of at most so many letters."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _printable(text: str) -> str:
    """Return a text as it is, or as JSON where it would control the terminal."""
    return text if text.isprintable() else json.dumps(text)


def grouped(pairs: Iterable[tuple[str, Value]]) -> dict[str, list[Value]]:
    """Return name → values, in their order."""
    found: dict[str, list[Value]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


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
