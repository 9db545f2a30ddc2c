"""What the store holds, a line for each dataset.

Lines that were worked out are kept, in memory and in a file of the store. They are a cache and
decide nothing: a line counts while every file in its folder has the size, inode and times that
it had when the line was worked out. The file is replaced as a whole, so of many writers the last
one wins; where it is absent, damaged or of another version of presage it is made again.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from functools import cached_property
from pathlib import Path
from stat import S_ISREG
from typing import Any

from presage._version import __version__
from presage.recipe import Parent, Recipe
from presage.store.checked import recall
from presage.store.entry import QUARANTINE, read_recipe
from presage.store.files import MISREAD, StoreError, replace, small_text, sweep, text
from presage.store.sidecar import MARK, Sidecar, read_sidecar
from presage.store.spans import gaps, reach, shown

#: File name of a product, and of the folder for unfinished state.
PRODUCT, WORK = "product.nc", "work"
#: Of the lines that are kept, in the store's folder.
FILE = ".listing.json"
_TICKS = 2.0  # seconds in which a file can change again without its times showing it
_MOST_BYTES = 1 << 30
_WORTH = 0.01  # share of the lines that have to be new for the file to be written again


@dataclass(frozen=True)
class EntryInfo:
    """A line of the store's listing."""

    key: str  # of the recipe; where that cannot be read, what its folder is called
    producer: str
    recipe_json: str  # empty where ``recipe.json`` cannot be read
    settings: Mapping[str, str]  # everything that the recipe depends on, name → text
    kind: str  # ``samples``, ``product`` or ``files``
    samples: int  # from 0 without a gap
    bytes: int  # room on the disk of everything in the folder, as ``du`` counts it
    created: str  # when the first file was published (UTC, ISO 8601), empty if none was
    parents: tuple[Parent, ...]  # what it was made from
    #: ``complete``, ``unfinished`` (work in progress or interrupted), ``gaps: [a, b) missing``
    #: (samples were made beyond ones that are not there) or the fault.
    state: str
    wrong: tuple[str, ...] = ()  # files that are missing or have another size than was published
    checked: str = ""  # when all files were last hashed (UTC, ISO 8601), empty if never
    changed: bool = False  # whether files are others than those that were hashed
    problems: tuple[str, ...] = ()  # what was wrong with these
    aside: tuple[int, int] = (0, 0)  # files in quarantine, and their bytes

    @cached_property
    def recipe(self) -> Recipe | None:
        """What it was made from; None where ``recipe.json`` cannot be read."""
        return Recipe.from_json(self.recipe_json) if self.recipe_json else None

    @property
    def short(self) -> str:
        """The name of its folder."""
        return self.key[:16] if self.recipe_json else self.key

    @property
    def name(self) -> str:
        """``producer/folder``, by which it is found whatever is wrong with it."""
        return f"{self.producer}/{self.short}"


_FIELDS = tuple(field.name for field in fields(EntryInfo) if field.name != "recipe_json")
_TUPLES = ("parents", "wrong", "problems", "aside")


class Listing:
    """The lines of a store, looked at anew where a folder has changed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, tuple[str, EntryInfo]] | None = None  # by name, with the stamp

    def entries(self) -> list[EntryInfo]:
        """Return a line for each dataset; an empty folder is of a writer that failed at once."""
        collecting = gc.isenabled()
        gc.disable()  # nothing of this is rubbish, and looking for some takes a third of the time
        try:
            return self._entries()
        finally:
            if collecting:
                gc.enable()

    def _entries(self) -> list[EntryInfo]:
        before = self._read() if self._known is None else self._known
        found, known, new = [], {}, 0
        for outer in subfolders(self._root):
            for folder in subfolders(outer):
                now = time.time()
                try:
                    files = files_in(folder)
                except OSError as error:
                    found.append(_faulty(folder, error))
                    continue
                if not visible(files):
                    continue
                name, stamp = f"{outer.name}/{folder.name}", _stamp(files)
                held = before.get(name)
                if held is None or held[0] != stamp:
                    held = stamp, describe_entry(folder, files)
                    new += 1
                found.append(held[1])
                if max(status.st_ctime for status in files.values()) < now - _TICKS:
                    known[name] = held
        self._known = known
        if known and new + len(before.keys() - known.keys()) > _WORTH * len(known):
            self._write(known)
        return found

    def _read(self) -> dict[str, tuple[str, EntryInfo]]:
        try:
            seal, _, held = small_text(self._root / FILE, _MOST_BYTES).partition("\n")
            if seal != _seal(held):
                return {}
            lines, *recipes = held.split("\n")
            return {
                name: (stamp, _from_plain(line, recipe))
                for (name, stamp, line), recipe in zip(json.loads(lines), recipes, strict=True)
            }
        except (OSError, *MISREAD):
            return {}

    def _write(self, known: Mapping[str, tuple[str, EntryInfo]]) -> None:
        lines = json.dumps([(name, stamp, _plain(line)) for name, (stamp, line) in known.items()])
        # Recipes stand as they are below: JSON within JSON takes long to read.
        held = "\n".join([lines, *(line.recipe_json for _, line in known.values())])
        with contextlib.suppress(OSError, StoreError):  # where the store may only be read
            sweep(self._root, FILE)
            replace(self._root / FILE, text(f"{_seal(held)}\n{held}"))


def _seal(held: str) -> str:
    return hashlib.sha256(f"{__version__} {_FIELDS} {held}".encode()).hexdigest()


def _plain(entry: EntryInfo) -> list[Any]:
    held = {**vars(entry), "parents": [astuple(parent) for parent in entry.parents]}
    return [held[name] for name in _FIELDS]


def _from_plain(line: list[Any], recipe: str) -> EntryInfo:
    held: dict[str, Any] = dict(zip(_FIELDS, line, strict=True))
    held["parents"] = [Parent(*parent) for parent in held["parents"]]
    return EntryInfo(recipe_json=recipe, **held | {name: tuple(held[name]) for name in _TUPLES})


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in one, by name; hidden ones are left out."""
    try:
        with os.scandir(folder) as inside:
            names = sorted(f.name for f in inside if f.name[0] != "." and f.is_dir())
    except OSError:  # it is no folder, or nobody may look into it
        return []
    return [folder / name for name in names]


