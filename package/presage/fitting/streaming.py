"""Fits that need one pass over the data: a mean, a covariance, a PCA basis.

They have no loss and no steps, only sums. Anything with ``update(chunk)`` can be fitted; with a
specification, a frozen dataclass of its settings, the result is a dataset of the store whose
parents are the samples that it was fitted to.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

import xarray as xr

from presage.batches import BatchSource, Labelled, open_source
from presage.batches.source import Part, choose
from presage.fitting.errors import FitError
from presage.fitting.result import model_fields, origins
from presage.fitting.settings import validation_rule
from presage.fitting.splitting import COMPUTED, split
from presage.lineage import attributes_of, sample_dim, take
from presage.progress import Bar
from presage.recipe import Recipe
from presage.store import Store
from presage.transforms.weights import check_unweighted

_CHUNK = 64 << 20


class Accumulator(Protocol):
    """What can be fitted from chunks in one pass."""

    def update(self, chunk: Any) -> Any:
        """Take in some samples."""


A = TypeVar("A", bound=Accumulator)


@runtime_checkable
class OnePass(Protocol):
    """What :func:`presage.fit` fits in one pass: a frozen dataclass of its settings.

    Attributes
    ----------
    name, version
        Of its recipes; the version rises when the same settings give another result.
    variables
        What is read: the accumulator gets arrays of one name, or datasets of a list of names.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - attributes, see the class
    @property
    def version(self) -> int: ...  # noqa: D102
    @property
    def variables(self) -> str | list[str]: ...  # noqa: D102

    def accumulator(self) -> Any:
        """Return what takes the samples in."""

    def finish(self, moments: Any, /) -> xr.Dataset:
        """Return the labelled result of an accumulator that has taken everything in."""


def fit_one_pass(
    specification: OnePass,
    data: xr.Dataset | BatchSource,
    *,
    validation: Any = 0.05,
    store: Store | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Fit to the training part of some samples, or return at once what the store has.

    The parameters are those of :func:`presage.fit`; the training part is that of a model with
    the same `validation`. Of a source the samples of epoch 0 are taken.

    Raises
    ------
    FitError
        There is nothing to go through.
    LabelError
        The samples have weights, of which one pass takes no account.
    """
    fields = {"settings": model_fields(specification)}
    check_unweighted(data.labels if isinstance(data, BatchSource) else data, specification.name)
    names = specification.variables
    source = _chosen(open_source(data), [names] if isinstance(names, str) else names)
    rule = validation_rule(validation)
    train, _ = source.divide(partial(split, rule=rule))
    if isinstance(train, Part):  # of a source of one's own, which is known as a whole
        found, parents = source.identity(origins(store), 1)
        fields["validation"] = rule
    else:
        found, parents = train.identity(origins(store), 1)
    recipe = Recipe(
        specification.name,
        specification.version,
        {**fields, **found},
        scheme=COMPUTED if source.is_long else "",
        parents=tuple(parents),
    )

    def make() -> xr.Dataset:
        chosen: Any = train.dataset[names]
        dim, moments = sample_dim(train.dataset), specification.accumulator()
        fit_streaming(moments, chosen, dim=dim, progress=progress)
        return specification.finish(moments).assign_attrs(attributes_of(recipe))

    if store is None:
        return make()
    if progress and store.get(recipe) is not None:
        text = f"{recipe.producer} {recipe.key[:16]} is in the store; nothing to fit"
        Bar.write(text, file=sys.stderr)
    return store.compute(recipe, make)


def _chosen(source: BatchSource, names: list[str]) -> BatchSource:
    """Return a source that reads no other variables, where it can be told so."""
    choose(names, source.names, ())
    if isinstance(source, Labelled):
        return Labelled(source.dataset[names])
    chosen = source.select(names)
    return source if isinstance(chosen, Part) else chosen


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
