"""Readers of users' files: their chunks, joined to shards and published in order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from presage.generate.samples import SHARD_BYTES, cut
from presage.inputs import LeftOut
from presage.labels import Array, Arrays, LabelError, check_arrays
from presage.labels.caller import warn_caller
from presage.labels.equality import MOST_LABELS
from presage.lineage import LEFT_OUT
from presage.progress import Bar
from presage.recipe import Recipe
from presage.simulator import Reader, Source
from presage.store import Store, StoreError, StoreWarning

_MANY = 1 << 40


def read_all(source: Reader, n: int | None, store: Store, progress: bool) -> xr.Dataset:
    """Publish a reader's chunks in order; what was published before is passed over."""
    recipe = source.recipe()
    if store.finished(recipe) is None:
        warn_if_source_changed(source, recipe, store)
        store.entry(recipe).prepare()
        total, left_out = _read_chunks(source, recipe, store, progress)
        store.finish(recipe, total, left_out)
    else:
        store.left_out(recipe).warn()
    dataset, cut = read_back(source, n, store)
    cut.warn()
    return dataset


def read_back(source: Reader, n: int | None, store: Store) -> tuple[xr.Dataset, LeftOut]:
    """Return the first `n` samples that a reader published, and what is cut off thereby."""
    recipe = source.recipe()
    total = store.finished(recipe)
    if total is None:
        raise StoreError(f"no dataset {recipe.key[:16]}: {source.name} was not read to its end")
    whole = store.open(recipe, 0, total)
    if n is None or n == total:
        return whole, LeftOut()
    if n > total:
        raise LabelError(
            f"{source.name} holds {total} samples, {n} were asked for; leave n out (n_events=0 in "
            "the notebooks) to take all of them"
        )
    dataset = store.open(recipe, 0, n)
    names = [p.name for p in source.parameters if not p.dims]
    some, every = _distinct(dataset, names), _distinct(whole, names)
    lost = f", and {every - some} of {every} labels are left out altogether" if some < every else ""
    said = f"only the first {n} of {total} samples of {source.name} are used, as asked for{lost}"
    before = [whole.attrs[LEFT_OUT]] if LEFT_OUT in whole.attrs else []
    return dataset.assign_attrs({LEFT_OUT: "; ".join([*before, said])}), LeftOut(said=(said,))


def warn_if_source_changed(source: Source, recipe: Recipe, store: Store) -> None:
    """Warn when samples were made by other code that claims the same version."""
    marks = store.entry(recipe).sidecars("shard-*.nc")
    before = {m.provenance.get("source") for m in marks} - {None, ""}
    if before and source.source_hash() not in before:
        warn_caller(
            f"the code of {source.name} changed since its first samples were made, but its "
            f"version is still {source.version}; raise the version if results differ",
            StoreWarning,
        )


def _distinct(dataset: xr.Dataset, names: list[str]) -> int:
    """Count distinct labels; 0 where there are none, or so many that they are no labels."""
    if not names:
        return 0
    table = np.stack([dataset[name].values for name in names], axis=1)
    changes = np.flatnonzero((table[1:] != table[:-1]).any(axis=1)) + 1  # files hold one each
    runs = table[np.concatenate(([0], changes))]
    return len(np.unique(runs, axis=0)) if len(runs) <= MOST_LABELS else 0


def _read_chunks(
    source: Reader, recipe: Recipe, store: Store, progress: bool
) -> tuple[int, LeftOut]:
    position = 0
    left_out: list[LeftOut] = []
    missing = store.missing(recipe, _MANY)
    with Bar(desc=source.name, unit_scale=True, disable=not progress) as bar:
        for arrays in _gather(_noting(source, left_out)):
            count = source.schema.samples_in(arrays)
            checked = check_arrays(arrays, source.schema, count, source.name)
            for first, last in missing:
                low, high = max(first, position), min(last, position + count)
                if low < high:
                    piece = cut(checked, source.schema, low - position, high - position)
                    provenance = {"source": source.source_hash()}
                    store.add(recipe, source.schema, piece, low, provenance)
            position += count
            bar.update(count)
    if position == 0:
        raise LabelError(f"{source.name} found no samples; loosen the cut or check the files")
    return position, (left_out or [LeftOut()])[0]


def _noting(source: Reader, left_out: list[LeftOut]) -> Iterator[Arrays]:
    """Yield a reader's chunks, and note what it returns at the end."""
    told: object = yield from source.chunks()  # type: ignore[func-returns-value]
    if isinstance(told, LeftOut):
        left_out.append(told)


def _gather(chunks: Iterator[Arrays]) -> Iterator[dict[str, Array]]:
    """Join small chunks to shards of about `SHARD_BYTES`."""
    held: list[Arrays] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += sum(np.asarray(a).nbytes for a in chunk.values())
        if size >= SHARD_BYTES:
            yield {name: np.concatenate([c[name] for c in held]) for name in held[0]}
            held, size = [], 0
    if held:
        yield {name: np.concatenate([c[name] for c in held]) for name in held[0]}
