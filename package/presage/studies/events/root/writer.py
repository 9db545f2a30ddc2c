"""Writing events as ROOT files, a directory per label, in a layout that the reader reads.

A column that stands at ``branch[index_branch]`` becomes a list per event with the value at
a random place of it and that place in the index branch, as reconstruction would leave it.
Events that a reader must leave out (a failed cut, an index of -1 or beyond the list) can be
mixed in.
"""

from __future__ import annotations

import ast
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from presage.extras import extra
from presage.labels import Array, nearest
from presage.rng import generator
from presage.studies.events.root.errors import RootError
from presage.studies.events.root.expression import Expression
from presage.studies.events.root.layout import FEDHEX, Layout
from presage.studies.events.root.survey import groups

#: Longest list that a value is hidden in.
_LONGEST = 4


@dataclass(frozen=True)
class _Place:
    """Where values go: a branch, ``branch[0]`` or ``branch[index]``."""

    branch: str
    position: int | None = None
    index: str | None = None

    @classmethod
    def of(cls, text: str) -> _Place:
        node: Any = Expression(text).tree
        if isinstance(node, ast.Name):
            return cls(node.id)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            inner: Any = node.slice
            if isinstance(inner, ast.Name):
                return cls(node.value.id, index=inner.id)
            if isinstance(inner, ast.Constant) and type(inner.value) is int:
                return cls(node.value.id, position=inner.value)
        raise RootError(
            f"{text!r} cannot be written: a column stands at a branch, branch[0] or branch[index]"
        )


