"""Products that stay open between visits, with what was worked out of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import xarray as xr

from presage.hashes import stamp
from presage.store import Store
from presage.store.listing import PRODUCT


def opened(store: Store, keys: Sequence[str], make: Callable[..., Any], *given: Hashable) -> Any:
    """Return ``make(*products, *given)``, made once while the products' files are the same.

    `make` is a function of a module: what it returned is found again by it and by `given`.
    """
    stamps = []
    for key in keys:
        stamps.append((key, *stamp(store.entry(store.find(key)).folder / PRODUCT)))
    return _made(make, str(store.root), tuple(stamps), given)


def checked(
    product: xr.Dataset, what: str, needed: Mapping[str, Sequence[str] | None],
    empty: Sequence[str] = (),
) -> xr.Dataset:  # fmt: skip
    """Return a product with its dims in order, or say with ValueError what is not as it should be.

    Parameters
    ----------
    product
        To be shown.
    what
        It is one of.
    needed
        Variables that it has, with their dims; None: any.
    empty
        Those that may have no values.
    """
    lacking = [name for name in needed if name not in product.variables]
    if lacking:
        raise ValueError(f"this product is not one of {what}: it lacks {', '.join(lacking)}")
    ordered = {}
    for name, dims in needed.items():
        if dims is None:
            continue
        if set(product[name].dims) != set(dims):
            raise ValueError(f"{name} should have the dims {dims}, got {product[name].dims}")
        if not product[name].size and name not in empty:
            raise ValueError(f"{name} is empty")
        ordered[name] = product[name].transpose(*dims)
    return product.assign(ordered)


@lru_cache(maxsize=8)
def _made(
    make: Callable[..., Any], root: str, stamps: tuple[tuple[Any, ...], ...], given: tuple[Any, ...]
) -> Any:
    store = Store(root)
    return make(*(store.open(key) for key, *_ in stamps), *given)
