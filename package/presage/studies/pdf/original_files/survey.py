"""One look at all of a file: is it what its name and arrays say, and what do its columns mean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from presage.exchange.numpy_archive import Member, NumpyFileError
from presage.labels import Array, nearest
from presage.studies.pdf.law import Feature, Range
from presage.studies.pdf.original_files.layouts import (
    GROUPS,
    Extent,
    check_problem,
    features_of,
    prior_of,
)

#: Bytes of the largest among the arrays that only describe the others.
_SMALL = 4096
_NAME = re.compile(r"([a-z_]+)_ns(\d{1,12})_ne(\d{1,12})_nr(\d{1,12})\.npz")
#: Numbers that a file's name and its small arrays repeat: name → axis of the events.
_SIZES = {"num_samples": 0, "num_events": 2, "n_repeat": 1}


@dataclass(frozen=True)
class Survey:
    """What a file holds."""

    prior: tuple[Range, ...]  # what its columns mean
    features: tuple[Feature, ...]
    dtype: str  # type that events are stored in
    lost: int  # events with a value that is not finite
    shortest: int  # fewest finite events of a set


def survey(
    members: Mapping[str, Member],
    path: Path,
    problem: str,
    features: Sequence[str],
    prior: Sequence[tuple[float, float]],
    memory: int,
) -> Survey:
    """Read all of a file once, `memory` bytes at a time.

    What the user says of it is as of the reader; nothing leaves it to the file.
    """
    where = path.name
    _, events = _arrays(members, where)
    problem = _problem(members, path, problem)
    _check_sizes(members, path, events.shape)
    extent, lost, shortest = _extent(members, where, memory)
    return Survey(
        prior_of(problem, extent, prior, where),
        features_of(problem, extent, features, where),
        "float64" if events.dtype.itemsize == 8 else "float32",
        lost,
        shortest,
    )


def pieces(members: Mapping[str, Member], where: str, memory: int) -> Iterator[tuple[Array, Array]]:
    """Yield parameters ``[n, P]`` and events ``[n, repeat, event, F]`` of a few samples."""
    theta, events = _arrays(members, where)
    total, *rest = events.shape
    step = max(1, memory // (int(np.prod(rest)) * max(events.dtype.itemsize, 8)))
    for start in range(0, total, step):
        rows = slice(start, min(start + step, total))
        yield theta[rows].astype(np.float64), events[rows]


def first_valid(events: Array, length: int) -> Array:
    """Return the first `length` finite events of each set ``[n, repeat, event, F]``, in order."""
    invalid = ~np.isfinite(events).all(axis=-1)
    order = np.argsort(invalid, axis=-1, kind="stable")[..., :length]
    return np.take_along_axis(events, order[..., None], axis=-2)


def _arrays(members: Mapping[str, Member], where: str) -> tuple[Member, Member]:
    """Return parameters and events, held against each other."""
    theta = _array(members, ("thetas", "theta"), ("sample", "parameter"), where)
    events = _array(members, ("events",), ("sample", "repeat", "event", "feature"), where)
    if theta.shape[0] != events.shape[0]:
        raise NumpyFileError(
            f"{where}: parameters of {theta.shape[0]} samples and events of {events.shape[0]}"
        )
    if 0 in theta.shape or 0 in events.shape:
        raise NumpyFileError(f"{where}: an empty set, of shapes {theta.shape} and {events.shape}")
    return theta, events


def _array(
    members: Mapping[str, Member], names: tuple[str, ...], dims: tuple[str, ...], where: str
) -> Member:
    found = [name for name in names if name in members]
    if len(found) != 1:
        seen = "both are there" if found else f"there is none{nearest(names[0], members)}"
        raise NumpyFileError(f"{where}: one array {' or '.join(names)} is expected, {seen}")
    member = members[found[0]]
    if member.dtype.kind not in "iuf":
        raise NumpyFileError(f"{where}: {found[0]!r} holds {member.dtype}, not numbers")
    if len(member.shape) != len(dims):
        shown = ", ".join(dims)
        raise NumpyFileError(f"{where}: {found[0]!r} is [{shown}], got shape {member.shape}")
    return member


def _problem(members: Mapping[str, Member], path: Path, wanted: str) -> str:
    """Return the problem that user, file name and file agree on."""
    match = _NAME.fullmatch(path.name)
    said = {
        "the file": str(_single(members["problem"], "U")) if "problem" in members else "",
        "its name": match[1] if match else "",
        "problem=": wanted,
    }
    known = {who: name for who, name in said.items() if name}
    if not known:
        raise NumpyFileError(
            f"{path.name}: neither the file nor its name says which problem it is of; give problem="
        )
    if len(set(known.values())) > 1:
        shown = ", ".join(f"{who} says {name[:60]!r}" for who, name in known.items())
        raise NumpyFileError(f"{path.name}: of which problem? {shown}")
    return check_problem(next(iter(known.values())), path.name)


def _check_sizes(members: Mapping[str, Member], path: Path, shape: tuple[int, ...]) -> None:
    """Refuse a file whose name or small arrays say other sizes than its arrays have."""
    match = _NAME.fullmatch(path.name)
    for place, (name, axis) in enumerate(_SIZES.items(), start=2):
        said = {"its name": int(match[place])} if match else {}
        if name in members:
            said[f"its {name}"] = int(_single(members[name], "iu"))
        for who, value in said.items():
            if value != shape[axis]:
                raise NumpyFileError(
                    f"{path.name}: {who} says {name} = {value}, and its events have shape {shape}"
                )


def _single(member: Member, kinds: str) -> Any:
    """Return the only value of an array."""
    single = member.shape in ((), (1,)) and 0 < member.header.nbytes <= _SMALL
    if not single or member.dtype.kind not in kinds:
        raise NumpyFileError(
            f"{member.where}: one {'name' if kinds == 'U' else 'integer'} is expected, got "
            f"{member.dtype} of shape {member.shape}"
        )
    return member.whole().reshape(-1)[0].item()


def _extent(members: Mapping[str, Member], where: str, memory: int) -> tuple[Extent, int, int]:
    """Return extremes, number of events that are not finite, and fewest finite ones of a set."""
    theta, events = _arrays(members, where)
    ends = {"theta": _no_ends(theta.shape[-1]), "events": _no_ends(events.shape[-1])}
    groups = GROUPS.get(events.shape[-1], 0)
    lost, shortest, doubled = 0, events.shape[2], bool(groups)
    for parameters, sets in pieces(members, where, memory):
        if not np.isfinite(parameters).all():
            raise NumpyFileError(f"{where}: its parameters are not all finite")
        finite = np.isfinite(sets)
        valid = finite.all(axis=-1)
        lost += int(np.count_nonzero(~valid))
        shortest = min(shortest, int(np.count_nonzero(valid, axis=-1).min()))
        _widen(ends["theta"], parameters)
        _widen(ends["events"], np.where(finite, sets, np.nan))
        first, second = sets[..., :groups], sets[..., groups : 2 * groups]
        doubled = doubled and np.array_equal(first, second, equal_nan=True)
    return Extent(*ends["theta"], *ends["events"], doubled), lost, shortest


def _no_ends(columns: int) -> tuple[Array, Array]:
    return np.full(columns, np.inf), np.full(columns, -np.inf)


def _widen(ends: tuple[Array, Array], values: Array) -> None:
    """Take the last axis' columns into their extremes, in place; NaN counts as nothing."""
    for column in range(values.shape[-1]):
        one = values[..., column].reshape(-1)
        ends[0][column] = np.fmin(ends[0][column], np.fmin.reduce(one))
        ends[1][column] = np.fmax(ends[1][column], np.fmax.reduce(one))
