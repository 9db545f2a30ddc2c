"""What a problem of this study is: theta from a prior, sets of events from theta, their density.

A leaf states its prior, its features, and two functions of tensors that belong together,
:meth:`Problem.events` and :meth:`~presage.studies.pdf.law.Law.log_prob`. Everything else (the
recipe, blocks, labels, the likelihood of a set) is here, and in :mod:`.law` what is checked.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from presage.labels import Arrays, Coordinate, LabelError, Parameter, Variable, nearest
from presage.studies.pdf.draws import Draws, resolve_device
from presage.studies.pdf.law import Law, set_coordinates

#: Events that a block holds, about: large enough that a block is not mostly overhead.
_BLOCK_EVENTS, _LARGEST_BLOCK = 1 << 17, 1024
#: Numbers that the likelihood of many parameters works on at once: what a cache holds.
_AT_ONCE = 1 << 17


@dataclass(frozen=True)
class Curve:
    """A function of theta on a grid: a parton density, a structure function."""

    name: str
    grid: tuple[float, ...]  # where it is evaluated
    unit: str = "1"  # of its values
    long_name: str = ""
    grid_name: str = "x"  # what the grid is, for axes
    grid_unit: str = "1"
    logarithmic: bool = False  # whether the grid is shown on a logarithmic axis


class Nearly(Protocol):
    """A law that nearly is the posterior of one set."""

    def sample(self, rng: np.random.Generator, n: int) -> Tensor:
        """Draw theta ``(n, P)``."""

    def log_prob(self, theta: Tensor) -> Tensor:
        """Return the log density of theta ``(n, P)``, ``(n,)``."""


@dataclass(frozen=True)
class Problem(Law):
    """Sets of events for parameters drawn from a prior, and the density of every event.

    Parameters
    ----------
    n_events
        Events in a set.
    n_repeat
        Sets simulated for each theta.
    device
        ``"cpu"``, ``"cuda"`` or ``"auto"``. Numbers on CUDA are others: only then the device
        is part of the recipe.
    towards_edges
        Share of the theta that is drawn towards the edges of the prior; networks that learn from
        them know, see :mod:`presage.models.edges`.

    Raises
    ------
    LabelError
        A number below 1, no such device, or a share of a problem that draws theta in its own way.
    """

    n_events: int = 1000
    n_repeat: int = 1
    device: str = "cpu"
    towards_edges: float = 0.0

    sample_dim: ClassVar[str] = "sample"
    thread_safe: ClassVar[bool] = True
    #: Ranges stand in coordinates along ``parameter``.
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("theta", ("parameter",), "float64", "1", "parameters of the distribution"),
    )
    #: Stored type of events: float64 where float32 would round to the edge of the support.
    events_dtype: ClassVar[str] = "float32"
    #: Further classes whose modules belong to the source text.
    parts: ClassVar[tuple[type, ...]] = (Draws,)

    def __post_init__(self) -> None:
        for name in ("n_events", "n_repeat"):
            value = getattr(self, name)
            number = isinstance(value, (int, float, np.integer)) and not isinstance(value, bool)
            if not number or not float(value).is_integer() or value < 1:
                raise LabelError(f"{self.name}: {name} should be at least 1, got {value!r}")
            object.__setattr__(self, name, int(value))
        object.__setattr__(self, "device", resolve_device(self.device))
        share = self.towards_edges
        number = isinstance(share, (int, float)) and not isinstance(share, bool)
        if not number or not 0 <= share < 1:
            raise LabelError(
                f"{self.name}: towards_edges is a share from 0 to below 1, got {share!r}"
            )
        object.__setattr__(self, "towards_edges", float(share))
        if share and not self.is_flat():
            raise LabelError(f"{self.name} draws theta in its own way: leave towards_edges=0")

    @classmethod
    def is_flat(cls) -> bool:
        """Say whether theta are drawn here: uniform in the physical part of the box."""
        return cls.draw is Problem.draw and cls.draw_theta is Problem.draw_theta

    # -- what a leaf states ----------------------------------------------------------------

    @abstractmethod
    def events(self, theta: Tensor, draws: Draws, sets: int, count: int) -> Tensor:
        """Draw events.

        Parameters
        ----------
        theta
            ``(n, P)`` in float64.
        draws
            Random numbers; all that is random comes from there.
        sets, count
            Sets for each theta, and events in each.

        Returns
        -------
        Tensor
            ``(n, sets, count, F)``, in the stored type or float64.
        """

    @property
    def curves(self) -> tuple[Curve, ...]:
        """The functions of theta that are of interest, the first one the most."""
        return ()

    def curve(self, curve: Curve, theta: Tensor) -> Tensor:
        """Return a curve ``(*, len(curve.grid))`` for `theta` ``(*, P)``."""
        near = nearest(curve.name, (known.name for known in self.curves))
        raise LabelError(f"{self.name} has no curve {curve.name!r}{near}")

    # -- likelihood of sets --------------------------------------------------------------------

    def log_likelihood(self, theta: Tensor, events: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the log-likelihood of whole sets, ``(*,)``.

        It is of `theta` ``(*, P)`` and `events` ``(*, E, F)``, where `mask` ``(*, E)`` is True.
        """
        if mask is None:
            return self.log_prob(theta, events).sum(-1)
        # Gaps hold an event that there is: zeros could be of no density, and of no gradient.
        known = events[mask.expand(events.shape[:-1])][:1]
        if not len(known):
            return self.log_prob(theta, events[..., :0, :]).sum(-1)
        filled = torch.where(mask[..., None], events, known)
        return torch.where(mask, self.log_prob(theta, filled), 0.0).sum(-1)

    def mean_count(self, theta: Tensor) -> Tensor:
        """Return how many events a set has on average, ``(*,)``: `n_events`, unless theta says."""
        return torch.full_like(theta[..., 0], self.n_events)

    def likelihood(self, events: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the log-likelihood of one set ``(E, F)`` as a function ``(T, P)`` → ``(T,)``.

        What depends on the events alone is worked out once.
        """
        known = events.to(torch.float64)
        return self.in_pieces(lambda theta: self.log_likelihood(theta, known), events.shape[-2])

    def nearly(self, events: Tensor) -> Nearly | None:
        """Return a law close to the posterior of one set ``(E, F)``; None where none is known.

        The reference draws from it and weighs, so it may be wrong, but not too narrow.
        """
        return None

    @staticmethod
    def in_pieces(value: Callable[[Tensor], Tensor], count: int) -> Callable[[Tensor], Tensor]:
        """Return a function ``(T, P)`` → ``(T,)`` that is worked out for some T at a time.

        It needs `count` numbers for each theta: events, as a rule.
        """
        rows = max(1, _AT_ONCE // max(1, count))
        return lambda theta: torch.cat([value(part) for part in torch.split(theta, rows)])

    # -- a simulator as the store knows it -----------------------------------------------------

    @property
    def block_size(self) -> int:  # type: ignore[override]  # of the class elsewhere, here of the size
        """Samples of a block: few large sets, or many small ones."""
        fitting = _BLOCK_EVENTS / (self.n_events * self.n_repeat)
        return int(min(max(2 ** round(math.log2(fitting)), 1), _LARGEST_BLOCK))

    @property
    def variables(self) -> tuple[Variable, ...]:
        """``events`` ``[repeat, event, feature]``; units stand in ``feature_unit``."""
        dims = ("repeat", "event", "feature")
        return (Variable("events", dims, self.events_dtype, "1", "sets of events"),)

    @cached_property  # asked for with every block
    def coordinates(self) -> tuple[Coordinate, ...]:
        """Names, ranges and titles of parameters; names, units, scales, bounds of features."""
        known = set_coordinates(self.prior, self.features)
        if not self.towards_edges:
            return known
        share, what = (self.towards_edges,) * len(self.prior), "share drawn towards the edges"
        return (*known, Coordinate("parameter_edges", share, "1", what, "parameter"))

    @property
    def lengths(self) -> Mapping[str, int]:
        """Sets and events of a sample."""
        return {"repeat": self.n_repeat, "event": self.n_events}

    def identity(self) -> Mapping[str, Any]:
        """Return the fields of the recipe: device and share only where they change numbers."""
        fields = dict(super().identity())
        if self.device == "cpu":
            del fields["device"]
        if not self.towards_edges:
            del fields["towards_edges"]
        return fields

    def draw(self, rng: np.random.Generator, n: int) -> Arrays:
        """Draw theta ``[n, parameter]`` from the prior, a share of them towards its edges."""
        draws, share = Draws(rng, self.device), self.towards_edges
        drawn = self.draw_theta(draws, n, share) if share else self.draw_theta(draws, n)
        return {"theta": drawn.cpu().numpy()}

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Simulate the sets of each theta."""
        parameters = torch.as_tensor(theta["theta"], dtype=torch.float64, device=self.device)
        with torch.no_grad():
            drawn = self.events(parameters, Draws(rng, self.device), self.n_repeat, self.n_events)
        return {"events": drawn.cpu().numpy()}
