"""One named dimension of an array as channels: their labels, and blocks of bounded size.

Arrays may be lazy, have the channels at any position, and be real, complex, or real with a
dimension ``component`` of (real, imag). They are read slab by slab and handed on as small
float64 blocks ``[channel, spectrum]``, whatever type they are stored in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from presage.labels import LabelError, from_complex, nearest, to_complex
from presage.labels.caller import warn_caller

Matrix = NDArray[Any]
COMPONENT = "component"
#: Not a number in both parts.
NAN = complex(np.nan, np.nan)
#: Values read at a time from a lazy array.
SLAB = 1 << 24
#: Values in a block of float64: so few that they stay in a core's second-level cache, and thin
#: products with them on one thread of BLAS, for applying; so many that merging costs little, for
#: fitting.
APPLIED, FITTED = 1 << 17, 1 << 20
#: Slabs of fewer values are not worth a second thread.
THREADED = 1 << 20


@dataclass(frozen=True, eq=False)
class Channels:
    """The channels that moments belong to: a dimension, its coordinate, the data's unit."""

    dim: str  # name of the dimension
    values: Matrix  # its coordinate's values
    unit: str  # unit of the coordinate and of the data
    data_unit: str
    is_complex: bool  # complex data, or real data with a dimension ``component``

    @classmethod
    def of(cls, data: xr.DataArray, dim: str) -> Channels:
        """Read the channels of an array.

        Raises
        ------
        LabelError
            The dimension or its coordinate is missing.
        """
        if dim not in data.dims:
            raise LabelError(
                f"the data have no dimension {dim!r}{nearest(dim, map(str, data.dims))}"
            )
        if dim not in data.coords:
            raise LabelError(
                f"dimension {dim!r} has no coordinate; "
                f"name its values: data.assign_coords({dim}=...)"
            )
        coordinate = data[dim]
        return cls(
            dim,
            np.asarray(coordinate.values),
            str(coordinate.attrs.get("units", "1")),
            str(data.attrs.get("units", "1")),
            data.dtype.kind == "c" or COMPONENT in data.dims,
        )

    def check(self, other: Channels) -> None:
        """Refuse data whose channels are not these.

        Numbers may differ by 1e-6 of the largest one (a coordinate stored in float32), but
        never by more than a hundredth of the spacing.

        Raises
        ------
        LabelError
            Another unit, missing or extra channels, another order, real for complex.
        """
        dim = self.dim
        if other.unit != self.unit:
            raise LabelError(f"{dim!r} should be in {self.unit!r}, got {other.unit!r}; convert it")
        if other.is_complex != self.is_complex:
            kinds = ("real", "complex")
            raise LabelError(
                f"expected {kinds[self.is_complex]} data, got {kinds[other.is_complex]}"
            )
        same = self._same(other.values)
        missing = self.values[~same.any(axis=1)]
        extra = other.values[~same.any(axis=0)]
        wrong = [
            f"{what} {_few(values)}"
            for what, values in (("missing", missing), ("unknown", extra))
            if len(values)
        ]
        if wrong:
            raise LabelError(
                f"the channels along {dim!r} are not those fitted: {', '.join(wrong)} "
                f"({len(self.values)} fitted, {len(other.values)} given)"
            )
        if len(self.values) != len(other.values) or not same.diagonal().all():
            raise LabelError(
                f"the channels along {dim!r} stand in another order than those fitted, "
                f"{_few(self.values)}; sort or select them by coordinate first"
            )

    def check_unit(self, other: Channels) -> None:
        """Refuse data in another unit than those before."""
        if other.data_unit != self.data_unit:
            raise LabelError(
                f"the first data were in {self.data_unit!r}, these are in {other.data_unit!r}; "
                "convert them first"
            )

    def say_dead(self, live: Matrix) -> None:
        """Warn of channels without data, which a fit leaves out."""
        if not live.all():
            warn_caller(
                f"{int((~live).sum())} of {len(live)} channels along {self.dim!r} hold no data and "
                f"are left out: {_few(self.values[~live])}"
            )

    def _same(self, values: Matrix) -> Matrix:
        """Return which fitted channel (row) equals which given one (column)."""
        ours, theirs = self.values[:, None], values[None, :]
        if ours.dtype.kind not in "fiu" or theirs.dtype.kind not in "fiu":
            return np.asarray(ours.astype(str) == theirs.astype(str))
        ours, theirs = ours.astype(float), theirs.astype(float)
        tolerance = 1e-6 * float(np.abs(ours).max(initial=0.0))
        if ours.size > 1:
            tolerance = min(tolerance, 0.01 * float(np.diff(np.sort(ours[:, 0])).min()))
        return np.asarray(np.abs(ours - theirs) <= tolerance)


def _few(values: Matrix) -> str:
    shown = ", ".join(
        f"{value:g}" if values.dtype.kind == "f" else str(value) for value in values[:3]
    )
    return shown + (", ..." if len(values) > 3 else "")


def joined(data: xr.DataArray) -> xr.DataArray:
    """Return complex values where there is a dimension ``component``; refuse non-numbers."""
    if data.dtype.kind not in "fiuc":
        raise LabelError(f"expected numbers, got dtype {data.dtype}")
    return to_complex(data) if COMPONENT in data.dims else data


def stored_type(data: xr.DataArray) -> np.dtype[Any]:
    """Return the type of the result: float32 stays float32, all else is float64."""
    single = data.dtype in (np.dtype("float32"), np.dtype("complex64"))
    if COMPONENT in data.dims or data.dtype.kind == "c":
        return np.dtype("complex64" if single else "complex128")
    return np.dtype("float32" if single else "float64")


