"""Products that stay open between visits, with what was worked out of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any

from presage.store import Store


def opened(store: Store, keys: Sequence[str], make: Callable[..., Any], *given: Hashable) -> Any:
    """Return ``make(*products, *given)``, made once while the products' files are the same.

    `make` is a function of a module: what it returned is found again by it and by `given`.
    """
    stamps = []
    for key in keys:
        status = (store.root / store.find(key).producer / key[:16] / "product.nc").stat()
        stamps.append((key, status.st_ino, status.st_size, status.st_mtime_ns))
    return _made(make, str(store.root), tuple(stamps), given)


@lru_cache(maxsize=8)
def _made(
    make: Callable[..., Any], root: str, stamps: tuple[tuple[Any, ...], ...], given: tuple[Any, ...]
) -> Any:
    store = Store(root)
    return make(*(store.open(key) for key, *_ in stamps), *given)
