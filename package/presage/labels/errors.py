"""The error of a dataset, a name or a unit that is not what was declared."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence


class LabelError(ValueError):
    """A dataset, a name or a unit is not what was declared."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known name, else all of them."""
    names = sorted(map(str, known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; there is {', '.join(names)}" if names else "; there is none"


def check_name(
    what: str, given: str, known: Collection[str], error: type[Exception] = LabelError
) -> None:
    """Refuse a name that there is not; the nearest one is suggested."""
    if given not in known:
        raise error(f"no {what} {given!r}{nearest(str(given), known)}")


def check_choices(settings: object, error: type[Exception], **choices: Collection[str]) -> None:
    """Refuse attributes of `settings` that are none of their choices; the nearest is suggested."""
    for name, known in choices.items():
        given = getattr(settings, name)
        if given not in known:
            raise error(f"{name}={given!r} is not known{nearest(str(given), known)}")


def few(texts: Sequence[str], most: int = 3, separator: str = "; ") -> str:
    """Return the first few texts, and how many more there are."""
    more = len(texts) - most
    return separator.join(texts[:most]) + (f" and {more} more" if more > 0 else "")
