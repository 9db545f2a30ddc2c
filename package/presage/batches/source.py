"""What batches are cut from: one protocol for stored samples, made ones, pools and your own.

A source says how many samples an epoch has and gives any of them: ``gather(numbers, epoch,
buffers)`` is a pure function, so the plan may ask any rank for any samples in any order, and a
run that was interrupted goes on without going back. :class:`~presage.batches.Batches` and
:func:`presage.fit` take a source wherever they take a dataset. presage's own are
:class:`~presage.batches.labelled.Labelled` (a dataset, stored or on the fly) and
:class:`~presage.batches.pools.Paired` (several pools, paired at random).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import is_dataclass
from functools import cached_property
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import numpy as np
import pandas as pd
import xarray as xr
from xarray.core import indexing

from presage.batches.cutting import padded
from presage.batches.permutation import is_long
from presage.batches.plan import Epoch, Plan
from presage.batches.shares import BatchError, Share
from presage.batches.tables import Buffers
from presage.labels import Array, Schema, check_arrays, nearest
from presage.lineage import SAMPLE
from presage.plugins import declared
from presage.positions import Positions, Rows, pick
from presage.recipe import Parent, settings_of
from presage.store.lazy import PiecedArray

#: Dataset → for each variable which stored samples it holds.
Origins = Callable[[xr.Dataset], Mapping[str, Parent]]
#: Number of samples → the positions to train on and those to validate on.
Cut = Callable[[int], tuple[Rows, Rows]]
#: Name and array → the same as a tensor on a device; equal for the same device.
Move = Callable[[str, Array], Any]
_SHOWN = 256  # samples with ragged dimensions that a source's dataset shows


class BatchSource(ABC):
    """Samples for batches.

    A source of your own is a frozen dataclass of its settings with `name`, `version`, `samples`,
    `schema` and `gather`; everything else has a default. A setting that is a dataset counts
    as a parent, all others stand in the recipe of what is trained from the source.

    A model for a source implements what every model does. Its ``prepare(dataset)`` gets
    :attr:`dataset`, the samples of epoch 0 with their labels, computed when they are read: it
    should look at few, declare the variables it wants and return ``arrays=None``, for a source
    streams. What takes a pass over much data (a scale, a basis) is fitted and stored beforehand
    and named among the model's ``parents``.

    Attributes
    ----------
    name, version
        Of what `gather` computes; raise the version whenever its results change.
    samples
        How many an epoch has.
    schema
        Name of the sample dimension, variables with their dims and units, coordinates.
    fresh
        Whether another epoch has other samples.
    block
        Samples of a simulator's block, for ``shuffle="aligned"``; 0 where there is none.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> from presage.batches import Batches, BatchSource
    >>> from presage.labels import Schema, Variable
    >>> from presage.rng import generator
    >>> @dataclass(frozen=True)
    ... class Tones(BatchSource):
    ...     length: int = 8
    ...     samples: int = 1000
    ...     name, version = "tones", 1
    ...     schema = Schema("tone", (Variable("wave", ("time",), unit="V"),))
    ...
    ...     def gather(self, numbers, epoch, buffers):
    ...         wave = buffers.get("wave", (len(numbers), self.length), np.dtype("float32"))
    ...         for row, number in enumerate(numbers):
    ...             phase = generator(self.name, epoch, int(number)).uniform(0, 2 * np.pi)
    ...             wave[row] = np.sin(np.arange(self.length) + phase)
    ...         return {"wave": wave}
    >>> [batch["wave"].shape for batch in Batches(Tones(), 400, seed=1)]
    [(400, 8), (400, 8), (200, 8)]
    >>> Tones().dataset["wave"].dims, Tones().dataset["wave"].attrs["units"]
    (('tone', 'time'), 'V')
    """

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    samples: int
    schema: Schema
    fresh: bool = True
    block: int = 0
    #: Bytes of all samples that lie in mapped files.
    mapped_bytes: int = 0
    _order: Positions | None = None

    @abstractmethod
    def gather(self, numbers: Positions, epoch: int, buffers: Buffers) -> dict[str, Array]:
        """Return some samples: a pure function, called from several threads.

        Parameters
        ----------
        numbers
            Numbers of samples, each from 0 to `samples` - 1, in any order.
        epoch
            The epoch they are for; one that is not `fresh` has no use for it.
        buffers
            ``buffers.get(name, shape, dtype)`` gives memory that is used again later.

        Returns
        -------
        dict
            Name → array ``[number, ...]``. Ragged ones are flat, one row after the other, with
            ``<dim>_count`` ``[number]``.
        """

    # -- labels ----------------------------------------------------------------------------

    @cached_property
    def labels(self) -> xr.Dataset:
        """A dataset without samples: names, dims, units, coordinates of what batches hold."""
        arrays = self._few(1)
        check_arrays(arrays, self.schema, 1, self.name)
        found = {}
        for name, (dims, variable) in self.schema.stored().items():
            if arrays[name].dtype != np.dtype(variable.dtype):
                raise BatchError(
                    f"{self.name}: {name!r} is declared as {variable.dtype}, gather gave "
                    f"{arrays[name].dtype}"
                )
            attributes = variable.attributes()
            flat = name.removesuffix("_count")
            if flat in self.schema.ragged:
                attributes["sample_dimension"] = flat
            found[name] = xr.Variable(dims, arrays[name][:0], attributes)
        coords = {c.name: c.variable() for c in self.schema.coordinates}
        return xr.Dataset(found, coords=coords, attrs={SAMPLE: self.schema.sample})

    @cached_property
    def dataset(self) -> xr.Dataset:
        """The samples of epoch 0 as a labelled dataset, computed when they are read.

        With ragged variables only the first 256 of them, in memory.
        """
        labels, n = self.labels, self.samples
        sample = str(labels.attrs[SAMPLE])
        if self.flat:
            n = min(n, _SHOWN)
            arrays: Mapping[str, Any] = self._few(n)
        else:
            arrays = {
                str(v): indexing.LazilyIndexedArray(_Lazy(self, str(v), labels[str(v)]))
                for v in labels.data_vars
            }
        found = {str(v): (a.dims, arrays[str(v)], a.attrs) for v, a in labels.data_vars.items()}
        numbers = (sample, pd.RangeIndex(n), {"long_name": "sample number"})
        others = labels.drop_dims(sample).coords
        return xr.Dataset(found, coords={**others, sample: numbers}, attrs=labels.attrs)

    @property
    def names(self) -> tuple[str, ...]:
        """Variables of a batch, in order."""
        return tuple(map(str, self.labels.data_vars))

    @cached_property
    def flat(self) -> Mapping[str, str]:
        """Ragged variable → its ragged dimension."""
        dims = {str(a.attrs["sample_dimension"]) for a in self.labels.data_vars.values()
                if "sample_dimension" in a.attrs}  # fmt: skip
        return {str(n): str(a.dims[0]) for n, a in self.labels.data_vars.items()
                if a.dims[0] in dims}  # fmt: skip

    def numbers(self, positions: Positions, epoch: int) -> Positions:
        """Return by which numbers samples are named in messages."""
        return positions + epoch * self.samples if self.fresh else positions

    # -- identity and parts ----------------------------------------------------------------

    def identity(self, origins: Origins, epochs: int) -> tuple[dict[str, Any], list[Parent]]:
        """Return what stands in the recipe of what is trained from it: fields and parents.

        Raises
        ------
        BatchError
            It is no dataclass with a name, so nothing says what its samples are.
        """
        settled: bool = is_dataclass(self)
        if not settled or not self.name:
            raise BatchError(
                f"{type(self).__name__} is to be a frozen dataclass of its settings, with a name "
                "and a version, so that a recipe can say what was trained from"
            )
        parents: list[Parent] = []

        def plain(value: Any) -> Any:
            if isinstance(value, xr.Dataset):
                found = origins(value)
                parents.extend(p for p in dict.fromkeys(found.values()) if p not in parents)
                return {name: parents.index(parent) for name, parent in found.items()}
            if isinstance(value, Mapping):
                return {name: plain(one) for name, one in value.items()}
            return declared(value, self.name)[1] if callable(value) else value

        settings = plain(settings_of(self))
        source = {"name": self.name, "version": self.version, "settings": settings}
        return {"source": source}, parents

    def divide(self, cut: Cut) -> tuple[BatchSource, BatchSource | None]:
        """Return the source to train on and the one to validate on; they share nothing."""
        train, held = cut(self.samples)
        return (Part(self, train), Part(self, held)) if len(held) else (self, None)

    def select(self, names: Iterable[str]) -> BatchSource:
        """Return the source of some variables only."""
        return Part(self, None, tuple(names))

    # -- orders ----------------------------------------------------------------------------

    @property
    def is_long(self) -> bool:
        """Whether an order of its samples is computed and no list."""
        return is_long(self.samples)

    def automatic(self, limit: float) -> str:
        """Return the order where none is asked for and `limit` bytes count as fitting."""
        return "block" if self.mapped_bytes > limit else "full"

    def plan(self, shuffle: str, batch_size: int, seed: int, drop_last: bool) -> Plan:
        """Return the plan of a shuffle.

        Raises
        ------
        BatchError
            Samples cannot be read in such an order.
        """
        if shuffle == "aligned":
            if not self.block:
                raise BatchError(
                    "shuffle='aligned' goes by a simulator's blocks: it needs samples of one "
                    "simulator, without holes and from the beginning of a block on"
                )
            kind = "stream" if self.fresh else "aligned"
            size = self.row_bytes
            return Plan.aligned(self.samples, batch_size, size, self.block, seed, drop_last, kind)
        if shuffle == "block":
            return Plan.blocks(self.samples, batch_size, self.row_bytes, seed, drop_last)
        return Plan(self.samples, batch_size, seed, shuffle, drop_last=drop_last)

    # -- reading ---------------------------------------------------------------------------

    @property
    def opened(self) -> BatchSource:
        """What batches are read from; itself, unless opening takes time."""
        return self

    @cached_property
    def row_bytes(self) -> int:
        """Bytes of one sample, about."""
        return max(1, sum(array.nbytes for array in self._few(1).values()))

    def in_dataset(self, positions: Positions) -> Positions:
        """Return the positions in the dataset of positions of the plan."""
        return pick(self._order, positions)

    def read_ahead(self, start: int, stop: int) -> None:
        """Let the kernel read the mapped files of these positions, without waiting for it."""
        return

    @contextmanager
    def reading(
        self, epoch: Epoch, start: int, few: int, ranks: tuple[int, int], more: bool = False
    ) -> Iterator[Reader]:
        """Yield what gathers an epoch from step `start` on; `more` epochs may follow.

        A place to make things ahead: `few` steps are gathered at once, for rank and world size.
        """
        yield Reader(self, epoch.number)

    def on_device(self, move: Move, pad: bool) -> Callable[[Positions, int], Cutter]:
        """Move all samples to a device, and return what makes a cutter of positions and epoch.

        Raises
        ------
        BatchError
            Ragged variables that are not padded, or samples that are new in every epoch.
        """
        if self.flat and not pad:
            raise BatchError(
                f"{next(iter(self.flat))!r} is ragged: a device holds it only padded; pass pad=True"
            )
        if self.fresh:
            raise BatchError("samples that are new in every epoch cannot stay on a device")
        tensors = self._moved.get((move, pad))  # a part that shares them came before
        if tensors is None:
            arrays = padded(self.all_arrays(), self.flat)
            tensors = self._moved[move, pad] = _Tensors((n, move(n, a)) for n, a in arrays.items())

        def at(positions: Positions, epoch: int) -> Cutter:
            del epoch
            index = move("positions", positions)
            return lambda span: {n: t.index_select(0, index[span]) for n, t in tensors.items()}

        return at

    def device_bytes(self) -> int | None:
        """Return what a device would hold for a training that streams; None: it streams."""
        return None

    @cached_property
    def _moved(self) -> WeakValueDictionary[tuple[Move, bool], _Tensors]:
        return WeakValueDictionary()

    def all_arrays(self) -> dict[str, Array]:
        """Return all samples of epoch 0."""
        return self._few(self.samples)

    def _few(self, n: int) -> dict[str, Array]:
        return self.gather(np.arange(n), 0, Buffers(reuse=False))


Cutter = Callable[[slice], dict[str, Any]]


class _Tensors(dict[str, Any]):
    """Samples on a device, for as long as something cuts batches from them."""


class Reader:
    """Gathers the shares of an epoch."""

    def __init__(self, source: BatchSource, epoch: int) -> None:
        self.source, self.epoch = source, epoch

    def __call__(self, share: Share, buffers: Buffers) -> dict[str, Array]:
        """Return the samples of a share."""
        return self.source.gather(share.positions, self.epoch, buffers)

    def stop(self) -> None:
        """Make nothing more ahead: the reader has left."""


class Part(BatchSource):
    """Some samples, or some variables, of another source; None for all."""

    names: tuple[str, ...] = ()

    def __init__(
        self, whole: BatchSource, positions: Rows | None, names: Sequence[str] | None = None
    ) -> None:
        self.whole, self.positions = whole, positions
        self.samples = whole.samples if positions is None else len(positions)
        self.fresh = whole.fresh
        self.mapped_bytes = whole.opened.mapped_bytes * self.samples // max(1, whole.samples)
        wanted = choose(names, whole.names, whole.names)
        counts = [f"{whole.flat[name]}_count" for name in wanted if name in whole.flat]
        self.names = tuple(dict.fromkeys([*counts, *wanted]))
        self.labels = whole.labels[[name for name in self.names if name in whole.labels]]

    def gather(self, numbers: Positions, epoch: int, buffers: Buffers) -> dict[str, Array]:
        """Return some samples."""
        found = self.whole.gather(pick(self.positions, numbers), epoch, buffers)
        return {name: found[name] for name in self.names}

    def numbers(self, positions: Positions, epoch: int) -> Positions:
        """Return the numbers that the whole gives these samples."""
        return self.whole.numbers(pick(self.positions, positions), epoch)

    def select(self, names: Iterable[str]) -> BatchSource:
        """Return the source of some variables only; no others are read."""
        return Part(self.whole.select(names), self.positions)

    def read_ahead(self, start: int, stop: int) -> None:
        """Let the kernel read the mapped files of these positions."""
        first, last = pick(self.positions, np.array([start, stop - 1])).tolist()
        self.whole.opened.read_ahead(first, last + 1)

    def on_device(self, move: Move, pad: bool) -> Callable[[Positions, int], Cutter]:
        """Move the whole to a device, which other parts of it then share."""
        if self.names != self.whole.names:
            return super().on_device(move, pad)
        at = self.whole.opened.on_device(move, pad)
        return lambda positions, epoch: at(pick(self.positions, positions), epoch)


class _Lazy(PiecedArray):
    """One variable of a source in epoch 0, gathered when it is indexed."""

    def __init__(self, source: BatchSource, name: str, labels: xr.DataArray) -> None:
        self.source, self.name = source, name
        self.shape, self.dtype = (source.samples, *labels.shape[1:]), labels.dtype

    def _read(self, key: tuple[Any, ...]) -> Array:
        every, rows = pd.RangeIndex(self.shape[0]), key[0]
        one = isinstance(rows, (int, np.integer))
        numbers = every[rows] if isinstance(rows, slice) else every.take(np.atleast_1d(rows))
        found = self.source.gather(numbers.to_numpy(), 0, Buffers(reuse=False))[self.name]
        rows = np.arange(len(found))
        cut = self._rows(rows, key[1:], 0 * rows, lambda _: (found, 0))
        return np.asarray(cut[0]) if one else cut


def choose(
    variables: Iterable[str] | None, known: Iterable[str], default: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the variables that were asked for, each once, or the default; unknown ones raise."""
    names = list(known)
    wanted = default if variables is None else tuple(variables)
    if isinstance(variables, str):
        wanted = (variables,)
    for name in wanted:
        if name not in names:
            raise BatchError(f"there is no variable {name!r}{nearest(name, names)}")
    if not wanted:
        raise BatchError("no variable has the sample dimension; name some with variables=")
    return tuple(dict.fromkeys(wanted))
