"""Partons and structure functions as affine functions of the u valence's moments.

Evolution and inversion are linear, so every combination of partons at (x, Q2) is a row of
numbers times the state of theta: real and imaginary parts of the normalised u-valence moments
on the contour, A_g, and 1. The rows know nothing of theta and are worked out once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from presage.studies.pdf.mceg.couplings import Coupling
from presage.studies.pdf.mceg.evolution import PARTONS, evolve, parton_weights
from presage.studies.pdf.mceg.inputs import (
    UP,
    Flavours,
    gluon_norm,
    valence_moments,
    valence_number,
)
from presage.studies.pdf.mceg.inversion import contour, kernel

#: Combinations of partons that stand in events and curves; F2 = x sum of e_q^2 (q + qbar).
F2 = parton_weights(u_plus=4 / 9, d_plus=1 / 9, s_plus=1 / 9, c_plus=4 / 9, b_plus=1 / 9)
U = parton_weights(u_plus=0.5, u_valence=0.5)
D = parton_weights(d_plus=0.5, d_valence=0.5)


@dataclass(frozen=True)
class Theory:
    """Leading-order QCD from a starting scale on."""

    q0_squared: float = 1.64  # starting scale in GeV2
    coupling: Coupling = field(default_factory=Coupling)
    flavours: Flavours = field(default_factory=Flavours)  # partons that do not depend on theta
    device: str = "cpu"  # where tensors live

    @cached_property
    def places(self) -> Tensor:
        """The contour, ``(K,)`` complex."""
        return contour(self.device)[0]

    @cached_property
    def _inputs(self) -> Tensor:
        """Moments ``(3, 8, K)``: a u valence with moments 1, a gluon with A_g = 1, the rest."""
        n = self.places
        zero, one = torch.zeros_like(n), torch.ones_like(n)
        up = torch.stack([one if p in ("u_plus", "u_valence") else zero for p in PARTONS])
        gluon = self.flavours.gluon(n)
        glue = torch.stack([gluon if p == "g" else zero for p in PARTONS])
        return torch.stack([up, glue, self.flavours.partons(n)])

    def moments(self, theta: Tensor, places: Tensor) -> Tensor:
        """Return normalised moments ``(*, k)`` of the u valence of `theta` ``(*, 4)``."""
        number = valence_number(theta)[0][..., None]
        return valence_moments(theta, places) * (UP / number)

    def state(self, theta: Tensor) -> Tensor:
        """Return what the partons of `theta` ``(*, 4)`` follow from, ``(*, 2K + 2)``."""
        moments = self.moments(theta, self.places)
        gluon = gluon_norm(theta, self.flavours)[..., None]
        return torch.cat([moments.real, moments.imag, gluon, torch.ones_like(gluon)], -1)

    def coefficients(self, weights: Tensor, q2: Tensor) -> Tensor:
        """Return moments of a combination per u-valence moment, per A_g, and alone, ``(J, 3, K)``.

        `weights` ``(8,)`` are those of :func:`.evolution.parton_weights`; `q2` ``(J,)`` is in GeV2.
        """
        evolved = evolve(self._inputs, self.places, q2, self.q0_squared, self.coupling)
        return torch.einsum("p,jcpk->jck", weights.to(self.device, evolved.dtype), evolved)

    def rows(self, weights: Tensor, x: Tensor, q2: float) -> Tensor:
        """Return rows ``(X, 2K + 2)`` such that state · row is x times a combination at (x, Q2).

        `weights` are ``(8,)``, `x` ``(X,)`` in (0, 1), `q2` in GeV2.
        """
        scale = torch.full((1,), q2, dtype=torch.float64, device=self.device)
        return self.inverted(self.coefficients(weights, scale)[0], x)

    def inverted(self, coefficients: Tensor, x: Tensor) -> Tensor:
        """Return the rows ``(X, 2K + 2)`` at one Q2, whose :meth:`coefficients` ``(3, K)`` are."""
        up, gluon, rest = coefficients
        inverse = x[:, None] * kernel(x)
        alone = (inverse @ torch.stack([gluon, rest], -1)).imag
        valence = inverse * up
        return torch.cat([valence.imag, valence.real, alone], -1)

    def value(self, weights: Tensor, theta: Tensor, x: Tensor, q2: float) -> Tensor:
        """Return x times a combination of partons, ``(*, X)`` for `theta` ``(*, 4)``."""
        return self.state(theta) @ self.rows(weights, x, q2).T
