"""A simulator's code and its version: one should not change without the other."""

from __future__ import annotations

import warnings

from presage.recipe import Recipe
from presage.simulator import Source
from presage.store import Store, StoreWarning


def warn_if_source_changed(source: Source, recipe: Recipe, store: Store) -> None:
    """Warn when samples were made by other code that claims the same version."""
    marks = store.entry(recipe).sidecars("shard-*.nc")
    before = {m.provenance.get("source") for m in marks} - {None, ""}
    if before and source.source_hash() not in before:
        warnings.warn(
            f"the code of {source.name} changed since its first samples were made, but its "
            f"version is still {source.version}; raise the version if results differ",
            StoreWarning,
            stacklevel=4,
        )
