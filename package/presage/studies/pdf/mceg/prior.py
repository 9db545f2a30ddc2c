"""Which theta = (a, b, c, d) are physical, and how much of the box they fill.

In s = sqrt(x) the u valence has the sign of q(s) = 1 + c s + d s^2. With q(0) = 1 it is not
negative on (0, 1) if q(1) >= 0 and, where the vertex -c / 2d is a minimum inside, c^2 <= 4 d.
The gluon is positive if the quarks carry less than all the momentum. At given (a, b, c) all
three are linear in d or a bound on d, so the volume is a three-dimensional integral.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from presage.labels import LabelError
from presage.studies.pdf.mceg.inputs import UP, Flavours, gluon_norm
from presage.studies.pdf.mceg.special import real_beta

#: The box.
LOW, HIGH = (-1.0, 0.0, -10.0, -10.0), (10.0, 10.0, 10.0, 10.0)


def non_negative(c: Tensor, d: Tensor) -> Tensor:
    """Say whether 1 + c s + d s^2 >= 0 for all s in (0, 1)."""
    minimum_inside = (c < 0) & (2 * d > -c)
    return torch.where(minimum_inside, c * c <= 4 * d, 1 + c + d >= 0)


def physical(theta: Tensor, flavours: Flavours) -> Tensor:
    """Say which `theta` ``(*, 4)`` have u_v >= 0 on (0, 1), A_g > 0 and a > -1."""
    a, b, c, d = theta.unbind(-1)
    allowed = (a > -1) & (b > -1) & non_negative(c, d)
    safe = torch.where(allowed[..., None], theta, torch.zeros_like(theta))
    return allowed & (gluon_norm(safe, flavours) > 0)


def spread(n: int, flavours: Flavours, device: str = "cpu") -> Tensor:
    """Return `n` physical parameters spread over the prior, the same ones every time.

    Every other one is drawn towards the lowest a and b, the corner where u_v is not bounded.
    """
    points = torch.quasirandom.SobolEngine(4)  # type: ignore[no-untyped-call]
    low, high = (torch.tensor(edge, dtype=torch.float64) for edge in (LOW, HIGH))
    found, had = [], 0
    for _ in range(64):
        unit = points.draw(4 * n, dtype=torch.float64)
        unit[::2, :2] **= 4
        theta = low + (high - low) * unit
        kept = theta[physical(theta, flavours)]
        found.append(kept)
        had += len(kept)
        if had >= n:
            return torch.cat(found)[:n].to(device)
    raise LabelError(
        f"with {flavours} hardly any u valence leaves momentum to the gluon: all other quarks "
        f"carry {1 - flavours.momentum_left():.3g} of it"
    )


def measure_acceptance(flavours: Flavours, points: int = 200) -> float:
    """Return the physical share of the box by the midpoint rule in a, b and c.

    There are `points` in a and b each, twice as many in c; the error falls as points^-2.
    """
    left = flavours.momentum_left()

    def middles(axis: int, count: int) -> Tensor:
        edges = torch.linspace(LOW[axis], HIGH[axis], count + 1, dtype=torch.float64)
        return 0.5 * (edges[1:] + edges[:-1])

    b = middles(1, points)[:, None] + 1
    c = middles(2, 2 * points)
    lowest = torch.where(c < -2, 0.25 * c * c, -1 - c).clamp(LOW[3], HIGH[3])
    total = 0.0
    for a in middles(0, points):
        beta = [real_beta(a + k, b) for k in (1.0, 1.5, 2.0, 2.5, 3.0)]
        slope = UP * beta[4] - left * beta[2]
        offset = left * (beta[0] + c * beta[1]) - UP * (beta[2] + c * beta[3])
        crossing = offset / slope
        floor = torch.where(slope < 0, torch.maximum(lowest, crossing), lowest)
        ceiling = torch.where(slope > 0, crossing.clamp(max=HIGH[3]), HIGH[3])
        total += float((ceiling - floor).clamp(min=0).sum())
    cells = points * points * 2 * points
    return total / cells / (HIGH[3] - LOW[3])


#: The physical share of the box for the default flavours: 0.12860987 with 1000 points and
#: 0.12860988 with 1201, so certain to 3e-8.
ACCEPTANCE = 0.1286099


@lru_cache(maxsize=16)
def acceptance(flavours: Flavours) -> float:
    """Return the physical share of the box: stored for the default flavours, else measured."""
    return ACCEPTANCE if flavours == Flavours() else measure_acceptance(flavours)
