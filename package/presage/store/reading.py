"""Reading samples: shards found, cut to a range, and labelled without loading them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import xarray as xr

from presage.lineage import SAMPLE, with_starts
from presage.recipe import Recipe
from presage.store.entry import Entry, entry_of
from presage.store.files import StoreError
from presage.store.lazy import Address, Rows, StoredArray, cut_samples, labelled
from presage.store.netcdf import map_shard, read_header
from presage.store.sidecar import Sidecar
from presage.store.spans import chain, gaps, reach, shown
from presage.store.verified import Stamp, known


def covering(entry: Entry, start: int, stop: int | None) -> tuple[list[Sidecar], int]:
    """Return the sound shards of an entry and where the range ends."""
    shards = entry.shards()
    stop = reach(shards) if stop is None else stop
    missing = gaps(shards, start, stop)
    if not shards or missing or stop <= start:
        raise StoreError(_missing_text(entry, shards, missing))
    return shards, stop


def rows_of(entry: Entry, shards: Sequence[Sidecar], start: int, stop: int) -> Rows:
    """Memory-map samples ``[start, stop)``; what they are stands in the first shard."""
    header = _header(entry.folder / shards[0].file)
    sample = str(header.attrs[SAMPLE])
    dims = {str(n): tuple(map(str, v.dims)) for n, v in header.data_vars.items()}
    attributes = {str(n): dict(v.attrs) for n, v in header.data_vars.items()}
    coordinates = {n: v.variable.copy() for n, v in header.coords.items()}
    ragged = {n: d[0] for n, d in dims.items() if d[0] != sample}
    pieces = []
    for shard, low, high in chain(shards, start, stop):
        arrays = map_shard(entry.folder / shard.file, tuple(shard.arrays))
        cut = cut_samples(arrays, ragged, low - shard.start, high - shard.start)
        pieces.append((low, high, cut))
    return Rows(sample, tuple(dims), pieces, ragged, dims, attributes, coordinates)


def _header(path: Path) -> xr.Dataset:
    """Return what a shard says of its variables, read once while the file is as it was hashed."""
    stamps = known([path])
    return _read_once(*stamps) if stamps else read_header(path)


@lru_cache(maxsize=64)
def _read_once(stamp: Stamp) -> xr.Dataset:
    return read_header(Path(stamp[0]))


def open_samples(entry: Entry, root: Path, start: int, stop: int | None) -> xr.Dataset:
    """Return samples as a labelled dataset that reads from disk when looked at."""
    shards, stop = covering(entry, start, stop)
    rows = rows_of(entry, shards, start, stop)
    address = (str(root.resolve()), entry.recipe.json, start, stop)
    stamps = known(_files(entry, shards, start, stop))
    variables = {
        name: (rows.dims[name], _stored(rows, name, address, stamps), rows.attributes[name])
        for name in rows.names
    }
    return with_starts(
        labelled(variables, rows.coordinates, entry.recipe, rows.sample_dim, (start, stop))
    )


def _stored(rows: Rows, name: str, address: Address, stamps: tuple[Stamp, ...]) -> StoredArray:
    pieces = [arrays[name] for _, _, arrays in rows.shards]
    unit = str(rows.attributes[name].get("units", "1"))
    return StoredArray(pieces, name, unit, address, _reopen, stamps)


def _reopen(name: str, address: Address) -> StoredArray:
    """Give one variable in another process, whose tasks share the maps while files stay."""
    rows, paths, stamps = _reopened(*address)
    if known(paths) != stamps:
        _reopened.cache_clear()
        rows, paths, stamps = _reopened(*address)
    return _stored(rows, name, address, stamps)


@lru_cache(maxsize=16)
def _reopened(
    root: str, recipe: str, start: int, stop: int
) -> tuple[Rows, tuple[Path, ...], tuple[Stamp, ...]]:
    entry = entry_of(Path(root), Recipe.from_json(recipe))
    shards, _ = covering(entry, start, stop)
    paths = _files(entry, shards, start, stop)
    return rows_of(entry, shards, start, stop), paths, known(paths)


def _files(entry: Entry, shards: Sequence[Sidecar], start: int, stop: int) -> tuple[Path, ...]:
    return tuple(entry.folder / shard.file for shard, _, _ in chain(shards, start, stop))


def _missing_text(
    entry: Entry, shards: Sequence[Sidecar], missing: Sequence[tuple[int, int]]
) -> str:
    name = f"{entry.recipe.producer} ({entry.recipe.key[:16]})"
    files = [path.name for path in entry.finished()]
    if not shards and files:
        return (
            f"{name} holds {', '.join(files)} and no samples; a trained model comes back with "
            "presage.load(key), and presage store export writes its weights (.safetensors) "
            "or its history (.nc)"
        )
    if not shards:
        root = entry.folder.parent.parent
        return f"{name} is not in {root}; make it with presage.simulate(…) or the step that does"
    spans = shown(missing) or "an empty range"
    return f"{name} lacks samples {spans}; ask presage.simulate(…) for them"
