"""Whether two results of one recipe are the same: to the bit, or to a tolerance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import xarray as xr

from presage.labels import Array
from presage.store.files import Check, StoreError
from presage.store.netcdf import map_shard, read_dataset
from presage.store.sidecar import describe

#: Share of the largest value by which results may differ between environments, and
#: products anywhere: sums are added up in another order by another number of threads.
ELSEWHERE = 1e-4
#: For what is more than rounding in all of its variables.
NO_NOISE: Mapping[str, float] = MappingProxyType({})
_NOT_KEPT = (
    "this cannot be published, for netCDF would not give it back as it is; rename or drop what is "
    "named here, and attributes such as scale_factor, _FillValue or units with 'since'"
)


@dataclass(frozen=True)
class Claim:
    """What a writer says its file holds, to be held against one that was there first."""

    #: Variable → hash, dtype and shape; the same content needs no further look, and none is none.
    content: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: Called with the file that was first and whether it was made in the same environment;
    #: returns what differs, empty when it is close enough.
    difference: Callable[[Path, bool], str] = lambda _path, _here: ""
    advice: str = ""  # what to do when it differs


def shard_claim(
    content: Mapping[str, Mapping[str, Any]],
    arrays: Mapping[str, Array],
    tolerance: float,
    noise: Mapping[str, float] = NO_NOISE,
) -> Claim:
    """Return the claim of a shard.

    In the same environment values must agree bit for bit, or to the simulator's declared
    `tolerance` and `noise`; elsewhere (other library versions, another processor or accelerator)
    the last bits are not the recipe's.
    """

    def difference(path: Path, here: bool) -> str:
        share = tolerance if here else max(tolerance, ELSEWHERE)
        return arrays_differ(arrays, map_shard(path, tuple(arrays)), share, noise)

    advice = (
        "Draw every random number from the generator that is handed in; where a network's "
        "last bits differ from run to run, declare a tolerance; else raise its version"
    )
    return Claim(content, difference, advice)


def product_claim(dataset: xr.Dataset) -> Claim:
    """Return the claim of a product, which may differ by :data:`ELSEWHERE` anywhere."""
    ours = _arrays(dataset)

    def difference(path: Path, here: bool) -> str:  # noqa: ARG001
        return arrays_differ(ours, _arrays(read_dataset(path)))

    advice = (
        "What its result depends on (a setting, a seed, a parent) belongs into its recipe; "
        "raise its version when its code was changed, or remove the old one first"
    )
    return Claim(describe(ours), difference, advice)


def reads_back(dataset: xr.Dataset) -> Check:
    """Return the check that a written product is read as what it is, to the bit.

    Readers of netCDF take some attributes as instructions (``scale_factor``, ``_FillValue``,
    units with "since"), and there are names and values that it cannot hold.
    """

    def check(path: Path) -> None:
        try:
            stored = read_dataset(path)
            wrong = arrays_differ(_arrays(dataset), _arrays(stored), share=0.0)
            moved = sorted(map(repr, set(dataset.coords) ^ set(stored.coords)))
        except StoreError as error:
            raise StoreError(f"{_NOT_KEPT}: {error}") from error
        if wrong or moved:
            raise StoreError(f"{_NOT_KEPT}: {wrong or f'{moved[0]} is no coordinate any more'}")

    return check


def _arrays(dataset: xr.Dataset) -> dict[str, Array]:
    return {str(n): v.values for n, v in dataset.variables.items()}


def arrays_differ(
    ours: Mapping[str, Array],
    theirs: Mapping[str, Array],
    share: float = ELSEWHERE,
    noise: Mapping[str, float] = NO_NOISE,
) -> str:
    """Return in which array two results differ by more than `share` of its largest value.

    Where a share is tolerated, so is the `noise` of an array beside it. Integers and text have
    to be equal, and NaN stand in the same places.
    """
    others = sorted(set(ours) ^ set(theirs))
    if others:
        return f"only one of them has {others[0]!r}"
    for name, array in ours.items():
        found = _differs(array, theirs[name], share, noise.get(name, 0.0))
        if found:
            return f"{name!r} {found}"
    return ""


def _differs(array: Array, other: Array, share: float, noise: float) -> str:
    if array.shape != other.shape:
        return f"has shape {array.shape}, before it had {other.shape}"
    kinds = {array.dtype.kind, other.dtype.kind}
    if not kinds <= set("fc"):
        if kinds & set("OUT"):
            array, other = array.astype(str), other.astype(str)
        times = len(kinds) == 1 and bool(kinds & set("mM"))  # of which some may be missing
        same = np.array_equal(array, other, equal_nan=times)
        return "" if same else "has other values"
    unequal = (array != other) & ~(np.isnan(array) & np.isnan(other))
    if not unequal.any():
        return ""
    with np.errstate(invalid="ignore"):  # infinity less infinity
        apart = float(np.abs(array[unequal] - other[unequal]).max())
    finite = np.abs(other[np.isfinite(other)])
    largest = float(finite.max()) if finite.size else 0.0
    close = share > 0 and apart <= share * largest + noise
    return "" if close else f"differs by {apart:.3g}, largest {largest:.3g}"
