"""What batches are cut from: a stored dataset, any labelled dataset, or plain arrays.

Dimension *names* decide which axis counts samples. Variables that are still on disk are
read where they lie; what is in memory is used as it is, so that a value changed after
opening is the value that is trained on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from presage.batches.arrays import ArraySource
from presage.batches.made import Made
from presage.batches.shares import BatchError
from presage.batches.source import BatchSource, Cut, Origins, Part, choose
from presage.batches.tables import Buffers, Table
from presage.labels import Array, LabelError, nearest
from presage.lineage import RECIPE, flat_rows, ragged_rows, recipe_of, sample_dim, sample_numbers
from presage.positions import Computed, Positions, Rows, as_index, listed, pick, same
from presage.recipe import Parent
from presage.rng import SCHEME
from presage.store.identity import made_rows, stored_rows
from presage.store.lazy import StoredArray
from presage.store.made import MadeArray


def open_source(
    source: xr.Dataset | Mapping[str, Any] | BatchSource,
    variables: Iterable[str] | None = None,
    sample: str | None = None,
) -> BatchSource:
    """Return what was given as a source of batches.

    Parameters
    ----------
    source
        A dataset, a source, or name → array: plain arrays count samples along their first
        axis, labelled ones along `sample`.
    variables
        Which to read; by default every data variable that has the sample dimension, the
        ragged ones included.
    sample
        Name of the sample dimension where the source does not say.

    Raises
    ------
    BatchError
        An unknown name, a variable without the sample dimension, unequal lengths.
    """
    if isinstance(source, BatchSource):
        return source if variables is None else source.select(variables)
    if isinstance(source, xr.Dataset):
        return Labelled(source, variables, sample)
    arrays = {name: _sample_first(name, value, sample) for name, value in source.items()}
    chosen = choose(variables, arrays, tuple(arrays))
    lengths = {name: len(arrays[name]) for name in chosen}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name}: {n}" for name, n in lengths.items())
        raise BatchError(f"arrays must hold equally many samples, got {shown}")
    samples = next(iter(lengths.values()), 0)
    table = Table(np.array([0, samples]), {name: [_packed(arrays[name])] for name in chosen})
    rows = ArraySource(samples, (table,), chosen, {})
    rows.labels = xr.Dataset()  # plain arrays have none
    return rows


class Labelled(BatchSource):
    """A labelled dataset as a source: stored, on the fly or in memory.

    Parameters
    ----------
    dataset
        The dataset or any selection of one.
    variables
        Which to read, by default all that have the sample dimension.
    sample
        Name of the sample dimension, where the dataset does not say.
    """

    def __init__(
        self,
        dataset: xr.Dataset,
        variables: Iterable[str] | None = None,
        sample: str | None = None,
    ) -> None:
        self.dataset, self._sample = dataset, sample or sample_dim(dataset)
        self.samples = dataset.sizes.get(self._sample, 0)
        self._variables = (variables,) if isinstance(variables, str) else variables
        made = (made_rows(array.variable) for array in dataset.data_vars.values())
        self._maker = next((found[0].maker for found in made if found is not None), None)
        self.fresh = self._maker is not None and self._maker.fresh

    @cached_property
    def opened(self) -> ArraySource | Made:
        """Find the arrays and check that they belong together."""
        return _open_dataset(self.dataset, self._variables, self._sample)

    @cached_property
    def labels(self) -> xr.Dataset:
        """A dataset without samples."""
        rows = self.opened
        dims = {str(self.dataset[name].dims[0]) for name in rows.flat}
        none = {str(dim): slice(0, 0) for dim in (*dims, self._sample)}
        return self.dataset[list(rows.names)].isel(none)

    def gather(self, numbers: Positions, epoch: int, buffers: Buffers) -> dict[str, Array]:
        """Return some samples."""
        return self.opened.gather(numbers, epoch, buffers)

    def numbers(self, positions: Positions, epoch: int) -> Positions:
        """Return sample numbers, as the store counts them."""
        apart = self._maker.samples if self._maker is not None and self.fresh else 0
        found: Positions = sample_numbers(self.dataset).take(positions).to_numpy() + epoch * apart
        return found

    def identity(self, origins: Origins, epochs: int) -> tuple[dict[str, Any], list[Parent]]:
        """Return the variables' names and the stored samples that they hold."""
        names: Any = [str(name) for name in self.dataset.data_vars]
        found = origins(self.dataset)
        parents = list(dict.fromkeys(found.values()))
        if len(parents) > 1:  # merged from several stored datasets: which gave what matters
            names = {name: parent.key for name, parent in found.items()}
        if self._maker is None or not self.fresh:
            return {"variables": names}, parents
        seen = self._maker.samples * epochs  # epoch e takes samples e n + i
        return {"variables": names, "fresh": True}, [replace(p, stop=seen) for p in parents]

    def divide(self, cut: Cut) -> tuple[BatchSource, BatchSource | None]:
        """Return two selections; ragged variables stay whole and are found by their addresses."""
        train, held = cut(self.samples)
        return self._part(train), self._part(held) if len(held) else None

    def _part(self, rows: Rows) -> BatchSource:
        if isinstance(rows, Computed):  # a selection needs a list of positions, a part does not
            whole = self.opened
            if not whole.flat and whole._order is None:
                return Part(self, rows)
        part = self.dataset.isel({self._sample: as_index(rows)})
        return Labelled(part, self._variables, self._sample)

    def select(self, names: Iterable[str]) -> Labelled:
        """Return the source of some variables only."""
        return Labelled(self.dataset, names, self._sample)

    def automatic(self, limit: float) -> str:
        """Return the order where none is asked for, by the bytes of all variables."""
        if self._maker is not None:
            return "aligned"
        return "block" if self.dataset.nbytes >= limit else "full"


