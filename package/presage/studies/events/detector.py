"""A toy detector: a calorimeter that sees a photon, a tracker that sees a two-prong.

Steps 4 to 6 of :mod:`~presage.studies.events.decay`, with all their numbers, in single
precision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from presage.studies.events.kinematics import Momentum
from presage.studies.events.resonance import OMEGA_FLOOR, wrong_share

Floats = NDArray[np.floating[Any]]
SINGLE = np.float32
_SIGMAS = 5.0  # no blur is larger


@dataclass(frozen=True)
class Detector:
    """What is seen of a photon and of a two-prong."""

    resolution: float = 1.0  # factor on all blurs and losses; 0 is a perfect detector
    wrong: float = 1.0  # factor on the share of wrong two-prongs

    def least_photon(self, cut: float) -> float:
        """Return the true pt below which no photon is seen above a cut.

        The root of cut - pt = 5 e pt with e^2 = 0.36/pt + 0.012^2 + 9/pt^2, a quadratic.
        """
        blur = (_SIGMAS * self.resolution) ** 2
        a, half_b, c = 1 - blur * 0.012**2, cut + blur * 0.18, cut**2 - blur * 9
        return max((half_b - math.sqrt(max(half_b**2 - a * c, 0.0))) / a, 0.0)

    def photon_pt(self, pt: Floats, z: Floats, u: Floats) -> Floats:
        """Return the photon's pt as the calorimeter sees it; z normal, u uniform."""
        blur = np.sqrt(0.36 * pt + 0.012**2 * pt * pt + 9)
        seen = pt + self.resolution * np.clip(z, -_SIGMAS, _SIGMAS) * blur
        return np.asarray(seen * (1 - self._loss(u, 0.1, 0.1)))

    def photon(self, pt: Floats, photon: Momentum, rng: np.random.Generator) -> Momentum:
        """Return a photon of this pt in a blurred direction."""
        return self._blurred(photon._replace(pt=pt), 0.005, rng)

    def two_prong(
        self, p: Floats, w: Floats, pair: Momentum, rng: np.random.Generator
    ) -> tuple[Momentum, Floats]:
        """Return momentum and mass of the two-prong that is found, right or wrong."""
        pair, mass = self._right(p, w, pair, rng)
        share = self.wrong * wrong_share(p, w)
        wrong = np.flatnonzero(rng.random(p.size, dtype=SINGLE) < share)
        pt = 20 + rng.standard_gamma(2.2, wrong.size) * (0.015 * p[wrong] + 15)
        eta = 1.2 * rng.standard_normal(wrong.size)
        phi = 2 * math.pi * rng.random(wrong.size)
        for column, value in zip(pair, (pt, eta, phi), strict=True):
            column[wrong] = value
        spread = 0.42 * (1 + 0.15 * np.log1p(pt / 100))
        mass[wrong] = OMEGA_FLOOR + rng.standard_gamma(2.2, wrong.size) * spread
        return pair, mass

    def _right(
        self, p: Floats, w: Floats, pair: Momentum, rng: np.random.Generator
    ) -> tuple[Momentum, Floats]:
        n = p.size
        z0, z1 = rng.standard_normal((2, n), dtype=SINGLE)
        z0 = np.clip(z0, -_SIGMAS, _SIGMAS)
        loss = self._loss(rng.random(n, dtype=SINGLE), 0.22, 0.09 + 0.4 / p)
        scale = 1 + self.resolution * np.sqrt(0.03**2 + (3e-5 * pair.pt) ** 2) * z0
        pair = pair._replace(pt=pair.pt * np.maximum(scale, 0.01) * (1 - loss))
        kept = np.maximum(1 - self.resolution * (1 - rng.beta(5, 1.15, n).astype(SINGLE)), 0.0)
        noise = self.resolution * np.sqrt((0.035 * w) ** 2 + 0.09**2)
        mass = OMEGA_FLOOR + (np.maximum(w, 0.55) - OMEGA_FLOOR) * kept
        mass += noise * (0.35 * z0 + math.sqrt(1 - 0.35**2) * z1)
        return self._blurred(pair, 0.001, rng), mass * (1 - loss / 4)

    def _loss(self, u: Floats, share: float, mean: float | Floats) -> Floats:
        """Return losses: with this share, exponential, at most 0.9, else 0.

        Below the share, u is uniform in its turn and gives the loss itself.
        """
        turn = -np.log(np.clip(u / share, 1e-30, 1.0))
        return np.asarray(np.minimum(self.resolution * mean * turn, 0.9))

    def _blurred(self, momentum: Momentum, width: float, rng: np.random.Generator) -> Momentum:
        blur = self.resolution * width * rng.standard_normal((2, momentum.pt.size), dtype=SINGLE)
        return Momentum(momentum.pt, momentum.eta + blur[0], momentum.phi + blur[1])
