r"""Proposals for importance sampling: mixtures of Student-t laws at the modes, and adapted ones.

At each mode the curvature gives a Gaussian (Laplace's approximation); a Student-t with the
same shape has the tails that keep weights bounded. Where that fits badly (a bend, an edge of
the physical prior, two modes) the mixture is fitted again to its own weighted draws, those of
all rounds together (adaptive multiple importance sampling, Cornuet et al. 2012,
arXiv:0907.1254), with tempered weights while the fit is poor; and where even that fits badly,
to places that an ensemble of walkers has visited.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from presage.analysis.importance import efficiency, pareto_k
from presage.labels import Floats, LabelError
from presage.studies.pdf.draws import Draws
from presage.studies.pdf.ensemble import ensemble
from presage.studies.pdf.mixture import Mixture, cholesky, fitted, squares_of
from presage.studies.pdf.problem import Nearly
from presage.studies.pdf.target import Target

#: Prior draws that are looked at for places to start from, and how many starts there are.
_SCAN, _STARTS = 1024, 4
#: Draws of a round of adaptation, rounds at most, components of the mixture that is fitted.
_ROUND, _ROUNDS, _COMPONENTS = 2000, 10, 6
#: Efficiency below which walkers look for the shape, how many, and for how many steps.
_LOW, _WALKERS, _WALK = 0.2, 64, 2000
#: Efficiency, and shape of the largest weights, that are good enough.
ENOUGH, _TAIL = 0.4, 0.5


@dataclass(frozen=True)
class Known:
    """What a problem knows of its posterior, in the target's coordinates."""

    target: Target
    law: Nearly

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        """Draw ``(n, P)``."""
        return self.target.coordinates(self.law.sample(rng, n))

    def log_prob(self, z: Floats) -> Floats:
        """Return the logarithm of the density, ``(n,)``."""
        density = self.law.log_prob(self.target.theta(z)) + self.target.log_jacobian(z)
        found: Floats = density.cpu().numpy()
        return found


def proposal(target: Target, rng: np.random.Generator) -> Mixture | Known:
    """Return a law that draws of one observation's posterior can be weighted from."""
    if target.nearly is not None:
        return Known(target, target.nearly)
    mixture, reached, pool = adapted(target, laplace(target, rng), rng)
    if reached < _LOW and len(pool) == _WALKERS:
        again, better = _from_walkers(target, pool, rng)
        return again if better > reached else mixture
    return mixture


def laplace(target: Target, rng: np.random.Generator) -> Mixture:
    """Return a Student-t at each mode that was found, with the curvature there."""
    found = [_climb(target, start) for start in _starts(target, rng)]
    found.sort(key=lambda mode: -mode[0])
    modes: list[tuple[float, Floats, Floats]] = []
    for height, place, covariance in found:
        factor = cholesky(covariance)
        near = [float(squares_of((place - other[1])[None], factor)[0]) < 4 for other in modes]
        if not any(near) and (not modes or height > modes[0][0] - 15):
            modes.append((height, place, covariance))
    heights = np.array([h + 0.5 * np.linalg.slogdet(c)[1] for h, _, c in modes])
    share = np.exp(heights - heights.max())
    share = 0.02 + share / share.sum()
    mean = np.stack([m for _, m, _ in modes])
    covariance = np.stack([c for _, _, c in modes])
    # A tenth of the draws from a wider law: what is skewed or bent is still reached.
    return Mixture.of(
        np.concatenate([0.9 * share, 0.1 * share]),
        np.concatenate([mean, mean]),
        np.concatenate([1.1 * covariance, 9 * covariance]),
    )


def adapted(
    target: Target, first: Mixture, rng: np.random.Generator
) -> tuple[Mixture, float, Floats]:
    """Fit the mixture again to its weighted draws until the efficiency is enough.

    Returns
    -------
    tuple
        The best mixture, its efficiency, and places chosen by weight from the last fit.
    """
    mixtures, points, values, best = [first], [], [], (-1.0, first)
    for _ in range(_ROUNDS):
        z = mixtures[-1].sample(rng, _ROUND)
        value = target.log_prob(z)
        now = _quality(value - mixtures[-1].log_prob(z))
        best = max(best, (now[0], mixtures[-1]), key=lambda pair: pair[0])
        points.append(z)
        values.append(value)
        pool = np.concatenate(points)
        mixed = logsumexp([m.log_prob(pool) for m in mixtures], axis=0) - math.log(len(mixtures))
        weight = _tempered(np.concatenate(values) - mixed, _ROUND / 10)
        if now[0] >= ENOUGH and now[1] < _TAIL:
            break
        mixtures.append(fitted(pool, weight, rng, _COMPONENTS))
    there = min(_WALKERS, int((weight > 0).sum()))
    chosen = rng.choice(len(pool), size=there, p=weight, replace=False)
    return best[1], best[0], pool[chosen]


