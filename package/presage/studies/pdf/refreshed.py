"""Views paired with many exact draws of their own posterior, instead of one theta for all.

The theta that a set was simulated with is one exact draw of its posterior. A Metropolis step
with the exact likelihood leaves that posterior invariant, so after any number of steps theta
is still an exact draw, whatever was proposed; proposals of a posterior estimate are accepted
often and forget where the chain began. Training on such pairs has the same optimum as on the
simulated ones: the joint law of (theta, set) is the same. What changes is that sets of one
theta no longer share it, so a network cannot learn the stored theta by heart.

This uses the density of events in training, which the plain way does not need.

Source: independent Metropolis-Hastings, Hastings 1970, Biometrika 57, 97.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from presage.labels import Arrays, Coordinate, LabelError, Parameter, Variable
from presage.lineage import sample_numbers, take
from presage.models.fitted_encoder import FittedEncoder
from presage.models.fitted_posterior import FittedPosterior
from presage.simulator import Derived
from presage.studies.pdf.features import coordinate, view_order
from presage.studies.pdf.problem import Problem

#: Events whose density is worked out at once.
_EVENTS_AT_ONCE = 1 << 19


@dataclass(frozen=True, eq=False)
class RefreshedViews(Derived):
    """Pooled features, with draws of each view's posterior by Metropolis steps.

    Parameters
    ----------
    data
        Stored :class:`~presage.studies.pdf.features.PooledFeatures`.
    events
        The stored sets that they were made from.
    encoder, posterior
        Trained models: whose features they are, and what proposes.
    problem
        Has the density.
    draws
        Draws kept for each view.
    steps
        Metropolis steps before each of them.
    """

    events: xr.Dataset
    encoder: FittedEncoder
    posterior: FittedPosterior
    problem: Problem
    draws: int = 4
    steps: int = 2

    name: ClassVar[str] = "refreshed_views"
    version: ClassVar[int] = 1
    tolerance: ClassVar[float] = 1.0  # one rounding decides whether a step is taken
    block_size: ClassVar[int] = 64

    def __post_init__(self) -> None:
        if self.draws < 1 or self.steps < 1:
            raise LabelError(f"draws and steps are at least 1, got {self.draws}, {self.steps}")
        dim = self.sample_dim
        if self.events.sizes[dim] < self.data.sizes[dim]:
            raise LabelError(
                f"there are features of {self.data.sizes[dim]} samples, but sets of "
                f"{self.events.sizes[dim]}: give the sets that they were made from"
            )

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """``theta`` ``[view, draw, parameter]``."""
        dims = ("view", "draw", "parameter")
        return (Parameter("theta", dims, "float64", "1", "draws of each view's posterior"),)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """``features`` as they were, and the share of steps taken, ``accepted`` ``[view]``."""
        return (
            Variable("features", ("view", "number"), "float32", "1", "pooled features"),
            Variable("accepted", ("view",), "float32", "1", "share of Metropolis steps taken"),
        )

    @property
    def lengths(self) -> Mapping[str, int]:
        """Views, numbers and draws."""
        return {"view": self.data.sizes["view"], "number": self.data.sizes["number"],
                "draw": self.draws}  # fmt: skip

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        """As the features have them."""
        names = [n for n, c in self.data.coords.items() if c.dims in {("parameter",), ("view",)}]
        return tuple(coordinate(self.data[name]) for name in names)

    def convert(self, samples: xr.Dataset, rng: np.random.Generator) -> Arrays:
        """Return the features, and theta after the Metropolis steps."""
        features = torch.tensor(samples["features"].values)
        rows = sample_numbers(samples).to_numpy()
        sets = take(self.events, rows)["events"].transpose(..., "repeat", "event", "feature")
        views = self._views(np.asarray(sets.values))
        theta = torch.tensor(samples["theta"].values)[:, None].expand(-1, features.shape[1], -1)
        chain = _Chain(self, features, views, rng)
        state = chain.begin(theta)
        kept, taken = [], torch.zeros(features.shape[:2])
        for _ in range(self.draws):
            for _ in range(self.steps):
                state, accepted = chain.step(state)
                taken += accepted
            kept.append(state[0])
        share = (taken / (self.draws * self.steps)).numpy()
        theta_draws = torch.stack(kept, 2).numpy()
        return {"theta": theta_draws, "features": features.numpy(), "accepted": share}

    def _views(self, array: np.ndarray) -> list[Tensor]:
        """Return the events of each view ``(samples, n, F)``, in the order of the features."""
        counts = self.data["view_events"].values.astype(int)
        per_set = len(counts) // array.shape[1]
        array = array[..., view_order(array.shape[2]), :]
        found = []
        for repeat in range(array.shape[1]):
            used = {int(n): 0 for n in counts}
            for n in counts[:per_set].tolist():
                found.append(torch.tensor(array[:, repeat, used[n] : used[n] + n]).double())
                used[n] += n
        return found


class _Chain:
    """Independent Metropolis-Hastings for every view of a block at once."""

    def __init__(
        self, source: RefreshedViews, features: Tensor, views: list[Tensor], rng: Any
    ) -> None:
        self.source, self.views, self.rng = source, views, rng
        self.given, self.box = source.posterior.given(features), source.posterior.box
        self.usual = torch.tensor(source.data["theta"][0].values)

    def begin(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Return theta ``(samples, views, P)`` and ln(posterior / proposal) of each view."""
        return theta.clone(), self._weight(theta, self.box.line(theta))

    def step(self, state: tuple[Tensor, Tensor]) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Return the state after one step, and where it was taken."""
        theta, weight = state
        normal = torch.from_numpy(self.rng.standard_normal(theta.shape, dtype=np.float32))
        with torch.inference_mode():
            z = self.given.draw(normal).double()
        z = self.box.finite(z)
        proposed = self.box.theta(z)
        new = self._weight(proposed, z)
        uniform = torch.from_numpy(self.rng.random(weight.shape))
        taken = uniform.log() < new - weight
        kept = torch.where(taken[..., None], proposed, theta), torch.where(taken, new, weight)
        return kept, taken.float()

    def _weight(self, theta: Tensor, z: Tensor) -> Tensor:
        """Return ln(likelihood · prior / proposal), ``(samples, views)``."""
        problem = self.source.problem
        with torch.inference_mode():
            proposal = self.given.log_prob(z.to(self.given.context.dtype)).double()
            proposal = proposal - self.box.log_slope(z)
            likelihood = [
                self._likelihood(theta[:, view], events) for view, events in enumerate(self.views)
            ]
        return cast(Tensor, torch.stack(likelihood, 1) + problem.log_prior(theta) - proposal)

    def _likelihood(self, theta: Tensor, events: Tensor) -> Tensor:
        rows = max(1, _EVENTS_AT_ONCE // events.shape[1])
        problem = self.source.problem
        # Where the prior is zero a density may be anything: there the prior's -inf decides.
        usable = self.box.inside(theta) & problem.physical(theta)
        inside = torch.where(usable[:, None], theta, self.usual)
        parts = [
            problem.log_likelihood(inside[i : i + rows], events[i : i + rows])
            for i in range(0, len(theta), rows)
        ]
        return torch.cat(parts)
