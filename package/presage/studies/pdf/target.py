r"""The exact posterior of one observation as a function on the whole space.

Samplers and optimisers want no edges. Every parameter is taken through the logit of its
place in the prior's box, theta = low + (high - low) s(z), so that

.. math:: \log p(z) = \log L(\theta) + \log \pi(\theta) + \sum_i \log (d\theta_i / dz_i),

which is -inf only where the physical prior is zero inside its box.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.nn.functional import logsigmoid

from presage.labels import Floats, LabelError
from presage.models.fitted_encoder import SetLabels
from presage.progress import Bar
from presage.studies.pdf.problem import Nearly, Problem


@dataclass(frozen=True)
class Target:
    """Unnormalised posterior of one set of events."""

    problem: Problem  # with its prior
    likelihood: Callable[[Tensor], Tensor]  # of the set, ``(T, P)`` → ``(T,)``
    nearly: Nearly | None = None

    @classmethod
    def of(cls, problem: Problem, events: Tensor) -> Target:
        """Return the posterior given events ``(E, F)``."""
        return cls(problem, problem.likelihood(events), problem.nearly(events))

    def theta(self, z: Floats | Tensor) -> Tensor:
        """Return parameters in the box, ``(T, P)``."""
        points = torch.as_tensor(z, dtype=torch.float64, device=self.problem.low.device)
        width = self.problem.high - self.problem.low
        return self.problem.low + width * torch.sigmoid(points)

    def coordinates(self, theta: Tensor) -> Floats:
        """Return z of parameters inside the box, ``(T, P)``."""
        unit = (theta - self.problem.low) / (self.problem.high - self.problem.low)
        z: Floats = torch.logit(unit, eps=1e-12).cpu().numpy()
        return z

    def log_jacobian(self, z: Floats | Tensor) -> Tensor:
        """Return the logarithm of the volume of theta for that of z, ``(T,)``."""
        points = torch.as_tensor(z, dtype=torch.float64, device=self.problem.low.device)
        width = (self.problem.high - self.problem.low).log().sum()
        return width + (logsigmoid(points) + logsigmoid(-points)).sum(-1)

    def parts(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-likelihood and log prior, ``(T,)`` each; -inf where the prior is zero."""
        prior = self.problem.log_prior(theta)
        there = torch.isfinite(prior)
        inside = theta[there]
        value = self.likelihood(inside) if len(inside) else inside.new_zeros(0)
        if bool(torch.isnan(value).any()):
            lost = inside[torch.isnan(value)][0].tolist()
            raise LabelError(f"{self.problem.name}: the log-likelihood is NaN at theta = {lost}")
        likelihood = torch.full_like(prior, -torch.inf)
        return likelihood.masked_scatter(there, value.to(prior.dtype)), prior

    def log_prob(self, z: Floats) -> Floats:
        """Return the unnormalised logarithm of the posterior's density in z, ``(T,)``."""
        with torch.no_grad():
            likelihood, prior = self.parts(self.theta(z))
            total: Floats = (likelihood + prior + self.log_jacobian(z)).cpu().numpy()
        return total

    def gradient(self, z: Floats) -> tuple[Floats, Floats]:
        """Return the logarithm and its gradient, ``(T,)`` and ``(T, P)``; zero where -inf."""
        points = torch.tensor(z, dtype=torch.float64, requires_grad=True)
        likelihood, prior = self.parts(self.theta(points))
        total = likelihood + self.log_jacobian(points)
        finite = torch.isfinite(total + prior)
        if not bool(finite.any()):
            return np.full(len(z), -np.inf), np.zeros_like(points.detach().numpy())
        (slope,) = torch.autograd.grad(total[finite].sum(), points)
        values: Floats = (total + prior).detach().cpu().numpy()
        return values, np.nan_to_num(slope.numpy())


def sets_with_bar(
    problem: Problem, events: xr.DataArray, what: str, progress: bool
) -> Iterable[Tensor]:
    """Go through the sets ``(E, F)`` of labelled events, with a bar that says what is made of them.

    Sets of unequal size are filled up with NaN at the end.
    """
    labels = SetLabels.of(events)
    sets = (problem.check_events(one) for one in labels.each(events))
    return Bar(sets, total=labels.number, desc=what, unit="set", disable=not progress)
