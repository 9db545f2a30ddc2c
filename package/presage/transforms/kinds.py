"""What the values of a variable are: continuous, whole numbers, or single values beside the rest.

A density has no room for a value that has a share of the events. Such values, atoms, have
probabilities of their own; so have whole numbers, whose declared type or values say that they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from presage.labels import Variable

Columns = Mapping[str, NDArray[Any]]

#: Fewer distinct values than this, each in as many events or more, are no continuous quantity.
FEW, REPEATED = 64, 20
#: Floats that are all whole numbers, each in so many events on average, are counts.
SEVERAL = 4
#: Share of one value that is an atom, how much more frequent than others it is, and how many.
SHARE, ABOVE, MOST = 0.005, 20, 8
_LOOK = 16384


@dataclass(frozen=True)
class Kind:
    """What one variable's values are.

    Parameters
    ----------
    whole
        All are whole numbers.
    atoms
        Single values that have a probability of their own, ascending.
    rest
        Whether there are other values than the atoms.
    modes
        How many parts, with gaps between them at every label, the others fall into.
    """

    whole: bool = False
    atoms: tuple[float, ...] = ()
    rest: bool = True
    modes: int = 1

    @property
    def counted(self) -> bool:
        """Whether every value has a probability of its own."""
        return self.whole or not self.rest

    def entry(self) -> dict[str, Any]:
        """Return it in JSON's terms."""
        return {**asdict(self), "atoms": list(self.atoms)}

    @classmethod
    def of_entry(cls, entry: Mapping[str, Any]) -> Kind:
        """Rebuild it from :meth:`entry`."""
        return cls(
            bool(entry["whole"]), tuple(entry["atoms"]), bool(entry["rest"]), int(entry["modes"])
        )

    def said(self, name: str) -> str:
        """Return it in words, empty for a continuous variable."""
        if self.whole:
            return f"{name}: whole numbers"
        shown = ", ".join(f"{atom:.6g}" for atom in self.atoms[:4])
        more = ", ..." if len(self.atoms) > 4 else ""
        said = [f"{shown}{more} with probabilities of their own"] if self.atoms else []
        said += [f"{self.modes} modes apart"] if self.modes > 1 else []
        return f"{name}: {' and '.join(said)}" if said else ""

    @property
    def parted(self) -> bool:
        """Whether a column says which part of its values an event is in."""
        return bool(self.atoms) or self.modes > 1


def kind_of(variable: Variable, columns: Columns, parameters: Sequence[Variable] = ()) -> Kind:
    """Return what a variable's values are in columns ``[event]``.

    A float that is constant at each label, of `parameters`, is continuous: its peak has no width,
    and is where it should be.
    """
    x = columns[variable.name]
    if x.dtype.kind in "iu":
        return Kind(whole=True)
    if variable.period is not None:
        return Kind()
    look = x[:: max(1, len(x) // _LOOK)]
    values, counts = np.unique(look, return_counts=True)
    if np.array_equal(look, np.rint(look)) and np.array_equal(x, np.rint(x)):
        repeated = len(x) >= SEVERAL * pd.unique(x).size and len(values) > FEW
        if repeated or _few(x, columns, parameters):
            return Kind(whole=True)
    if len(values) <= FEW:
        all_values = np.sort(pd.unique(x)).astype(float)
        few = _few(x, columns, parameters)
        return Kind(atoms=tuple(all_values.tolist()), rest=False) if few else Kind()
    frequent = counts >= np.maximum(SHARE * len(look), ABOVE * np.median(counts))
    atoms = values[frequent][np.argsort(-counts[frequent])][:MOST]
    return Kind(atoms=tuple(np.sort(atoms).astype(float).tolist()))


def _few(x: NDArray[Any], columns: Columns, parameters: Sequence[Variable]) -> bool:
    """Say whether a column repeats few values, and not one at each label."""
    number = pd.unique(x).size
    if number > FEW or len(x) < REPEATED * number:
        return False
    table = pd.DataFrame({p.name: columns[p.name] for p in parameters}, index=range(len(x)))
    labels = len(table.drop_duplicates()) if len(parameters) else 1
    constant = len(table.assign(**{"": x}).drop_duplicates()) == labels
    return not (constant and 2 * labels <= len(x))
