"""What readers of events do alike, whatever the files are: columns that a user declares.

Every column has a declaration, and says where in the files it is read from. Events that lack a
value, or have one that cannot be, are told from the others here, and counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from presage.inputs import check_settings
from presage.labels import Array, Parameter, Variable, Weight, present
from presage.simulator import Reader

#: Declaration, and where it is read from: an expression, the name of a column.
Pair = tuple[Variable, str]


def declare(
    given: Any, kind: type[Variable], dtype: str, error: type[ValueError]
) -> tuple[Pair, ...]:
    """Return columns as users write them: a mapping, pairs, or names and declarations alone.

    A name alone is declared as a pure number of type `dtype`, of this `kind` (a Parameter for a
    label), and is read from what is called so. What is no column is refused with `error`.
    """
    if isinstance(given, str):
        raise error(f"columns and labels are lists of names, as [{given!r}]")
    found = []
    for item in given.items() if isinstance(given, Mapping) else given:
        own, source = (item, "") if isinstance(item, (str, Variable)) else item
        if isinstance(own, str):
            own = kind(own, dtype=dtype)
        elif not isinstance(own, kind):
            own = kind(**{f.name: getattr(own, f.name) for f in fields(Variable)})
        if not isinstance(source, str):
            raise error(f"{own.name}: an expression is text, not {source!r}")
        found.append((own, source or own.name))
    return tuple(found)


def with_weight(columns: tuple[Pair, ...], source: str) -> tuple[Pair, ...]:
    """Return columns with one more, ``weight``, that is read from `source`; without one, as is."""
    weight = Weight("weight", long_name="event weight")
    return columns if not source or (weight, source) in columns else (*columns, (weight, source))


def true(particle: str, **fields: Any) -> Parameter:
    """Declare a particle's true mass in GeV, a label."""
    return Parameter(
        f"{particle.lower()}_label", dtype="float64", unit="GeV",
        long_name=f"true mass of {particle}", **fields,
    )  # fmt: skip


def reconstructed(particle: str, lower: float) -> Variable:
    """Declare a particle's reconstructed mass in GeV, which follows the true one."""
    name = particle.lower()
    return Variable(
        f"{name}_mass", unit="GeV", long_name=f"reconstructed mass of {particle}", lower=lower,
        follows=f"{name}_label",
    )  # fmt: skip


class ColumnReader(Reader):
    """A reader with the fields `columns` and `labels`, of pairs since they were checked."""

    columns: Any
    labels: Any

    sample_dim: ClassVar[str] = "event"

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Declaration and source of each label, then of each column."""
        return tuple((variable, source) for variable, source in (*self.labels, *self.columns))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The labels' declarations."""
        return tuple(v for v, _ in self.labels if isinstance(v, Parameter))

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The columns' declarations."""
        return tuple(variable for variable, _ in self.columns)

    def check(self, error: type[ValueError], **choices: Sequence[str]) -> None:
        """Refuse settings that make no sense, see :func:`presage.inputs.check_settings`."""
        if all(isinstance(variable, Weight) for variable in self.variables):
            raise error("columns= is empty; name what to read, as ['phi_mass']")
        check_settings(self, error, **choices)
        _ = self.schema  # equal names, and those of the dataset's own, are an error here


@dataclass
class Tally:
    """Numbers of events, counted while files are read."""

    #: Left out because a column has no value: an index of -1 or too large, a gap, or the number
    #: that a Variable declares to stand for none.
    missing: int = 0
    invalid: int = 0  # left out because a value is NaN, infinite or beyond a bound
    kept: int = 0  # events that remain

    def said(self, where: str = "") -> list[str]:
        """Return what was left out, a sentence each."""
        total = self.missing + self.invalid + self.kept
        reasons = {
            "a missing value": self.missing,
            "a value that is not finite or beyond a bound": self.invalid,
        }
        return [
            f"{where}{number} of {total} events have {reason} and are left out"
            for reason, number in reasons.items()
            if number
        ]


def lacking(chunk: Mapping[str, Array], variables: Iterable[Variable]) -> Array | None:
    """Return which events hold a number that is declared to stand for none, or a declared gap.

    None where no variable declares any. NaN that nobody declared is no missing value but an
    invalid one.
    """
    masks = [
        ~present(chunk[v.name], v) & (v.gaps | ~np.isnan(chunk[v.name]))
        for v in variables
        if v.gaps or v.missing is not None
    ]
    return np.logical_or.reduce(masks) if masks else None


def invalid(array: Array, variable: Variable) -> tuple[Array | None, str]:
    """Return which values are not finite or beyond a bound, None where none is, and which of it."""
    if array.size == 0 or array.dtype.kind not in "fiu":
        return None, ""
    least, most = variable.bounds
    lower = -math.inf if least is None else least
    upper = math.inf if most is None else most
    low, high = array.min(), array.max()  # NaN propagates through both
    if not (math.isfinite(low) and math.isfinite(high)):
        return ~((array >= lower) & (array <= upper) & np.isfinite(array)), "NaN or infinite"
    if low < lower or high > upper:
        beyond = f"beyond its bounds ({lower:g}, {upper:g})"
        return (array < lower) | (array > upper), beyond
    return None, ""
