"""The store: a directory of labelled datasets, each under the hash of its recipe."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from presage.labels import Array, Schema, Variable, nearest
from presage.lineage import SAMPLE, attributes_of, with_starts
from presage.recipe import Recipe
from presage.store.entry import Entry, chain, gaps, read_recipe
from presage.store.files import StoreError, replace, require_room, sweep
from presage.store.lazy import Rows, ShardFile, StoredArray, lazy_variable
from presage.store.listing import PRODUCT, WORK, EntryInfo, describe_entry, reach
from presage.store.netcdf import hash_array, write_dataset
from presage.store.sidecar import MARK

_COMPLETE = "complete.json"


class Store:
    """A directory of datasets by key.

    Parameters
    ----------
    root
        Its folder; by default ``$PRESAGE_STORE``, else ``./store``. It is made when first
        written to. Any number of processes may use it at once.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        self.root = Path(root or os.environ.get("PRESAGE_STORE") or "store").expanduser()
        self._verified: set[tuple[str, int, int]] = set()

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    # -- addresses ---------------------------------------------------------------------

    def entry(self, recipe: Recipe) -> Entry:
        """Return the folder of a recipe, whether it exists or not."""
        folder = self.root / recipe.producer / recipe.key[:16]
        return Entry(folder, recipe, self._verified)

    def find(self, prefix: str) -> Recipe:
        """Return the recipe whose key begins with `prefix`.

        Raises
        ------
        StoreError
            None does, or several do.
        """
        folders = [f for f in self._folders() if f.name.startswith(prefix[:16])]
        if not prefix or not folders:
            keys = [folder.name for folder in self._folders()]
            hint = nearest(prefix, keys) if len(keys) <= 50 else "; see presage store ls"
            raise StoreError(f"no dataset with key {prefix!r} in {self.root}{hint}")
        if len(folders) > 1:
            shown = ", ".join(f"{f.parent.name}/{f.name}" for f in folders)
            raise StoreError(f"{prefix!r} is ambiguous: {shown}; give more digits")
        recipe = read_recipe(folders[0])
        if not recipe.key.startswith(prefix):
            raise StoreError(f"no dataset with key {prefix!r} in {self.root}")
        return recipe

    def _recipe(self, what: Recipe | str) -> Recipe:
        return what if isinstance(what, Recipe) else self.find(what)

    def _folders(self) -> list[Path]:
        return sorted(f for f in self.root.glob("[!.]*/[!.]*") if f.is_dir())

    # -- samples -----------------------------------------------------------------------

    def missing(self, recipe: Recipe, n: int) -> list[tuple[int, int]]:
        """Return the ranges of samples ``[0, n)`` that have to be made."""
        return gaps(self.entry(recipe).shards(), 0, n)

    def samples(self, what: Recipe | str) -> int:
        """Return how many samples there are from 0 without a gap."""
        shards = self.entry(self._recipe(what)).shards()
        return reach(shards)

    def add(
        self,
        recipe: Recipe,
        schema: Schema,
        arrays: Mapping[str, Array],
        start: int,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        """Publish checked samples from `start` on as one shard.

        Raises
        ------
        StoreError
            No room on the disk, or the same samples were made before with other values.
        """
        stop = start + _count(arrays, schema)
        needed = sum(a.nbytes for a in arrays.values())
        require_room(self.root, needed + (16 << 20))
        attributes = attributes_of(recipe, schema.sample)
        self.entry(recipe).publish_shard(
            arrays, schema, (start, stop), attributes, provenance or {}
        )

    def finish(self, recipe: Recipe, n: int) -> None:
        """Record that a reader's dataset ends after `n` samples."""
        self.put_file(recipe, _COMPLETE, lambda path: _write_text(path, f'{{"samples": {n}}}'))

    def finished(self, recipe: Recipe) -> int | None:
        """Return the full length of a reader's dataset, None while it is not all there."""
        path = self.file(recipe, _COMPLETE)
        if path is None:
            return None
        n = int(path.read_text().partition(":")[2].strip(" }"))
        return n if reach(self.entry(recipe).shards()) >= n else None

    def open(self, what: Recipe | str, start: int = 0, stop: int | None = None) -> xr.Dataset:
        """Open a dataset by recipe or key; samples are read from disk when looked at.

        Parameters
        ----------
        what
            Recipe, key or the beginning of a key.
        start, stop
            Range of samples; all that are there by default. A product has no samples and
            takes none.

        Returns
        -------
        xarray.Dataset
            Labelled; the sample dimension is indexed by the absolute sample number.

        Raises
        ------
        StoreError
            It is not there, or not all of it; the message says what is missing.
        """
        recipe = self._recipe(what)
        product = self.get(recipe)
        if product is not None:
            return product
        shards = self.entry(recipe).shards()
        stop = reach(shards) if stop is None else stop
        missing = gaps(shards, start, stop)
        if not shards or missing or stop <= start:
            raise StoreError(_missing_text(recipe, shards, missing, self.root))
        return self._assemble(recipe, shards, start, stop)

    def rows(self, what: Recipe | str, start: int = 0, stop: int | None = None) -> Rows:
        """Return the raw memory-mapped arrays of samples ``[start, stop)``."""
        recipe = self._recipe(what)
        shards = self.entry(recipe).shards()
        stop = reach(shards) if stop is None else stop
        if not shards or gaps(shards, start, stop):
            missing = gaps(shards, start, stop)
            raise StoreError(_missing_text(recipe, shards, missing, self.root))
        with xr.open_dataset(shards[0].path, engine="h5netcdf", decode_cf=False) as header:
            dims = {str(n): tuple(map(str, v.dims)) for n, v in header.data_vars.items()}
            sample = str(header.attrs[SAMPLE])
        ragged = {n: d[0] for n, d in dims.items() if d[0] != sample}
        pieces = [
            (low, high, _cut(shard, low, high, ragged))
            for shard, low, high in chain(shards, start, stop)
        ]
        return Rows(sample, tuple(dims), pieces, ragged, dims)

    def _assemble(
        self, recipe: Recipe, shards: list[ShardFile], start: int, stop: int
    ) -> xr.Dataset:
        rows = self.rows(recipe, start, stop)
        with xr.open_dataset(shards[0].path, engine="h5netcdf", decode_cf=False) as header:
            coords = {n: v.load().variable for n, v in header.coords.items()}
            attributes = {n: dict(header[n].attrs) for n in rows.names}
        variables = {
            name: lazy_variable(
                rows.dims[name],
                _stored_array(rows, name, (str(self.root.resolve()), recipe.json, start, stop)),
                attributes[name],
            )
            for name in rows.names
        }
        number = xr.Variable(
            (rows.sample_dim,), pd.RangeIndex(start, stop), {"long_name": "sample number"}
        )
        dataset = xr.Dataset(
            variables,
            coords={**coords, rows.sample_dim: number},
            attrs=attributes_of(recipe, rows.sample_dim),
        )
        return with_starts(dataset)

    # -- products and files ------------------------------------------------------------

    def put(self, recipe: Recipe, dataset: xr.Dataset) -> xr.Dataset:
        """Publish a whole dataset (a basis, histograms, a loss history) under a recipe.

        Returns
        -------
        xarray.Dataset
            As the store holds it: what was there first, when it was.
        """
        require_room(self.root, dataset.nbytes + (16 << 20))
        labelled = dataset.assign_attrs(attributes_of(recipe))
        labelled.attrs.pop(SAMPLE, None)  # xarray keeps it through reductions

        def write(path: Path) -> None:
            write_dataset(path, labelled)

        content = {str(n): _content(v) for n, v in labelled.variables.items()}
        self.entry(recipe).publish_file(PRODUCT, write, content, {})
        stored = self.get(recipe)
        if stored is None:
            raise StoreError(f"{recipe.producer} vanished from {self.root} while it was published")
        return stored

    def get(self, recipe: Recipe) -> xr.Dataset | None:
        """Return a product, None when it is not there."""
        path = self.file(recipe, PRODUCT)
        if path is None:
            return None
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            if dataset.nbytes > 64 * path.stat().st_size + (1 << 20):
                raise StoreError(f"{path} unpacks to {dataset.nbytes} bytes; refused")
            return dataset.load()

    def compute(self, recipe: Recipe, function: Callable[[], xr.Dataset]) -> xr.Dataset:
        """Return the product of a recipe, calling `function` only when it is not there."""
        stored = self.get(recipe)
        return self.put(recipe, function()) if stored is None else stored

    def put_file(self, recipe: Recipe, name: str, write: Callable[[Path], None]) -> Path:
        """Publish a file (weights, an executed notebook) in a recipe's folder; first one wins."""
        if Path(name).name != name or name.startswith(".") or name.endswith(MARK):
            raise StoreError(f"a plain file name is needed, got {name!r}")
        return self.entry(recipe).publish_file(name, write, {}, {})

    def file(self, recipe: Recipe, name: str) -> Path | None:
        """Return a sound published file, None when there is none."""
        entry = self.entry(recipe)
        return entry.folder / name if entry.sidecars(name) else None

    def workspace(self, recipe: Recipe) -> Path:
        """Return a folder for unfinished state; write into it with :meth:`write_work`."""
        entry = self.entry(recipe)
        entry.prepare()
        folder = entry.folder / WORK
        folder.mkdir(exist_ok=True)
        sweep(folder)
        return folder

    def write_work(self, recipe: Recipe, name: str, write: Callable[[Path], None]) -> Path:
        """Replace a file of the workspace; a reader sees the old one or the new one."""
        path = self.workspace(recipe) / name
        replace(path, write)
        return path

    def clear_workspace(self, recipe: Recipe) -> None:
        """Remove the workspace."""
        shutil.rmtree(self.entry(recipe).folder / WORK, ignore_errors=True)

    def adopt(self, dataset: xr.Dataset, name: str, sample: str | None = None) -> xr.Dataset:
        """Take a dataset made elsewhere into the store; its identity is its content.

        Parameters
        ----------
        dataset
            Labelled arrays.
        name
            What to call it.
        sample
            Dimension that counts samples; without one it is kept as a product.
        """
        plain = dataset.drop_attrs(deep=False)
        content = {str(n): _content(v) for n, v in plain.variables.items()}
        recipe = Recipe("adopted", 1, {"name": name, "content": content, "sample": sample or ""})
        if sample is None:
            return self.put(recipe, plain)
        columns = {str(n): a.transpose(sample, ...) for n, a in plain.data_vars.items()}
        schema = Schema(sample, tuple(Variable.of(a, sample) for a in columns.values()))
        if self.missing(recipe, plain.sizes[sample]):
            self.add(recipe, schema, {n: np.asarray(a) for n, a in columns.items()}, 0)
        return self.open(recipe)

    # -- housekeeping ------------------------------------------------------------------

    def list(self) -> list[EntryInfo]:
        """Return what there is, one line for each folder."""
        return [describe_entry(folder, self._verified) for folder in self._folders()]

    def check(self, what: Recipe | str) -> Sequence[str]:
        """Hash every file of a dataset again; return what is wrong, an empty list if nothing."""
        entry = self.entry(self._recipe(what))
        problems = []
        for path in entry.finished():
            problem = entry.problem(path, again=True)
            if problem:
                problems.append(f"{path.name}: {problem}")
        return problems

    def children(self, what: Recipe | str) -> Sequence[EntryInfo]:
        """Return the datasets that were made from this one."""
        key = self._recipe(what).key
        return [e for e in self.list() if any(p.key == key for p in e.parents)]

    def remove(self, what: Recipe | str, force: bool = False) -> None:
        """Remove a dataset.

        Raises
        ------
        StoreError
            Others were made from it and `force` is not set.
        """
        recipe = self._recipe(what)
        children = [] if force else self.children(recipe)
        if children:
            names = ", ".join(f"{c.producer}/{c.key[:16]}" for c in children)
            raise StoreError(f"made from it: {names}; remove those first, or force")
        for old in self.root.glob(".trash-*"):  # of a removal that was interrupted
            shutil.rmtree(old, ignore_errors=True)
        folder = self.entry(recipe).folder
        trash = self.root / f".trash-{uuid.uuid4().hex[:12]}"
        folder.rename(trash)  # gone at once for everyone; deleting may take its time
        shutil.rmtree(trash, ignore_errors=True)


def _stored_array(rows: Rows, name: str, address: tuple[str, str, int, int]) -> StoredArray:
    pieces = [arrays[name] for _, _, arrays in rows.shards]
    return StoredArray(pieces, (_reopen, (*address, name)))


def _reopen(root: str, recipe: str, start: int, stop: int, name: str) -> StoredArray:
    rows = Store(root).rows(Recipe.from_json(recipe), start, stop)
    return _stored_array(rows, name, (root, recipe, start, stop))


def _count(arrays: Mapping[str, Array], schema: Schema) -> int:
    for name, (dims, _) in schema.stored().items():
        if dims[0] == schema.sample:
            return len(arrays[name])
    raise StoreError("a dataset needs at least one variable with the sample dimension")


def _cut(shard: ShardFile, low: int, high: int, ragged: Mapping[str, str]) -> dict[str, Array]:
    """Return the arrays of samples ``[low, high)`` of one shard."""
    arrays = shard.arrays()
    span = slice(low - shard.start, high - shard.start)
    flat = {}
    for dim in set(ragged.values()):
        edges = np.concatenate([[0], np.cumsum(arrays[f"{dim}_count"])])
        flat[dim] = slice(int(edges[span.start]), int(edges[span.stop]))
    return {n: a[flat[ragged[n]]] if n in ragged else a[span] for n, a in arrays.items()}


def _content(variable: xr.Variable) -> dict[str, Any]:
    """Return hash, type and shape of one variable, text included."""
    values = np.asarray(variable.values)
    if values.dtype.kind in "OUST":
        text = "\0".join(str(v) for v in values.reshape(-1))
        values_hash = hash_array(np.frombuffer(text.encode() or b"\0", np.uint8))
    else:
        values_hash = hash_array(values)
    return {"hash": values_hash, "dtype": str(values.dtype), "shape": list(values.shape)}


def _missing_text(
    recipe: Recipe, shards: list[ShardFile], missing: list[tuple[int, int]], root: Path
) -> str:
    name = f"{recipe.producer} ({recipe.key[:16]})"
    if not shards:
        return f"{name} is not in {root}; make it with presage.simulate(…) or the step that does"
    spans = ", ".join(f"[{a}, {b})" for a, b in missing[:5]) or "an empty range"
    return f"{name} lacks samples {spans}; ask presage.simulate(…) for them"


def _write_text(path: Path, text: str) -> None:
    path.write_text(text)
