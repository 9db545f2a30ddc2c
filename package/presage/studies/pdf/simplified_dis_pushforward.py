"""`simplified_dis_pushforward`: the problem as first published, kept for comparison (legacy).

Two independent x, uniform on (0, 1), are put into

    s_p(x) = 4 u(x) + d(x),    s_n(x) = 4 d(x) + u(x),
    u(x) = x^a_up (1 - x)^b_up,    d(x) = 2 x^a_down (1 - x)^b_down,

and an event is the pair of values (s_p, s_n). No cross section is sampled: the numbers are
heights of curves at places that nothing chose. The normalisations are those of a neutron,
and the exchange x → 1 - x, which exchanges a and b of both flavours, leaves the law of the
events as it is: a posterior always has two equal halves. For physics take `simplified_dis`.

Its density is honest nevertheless: with respect to ds_p ds_n it is the product of two sums
over the places where a curve has that height, sum_i 1 / |s'(x_i)|. It is infinite at the
heights of maxima, and its support moves with theta: scores have no finite variance, and
there is no information limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from presage.studies.pdf.draws import Draws
from presage.studies.pdf.law import Feature, Range
from presage.studies.pdf.problem import Curve, Problem
from presage.studies.pdf.simplified_dis import BOXES, GRID, exponents

#: Factors of (u, d) in the two values.
_FACTORS = ((4.0, 2.0), (1.0, 8.0))
#: Extremes that a curve has at most, and halvings that find a place to rounding.
_EXTREMES, _HALVINGS = 3, 60
#: Where places are looked for, in logit x.
_EDGE, _NODES = 36.0, 1025


@dataclass(frozen=True)
class SimplifiedDISPushforward(Problem):
    """Pairs of curve heights at uniform x, theta = (a_up, b_up, a_down, b_down); legacy.

    Examples
    --------
    >>> SimplifiedDISPushforward(n_events=10).block(seed=0, index=0)["events"].shape
    (1024, 1, 10, 2)
    """

    name: ClassVar[str] = "simplified_dis_pushforward"
    events_dtype: ClassVar[str] = "float64"

    prior: ClassVar[tuple[Range, ...]] = exponents(*BOXES["original"])
    features: ClassVar[tuple[Feature, ...]] = (
        Feature("proton_value", "1", "4 u(x) + d(x)", 0.0, 6.0),
        Feature("neutron_value", "1", "4 d(x) + u(x)", 0.0, 9.0),
    )
    curves: ClassVar[tuple[Curve, ...]] = (
        Curve("u", GRID, long_name="u(x), as published", logarithmic=True),
        Curve("d", GRID, long_name="d(x), as published", logarithmic=True),
    )

    def events(self, theta: Tensor, draws: Draws, sets: int, count: int) -> Tensor:
        """Draw pairs ``(n, sets, count, 2)``."""
        x = draws.uniform(len(theta), sets, count, 2)
        exponents = theta[:, None, None]
        pairs = (_height(exponents, x[..., i], i) for i in range(2))
        return torch.stack(list(pairs), -1)

    def log_prob(self, theta: Tensor, events: Tensor) -> Tensor:
        """Return the logarithm of the density with respect to ds_p ds_n."""
        total = torch.zeros((), dtype=torch.float64, device=theta.device)
        for i in range(2):
            total = total + self._log_density(theta, events[..., i].to(torch.float64), i)
        return total

    def _log_density(self, theta: Tensor, value: Tensor, which: int) -> Tensor:
        """Return the log density of one height: a sum over the monotone pieces of its curve."""
        exponents = theta[..., None, None, :]
        edges = self._edges(theta.detach(), which)[..., None, :]
        low, high = edges[..., :-1], edges[..., 1:]
        with torch.no_grad():
            above = _at(exponents, high, which) - value[..., None]
            below = _at(exponents, low, which) - value[..., None]
            crossed = (above * below < 0) & (high > low)
            place = _halve(
                lambda z: (_at(exponents, z, which) - value[..., None]) * above > 0, low, high
            )
        # One Newton step from the place found carries the gradient of the implicit function.
        slope = _slope(exponents, place, which)
        place = place - (_at(exponents, place, which) - value[..., None]) / _safe(slope.detach())
        slope = _slope(exponents, place, which)
        log_x, log_rest = (
            -torch.nn.functional.softplus(-place),
            -torch.nn.functional.softplus(place),
        )
        # dx = x (1 - x) dz, z = logit x
        terms = log_x + log_rest - _safe(torch.where(crossed, slope.abs(), 1.0)).log()
        return torch.where(crossed, terms, -torch.inf).logsumexp(-1)

    def _edges(self, theta: Tensor, which: int) -> Tensor:
        """Return where a curve turns, in logit x, between the two ends: ``(*, extremes + 2)``."""
        z = self._nodes.to(theta.device)
        rising = _slope(theta[..., None, :], z, which) > 0
        turns = rising[..., 1:] != rising[..., :-1]
        order = turns.to(torch.int8).sort(dim=-1, descending=True, stable=True).indices
        first = order[..., :_EXTREMES]
        there = turns.gather(-1, first)
        goes_up = rising.gather(-1, first)
        exponents = theta[..., None, :]
        found = _halve(
            lambda at: (_slope(exponents, at, which) > 0) != goes_up, z[first], z[first + 1]
        )
        found = torch.where(there, found, _EDGE)
        ends = [
            torch.full_like(found[..., :1], -_EDGE),
            found,
            torch.full_like(found[..., :1], _EDGE),
        ]
        return torch.cat(ends, -1)

    @cached_property
    def _nodes(self) -> Tensor:
        return torch.linspace(-_EDGE, _EDGE, _NODES, dtype=torch.float64)

    def curve(self, curve: Curve, theta: Tensor) -> Tensor:
        """Return u or d on the curve's grid."""
        if curve.name not in ("u", "d"):
            return super().curve(curve, theta)
        x = torch.tensor(curve.grid, dtype=torch.float64, device=theta.device)
        a_up, b_up, a_down, b_down = theta[..., None].unbind(-2)
        return x**a_up * (1 - x) ** b_up if curve.name == "u" else 2 * x**a_down * (1 - x) ** b_down


