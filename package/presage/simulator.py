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
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property, lru_cache
from threading import Lock
from typing import Any, ClassVar, Self

import numpy as np
import xarray as xr

from presage.inputs import FileInput as FileInput
from presage.labels import (
    Arrays,
    Coordinate,
    LabelError,
    Parameter,
    Schema,
    Variable,
    check_arrays,
)
from presage.lineage import sample_dim, take
from presage.recipe import Parent, Recipe, settings_of
from presage.rng import PARAMETERS, SCHEME, SIMULATION, generator
from presage.store import parents_of

# Python 3.11's parser, which finds a class in its file, fails when threads use it at once.
_SOURCE_LOCK = Lock()


@lru_cache(maxsize=256)
def _source_hash(kind: type) -> str:
    """Hash the modules that a class and its own bases are from, this one left out."""
    own = [c for c in kind.__mro__ if c.__module__ not in (__name__, "abc", "builtins")]
    texts = []
    for name in dict.fromkeys(c.__module__ for c in own):
        try:
            texts.append(inspect.getsource(sys.modules[name]))
        except (OSError, TypeError, KeyError):  # typed into a notebook: no file of its own
            texts += [_class_source(c) for c in own if c.__module__ == name]
    if not all(texts):
        return ""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def _class_source(kind: type) -> str:
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError, SyntaxError, SystemError):
        return ""


def _as_parents(owner: str, name: str, value: Any) -> tuple[Parent, ...]:
    """Name a setting that is a stored dataset or a trained model; nothing for any other.

    A dataset that was changed since it was opened is refused; one that was merged has
    several parents. A trained model is known by its `key` and by `saved`, which says whether
    a store has it.
    """
    if isinstance(value, xr.Dataset):
        return tuple(dict.fromkeys(parents_of(value).values()))
    if not (hasattr(value, "key") and hasattr(value, "saved")):
        return ()
    if not value.saved:
        raise LabelError(
            f"{owner}: {name}= is in no store, so nothing could say what its samples were "
            "made from; make it with store="
        )
    return (Parent(value.key),)


@dataclass(frozen=True)
class Source(ABC):
    """Common ground of simulators and readers: a name, a version, a schema, a recipe.

    A subclass's settings are its dataclass fields: numbers, text, tuples, mappings, arrays,
    frozen dataclasses. A file is given as :class:`FileInput`. A stored dataset or a trained
    model is given as such, and becomes a parent of the recipe.
    """

    #: Producer's name in recipes and on disk.
    name: ClassVar[str]
    #: Raise it whenever the results change.
    version: ClassVar[int] = 1
    #: Name of the sample dimension.
    sample_dim: ClassVar[str] = "sample"
    #: Further classes whose modules it is written in, for :meth:`source_hash`.
    parts: ClassVar[tuple[type, ...]] = ()

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
    def lengths(self) -> Mapping[str, int]:
        """Lengths of dimensions that have no coordinate: exact, or typical for ragged ones.

        Work and files are cut by them; a dimension that is not named counts as 64.
        """
        return {}

    @property
    def parents(self) -> tuple[Parent, ...]:
        """What the samples are made from: the settings that a store holds, in order."""
        return tuple(parent for parents in self._held.values() for parent in parents)

    @cached_property
    def _held(self) -> dict[str, tuple[Parent, ...]]:
        """The settings that are stored datasets or trained models, as parents."""
        settings = {f.name: getattr(self, f.name) for f in fields(self) if f.init}
        named = {n: _as_parents(type(self).__name__, n, value) for n, value in settings.items()}
        return {name: parents for name, parents in named.items() if parents}

    @property
    def length(self) -> int | None:
        """How many samples there can be, None where there is no end."""
        return None

    def identity(self) -> Mapping[str, Any]:
        """Return the settings that stand in the recipe: every field that is no parent."""
        held = self._held
        return {name: value for name, value in settings_of(self).items() if name not in held}

    @classmethod
    def of_identity(cls, fields: Mapping[str, Any]) -> Self:
        """Return the source that has this :meth:`identity`, to make its samples again.

        Raises
        ------
        ValueError
            It takes more than the identity holds.
        """
        return cls(**fields)

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
        """Return a hash of the source text it is written in: provenance, not identity.

        Whole modules are looked at, for physics is often in functions beside the class, and
        those of settings that are dataclasses themselves.
        """
        settings = (getattr(self, f.name) for f in fields(self) if f.init)
        parts = {*self.parts, *(type(value) for value in settings if is_dataclass(value))}
        with _SOURCE_LOCK:
            hashes = [_source_hash(type(self)), *sorted(_source_hash(part) for part in parts)]
        if len(hashes) == 1 or not all(hashes):
            return hashes[0] if len(hashes) == 1 else ""
        return hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Simulator(Source):
    """A source whose sample i is a pure function of (settings, seed, i).

    Samples are always made a whole block at a time: :meth:`simulate` sees `block_size` of
    them whatever was asked for. One without parameters makes `self.block_size` samples.
    """

    #: Whether blocks may be made in several threads at once: pure NumPy may, a library with
    #: global state may not.
    thread_safe: ClassVar[bool] = False
    #: Share of the largest value by which a repeated simulation may differ: 0 is bit for bit.
    tolerance: ClassVar[float] = 0.0
    #: Variable → by how much more it may differ, where one is tolerated: what rounding alone gives.
    noise: ClassVar[Mapping[str, float]] = {}
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
            Parameter name → array ``[n, ...]``; in generation n is `block_size`.
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
        return self._checked({**theta, **values}, source)

    def _checked(self, arrays: Arrays, source: str) -> dict[str, np.ndarray[Any, Any]]:
        """Check a block against the schema and against the lengths that must be exact."""
        checked = check_arrays(arrays, self.schema, self.block_size, source)
        exact = {d: n for d, n in self.lengths.items() if d not in self.ragged}
        for name, (dims, _) in self.schema.stored().items():
            for dim, got in zip(dims, checked[name].shape, strict=True):
                if got != exact.get(dim, got):
                    raise LabelError(
                        f"{source}: {name!r} has length {got} along {dim!r}, declared "
                        f"{exact[dim]} in lengths; where it differs between samples, name "
                        f"{dim!r} in ragged"
                    )
        return checked

    def _scheme(self) -> str:
        return f"{SCHEME}/{self.block_size}"


