"""Several pools of different lengths, paired at random: one member of each makes a sample.

What is linear can be done once for every member and put together by adding. A cube cleaned of
foregrounds by a fixed projection P is x = P g_i + P s_j + P n_k: with the projections of skies,
signals and noises stored as three pools, training adds three arrays at the speed of memory,
has |g| |s| |n| different samples, and none of the cancellation in P (g + s + n).

Every pool is gone through in an order of its own, round after round, each round shuffled anew
(:class:`~presage.batches.plan.Plan`): sample c since the beginning takes member c mod L of
round c div L of a pool with L members. So every member of a pool is used equally often, any two
members of different pools meet equally likely, and where a sample stands says what it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from presage.batches.adding import add_rows
from presage.batches.arrays import ArraySource
from presage.batches.labelled import Labelled
from presage.batches.plan import BLOCK_FROM, Epoch, Plan
from presage.batches.shares import BatchError
from presage.batches.source import BatchSource, Cut, Cutter, Move, choose
from presage.batches.tables import Buffers
from presage.labels import Array, Schema, Variable, nearest
from presage.lineage import SAMPLE, sample_dim, sample_numbers
from presage.plugins import declared
from presage.positions import Positions, as_index
from presage.transforms.weights import weight_declared

#: Pool and variable of everything that is added.
Terms = tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class Paired(BatchSource):
    """Samples made of one member of each pool.

    Parameters
    ----------
    pools
        Name → labelled dataset, of any length.
    columns
        Name of a variable → what it is: ``"pool.variable"``, or several of them, which are
        added (floats of two widths in the wider one). By default all variables of all pools
        under their own names.
    combine
        A function of name → array, the columns of some samples, that returns name → array, or
        its address ``"my_module:my_function"``. It has a version
        (:func:`presage.versioned`), and `variables` says what it returns. Ragged columns come
        flat, with ``<dim>_count``; :func:`~presage.batches.padded` makes rectangles of them.
    variables
        Labels of what `combine` returns.
    samples
        In an epoch; by default the members of the longest pool.
    seed
        Of the pairs.
    new_pairs
        Whether every epoch has pairs of its own.
    shared
        Pools that training and validation both draw on. All others are split: validation
        pairs consist of members that no training pair has.

    Raises
    ------
    BatchError
        Names, labels or sizes that do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> from presage.batches import Batches, Paired
    >>> def pool(n):
    ...     return xr.Dataset({"map": (("sample", "pixel"), np.random.rand(n, 4))})
    >>> sky, signal = (pool(n).assign_attrs(presage_sample="sample") for n in (50, 30))
    >>> columns = {"x": ["sky.map", "signal.map"], "y": "signal.map"}
    >>> pairs = Paired({"sky": sky, "signal": signal}, columns, samples=100, seed=1)
    >>> batch = next(iter(Batches(pairs, 20)))
    >>> members = pairs.members(batch.positions, epoch=0)
    >>> bool((batch["x"] - batch["y"] == sky["map"][members["sky"]]).all())
    False
    >>> np.allclose(batch["x"] - batch["y"], sky["map"][members["sky"]])
    True
    """

    pools: Mapping[str, xr.Dataset]
    columns: Mapping[str, str | Sequence[str]] | None = None
    combine: str | Callable[..., Mapping[str, Array]] | None = None
    variables: tuple[Variable, ...] = ()
    samples: int = 0
    seed: int = 0
    new_pairs: bool = True
    shared: tuple[str, ...] = ()

    name: ClassVar[str] = "paired"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not self.pools:
            raise BatchError("there are no pools to pair")
        for name, pool in self.pools.items():
            if not isinstance(pool, xr.Dataset):
                raise BatchError(
                    f"pool {name!r} is to be a labelled dataset, got {type(pool).__name__}"
                )
            if not pool.sizes[sample_dim(pool)]:
                raise BatchError(f"pool {name!r} has no samples to draw")
        for name in self.shared:
            if name not in self.pools:
                raise BatchError(f"shared: there is no pool {name!r}{nearest(name, self.pools)}")
        if (self.combine is None) != (not self.variables):
            raise BatchError("combine and variables, the labels of what it returns, go together")
        longest = max(rows.samples for rows in self._rows.values())
        columns = {c: tuple(map(".".join, terms)) for c, terms in self._terms.items()}
        every = [term for terms in self._terms.values() for term in terms]
        used = {name: sorted({v for p, v in every if p == name}) for name in self.pools}
        if idle := [name for name, variables in used.items() if not variables]:
            raise BatchError(f"no column is of pool {idle[0]!r}; leave it out, or name a column")
        for name, pool in self.pools.items():
            weight = weight_declared(pool, sample_dim(pool))
            if weight is not None and weight.name not in used[name]:
                raise BatchError(
                    f"pool {name!r} has the weight {weight.name!r}, which no column takes: give "
                    f"columns={{..., {weight.name!r}: '{name}.{weight.name}'}}, or leave it out "
                    "with drop_vars"
                )
        # One spelling of each setting, and no variable that is not used: they stand in recipes.
        for name, value in {
            "samples": self.samples or longest,
            "fresh": self.new_pairs,
            "columns": columns,
            "pools": {name: pool[used[name]] for name, pool in self.pools.items()},
            "combine": self.combine and declared(self.combine, "combine")[0],
        }.items():
            object.__setattr__(self, name, value)
        _ = self.labels  # refuse what cannot be where it was given

    # -- which members meet ----------------------------------------------------------------

    def members(self, numbers: Positions, epoch: int) -> dict[str, Positions]:
        """Return which samples of each pool's dataset some samples are made of."""
        found = self._members(np.asarray(numbers), epoch)
        return {
            name: sample_numbers(self.pools[name]).take(self._rows[name].in_dataset(at)).to_numpy()
            for name, at in found.items()
        }

    def _members(self, numbers: Positions, epoch: int) -> dict[str, Positions]:
        counted = numbers + epoch * self.samples if self.new_pairs else numbers
        found = {}
        for name, rows in self._rows.items():
            number, place = np.divmod(counted, rows.samples)
            at = np.empty_like(counted)
            for one in np.unique(number):
                here = number == one
                at[here] = _round(self._plans[name], int(one)).at(place[here])
            found[name] = at
        return found

    @cached_property
    def _plans(self) -> dict[str, Plan]:
        plans = {}
        for name, rows in self._rows.items():
            digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
            seed = int.from_bytes(digest[:7], "little")
            order = Labelled(self.pools[name]).automatic(BLOCK_FROM)
            plans[name] = rows.plan(order, 1, seed, False)
        return plans

    # -- what they make --------------------------------------------------------------------

    def gather(self, numbers: Positions, epoch: int, buffers: Buffers) -> dict[str, Array]:
        """Return some samples: members of the pools, taken or added, and combined."""
        members = self._members(numbers, epoch)
        taken = {
            pool: self._rows[pool].gather_some(members[pool], buffers.within(pool), names)
            for pool, names in self._taken.items()
        }
        out: dict[str, Array] = {}
        for column, terms in self._terms.items():
            pool, variable = terms[0]
            if len(terms) == 1:
                out[column] = taken[pool][variable]
                continue
            added = [(self._rows[p].table_of(v), v, members[p]) for p, v in terms]
            parts = [table.dense[name][0] for table, name, _ in added]
            shape = len(numbers), *parts[0].shape[1:]
            out[column] = buffers.get(column, shape, np.result_type(*parts))
            add_rows(added, out[column])
        if self.combine is None:
            return out
        made = self.combine(out)  # type: ignore[operator]  # __post_init__ looked it up
        return {variable.name: made[variable.name] for variable in self.variables}

    @cached_property
    def _terms(self) -> dict[str, Terms]:
        """Column → (pool, variable) of what is added; the lengths of ragged ones included."""
        found: dict[str, Terms] = {}

        def add(column: str, terms: Terms) -> None:
            if found.setdefault(column, terms) != terms:
                raise BatchError(
                    f"two pools have a {column!r}; say in columns what is meant, "
                    f"{{{column!r}: '{terms[0][0]}.{column}', ...}}"
                )

        if self.columns is None:
            for pool, rows in self._rows.items():
                for variable in rows.names:
                    add(variable, ((pool, variable),))
        for column, texts in (self.columns or {}).items():
            terms = tuple(map(self._split, [texts] if isinstance(texts, str) else texts))
            ragged = [(p, self._rows[p].flat[v]) for p, v in terms if v in self._rows[p].flat]
            if ragged and len(terms) > 1:
                raise BatchError(f"{column!r}: what is ragged cannot be added")
            add(column, terms)
            for pool, dim in ragged:
                add(f"{dim}_count", ((pool, f"{dim}_count"),))
        return found

    def _split(self, text: str) -> tuple[str, str]:
        """Return pool and variable of ``"pool.variable"``."""
        pool, _, variable = text.partition(".")
        if pool not in self.pools:
            raise BatchError(f"{text!r}: there is no pool {pool!r}{nearest(pool, self.pools)}")
        choose((variable,), self._rows[pool].names, ())
        return pool, variable

    @cached_property
    def _taken(self) -> dict[str, tuple[str, ...]]:
        """Pool → variables that are copied as they are."""
        single = [terms[0] for terms in self._terms.values() if len(terms) == 1]
        pools = dict.fromkeys(pool for pool, _ in single)
        return {p: tuple(v for pool, v in single if pool == p) for p in pools}

    @cached_property
    def _rows(self) -> dict[str, ArraySource]:
        opened = {name: Labelled(pool).opened for name, pool in self.pools.items()}
        for name, rows in opened.items():
            if not isinstance(rows, ArraySource):
                raise BatchError(
                    f"pool {name!r} is made on the fly, and members are drawn at random, each of "
                    "which would cost its block; store the samples first (ps.simulate)"
                )
        return opened  # type: ignore[return-value]

    # -- labels ----------------------------------------------------------------------------

    @property
    def schema(self) -> Schema:  # type: ignore[override]  # of the class elsewhere
        """Labels of what `combine` returns."""
        return Schema(self._sample, self.variables)

    @property
    def _sample(self) -> str:
        dims = {sample_dim(pool) for pool in self.pools.values()}
        return dims.pop() if len(dims) == 1 else "sample"

    @cached_property
    def labels(self) -> xr.Dataset:
        """A dataset without samples; a sum has the labels of its first term."""
        known = {
            name: Labelled(pool).labels.rename({sample_dim(pool): self._sample})
            for name, pool in self.pools.items()
        }
        plain = {n: d.drop_vars([c for c in d.coords if self._sample in d[c].dims])
                 for n, d in known.items()}  # fmt: skip
        if self.combine is not None:
            made = super().labels
            coords = {c: a for d in plain.values() for c, a in d.coords.items()
                      if set(a.dims) <= set(made.dims)}  # fmt: skip
            return made.assign_coords(coords)
        found = xr.Dataset(attrs={SAMPLE: self._sample})
        for column, terms in self._terms.items():
            first = plain[terms[0][0]][terms[0][1]]
            kind = first.dtype
            for pool, variable in terms[1:]:
                other = plain[pool][variable]
                differ = [c for c in set(first.coords) & set(other.coords)
                          if not first[c].equals(other[c])]  # fmt: skip
                if _about(other) != _about(first) or differ:
                    raise BatchError(
                        f"{column!r}: {pool}.{variable} {_about(other)} cannot be added to "
                        f"{'.'.join(terms[0])} {_about(first)}"
                        + "".join(f"; they differ in the coordinate {c!r}" for c in differ)
                    )
                kind = np.result_type(kind, other.dtype)
            found[column] = first.astype(kind)
        return found

    # -- identity and parts ----------------------------------------------------------------

    def divide(self, cut: Cut) -> tuple[Paired, Paired | None]:
        """Return pairs to train on and pairs to validate on, of members that are not shared."""
        counts = [len(positions) for positions in cut(self.samples)]
        if not counts[1]:
            return self, None
        parts: tuple[dict[str, xr.Dataset], dict[str, xr.Dataset]] = {}, {}
        for name, pool in self.pools.items():
            if name in self.shared:
                parts[0][name] = parts[1][name] = pool
                continue
            dim = sample_dim(pool)
            try:
                positions = cut(pool.sizes[dim])
            except ValueError as error:
                raise BatchError(
                    f"pool {name!r}: {error}; or let training and validation draw on all of it "
                    f"with shared=({name!r},)"
                ) from error
            for part, chosen in zip(parts, positions, strict=True):
                part[name] = pool.isel({dim: as_index(chosen)})
        train, held = (
            replace(self, pools=part, samples=n) for part, n in zip(parts, counts, strict=True)
        )
        return train, held

    def select(self, names: Iterable[str]) -> BatchSource:
        """Return the source of some variables only; no others are read."""
        if self.combine is not None:
            return super().select(names)
        chosen = {name: self._terms[name] for name in choose(names, self._terms, ())}
        used = {pool for terms in chosen.values() for pool, _ in terms}
        return replace(
            self,
            columns={name: tuple(map(".".join, terms)) for name, terms in chosen.items()},
            pools={name: pool for name, pool in self.pools.items() if name in used},
            shared=tuple(name for name in self.shared if name in used),
        )

    @property
    def is_long(self) -> bool:
        """Whether an order of its pairs or of a pool is computed and no list."""
        return super().is_long or any(rows.is_long for rows in self._rows.values())

    # -- on a device -----------------------------------------------------------------------

    def automatic(self, limit: float) -> str:
        """Return the order of the pairs as they are drawn, where every epoch draws new ones."""
        return "none" if self.new_pairs else "full"

    def device_bytes(self) -> int | None:
        """Return the bytes of all pools, which a device may hold where they are only added."""
        if self.combine is not None or self.flat:
            return None
        return sum(rows.row_bytes * rows.samples for rows in self._rows.values())

    def on_device(self, move: Move, pad: bool) -> Callable[[Positions, int], Cutter]:
        """Move the pools to a device, where members are then taken and added."""
        if self.device_bytes() is None:
            raise BatchError("pools live on a device where they are only added: no combine, no "
                             "ragged variables")  # fmt: skip
        held = {}
        for name, rows in self._rows.items():
            arrays = rows.gather(np.arange(rows.samples), 0, Buffers(reuse=False))
            held[name] = {v: move(v, array) for v, array in arrays.items()}

        def at(positions: Positions, epoch: int) -> Cutter:
            index = {p: move(p, m) for p, m in self._members(positions, epoch).items()}

            def cut(span: slice) -> dict[str, Any]:
                out = {}
                for column, terms in self._terms.items():
                    first, *more = (held[p][v].index_select(0, index[p][span]) for p, v in terms)
                    for other in more:
                        first = first + other
                    out[column] = first
                return out

            return cut

        return at


@lru_cache(maxsize=8)
def _round(plan: Plan, number: int) -> Epoch:
    """Return the order in which a pool is gone through for the n-th time."""
    return plan.epoch(number)


def _about(array: xr.DataArray) -> str:
    """Return what has to be equal in arrays that are added."""
    sizes = ", ".join(f"{dim} {n}" for dim, n in zip(array.dims[1:], array.shape[1:], strict=True))
    kind = "floats" if array.dtype.kind == "f" else array.dtype
    return f"({sizes}) of {kind} in {array.attrs.get('units', '1')}"