def _height(exponents: Tensor, x: Tensor, which: int) -> Tensor:
    """Return the height of a curve at x."""
    a_up, b_up, a_down, b_down = exponents.unbind(-1)
    up, down = _FACTORS[which]
    return up * x**a_up * (1 - x) ** b_up + down * x**a_down * (1 - x) ** b_down


def _parts(exponents: Tensor, z: Tensor, which: int) -> tuple[Tensor, Tensor]:
    """Return the shares of u and d in the height at logit x = z."""
    log_x, log_rest = -torch.nn.functional.softplus(-z), -torch.nn.functional.softplus(z)
    a_up, b_up, a_down, b_down = exponents.unbind(-1)
    up, down = _FACTORS[which]
    return (
        up * (a_up * log_x + b_up * log_rest).exp(),
        down * (a_down * log_x + b_down * log_rest).exp(),
    )


def _at(exponents: Tensor, z: Tensor, which: int) -> Tensor:
    """Return the height of a curve at logit x = z."""
    up, down = _parts(exponents, z, which)
    return up + down


def _slope(exponents: Tensor, z: Tensor, which: int) -> Tensor:
    """Return the derivative of the height with respect to z."""
    x = z.sigmoid()
    a_up, b_up, a_down, b_down = exponents.unbind(-1)
    up, down = _parts(exponents, z, which)
    return up * (a_up * (1 - x) - b_up * x) + down * (a_down * (1 - x) - b_down * x)


def _halve(beyond: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """Return the place between `low` and `high` from which on `beyond` holds."""
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        past = beyond(middle)
        low, high = torch.where(past, low, middle), torch.where(past, middle, high)
    return 0.5 * (low + high)


def _safe(slope: Tensor) -> Tensor:
    """Return a slope that is nowhere zero, for divisions whose result is not used there."""
    return torch.where(slope == 0, torch.ones_like(slope), slope)
