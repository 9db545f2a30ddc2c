"""Whether an entry is whole, as far as is known, and what lies in its folder beside its files."""

from __future__ import annotations

import time
from calendar import timegm
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from presage.store import EntryInfo, Store, StoreError
from presage.store.checked import recall
from presage.store.entry import Entry
from presage.store.sidecar import read_sidecar, sidecar_path

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


def folder_of(store: Store, entry: EntryInfo) -> Path:
    """Return an entry's folder, from what the listing says."""
    return store.root / entry.producer / entry.key[:16]


def standing_of(store: Store, entry: EntryInfo) -> Standing:
    """Return whether an entry is whole; sizes are looked at now, hashes are remembered."""
    if entry.recipe is None or entry.state not in ("complete", "unfinished"):
        return _of_state(entry.state)
    folder = folder_of(store, entry)
    try:
        paths = Entry(folder, entry.recipe).finished()
        wrong = tuple(filter(None, (_wrong_size(path) for path in paths)))
    except (StoreError, OSError) as error:
        return _of_state(str(error))
    if wrong:
        return Standing("damaged", "damaged", wrong)
    if entry.state == "unfinished":
        return Standing("unfinished", "unfinished", ("work in progress, or interrupted",))
    last = recall(folder)
    if last is None:
        return Standing("unchecked", "sizes fit", ("hashes were never checked as a whole",))
    when = ago(last.when)
    if not last.unchanged(paths):
        return Standing("changed", "changed", (f"files are others than at the check {when}",))
    if last.problems:
        return Standing("damaged", "damaged", (*last.problems, f"found {when}"))
    return Standing("checked", f"checked {when}", (f"sizes and all hashes, {last.when} UTC",))


def _of_state(state: str) -> Standing:
    if state.startswith("gaps"):
        return Standing("gaps", "gaps", (state,))
    if state == "unfinished":
        return Standing("unfinished", "unfinished", ("nothing was finished here",))
    newer = "update presage" in state
    return Standing("newer" if newer else "damaged", "newer" if newer else "damaged", (state,))


def _wrong_size(path: Path) -> str:
    published = read_sidecar(sidecar_path(path)).size
    if not path.exists():
        return f"{path.name} is missing"
    size = path.stat().st_size
    return "" if size == published else f"{path.name} has {size} bytes, {published} were published"


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
