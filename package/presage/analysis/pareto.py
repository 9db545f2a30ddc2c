"""The shape of the largest importance weights: whether their mean can be trusted."""

from __future__ import annotations

import math

import numpy as np

from presage.labels import Floats

#: Above this shape nothing is to be trusted (Vehtari et al. 2024, arXiv:1507.02646, 3.2.4).
PARETO_BAR = 0.7
#: Fewest of the largest weights that a shape is fitted to.
_FEWEST = 5
#: A weight smaller than the largest by this, in logarithms, is none: rounding in a mean is more.
_NOTHING = 30.0


def pareto_k(log_weight: Floats) -> Floats:
    """Fit the shape k̂ of the largest weights.

    Parameters
    ----------
    log_weight
        ``(*, M)``, of any normalisation. The largest min(M / 5, 3 √M) are looked at
        (arXiv:1507.02646, section 2.4).

    Returns
    -------
    numpy.ndarray
        ``(*,)``; 0 where the largest weights are equal, infinite where fewer than five
        draws have any weight.
    """
    rows = np.asarray(log_weight, dtype=float).reshape(-1, np.shape(log_weight)[-1])
    shapes: Floats = np.array([_shape(row) for row in rows]).reshape(np.shape(log_weight)[:-1])
    return shapes


def _shape(row: Floats) -> float:
    """Fit the shape of the largest of one set of weights."""
    ordered = np.sort(row[np.isfinite(row)])
    count = math.ceil(min(len(row) / 5, 3 * math.sqrt(len(row))))
    count = min(count, len(ordered) - 1)
    if count < _FEWEST or ordered[-_FEWEST] < ordered[-1] - _NOTHING:
        return math.inf
    tail = np.exp(ordered[-count:] - ordered[-1]) - np.exp(ordered[-count - 1] - ordered[-1])
    if tail[-1] < 1e-9:  # equal up to rounding: no tail at all
        return 0.0
    return generalised_pareto(tail)


def generalised_pareto(excess: Floats) -> float:
    """Return the shape of a generalised Pareto law fitted to ascending excesses, none negative.

    The posterior mean of Zhang & Stephens (2009, Technometrics 51, 316, eq. 8–10), pulled towards
    0.5 as if by ten more excesses (arXiv:1507.02646, appendix C).
    """
    n = len(excess)
    points = 30 + int(math.sqrt(n))
    quartile = max(float(excess[int(n / 4 + 0.5) - 1]), 1e-12 * float(excess[-1]))
    steps = np.arange(1, points + 1) - 0.5
    theta = 1 / excess[-1] + (1 - np.sqrt(points / steps)) / (3 * quartile)
    theta[np.abs(theta * excess[-1]) < 1e-12] = 1e-12 / excess[-1]
    shape = np.log1p(-theta[:, None] * excess).mean(axis=1)
    profile = n * (np.log(-theta / shape) - shape - 1)
    mean = float(np.average(theta, weights=np.exp(profile - profile.max())))
    fitted = float(np.log1p(-mean * excess).mean())
    return (n * fitted + 5) / (n + 10)
