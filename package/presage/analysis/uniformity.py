"""Bands that the distribution function of uniform numbers stays in, and how uniform they are.

At each point they are binomial quantiles, all with the one probability that makes the wanted
share of simulated functions stay inside at every point (Säilynoja, Bürkner & Vehtari 2022,
arXiv:2103.10522, section 2).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrc

from presage.labels import Floats, unitless
from presage.rng import generator

#: Points at which distribution functions are compared, and simulations that bands come from.
POINTS, _SIMULATIONS = 100, 10_000


def ecdf_bands(observations: int, level: float = 0.95, points: int = POINTS) -> xr.Dataset:
    """Return bands that the distribution function of uniform numbers stays in as a whole.

    At each of the points i / `points` they are binomial quantiles, all with the one probability
    that makes `level` of simulated functions stay inside at every point (arXiv:2103.10522, section
    2): ``ecdf_low`` and ``ecdf_high`` ``[fraction]``, inclusive.
    """
    smallest = _smallest_p(observations, points)
    tail = float(np.quantile(smallest, 1 - level)) / 2
    z = np.arange(1, points) / points
    counts = np.arange(observations + 1)
    below = bdtr(counts[:, None], observations, z)
    low = (below > tail).argmax(axis=0)
    high = (below >= 1 - tail).argmax(axis=0)
    low, high = (np.concatenate([[0], edge, [observations]]) for edge in (low, high))
    about = {"units": "1", "level": level, "observations": observations}
    return xr.Dataset(
        {
            "ecdf_low": ("fraction", low / observations, {"long_name": "lower edge", **about}),
            "ecdf_high": ("fraction", high / observations, {"long_name": "upper edge", **about}),
        },
        coords={"fraction": np.arange(points + 1) / points},
    )


def uniformity(place: xr.DataArray, points: int = POINTS) -> xr.DataArray:
    """Return for each quantity the chance that calibrated places look less uniform.

    Parameters
    ----------
    place
        ``[observation, quantity]`` of :func:`places`.
    points
        As of :func:`ecdf_bands`: a value below 1 - level leaves those bands.

    Returns
    -------
    xarray.DataArray
        ``p_value`` ``[quantity]``.
    """
    values = place.transpose("quantity", ...).values
    count = values.shape[1]
    z = np.arange(1, points) / points
    below = np.stack([(values < edge).sum(axis=1) for edge in z], axis=1)
    found = _two_sided(below, count, z).min(axis=1)
    null = np.sort(_smallest_p(count, points))
    p = (1 + np.searchsorted(null, found * (1 + 1e-9), side="right")) / (1 + len(null))
    attrs = unitless("chance of places less uniform")
    return xr.DataArray(p, dims="quantity", coords={"quantity": place["quantity"]}, attrs=attrs)


def _two_sided(counts: NDArray[Any], observations: int, z: Floats) -> Floats:
    """Return two-sided binomial p-values of counts ``(*, points)`` at probabilities z."""
    grid = np.arange(observations + 1)[:, None]
    below = bdtr(grid, observations, z)
    above = np.where(grid > 0, bdtrc(np.maximum(grid - 1, 0), observations, z), 1.0)
    table = np.minimum(1.0, 2 * np.minimum(below, above))
    found: Floats = table[counts, np.arange(len(z))]
    return found


@lru_cache(maxsize=32)
def _smallest_p(observations: int, points: int) -> Floats:
    """Return the smallest p-value over all points for simulated uniform numbers."""
    rng = generator("ecdf-bands", observations, points)
    counts = rng.multinomial(observations, np.full(points, 1 / points), size=_SIMULATIONS)
    below = counts.cumsum(axis=1)[:, :-1]
    smallest: Floats = _two_sided(below, observations, np.arange(1, points) / points).min(axis=1)
    return smallest
