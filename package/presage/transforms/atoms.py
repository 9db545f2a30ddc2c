"""Values that a continuous density cannot hold: whole numbers, few values, a spike.

A density has no room for a single value that has a share of the events: its height there
grows without end in training, and what is drawn is smeared around it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from presage.labels import LabelError, Variable
from presage.labels.caller import warn_caller

Columns = Mapping[str, NDArray[Any]]

#: Fewer distinct values than this, each in as many events or more, are no continuous quantity.
FEW, REPEATED = 64, 20
#: Floats that are all whole numbers, each in so many events on average, are counts.
SEVERAL = 4
#: Share of one value that is warned of, and how much more frequent than others it is.
SHARE, ABOVE = 0.01, 20
_LOOK = 4096


class AtomWarning(UserWarning):
    """One exact value has a share of the events, which a continuous density smears."""


def check_continuous(
    columns: Columns, variables: Sequence[Variable], parameters: Sequence[Variable] = ()
) -> None:
    """Refuse variables, given as columns ``[event]``, that no continuous density can describe.

    A float that is constant at each label, of `parameters`, is let through: its peak has no width,
    and is where it should be.

    Warns
    -----
    AtomWarning
        One exact value has more than 1 % of the events.
    """
    for variable in variables:
        x = columns[variable.name]
        whole = x.dtype.kind in "iu"
        look = x[:: max(1, len(x) // _LOOK)]
        values, counts = np.unique(look, return_counts=True)
        if whole:
            _refuse(variable, f"holds whole numbers ({pd.unique(x).size} different ones)")
        if len(values) <= FEW and _few(x, columns, parameters):
            number = pd.unique(x).size
            _refuse(variable, f"takes only {number} different values in {len(x)} events")
        if len(values) > FEW and np.array_equal(look, np.rint(look)) and _repeats(x):
            _refuse(variable, f"holds whole numbers ({pd.unique(x).size} different ones)")
        top = int(counts.argmax()) if len(counts) else 0
        if len(values) > FEW and counts[top] >= max(SHARE * len(look), ABOVE * np.median(counts)):
            share = float(np.mean(x == values[top]))
            warn_caller(
                f"{variable.name!r} is exactly {values[top]:.6g} in {100 * share:.1f} % of the "
                "events; a continuous density smears a single value. If it stands for no "
                f"value, declare it (Variable(..., missing={values[top]:.6g}), or missing = "
                f"{values[top]:.6g} in a .toml description): such events are left out and counted",
                AtomWarning,
            )


def _repeats(x: NDArray[Any]) -> bool:
    """Say whether all values are whole numbers, each in several events."""
    return len(x) >= SEVERAL * pd.unique(x).size and np.array_equal(x, np.rint(x))


def _few(x: NDArray[Any], columns: Columns, parameters: Sequence[Variable]) -> bool:
    """Say whether a column repeats few values, and not one at each label."""
    number = pd.unique(x).size
    if number > FEW or len(x) < REPEATED * number:
        return False
    table = pd.DataFrame({p.name: columns[p.name] for p in parameters}, index=range(len(x)))
    labels = len(table.drop_duplicates()) if len(parameters) else 1
    constant = len(table.assign(**{"": x}).drop_duplicates()) == labels
    return not (constant and 2 * labels <= len(x))


def _refuse(variable: Variable, what: str) -> None:
    raise LabelError(
        f"{variable.name!r} {what}, and this model describes continuous quantities only. Leave it "
        f"out, of [columns] in a .toml description or with drop_vars({variable.name!r}); or, "
        "as long as there are no discrete models, add uniform noise from 0 to 1 "
        "(one step between its values), declare it a float, and "
        "round down what is drawn"
    )
