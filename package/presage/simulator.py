"""What a simulator is: a frozen dataclass that turns random numbers into labelled samples.

A subclass declares `parameters` and `variables` and writes two methods for whole blocks of
samples, :meth:`Simulator.draw` (theta from the prior) and :meth:`Simulator.simulate` (what
an experiment would see). Everything else (the recipe, the blocks, the checks) is here.

A :class:`Reader` is the other kind of source: users' files, read as a stream of chunks
whose total length is known only at the end.
"""

from __future__ import annotations

import hashlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from threading import Lock
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from presage.labels import Arrays, Coordinate, Parameter, Schema, Variable, check_arrays
from presage.lineage import parent_of, sample_dim, take
from presage.recipe import Parent, Recipe
from presage.rng import PARAMETERS, SCHEME, SIMULATION, generator

# Python 3.11's parser, which finds a class in its file, fails when threads use it at once.
_SOURCE_LOCK = Lock()


@lru_cache(maxsize=256)
def _source_hash(kind: type) -> str:
    try:
        text = "".join(inspect.getsource(c) for c in kind.__mro__[:-3])
    except (OSError, TypeError, SyntaxError, SystemError):
        return ""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Source(ABC):
    """Common ground of simulators and readers: a name, a version, a schema, a recipe."""

    #: Producer's name in recipes and on disk.
    name: ClassVar[str]
    #: Raise it whenever the results change.
    version: ClassVar[int] = 1
    #: Name of the sample dimension.
    sample_dim: ClassVar[str] = "sample"

    @property
    @abstractmethod
    def parameters(self) -> tuple[Parameter, ...]:
        """What steers it."""

    @property
    @abstractmethod
    def variables(self) -> tuple[Variable, ...]:
        """What it yields."""

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """Fixed coordinates of the variables' dimensions."""
        return ()

    @property
    def ragged(self) -> tuple[str, ...]:
        """Dimensions whose length differs from sample to sample."""
        return ()

    @property
    def schema(self) -> Schema:
        """Parameters and variables of a stored dataset, the sample dimension named."""
        return Schema(
            self.sample_dim, (*self.parameters, *self.variables), self.coordinates, self.ragged
        )

    @property
    def parents(self) -> tuple[Parent, ...]:
        """Stored datasets that the samples are made from."""
        return ()

    @property
    def length(self) -> int | None:
        """How many samples there can be, None where there is no end."""
        return None

    def identity(self) -> Mapping[str, Any]:
        """Return the settings that stand in the recipe: every field of the dataclass."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}

    def recipe(self, seed: int = 0) -> Recipe:
        """Return the recipe of the samples drawn with this seed."""
        return Recipe(
            producer=self.name,
            version=self.version,
            fields=self.identity(),
            seed=seed,
            scheme=self._scheme(),
            dtype={v.name: v.dtype for v in self.schema.variables},
            parents=self.parents,
        )

    def _scheme(self) -> str:
        return ""

    def source_hash(self) -> str:
        """Return a hash of the class's source text: provenance, not identity."""
        with _SOURCE_LOCK:
            return _source_hash(type(self))


@dataclass(frozen=True)
class Simulator(Source):
    """A source whose sample i is a pure function of (settings, seed, i)."""

    #: Share of the largest value by which a repeated simulation may differ: 0 is bit for bit.
    tolerance: ClassVar[float] = 0.0
    #: Samples that :meth:`simulate` handles as one batch; part of the random scheme.
    block_size: ClassVar[int] = 4096

    @abstractmethod
    def draw(self, rng: np.random.Generator, n: int) -> Arrays:
        """Draw `n` values of every parameter from the prior.

        Returns
        -------
        mapping
            Parameter name → array ``[n, ...]``.
        """

    @abstractmethod
    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Simulate one sample for each entry of `theta`.

        Parameters
        ----------
        theta
            Parameter name → array ``[n, ...]``.
        rng
            Generator of this block; :func:`presage.rng.sibling` gives further streams.

        Returns
        -------
        mapping
            Variable name → array ``[n, ...]``; for a ragged dimension `d` flat arrays, and
            ``d_count`` with the length for each sample.
        """

    def theta(self, rng: np.random.Generator, start: int, stop: int) -> Arrays:
        """Return the parameters of samples ``[start, stop)``; by default drawn from the prior.

        A simulator on a grid of labels overrides this with its schedule.
        """
        return self.draw(rng, stop - start)

    def block(self, seed: int, index: int) -> dict[str, np.ndarray[Any, Any]]:
        """Return all arrays of block `index`, checked against the schema."""
        start = index * self.block_size
        theta = self.theta(
            generator(self.name, seed, index, PARAMETERS), start, start + self.block_size
        )
        values = self.simulate(theta, generator(self.name, seed, index, SIMULATION))
        source = f"{self.name}, samples {start} to {start + self.block_size}"
        return check_arrays({**theta, **values}, self.schema, self.block_size, source)

    def _scheme(self) -> str:
        return f"{SCHEME}/{self.block_size}"


@dataclass(frozen=True, eq=False)
class Derived(Simulator):
    """Samples computed one for one from the samples of a stored dataset.

    A cleaned sky for each sky, the pooled features of each event set, the answer of a
    teacher to each tone. The input is a parent of the recipe.

    Parameters
    ----------
    data
        A stored dataset, or a selection of its samples.
    """

    data: xr.Dataset

    @abstractmethod
    def convert(self, samples: xr.Dataset, rng: np.random.Generator) -> Arrays:
        """Return the variables for each of these samples, each from its own sample only."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """None: everything comes from the input."""
        return ()

    @property
    def parents(self) -> tuple[Parent, ...]:
        """The input.

        Output i needs input i alone, so an input that starts at sample 0 and has no holes
        is named without its length: it may grow, and what was computed stays.
        """
        parent = parent_of(self.data)
        whole = parent.start == 0 and not parent.selection
        return (Parent(parent.key, selection="each") if whole else parent,)

    @property
    def length(self) -> int:
        """As many as the input has."""
        return int(self.data.sizes[sample_dim(self.data)])

    def identity(self) -> Mapping[str, Any]:
        """Return the settings without the input, which is a parent."""
        return {name: value for name, value in super().identity().items() if name != "data"}

    def draw(self, rng: np.random.Generator, n: int) -> Arrays:
        """Return nothing: there are no parameters."""
        return {}

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Raise: samples are made by :meth:`convert`."""
        raise TypeError(f"{self.name} converts stored samples; it has no parameters")

    def block(self, seed: int, index: int) -> dict[str, np.ndarray[Any, Any]]:
        """Return the converted samples of block `index`; the last one may be short."""
        start = index * self.block_size
        stop = min(start + self.block_size, self.length)
        samples = take(self.data, slice(start, stop))
        values = self.convert(samples, generator(self.name, seed, index, SIMULATION))
        source = f"{self.name}, samples {start} to {stop}"
        return check_arrays(values, self.schema, stop - start, source)


@dataclass(frozen=True)
class Reader(Source):
    """A source that reads users' files; its identity holds the files' content hashes."""

    @abstractmethod
    def chunks(self) -> Iterator[Arrays]:
        """Yield name → array chunks in a fixed order, in bounded memory."""
