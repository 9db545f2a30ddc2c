"""`resonance`: a toy Monte Carlo of two reconstructed masses with the features of the real one.

A scalar Phi of mass P and a pseudoscalar omega of mass w (the labels, GeV) are
reconstructed. Phi has a core some 3 % wide just below its label, a left tail from energy
losses and a plateau of wrong combinations; omega has a sharp upper edge, a long left tail,
a second bump at 1-2 GeV and a physical floor, 2 m(pi+-) + m(pi0). The two share the
calorimeter's scale. With U uniform and z0, z1 normal:

1. t = P + 0.003 P tan(0.98 pi (U - 1/2)), the natural width.
2. phi = t (1 + s z0)(1 - l), s^2 = (0.6/sqrt P)^2 + 0.012^2 + (3/P)^2; with probability
   0.22 a loss l = min(Exp(0.045 + 0.2/P), 0.9), else 0.
3. omega = (0.415 + (max(w, 0.55) - 0.415) Beta(5, 1.15)
   + sqrt((0.035 w)^2 + 0.09^2) (0.35 z0 + sqrt(1 - 0.35^2) z1)) (1 - l/2).
4. With probability 0.03 + 0.10 (w/9)(1 - P/7000) + 0.05 exp(-P/900) both are wrong:
   g = Gamma(2.2, 0.16 P + 55), phi = 40 + g,
   omega = 0.415 + Gamma(2.2, 0.42) (1 + 0.15 ln(1 + g/500)).
5. Events with phi <= 30 or omega <= 0.415 are drawn again, at the same label.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from presage.labels import Arrays, LabelError, Parameter, Variable
from presage.studies.events.grid import LabelledSimulator, Labels, mesh

PHI_FLOOR, OMEGA_FLOOR = 30.0, 0.415
PHI_RANGE, OMEGA_RANGE = (95.0, 5410.0), (0.25, 9.025)

Floats = NDArray[np.float64]
_CORRELATION = 0.35
_REDRAWS = 200


def _grid(phi: int, omega: int) -> Labels:
    return mesh(np.linspace(*PHI_RANGE, phi).tolist(), np.linspace(*OMEGA_RANGE, omega).tolist())


_DEFAULT_GRID = _grid(10, 10)


@dataclass(frozen=True)
class Resonance(LabelledSimulator):
    """Reconstructed masses of Phi and omega at a grid of true masses, see the module.

    Parameters
    ----------
    labels
        Pairs (phi_label, omega_label) in GeV; 10 x 10 by default.
    weights
        ``"equal"``, ``"acceptance"`` (a photon above 220 GeV: light Phi are nearly
        absent, as in the real grid) or one number per label.
    """

    labels: Labels = _DEFAULT_GRID

    name: ClassVar[str] = "resonance"
    version: ClassVar[int] = 1

    @classmethod
    def on_grid(cls, phi: int = 10, omega: int = 10, weights: Any = "acceptance") -> Self:
        """Return the simulator on `phi` x `omega` labels, evenly spaced over the full ranges."""
        return cls(labels=_grid(phi, omega), weights=weights)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """True masses: ``phi_label`` and ``omega_label`` (GeV)."""
        return (
            _label("phi_label", "true mass of Phi", PHI_RANGE),
            _label("omega_label", "true mass of omega", OMEGA_RANGE),
        )

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Reconstructed masses: ``phi_mass`` and ``omega_mass`` (GeV)."""
        return (
            _mass("phi_mass", "reconstructed mass of Phi", PHI_FLOOR, "phi_label"),
            _mass("omega_mass", "reconstructed mass of omega", OMEGA_FLOOR, "omega_label"),
        )

    def named_weights(self, name: str) -> Floats:
        """Return the acceptance of each label, P((P/2 - 220) > noise of 0.15 P + 20)."""
        if name != "acceptance":
            return super().named_weights(name)
        phi = self.label_table[:, 0]
        return np.asarray(ndtr((phi / 2 - 220) / (0.15 * phi + 20)), dtype=np.float64)

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Simulate one event per label.

        Raises
        ------
        LabelError
            A label's events nearly all fall below the physical floors.
        """
        p = np.asarray(theta["phi_label"], dtype=np.float64)
        w = np.asarray(theta["omega_label"], dtype=np.float64)
        phi, omega = _masses(p, w, rng)
        rejected = _below(phi, omega)
        for _ in range(_REDRAWS):
            if rejected.size == 0:
                return {"phi_mass": phi, "omega_mass": omega}
            again = _masses(p[rejected], w[rejected], rng)
            phi[rejected], omega[rejected] = again
            rejected = rejected[_below(*again)]
        first = rejected[0]
        raise LabelError(
            f"resonance: label ({p[first]}, {w[first]}) GeV gave no event above the floors "
            f"({PHI_FLOOR}, {OMEGA_FLOOR}) in {_REDRAWS} draws; choose heavier labels"
        )


def _label(name: str, long_name: str, prior: tuple[float, float]) -> Parameter:
    return Parameter(
        name, dtype="float64", unit="GeV", long_name=long_name, lower=0.0, low=prior[0],
        high=prior[1],
    )  # fmt: skip


def _mass(name: str, long_name: str, lower: float, follows: str) -> Variable:
    return Variable(name, unit="GeV", long_name=long_name, lower=lower, follows=follows)


def _below(phi: NDArray[np.float32], omega: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return where an event is at or below a floor, judged in the precision it is stored in."""
    kept = (phi > np.float32(PHI_FLOOR)) & (omega > np.float32(OMEGA_FLOOR))
    return np.flatnonzero(~kept)


