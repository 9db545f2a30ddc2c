"""Whether an entry is whole, as far as is known, and what lies in its folder beside its files."""

from __future__ import annotations

import time
from calendar import timegm
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from presage.store import EntryInfo

#: Kind → how it is sorted: what needs a look first.
KINDS = ("damaged", "newer", "gaps", "unfinished", "changed", "unchecked", "checked")


@dataclass(frozen=True)
class Standing:
    """What is known of an entry."""

    kind: str  # One of `KINDS`.
    text: str  # In a few words.
    more: tuple[str, ...] = ()  # In full, one line for each thing that is wrong.


@dataclass(frozen=True)
class Leftovers:
    """Files that no dataset consists of: name and bytes of each."""

    quarantined: tuple[tuple[str, int], ...] = ()
    working: tuple[tuple[str, int], ...] = ()
    partial: tuple[tuple[str, int], ...] = ()


def standing_of(entry: EntryInfo) -> Standing:
    """Return whether an entry is whole, as far as is known without hashing its files."""
    if not entry.recipe_json or entry.state not in ("complete", "unfinished"):
        return _of_state(entry.state)
    if entry.wrong:
        return Standing("damaged", "damaged", entry.wrong)
    if entry.state == "unfinished":
        return Standing("unfinished", "unfinished", ("work in progress, or interrupted",))
    if not entry.checked:
        return Standing("unchecked", "sizes fit", ("hashes were never checked as a whole",))
    when = ago(entry.checked)
    if entry.changed:
        return Standing("changed", "changed", (f"files are others than at the check {when}",))
    if entry.problems:
        return Standing("damaged", "damaged", (*entry.problems, f"found {when}"))
    return Standing("checked", f"checked {when}", (f"sizes and all hashes, {entry.checked} UTC",))


def _of_state(state: str) -> Standing:
    if state.startswith("gaps"):
        return Standing("gaps", "gaps", (state,))
    if state == "unfinished":
        return Standing("unfinished", "unfinished", ("nothing was finished here",))
    newer = "update presage" in state
    return Standing("newer" if newer else "damaged", "newer" if newer else "damaged", (state,))


def leftovers(folder: Path) -> Leftovers:
    """Return what lies in an entry's folder beside its files."""
    try:
        partial = [*folder.glob(".*.tmp"), *folder.glob(".*.lock")]
        return Leftovers(
            _sizes(folder.glob("quarantine/*")), _sizes(folder.glob("work/*")), _sizes(partial)
        )
    except OSError:
        return Leftovers()


def _sizes(paths: Iterable[Path]) -> tuple[tuple[str, int], ...]:
    found = []
    for path in paths:
        try:
            found.append((path.name, path.stat().st_size))
        except OSError:
            continue
    return tuple(sorted(found))


def ago(when: str) -> str:
    """Return how long ago a time was, ``"3 min ago"``; as it is if it is none."""
    try:
        passed = time.time() - timegm(time.strptime(when, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        return when
    for unit, seconds in (("d", 86400), ("h", 3600), ("min", 60)):
        if passed >= seconds:
            return f"{passed / seconds:.0f} {unit} ago"
    return "just now"
