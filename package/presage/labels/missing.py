"""Which values are there: the one definition of a missing value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from presage.labels.caller import warn_caller
from presage.labels.errors import LabelError
from presage.labels.variables import Variable


class MissingWarning(UserWarning):
    """Events are left out for a value that they do not have."""


def present(values: NDArray[Any], variable: Variable) -> NDArray[np.bool_]:
    """Return which values, in any shape, are there: not NaN, and not the number for none.

    The number that a variable declares as `missing` is compared in their own type and in the
    declared one, so that -999.9 is found among float32 as well.
    """
    there = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(values.shape, dtype=bool)
    if variable.missing is not None:
        for kind in {values.dtype, np.dtype(variable.dtype)}:
            there &= values != np.asarray(variable.missing).astype(kind)
    return there


def complete(
    columns: Mapping[str, NDArray[Any]], variables: Iterable[Variable], source: str = ""
) -> NDArray[np.bool_] | None:
    """Return which events have a value in every column, None where all have.

    Only variables that declare how a missing value looks are searched for one. Without
    `source`, what to call the events, nothing is said.

    Warns
    -----
    MissingWarning
        Events are left out; how many, and for which columns.
    """
    whole: NDArray[np.bool_] | None = None
    lacking = []
    for variable in variables:
        if not variable.gaps and variable.missing is None:
            continue
        there = present(columns[variable.name], variable)
        if not there.all():
            lacking.append(f"{variable.name!r} in {np.count_nonzero(~there)}")
            whole = there if whole is None else whole & there
    if whole is None:
        return None
    left = np.count_nonzero(whole)
    if not left:
        raise LabelError(f"{source}: no event has a value in every column; {', '.join(lacking)}")
    if not source:
        return whole
    warn_caller(
        f"{source}: {len(whole) - left} of {len(whole)} events are left out, for a value is "
        f"missing: {', '.join(lacking)}",
        MissingWarning,
    )
    return whole