def like(result: xr.DataArray, data: xr.DataArray) -> xr.DataArray:
    """Split complex values again where `data` had ``component``, at the same position."""
    if COMPONENT not in data.dims:
        return result
    position = data.dims.index(COMPONENT)
    order = list(result.dims)
    order.insert(position, COMPONENT)
    return from_complex(result).transpose(*order).rename(data.name)


def spread(weights: xr.DataArray, data: xr.DataArray) -> xr.DataArray:
    """Check weights against data and return them with the data's dims, ``component`` left out.

    Raises
    ------
    LabelError
        Unknown dims, other coordinates, values that are negative or not finite.
    """
    dims = [dim for dim in data.dims if dim != COMPONENT]
    unknown = [str(dim) for dim in weights.dims if dim not in dims]
    if unknown:
        raise LabelError(
            f"weights have dimension {unknown[0]!r}, the data do not"
            f"{nearest(unknown[0], map(str, dims))}"
        )
    frame = data.isel({COMPONENT: 0}, drop=True) if COMPONENT in data.dims else data
    try:
        xr.align(frame, weights, join="exact", copy=False)
    except ValueError as error:
        raise LabelError(f"weights and data have different coordinates: {error}") from error
    values = weights.values
    if values.dtype.kind not in "bfiu" or not (np.isfinite(values) & (values >= 0)).all():
        raise LabelError("weights should be finite and not negative; 0 hides a value")
    return weights.broadcast_like(frame).transpose(*dims)


@dataclass(frozen=True, eq=False)
class Slab:
    """A part of an array in memory: values ``[before, channel, after]`` and where they go."""

    where: dict[str, slice]
    values: Matrix
    weights: Matrix | None

    def places(self, size: int) -> list[tuple[slice, slice]]:
        """Cut the first and last axis so that a block has about `size` values."""
        before, channels, after = self.values.shape
        wide = min(after, max(1, size // max(1, channels)))
        deep = max(1, size // max(1, channels * wide))
        return [
            (slice(i, i + deep), slice(j, j + wide))
            for i in range(0, before, deep)
            for j in range(0, after, wide)
        ]

    def scratch(self, size: int) -> Matrix:
        """Return memory for any block: fresh memory for each would cost more than the work."""
        before, channels, after = self.values.shape
        kind = complex if self.values.dtype.kind == "c" else float
        return np.empty(min(max(size, channels), before * channels * after), kind)

    def block(self, place: tuple[slice, slice], scratch: Matrix) -> tuple[Matrix, Matrix | None]:
        """Return one place ``[channel, spectrum]``, copied to scratch, and its weights."""
        weights = None if self.weights is None else _flat(self.weights, place, None)
        return _flat(self.values, place, scratch), weights


def _flat(values: Matrix, place: tuple[slice, slice], scratch: Matrix | None) -> Matrix:
    part = values[place[0], :, place[1]]
    # Where channels come last rows stay contiguous, and BLAS takes the transpose.
    last = part.shape[2] == 1
    moved = part[:, :, 0] if last else part.transpose(1, 0, 2)
    out = np.empty(moved.shape) if scratch is None else scratch[: moved.size].reshape(moved.shape)
    out[...] = moved
    return out.T if last else out.reshape(len(out), -1)


def slabs(data: xr.DataArray, dim: str, weights: xr.DataArray | None = None) -> Iterator[Slab]:
    """Read an array slab by slab along the channels `dim`: a lazy one is never in memory whole.

    The weights are those that :func:`spread` returns.
    """
    others = [str(d) for d in data.dims if d not in (dim, COMPONENT) and data.sizes[d] > 1]
    split = others[0] if others else None
    length = data.sizes[split] if split else 1
    step = max(1, SLAB * length // max(1, data.size))
    for start in range(0, length, step):
        where = {split: slice(start, start + step)} if split else {}
        part = joined(data.isel(where))
        axis = part.dims.index(dim)
        shape = part.shape
        flat = int(np.prod(shape[:axis])), shape[axis], int(np.prod(shape[axis + 1 :]))
        chosen = None if weights is None else weights.isel(where).values.reshape(flat)
        yield Slab(where, part.values.reshape(flat), chosen)


def mapped(
    data: xr.DataArray,
    dim: str,
    function: Callable[[Matrix, Matrix | None], Matrix],
    rows: int,
    dtype: Any,
    weights: xr.DataArray | None = None,
) -> Matrix:
    """Apply `function` to float64 blocks ``[channel, spectrum]`` and gather ``[row, spectrum]``.

    Returns
    -------
    numpy.ndarray
        Shape of `data` without ``component``, with `rows` values along `dim`.
    """
    dims = [str(d) for d in data.dims if d != COMPONENT]
    out = np.empty([rows if d == dim else data.sizes[d] for d in dims], dtype)
    for slab in slabs(data, dim, weights):
        target = out[tuple(slab.where.get(d, slice(None)) for d in dims)]
        before, _, after = slab.values.shape
        view = target.reshape(before, rows, after)
        _fill(view, slab, function)
        if not np.may_share_memory(view, out):
            target[...] = view.reshape(target.shape)
    return out


def _fill(view: Matrix, slab: Slab, function: Callable[[Matrix, Matrix | None], Matrix]) -> None:
    def some(places: list[tuple[slice, slice]]) -> None:
        scratch = slab.scratch(APPLIED)
        for place in places:
            part = view[place[0], :, place[1]]
            result = function(*slab.block(place, scratch))
            part[...] = result.reshape(part.shape[1], part.shape[0], -1).transpose(1, 0, 2)

    places = slab.places(APPLIED)
    threads = min(4, os.cpu_count() or 1) if slab.values.size >= THREADED else 1
    if threads == 1:
        some(places)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(some, [places[k::threads] for k in range(threads)]):
            pass
