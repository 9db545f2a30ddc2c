"""`realistic_dis_events`: scattering events whose rate follows the structure function F2.

Events (x, Q^2) are a Poisson process with the density of neutral-current scattering,

    rate(x, Q^2) = exposure · Y_+ F2(x, Q^2) / (x Q^4),    Y_+ = 1 + (1 - y)^2,

in 0.001 < x < 0.9, 1 < Q^2 < 1000 GeV^2 and y = Q^2 / (x s) < 1 at sqrt(s) = 140 GeV, with F2
as in `realistic_dis`. The normalisation of F2 cancels in the density of one event: it is the
number of events that tells it, so the likelihood of a set is the extended one,

    log L = -mu + N log mu - log N! + sum_i log p(x_i, Q^2_i),    mu = integral of the rate.

Events are drawn by rejection from x ~ Beta(a + 1, b + 1) and Q^2 ~ (Q^2)^(delta - 2), which is
exact; mu comes from Gauss-Legendre nodes in log x and log Q^2, on both sides of the x where
y < 1 stops to bind, which leaves a relative error below 1e-11.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from presage.labels import Arrays, LabelError, Variable
from presage.studies.pdf.draws import Draws
from presage.studies.pdf.law import Feature
from presage.studies.pdf.problem import Problem
from presage.studies.pdf.realistic_dis import Q2_RANGE, X_RANGE, RealisticDIS, StructureFunction

#: Square of the centre-of-mass energy, GeV^2.
_S = 140.0**2
#: Nodes in log x (on each side of the corner) and in log Q^2.
_X_NODES, _Q2_NODES = 32, 20
#: Events of one set that the prior may ask for, and of one block: both are refused beyond.
_MOST_OF_SET, _MOST_OF_BLOCK = 10**7, 10**8
#: Events proposed at once, and rounds of proposals.
_AT_ONCE, _ROUNDS = 1 << 18, 100_000


class Nodes(NamedTuple):
    """Where the rate is integrated: ``(X,)`` in x, ``(X, Q)`` in log Q², weights with Y₊/Q²."""

    x: Tensor
    log_q2: Tensor
    weight: Tensor


@dataclass(frozen=True)
class RealisticDISEvents(StructureFunction, Problem):
    """Poisson sets of events (x, Q²), theta = (logA0, delta, a, b, c, d).

    Over the prior the expected number of events spreads by five decades: the median is 6 % of
    the mean, and some sets are empty. An empty set is an observation like any other.

    Parameters
    ----------
    n_events
        Events in a set, averaged over the prior: it sets the exposure.

    Raises
    ------
    LabelError
        `n_repeat` is not 1, or the prior would ask for more events than fit in memory.

    Examples
    --------
    >>> block = RealisticDISEvents(n_events=50).block(seed=0, index=0)
    >>> int(block["event_count"].sum()) == len(block["events"])
    True
    """

    name: ClassVar[str] = "realistic_dis_events"
    parts: ClassVar[tuple[type, ...]] = (Draws, RealisticDIS)
    empty_sets: ClassVar[bool] = True
    #: Sets differ in size, and are laid end to end.
    ragged: ClassVar[tuple[str, ...]] = ("event",)
    variables: ClassVar[tuple[Variable, ...]] = (
        Variable("events", ("event", "feature"), Problem.events_dtype, "1", "sets of events"),
    )
    features: ClassVar[tuple[Feature, ...]] = RealisticDIS.features[:2]  # where, no value

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_repeat != 1:
            raise LabelError(
                f"{self.name}: sets differ in size, so there is one for each theta; "
                f"n_repeat should be 1, got {self.n_repeat}"
            )
        # The rate rises with logA0, delta, c and d and falls with a and b.
        corner = torch.tensor([2.0, 1.0, 0.0, 0.0, 5.0, 5.0], dtype=torch.float64)
        most = float(self.mean_count(corner.to(self.device)))
        if most > _MOST_OF_SET:
            limit = int(self.n_events * _MOST_OF_SET / most)
            raise LabelError(
                f"{self.name}: n_events = {self.n_events} on average means up to {most:.2g} "
                f"events in one set, at most {_MOST_OF_SET:.2g} are held; give n_events <= {limit}"
            )

    def supported(self, events: Tensor) -> Tensor:
        """Say which events have y < 1."""
        return events[..., 1] < events[..., 0] * _S

    # -- density -------------------------------------------------------------------------------

    def log_prob(self, theta: Tensor, events: Tensor) -> Tensor:
        """Return the logarithm of the density of an event with respect to dx dQ²; logA0 is free."""
        x, q2 = events.to(torch.float64).unbind(-1)
        inside = (x >= X_RANGE[0]) & (x <= X_RANGE[1])
        inside = inside & (q2 >= Q2_RANGE[0]) & (q2 <= Q2_RANGE[1]) & (q2 < x * _S)
        x, q2 = torch.where(inside, x, 0.5), torch.where(inside, q2, 10.0)
        _, delta, a, b, c, d = theta[..., None, :].unbind(-1)
        log_q2 = q2.log()
        known = (1 + (1 - q2 / (x * _S)).square()).log() - 2 * log_q2
        shape = a * x.log() + b * (-x).log1p() + (c * x + d * x.square()).log1p()
        density = shape + delta * log_q2 + known - self._log_integral(theta)[..., None]
        return torch.where(inside, density, -torch.inf)

    def log_likelihood(self, theta: Tensor, events: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the extended log-likelihood of whole sets, the Poisson term included."""
        shape = super().log_likelihood(theta, events, mask)
        if mask is None:
            count = torch.tensor(float(events.shape[-2]), dtype=torch.float64, device=theta.device)
        else:
            count = mask.sum(-1).to(torch.float64)
        mean = self.mean_count(theta)
        return shape + count * mean.log() - mean - (count + 1).lgamma()

    def mean_count(self, theta: Tensor) -> Tensor:
        """Return the expected number of events, ``(*,)``."""
        return self._exposure * (theta[..., 0] + self._log_integral(theta)).exp()

    def _log_integral(self, theta: Tensor) -> Tensor:
        """Return the logarithm of the integral of Y₊ F2 / (x Q⁴) at logA0 = 0, ``(*,)``."""
        x, log_q2, weight = self._nodes
        delta, a, b, c, d = theta[..., 1:, None].unbind(-2)
        over_q2 = (weight * (delta[..., None] * log_q2).exp()).sum(-1)
        shape = (a * x.log() + b * (-x).log1p()).exp() * (1 + c * x + d * x.square())
        return (shape * over_q2).sum(-1).log()

    @cached_property
    def _nodes(self) -> Nodes:
        edges = np.log([X_RANGE[0], Q2_RANGE[1] / _S, X_RANGE[1]])
        log_x, x_weight = _legendre(edges[:-1], edges[1:], _X_NODES)
        x = np.exp(log_x.ravel())
        top = np.log(np.minimum(Q2_RANGE[1], x * _S))
        log_q2, q2_weight = _legendre(np.zeros_like(top), top, _Q2_NODES)
        y = np.exp(log_q2) / (x * _S)[:, None]
        # dx dQ² / Q⁴ = x dlog(x) dlog(Q²) / Q²
        weight = (x * x_weight.ravel())[:, None] * q2_weight * (1 + (1 - y) ** 2) / np.exp(log_q2)
        return Nodes(*(torch.from_numpy(v).to(self.device) for v in (x, log_q2, weight)))

    @cached_property
    def _exposure(self) -> float:
        """Exposure at which a set has `n_events` events, averaged over the prior."""
        x, log_q2, weight = (v.cpu().numpy() for v in self._nodes)
        log_x, log_rest = np.log(x), np.log1p(-x)
        over_q2 = (weight * np.sinh(log_q2) / log_q2).sum(-1)  # mean of Q^(2 delta)
        over_a, over_b = (
            np.expm1(5 * log_x) / (5 * log_x),
            np.expm1(10 * log_rest) / (10 * log_rest),
        )
        c, d = _prior_means()
        mean = (over_q2 * over_a * over_b * (1 + c * x + d * x**2)).sum() * math.sinh(2) / 2
        return float(self.n_events / mean)

    # -- simulation ----------------------------------------------------------------------------

    def events(self, theta: Tensor, draws: Draws, sets: int, count: int) -> Tensor:
        """Draw sets of a given size, ``(n, sets, count, 2)``."""
        which = torch.arange(len(theta), device=theta.device).repeat_interleave(sets * count)
        return self._accepted(theta, which, draws).reshape(len(theta), sets, count, 2)

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Simulate one set for each theta: a Poisson number of events, laid end to end.

        Raises
        ------
        LabelError
            Too many events for one block.
        """
        parameters = torch.as_tensor(theta["theta"], dtype=torch.float64, device=self.device)
        draws = Draws(rng, self.device)
        counts = draws.poisson(self.mean_count(parameters))
        if int(counts.sum()) > _MOST_OF_BLOCK:
            raise LabelError(
                f"{self.name}: {int(counts.sum())} events in {len(counts)} sets, at most "
                f"{_MOST_OF_BLOCK:.2g} are held at once; lower n_events"
            )
        which = torch.arange(len(parameters), device=self.device).repeat_interleave(counts)
        drawn = self._accepted(parameters, which, draws)
        return {"events": drawn.cpu().numpy(), "event_count": counts.cpu().numpy()}

    def _accepted(self, theta: Tensor, which: Tensor, draws: Draws) -> Tensor:
        """Return an event for each entry of `which`, the number of its theta; ``(M, 2)``."""
        events = torch.empty(len(which), 2, dtype=torch.float32, device=theta.device)
        _, _, _, _, c, d = theta.unbind(-1)
        # P is largest at an end, or where its derivative vanishes.
        top = torch.where(d < 0, (-c / (2 * d)).clamp(0, 1), 1.0).nan_to_num(1.0)
        most = torch.maximum(1 + c * top + d * top.square(), torch.ones_like(c))
        for waiting in torch.split(torch.arange(len(which), device=theta.device), _AT_ONCE):
            rest = waiting
            for _ in range(_ROUNDS):
                rows = which[rest]
                proposed, probability = _proposed(theta[rows], most[rows], draws)
                taken = draws.uniform(len(rest)) < probability
                events[rest[taken]] = proposed[taken]
                rest = rest[~taken]
                if not len(rest):
                    break
            else:
                raise LabelError(
                    f"{self.name}: no event after {_ROUNDS} proposals for "
                    f"theta = {theta[which[rest[0]]].tolist()}"
                )
        return events

    # -- sets of unequal size ------------------------------------------------------------------

    @property
    def lengths(self) -> Mapping[str, int]:
        """Events of a set, on average."""
        return {"event": self.n_events}


def _proposed(theta: Tensor, most: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """Return proposals ``(M, 2)`` in the stored type, and with which probability each is taken."""
    _, delta, a, b, c, d = theta.unbind(-1)
    x = draws.beta(a + 1, b + 1).float()
    steepness = (delta - 1).clamp(max=-1e-12)  # of the density of log Q2; zero is the limit
    length = math.log(Q2_RANGE[1])
    unit = draws.uniform(len(theta))
    q2 = ((unit * (steepness * length).expm1()).log1p() / steepness).exp().float()
    # Judged by the rounded numbers: those are stored, and must have y < 1.
    stored, x, q2 = torch.stack((x, q2), -1), x.double(), q2.double()
    inside = (x >= X_RANGE[0]) & (x <= X_RANGE[1]) & (q2 <= Q2_RANGE[1]) & (q2 < x * _S)
    share = (1 + c * x + d * x.square()) / most * (1 + (1 - q2 / (x * _S)).square()) / 2
    return stored, torch.where(inside, share, 0.0)


def _legendre(low: np.ndarray, high: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Gauss-Legendre nodes and weights of intervals ``(n,)``: two arrays ``(n, count)``."""
    node, weight = np.polynomial.legendre.leggauss(count)
    half = 0.5 * (high - low)[:, None]
    return 0.5 * (high + low)[:, None] + half * node, half * weight


def _prior_means() -> tuple[float, float]:
    """Return the means of c and d where P > 0: integrals over d, the rest is closed."""
    d, weight = _legendre(np.array([-5.0, 1.0]), np.array([1.0, 5.0]), 64)
    least = -np.where(d > 1, 2 * np.sqrt(np.maximum(d, 0)), 1 + d)  # c runs from here to 5
    area = (weight * (5 - least)).sum()
    return (weight * (25 - least**2) / 2).sum() / area, (weight * d * (5 - least)).sum() / area
