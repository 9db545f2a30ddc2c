"""How far two samples of one quantity are from each other.

All distances take *sorted* float64 samples of any, also unequal, sizes. What chance alone
gives stands in :mod:`presage.analysis.laws`: a distance means nothing without it.
"""

from __future__ import annotations

import math

import numpy as np

from presage.labels import Floats

#: Probabilities at which distribution functions are compared.
QUANTILES = (0.01, 0.05, 0.16, 0.5, 0.84, 0.95, 0.99)
#: Share of events left out at each end before moments are taken.
TRIM = 0.005
#: Mean absolute value of a standard normal.
HALF_NORMAL = math.sqrt(2 / math.pi)


def wasserstein(a: Floats, b: Floats) -> float:
    r"""Exact 1-D Wasserstein distance, the area between two quantile functions.

    Both quantile functions are steps, on multiples of 1/n and 1/m. Their common
    subdivision is found in integers, so nothing is interpolated or rounded.

    Parameters
    ----------
    a, b
        Sorted samples ``[n]``, ``[m]``.

    Returns
    -------
    float
        In the unit of the samples.

    Examples
    --------
    >>> wasserstein(np.array([0.0, 1.0]), np.array([0.0, 1.0, 2.0]))
    0.5
    """
    n, m = len(a), len(b)
    if n == m:
        return float(np.abs(a - b).mean())
    cuts = np.concatenate([np.arange(1, n + 1) * m, np.arange(1, m + 1) * n])
    cuts.sort(kind="stable")  # merges the two sorted runs in linear time
    widths = np.diff(cuts, prepend=0)
    steps = np.abs(a[(cuts - 1) // m] - b[(cuts - 1) // n])
    return float(np.dot(widths / (n * m), steps))


def kolmogorov(a: Floats, b: Floats) -> float:
    """Kolmogorov-Smirnov distance of sorted samples: the largest gap between their CDFs."""
    if len(a) < len(b):
        a, b = b, a
    n, m = len(a), len(b)
    # F_a − F_b only falls at values of b: its extremes are just before and at those.
    above = np.searchsorted(a, b, side="left") / n - np.arange(m) / m
    below = np.arange(1, m + 1) / m - np.searchsorted(a, b, side="right") / n
    return float(max(above.max(), below.max(), 0.0))


def beyond_range(reference: Floats, other: Floats) -> float:
    """Return the share of a sorted sample below or above all of a sorted reference.

    Of one distribution it is 2/(m + 1) on average, m the size of the reference.
    """
    inside = np.searchsorted(other, reference[-1], "right") - np.searchsorted(other, reference[0])
    return float(1 - inside / len(other))


def cdf_error(reference: Floats, other: Floats) -> Floats:
    """Return F_other − F_reference at the reference's `QUANTILES`, ``[quantile]``."""
    at = np.quantile(reference, QUANTILES)
    counts = [np.searchsorted(x, at, side="right") / len(x) for x in (other, reference)]
    return counts[0] - counts[1]


def sigma68(x: Floats) -> float:
    """Half the distance between the 16 % and 84 % quantiles of a sorted sample."""
    low, high = np.quantile(x, (0.16, 0.84))
    return float(high - low) / 2


def trimmed(x: Floats) -> Floats:
    """Return a sorted sample without its outermost 0.5 % at each end."""
    cut = int(TRIM * len(x))
    return x[cut : len(x) - cut]


def correlation(sample: Floats) -> Floats:
    """Return the correlation of the events ``[event, variable]`` inside every 0.5–99.5 % range.

    NaN where a variable is constant.
    """
    low, high = np.quantile(sample, (TRIM, 1 - TRIM), axis=0)
    inside = sample[np.all((sample >= low) & (sample <= high), axis=1)]
    centred = inside - inside.mean(axis=0)
    covariance = centred.T @ centred
    width = np.sqrt(np.diag(covariance))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(covariance / np.outer(width, width))


def wasserstein_constant(x: Floats) -> float:
    """Return c of E[W1]/std = c √(1/n + 1/m) for the distribution of a sorted sample.

    One sample of size N against the truth is the limit m → ∞: c/√N. For a normal distribution c =
    1.29.
    """
    f = np.arange(1, len(x)) / len(x)
    width = float(np.std(x))
    if width == 0:
        return math.nan
    return HALF_NORMAL * float(np.dot(np.sqrt(f * (1 - f)), np.diff(x))) / width
