"""Samples on the fly: a dataset of a simulator that is made when it is read, and not stored."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any

import numpy as np
import xarray as xr

from presage.generate.samples import wanted
from presage.labels import Array, LabelError
from presage.rng import PARAMETERS, generator
from presage.simulator import Simulator, Source
from presage.store.lazy import labelled
from presage.store.made import MadeArray

#: Bytes of blocks that reading the dataset itself keeps; training has a window of its own.
_REMEMBERED = 64 << 20
_MOST_THREADS = 8


def on_the_fly(
    source: Source, n: int | None = None, *, seed: int = 0, fresh: bool = False
) -> xr.Dataset:
    """Return the first `n` samples of a simulator without storing them.

    The dataset is the one that :func:`presage.generate.simulate` returns, sample by sample
    and label by label, and has the same identity: what was trained on either is one and the
    same in a store. Values are simulated when they are read, block by block. In
    :class:`~presage.batches.Batches` and :func:`presage.fit` the blocks of a window are
    made ahead in a thread and dropped when they were used, so memory stays bounded and
    nothing is written; ``shuffle="aligned"`` gives the stored samples in the same order.

    Parameters
    ----------
    source
        A simulator without ragged dimensions.
    n
        Number of samples; those of its input for one that has an end.
    seed
        Seed of the random numbers.
    fresh
        Train on new samples every epoch: epoch e takes samples e n + i. Validation samples
        and what is read otherwise stay samples i.

    Returns
    -------
    xarray.Dataset
        Labelled; selections of samples or variables stay on the fly. ``.load()`` makes all.

    Raises
    ------
    ValueError
        `n` is missing or below 1.
    LabelError
        A simulator with ragged dimensions, whose total length nobody knows beforehand, or
        one with an end that `fresh` would run beyond.
    """
    simulator, n = _checked(source, n, fresh)
    maker = _Blocks(simulator, seed, n, fresh)
    schema, shapes = simulator.schema, _shapes(maker)
    variables = {}
    for name, (dims, variable) in schema.stored().items():
        array = MadeArray(maker, name, variable.unit, (n, *shapes[name]), np.dtype(variable.dtype))
        variables[name] = dims, array, variable.attributes()
    coordinates = {c.name: c.variable() for c in schema.coordinates}
    return labelled(variables, coordinates, simulator.recipe(seed), schema.sample, (0, n))


def _checked(source: Source, n: int | None, fresh: bool) -> tuple[Simulator, int]:
    simulator, n = wanted(source, n, "on_the_fly")
    if simulator.ragged:
        raise LabelError(
            f"{simulator.name} has samples of unequal length ({', '.join(simulator.ragged)}), "
            "which cannot be made on the fly; store them with presage.simulate(...)"
        )
    if simulator.length is not None and fresh:
        raise LabelError(
            f"{simulator.name} has {simulator.length} samples, new ones every epoch were asked for"
        )
    return simulator, n


class _Blocks:
    """Makes the blocks of a simulator; the last few that were read are kept."""

    def __init__(self, source: Simulator, seed: int, samples: int, fresh: bool) -> None:
        self.source, self.seed = source, seed
        self.samples, self.fresh = samples, fresh
        self.recipe = source.recipe(seed).json
        self.block_size = source.block_size
        self.threads = min(max(1, (os.cpu_count() or 1) // 2), _MOST_THREADS)
        self.threads = self.threads if source.thread_safe else 1
        self._begin()

    def _begin(self) -> None:
        self._making, self._reading = Lock(), Lock()
        self._kept: OrderedDict[tuple[int, bool], Mapping[str, Array]] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {n: v for n, v in vars(self).items() if n not in ("_making", "_reading", "_kept")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin()

    def block(self, index: int, names: Iterable[str]) -> Mapping[str, Array]:
        """Make a block: only its parameters where no more is asked for."""
        if self._only_parameters(names):
            return self._parameters(index)
        if self.source.thread_safe:
            return self.source.block(self.seed, index)
        with self._making:
            return self.source.block(self.seed, index)

    def remembered(self, index: int, name: str) -> Array:
        """Return one array of a block, made or kept from before."""
        part = index, self._only_parameters([name])
        with self._reading:
            whole = index, False
            if whole not in self._kept and part not in self._kept:
                self._kept[part] = self.block(index, [name])
            found = self._kept[whole if whole in self._kept else part]
            self._kept.move_to_end(whole if whole in self._kept else part)
            while len(self._kept) > 1 and self._held() > _REMEMBERED:
                self._kept.popitem(last=False)
        return found[name]

    def _held(self) -> int:
        return sum(array.nbytes for block in self._kept.values() for array in block.values())

    def _only_parameters(self, names: Iterable[str]) -> bool:
        return set(names) <= {parameter.name for parameter in self.source.parameters}

    def _parameters(self, index: int) -> Mapping[str, Array]:
        start = index * self.block_size
        rng = generator(self.source.name, self.seed, index, PARAMETERS)
        drawn = self.source.theta(rng, start, start + self.block_size)
        types = {parameter.name: parameter.dtype for parameter in self.source.parameters}
        return {n: np.ascontiguousarray(a, types[n]) for n, a in drawn.items()}


def _shapes(maker: _Blocks) -> dict[str, tuple[int, ...]]:
    """Return the shape of one sample of every variable, from a block where nothing says it."""
    schema = maker.source.schema
    known = {**maker.source.lengths, **schema.sizes()}
    stored = schema.stored()
    if all(dim in known for dims, _ in stored.values() for dim in dims[1:]):
        return {n: tuple(known[dim] for dim in dims[1:]) for n, (dims, _) in stored.items()}
    made = maker.block(0, stored)
    count = schema.samples_in(made)
    if count != maker.block_size:
        raise LabelError(f"{maker.source.name} made {count} samples for a block")
    return {name: made[name].shape[1:] for name in stored}
