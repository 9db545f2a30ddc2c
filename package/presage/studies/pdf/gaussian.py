"""`gaussian`: sets of points from a correlated normal distribution of the plane.

With z standard normal,

    x = mu_x + sigma_x z_1,    y = mu_y + sigma_y (rho z_1 + sqrt(1 - rho^2) z_2).

The smallest problem with an exact answer: means, variances and covariance of a set are
sufficient, so the likelihood of a set costs as much as that of one event.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from presage.studies.pdf.draws import Draws
from presage.studies.pdf.law import Feature, Range
from presage.studies.pdf.problem import Curve, Problem

_LOG_2PI = math.log(2 * math.pi)
_GRID = tuple(i / 5 for i in range(-30, 31))


@dataclass(frozen=True)
class Gaussian(Problem):
    """Points (x, y) of a normal distribution with theta = (mu_x, mu_y, sigma_x, sigma_y, rho).

    Examples
    --------
    >>> block = Gaussian(n_events=10).block(seed=0, index=0)
    >>> block["theta"].shape, block["events"].shape
    ((1024, 5), (1024, 1, 10, 2))
    """

    name: ClassVar[str] = "gaussian"

    prior: ClassVar[tuple[Range, ...]] = (
        Range("mu_x", -2.0, 2.0, "mean of x"),
        Range("mu_y", -2.0, 2.0, "mean of y"),
        Range("sigma_x", 0.5, 2.0, "standard deviation of x"),
        Range("sigma_y", 0.5, 2.0, "standard deviation of y"),
        Range("rho", -0.8, 0.8, "correlation of x and y"),
    )
    features: ClassVar[tuple[Feature, ...]] = (Feature("x"), Feature("y"))
    curves: ClassVar[tuple[Curve, ...]] = (
        Curve("density_x", _GRID, long_name="density of x", grid_name="x"),
        Curve("density_y", _GRID, long_name="density of y", grid_name="y"),
    )

    def events(self, theta: Tensor, draws: Draws, sets: int, count: int) -> Tensor:
        """Draw points ``(n, sets, count, 2)``."""
        points = draws.normal(len(theta), sets, count, 2, dtype=torch.float32)
        mu_x, mu_y, sigma_x, sigma_y, rho = theta.float()[:, None, None].unbind(-1)
        x, y = points.unbind(-1)
        y.mul_(sigma_y * (1 - rho.square()).sqrt()).addcmul_(x, sigma_y * rho).add_(mu_y)
        x.mul_(sigma_x).add_(mu_x)
        return points

    def log_prob(self, theta: Tensor, events: Tensor) -> Tensor:
        """Return the normal density's logarithm."""
        mu_x, mu_y, sigma_x, sigma_y, rho = theta[..., None, :].unbind(-1)
        u = (events[..., 0] - mu_x) / sigma_x
        v = (events[..., 1] - mu_y) / sigma_y
        rest = 1 - rho.square()
        norm = _LOG_2PI + (sigma_x * sigma_y).log() + 0.5 * rest.log()
        return -0.5 * (u.square() - 2 * rho * u * v + v.square()) / rest - norm

    def likelihood(self, events: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the log-likelihood of one set, from its five sufficient statistics."""
        points = events.to(torch.float64)
        count = points.shape[-2]
        mean = points.mean(-2)
        centred = points - mean
        xx, yy = centred.square().mean(-2).unbind(-1)
        xy = centred.prod(-1).mean(-1)

        def value(theta: Tensor) -> Tensor:
            mu_x, mu_y, sigma_x, sigma_y, rho = theta.unbind(-1)
            u, v = (mean[0] - mu_x) / sigma_x, (mean[1] - mu_y) / sigma_y
            squares = xx / sigma_x**2 + u * u + yy / sigma_y**2 + v * v
            cross = xy / (sigma_x * sigma_y) + u * v
            rest = 1 - rho.square()
            norm = _LOG_2PI + (sigma_x * sigma_y).log() + 0.5 * rest.log()
            return -count * (0.5 * (squares - 2 * rho * cross) / rest + norm)

        return value

    def curve(self, curve: Curve, theta: Tensor) -> Tensor:
        """Return a normal density on the curve's grid."""
        axis = {"density_x": 0, "density_y": 1}.get(curve.name)
        if axis is None:
            return super().curve(curve, theta)
        grid = torch.tensor(curve.grid, dtype=theta.dtype, device=theta.device)
        mean, width = theta[..., axis, None], theta[..., 2 + axis, None]
        pull = (grid - mean) / width
        return (-0.5 * (pull.square() + _LOG_2PI)).exp() / width