def _sample_first(name: str, value: Any, sample: str | None) -> Array:
    if isinstance(value, xr.DataArray):
        if sample is None:
            raise BatchError(f"which of {value.dims} counts samples? pass sample='{value.dims[0]}'")
        if sample not in value.dims:
            raise BatchError(f"{name!r} has no dimension {sample!r}, only {value.dims}")
        return np.asarray(value.transpose(sample, ...).values)
    array = np.asarray(value)
    if array.ndim == 0:
        raise BatchError(f"{name!r} is a single value; one for each sample is needed")
    return array


def _packed(array: Array) -> Array:
    """Return the array contiguous, aligned and native: `take` would copy it whole each time."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return np.require(native, requirements=["C", "A"])


# -- datasets ---------------------------------------------------------------------------


def _open_dataset(
    dataset: xr.Dataset, variables: Iterable[str] | None, sample: str
) -> ArraySource | Made:
    if sample not in dataset.dims:
        raise BatchError(
            f"the dataset has no dimension {sample!r}{nearest(sample, map(str, dataset.dims))}"
        )
    counts = {
        str(array.attrs["sample_dimension"]): str(name)
        for name, array in dataset.data_vars.items()
        if "sample_dimension" in array.attrs
    }
    fitting = [
        str(name)
        for name, array in dataset.data_vars.items()
        if sample in array.dims or (array.dims and array.dims[0] in counts)
    ]
    chosen = choose(variables, map(str, dataset.variables), tuple(fitting))
    flat = {n: str(dataset[n].dims[0]) for n in chosen if set(dataset[n].dims) & set(counts)}
    for name in chosen:
        if name not in flat and sample not in dataset[name].dims:
            raise BatchError(f"{name!r} has dims {dataset[name].dims}, not {sample!r}")
    needed = [f"{dim}_count" for dim in dict.fromkeys(flat.values())]
    names = (*(name for name in needed if name not in chosen), *chosen)
    plain = [name for name in chosen if name not in flat and name not in needed]
    made = {n: m for n in plain if (m := made_rows(dataset[n].variable)) is not None}
    if made:
        return _open_made(dataset, made, names, sample)
    columns = [_column(dataset, name, sample) for name in plain]
    columns += [_ragged_column(dataset, name, counts[dim], sample) for name, dim in flat.items()]
    order = _stored_order(columns)
    tables = tuple(_table(group, order) for group in _grouped(columns))
    block = 0 if order is not None else block_size(dataset)
    return ArraySource(dataset.sizes[sample], tables, names, flat, order, block)


def _open_made(
    dataset: xr.Dataset,
    made: Mapping[str, tuple[MadeArray, Rows | None]],
    names: tuple[str, ...],
    sample: str,
) -> Made:
    """Find variables that are simulated when they are read: all of one simulator."""
    for name in names:
        if name not in made:
            raise BatchError(
                f"{name!r} is in memory, and {next(iter(made))!r} is made on the fly; store the "
                "samples to use them with columns of your own, or name the variables to read"
            )
    rows = [positions for _, positions in made.values()]
    makers = {id(array.maker) for array, _ in made.values()}
    if len(makers) > 1 or not all(same(one, rows[0]) for one in rows):
        raise BatchError(
            "variables made on the fly must be of one dataset and the same samples: "
            "select samples of the whole dataset"
        )
    order = _ascending(rows[0])
    numbers = rows[0] if order is None else pick(rows[0], order)
    arrays = {name: made[name][0] for name in names}
    block = 0 if order is not None else block_size(dataset)
    return Made(dataset.sizes[sample], arrays, numbers, order, block)


def block_size(dataset: xr.Dataset) -> int:
    """Return how many samples a block of the simulator behind a dataset has.

    0 where no simulator made it, where samples are left out or in another order, and where
    the first one does not begin a block; ``shuffle="aligned"`` is possible elsewhere.
    """
    if RECIPE not in dataset.attrs:
        return 0
    prefix, _, size = recipe_of(dataset).scheme.rpartition("/")
    if prefix != SCHEME or not size.isdigit():
        return 0
    numbers = sample_numbers(dataset)
    first, last = int(numbers[0]), int(numbers[-1])
    whole = first % int(size) == 0 and last - first + 1 == len(numbers)
    return int(size) if whole and numbers.is_monotonic_increasing else 0


@dataclass(frozen=True)
class _Column:
    """One variable: its pieces, where they begin, and which rows of them are meant."""

    name: str
    pieces: list[Array]
    edges: NDArray[np.int64]
    rows: Rows | None  # None: all of them, in order
    dim: str = ""  # ragged dimension
    counts: tuple[Array, ...] = ()

    def alike(self, other: _Column) -> bool:
        return np.array_equal(self.edges, other.edges) and same(self.rows, other.rows)


def _column(dataset: xr.Dataset, name: str, sample: str) -> _Column:
    stored = stored_rows(dataset[name].variable)
    if stored is not None and dataset[name].dims[0] == sample:
        array, rows = stored
        pieces = [_packed(piece) for piece in array.pieces]
        return _Column(name, pieces, array.edges.astype(np.int64), rows)
    values = _packed(np.asarray(dataset[name].transpose(sample, ...).values))
    return _Column(name, [values], np.array([0, len(values)]), None)


def _ragged_column(dataset: xr.Dataset, name: str, count: str, sample: str) -> _Column:
    """Return a flat variable, with the rows that its counts' variable has kept."""
    dim = str(dataset[name].dims[0])
    counted = _column(dataset, count, sample)
    stored = stored_rows(dataset[name].variable)
    if stored is not None and _same_rows(stored, counted):
        pieces, counts = [_packed(piece) for piece in stored[0].pieces], tuple(counted.pieces)
        return _Column(name, pieces, counted.edges, counted.rows, dim, counts)
    try:
        starts, lengths = ragged_rows(dataset, dim)
    except LabelError as error:
        raise BatchError(str(error)) from error
    values = _packed(np.asarray(dataset[name].values))
    if not np.array_equal(starts, np.cumsum(lengths) - lengths) or lengths.sum() != len(values):
        values = values[flat_rows(starts, lengths)]
    return _Column(name, [values], np.array([0, len(lengths)]), None, dim, (lengths,))