def write_root(
    events: xr.Dataset,
    folder: str | os.PathLike[str],
    layout: Layout = FEDHEX,
    *,
    distractors: float = 0.0,
    chunk: int = 100_000,
    seed: int = 0,
) -> Path:
    """Write an events dataset as ROOT files, one directory per label.

    Parameters
    ----------
    events
        Flat over ``event``, with the layout's columns and labels as data variables.
    folder
        A new directory; it appears only when everything is written.
    layout
        Tree, branches and directory names.
    distractors
        Events to mix in that the layout's reader leaves out, as a fraction of the others.
    chunk
        Events written at a time.
    seed
        Of list lengths, places in lists, and what stands in the other places.

    Returns
    -------
    pathlib.Path
        `folder`. Within a label, events keep their order, bit for bit.

    Raises
    ------
    RootError
        The folder exists and is not empty, a column is missing, or there are no events.
    """
    target = Path(folder)
    columns = _columns(events, layout)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise RootError(f"{target} exists and is not empty; choose another folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.parent / f".{target.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.partial"
    try:
        for number, (name, rows) in enumerate(_by_label(events, layout)):
            path = draft / name / "events.root"
            path.parent.mkdir(parents=True)
            rng = generator("write-root", seed, number)
            chunks = _chunks(columns, rows, layout, distractors, chunk, rng)
            _write_file(path, layout.tree, chunks)
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return target


def _columns(events: xr.Dataset, layout: Layout) -> dict[str, Array]:
    """Return the layout's columns by the expression they stand at."""
    columns: dict[str, Array] = {}
    for column in (*layout.labels, *layout.columns):
        name = column.variable.name
        if name not in events.data_vars:
            raise RootError(
                f"the dataset has no {name!r}{nearest(name, map(str, events.data_vars))}"
            )
        if events[name].dims != ("event",):
            raise RootError(f"{name!r} should have dims ('event',), got {events[name].dims}")
        columns[column.expression] = events[name].values
    if events.sizes["event"] == 0:
        raise RootError("there are no events to write")
    return columns


def _by_label(events: xr.Dataset, layout: Layout) -> Iterator[tuple[str, Array]]:
    """Yield each label's directory name and its events' positions, in order."""
    names = [column.variable.name for column in layout.labels]
    rows, which = groups([events[name].values for name in names])
    order = np.argsort(which, kind="stable")
    ends = np.cumsum(np.bincount(which, minlength=len(rows)))
    for row, positions in zip(rows.tolist(), np.split(order, ends[:-1]), strict=True):
        typed = {n: events[n].dtype.type(value) for n, value in zip(names, row, strict=True)}
        texts = {name: _path_number(value) for name, value in typed.items()}
        yield layout.folder.format(**texts), positions


def _path_number(value: np.generic) -> str:
    """Return the shortest text that reads back as the same number: 9.025 is ``9p025``."""
    return str(value).removesuffix(".0").replace(".", "p")


def _chunks(
    columns: Mapping[str, Array],
    rows: Array,
    layout: Layout,
    distractors: float,
    chunk: int,
    rng: np.random.Generator,
) -> Iterator[dict[str, Any]]:
    """Yield the branches of one label's events, `chunk` events at a time."""
    for start in range(0, len(rows), chunk):
        part = rows[start : start + chunk]
        values = {text: column[part] for text, column in columns.items()}
        for condition in layout.passing:
            drawn = rng.uniform(condition.low, condition.high, len(part))
            values[condition.expression] = drawn.astype(condition.dtype)
        extra = round(distractors * len(part))
        spoil = np.zeros(len(part) + extra, dtype=np.int64)
        if extra:
            values, spoil = _mix_in(values, extra, layout, rng)
        yield _branches(values, spoil, rng)


def _mix_in(
    values: dict[str, Array], extra: int, layout: Layout, rng: np.random.Generator
) -> tuple[dict[str, Array], Array]:
    """Insert events to be left out, and return with them how each is spoilt.

    0 is a good event. With I index branches, 1 to 2 I have one index that is -1 or beyond
    its list; in the others one condition of the cut fails.
    """
    events = len(next(iter(values.values())))
    faults = 2 * len(_indices(values))
    place = np.sort(rng.permutation(events + extra)[:events])
    spoil = 1 + np.arange(events + extra) % (faults + len(layout.failing))
    spoil[place] = 0
    mixed = {}
    for text, array in values.items():
        mixed[text] = rng.choice(array, events + extra)
        mixed[text][place] = array
    for number, condition in enumerate(layout.failing):
        chosen = spoil == 1 + faults + number
        drawn = rng.uniform(condition.low, condition.high, events + extra)
        mixed[condition.expression][chosen] = drawn[chosen]
    return mixed, spoil


def _indices(texts: Iterable[str]) -> list[str]:
    """Return the index branches that expressions need, each once."""
    return list(dict.fromkeys(p.index for p in map(_Place.of, texts) if p.index is not None))


def _branches(
    values: Mapping[str, Array], spoil: Array, rng: np.random.Generator
) -> dict[str, Any]:
    """Return branch name → array, flat or a list per event."""
    events = len(spoil)
    counts = {i: rng.integers(1, _LONGEST + 1, events) for i in _indices(values)}
    branches: dict[str, Any] = {i: rng.integers(0, n).astype(np.int32) for i, n in counts.items()}
    for text, array in values.items():
        place = _Place.of(text)
        if place.branch in branches:
            raise RootError(f"branch {place.branch!r} is to hold two different things")
        if place.index is not None:
            position = branches[place.index]
            branches[place.branch] = _hidden(array, counts[place.index], position, rng)
        elif place.position is not None:
            length = np.full(events, place.position + 1)
            branches[place.branch] = _hidden(array, length, length - 1, rng)
        else:
            branches[place.branch] = array
    for number, (name, length) in enumerate(counts.items()):
        branches[name][spoil == 1 + 2 * number] = -1
        beyond = spoil == 2 + 2 * number
        branches[name][beyond] = length[beyond]
    return branches


def _hidden(values: Array, counts: Array, position: Array, rng: np.random.Generator) -> Any:
    """Return lists of these lengths that hold the values at these positions."""
    import awkward as ak

    offsets = np.concatenate(([0], np.cumsum(counts)))
    content = rng.choice(values, offsets[-1]) * rng.uniform(0.3, 1.7, offsets[-1])
    content = content.astype(values.dtype)
    content[offsets[:-1] + position] = values
    return ak.Array(
        ak.contents.ListOffsetArray(ak.index.Index64(offsets), ak.contents.NumpyArray(content))
    )


def _write_file(path: Path, tree: str, chunks: Iterator[dict[str, Any]]) -> None:
    with extra("root", "writing ROOT files"):
        import uproot

    with uproot.recreate(path) as file:
        writable = None
        for chunk in chunks:
            if writable is None:
                types = {name: _branch_type(array) for name, array in chunk.items()}
                writable = file.mktree(tree, types, counter_name=_counter)
            writable.extend(chunk)


def _branch_type(array: Any) -> Any:
    import awkward as ak

    if isinstance(array, np.ndarray):
        return array.dtype
    return ak.types.ListType(ak.types.NumpyType(str(array.layout.content.data.dtype)))


def _counter(branch: str) -> str:
    """Return the name of the branch that counts a list, as NanoAOD names it."""
    return "n" + branch.split("_")[0]
