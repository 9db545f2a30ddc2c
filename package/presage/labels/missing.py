"""Which values are there: the one definition of a missing value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from presage.labels.variables import Variable


def present(values: NDArray[Any], variable: Variable) -> NDArray[np.bool_]:
    """Return which values are there: not NaN, and not the declared number for none.

    Parameters
    ----------
    values
        In any shape; the number that stands for none is compared in their own type, so that
        -999.9 is found among float32 as well.
    variable
        Their declaration: `gaps` allows NaN, `missing` names a number.
    """
    there = np.ones(values.shape, dtype=bool) if values.dtype.kind != "f" else ~np.isnan(values)
    if variable.missing is not None:
        there &= values != np.asarray(variable.missing).astype(values.dtype)
    return there