def files_in(folder: Path) -> dict[str, os.stat_result]:
    """Return everything in a folder and in those below, by its path from there."""
    found: dict[str, os.stat_result] = {}
    below = [""]
    while below:
        above = below.pop()
        try:
            inside = os.scandir(f"{folder}/{above}")
        except FileNotFoundError:  # somebody is at work
            continue
        with inside:
            for item in inside:
                try:
                    found[above + item.name] = _status(item)
                except FileNotFoundError:
                    continue
                if item.is_dir(follow_symlinks=False):
                    below.append(f"{above}{item.name}/")
    return found


def _status(item: os.DirEntry[str]) -> os.stat_result:
    if item.is_symlink():
        with contextlib.suppress(OSError):  # it leads to nothing
            return item.stat()
    return item.stat(follow_symlinks=False)


def visible(files: Mapping[str, object]) -> bool:
    """Whether there is anything but hidden files."""
    return any(name[0] != "." for name in files)


def _stamp(files: Mapping[str, os.stat_result]) -> str:
    """Return what changes whenever one of the files does."""
    marks = sorted(
        (name, s.st_mode, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
        for name, s in files.items()
    )
    return hashlib.blake2b(repr(marks).encode(), digest_size=16).hexdigest()


def describe_entry(folder: Path, files: Mapping[str, os.stat_result]) -> EntryInfo:
    """Look at a folder without hashing its files; whatever is wrong with it is its state."""
    try:
        return _described(folder, files)
    except (OSError, StoreError, *MISREAD) as error:
        return _faulty(folder, error)


def _faulty(folder: Path, error: Exception) -> EntryInfo:
    fault = f"cannot be read: {type(error).__name__}: {error}"
    return EntryInfo(folder.name, folder.parent.name, "", {}, "files", 0, 0, "", (), fault)


def _described(folder: Path, files: Mapping[str, os.stat_result]) -> EntryInfo:
    recipe, marks, fault = None, [], ""
    try:
        recipe = read_recipe(folder)
        names = sorted(name for name in files if name.endswith(MARK) and "/" not in name)
        marks = [read_sidecar(folder / name) for name in names]
    except StoreError as error:
        fault = str(error)
    spans = [mark for mark in marks if mark.stop]
    product = any(mark.file == PRODUCT for mark in marks)
    missing = gaps(spans, 0, max((span.stop for span in spans), default=0))
    state = "unfinished" if WORK in files or not marks else "complete"
    if missing:
        state = f"gaps: {shown(missing)} missing"
    last = recall(folder)
    aside = [s.st_size for n, s in files.items() if n.startswith(f"{QUARANTINE}/")]
    return EntryInfo(
        key=recipe.key if recipe else folder.name,
        producer=folder.parent.name,
        recipe_json=recipe.json if recipe else "",
        settings=_settings(recipe) if recipe else {},
        kind="samples" if spans else "product" if product else "files",
        samples=reach(spans),
        bytes=_room(files),
        created=min((str(m.provenance.get("created", "")) for m in marks), default=""),
        parents=recipe.parents if recipe else (),
        state=fault or state,
        wrong=tuple(filter(None, (_wrong(mark, files) for mark in marks))),
        checked=last.when if last else "",
        changed=last is not None and not last.unchanged(folder / mark.file for mark in marks),
        problems=last.problems if last else (),
        aside=(len(aside), sum(aside)),
    )


def _wrong(mark: Sidecar, files: Mapping[str, os.stat_result]) -> str:
    if mark.file not in files:
        return f"{mark.file} is missing"
    size = files[mark.file].st_size
    return "" if size == mark.size else f"{mark.file} has {size} bytes, {mark.size} were published"


def _room(files: Mapping[str, os.stat_result]) -> int:
    """Return the room that all files take; a name being linked to another counts once."""
    blocks = {s.st_ino: 512 * s.st_blocks for s in files.values() if S_ISREG(s.st_mode)}
    return sum(blocks.values())


def _settings(recipe: Recipe) -> dict[str, str]:
    """Return everything that a recipe depends on as name → text, parts by their own names."""
    flat: dict[str, str] = {}

    def note(name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for inner, part in value.items():
                # What a part is called stands for it: optimizer=adam, not name=adam.
                note(name if name and inner == "name" else str(inner), part)
        else:
            # The whole text: lists of labels often differ only behind their beginning.
            plain = value if isinstance(value, str) else json.dumps(value, default=str)
            flat[name if name not in flat else f"{name}'"] = plain

    note("", recipe.fields)
    parents = [f"{p.key[:6]}[{p.start}:{p.stop}]" if p.stop else p.key[:6] for p in recipe.parents]
    return {**flat, "seed": str(recipe.seed), "version": str(recipe.version),
            "from": ",".join(parents)}  # fmt: skip
