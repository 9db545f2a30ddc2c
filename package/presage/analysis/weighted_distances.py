"""The distances of :mod:`presage.analysis.distances` for samples with weights, of either sign.

A sorted sample comes with the weights of its events in the same order. Weights that are whole
numbers give the same as events that stand there so many times. Distribution functions are taken
as they are: with negative weights they may fall in places, and the area between two of them is
still zero for equal ones, on average but for noise.
"""

from __future__ import annotations

import math

import numpy as np

from presage.analysis.distances import QUANTILES, TRIM
from presage.labels import Floats
from presage.transforms.weights import quantile


def share(x: Floats, weights: Floats, at: Floats, side: str = "right") -> Floats:
    """Return the weighted share of a sorted sample up to each value of `at`, or below it."""
    total = np.concatenate([[0.0], np.cumsum(weights)])
    place = np.searchsorted(x, at, side="left" if side == "left" else "right")
    found: Floats = total[place] / total[-1]
    return found


def wasserstein(a: Floats, b: Floats, of_a: Floats, of_b: Floats) -> float:
    """Return the area between two distribution functions, in the unit of the samples."""
    at = np.sort(np.concatenate([a, b]))
    apart = np.abs(share(a, of_a, at[:-1]) - share(b, of_b, at[:-1]))
    return float(np.dot(apart, np.diff(at)))


def kolmogorov(a: Floats, b: Floats, of_a: Floats, of_b: Floats) -> float:
    """Return the largest gap between two distribution functions."""
    at = np.concatenate([a, b])
    return float(np.abs(share(a, of_a, at) - share(b, of_b, at)).max())


def beyond_range(reference: Floats, other: Floats, of_reference: Floats, of_other: Floats) -> float:
    """Return the share of a sample below or above all of a reference that counts."""
    counted = reference[of_reference != 0]
    inside = share(other, of_other, counted[-1:]) - share(other, of_other, counted[:1], "left")
    return float(1 - inside[0])


def cdf_error(reference: Floats, other: Floats, of_reference: Floats, of_other: Floats) -> Floats:
    """Return F_other − F_reference at the reference's `QUANTILES`, ``[quantile]``."""
    at = quantile(reference, of_reference, QUANTILES)
    return share(other, of_other, at) - share(reference, of_reference, at)


def sigma68(x: Floats, weights: Floats) -> float:
    """Return half the distance between the 16 % and 84 % quantiles."""
    low, high = quantile(x, weights, (0.16, 0.84))
    return float(high - low) / 2


def trimmed_moments(x: Floats, weights: Floats) -> tuple[float, float]:
    """Return mean and standard deviation between the 0.5 and 99.5 % quantiles."""
    low, high = quantile(x, weights, (TRIM, 1 - TRIM))
    inside = (x >= low) & (x <= high)
    return moments(x[inside], weights[inside])


def moments(x: Floats, weights: Floats) -> tuple[float, float]:
    """Return mean and standard deviation; 0 where negative weights make the variance so."""
    total = weights.sum()
    mean = float(np.dot(weights, x) / total)
    variance = float(np.dot(weights, (x - mean) ** 2) / total)
    return mean, math.sqrt(max(variance, 0.0))


def correlation(sample: Floats, weights: Floats) -> Floats:
    """Return the correlation of the events ``[event, variable]`` inside every 0.5–99.5 % range."""
    ends = np.array([quantile(x, weights, (TRIM, 1 - TRIM)) for x in sample.T])
    inside = np.all((sample >= ends[:, 0]) & (sample <= ends[:, 1]), axis=1)
    kept, own = sample[inside], weights[inside]
    centred = kept - np.average(kept, axis=0, weights=own)
    covariance = (centred * own[:, None]).T @ centred
    width = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(covariance / np.outer(width, width))


def worth(x: Floats, weights: Floats) -> float:
    r"""Return how many events of weight 1 are as precise, as the area W1 measures it.

    With F the weighted distribution function, its variance at x is

    .. math:: \sigma^2(x) = \sum w_i^2 \, ([x_i \le x] - F(x))^2 / (\sum w_i)^2

    and the size N is that for which ∫ √(F (1 − F) / N) dx = ∫ σ dx. It is (Σw)² / Σw² where
    weights do not go with x, else it says more: negative ones may stand in a tail.
    """
    total, squares = np.cumsum(weights), np.cumsum(weights**2)
    f = total[:-1] / total[-1]
    variance = (squares[:-1] * (1 - 2 * f) + f**2 * squares[-1]) / total[-1] ** 2
    gaps = np.diff(x)
    noise = float(np.dot(np.sqrt(np.maximum(variance, 0.0)), gaps))
    area = float(np.dot(np.sqrt(np.maximum(f * (1 - f), 0.0)), gaps))
    return (area / noise) ** 2 if noise > 0 else float(total[-1] ** 2 / squares[-1])
