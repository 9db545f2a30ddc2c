"""`simplified_dis`: deep inelastic scattering reduced to the shapes of two valence quarks.

The momentum fraction x of the struck quark follows a normalised Beta density for each
flavour, and a proton holds two u and one d:

    u(x) = 2 Be(x; a_up + 1, b_up + 1),    d(x) = Be(x; a_down + 1, b_down + 1).

Scattering counts quarks by their squared charges, 4/9 u + 1/9 d on the proton and, by
isospin, 4/9 d + 1/9 u on the neutron. Normalised to one event each,

    p(x | proton)  = 8/9 Be_u + 1/9 Be_d,    p(x | neutron) = 1/3 Be_u + 2/3 Be_d,

from which flavours and the two ends of x are told apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from presage.labels import LabelError, nearest
from presage.studies.pdf.draws import Draws
from presage.studies.pdf.law import Feature, Range
from presage.studies.pdf.problem import Curve, Problem

#: Share of events in which a u quark is struck.
_UP_IN_PROTON, _UP_IN_NEUTRON = 8 / 9, 1 / 3
#: Boxes of the prior: ranges of a and of b.
BOXES = {"valence": ((-0.9, 0.0), (0.0, 5.0)), "original": ((0.0, 5.0), (0.0, 5.0))}
#: Momentum fractions at which curves are shown.
GRID = tuple(np.geomspace(0.01, 0.7, 41).tolist())
_CURVES = {
    "x_u_valence": "x u(x)",
    "x_d_valence": "x d(x)",
    "u": "number density of u",
    "d": "number density of d",
    "f2_proton": "F2 of the proton",
    "f2_neutron": "F2 of the neutron",
}


def exponents(a: tuple[float, float], b: tuple[float, float]) -> tuple[Range, ...]:
    """Return the parameters of both flavours, with the ranges of a and of b."""
    return (
        Range("a_up", *a, "exponent of x of u"),
        Range("b_up", *b, "exponent of 1 - x of u"),
        Range("a_down", *a, "exponent of x of d"),
        Range("b_down", *b, "exponent of 1 - x of d"),
    )


@dataclass(frozen=True)
class SimplifiedDIS(Problem):
    """Momentum fractions x on protons and neutrons, theta = (a_up, b_up, a_down, b_down).

    The events of a set alternate between the targets, the proton first: every even number of
    first events is half and half, an odd number has one proton more. The target is chosen by
    the experiment, so densities are those of x, given the target.

    x is stored in float64: near a = -0.9 it falls as far as 1e-160, beyond what float32 holds,
    and those events say most about a.

    Parameters
    ----------
    box
        ``"valence"``: a in [-0.9, 0] and b in [0, 5], what valence quarks are like;
        ``"original"``: all four in [0, 5].

    Raises
    ------
    LabelError
        No such box.

    Examples
    --------
    >>> block = SimplifiedDIS(n_events=4).block(seed=0, index=0)
    >>> block["events"].shape, block["events"][0, 0, :, 1].tolist()
    ((1024, 1, 4, 2), [0.0, 1.0, 0.0, 1.0])
    """

    box: str = "valence"

    name: ClassVar[str] = "simplified_dis"
    events_dtype: ClassVar[str] = "float64"
    features: ClassVar[tuple[Feature, ...]] = (
        Feature("x", "1", "momentum fraction x", 0.0, 1.0, "logit"),
        Feature("target", "1", "target: 0 proton, 1 neutron", 0.0, 1.0),
    )
    #: Valence densities of u and d, and F2, over x = 0.01 to 0.7.
    curves: ClassVar[tuple[Curve, ...]] = tuple(
        Curve(name, GRID, "1", what, "x", "1", True) for name, what in _CURVES.items()
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.box not in BOXES:
            raise LabelError(f"{self.name} has no box {self.box!r}{nearest(self.box, BOXES)}")

    @property
    def prior(self) -> tuple[Range, ...]:
        """Uniform in the box."""
        return exponents(*BOXES[self.box])

    def events(self, theta: Tensor, draws: Draws, sets: int, count: int) -> Tensor:
        """Draw events ``(n, sets, count, 2)``: the struck flavour, then its x."""
        shape = (len(theta), sets, count)
        events = torch.empty(*shape, 2, dtype=torch.float64, device=theta.device)
        target = torch.arange(count, device=theta.device) % 2
        share = torch.where(target == 0, _UP_IN_PROTON, _UP_IN_NEUTRON)
        up = draws.uniform(*shape, dtype=torch.float32) < share
        a_up, b_up, a_down, b_down = (theta + 1)[:, None, None].unbind(-1)
        events[..., 0] = draws.beta(torch.where(up, a_up, a_down), torch.where(up, b_up, b_down))
        events[..., 1] = target
        return events

    def log_prob(self, theta: Tensor, events: Tensor) -> Tensor:
        """Return the logarithm of the density of x, given the target."""
        x, target = events.to(torch.float64).unbind(-1)
        return _log_mixture(theta, _logarithms(x, target))

    def likelihood(self, events: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the log-likelihood of one set; logarithms of x are taken once."""
        x, target = events.to(torch.float64).unbind(-1)
        known = _logarithms(x, target)
        return self.in_pieces(lambda theta: _log_mixture(theta, known).sum(-1), len(x))

    def supported(self, events: Tensor) -> Tensor:
        """Say which events have a target that there is."""
        return (events[..., 1] == 0) | (events[..., 1] == 1)

    def curve(self, curve: Curve, theta: Tensor) -> Tensor:
        """Return a density or a structure function on the curve's grid."""
        if curve.name not in _CURVES:
            return super().curve(curve, theta)
        x = torch.tensor(curve.grid, dtype=torch.float64, device=theta.device)
        a_up, b_up, a_down, b_down = theta[..., None].unbind(-2)
        up, down = 2 * _log_beta(a_up, b_up, x).exp(), _log_beta(a_down, b_down, x).exp()
        values: dict[str, Callable[[], Tensor]] = {
            "x_u_valence": lambda: x * up,
            "x_d_valence": lambda: x * down,
            "u": lambda: up,
            "d": lambda: down,
            "f2_proton": lambda: x * (4 * up + down) / 9,
            "f2_neutron": lambda: x * (4 * down + up) / 9,
        }
        return values[curve.name]()


