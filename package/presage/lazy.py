"""Public names that are imported at their first use, as the package's stub lists them.

``__init__.pyi`` beside a package's ``__init__.py`` is the one table: type checkers and editors
read it, and so does lazy-loader, which imports a name when somebody asks for it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

import lazy_loader

_Lazy = tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]


def attach(package: str, file: str, more: Sequence[str] = ()) -> _Lazy:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package with a stub.

    Parameters
    ----------
    package, file
        Its ``__name__`` and ``__file__``.
    more
        Public names that the package itself defines.
    """
    load, _, found = lazy_loader.attach_stub(package, file)
    names = sorted({*found, *more})

    def get(name: str) -> Any:
        if name in found:
            return load(name)
        if name.startswith("__"):  # asked for by the interpreter and by tools, not by a user
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"there is {', '.join(names)}"
        raise AttributeError(f"{package} has no {name!r}; {hint}")

    return get, lambda: list(names), names