@dataclass(frozen=True, eq=False)
class Derived(Simulator):
    """Samples computed one for one from the samples of a stored dataset.

    A cleaned sky for each sky, the pooled features of each event set, the answer of a
    teacher to each tone. The input is a parent of the recipe, and output i is numbered as
    the input's sample i, along a dimension of the same name.

    Parameters
    ----------
    data
        A stored dataset from sample 0 on. Derive first and select afterwards: with
        ``simulate(source, n)`` only the first n are computed.
    """

    data: xr.Dataset

    @property
    def sample_dim(self) -> str:  # type: ignore[override]  # of the class elsewhere, here the input's
        """The input's."""
        return sample_dim(self.data)

    @abstractmethod
    def convert(self, samples: xr.Dataset, rng: np.random.Generator) -> Arrays:
        """Return the variables for each of these samples, each from its own sample only.

        Parameters
        ----------
        samples
            Always `block_size` of them; where the input ends within a block, its last
            sample is repeated, and what is made of the repetitions is thrown away.
        rng
            Generator of this block. Numbers for the entries of ragged variables are drawn
            last, or from a :func:`presage.rng.sibling` each: how many there are depends on
            the other samples of the block.
        """

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """None: everything comes from the input."""
        return ()

    @property
    def parents(self) -> tuple[Parent, ...]:
        """The input, and the other settings that a store holds.

        Output i needs input i alone, so the input is named without its length: it may grow,
        and what was computed stays.

        Raises
        ------
        LabelError
            The input does not begin at sample 0, has holes, or is not in the stored order.
        """
        inputs = self._held["data"]
        for parent in inputs:
            if parent.start or parent.selection:
                holes = " with holes or in another order" if parent.selection else ""
                raise LabelError(
                    f"{self.name} numbers its samples as its input does, from 0 on; this input "
                    f"holds samples {parent.start} to {parent.stop}{holes}. Give it the whole "
                    "dataset, simulate the first n, and select from what comes out"
                )
        others = (p for name, held in self._held.items() if name != "data" for p in held)
        return (*(Parent(parent.key, selection="each") for parent in inputs), *others)

    @property
    def length(self) -> int:
        """As many as the input has."""
        return int(self.data.sizes[self.sample_dim])

    def draw(self, rng: np.random.Generator, n: int) -> Arrays:
        """Return nothing: there are no parameters."""
        return {}

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Raise: samples are made by :meth:`convert`."""
        raise TypeError(f"{self.name} converts stored samples; it has no parameters")

    def block(self, seed: int, index: int) -> dict[str, np.ndarray[Any, Any]]:
        """Return the converted samples of block `index`, the last sample repeated to fill it."""
        start, end = index * self.block_size, self.length
        stop = start + self.block_size
        whole: Any = slice(start, stop)
        if stop > end:  # one size for all: neither draws nor sums may depend on the input's length
            whole = np.minimum(np.arange(start, stop), end - 1)
        values = self.convert(take(self.data, whole), generator(self.name, seed, index, SIMULATION))
        return self._checked(values, f"{self.name}, samples {start} to {min(stop, end)}")


@dataclass(frozen=True)
class Reader(Source):
    """A source that reads users' files; its identity holds the files' content hashes."""

    @abstractmethod
    def chunks(self) -> Iterator[Arrays]:
        """Yield name → array chunks in a fixed order, in bounded memory.

        A generator may return a :class:`~presage.inputs.LeftOut`, which it has said aloud; it
        is kept with the dataset, in its attributes, and said again when the dataset is found.
        """