def _log_beta(a: Tensor, b: Tensor, x: Tensor) -> Tensor:
    """Return the logarithm of Be(x; a + 1, b + 1)."""
    return a * x.log() + b * (-x).log1p() + _log_norm(a, b)


def _log_norm(a: Tensor, b: Tensor) -> Tensor:
    """Return -log B(a + 1, b + 1)."""
    return (a + b + 2).lgamma() - (a + 1).lgamma() - (b + 1).lgamma()


def _logarithms(x: Tensor, target: Tensor) -> tuple[Tensor, ...]:
    """Return what of a set does not depend on theta.

    These are log x, log(1 - x), the logarithms of the shares of u and of d, and whether the
    event is in the support; one that is not gets harmless numbers, for the gradient's sake.
    """
    proton = target == 0
    inside = (x > 0) & (x < 1) & (proton | (target == 1))
    x = torch.where(inside, x, 0.5)
    up = _UP_IN_NEUTRON + (_UP_IN_PROTON - _UP_IN_NEUTRON) * proton.to(torch.float64)
    return x.log(), (-x).log1p(), up.log(), (-up).log1p(), inside


def _log_mixture(theta: Tensor, known: tuple[Tensor, ...]) -> Tensor:
    """Return the logarithm of the mixture, ``(*, E)``, for theta ``(*, P)``."""
    log_x, log_rest, log_up, log_down, inside = known
    a_up, b_up, a_down, b_down = theta[..., None, :].unbind(-1)
    up = torch.addcmul(a_up * log_x + (_log_norm(a_up, b_up) + log_up), b_up, log_rest)
    down = torch.addcmul(a_down * log_x + (_log_norm(a_down, b_down) + log_down), b_down, log_rest)
    return torch.where(inside, torch.logaddexp(up, down), -torch.inf)
