"""Readers of users' files: their chunks, joined to shards and published in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import xarray as xr
from tqdm import tqdm

from presage.generate.samples import SHARD_BYTES, cut, length
from presage.generate.versions import warn_if_source_changed
from presage.labels import Array, Arrays, LabelError, check_arrays
from presage.recipe import Recipe
from presage.simulator import Reader
from presage.store import Store

_MANY = 1 << 40


def read_all(source: Reader, n: int | None, store: Store, progress: bool) -> xr.Dataset:
    """Publish a reader's chunks in order; what was published before is passed over."""
    recipe = source.recipe()
    total = store.finished(recipe)
    if total is None:
        warn_if_source_changed(source, recipe, store)
        store.entry(recipe).prepare()
        total = _read_chunks(source, recipe, store, progress)
        store.finish(recipe, total)
    if total == 0:
        raise LabelError(f"{source.name} found no samples; loosen the cut or check the files")
    if n is not None and n > total:
        raise LabelError(f"{source.name} holds {total} samples, {n} were asked for")
    return store.open(recipe, 0, total if n is None else n)


def _read_chunks(source: Reader, recipe: Recipe, store: Store, progress: bool) -> int:
    position = 0
    there = _covered(store.missing(recipe, _MANY))
    with tqdm(desc=source.name, unit_scale=True, delay=2.0, disable=not progress) as bar:
        for arrays in _gather(source):
            count = length(arrays, source.schema)
            checked = check_arrays(arrays, source.schema, count, source.name)
            for low, high in there(position, position + count):
                piece = cut(checked, source.schema, low - position, high - position)
                provenance = {"source": source.source_hash()}
                store.add(recipe, source.schema, piece, low, provenance)
            position += count
            bar.update(count)
    return position


def _covered(missing: list[tuple[int, int]]) -> Callable[[int, int], list[tuple[int, int]]]:
    """Return a function that gives the parts of a range which are still missing."""

    def parts(start: int, stop: int) -> list[tuple[int, int]]:
        cuts = [(max(start, low), min(stop, high)) for low, high in missing]
        return [(low, high) for low, high in cuts if low < high]

    return parts


def _gather(source: Reader) -> Iterator[dict[str, Array]]:
    """Join small chunks to shards of about `SHARD_BYTES`."""
    held: list[Arrays] = []
    size = 0
    for chunk in source.chunks():
        held.append(chunk)
        size += sum(np.asarray(a).nbytes for a in chunk.values())
        if size >= SHARD_BYTES:
            yield {name: np.concatenate([c[name] for c in held]) for name in held[0]}
            held, size = [], 0
    if held:
        yield {name: np.concatenate([c[name] for c in held]) for name in held[0]}
