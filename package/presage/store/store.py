"""The store: a directory of labelled datasets, each under the hash of its recipe."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import xarray as xr

from presage.inputs import LeftOut
from presage.labels import Array, Schema, nearest
from presage.lineage import LEFT_OUT, SAMPLE, attributes_of
from presage.recipe import Recipe
from presage.store import checked, locks
from presage.store.adopt import adopted_samples, own_sample, product_recipe, without_origin
from presage.store.compare import NO_NOISE, Claim, product_claim, reads_back
from presage.store.entry import QUARANTINE, RECIPE_FILE, Entry, entry_of, read_recipe
from presage.store.files import (
    Sink,
    StoreError,
    Write,
    make_folder,
    require_room,
    share,
    sweep,
    text,
)
from presage.store.lazy import Rows
from presage.store.listing import (
    PRODUCT,
    WORK,
    EntryInfo,
    Listing,
    describe_entry,
    files_in,
    subfolders,
    visible,
)
from presage.store.netcdf import read_dataset, write_dataset
from presage.store.reading import covering, open_samples, rows_of
from presage.store.sidecar import MARK
from presage.store.spans import gaps, reach
from presage.store.tags import read_tags, remove_tag, write_tag

_COMPLETE = "complete.json"
_OWN = {RECIPE_FILE, PRODUCT, WORK, QUARANTINE}
#: Held by whoever works in a workspace.
_AT_WORK = f".{WORK}.in-use"


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
        self._listing = Listing(self.root)

    def __reduce__(self) -> tuple[type[Store], tuple[Path]]:
        return type(self), (self.root,)

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    # -- addresses ---------------------------------------------------------------------

    def entry(self, recipe: Recipe) -> Entry:
        """Return the folder of a recipe, whether it exists or not."""
        return entry_of(self.root, recipe)

    def find(self, name: str) -> Recipe:
        """Return the recipe of a dataset.

        Parameters
        ----------
        name
            The beginning of its key, a name that it was given (:meth:`tag`), or
            ``producer/key``.

        Raises
        ------
        StoreError
            It is not there, cannot be read, or is not the only one of this name.
        """
        recipe, prefix = read_recipe(self._folder(name)), self._key(name)
        if not recipe.key.startswith(prefix):
            raise StoreError(f"no dataset with key {prefix!r} in {self.root}")
        return recipe

    def _key(self, name: str) -> str:
        return name.rpartition("/")[2] if "/" in name else self.tags().get(name, name)

    def _folder(self, name: str) -> Path:
        """Return the only folder of this name, whatever lies in it."""
        producer, key = name.rpartition("/")[0], self._key(name)
        outer = [f for f in subfolders(self.root) if producer in ("", f.name)]
        found = _called(outer, key) or _called(outer, key[:16])
        held = [] if found else [f for folder in outer for f in subfolders(folder)]
        found = found or [f for f in held if key and f.name.startswith(key[:16])]
        found = [folder for folder in found if visible(files_in(folder))]
        if not found:
            known = [*self.tags(), *(f.name for f in held)]
            hint = nearest(name, known) if len(known) <= 50 else "; see presage store ls"
            if its := [f.name for f in held if f.parent.name == name]:
                hint = f"; {name} made {', '.join(its[:10])}{', ...' if len(its) > 10 else ''}"
            raise StoreError(f"no dataset with key {name!r} in {self.root}{hint}")
        if len(found) > 1:
            shown = ", ".join(f"{f.parent.name}/{f.name}" for f in found)
            raise StoreError(f"{name!r} is ambiguous: {shown}; give more digits")
        return found[0]

    def tag(self, what: Recipe | str, name: str) -> None:
        """Give a dataset a name, which :meth:`find` takes as a key; it moves if another had it.

        Raises
        ------
        StoreError
            The dataset is not there, or the name has other signs than letters, digits and
            ``_.+-``, or could be the beginning of a key.
        """
        recipe = self._recipe(what)
        self._present(recipe)
        write_tag(self.root, name, recipe.key)

    def untag(self, name: str) -> None:
        """Forget a name; the dataset stays."""
        remove_tag(self.root, name)

    def tags(self) -> dict[str, str]:
        """Return name → key."""
        return read_tags(self.root)

    def _recipe(self, what: Recipe | str) -> Recipe:
        return what if isinstance(what, Recipe) else self.find(what)

    def _present(self, recipe: Recipe) -> Entry:
        entry = self.entry(recipe)
        if not entry.folder.is_dir():
            raise StoreError(f"{recipe.producer} ({recipe.key[:16]}) is not in {self.root}")
        return entry

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
        tolerance: float = 0.0,
        noise: Mapping[str, float] = NO_NOISE,
    ) -> None:
        """Publish checked samples from `start` on as one shard.

        Parameters
        ----------
        recipe, schema
            What they are.
        arrays
            Name → array as :func:`presage.labels.check_arrays` returns them.
        start
            Number of the first sample.
        provenance
            What is worth knowing. ``device`` names what computed them, ``"cpu"`` by
            default: the last bits of another device may differ.
        tolerance
            Share of the largest value by which the same samples, made before in the same
            environment, may differ; 0 is bit for bit.
        noise
            Name → by how much more they may, where they may at all.

        Raises
        ------
        StoreError
            No room on the disk, the same samples were made before with other values, or
            earlier ones have other fixed dimensions.
        """
        stop = start + schema.samples_in(arrays)
        needed = sum(a.nbytes for a in arrays.values())
        require_room(self.root, needed + (16 << 20))
        attributes = attributes_of(recipe, schema.sample)
        self.entry(recipe).publish_shard(
            arrays, schema, (start, stop), attributes, provenance or {}, tolerance, noise
        )

    def finish(self, recipe: Recipe, n: int, left_out: LeftOut | None = None) -> None:
        """Record that a reader's dataset ends after `n` samples, and what is not in it."""
        content = {"samples": n, **(asdict(left_out) if left_out else {})}
        self.put_file(recipe, _COMPLETE, text(json.dumps(content)))

    def finished(self, recipe: Recipe) -> int | None:
        """Return the full length of a reader's dataset, None while it is not all there."""
        n = self._ending(recipe).get("samples")
        return n if n is not None and reach(self.entry(recipe).shards()) >= n else None

    def left_out(self, recipe: Recipe) -> LeftOut:
        """Return what of the user's files a reader's dataset does not hold."""
        ending = self._ending(recipe)
        return LeftOut(ending.get("counts", ""), tuple(ending.get("said", ())))

    def _ending(self, recipe: Recipe) -> dict[str, Any]:
        with self.entry(recipe).in_use():
            path = self.file(recipe, _COMPLETE)
            return {} if path is None else dict(json.loads(path.read_text(encoding="utf-8")))

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
        entry = self.entry(recipe)
        with entry.in_use():
            dataset = open_samples(entry, self.root, start, stop)
        left_out = str(self.left_out(recipe))
        return dataset.assign_attrs({LEFT_OUT: left_out}) if left_out else dataset

    def rows(self, what: Recipe | str, start: int = 0, stop: int | None = None) -> Rows:
        """Return the raw memory-mapped arrays of samples ``[start, stop)``."""
        entry = self.entry(self._recipe(what))
        with entry.in_use():
            shards, stop = covering(entry, start, stop)
            return rows_of(entry, shards, start, stop)

    # -- products and files ------------------------------------------------------------

    def put(self, recipe: Recipe, dataset: xr.Dataset) -> xr.Dataset:
        """Publish a whole dataset (a basis, histograms, a loss history) under a recipe.

        Returns
        -------
        xarray.Dataset
            As the store holds it: what was there first, when it was.

        Raises
        ------
        StoreError
            No room on the disk, or another result is there already under this recipe; one
            that agrees to 1e-4 of the largest value of each variable counts as the same.
        """
        require_room(self.root, dataset.nbytes + (16 << 20))
        # How the values were once packed elsewhere, which may lose digits, is not theirs.
        labelled = dataset.drop_encoding().assign_attrs(attributes_of(recipe))
        labelled.attrs.pop(SAMPLE, None)  # xarray keeps it through reductions

        def write(sink: Sink) -> None:
            write_dataset(sink, labelled)

        claim, check = product_claim(labelled), reads_back(labelled)
        self.entry(recipe).publish_file(PRODUCT, write, claim, {}, check)
        stored = self.get(recipe)
        if stored is None:
            raise StoreError(f"{recipe.producer} vanished from {self.root} while it was published")
        return stored

    def get(self, recipe: Recipe) -> xr.Dataset | None:
        """Return a product, None when it is not there."""
        path = self.file(recipe, PRODUCT)
        with self.entry(recipe).in_use():
            return None if path is None else read_dataset(path)

    def compute(self, recipe: Recipe, function: Callable[[], xr.Dataset]) -> xr.Dataset:
        """Return the product of a recipe, calling `function` only when it is not there."""
        stored = self.get(recipe)
        return self.put(recipe, function()) if stored is None else stored

    def put_file(self, recipe: Recipe, name: str, write: Write) -> Path:
        """Publish a file (weights, an executed notebook) in a recipe's folder; first one wins.

        Parameters
        ----------
        recipe, name
            Whose file, and its plain name.
        write
            Called with the file to write bytes into; :func:`presage.store.files.text` makes
            one of a text.
        """
        if not name or Path(name).name != name or name.startswith(".") or name.endswith(MARK):
            raise StoreError(f"a plain file name is needed, got {name!r}")
        if name in _OWN or name.startswith("shard-"):
            raise StoreError(f"{name!r} is a name of the store's own; choose another")
        return self.entry(recipe).publish_file(name, write, Claim(), {})

    def file(self, recipe: Recipe, name: str) -> Path | None:
        """Return a sound published file, None when there is none."""
        entry = self.entry(recipe)
        return entry.folder / name if entry.sidecars(glob.escape(name)) else None

    @contextmanager
    def workspace(self, recipe: Recipe) -> Iterator[Path]:
        """Give a folder for unfinished state, once nobody else works in it."""
        entry = self.entry(recipe)
        entry.prepare()
        with locks.alone(entry.folder / _AT_WORK):
            share(entry.folder / _AT_WORK, 0o060)  # a colleague has to see whether it is held
            make_folder(entry.folder / WORK)
            sweep(entry.folder / WORK)
            yield entry.folder / WORK

    def clear_workspace(self, recipe: Recipe) -> None:
        """Remove the workspace, unless somebody works in it."""
        folder = self.entry(recipe).folder
        if not (folder / WORK).is_dir():
            return
        if locks.remove_abandoned(folder / _AT_WORK, 0.0, locks.DAY):
            shutil.rmtree(folder / WORK, ignore_errors=True)

    def adopt(self, dataset: xr.Dataset, name: str, sample: str | None = None) -> xr.Dataset:
        """Take a dataset made elsewhere into the store; its identity is its content.

        Values, dimensions, coordinates, units and the other declared attributes are the
        content; ragged dimensions and parameters are known by their attributes, as the
        store writes them. Samples are numbered from 0 again. Coordinates along the samples
        become variables, NaN is taken as a gap, and booleans become 0 and 1.

        Parameters
        ----------
        dataset
            Labelled arrays.
        name
            What to call it.
        sample
            Dimension that counts samples; by default the one that a dataset from a store
            names itself. Without any it is kept as a product.

        Raises
        ------
        StoreError
            Something of it cannot be kept with samples; the message names it.
        LabelError
            Values are infinite, beyond their bounds, or of a type that is not stored.
        """
        sample = sample or own_sample(dataset)
        left_out = {LEFT_OUT: str(dataset.attrs[LEFT_OUT])} if LEFT_OUT in dataset.attrs else {}
        if sample is None:
            plain = without_origin(dataset)
            return self.put(product_recipe(plain, name), plain.assign_attrs(left_out))
        recipe, schema, arrays = adopted_samples(dataset, name, sample)
        if self.missing(recipe, dataset.sizes[sample]):
            self.add(recipe, schema, arrays, 0)
        if left_out:
            self.finish(recipe, dataset.sizes[sample], LeftOut(left_out[LEFT_OUT]))
        return self.open(recipe)

    # -- housekeeping ------------------------------------------------------------------

    def list(self) -> list[EntryInfo]:
        """Return what there is, one line for each folder; see :mod:`presage.store.listing`."""
        return self._listing.entries()

    def describe(self, what: Recipe | str) -> EntryInfo:
        """Return the line of one dataset."""
        folder = self._present(self._recipe(what)).folder
        return describe_entry(folder, files_in(folder))

    def check(
        self,
        what: Recipe | str,
        progress: Callable[[int, int], None] | None = None,
        remember: bool = False,
    ) -> Sequence[str]:
        """Hash every file of a dataset again; return what is wrong, an empty list if nothing.

        Parameters
        ----------
        what
            Recipe, key or the beginning of a key.
        progress
            Called after each file with the bytes that were read and those of all files.
        remember
            Keep the result in the dataset's folder, where that can be written to; see
            :mod:`presage.store.checked`.

        Raises
        ------
        StoreError
            It is not there.
        """
        entry = self._present(self._recipe(what))
        paths = entry.finished()
        before, problems, done = checked.stamps(paths), [], 0
        total = sum(size for size, *_ in before.values())
        for path in paths:
            problem = entry.problem(path, again=True)
            if problem:
                problems.append(f"{path.name}: {problem}")
            done += before.get(path.name, (0,))[0]
            if progress is not None:
                progress(done, total)
        if remember:
            checked.remember(entry.folder, before, problems)
        return problems

    def children(self, what: Recipe | str) -> Sequence[EntryInfo]:
        """Return the datasets that were made from this one."""
        key = self._recipe(what).key
        return [e for e in self.list() if any(p.key == key for p in e.parents)]

    def remove(self, *what: Recipe | str, force: bool = False) -> Sequence[str]:
        """Remove datasets, by recipe or by any name that :meth:`find` takes; return their names.

        Raises
        ------
        StoreError
            One is not there, or others were made from it and `force` is not set; then none is
            removed.
        """
        gone = {self._present(w).folder if isinstance(w, Recipe) else self._folder(w) for w in what}
        keys = {folder.name for folder in gone}
        children = [] if force else [
            entry.name
            for entry in self.list()
            if any(parent.key[:16] in keys for parent in entry.parents)
            and self.root / entry.name not in gone
        ]  # fmt: skip
        if children:
            raise StoreError(
                f"made from it: {', '.join(children)}; remove those first, or all the same with "
                "--force (force=True)"
            )
        for old in self.root.glob(".trash-*"):  # of a removal that was interrupted
            _discard(old)
        for name, key in self.tags().items():
            if key[:16] in keys:
                self.untag(name)
        for folder in gone:
            trash = self.root / f".trash-{uuid.uuid4().hex[:12]}"
            try:
                folder.rename(trash)  # gone at once for everyone; deleting may take its time
            except FileNotFoundError:
                raise StoreError(f"{folder} was just removed") from None
            _discard(trash)
        return sorted(f"{folder.parent.name}/{folder.name}" for folder in gone)


def _called(outer: Sequence[Path], name: str) -> list[Path]:
    """Return the folders of this very name, without a look at the others."""
    plain = name[:1] not in ("", ".") and Path(name).name == name
    return [f / name for f in outer if os.path.isdir(f / name)] if plain else []  # noqa: PTH112


def _discard(trash: Path) -> None:
    """Delete what can be deleted of a folder, or a link to one."""
    with contextlib.suppress(OSError, RecursionError):
        trash.unlink() if trash.is_symlink() else shutil.rmtree(trash, ignore_errors=True)
