"""Events of any kind of number as columns of a network: points, cells, and what is not there.

A continuous variable is one column of :class:`presage.transforms.scale.LabelScale`, and an event
a point in it. Whole numbers lie on the same line, and n is the cell from n - 1/2 to n + 1/2:

    P(n | c) = F(n + 1/2 | c) - F(n - 1/2 | c),

so that probabilities of all n add up to one whatever the network says. The values of a variable may
fall into parts: atoms, and modes far apart (:mod:`presage.transforms.modes`). It then has a column
that says which part an event is in, whole numbers, and one for each mode, the value in coordinates
of that mode, which is not there where the event is in another part. The base measure of a density
is then Lebesgue's for points and the counting measure for cells.

A network that maps one variable after the other takes cells as they are (`exact`). Any other is
trained on points spread evenly over the cells, and a normal number where nothing is (uniform
dequantisation, Theis et al. 2016, arXiv:1511.01844), and a probability is the mean of its density
over :data:`ROUNDS` points that fill the cells evenly: an estimate. Whole numbers whose cells are
narrow in these coordinates are points for all networks, the density at n their probability.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from presage.labels import Parameter, Variable
from presage.transforms.columns import Columns, Floats, columns_of, entry, from_entry
from presage.transforms.event_columns import (
    Column,
    Mask,
    columns_for,
    grouped,
    kept,
    part_name,
    parts_of,
    values_of,
)
from presage.transforms.kinds import Kind, kind_of
from presage.transforms.modes import find_cuts
from presage.transforms.scale import LabelScale
from presage.transforms.smooth import Smooth, groups

#: Points over which the density of a cell is averaged.
ROUNDS = 64
#: Where a cell has no end, in standardised coordinates.
ENDLESS = 1e4
#: Cells narrower than this, in standardised coordinates, are points.
_NARROW = 0.02


def column_count(declaration: Mapping[str, Any]) -> int:
    """Return how many columns the network of a declaration has."""
    return len(declaration.get("columns", declaration["variables"]))


def roles_of(declaration: Mapping[str, Any]) -> list[str]:
    """Return the role of each column of a declaration."""
    default = [{"role": "point"}] * column_count(declaration)
    return [column["role"] for column in declaration.get("columns", default)]


@dataclass(frozen=True, eq=False)
class EventScale:
    """The fitted coordinates of events, see the module."""

    variables: tuple[Variable, ...]  # of the events
    kinds: Mapping[str, Kind]
    columns: tuple[Column, ...]
    scale: LabelScale
    exact: bool  # whether the network takes cells
    cuts: Mapping[str, Sequence[Smooth]]  # between the modes of variables that have several

    @classmethod
    def fit(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        variables: Sequence[Variable],
        parameters: Sequence[Parameter] = (),
        exact: bool = False,
    ) -> Self:
        """Fit to events ``[event]`` by name; as :meth:`LabelScale.fit`."""
        kinds = {v.name: kind_of(v, arrays, parameters) for v in variables}
        given = columns_of(arrays, variables, "variable")
        design, members, periodic = grouped(arrays, parameters, len(next(iter(given.values()))))
        cuts: dict[str, Sequence[Smooth]] = {}
        for variable in variables:
            name, kind = variable.name, kinds[variable.name]
            if not kind.counted and variable.period is None:
                rest = kept(given[name], variable, kind)[1] < 0
                own = members if rest.all() else groups(design[rest])
                found = find_cuts(given[name][rest], design[rest], own, periodic)
                kinds[name] = replace(kind, modes=len(found) + 1)
                cuts |= {name: found} if found else {}
        columns = tuple(column for v in variables for column in columns_for(v, kinds[v.name]))
        own_variables = tuple(column.variable for column in columns)
        parts = parts_of(given, variables, kinds, cuts, design)
        values, there = values_of(given, parts, columns)
        rng = np.random.default_rng(0)
        spread = {c.name: values[c.name] + _noise(c, rng, values[c.name].size) for c in columns}
        scale = LabelScale.fit({**arrays, **spread}, own_variables, parameters, there)
        settled = tuple(_settled(column, scale, values, arrays) for column in columns)
        return cls(tuple(variables), kinds, settled, scale, exact, cuts)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What the coordinates depend on."""
        return self.scale.parameters

    @property
    def continuous(self) -> bool:
        """Whether every variable is."""
        return all(column.role == "point" for column in self.columns)

    @property
    def rounds(self) -> int:
        """How many times :meth:`points` has to be asked, and a density averaged."""
        cells = any(column.role in ("cell", "rest") for column in self.columns)
        return ROUNDS if cells and not self.exact else 1

    def features(self, condition: Columns, events: int | None = None) -> Floats:
        """Return the standardised features ``[event, feature]`` of conditions."""
        return self.scale.features(condition, events)

    def points(
        self, x: Columns, rng: np.random.Generator | None = None, number: int = 0
    ) -> tuple[dict[str, NDArray[np.float32]], Floats]:
        """Return what the network takes, and what is added to its log p, ``[event]``.

        That is ``target`` ``[event, column]`` and, where a network takes cells, their ``low`` and
        ``high`` ends ``[event, cell]``, and whether rests are ``there`` ``[event, rest]``. With
        `rng` cells are filled at random, to train with; without one evenly, with point `number`.
        """
        values, there = self._filled(x)
        size = next(iter(values.values())).size
        shift = np.zeros(size)
        inner = dict(values)
        shares = self._shares(size, rng, number)
        for column in self.columns:
            name = column.name
            if (column.role == "dense" and rng) or (column.role == "cell" and not self.exact):
                inner[name] = _inside(values[name] + shares[name] - 0.5, column.variable)
        target = self.scale.apply(inner, x)
        if not self.exact:
            cells = [c.name for c in self.columns if c.role == "cell"]
            if cells:
                shift = shift + self.scale.log_det(inner, x, cells)
        for name, mask in there.items():
            normal = np.zeros(size) if self.exact else ndtri(shares[name])
            target[name] = np.where(mask, target[name], normal)
            if not self.exact:
                shift += np.where(mask, 0.0, 0.5 * normal**2 + 0.5 * np.log(2 * np.pi))
        arrays = {"target": _stack(target)}
        if self.exact and not self.continuous:
            arrays |= self._cells(values, there, x)
        return arrays, shift

    def log_det(self, x: Columns) -> Floats:
        """Return the sum over what are points of log |dz/dx|, ``[event]``."""
        values, there = self._filled(x)
        total = np.zeros(next(iter(values.values())).size)
        for column in self.columns:
            if column.role != "cell":
                own = self.scale.log_det(values, x, [column.name])
                total += np.where(there.get(column.name, True), own, 0.0)
        return total

    def inverse(self, z: NDArray[Any], condition: Columns) -> dict[str, Floats]:
        """Return events by name of columns z ``[event, column]``."""
        x = self.scale.inverse({c.name: z[:, k] for k, c in enumerate(self.columns)}, condition)
        for column in self.columns:
            if column.role in ("cell", "dense"):
                x[column.name] = _whole(x[column.name], column.variable)
        found: dict[str, Floats] = {}
        for variable in self.variables:
            kind = self.kinds[variable.name]
            if not kind.parted:
                found[variable.name] = x[variable.name]
                continue
            part = x[part_name(variable.name)].astype(int)
            total = np.zeros(part.size)
            for column in self.columns:
                if column.of == variable.name and column.role == "rest":
                    total = np.where(part == column.part, x[column.name], total)
            first = kind.modes if kind.rest else 0
            for number, atom in enumerate(kind.atoms):
                total = np.where(part == first + number, atom, total)
            found[variable.name] = total
        return found

    def unseen(self, x: Columns, condition: Columns) -> NDArray[np.bool_]:
        """Return which events have a value beyond all those of the fit, ``[event]``."""
        return self.scale.unseen(self._filled({**condition, **x})[0], condition)

    def settled(self, k: int, z: Floats, before: NDArray[Any], condition: Columns) -> Floats:
        """Return column k of drawn events as the network was trained to see it, ``[event]``.

        `before` are the columns ``[event, column]``, right in those that this one depends on: of a
        cell its middle, 0 for what is not there.
        """
        column = self.columns[k]
        if column.role == "cell":
            n = _whole(self.scale.inverse({column.name: z}, condition, [column.name])[column.name],
                       column.variable)  # fmt: skip
            return self.scale.apply({column.name: n}, condition, [column.name])[column.name]
        if column.role == "rest":
            name = part_name(column.of)
            which = next(i for i, c in enumerate(self.columns) if c.name == name)
            given = self.scale.inverse({name: before[:, which]}, condition, [name])[name]
            return np.where(np.rint(given) == column.part, z, 0.0)
        return z

    def said(self) -> str:
        """Return in a line what is not the usual; empty where all is."""
        kinds = [kind.said(name) for name, kind in self.kinds.items()]
        return "; ".join(text for text in (*kinds, self.scale.said()) if text)

    def state(self) -> dict[str, Floats]:
        """Return the fitted numbers, name → array; with :meth:`declaration` that is all."""
        state = self.scale.state()
        for name, cuts in self.cuts.items():
            for number, cut in enumerate(cuts):
                state |= {f"{name}.cuts.{number}.{k}": v for k, v in cut.state().items()}
        return state

    def declaration(self) -> dict[str, Any]:
        """Return variables, parameters and columns in JSON's terms."""
        own = self.scale.declaration()
        if self.continuous:
            return own
        return {
            **own,
            "variables": [entry(variable) for variable in self.variables],
            "kinds": {name: kind.entry() for name, kind in self.kinds.items()},
            "columns": [
                {"of": c.of, "role": c.role, "part": c.part, **entry(c.variable)}
                for c in self.columns
            ],
            "exact": self.exact,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, ArrayLike], declaration: Mapping[str, Any]) -> Self:
        """Rebuild what :meth:`state` and :meth:`declaration` describe, bit for bit."""
        variables = tuple(from_entry(Variable, entry) for entry in declaration["variables"])
        columns = tuple(Column(v, v.name, "point") for v in variables)
        kinds = {v.name: Kind() for v in variables}
        if "columns" in declaration:
            entries = [dict(entry) for entry in declaration["columns"]]
            own = [[entry.pop(name) for name in ("of", "role", "part")] for entry in entries]
            variables_of = [from_entry(Variable, entry) for entry in entries]
            columns = tuple(Column(v, *o) for v, o in zip(variables_of, own, strict=True))
            kinds = {name: Kind.of_entry(one) for name, one in declaration["kinds"].items()}
        scaled = {**declaration, "variables": [entry(column.variable) for column in columns]}
        scale = LabelScale.from_state(state, scaled)
        numbers = {name: np.asarray(value, dtype=np.float64) for name, value in state.items()}
        cuts = {
            name: [
                Smooth.from_state(numbers, f"{name}.cuts.{number}.")
                for number in range(kind.modes - 1)
            ]
            for name, kind in kinds.items()
            if kind.modes > 1
        }
        return cls(variables, kinds, columns, scale, bool(declaration.get("exact", False)), cuts)

    def _shares(self, size: int, rng: np.random.Generator | None, number: int) -> dict[str, Floats]:
        """Return a place between 0 and 1 in each column that is spread, ``[event]``."""
        names = [column.name for column in self.columns if column.role != "point"]
        if rng is not None:
            return {name: rng.random(size).clip(1e-9, 1 - 1e-9) for name in names}
        return {name: np.full(size, _even(number, k)) for k, name in enumerate(names)}

    def _filled(self, x: Columns) -> tuple[dict[str, Floats], dict[str, Mask]]:
        """Return :meth:`values`, usual ones where there is none."""
        given = columns_of(x, self.variables, "variable")
        design = self.scale.features(x) if self.cuts else np.zeros((0, 0))
        parts = parts_of(given, self.variables, self.kinds, self.cuts, design)
        values, there = values_of(given, parts, self.columns)
        if there:
            names = list(there)
            size = next(iter(values.values())).size
            usual = self.scale.inverse(dict.fromkeys(names, np.zeros(size)), x, names)
            values |= {n: np.where(mask, values[n], usual[n]) for n, mask in there.items()}
        return values, there

    def _cells(
        self, values: Mapping[str, Floats], there: Mapping[str, Mask], x: Columns
    ) -> dict[str, NDArray[np.float32]]:
        cells = [c for c in self.columns if c.role == "cell"]
        rests = [c.name for c in self.columns if c.role == "rest"]
        found: dict[str, NDArray[np.float32]] = {}
        for name, sign in (("low", -1), ("high", 1)):
            ends = {}
            for column in cells:
                edge = values[column.name] + 0.5 * sign
                bound = column.variable.lower if sign < 0 else column.variable.upper
                z = self.scale.apply({column.name: edge}, x, [column.name])[column.name]
                last = (
                    np.zeros(edge.size, dtype=bool) if bound is None else sign * (edge - bound) >= 0
                )
                ends[column.name] = np.where(last, sign * ENDLESS, z)
            if ends:
                found[name] = _stack(ends)
        if rests:
            found["there"] = _stack({name: there[name].astype(float) for name in rests})
        return found


