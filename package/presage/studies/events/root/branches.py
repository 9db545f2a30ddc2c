"""Reading a tree's branches, chunk by chunk, in memory that a file cannot exceed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from presage.labels import Array, nearest
from presage.studies.events.root.errors import RootError
from presage.studies.events.root.files import RootFile, reading, too_large
from presage.studies.events.root.values import Values


def read(
    tree: Any, names: Sequence[str], file: RootFile, memory: int
) -> Iterator[tuple[int, int, dict[str, Values]]]:
    """Yield (first entry, entries, values of each branch) in the tree's order.

    Parameters
    ----------
    tree
        An open TTree.
    names
        The branches that are read; no other is touched.
    file
        For errors.
    memory
        Bytes of uncompressed data that are read at a time, and the largest basket.

    Raises
    ------
    RootError
        A branch is missing, holds no numbers, is damaged, or declares too large a basket.
    """
    entries = int(tree.num_entries)
    chosen = _chosen(tree, names, file)
    if not names:
        yield from _without_branches(entries, memory)
        return
    with reading(file):
        step = _step(chosen, entries, file, memory)
        start = 0
        for arrays in tree.iterate(
            {name: branch.interpretation for name, branch in chosen.items()},
            step_size=step,
            library="ak",
            how=dict,
        ):
            stop = min(start + step, entries)
            # Popped one by one: nothing of this chunk is kept while the next is read.
            yield (
                start,
                stop - start,
                {name: _values(name, arrays.pop(name), stop - start, file) for name in names},
            )
            start = stop


def _without_branches(entries: int, memory: int) -> Iterator[tuple[int, int, dict[str, Values]]]:
    step = max(1, memory // 64)
    for start in range(0, entries, step):
        yield start, min(step, entries - start), {}


def _chosen(tree: Any, names: Sequence[str], file: RootFile) -> dict[str, Any]:
    with reading(file):
        known = tree.keys(recursive=True, full_paths=False)
        # A tree can carry aliases of its own, as code; one may not stand in for a branch.
        shadowed = sorted(set(tree.aliases) & set(names))
    if shadowed:
        raise RootError(
            f"{file.path}: {shadowed[0]!r} is an alias inside the file; "
            "write its expression out in aliases="
        )
    for name in names:
        if name not in known:
            raise RootError(
                f"{file.path}: tree {tree.name!r} has no branch {name!r}{_suggest(name, known)}"
            )
    chosen = {name: tree[name] for name in names}
    for name, branch in chosen.items():
        if not _is_numeric(branch.interpretation):
            raise RootError(
                f"{file.path}: branch {name!r} holds {branch.typename}; "
                "only numbers and lists of numbers can be used"
            )
    return chosen


def _suggest(name: str, known: Sequence[str]) -> str:
    return nearest(name, known) if len(known) <= 40 else _only_close(name, known)


def _only_close(name: str, known: Sequence[str]) -> str:
    """Suggest the nearest of many names; a list of 947 branches helps nobody."""
    text = nearest(name, known)
    return text if text.startswith("; did") else f" among its {len(known)} branches"


def _is_numeric(interpretation: Any) -> bool:
    content = getattr(interpretation, "content", interpretation)
    dtype = getattr(content, "to_dtype", None)
    if dtype is None:
        return False
    flat = content is interpretation or dtype.subdtype is None
    return flat and dtype.base.kind in "biuf"


def _step(chosen: dict[str, Any], entries: int, file: RootFile, memory: int) -> int:
    """Return how many entries are read at a time; check what every basket declares."""
    total = 0
    for name, branch in chosen.items():
        if branch.num_entries != entries:
            raise RootError(
                f"{file.path}: branch {name!r} has {branch.num_entries} entries, "
                f"the tree {entries}; the file is damaged"
            )
        for number in range(branch.num_baskets):
            declared = int(branch.basket_uncompressed_bytes(number))
            if not 0 <= declared <= memory:
                raise too_large(file, f"basket {number} of branch {name!r}", declared, memory)
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
        raise RootError(
            f"{file.path}: branch {name!r} gave {len(layout)} entries instead of {entries}"
        )
    if isinstance(layout, ak.contents.NumpyArray):
        return Values(_wide(name, file, np.asarray(layout.data)))
    offsets = np.asarray(layout.offsets.data, dtype=np.int64)
    content = np.asarray(layout.content.data)
    if offsets[0] != 0 or offsets[-1] > len(content) or (np.diff(offsets) < 0).any():
        raise RootError(f"{file.path}: branch {name!r} is damaged: its lists run backwards")
    return Values(_wide(name, file, content[: offsets[-1]]), offsets)


def _wide(name: str, file: RootFile, data: Array) -> Array:
    """Whole numbers as int64: ``nPhoton - 2`` of an unsigned 0 must not be 4294967294."""
    if data.dtype.kind not in "iu":
        return data
    if data.dtype == np.uint64 and data.size and data.max() > np.iinfo(np.int64).max:
        raise RootError(f"{file.path}: branch {name!r} holds whole numbers of 2^63 or more")
    return data.astype(np.int64, copy=False)