def _masses(
    p: Floats, w: Floats, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return both masses ``[event]`` after steps 1 to 4, floors not yet applied."""
    n = p.size
    width = rng.random(n)
    z0, z1 = rng.standard_normal(n), rng.standard_normal(n)
    fraction = 0.03 + (0.10 / 9) * w * (1 - p / 7000) + 0.05 * np.exp(p * (-1 / 900))
    # One uniform decides wrong pair, loss or neither: fewer draws, the same probabilities.
    choice = rng.random(n)
    wrong = choice < fraction
    lossy = np.flatnonzero((choice < fraction + 0.22 * (1 - fraction)) & ~wrong)
    beta = rng.beta(5, 1.15, n)

    z1 *= math.sqrt(1 - _CORRELATION**2)
    z1 += _CORRELATION * z0
    z1 *= np.sqrt((0.035 * w) ** 2 + 0.09**2)
    beta *= np.maximum(w, 0.55) - OMEGA_FLOOR
    beta += z1
    beta += OMEGA_FLOOR

    width -= 0.5
    width *= 0.98 * math.pi
    phi = np.tan(width, out=width)
    phi *= 0.003
    phi += 1
    phi *= p
    z0 *= np.sqrt(0.36 / p + 0.012**2 + 9 / (p * p))
    z0 += 1
    phi *= z0

    loss = np.minimum(rng.standard_exponential(lossy.size) * (0.045 + 0.2 / p[lossy]), 0.9)
    phi[lossy] *= 1 - loss
    beta[lossy] *= 1 - loss / 2
    _replace_wrong(phi, beta, np.flatnonzero(wrong), p, rng)
    return phi.astype(np.float32), beta.astype(np.float32)


def _replace_wrong(
    phi: Floats, omega: Floats, wrong: NDArray[np.intp], p: Floats, rng: np.random.Generator
) -> None:
    """Do step 4 in place: the masses of wrongly combined events."""
    g = rng.standard_gamma(2.2, wrong.size) * (0.16 * p[wrong] + 55)
    phi[wrong] = 40 + g
    spread = 0.42 * (1 + 0.15 * np.log1p(g / 500))
    omega[wrong] = OMEGA_FLOOR + rng.standard_gamma(2.2, wrong.size) * spread
