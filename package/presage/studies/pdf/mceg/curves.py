"""Curves of mceg: the u valence where it is parametrised, u, d and F2 at higher scales.

Evolved curves of thousands of posterior draws go through a reduction of their own, as the
events' grid does: forty moments per theta instead of all of the contour. On another grid of
x than the curve's own they are inverted directly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from presage.studies.pdf.mceg.inputs import valence
from presage.studies.pdf.mceg.prior import spread
from presage.studies.pdf.mceg.reduction import REFERENCE, Reduction, reduce
from presage.studies.pdf.mceg.theory import F2, D, Theory, U
from presage.studies.pdf.problem import Curve

_LINEAR = tuple(np.linspace(0.01, 0.7, 70).tolist())
_WIDE = tuple(np.geomspace(1e-4, 0.9, 80).tolist())
#: Curves at the starting scale.
VALENCE = ("x_u_valence", "x_u_valence_wide")
#: Name → combination of partons, Q2 in GeV2, and what it is.
EVOLVED: dict[str, tuple[Tensor, float, str]] = {
    "x_u": (U, 10.0, "x u(x)"),
    "x_d": (D, 10.0, "x d(x)"),
    "f2_10": (F2, 10.0, "F2(x)"),
    "f2_100": (F2, 100.0, "F2(x)"),
    "f2_1000": (F2, 1000.0, "F2(x)"),
}
_TRAINED = 512


def curves(q0_squared: float) -> tuple[Curve, ...]:
    """Return what the curves are, the u valence from 0.01 to 0.7 first."""
    what = f"x u_v(x) at {q0_squared:g} GeV2"
    return (
        Curve("x_u_valence", _LINEAR, "1", what),
        Curve("x_u_valence_wide", _WIDE, "1", what, logarithmic=True),
        *(
            Curve(name, _WIDE, "1", f"{label} at {q2:g} GeV2", logarithmic=True)
            for name, (_, q2, label) in EVOLVED.items()
        ),
    )


@dataclass(frozen=True)
class Curves:
    """Values of the curves for many theta, as a theory has them."""

    theory: Theory

    @cached_property
    def _reduced(self) -> tuple[Reduction, dict[str, Tensor]]:
        """Return a reduction for all evolved curves, and each one's table ``(R, X)``."""
        theory = self.theory
        x = torch.tensor(_WIDE, dtype=torch.float64, device=theory.device)
        rows = {name: theory.rows(what, x, q2) for name, (what, q2, _) in EVOLVED.items()}
        table = torch.cat(list(rows.values()))
        reference = theory.state(torch.tensor(REFERENCE, dtype=torch.float64, device=x.device))
        table = table / (table @ reference)[:, None]
        reduction = reduce(theory, table, spread(_TRAINED, theory.flavours, theory.device))
        return reduction, {name: (row @ reduction.modes).T for name, row in rows.items()}

    def value(self, curve: Curve, theta: Tensor) -> Tensor:
        """Return one of the curves ``(*, X)`` for `theta` ``(*, 4)``."""
        if curve.name in EVOLVED and curve.grid == _WIDE:
            reduction, tables = self._reduced
            return reduction.combinations(theta) @ tables[curve.name]
        x = torch.tensor(curve.grid, dtype=torch.float64, device=theta.device)
        if curve.name in VALENCE:
            return x * valence(theta, x)
        weights, q2, _ = EVOLVED[curve.name]
        return self.theory.value(weights, theta, x, q2)
