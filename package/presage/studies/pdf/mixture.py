"""Mixtures of Student-t laws: drawn from, scored, and fitted to weighted points."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, logsumexp

from presage.labels import Floats

#: Degrees of freedom.
_DEGREES = 5.0
#: Points that a mixture is fitted to, at most, and rounds of the fit.
_FITTED, _STEPS = 2000, 15


@dataclass(frozen=True)
class Mixture:
    """A mixture of Student-t laws."""

    share: Floats  # ``(K,)``, summing to 1
    mean: Floats  # ``(K, P)``
    factor: Floats  # ``(K, P, P)``, lower Cholesky factors of the scale matrices

    @classmethod
    def of(cls, share: Floats, mean: Floats, covariance: Floats) -> Mixture:
        """Return a mixture with these scale matrices."""
        return cls(share / share.sum(), mean, cholesky(covariance))

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        """Draw ``(n, P)``."""
        which = rng.choice(len(self.share), size=n, p=self.share)
        points = rng.standard_normal((n, self.mean.shape[1]))
        points /= np.sqrt(rng.chisquare(_DEGREES, size=(n, 1)) / _DEGREES)
        drawn = np.empty_like(points)
        for k in range(len(self.share)):
            mine = which == k
            drawn[mine] = self.mean[k] + points[mine] @ self.factor[k].T
        return drawn

    def log_prob(self, z: Floats) -> Floats:
        """Return the logarithm of the density, ``(n,)``."""
        dims = z.shape[1]
        norm = gammaln((_DEGREES + dims) / 2) - gammaln(_DEGREES / 2)
        norm -= dims / 2 * math.log(_DEGREES * math.pi)
        total: Floats = logsumexp(
            [
                math.log(share) + norm - np.log(np.diag(factor)).sum()
                - (_DEGREES + dims) / 2 * np.log1p(squares_of(z - mean, factor) / _DEGREES)
                for share, mean, factor in zip(self.share, self.mean, self.factor, strict=True)
            ],
            axis=0,
        )  # fmt: skip
        return total


def fitted(points: Floats, weight: Floats, rng: np.random.Generator, components: int) -> Mixture:
    """Fit a mixture to weighted points by expectation maximisation.

    Points are ``(n, P)``, weights ``(n,)`` sum to 1; there are so many `components` besides a wide
    one, which start where `rng` says.
    """
    dims = points.shape[1]
    if len(points) > _FITTED:
        points = points[rng.choice(len(points), size=_FITTED, p=weight)]
        weight = np.full(_FITTED, 1 / _FITTED)
    mean = weight @ points
    whole = np.einsum("n,ni,nj->ij", weight, points - mean, points - mean)
    whole += 1e-10 * np.eye(dims)
    floor = 1e-4 * whole
    centres = points[rng.choice(len(points), size=components, p=weight)]
    mixture = Mixture.of(
        np.ones(components), centres, np.repeat(whole[None] / 2, components, axis=0)
    )
    for _ in range(_STEPS):
        belongs, closeness = _responsibilities(mixture, points)
        share = weight[:, None] * belongs
        pull = share * closeness  # a Student-t counts its outliers less
        mean = (pull.T @ points) / (pull.sum(0)[:, None] + 1e-300)
        apart = points[:, None] - mean
        spread = np.einsum("nk,nki,nkj->kij", pull, apart, apart, optimize=True)
        covariance = spread / (share.sum(0)[:, None, None] + 1e-300) + floor
        mixture = Mixture.of(share.sum(0) + 1e-3, mean, covariance)
    wide = Mixture.of(np.ones(1), (weight @ points)[None], 3 * whole[None])
    return Mixture(
        np.concatenate([0.9 * mixture.share, [0.1]]),
        np.concatenate([mixture.mean, wide.mean]),
        np.concatenate([mixture.factor, wide.factor]),
    )


def _responsibilities(mixture: Mixture, points: Floats) -> tuple[Floats, Floats]:
    """Return whose each point is, and how much it counts there, ``(n, K)`` each."""
    dims = points.shape[1]
    logs, closeness = [], []
    for share, mean, factor in zip(mixture.share, mixture.mean, mixture.factor, strict=True):
        squares = squares_of(points - mean, factor)
        logs.append(
            math.log(share) - np.log(np.diag(factor)).sum()
            - (_DEGREES + dims) / 2 * np.log1p(squares / _DEGREES)
        )  # fmt: skip
        closeness.append((_DEGREES + dims) / (_DEGREES + squares))
    stacked = np.stack(logs, axis=1)
    belongs: Floats = np.exp(stacked - logsumexp(stacked, axis=1, keepdims=True))
    return belongs, np.stack(closeness, axis=1)


def cholesky(covariance: Floats) -> Floats:
    """Return lower Cholesky factors in float64."""
    factor: Floats = np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
    return factor


def squares_of(apart: Floats, factor: Floats) -> Floats:
    """Return squared Mahalanobis lengths, ``(n,)``."""
    inverse = np.linalg.inv(factor)
    squares: Floats = np.square(apart @ inverse.T).sum(axis=-1)
    return squares
