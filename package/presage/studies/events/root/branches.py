"""Reading a tree's branches, chunk by chunk, in memory that a file cannot exceed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from presage.labels import Array, nearest
from presage.studies.events.root import ntuple
from presage.studies.events.root.errors import TooLargeError
from presage.studies.events.root.finding import RootFile
from presage.studies.events.root.opening import reading
from presage.studies.events.root.values import Values


@dataclass(frozen=True)
class Branches:
    """What can be named in one tree, a TTree or an RNTuple."""

    tree: Any  # the open tree
    file: RootFile  # for errors
    known: Mapping[str, Any]  # full path (``parent/child``, ``Muon.pt``) → branch or field
    repeated: frozenset[str] = frozenset()  # paths that several branches have

    @classmethod
    def of(cls, tree: Any, file: RootFile) -> Branches:
        """Return the branches of an open tree."""
        with reading(file):
            if tree.classname == ntuple.KIND:
                return cls(tree, file, ntuple.fields(tree))
            found = list(tree.iteritems(recursive=True, full_paths=True))
        known = dict(found)
        repeated = {path for path, branch in found if known[path] is not branch}
        return cls(tree, file, known, frozenset(repeated))

    @property
    def is_ntuple(self) -> bool:
        """Whether the tree is an RNTuple."""
        return bool(self.tree.classname == ntuple.KIND)

    def paths(self, name: str) -> list[str]:
        """Return the full paths that a name may stand for: a path, its end, or parts of it."""
        if name in self.known and self.kind(name):
            return [name]
        separator = "." if self.is_ntuple else "/"
        wanted = name.replace("/", separator).split(separator)
        fits = [path for path in self.known if _ends(path.split(separator), wanted)]
        return [path for path in fits if self.kind(path)] or fits

    def kind(self, path: str) -> str:
        """Return what a branch holds in each entry: NumPy's letter, ``*`` behind it for a list.

        It is empty for a branch that holds neither one number nor one list of numbers.
        """
        branch = self.known[path]
        with reading(self.file):
            if self.is_ntuple:
                return ntuple.kind(branch)
            return _kind(branch.interpretation)

    def choose(self, names: Sequence[str]) -> dict[str, str]:
        """Return name → full path of the branch it stands for."""
        if not self.is_ntuple:
            # A tree can carry aliases of its own, as code; one may not stand in for a branch.
            with reading(self.file):
                shadowed = sorted(set(self.tree.aliases) & set(names))
            if shadowed:
                raise self.file.bad(
                    f"{shadowed[0]!r} is an alias inside the file; write its expression out in "
                    "aliases="
                )
        return {name: self._choose(name) for name in names}

    def _choose(self, name: str) -> str:
        paths = self.paths(name)
        if not paths:
            raise self.file.bad(
                f"tree {self.tree.name!r} has no branch {name!r}{self._suggest(name)}"
            )
        if len(paths) > 1:
            shown = ", ".join(f'"{path}"' for path in sorted(paths)[:6])
            raise self.file.bad(
                f"{name!r} is the name of {len(paths)} branches; write one of their paths, in "
                f"quotes: {shown}"
            )
        (path,) = paths
        if path in self.repeated:
            raise self.file.bad(f"several branches have the path {path!r}: none can be named")
        if not self.kind(path):
            with reading(self.file):
                kind = self.known[path].typename or "other branches"
            raise self.file.bad(
                f"branch {name!r} holds {kind}; only numbers and lists of numbers can be used"
            )
        return path

    def _suggest(self, name: str) -> str:
        """Suggest the nearest of many names; a list of 947 branches helps nobody."""
        text = nearest(name, self.known)
        few = len(self.known) <= 40 or text.startswith("; did")
        return text if few else f" among its {len(self.known)} branches"


def _ends(path: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether a path ends as wanted, and has the other wanted parts before that, in order."""
    rest = iter(path[:-1])
    return path[-1] == wanted[-1] and all(part in rest for part in wanted[:-1])