def _quality(log_ratio: Floats) -> tuple[float, float]:
    """Return efficiency and shape of the largest weights."""
    if not np.isfinite(log_ratio).any():
        return 0.0, math.inf
    return float(efficiency(log_ratio)), float(pareto_k(log_ratio))


def _from_walkers(target: Target, start: Floats, rng: np.random.Generator) -> tuple[Mixture, float]:
    """Fit the mixture to where walkers have been: thin bends are theirs to follow."""
    chains = ensemble(target, start, rng, longest=_WALK)
    places = chains.thinned(2 * _ROUND)
    mixture = fitted(places, np.full(len(places), 1 / len(places)), rng, 2 * _COMPONENTS)
    z = mixture.sample(rng, _ROUND)
    return mixture, _quality(target.log_prob(z) - mixture.log_prob(z))[0]


def _tempered(log_ratio: Floats, enough: float) -> Floats:
    """Return weights w^β with the largest β <= 1 that leaves `enough` effective draws."""
    if not np.isfinite(log_ratio).any():
        raise LabelError("no draw of the proposal lies where the posterior is positive")
    low, high = 0.0, 1.0
    for step in range(30):
        beta = 1.0 if step == 0 else (low + high) / 2
        logs = np.where(np.isfinite(log_ratio), beta * log_ratio, -np.inf)
        effective = float(efficiency(logs)) * len(logs)
        low, high = (beta, high) if effective >= enough else (low, beta)
        if low == 1.0:
            break
    logs = np.where(np.isfinite(log_ratio), low * log_ratio, -np.inf)
    weight = np.exp(logs - logsumexp(logs))
    exact: Floats = weight / weight.sum()  # to the last bit, as a choice by weight demands
    return exact


def _starts(target: Target, rng: np.random.Generator) -> Floats:
    """Return the best of some prior draws, apart from each other, ``(S, P)``."""
    theta = target.problem.draw_theta(Draws(rng, target.problem.device), _SCAN)
    z = target.coordinates(theta)
    values = target.log_prob(z)
    if not np.isfinite(values).any():
        raise LabelError(
            f"{target.problem.name}: the posterior is zero at all {_SCAN} draws of the prior that "
            "were tried; are these events of this problem?"
        )
    top = np.argsort(-values)[: _SCAN // 32]
    top = top[np.isfinite(values[top])]
    chosen = [int(top[0])]
    while len(chosen) < min(_STARTS, len(top)):
        apart = np.linalg.norm(z[top][:, None] - z[chosen][None], axis=2).min(axis=1)
        chosen.append(int(top[int(apart.argmax())]))
    return z[chosen]


def _climb(target: Target, start: Floats) -> tuple[float, Floats, Floats]:
    """Return height, place and covariance of the mode reached from a start."""
    from scipy.optimize import minimize

    def downhill(z: Floats) -> tuple[float, Floats]:
        value, slope = target.gradient(z[None])
        if not np.isfinite(value[0]):
            return 1e25, np.zeros_like(z)  # the line search comes back from there
        return -float(value[0]), -slope[0]

    found = minimize(downhill, start, jac=True, method="BFGS", options={"maxiter": 100})
    scale = np.sqrt(np.clip(np.diag(found.hess_inv), 1e-8, 1.0))
    height = -float(found.fun)
    return height, found.x, _curvature(target, found.x, scale)


def _curvature(target: Target, z: Floats, scale: Floats) -> Floats:
    """Return the inverse of minus the Hessian, from differences of gradients.

    Directions in which the density does not fall get a variance of 1, about that of a
    uniform prior in these coordinates.
    """
    steps = np.diag(0.3 * scale)
    _, slopes = target.gradient(np.concatenate([z + steps, z - steps]))
    dims = len(z)
    rise = (slopes[:dims] - slopes[dims:]) / (2 * 0.3 * scale)[:, None]
    unit = -(rise + rise.T) / 2 * np.outer(scale, scale)
    values, vectors = np.linalg.eigh(unit)
    width = np.where(values > 0.05, 1 / np.clip(values, 1e-3, None), 20.0)
    covariance = (vectors * width) @ vectors.T * np.outer(scale, scale)
    bound = np.minimum(1.0, 3.0 / np.sqrt(np.diag(covariance)))
    bounded: Floats = covariance * np.outer(bound, bound) + 1e-12 * np.eye(dims)
    return bounded
