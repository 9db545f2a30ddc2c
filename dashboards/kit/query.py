"""The address: what the query says is looked up in what there is; nonsense becomes a message."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from presage.labels import nearest
from presage.store import EntryInfo

_LONGEST = 200
KEY = re.compile(r"[0-9a-f]{6,64}")


def query_of(arguments: Mapping[str, Sequence[bytes]]) -> dict[str, str]:
    """Return the first value of each argument of a request, cut to a sane length."""
    return {
        str(name)[:_LONGEST]: values[0].decode("utf-8", "replace")[:_LONGEST]
        for name, values in arguments.items()
        if values
    }


@dataclass
class Query:
    """What the address asks for, with a message for everything that is not there."""

    given: Mapping[str, str]  # Name → text, of a request.
    messages: list[str] = field(default_factory=list)

    def choose(self, name: str, known: Sequence[str], default: str) -> str:
        """Return the value of `name` if it is known, else the default and a message."""
        asked = self.given.get(name)
        if not asked:
            return default
        if asked in known:
            return asked
        what = f"there is no {name} {asked!r}{nearest(asked, known)}"
        self.messages.append(f"Address: {what}. Shown is {default or 'none'}.")
        return default

    def several(self, name: str, known: Sequence[str], default: Sequence[str]) -> list[str]:
        """Return the comma-separated values of `name` that are known."""
        if name not in self.given:
            return [item for item in default if item in known]
        asked = [item for item in self.given[name].split(",") if item]
        for item in asked:
            if item not in known:
                self.messages.append(f"Address: {name} has no {item!r}{nearest(item, known)}.")
        return [item for item in known if item in asked]

    def key(self, known: Sequence[str]) -> str | None:
        """Return the one key that begins as asked, None when none was asked for or none does."""
        asked = self.given.get("key", "")
        if not asked:
            return None
        begin = [key for key in known if key.startswith(asked)] if KEY.fullmatch(asked) else []
        found = [key for key in known if key == asked] or begin
        if len(found) == 1:
            return found[0]
        why = "is the beginning of several keys" if found else "is the key of nothing here"
        self.messages.append(f"Address: {asked!r} {why}.")
        return None

    def entry(self, name: str, known: Sequence[EntryInfo], what: str) -> EntryInfo | None:
        """Return the entry whose key begins as `name` asks; a message says if none does."""
        asked = self.given.get(name)
        if not asked:
            return None
        key = Query({"key": asked}).key([entry.key for entry in known])
        if key is None:
            self.messages.append(f"Address: {name}={asked!r} is the key of no {what}.")
        return next((entry for entry in known if entry.key == key), None)

    def label(self, table: np.ndarray, names: Sequence[str], default: int) -> int:
        """Return the number of the label ``"2457,5.125"`` in a table ``[label, parameter]``."""
        asked = self.given.get("label")
        if not asked:
            return default
        wanted = _numbers(asked)
        if wanted is None or wanted.shape != table.shape[1:]:
            self.messages.append(
                f"Address: a label is {len(names)} numbers ({', '.join(names)}), got {asked!r}."
            )
            return default
        width = np.where(np.ptp(table, axis=0) > 0, np.ptp(table, axis=0), 1.0)
        distance = np.abs((table - wanted) / width).max(axis=1)
        closest = int(distance.argmin())
        if distance[closest] > 1e-3:
            shown = ", ".join(f"{value:g}" for value in table[closest])
            self.messages.append(f"Address: no label at {asked!r}; shown is the closest, {shown}.")
        return closest


def _numbers(text: str) -> np.ndarray | None:
    try:
        values = np.array([float(part) for part in text.split(",")])
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None
