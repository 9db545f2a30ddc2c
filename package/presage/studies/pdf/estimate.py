"""The learned posterior of one set as a density on the physical part of the prior's box."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from presage.fitting import FitError
from presage.models.box import Box
from presage.rng import generator
from presage.studies.pdf.problem import Problem

#: Draws that the flow makes at once.
_ROWS = 1 << 14
#: Times that draws in the unphysical part of the box are made again.
_ROUNDS = 20
#: Draws from which the physical share of an estimate is found.
_PROBES = 4096


class Estimate:
    """Draws and densities of a trained posterior network, unphysical theta left out."""

    def __init__(self, problem: Problem, network: Any) -> None:
        self.problem, self.network = problem, network
        spec = network.spec
        self.box = Box(problem.low.cpu(), problem.high.cpu(), spec.link, spec.straight)

    def check_finite(self, values: Tensor) -> None:
        """Refuse to go on with numbers that a network cannot have meant."""
        if not bool(torch.isfinite(values).all()):
            raise FitError(
                f"{self.problem.name}: the model has no finite answer for this set; its events "
                "lie far from all that it was trained with"
            )

    def draws(
        self, summary: Tensor, n: int, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return physical theta ``(n, P)``, their log density ``(n,)`` and the acceptance."""
        found: list[Tensor] = []
        had = tried = 0
        for _ in range(_ROUNDS):
            z = self._flow_draws(summary, n, rng)
            kept = z[self._usable(self.box.theta(z))]
            found.append(kept)
            had, tried = had + len(kept), tried + n
            if had >= n:
                break
        if had < n:
            raise FitError(
                f"{self.problem.name}: of {tried} draws for this set {had} are physical; the "
                "estimate has hardly anything to do with such a set"
            )
        z = torch.cat(found)[:n]
        share = had / tried
        log_prob = self._line_density(summary, z) - math.log(share)
        self.check_finite(log_prob)
        return self.box.theta(z), log_prob, _one(share)

    def density(self, summary: Tensor, theta: Tensor) -> Tensor:
        """Return the log density of theta ``(n, P)``, ``(n,)``."""
        usable = self._usable(theta)
        inner = torch.where(self.box.inside(theta)[:, None], theta, self.problem.low.cpu())
        density = self._line_density(summary, self.box.line(inner))
        share = 1.0
        if self.problem.acceptance < 1 or self.box.free:
            rng = generator("presage.studies.pdf.inference.acceptance", 0, 0)
            z = self._flow_draws(summary, _PROBES, rng)
            share = max(float(self._usable(self.box.theta(z)).double().mean()), 1e-12)
        return torch.where(usable, density - math.log(share), -math.inf)

    def _usable(self, theta: Tensor) -> Tensor:
        """Say where the prior is not zero, ``(n,)``."""
        inside = self.box.inside(theta)
        return inside & self.problem.physical(torch.where(inside[:, None], theta, self.box.low))

    def _flow_draws(self, summary: Tensor, n: int, rng: np.random.Generator) -> Tensor:
        normal = rng.standard_normal((n, len(self.problem.prior)), dtype=np.float32)
        with torch.inference_mode():
            parts = [
                self.network.draw(summary[None], part)
                for part in torch.split(torch.from_numpy(normal).to(summary.dtype), _ROWS)
            ]
        # Finite on the line, so that nobody stands on the edge of the box.
        return self.box.finite(torch.cat(parts).double()).clone()

    def _line_density(self, summary: Tensor, z: Tensor) -> Tensor:
        with torch.inference_mode():
            parts = [
                self.network.log_prob(summary[None], part.to(summary.dtype)).double()
                - self.box.log_slope(part)
                for part in torch.split(z, _ROWS)
            ]
        return torch.cat(parts).clone()


def _one(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)
