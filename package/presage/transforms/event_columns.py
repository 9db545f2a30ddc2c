"""The columns that variables become: values, which part of them an event is in, and each mode's.

See :mod:`presage.transforms.event_scale`, which scales them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from presage.labels import Parameter, Variable
from presage.transforms.columns import Columns, Floats, columns_of
from presage.transforms.kinds import Kind
from presage.transforms.scale import standardisation
from presage.transforms.smooth import Smooth, features_of, groups, periodic_features

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Column:
    """One column of the network."""

    variable: Variable  # as it is scaled
    of: str  # the variable of the events that it stands for
    role: str  # "point", "cell", "dense" (whole numbers as points) or "rest" (a mode)
    part: int = 0  # of a mode: which

    @property
    def name(self) -> str:
        """Its name."""
        return self.variable.name


def part_name(variable: str) -> str:
    """Return the name of the column that says in which part a variable's value is."""
    return f"{variable}__part"


def columns_for(variable: Variable, kind: Kind) -> list[Column]:
    """Return the columns of a variable."""
    if kind.whole:
        lower = None if variable.lower is None else float(np.ceil(variable.lower)) - 0.5
        upper = None if variable.upper is None else float(np.floor(variable.upper)) + 0.5
        own = replace(variable, dtype="float64", lower=lower, upper=upper, missing=None)
        return [Column(own, variable.name, "cell")]
    if not kind.parted:
        return [Column(variable, variable.name, "point")]
    modes = kind.modes if kind.rest else 0
    which = Variable(
        part_name(variable.name), dtype="float64", lower=-0.5, upper=modes + len(kind.atoms) - 0.5
    )
    found = [Column(which, variable.name, "cell")]
    for mode in range(modes):
        own = replace(
            variable,
            name=variable.name if modes == 1 else f"{variable.name}__{mode}",
            lower=variable.lower if mode == 0 else None,
            upper=variable.upper if mode == modes - 1 else None,
        )
        found.append(Column(own, variable.name, "rest", mode))
    return found


def grouped(
    x: Columns, parameters: Sequence[Parameter], events: int
) -> tuple[Floats, list[NDArray[np.intp]], Mask]:
    """Return features of labels ``[event, feature]``, groups of like ones, which have no end."""
    condition = columns_of(x, parameters, "parameter")
    begins, centre, spread = standardisation(condition, parameters, events)
    design = (features_of(condition, parameters, begins, events) - centre) / spread
    return design, groups(design), periodic_features(parameters)


def kept(x: Floats, variable: Variable, kind: Kind) -> tuple[Floats, NDArray[np.intp]]:
    """Return values as they are stored, and at which atom each is, -1 for none, ``[event]``."""
    kept = x.astype(variable.dtype).astype(np.float64)
    if not kind.atoms:
        return kept, np.full(x.size, -1)
    place = np.clip(np.searchsorted(kind.atoms, kept), 0, len(kind.atoms) - 1)
    return kept, np.where((kept == np.array(kind.atoms)[place]) | (not kind.rest), place, -1)


def parts_of(
    x: Mapping[str, Floats],
    variables: Sequence[Variable],
    kinds: Mapping[str, Kind],
    cuts: Mapping[str, Sequence[Smooth]],
    design: Floats,
) -> dict[str, NDArray[np.intp]]:
    """Return in which part of a parted variable each event is: modes first, then atoms."""
    found = {}
    for variable in variables:
        name, kind = variable.name, kinds[variable.name]
        if kind.parted:
            at = kept(x[name], variable, kind)[1]
            mode = sum((x[name] > cut(design) for cut in cuts.get(name, ())), np.zeros(at.size))
            first = kind.modes if kind.rest else 0
            found[name] = np.where(at >= 0, first + at, mode).astype(np.intp)
    return found


def values_of(
    x: Mapping[str, Floats], parts: Mapping[str, NDArray[np.intp]], columns: Sequence[Column]
) -> tuple[dict[str, Floats], dict[str, Mask]]:
    """Return the values of the columns ``[event]``, and where those of modes are there."""
    values: dict[str, Floats] = {}
    there: dict[str, Mask] = {}
    for column in columns:
        values[column.name] = x[column.of]
        if column.role == "rest":
            there[column.name] = parts[column.of] == column.part
        elif column.of in parts:
            values[column.name] = parts[column.of].astype(np.float64)
    return values, there
