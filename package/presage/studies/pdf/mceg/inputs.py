"""Partons at the starting scale: the u valence that is asked for, and everything that is fixed.

The u valence is u_v = A_u x^a (1-x)^b (1 + c sqrt(x) + d x), theta = (a, b, c, d). Its number
is 2, that of the d valence 1, and the gluon takes the momentum that is left. All of them are
sums of x^p (1-x)^q, whose moments are Euler beta functions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from presage.studies.pdf.mceg.evolution import PARTONS
from presage.studies.pdf.mceg.special import beta, real_beta

#: Numbers of valence quarks of the proton.
UP, DOWN = 2.0, 1.0


@dataclass(frozen=True)
class Flavours:
    """The fixed shapes; momentum densities x f(x) at the starting scale, after the Les Houches toy.

    Parameters
    ----------
    down_power, down_falloff
        x d_v = A_d x^down_power (1-x)^down_falloff.
    sea, sea_power, sea_falloff
        x dbar = sea x^sea_power (1-x)^sea_falloff, and x ubar = (1-x) x dbar.
    strange
        x s = x sbar = strange x (ubar + dbar); no charm, no bottom.
    gluon_power, gluon_falloff
        x g = A_g x^gluon_power (1-x)^gluon_falloff.
    """

    down_power: float = 0.8
    down_falloff: float = 4.0
    sea: float = 0.194
    sea_power: float = -0.1
    sea_falloff: float = 6.0
    strange: float = 0.2
    gluon_power: float = -0.1
    gluon_falloff: float = 5.0

    def gluon(self, n: Tensor) -> Tensor:
        """Return the moments of a gluon with A_g = 1 at `n`."""
        return _shape(n, self.gluon_power, self.gluon_falloff)

    def partons(self, n: Tensor) -> Tensor:
        """Return the moments ``(8, K)`` of all that does not depend on theta."""
        one = torch.ones((), dtype=n.dtype, device=n.device)
        number = _shape(one, self.down_power, self.down_falloff)
        down = DOWN * _shape(n, self.down_power, self.down_falloff) / number
        dbar = self.sea * _shape(n, self.sea_power, self.sea_falloff)
        ubar = self.sea * _shape(n, self.sea_power, self.sea_falloff + 1)
        rows = {
            "u_plus": 2 * ubar,
            "d_plus": down + 2 * dbar,
            "s_plus": 2 * self.strange * (ubar + dbar),
            "d_valence": down,
        }
        return torch.stack([rows.get(name, torch.zeros_like(n)) for name in PARTONS])

    def momentum_left(self) -> float:
        """Return the momentum fraction that u valence and gluon share."""
        two = torch.full((1,), 2.0, dtype=torch.complex128)
        quarks = self.partons(two)[: PARTONS.index("g")]
        return 1 - float(quarks.real.sum())


def _shape(n: Tensor, power: float, falloff: float) -> Tensor:
    """Return the moments of f with x f = x^power (1-x)^falloff."""
    return beta(n + (power - 1), torch.full((), falloff + 1.0, device=n.device, dtype=torch.double))


def valence_moments(theta: Tensor, n: Tensor) -> Tensor:
    """Return the moments ``(*, K)`` of the u valence with A_u = 1 for `theta` ``(*, 4)``."""
    a, b, c, d = theta[..., None, :].unbind(-1)
    last = b + 1
    moved = n + a
    whole = beta(moved, last)
    half = beta(moved + 0.5, last)
    next_one = whole * moved / (moved + last)
    return whole + c * half + d * next_one


def valence_number(theta: Tensor) -> tuple[Tensor, Tensor]:
    """Return the number and the momentum of the u valence with A_u = 1, ``(*,)`` each."""
    a, b, c, d = theta.unbind(-1)
    last = b + 1
    terms = [real_beta(a + k, last) for k in (1.0, 1.5, 2.0, 2.5, 3.0)]
    number = terms[0] + c * terms[1] + d * terms[2]
    return number, terms[2] + c * terms[3] + d * terms[4]


def gluon_norm(theta: Tensor, flavours: Flavours) -> Tensor:
    """Return A_g ``(*,)`` from the momentum sum; negative where quarks carry too much."""
    number, momentum = valence_number(theta)
    one = flavours.gluon(torch.full((1,), 2.0, dtype=torch.complex128)).real.item()
    return (flavours.momentum_left() - UP * momentum / number) / one


def valence(theta: Tensor, x: Tensor) -> Tensor:
    """Return u_v(x) at the starting scale, ``(*, X)`` for `theta` ``(*, 4)`` and `x` ``(X,)``."""
    a, b, c, d = theta[..., None, :].unbind(-1)
    number = valence_number(theta)[0][..., None]
    return UP / number * x**a * (1 - x) ** b * (1 + c * x.sqrt() + d * x)
