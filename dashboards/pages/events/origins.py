"""Where the sources of a product come from: the flows behind them, and products beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import xarray as xr

from presage.recipe import Parent
from presage.store import EntryInfo, Store

#: Inputs of a residuals product that no model made.
_GIVEN = ("reference", "train", "floor")

Ranges = dict[str, tuple[float, float]]


def inputs_of(entry: EntryInfo) -> dict[str, Parent]:
    """Return what went into a residuals product, by name; nothing where it does not say."""
    fields = entry.recipe.fields if entry.recipe is not None else {}
    names = fields.get("inputs", ())
    if not isinstance(names, Sequence) or len(names) != len(entry.parents):
        return {}
    return dict(zip(map(str, names), entry.parents, strict=True))


def models_of(entry: EntryInfo) -> list[str]:
    """Return the names of a product's models."""
    return [name for name in inputs_of(entry) if name not in _GIVEN]


def flows_of(entry: EntryInfo, entries: Sequence[EntryInfo]) -> dict[str, EntryInfo]:
    """Return the finished fit behind each source that was drawn from one."""
    by_key = {other.key: other for other in entries}
    found = {}
    for name, parent in inputs_of(entry).items():
        drawn = by_key.get(parent.key)
        fits = [by_key[p.key] for p in drawn.parents if p.key in by_key] if drawn else []
        fits = [fit for fit in fits if fit.producer.startswith("fit-") and fit.state == "complete"]
        if name not in _GIVEN and len(fits) == 1:
            found[name] = fits[0]
    return found


def beside(entry: EntryInfo, products: Sequence[EntryInfo]) -> list[EntryInfo]:
    """Return the other products with the same labels and edges: of the same reference and bins."""
    ours = _measured_on(entry)
    return [e for e in products if e.key != entry.key and ours and _measured_on(e) == ours]


def _measured_on(entry: EntryInfo) -> tuple[object, ...]:
    reference = inputs_of(entry).get("reference")
    if reference is None or entry.recipe is None:
        return ()
    return (reference, entry.recipe.version, entry.recipe.fields.get("bins"))


def join(
    product: xr.Dataset,
    other: xr.Dataset,
    models: Sequence[str],
    tag: str,
    own: Sequence[str] = (),
) -> xr.Dataset:
    """Add models of another product as further sources, ``"flow · tag"``, behind the `own` ones.

    ValueError says that labels, variables or edges differ.
    """
    try:
        xr.testing.assert_equal(product["edges"].drop_attrs(), other["edges"].drop_attrs())
    except AssertionError as error:
        raise ValueError("its labels, variables or bin edges are others") from error
    taken = other.sel(source=list(models))
    taken = taken.assign_coords(source=[f"{model} · {tag}" for model in models])
    shared = [str(n) for n, a in product.data_vars.items() if "source" in a.dims and n in taken]
    names = list(map(str, product["source"].values))
    last = max([names.index(name) for name in own if name in names], default=len(names) - 1)
    order = [*names[: last + 1], *map(str, taken["source"].values), *names[last + 1 :]]
    joined = xr.concat([product[shared], taken[shared]], dim="source", coords="minimal",
                       compat="override", join="override")  # fmt: skip
    return joined.sel(source=order).assign(edges=product["edges"]).assign_attrs(product.attrs)


def trained_range(store: Store, fit: EntryInfo) -> Ranges:
    """Return the range of the training labels, parameter → (low, high); {} if it cannot be read."""
    path = store.file(fit.recipe, "declaration.json") if fit.recipe is not None else None
    try:
        declared = json.loads(path.read_text(encoding="utf-8")) if path is not None else {}
        ranges: Mapping[str, Sequence[float]] = declared.get("trained_range", {})
        return {str(name): (float(low), float(high)) for name, (low, high) in ranges.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
