"""The error of a dataset, a name or a unit that is not what was declared."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LabelError(ValueError):
    """A dataset, a name or a unit is not what was declared."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known name, else all of them.

    Parameters
    ----------
    name
        What was asked for.
    known
        The names there are.
    """
    names = sorted(map(str, known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; there is {', '.join(names)}" if names else "; there is none"
