"""What the store holds, a line for each dataset."""

from __future__ import annotations

import contextlib
import stat
from dataclasses import dataclass
from pathlib import Path

from presage.recipe import Parent, Recipe
from presage.store.entry import Entry, read_recipe
from presage.store.files import StoreError
from presage.store.sidecar import read_sidecar, sidecar_path
from presage.store.spans import gaps, reach, shown

#: File name of a product, and of the folder for unfinished state.
PRODUCT, WORK = "product.nc", "work"


@dataclass(frozen=True)
class EntryInfo:
    """A line of the store's listing."""

    key: str
    producer: str
    recipe: Recipe | None  # None where ``recipe.json`` cannot be read
    kind: str  # ``samples``, ``product`` or ``files``
    samples: int  # from 0 without a gap
    bytes: int  # room on the disk of everything in the folder, as ``du`` counts it
    created: str  # when the first file was published (UTC, ISO 8601), empty if none was
    parents: tuple[Parent, ...]  # what it was made from
    #: ``complete``, ``unfinished`` (work in progress or interrupted), ``gaps: [a, b) missing``
    #: (samples were made beyond ones that are not there) or the fault.
    state: str


def describe_entry(folder: Path) -> EntryInfo:
    """Look at a folder without hashing its files; whatever is wrong with it is its state."""
    try:
        return _described(folder)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        fault = f"cannot be read: {type(error).__name__}: {error}"
        return EntryInfo(folder.name, folder.parent.name, None, "files", 0, 0, "", (), fault)


def _described(folder: Path) -> EntryInfo:
    recipe, marks, fault = None, [], ""
    try:
        recipe = read_recipe(folder)
        paths = Entry(folder, recipe).finished()
        marks = [read_sidecar(sidecar_path(path)) for path in paths]
    except StoreError as error:
        fault = str(error)
    spans = [mark for mark in marks if mark.stop]
    product = any(mark.file == PRODUCT for mark in marks)
    missing = gaps(spans, 0, max((span.stop for span in spans), default=0))
    state = "unfinished" if (folder / WORK).exists() or not marks else "complete"
    if missing:
        state = f"gaps: {shown(missing)} missing"
    return EntryInfo(
        key=recipe.key if recipe else folder.name,
        producer=folder.parent.name,
        recipe=recipe,
        kind="samples" if spans else "product" if product else "files",
        samples=reach(spans),
        bytes=_bytes(folder),
        created=min((str(m.provenance.get("created", "")) for m in marks), default=""),
        parents=recipe.parents if recipe else (),
        state=fault or state,
    )


def _bytes(folder: Path) -> int:
    """Return the room that all files take; what another process removes meanwhile takes none."""
    found = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            if stat.S_ISREG(status.st_mode):  # a name being linked to another counts once
                found[status.st_ino] = 512 * status.st_blocks
    return sum(found.values())