def _settled(column: Column, scale: LabelScale, values: Mapping[str, Floats], x: Columns) -> Column:
    """Return a column of cells as one of points where they are narrow."""
    if column.role != "cell":
        return column
    name = column.name
    edges = [_inside(values[name] + half, column.variable) for half in (-0.5, 0.5)]
    ends = [scale.apply({name: edge}, x, [name])[name] for edge in edges]
    return replace(column, role="dense") if np.median(ends[1] - ends[0]) < _NARROW else column


def _noise(column: Column, rng: np.random.Generator, size: int) -> Floats:
    return rng.random(size) - 0.5 if column.role == "cell" else np.zeros(size)


def _inside(x: Floats, variable: Variable) -> Floats:
    low = -np.inf if variable.lower is None else variable.lower
    return np.clip(x, low, np.inf if variable.upper is None else variable.upper)


def _whole(x: Floats, variable: Variable) -> Floats:
    """Return the whole numbers whose cells x lie in."""
    low = -np.inf if variable.lower is None else variable.lower + 0.5
    high = np.inf if variable.upper is None else variable.upper - 0.5
    return np.clip(np.rint(x), low, high)


def _even(number: int, column: int) -> float:
    """Return coordinate `column` of point `number` of a lattice that fills the unit cube evenly."""
    # Kronecker's sequence of square roots of primes; of one cell its midpoints.
    if column == 0:
        return (number + 0.5) / ROUNDS
    prime = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)[column % 12]
    return float((0.5 + number * np.sqrt(prime)) % 1.0)


def _stack(columns: Mapping[str, ArrayLike]) -> NDArray[np.float32]:
    return np.stack([np.asarray(column, dtype=np.float32) for column in columns.values()], axis=1)
