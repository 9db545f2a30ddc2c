"""How rare a number is among those seen before: ranks, and an exponential tail beyond them.

Of n numbers seen and one more of the same law every rank is as likely, so that
p = (1 + how many are at least as large) / (n + 1) is right whatever the law is (conformal
prediction). It says nothing below 1 / (n + 1). Beyond the largest percent the excess is
therefore taken as exponential, which it is in the limit for every score that behaves as minus
the logarithm of a density does, whether the density falls off like a Gaussian or like a power.

Sources: Vovk, Gammerman, Shafer 2005, Algorithmic Learning in a Random World; peaks over
threshold, Pickands 1975, Ann. Statist. 3, 119.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Share of the numbers whose mean excess gives the tail, and the fewest and most for it.
_SHARE, _FEWEST, _MOST = 0.01, 10, 100


class UnlikeTrainingWarning(UserWarning):
    """What a model is asked about is unlike anything that it was trained with."""


#: Below this a p-value is not quoted: the tail is not known so far.
SMALLEST = 1e-6
#: Standard errors of the mean excess that are added where the tail is followed far.
SURE = 2.0
#: The rate of false alarms at which something is said.
LEVEL = 0.01


def log_tail(seen: NDArray[np.float64], value: ArrayLike, sure: float = 0.0) -> NDArray[np.float64]:
    """Return ln p of `value`, in its shape, among numbers `seen`; large ones are rare.

    What was `seen` is ``[number]``, ascending, of the same law as what is usual, and `sure` is how
    many standard errors are added to the mean excess. The result is at most 0, falling; 0 where
    nothing was seen, and NaN for NaN.
    """
    x = np.asarray(value, dtype=np.float64)
    n = len(seen)
    if n == 0:
        return np.where(np.isnan(x), np.nan, 0.0)
    rank = np.log((1 + n - np.searchsorted(seen, x, side="left")) / (n + 1))
    beyond = min(max(_FEWEST, min(round(_SHARE * n), _MOST)), n)
    edge = seen[max(n - beyond - 1, 0)]
    excess = max(float(np.mean(seen[n - beyond :]) - edge), 1e-9 * max(1.0, abs(float(edge))))
    excess *= 1 + sure / beyond**0.5
    tail = np.log((1 + beyond) / (n + 1)) - (x - edge) / excess
    return np.where(np.isnan(x), np.nan, np.minimum(np.where(x > edge, tail, rank), 0.0))


def alarming(values: ArrayLike) -> NDArray[np.int64]:
    """Return which of n p-values are too small, the smallest first; none in 99 of 100 calls.

    Those up to the largest k-th one that is below k / n of 1 %. NaN is none.

    Sources: Simes 1986, Biometrika 73, 751; Benjamini, Hochberg 1995, J. R. Statist. Soc. B 57,
    289.
    """
    p = np.asarray(values, dtype=np.float64)
    order = np.argsort(p)[: int(np.isfinite(p).sum())]
    below = np.flatnonzero(p[order] < LEVEL * np.arange(1, len(order) + 1) / max(1, len(order)))
    return order[: below[-1] + 1] if len(below) else order[:0]
