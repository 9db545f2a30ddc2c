"""`resonance_decay`: the fuller toy Monte Carlo, from kinematics and a detector.

Phi of mass P decays into a photon and an omega of mass w (the labels, GeV), which is seen as a
two-prong. What a detector would see is computed event by event, u uniform and z normal:

1. Phi has the mass M = P + width P tan(0.98 pi (u - 1/2))/2: a Breit-Wigner without its far tails.
2. It recoils against radiation: P(pt > q) = (1 + (q/k)^2)^-2, k = recoil (60 + 0.05 P), up to
   what collisions of 13 TeV allow. Its rapidity is limited likewise,
   y = (2/pi) asin(2u - 1) acosh((s + M^2)/(2 sqrt(s (M^2 + pt^2)))).
3. It decays: isotropic in its rest frame, as a particle without spin does, then boosted.
4. The calorimeter sees the photon's pt times 1 + e z, e^2 = (0.6/sqrt pt)^2 + 0.012^2 + (3/pt)^2,
   |z| <= 5, and with probability 0.1 only a part of it, 1 - l, l ~ Exp(0.1) up to 0.9.
   Directions are blurred by 0.005.
5. The tracker sees the two-prong's pt times 1 + t z0, t^2 = 0.03^2 + (3e-5 pt)^2, and with
   probability 0.22 only a part of it, l' ~ Exp(0.09 + 0.4/P); directions blurred by 0.001.
   omega is reconstructed as in :mod:`~presage.studies.events.resonance`, step 3, with this z0
   and times 1 - l'/4: a mass feels the square root of an energy, so losses are twice as large.
6. With that module's probability (step 4) the two-prong is a wrong one: softer,
   pt = 20 + Gamma(2.2, 0.015 P + 15), anywhere in eta ~ N(0, 1.2), and
   omega = 0.415 + Gamma(2.2, 0.42)(1 + 0.15 ln(1 + pt/100)).
7. phi is the invariant mass of photon and two-prong, as they were seen.
8. Events are drawn again, at the same label, until the photon has pt > 220 GeV, phi > 30 and
   omega > 0.415.

Step 8 leaves a label its events but says nothing of how rare they are. That is the label's
*acceptance*, P(photon above the cut), and the weights called so: light Phi are then absent, as
they nearly are in the real grid. Only recoils that can lift a photon above the cut are drawn,
which changes no distribution and spares 98 of 100 draws at P = 95 GeV.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from presage.emulation.grid import LabelledSimulator, Labels
from presage.labels import Arrays, LabelError, Parameter, Variable
from presage.studies.events import resonance
from presage.studies.events.detector import SINGLE, Detector
from presage.studies.events.kinematics import Decay, Momentum, breakup, even_points, invariant_mass
from presage.studies.events.redraw import until_kept
from presage.studies.events.resonance import OMEGA_FLOOR, PHI_FLOOR

Floats = NDArray[np.floating[Any]]
_ENERGY = 13_000.0  # GeV
_RARE = 1e-9  # a smaller share of recoils is none
_TAIL = math.tan(0.49 * math.pi) / 2  # half the largest distance from the mass, in widths
_ROUNDS = 500
_POINTS = 2048
_FEW = 0.02


class _Labels(NamedTuple):
    """Labels and the recoils that Phi can have at them and be seen, all ``[event]``."""

    p: Floats
    w: Floats
    scale: Floats  # k of step 2
    begins: Floats  # P(pt > q) at the least q that can lift a photon above the cut
    ends: Floats  # and at the largest q that collisions allow

    def take(self, events: NDArray[np.intp]) -> _Labels:
        """Return the labels of some events."""
        return _Labels(*(column[events] for column in self))


@dataclass(frozen=True)
class ResonanceDecay(LabelledSimulator):
    """Phi to a photon and a two-prong, with recoil, detector and cut: see the module.

    Parameters
    ----------
    labels
        Pairs (phi_label, omega_label) in GeV; 10 x 10 by default.
    weights
        ``"equal"``, ``"acceptance"`` (as events would survive the cut, of equally many at each
        label; none where fewer than 2 % do) or one number per label.
    photon_cut
        Least transverse momentum of the photon, GeV; 0 cuts nothing.
    photon_pt
        Whether the photon's transverse momentum is a third variable.
    width
        Natural width of Phi in units of its mass, below 0.06.
    recoil, wrong
        Factors on the recoil's momentum and on the share of wrong two-prongs, up to 3.
    resolution
        Factor on all blurs and losses, up to 3; 0 is a perfect detector.

    Raises
    ------
    LabelError
        A label whose Phi cannot decay or gives no photon above the cut; a setting out of range.
    """

    labels: Labels = resonance.DEFAULT_GRID
    photon_cut: float = 220.0
    photon_pt: bool = False
    width: float = 0.006
    recoil: float = 1.0
    resolution: float = 1.0
    wrong: float = 1.0

    name: ClassVar[str] = "resonance_decay"
    version: ClassVar[int] = 1
    thread_safe: ClassVar[bool] = True
    parts: ClassVar[tuple[type, ...]] = (Detector, Decay)
    parameters: ClassVar[tuple[Parameter, ...]] = resonance.PARAMETERS  # true masses

    def __post_init__(self) -> None:
        limits = {"photon_cut": _ENERGY, "width": 0.06, "recoil": 3.0, "resolution": 3.0,
                  "wrong": 3.0}  # fmt: skip
        for name, limit in limits.items():
            value = float(getattr(self, name))
            object.__setattr__(self, name, value)
            if not 0 <= value <= limit:
                raise LabelError(f"{name} should be between 0 and {limit:g}, got {value}")
        super().__post_init__()
        self._check_labels()

    @classmethod
    def on_grid(
        cls, phi: int = 10, omega: int = 10, weights: Any = "acceptance", **fields: Any
    ) -> Self:
        """Return the simulator on `phi` x `omega` labels, evenly spaced over the full ranges."""
        return cls(labels=resonance.grid(phi, omega), weights=weights, **fields)

    def _check_labels(self) -> None:
        """Refuse labels at which there is nothing to draw."""
        p, w = self.label_table.T
        reach = self._reach(p, w)
        lightest = p * (1 - _TAIL * self.width)
        for i, label in enumerate(self.labels):
            if not lightest[i] > w[i]:
                raise LabelError(f"Phi of label {label} is lighter than its omega; GeV both")
            if not reach.begins[i] - reach.ends[i] > _RARE:
                raise LabelError(
                    f"label {label}: no collision of {_ENERGY / 1000:g} TeV gives a photon above "
                    f"{self.photon_cut:g} GeV; choose another label or lower photon_cut"
                )

    @property
    def _detector(self) -> Detector:
        return Detector(self.resolution, self.wrong)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """``phi_mass``, ``omega_mass`` and, where asked for, ``photon_pt`` (GeV)."""
        photon = Variable(
            "photon_pt", unit="GeV", long_name="transverse momentum of the photon",
            lower=self.photon_cut,
        )  # fmt: skip
        return (*resonance.VARIABLES, photon) if self.photon_pt else resonance.VARIABLES

    def named_weights(self, name: str) -> NDArray[np.float64]:
        """Return the acceptance of each label, 0 where it is below 2 %.

        The few events that such a label would get are no sample of it.
        """
        if name != "acceptance":
            return super().named_weights(name)
        accepted = self.acceptance()
        return np.where(accepted < _FEW, 0.0, accepted)

    def acceptance(self) -> Floats:
        """Return the share of each label's events whose photon is above the cut, ``[label]``.

        The very functions that draw events are given fixed, evenly spread points in place of
        random numbers: a number without noise, to about 1 % of itself.
        """
        return np.array([self._accepted(*label) for label in self.labels])

    def _accepted(self, phi: float, omega: float) -> float:
        labels = self._reach(np.full(_POINTS, phi), np.full(_POINTS, omega))
        points = even_points(_POINTS, 6)
        pt = self._made(labels, points[:4]).photon_pt()
        seen = self._detector.photon_pt(pt, ndtri(points[4]), points[5])
        drawn = (labels.begins[0] - labels.ends[0]) / (1 - labels.ends[0])
        return float((seen > self.photon_cut).mean() * drawn)

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Simulate one event per label.

        Raises
        ------
        LabelError
            A label's events nearly all fail the cuts.
        """
        p, w = (np.asarray(theta[v.name], dtype=np.float64) for v in self.parameters)
        labels = self._reach(p, w)
        columns, failed = until_kept(
            lambda events: self._seen(labels.take(events), rng), p.size, _ROUNDS, fewest=4096
        )
        if failed.size == 0:
            return dict(zip([v.name for v in self.variables], columns, strict=False))
        first = failed[0]
        raise LabelError(
            f"{self.name}: label ({p[first]:g}, {w[first]:g}) GeV gave no event above the cuts "
            f"in {_ROUNDS} draws; choose heavier labels or lower photon_cut"
        )

    def _seen(
        self, labels: _Labels, rng: np.random.Generator
    ) -> tuple[tuple[NDArray[np.float32], ...], NDArray[np.bool_]]:
        """Draw phi, omega and photon_pt once per label, and say which events are kept."""
        n = labels.p.size
        made = self._made(labels, rng.random((4, n), dtype=SINGLE))
        blur, loss = rng.standard_normal(n, dtype=SINGLE), rng.random(n, dtype=SINGLE)
        pt = self._detector.photon_pt(made.photon_pt(), blur, loss)
        seen = np.zeros((3, n), dtype=np.float32)
        seen[2] = pt
        # What follows is made only of events that have a photon.
        passed = np.flatnonzero(seen[2] > np.float32(self.photon_cut))
        photon, pair = self._decayed(made.take(passed), rng)
        pair, mass = self._detector.two_prong(labels.p[passed], labels.w[passed], pair, rng)
        photon = self._detector.photon(pt[passed], photon, rng)
        seen[0, passed], seen[1, passed] = invariant_mass(photon, pair, mass), mass
        kept = (seen[0] > np.float32(PHI_FLOOR)) & (seen[1] > np.float32(OMEGA_FLOOR))
        return tuple(seen), kept

    def _made(self, labels: _Labels, u: Floats) -> Decay:
        """Return Phi and the direction of its photon; `u` is uniform ``[4, event]``."""
        angle = 0.98 * math.pi * (u[0] - 0.5)
        mass = labels.p * (1 + 0.5 * self.width * np.sin(angle) / np.cos(angle))
        survival = labels.ends + u[1] * (labels.begins - labels.ends)
        pt = labels.scale * np.sqrt(np.maximum(1 / np.sqrt(survival) - 1, 0.0))
        return Decay(mass, labels.w, pt, 2 * u[2] - 1, 2 * math.pi * u[3])

    def _decayed(self, made: Decay, rng: np.random.Generator) -> tuple[Momentum, Momentum]:
        """Return photon and two-prong, Phi moving along the beam as well."""
        most = (_ENERGY**2 + made.mass**2) / (2 * _ENERGY * np.sqrt(made.mass**2 + made.pt**2))
        turn = np.arcsin(2 * rng.random(made.pt.size, dtype=SINGLE) - 1) * (2 / math.pi)
        return made.daughters(turn * np.arccosh(np.maximum(most, 1.0)))

    def _reach(self, p: Floats, w: Floats) -> _Labels:
        """Return which recoils there can be: for the heaviest Phi of a label, so for all."""
        heaviest = p * (1 + _TAIL * self.width)
        scale = np.maximum(self.recoil * (60 + 0.05 * p), 1e-6)
        # A photon flies along Phi: its pt is at most p* (sqrt(M^2 + pt^2) + pt)/M.
        reach = self._detector.least_photon(self.photon_cut) * heaviest / breakup(heaviest, w)
        least = np.maximum(reach - heaviest**2 / np.maximum(reach, 1e-9), 0.0) / 2
        most = np.maximum(_ENERGY**2 - heaviest**2, 0.0) / (2 * _ENERGY)
        begins, ends = (1 / (1 + (q / scale) ** 2) ** 2 for q in (least, most))
        columns = (p, w, scale, begins, np.maximum(ends, 1e-30))
        return _Labels(*(column.astype(SINGLE) for column in columns))