def read(
    branches: Branches, names: Sequence[str], memory: int
) -> Iterator[tuple[int, int, dict[str, Values]]]:
    """Yield (first entry, entries, values of each branch) in the tree's order.

    No branch but those of `names` is touched; `memory` is the bytes of uncompressed data that are
    read at a time, and the largest basket.
    """
    file = branches.file
    paths = branches.choose(names)
    chosen = {path: branches.known[path] for path in paths.values()}
    if not names:
        yield from _without_branches(int(branches.tree.num_entries), memory)
        return
    read_arrays = ntuple.read if branches.is_ntuple else _read_ttree
    with reading(file):
        for start, entries, arrays in read_arrays(branches.tree, chosen, file, memory):
            # Popped one by one: nothing of this chunk is kept while the next is read.
            read = {p: _values(p, arrays.pop(p), entries, file) for p in list(arrays)}
            yield start, entries, {name: read[path] for name, path in paths.items()}
            del read


def _without_branches(entries: int, memory: int) -> Iterator[tuple[int, int, dict[str, Values]]]:
    step = max(1, memory // 64)
    for start in range(0, entries, step):
        yield start, min(step, entries - start), {}


def _read_ttree(
    tree: Any, chosen: Mapping[str, Any], file: RootFile, memory: int
) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield (first entry, entries, Awkward array of each branch)."""
    entries = int(tree.num_entries)
    for path, branch in chosen.items():
        if tree[path] is not branch:  # by which the library finds it
            raise file.bad(f"the path {path!r} leads to another branch")
    step = _step(chosen, entries, file, memory)
    start = 0
    for arrays in tree.iterate(
        {path: branch.interpretation for path, branch in chosen.items()},
        step_size=step,
        library="ak",
        how=dict,
    ):
        stop = min(start + step, entries)
        yield start, stop - start, arrays
        start = stop


def _kind(interpretation: Any) -> str:
    content = getattr(interpretation, "content", interpretation)
    dtype = getattr(content, "to_dtype", None)
    if dtype is None:
        return ""
    jagged, fixed = content is not interpretation, dtype.subdtype is not None
    if (jagged and fixed) or dtype.base.kind not in "biuf":
        return ""
    return str(dtype.base.kind) + "*" * (jagged or fixed)


def _step(chosen: Mapping[str, Any], entries: int, file: RootFile, memory: int) -> int:
    """Return how many entries are read at a time; check what every basket declares."""
    total = 0
    for name, branch in chosen.items():
        if branch.num_entries != entries:
            raise file.bad(
                f"branch {name!r} has {branch.num_entries} entries, the tree {entries}; the file "
                "is damaged"
            )
        for number in range(branch.num_baskets):
            declared = int(branch.basket_uncompressed_bytes(number))
            if not 0 <= declared <= memory:
                raise TooLargeError(
                    file.path, f"basket {number} of branch {name!r}", declared, memory
                )
            total += declared
    # In memory an entry takes at least an offset or a number of 8 bytes in each branch,
    # whatever little the baskets say they hold.
    bytes_each = max(total / max(entries, 1), 8.0 * len(chosen))
    return max(1, int(memory / bytes_each))


def _values(name: str, array: Any, entries: int, file: RootFile) -> Values:
    """Unpack an Awkward array into flat data and offsets; whole numbers become 64 bits."""
    import awkward as ak

    layout = ak.to_layout(array)
    if isinstance(layout, ak.contents.RegularArray):
        layout = layout.to_ListOffsetArray64(True)
    if isinstance(layout, ak.contents.NumpyArray) and layout.data.ndim == 2:
        layout = layout.to_RegularArray().to_ListOffsetArray64(True)
    if len(layout) != entries:
        raise file.bad(f"branch {name!r} gave {len(layout)} entries instead of {entries}")
    if isinstance(layout, ak.contents.NumpyArray):
        return Values(_wide(name, file, np.asarray(layout.data)))
    offsets = np.asarray(layout.offsets.data, dtype=np.int64)
    content = np.asarray(layout.content.data)
    if offsets[0] != 0 or offsets[-1] > len(content) or (np.diff(offsets) < 0).any():
        raise file.bad(f"branch {name!r} is damaged: its lists run backwards")
    return Values(_wide(name, file, content[: offsets[-1]]), offsets)


def _wide(name: str, file: RootFile, data: Array) -> Array:
    """Whole numbers as int64: ``nPhoton - 2`` of an unsigned 0 must not be 4294967294."""
    if data.dtype.kind not in "iu":
        return data
    if data.dtype == np.uint64 and data.size and data.max() > np.iinfo(np.int64).max:
        raise file.bad(f"branch {name!r} holds whole numbers of 2^63 or more")
    return data.astype(np.int64, copy=False)
