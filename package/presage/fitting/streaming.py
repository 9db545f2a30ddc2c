"""Fits that need one pass over the data: a mean, a covariance, a PCA basis.

They have no loss and no steps, only sums. Anything with ``update(chunk)`` can be fitted.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import xarray as xr

from presage.batches import BatchSource
from presage.fitting.errors import FitError
from presage.lineage import sample_dim, take
from presage.progress import Bar

_CHUNK = 64 << 20


class Accumulator(Protocol):
    """What can be fitted from chunks in one pass."""

    def update(self, chunk: Any) -> Any:
        """Take in some samples."""


A = TypeVar("A", bound=Accumulator)
D = TypeVar("D", xr.Dataset, xr.DataArray)


def fit_streaming(
    accumulator: A,
    data: xr.Dataset | xr.DataArray | BatchSource,
    *,
    dim: str | None = None,
    chunk_bytes: int = _CHUNK,
    progress: bool = True,
) -> A:
    """Feed a dataset to an accumulator, chunk by chunk in the order of its samples.

    Parameters
    ----------
    accumulator
        Anything with ``update(chunk)``: :class:`presage.transforms.moments.SpectralMoments`.
    data
        Stored dataset, one of its variables, or a source of batches (its epoch 0); only a
        chunk of it is in memory at a time.
    dim
        Dimension to cut along: the sample dimension by default.
    chunk_bytes
        Size of a chunk.
    progress
        Whether to show a bar.

    Returns
    -------
    Accumulator
        The same object, with everything taken in; its own method (``finish()``) gives the
        result. Accumulators of parts of the data can be merged.

    Raises
    ------
    FitError
        `data` has no such dimension, or no samples.
    """
    data = data.dataset if isinstance(data, BatchSource) else data
    dim = dim or _sample_dim(data)
    if dim not in data.dims or data.sizes[dim] == 0:
        raise FitError(f"there is nothing to go through along {dim!r}; dims {dict(data.sizes)}")
    samples = data.sizes[dim]
    rows = max(1, int(chunk_bytes // max(data.nbytes // samples, 1)))
    name = type(accumulator).__name__
    with Bar(total=samples, unit=dim, desc=name, disable=not progress) as bar:
        for start in range(0, samples, rows):
            stop = min(start + rows, samples)
            accumulator.update(_cut(data, dim, start, stop))
            bar.update(stop - start)
    return accumulator


def _cut(data: xr.Dataset | xr.DataArray, dim: str, start: int, stop: int) -> Any:
    """Return some samples, in memory; ragged variables are cut to the same samples."""
    if isinstance(data, xr.Dataset) and dim == data.attrs.get("presage_sample"):
        return take(data, slice(start, stop)).load()
    return data.isel({dim: slice(start, stop)}).load()


def _sample_dim(data: xr.Dataset | xr.DataArray) -> str:
    if isinstance(data, xr.Dataset):
        return sample_dim(data)
    named = [str(d) for d in data.dims if d in ("sample", "event", "tone")]
    if len(named) != 1:
        raise FitError(f"which of {tuple(data.dims)} counts samples? give dim=...")
    return named[0]
