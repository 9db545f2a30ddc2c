"""Which label event i has.

A label is a fixed function of i, so that a longer run extends a shorter one. With
equal weights it is i mod K. With unequal ones, i goes through the golden-ratio Weyl
sequence frac((i + 1)/golden ratio), in exact 64-bit arithmetic, and then through the
cumulative weights: after n events every label has its share of n to within a few events.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from presage.labels.errors import LabelError

#: 2^64 divided by the golden ratio.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def schedule(
    start: int, stop: int, labels: int, weights: NDArray[np.float64] | None = None
) -> NDArray[np.int64]:
    """Return the number of the label, in ``[0, K)``, of each of the events ``[start, stop)``.

    There are K labels; `weights` are their relative frequencies ``[K]``, at least 0, equal when
    None.
    """
    if weights is None:
        numbers = np.arange(start, stop, dtype=np.int64)
        numbers %= labels
        return numbers
    edges = check_weights(labels, np.asarray(weights, dtype=np.float64))
    turns = np.arange(start + 1, stop + 1, dtype=np.uint64)
    turns *= _GOLDEN  # modulo 2^64: the fractional part, exactly
    return np.searchsorted(edges, turns, side="right")


def check_weights(labels: int, weights: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return the inner edges ``[K - 1]`` of the cumulative weights, in units of 2^-64."""
    total = weights.sum() if weights.shape == (labels,) else math.nan
    if not (np.isfinite(total) and total > 0 and weights.min() >= 0):
        raise LabelError(
            f"weights should be {labels} numbers that are finite, at least 0 and not all 0; "
            f"got shape {weights.shape}, sum {total}"
        )
    inner = np.cumsum(weights)[:-1] / total
    top = math.nextafter(2.0**64, 0.0)  # the largest float that still fits
    edges = np.minimum(inner * 2.0**64, top).astype(np.uint64)
    last = int(np.flatnonzero(weights)[-1])
    edges[last:] = np.iinfo(np.uint64).max  # rounding must not hand events to a weight of 0
    return edges
