r"""Coverage of balls around random points: one test over all parameters at once.

TARP, Lemos et al. 2023, arXiv:2302.03026. The points do not look at the data here, so that a
posterior equal to the prior passes: the ranks of the log-likelihood find that one.
"""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from scipy.special import kolmogi

from presage.analysis.ranking import counted
from presage.analysis.uniformity import POINTS
from presage.labels import unitless
from presage.rng import generator


def tarp(
    truth: xr.DataArray,
    draws: xr.DataArray,
    low: xr.DataArray,
    high: xr.DataArray,
    *,
    observation: str = "observation",
    dim: str = "draw",
    over: str = "parameter",
    seed: int = 0,
    level: float = 0.95,
    points: int = POINTS,
) -> xr.Dataset:
    """Test the coverage of balls around random points.

    For each observation a point is drawn in the box; the credibility of the truth is the
    share of draws nearer to the point than the truth, in units of the box.

    Parameters
    ----------
    truth, draws
        ``[observation, parameter]`` and ``[observation, draw, parameter]``.
    low, high
        Edges of the box, ``[parameter]``.
    observation, dim, over
        Names of the dimensions.
    seed
        Of the points and of ties.
    level
        Probability that a calibrated posterior stays below the bound.
    points
        Steps of the credibility.

    Returns
    -------
    xarray.Dataset
        ``expected_coverage`` ``[credibility]``, ``tarp_distance`` = max |ECP - α| over all α,
        and its ``tarp_bound`` (Kolmogorov's; 0.043 for 1000 observations).
    """
    columns = [a.transpose(..., over).values for a in (low, high)]
    true = (truth.transpose(observation, over).values - columns[0]) / (columns[1] - columns[0])
    unit = (draws.transpose(observation, dim, over).values - columns[0]) / (columns[1] - columns[0])
    rng = generator("tarp", seed, 0)
    centre = rng.random(true.shape)
    reach = np.square(true - centre).sum(axis=1)
    nearer = np.square(unit - centre[:, None]).sum(axis=2)
    rank = counted(reach[:, None], nearer[:, :, None], rng)[:, 0]
    alpha = np.sort((rank + rng.random(len(rank))) / (nearer.shape[1] + 1))
    count = len(alpha)
    steps = np.arange(count)
    distance = max((alpha - steps / count).max(), ((steps + 1) / count - alpha).max())
    grid = np.arange(points + 1) / points
    root = math.sqrt(count)
    bound = float(kolmogi(1 - level)) / (root + 0.12 + 0.11 / root)  # Stephens 1970
    covered = np.searchsorted(alpha, grid, side="right") / count
    found = xr.Dataset(coords={"credibility": grid})
    for name, dims, values, what in (
        ("expected_coverage", ("credibility",), covered, "expected coverage"),
        ("tarp_distance", (), float(distance), "largest distance from calibration"),
        ("tarp_bound", (), bound, "distance that calibrated ones stay below"),
    ):
        found[name] = (dims, values, unitless(what))
    return found
