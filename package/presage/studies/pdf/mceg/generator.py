"""`mceg`: events (x, Q2) of neutral-current deep inelastic scattering off a proton.

The density of an event is d2sigma / dx dQ2 ~ Y+ F2(x, Q2) / (x Q^4), normalised over what
can be seen; Y+ = 1 + (1 - y)^2. F2 is of leading order, from a u valence
x^a (1-x)^b (1 + c sqrt(x) + d x) with theta = (a, b, c, d) at the starting scale, and all
other flavours fixed. Its values on a grid are interpolated; that grid is drawn from and scored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from presage.labels import LabelError, nearest
from presage.studies.pdf.draws import Draws
from presage.studies.pdf.law import Feature, Range
from presage.studies.pdf.mceg import prior
from presage.studies.pdf.mceg.couplings import Coupling
from presage.studies.pdf.mceg.curves import EVOLVED, VALENCE, Curves, curves
from presage.studies.pdf.mceg.grid import Grid
from presage.studies.pdf.mceg.inputs import Flavours
from presage.studies.pdf.mceg.kinematics import Kinematics
from presage.studies.pdf.mceg.reduction import Reduction
from presage.studies.pdf.mceg.theory import Theory
from presage.studies.pdf.problem import Curve, Problem
from presage.studies.settings import made_of

#: Node masses, and densities of events, that are worked on at once; and rows of events.
_AT_ONCE, _ROWS = 1 << 21, 1 << 15


@lru_cache(maxsize=4)
def grid_of(theory: Theory, kinematics: Kinematics, nodes: tuple[int, int]) -> Grid:
    """Return the grid of these settings, its tables built at first use and kept."""
    return Grid(theory, kinematics, nodes)


@lru_cache(maxsize=4)
def curves_of(theory: Theory) -> Curves:
    """Return the curves of these settings, their tables kept as well."""
    return Curves(theory)


@dataclass(frozen=True)
class MCEG(Problem):
    """Sets of DIS events for theta = (a, b, c, d) of the u valence.

    Parameters
    ----------
    n_events, n_repeat, device
        As of every :class:`~presage.studies.pdf.problem.Problem`.
    q0_squared
        Scale in GeV2 at which the u valence is parametrised.
    coupling, flavours, kinematics
        Strong coupling and bottom mass, the other partons, beams and cuts.
    nodes
        Of the interpolated density along x and along Q2.

    Examples
    --------
    >>> problem = MCEG(n_events=10)
    >>> [f"{f.name} [{f.unit}]" for f in problem.features]
    ['x [1]', 'Q2 [GeV2]']
    """

    q0_squared: float = 1.64
    coupling: Coupling = field(default_factory=Coupling)
    flavours: Flavours = field(default_factory=Flavours)
    kinematics: Kinematics = field(default_factory=Kinematics)
    nodes: tuple[int, int] = (240, 200)

    name: ClassVar[str] = "mceg"
    parts: ClassVar[tuple[type, ...]] = (*Problem.parts, Theory, Grid, Reduction)

    def __post_init__(self) -> None:
        super().__post_init__()
        for kind in (Coupling, Flavours, Kinematics):
            value = getattr(self, name := kind.__name__.lower())
            if isinstance(value, Mapping):  # as a stored recipe holds it
                given = {key: number for key, number in value.items() if key != "class"}
                value = made_of(kind, given, kind, f"mceg: {name}")
            if not isinstance(value, kind):
                raise LabelError(f"mceg: {name} should be a {kind.__name__}, got {value!r}")
            object.__setattr__(self, name, value)
        object.__setattr__(self, "nodes", tuple(int(count) for count in self.nodes))
        if len(self.nodes) != 2 or min(self.nodes) < 8:
            raise LabelError(f"mceg: nodes should be two numbers from 8 on, got {self.nodes}")
        if not 0 < self.q0_squared <= self.kinematics.q2_min:
            raise LabelError(
                f"mceg: evolution runs upwards, so q0_squared = {self.q0_squared:g} GeV2 should "
                f"not be above the smallest Q2, {self.kinematics.q2_min:g} GeV2"
            )

    @property
    def prior(self) -> tuple[Range, ...]:
        """The box; uniform in its physical part, see :meth:`physical`."""
        titles = (
            "power of x of the u valence",
            "power of 1 - x of the u valence",
            "coefficient of sqrt(x) in the u valence",
            "coefficient of x in the u valence",
        )
        edges = zip("abcd", prior.LOW, prior.HIGH, titles, strict=True)
        return tuple(Range(*edge) for edge in edges)

    @property
    def features(self) -> tuple[Feature, ...]:
        """Momentum fraction and scale."""
        low, high = self.kinematics.q2_min, self.kinematics.q2_max
        return (
            Feature("x", "1", "Bjorken x", 0.0, 1.0, "logit"),
            Feature("Q2", "GeV2", "momentum transfer squared", low, high, "log"),
        )

    @property
    def theory(self) -> Theory:
        """Partons and structure functions at any x and Q2."""
        return self.grid.theory

    @property
    def grid(self) -> Grid:
        """The density that is drawn from and scored."""
        theory = Theory(self.q0_squared, self.coupling, self.flavours, self.device)
        return grid_of(theory, self.kinematics, self.nodes)

    # -- prior -------------------------------------------------------------------------------

    def physical(self, theta: Tensor) -> Tensor:
        """Say which `theta` ``(*, 4)`` have u_v >= 0 on (0, 1), a positive gluon, and a > -1."""
        return prior.physical(theta, self.flavours)

    @property
    def acceptance(self) -> float:
        """Physical share of the box."""
        return prior.acceptance(self.flavours)

    # -- events ------------------------------------------------------------------------------

    def events(self, theta: Tensor, draws: Draws, sets: int, count: int) -> Tensor:
        """Draw events ``(n, sets, count, 2)`` in float32, inside all cuts also when rounded."""
        grid = self.grid
        out = torch.empty((len(theta), sets * count, 2), dtype=torch.float32, device=theta.device)
        coefficients = grid.coefficients(theta)
        at_once = max(1, _AT_ONCE // max(self.nodes[0] * self.nodes[1], sets * count))
        for start in range(0, len(theta), at_once):
            part = slice(start, start + at_once)
            uniform = draws.uniform(3, len(coefficients[part]), sets * count)
            u, v = grid.draw(coefficients[part], uniform)
            out[part] = self.kinematics.events(u, v)
        return out.reshape(len(theta), sets, count, 2)

    def log_prob(self, theta: Tensor, events: Tensor) -> Tensor:
        """Return the logarithm of the density in x and Q2, in 1/GeV2; -inf outside the cuts."""
        return self._scored(self.grid.coefficients(theta), events.to(torch.float64))

    def _scored(self, coefficients: Tensor, events: Tensor) -> Tensor:
        """Score a few events at a time: each has a row of some forty numbers."""
        if events.shape[:-1].numel() <= _ROWS:
            return self._scored_at_once(coefficients, events)
        if events.dim() == 2:
            pieces = [self._scored(coefficients, part) for part in torch.split(events, _ROWS)]
            return torch.cat(pieces, -1)
        lead = np.broadcast_shapes(coefficients.shape[:-1], events.shape[:-2])
        events = events.expand(*lead, *events.shape[-2:])
        coefficients = coefficients.expand(*lead, coefficients.shape[-1])
        if lead[0] == 1:
            return self._scored(coefficients[0], events[0])[None]
        size = max(1, _ROWS * lead[0] // events.shape[:-1].numel())
        parts = zip(torch.split(coefficients, size), torch.split(events, size), strict=True)
        return torch.cat([self._scored(*part) for part in parts])

    def _scored_at_once(self, coefficients: Tensor, events: Tensor) -> Tensor:
        u, v, jacobian = self._square(events)
        density = self.grid.density(coefficients, u, v)
        norm = (coefficients @ self.grid.norm)[..., None]
        return _log(density) - _log(norm) + jacobian

    def _square(self, events: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return u, v and log abs(d(u, v) / d(x, Q2)), -inf beyond the cuts."""
        x, q2 = events.unbind(-1)
        inside = self.kinematics.inside(x, q2)
        x, q2 = torch.where(inside, x, 0.5), torch.where(inside, q2, 100.0)
        u, v, jacobian = self.kinematics.square(x, q2)
        return u, v, torch.where(inside, jacobian, -torch.inf)

    def likelihood(self, events: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the log-likelihood of one set; rows of the interpolation are worked out once."""
        grid = self.grid
        u, v, jacobian = self._square(events.to(torch.float64))
        rows, constant = grid.rows(u, v), float(jacobian.sum())
        at_once = max(1, _AT_ONCE // max(1, len(u)))

        def value(theta: Tensor) -> Tensor:
            values = []
            for part in torch.split(theta, at_once):
                coefficients = grid.coefficients(part)
                summed = _log(coefficients @ rows.T).sum(-1)
                values.append(summed - len(u) * _log(coefficients @ grid.norm) + constant)
            return torch.cat(values) if values else theta.new_zeros(0)

        return value

    def check_events(self, events: xr.DataArray | Tensor | np.ndarray) -> Tensor:
        """Return events ``(*, E, 2)`` as a tensor.

        Raises
        ------
        LabelError
            As for every problem; or an event beyond the cuts on y and W2.
        """
        values = super().check_events(events)
        x, q2 = values.reshape(-1, 2).unbind(-1)
        outside = ~self.kinematics.inside(x, q2)
        if bool(outside.any()):
            first = int(outside.nonzero()[0])
            y = float(self.kinematics.inelasticity(x[first], q2[first]))
            low, high = (float(edge) for edge in self.kinematics.bounds(q2[first]))
            raise LabelError(
                f"mceg: {int(outside.sum())} events are beyond the cuts y < 1 and W2 > "
                f"{self.kinematics.w2_min:g} GeV2; the first has x = {float(x[first]):.6g}, Q2 = "
                f"{float(q2[first]):.6g} GeV2, y = {y:.3g}, where x from {low:.4g} to {high:.4g} "
                "can be seen"
            )
        return values

    # -- curves ------------------------------------------------------------------------------

    @property
    def curves(self) -> tuple[Curve, ...]:
        """The u valence where it is parametrised, u and d evolved, F2 at three scales."""
        return curves(self.q0_squared)

    def curve(self, curve: Curve, theta: Tensor) -> Tensor:
        """Return a curve on its grid."""
        known = (*VALENCE, *EVOLVED)
        if curve.name not in known:
            raise LabelError(f"mceg has no curve {curve.name!r}{nearest(curve.name, known)}")
        return curves_of(self.theory).value(curve, theta)


def _log(density: Tensor) -> Tensor:
    """Return the logarithm, -inf where an unphysical theta makes a density negative."""
    return torch.where(density > 0, density, 1.0).log().where(density > 0, -torch.inf)
