"""One dataset's folder: its finished files, found through their sidecars and checked."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from presage.labels import Array, Schema
from presage.labels.caller import warn_caller
from presage.recipe import Recipe
from presage.store import locks, verified
from presage.store.compare import NO_NOISE, Claim, shard_claim
from presage.store.files import (
    Check,
    Sink,
    StoreError,
    Write,
    make_folder,
    publish,
    publishing,
    small_text,
    sweep,
    text,
    unchecked,
)
from presage.store.locks import abandoned
from presage.store.netcdf import file_hash, map_shard, read_header, write_shard
from presage.store.sidecar import (
    MARK,
    NewerFormatError,
    Sidecar,
    describe,
    fingerprint,
    make_sidecar,
    publish_sidecar,
    read_sidecar,
    sidecar_path,
)

RECIPE_FILE, QUARANTINE = "recipe.json", "quarantine"
_LARGEST_RECIPE = 256 << 20  # bytes


class StoreWarning(UserWarning):
    """Something in the store was wrong and has been put aside."""


@dataclass(frozen=True)
class Entry:
    """The folder of one recipe."""

    folder: Path  # ``<root>/<producer>/<key[:16]>``
    recipe: Recipe  # what it holds

    def prepare(self) -> None:
        """Make the folder with its ``recipe.json``, and clear what dead writers left."""
        with self.in_use():
            make_folder(self.folder)
            sweep(self.folder)
            self._mend_recipe()

    def tidy(self) -> None:
        """Clear what dead writers left, where the store can be written to."""
        with contextlib.suppress(OSError):
            sweep(self.folder)

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Say in a sentence that another process removes what the block is at work with.

        Raises
        ------
        StoreError
            A file of the dataset is not there any more.
        """
        try:
            yield
        except FileNotFoundError as error:
            if error.filename and not Path(error.filename).is_relative_to(self.folder):
                raise
            raise StoreError(
                f"{self.recipe.producer} ({self.recipe.key[:16]}) was removed by another process "
                "while it was in use; ask for it again"
            ) from error

    def _mend_recipe(self) -> None:
        """Write ``recipe.json`` again where it is missing or was edited."""
        path = self.folder / RECIPE_FILE
        self.put_aside(path, self._fault_of_recipe)
        if not path.exists():
            publish(path, text(self.recipe.json))

    def _fault_of_recipe(self, path: Path) -> str:
        try:
            if small_text(path, _LARGEST_RECIPE) == self.recipe.json:
                return ""
        except FileNotFoundError:
            return ""
        except ValueError:
            pass
        return "it does not hold the recipe that its folder is named after"

    def publish_shard(
        self,
        arrays: Mapping[str, Array],
        schema: Schema,
        span: tuple[int, int],
        attributes: Mapping[str, Any],
        provenance: Mapping[str, Any],
        tolerance: float = 0.0,
        noise: Mapping[str, float] = NO_NOISE,
    ) -> None:
        """Publish samples ``[start, stop)`` as one shard, then its sidecar."""
        start, stop = span
        content = describe(arrays)
        self._check_like_before(arrays, schema)
        flat = {dim: int(arrays[f"{dim}_count"].sum()) for dim in schema.ragged}

        def write(sink: Sink) -> None:
            write_shard(sink, arrays, schema, {**attributes, "sample_range": [start, stop]})

        def check(temporary: Path) -> None:
            read_header(temporary)
            if describe(map_shard(temporary, tuple(arrays))) != content:
                raise StoreError(f"{temporary} reads back differently: the disk is failing")

        name = f"shard-{start:012d}-{stop:012d}.nc"
        claim = shard_claim(content, arrays, tolerance, noise)
        self.publish_file(name, write, claim, provenance, check, start=start, stop=stop, flat=flat)

    def _check_like_before(self, arrays: Mapping[str, Array], schema: Schema) -> None:
        """Refuse a shard whose fixed dimensions are not those of the first one there."""
        before: Mapping[str, Mapping[str, Any]] = {}
        for path in self.finished("shard-*.nc"):
            with contextlib.suppress(StoreError, OSError):  # a faulty one is dealt with later
                before = read_sidecar(sidecar_path(path)).arrays
                break
        for name, (dims, _) in schema.stored().items():
            held = before.get(name, {}).get("shape", arrays[name].shape)
            for dim, want, got in zip(dims[1:], held[1:], arrays[name].shape[1:], strict=False):
                if want != got:
                    raise StoreError(
                        f"{self.recipe.producer}: {name!r} has {dim}={got}, earlier samples have "
                        f"{dim}={want}; declare a ragged dimension where lengths differ"
                    )

    def publish_file(
        self,
        name: str,
        write: Write,
        claim: Claim,
        provenance: Mapping[str, Any],
        check: Check = unchecked,
        **fields: Any,
    ) -> Path:
        """Publish any file with its sidecar; when another was first, compare with it."""
        path = self.folder / name
        provenance = {"environment": fingerprint(), "device": "cpu", **provenance}
        with self.in_use():
            self.prepare()
            while True:
                with publishing(path, write, check) as first:
                    if first:
                        sidecar = make_sidecar(
                            path, provenance, key=self.recipe.key, arrays=claim.content, **fields
                        )
                        publish_sidecar(path, sidecar)
                        verified.remember(path)
                        return path
                if _becomes_marked(path) and (theirs := self._sound(path)) is not None:
                    self._compare(path, theirs, claim, provenance)
                    return path

    def _compare(
        self, path: Path, theirs: Sidecar, claim: Claim, provenance: Mapping[str, Any]
    ) -> None:
        """Raise when a file made before from the same recipe holds other values."""
        if not claim.content or theirs.arrays == claim.content:
            return
        here = all(
            theirs.provenance.get(part, "cpu") == provenance[part]
            for part in ("environment", "device")
        )
        difference = claim.difference(path, here)
        if difference:
            where = "the same" if here else "another"
            raise StoreError(
                f"{self.recipe.producer} is not deterministic: {path.name} was made before from "
                f"the same recipe in {where} environment, and {difference}. {claim.advice}"
            )

    def shards(self) -> list[Sidecar]:
        """Return the sidecars of sound shards, sorted; faulty ones are quarantined aloud."""
        return sorted(self.sidecars("shard-*.nc"), key=lambda shard: (shard.start, shard.stop))

    def sidecars(self, pattern: str) -> list[Sidecar]:
        """Return the sidecars of sound files whose name fits; faulty ones are quarantined aloud."""
        paths = self.finished(pattern)
        if paths:
            self._look_at_recipe()
        return [mark for path in paths if (mark := self._sound(path)) is not None]

    def _sound(self, path: Path) -> Sidecar | None:
        """Return the sidecar of a sound file; a faulty one is quarantined aloud."""
        self.put_aside(path, self.problem)
        with contextlib.suppress(FileNotFoundError):
            return read_sidecar(sidecar_path(path))
        return None

    def _look_at_recipe(self) -> None:
        """Mend ``recipe.json`` when reading; what cannot be written to is still readable."""
        try:
            self._mend_recipe()
        except FileNotFoundError:
            pass  # another process removes the dataset
        except (OSError, StoreError) as error:
            warn_caller(f"{self.folder / RECIPE_FILE}: {error}", StoreWarning)

    def finished(self, pattern: str = "*") -> list[Path]:
        """Return the files that have a sidecar, sorted by name, unchecked."""
        marks = sorted(self.folder.glob(pattern + MARK))
        return [mark.with_name(mark.name.removesuffix(MARK)) for mark in marks]

    def problem(self, path: Path, again: bool = False) -> str:
        """Return what is wrong with a published file, an empty string if nothing.

        Size and seal are looked at every time, the full hash once a process, or when
        `again` is set. Nothing is wrong with one that another process has taken away.
        """
        try:
            return self._fault(path, read_sidecar(sidecar_path(path)), again)
        except NewerFormatError:
            raise  # sound, only not for this version to judge
        except StoreError as error:
            return str(error)
        except FileNotFoundError:
            there = sidecar_path(path).exists()
            return "the file of this sidecar is missing" if there else ""

    def _fault(self, path: Path, sidecar: Sidecar, again: bool) -> str:
        if sidecar.key != self.recipe.key:
            return "it belongs to another dataset"
        size = path.stat().st_size
        if sidecar.file != path.name or size != sidecar.size:
            return f"it has {size} bytes, {sidecar.size} were published"
        if not again and verified.is_known(path):
            return ""
        if file_hash(path) != sidecar.hash:
            return "its content does not match its hash"
        verified.remember(path)
        return ""

    def put_aside(self, path: Path, fault: Callable[[Path], str]) -> None:
        """Move a file with a fault, and its sidecar, into quarantine, and say so."""
        problem = fault(path)
        if not problem:
            return
        try:
            with locks.alone(self.folder / ".quarantine.lock"):
                problem = fault(path)  # another process may have moved it, and made a new one
                if problem:
                    self._move_aside(path)
        except FileNotFoundError:
            return  # another process removes the dataset
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise
            raise StoreError(
                f"{path} is faulty ({problem}), and the store is read-only; copy the store to a "
                "place where it can be repaired"
            ) from error
        if problem:
            warn_caller(
                f"{path} was put into quarantine: {problem}. What it held is made again when it "
                "is next asked for",
                StoreWarning,
            )

    def _move_aside(self, path: Path) -> None:
        aside = self.folder / QUARANTINE
        make_folder(aside, above=False)
        stamp = f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
        for victim in (path, sidecar_path(path)):
            if os.path.lexists(victim):
                victim.rename(aside / f"{victim.name}.{stamp}")


def entry_of(root: Path, recipe: Recipe) -> Entry:
    """Return the folder of a recipe in the store at `root`, whether it exists or not."""
    return Entry(root / recipe.producer / recipe.key[:16], recipe)


def read_recipe(folder: Path) -> Recipe:
    """Read and check a folder's recipe."""
    path = folder / RECIPE_FILE
    try:
        recipe = Recipe.from_json(small_text(path, _LARGEST_RECIPE))
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
    if (recipe.producer, recipe.key[:16]) != (folder.parent.name, folder.name):
        raise StoreError(f"{path} was edited: its hash is {recipe.key[:16]}, not {folder.name}")
    return recipe


def _becomes_marked(path: Path) -> bool:
    """Wait for the sidecar of a file that another writer may just have published.

    Without, nobody was ever told of the file: of a writer that died it is removed.
    """
    mark = sidecar_path(path)
    while not mark.exists():
        with abandoned(path, locks.GRACE, locks.GRACE) as dead:
            if dead and not mark.exists():
                path.unlink(missing_ok=True)
                return False
        time.sleep(0.02)
    return True
