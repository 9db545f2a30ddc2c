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
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from presage.emulation.grid import LabelledSimulator, Labels, mesh
from presage.labels import Arrays, LabelError, Parameter, Variable
from presage.studies.events.columns import reconstructed, true
from presage.studies.events.redraw import until_kept

PHI_FLOOR, OMEGA_FLOOR = 30.0, 0.415
PHI_RANGE, OMEGA_RANGE = (95.0, 5410.0), (0.25, 9.025)

#: Numbers are drawn in double precision and combined in single, in which they are stored:
#: the error, a few 10^-7, is far below what a detector resolves, and the maths is vectorised.
Floats = NDArray[np.float32]
Real = TypeVar("Real", np.float32, np.float64)
_CORRELATION = 0.35
_REDRAWS = 200


def grid(phi: int, omega: int) -> Labels:
    """Return `phi` x `omega` labels, evenly spaced over the full ranges."""
    return mesh(np.linspace(*PHI_RANGE, phi).tolist(), np.linspace(*OMEGA_RANGE, omega).tolist())


DEFAULT_GRID = grid(10, 10)
PARAMETERS = tuple(
    true(particle, lower=0.0, low=low, high=high)
    for particle, (low, high) in (("Phi", PHI_RANGE), ("omega", OMEGA_RANGE))
)
VARIABLES = (reconstructed("Phi", PHI_FLOOR), reconstructed("omega", OMEGA_FLOOR))


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

    labels: Labels = DEFAULT_GRID

    name: ClassVar[str] = "resonance"
    version: ClassVar[int] = 1
    thread_safe: ClassVar[bool] = True
    #: True masses ``phi_label`` and ``omega_label``, reconstructed ``phi_mass`` and ``omega_mass``.
    parameters: ClassVar[tuple[Parameter, ...]] = PARAMETERS
    variables: ClassVar[tuple[Variable, ...]] = VARIABLES

    @classmethod
    def on_grid(cls, phi: int = 10, omega: int = 10, weights: Any = "acceptance") -> Self:
        """Return the simulator on `phi` x `omega` labels, evenly spaced over the full ranges."""
        return cls(labels=grid(phi, omega), weights=weights)

    def named_weights(self, name: str) -> NDArray[np.float64]:
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
        p = np.asarray(theta["phi_label"], dtype=np.float32)
        w = np.asarray(theta["omega_label"], dtype=np.float32)

        def draw(events: NDArray[np.intp]) -> tuple[tuple[Floats, Floats], NDArray[np.bool_]]:
            masses = _masses(p[events], w[events], rng)
            return masses, _kept(*masses)

        (phi, omega), failed = until_kept(draw, p.size, _REDRAWS)
        if failed.size == 0:
            return {"phi_mass": phi, "omega_mass": omega}
        first = failed[0]
        raise LabelError(
            f"resonance: label ({p[first]}, {w[first]}) GeV gave no event above the floors "
            f"({PHI_FLOOR}, {OMEGA_FLOOR}) in {_REDRAWS} draws; choose heavier labels"
        )


def _kept(phi: Floats, omega: Floats) -> NDArray[np.bool_]:
    """Return where an event is above both floors, in the precision it is stored in."""
    return (phi > np.float32(PHI_FLOOR)) & (omega > np.float32(OMEGA_FLOOR))


def _masses(p: Floats, w: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return both masses ``[event]`` after steps 1 to 4, floors not yet applied."""
    n = p.size
    uniform = rng.random(n)
    z0, z1 = _single(rng.standard_normal(n)), _single(rng.standard_normal(n))
    # One uniform decides wrong pair, loss or neither: fewer draws, the same probabilities.
    choice = rng.random(n)
    share = wrong_share(p, w)
    wrong = np.flatnonzero(choice < share)
    lossy = np.flatnonzero((choice >= share) & (choice < 0.22 + 0.78 * share))

    z1 *= math.sqrt(1 - _CORRELATION**2)
    z1 += _CORRELATION * z0
    z1 *= np.sqrt(0.035**2 * (w * w) + 0.09**2)
    omega = _single(rng.beta(5, 1.15, n))
    omega *= np.maximum(w, 0.55) - OMEGA_FLOOR
    omega += z1
    omega += OMEGA_FLOOR

    z0 *= np.sqrt(0.36 / p + 0.012**2 + 9 / (p * p))
    z0 += 1
    phi = _breit_wigner(uniform)
    phi *= p
    phi *= z0

    exponential = _single(rng.standard_exponential(lossy.size))
    loss = np.minimum(exponential * (0.045 + 0.2 / p[lossy]), 0.9)
    phi[lossy] *= 1 - loss
    omega[lossy] *= 1 - loss / 2
    _replace_wrong(phi, omega, wrong, p, rng)
    return phi, omega


def _single(drawn: NDArray[np.float64]) -> Floats:
    return drawn.astype(np.float32)


def wrong_share(p: NDArray[Real], w: NDArray[Real]) -> NDArray[Real]:
    """Return the probability of a wrong combination, ``[event]``."""
    share = 0.05 * np.exp(p * (-1 / 900)) + (0.10 / 9) * w * (1 - p * (1 / 7000))
    share += 0.03
    return np.asarray(share)


def _breit_wigner(uniform: NDArray[np.float64]) -> Floats:
    """Return t/P of step 1, ``[event]``."""
    angle = _single((uniform - 0.5) * (0.98 * math.pi))
    ratio = np.sin(angle)  # sin/cos is vectorised, tan is not
    ratio /= np.cos(angle)
    ratio *= 0.003
    ratio += 1
    return np.asarray(ratio)


def _replace_wrong(
    phi: Floats, omega: Floats, wrong: NDArray[np.intp], p: Floats, rng: np.random.Generator
) -> None:
    """Do step 4 in place: the masses of wrongly combined events."""
    g = _single(rng.standard_gamma(2.2, wrong.size)) * (0.16 * p[wrong] + 55)
    phi[wrong] = 40 + g
    spread = 0.42 * (1 + 0.15 * np.log1p(g / 500))
    omega[wrong] = OMEGA_FLOOR + _single(rng.standard_gamma(2.2, wrong.size)) * spread