def _same_rows(stored: tuple[StoredArray, Rows | None], counted: _Column) -> bool:
    """Tell whether a flat variable still is that of the counts' whole table, or cut as they are."""
    array, flat = stored
    lengths = np.concatenate(counted.pieces).astype(np.int64)
    if len(array.pieces) != len(counted.pieces) or int(lengths.sum()) != array.shape[0]:
        return False
    if flat is None:
        return True
    if counted.rows is None:
        return False
    starts, rows = np.cumsum(lengths) - lengths, as_index(counted.rows)
    return np.array_equal(listed(flat), flat_rows(starts[rows], lengths[rows]))


def _stored_order(columns: list[_Column]) -> Positions | None:
    orders = (_ascending(column.rows) for column in columns)
    return next((order for order in orders if order is not None), None)


def _ascending(rows: Rows | None) -> Positions | None:
    """Return the order in which positions ascend, None where they do as they are."""
    if isinstance(rows, np.ndarray) and bool((np.diff(rows) < 0).any()):
        return np.argsort(rows, kind="stable")
    return None


def _grouped(columns: list[_Column]) -> list[list[_Column]]:
    groups: list[list[_Column]] = []
    for column in columns:
        for group in groups:
            if group[0].alike(column):
                group.append(column)
                break
        else:
            groups.append([column])
    return groups


def _table(group: list[_Column], order: Positions | None) -> Table:
    rows = group[0].rows
    if order is not None:
        rows = pick(rows, order)
    return Table(
        group[0].edges,
        {column.name: column.pieces for column in group if not column.dim},
        {column.name: (column.dim, column.pieces) for column in group if column.dim},
        {column.dim: column.counts for column in group if column.dim},
        rows,
    )
