"""`realistic_dis`: measured values of a structure function with a scale dependence.

    F2(x, Q^2) = x e^logA0 (Q^2 / GeV^2)^delta x^a (1 - x)^b P(x),    P(x) = 1 + c x + d x^2.

An event is a measurement: x uniform on (0.001, 0.9), log10 of Q^2 / GeV^2 uniform on (0, 3),
and F2 with a lognormal error of 5 % (the logarithm is normal about that of the true value),
so that no value is negative.

The prior is uniform where P > 0 on the whole of 0 < x < 1, for F2 is a density of quarks
wherever it is looked at. With m(d) = min over x of 1/x + d x that is c > -m(d), where

    m(d) = 2 sqrt(d) for d > 1 (at x = 1 / sqrt(d)),    m(d) = 1 + d else (at x = 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from presage.labels import LabelError, nearest
from presage.studies.pdf.curve_posterior import CurvePosterior
from presage.studies.pdf.draws import Draws
from presage.studies.pdf.law import Feature, Range
from presage.studies.pdf.problem import Curve, Nearly, Problem

#: Ranges of x and of Q^2 in GeV^2.
X_RANGE, Q2_RANGE = (1e-3, 0.9), (1.0, 1e3)
#: Standard deviation of log F2.
_NOISE = 0.05
#: Q^2 in GeV^2 at which F2 is shown.
_SHOWN = {"f2_q2_10": 10.0, "f2_q2_1": 1.0, "f2_q2_100": 100.0}
_GRID = tuple(np.geomspace(0.01, 0.7, 41).tolist())


class StructureFunction:
    """The parametrised F2: prior, what is physical, curves; shared by two problems."""

    #: Uniform in the part of the box where P > 0.
    prior: ClassVar[tuple[Range, ...]] = (
        Range("logA0", -2.0, 2.0, "logarithm of the normalisation"),
        Range("delta", -1.0, 1.0, "exponent of Q²"),
        Range("a", 0.0, 5.0, "exponent of x"),
        Range("b", 0.0, 10.0, "exponent of 1 - x"),
        Range("c", -5.0, 5.0, "coefficient of x"),
        Range("d", -5.0, 5.0, "coefficient of x²"),
    )
    #: F2 at three Q², that at 10 GeV² first.
    curves: ClassVar[tuple[Curve, ...]] = tuple(
        Curve(name, _GRID, "1", f"F2 at Q² = {q2:g} GeV²", "x", "1", True)
        for name, q2 in _SHOWN.items()
    )

    def physical(self, theta: Tensor) -> Tensor:
        """Say where P(x) > 0 for all 0 < x < 1."""
        return theta[..., 4] + room(theta[..., 5])[0] > 0

    @property
    def acceptance(self) -> float:
        """Share of the box with P > 0, exactly: the area of c > -m(d) in [-5, 5]^2."""
        straight = 6 * 6 + (1 - 25) / 2  # integral of 5 + m(d) = 6 + d over -5 < d < 1
        bent = 4 * 5 + (4 / 3) * (5**1.5 - 1)  # and of 5 + 2 sqrt(d) over 1 < d < 5
        return (straight + bent) / 100

    def curve(self, curve: Curve, theta: Tensor) -> Tensor:
        """Return F2 on the curve's grid."""
        if curve.name not in _SHOWN:
            raise LabelError(f"no curve {curve.name!r}{nearest(curve.name, _SHOWN)}")
        x = torch.tensor(curve.grid, dtype=torch.float64, device=theta.device)
        q2 = torch.full_like(x, _SHOWN[curve.name])
        return log_f2(theta, x, q2.log()).exp()


def room(d: Tensor) -> tuple[Tensor, Tensor]:
    """Return m(d), see the module, and its slope."""
    root = d.clamp(min=1).sqrt()
    return torch.where(d > 1, 2 * root, 1 + d), 1 / root


def log_f2(theta: Tensor, x: Tensor, log_q2: Tensor) -> Tensor:
    """Return the logarithm of F2, ``(*, E)``, for theta ``(*, 6)``.

    `x` and `log_q2` ``(*, E)`` are momentum fraction, and logarithm of Q² in GeV².
    """
    log_a0, delta, a, b, c, d = theta[..., None].unbind(-2)
    smooth = log_a0 + delta * log_q2 + (a + 1) * x.log() + b * (-x).log1p()
    return smooth + (c * x + d * x.square()).log1p()


@dataclass(frozen=True)
class RealisticDIS(StructureFunction, Problem):
    """Values of F2 with 5 % errors, theta = (logA0, delta, a, b, c, d).

    Examples
    --------
    >>> RealisticDIS(n_events=10).block(seed=0, index=0)["events"].shape
    (1024, 1, 10, 3)
    """

    name: ClassVar[str] = "realistic_dis"
    parts: ClassVar[tuple[type, ...]] = (Draws, StructureFunction)
    features: ClassVar[tuple[Feature, ...]] = (
        Feature("x", "1", "momentum fraction x", *X_RANGE, "log"),
        Feature("Q2", "GeV2", "Q²", *Q2_RANGE, "log"),
        Feature("F2", "1", "measured F2", 0.0, math.inf, "log"),
    )

    def events(self, theta: Tensor, draws: Draws, sets: int, count: int) -> Tensor:
        """Draw measurements ``(n, sets, count, 3)``."""
        shape = (len(theta), sets, count)
        low, high = X_RANGE
        # Rounded to the stored type first: the value belongs to the x and Q2 that are stored.
        x = (low + (high - low) * draws.uniform(*shape)).float().double()
        q2 = (draws.uniform(*shape) * math.log(Q2_RANGE[1])).exp().float().double()
        value = log_f2(theta[:, None], x, q2.log())
        value.add_(draws.normal(*shape), alpha=_NOISE).exp_()
        return torch.stack((x, q2, value), -1)

    def nearly(self, events: Tensor) -> Nearly | None:
        """Return the posterior on a grid in (c, d); None for too few events for the others."""
        x, q2, value = events.to(torch.float64).unbind(-1)
        if len(events) <= len(self.prior):
            return None
        return CurvePosterior(x, q2.log(), value.log(), _NOISE, self.low, self.high, room)

    def log_prob(self, theta: Tensor, events: Tensor) -> Tensor:
        """Return the logarithm of the density of (x, Q², F2), with respect to dx dQ² dF2."""
        x, q2, value = events.to(torch.float64).unbind(-1)
        low, high = X_RANGE
        inside = (x >= low) & (x <= high) & (q2 >= Q2_RANGE[0]) & (q2 <= Q2_RANGE[1]) & (value > 0)
        x, q2, value = (torch.where(inside, one, 0.5) for one in (x, q2, value))
        log_q2, log_value = q2.log(), value.log()
        pull = (log_value - log_f2(theta, x, log_q2)) / _NOISE
        log_area = math.log(high - low) + math.log(math.log(Q2_RANGE[1] / Q2_RANGE[0]))
        norm = log_area + math.log(_NOISE * math.sqrt(2 * math.pi))
        density = -0.5 * pull.square() - (log_q2 + log_value + norm)
        return torch.where(inside, density, -torch.inf)
