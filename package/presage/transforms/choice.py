"""Which coordinates suit a variable: judged by labels that were left out of their fit.

A candidate is a stretch (:mod:`presage.transforms.stretch`), a kind of place
(:mod:`presage.transforms.place`) and an outer map, asinh or quantiles. In good coordinates events
of a label that took no part are described by one simple density that all labels share, with

    ln p(x) = ln q(z) + ln |dz/dx|

on average. Stretch and place are judged with the density that quantiles of the other labels give,
which no outer map changes; then asinh stays unless as many equal bins as a spline flow has describe
what comes out of it worse than the quantiles do, for other events of the same labels. What is more
complicated has to be better at each step by so many nats an event, and by so many standard errors
over the labels: without a reason coordinates stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from presage.labels import Variable
from presage.transforms.place import KINDS, Place
from presage.transforms.quantile_map import QuantileMap
from presage.transforms.stretch import Stretch, stretches

Floats = NDArray[np.float64]

#: Nats an event, and standard errors, by which a candidate has to be better.
_BETTER, _SURE = 0.02, 2.0
#: Groups and events that are looked at, parts that these are cut into, and the fewest events.
_GROUPS, _EVENTS, _FOLDS, _ENOUGH = 60, 30_000, 3, 200
#: Events from which quantiles of one variable of several may be its coordinate: of fewer they lose
#: more in how the variables hang together than they gain in each (a ring of 4 500 events lost 0.02
#: to 0.07 nats, of 90 000 it gained 0.14).
_MANY = 20_000
#: A log density lower than this counts as this: outliers do not decide.
_WORST = -25.0
#: Half the box of equal bins, and their number, that a flow's splines are taken to resolve.
_BOX, _BINS = 5.0, 32
_NONE = Stretch()


@dataclass(frozen=True)
class Choice:
    """What was chosen for one variable."""

    stretch: Stretch = _NONE
    place: str = KINDS[0]
    quantiles: bool = False


@dataclass(frozen=True)
class Judge:
    """What candidates for one variable are judged on: a sample of its events, in parts."""

    variable: Variable
    x: Floats
    condition: Mapping[str, Floats]
    design: Floats
    members: list[NDArray[np.intp]]
    periodic: NDArray[np.bool_]
    quantiles: bool  # whether these may be the coordinate

    @classmethod
    def of(
        cls,
        variable: Variable,
        x: Floats,
        condition: Mapping[str, Floats],
        design: Floats,
        members: list[NDArray[np.intp]],
        periodic: NDArray[np.bool_],
        alone: bool,
    ) -> Judge:
        """Take some groups, all over, and some events of each, of a variable `alone` or not."""
        step = max(1, len(members) // _GROUPS)
        some = members[step // 2 :: step]
        if len(some) < 2 * _FOLDS:  # too few labels to leave any out: parts of them instead
            some = [group[k :: 2 * _FOLDS] for group in some for k in range(2 * _FOLDS)]
            some = [group for group in some if group.size] or [members[0]]
        most = max(_EVENTS // len(some), 1)
        some = [group[:: max(1, group.size // most)][:most] for group in some]
        ends = np.cumsum([0, *(group.size for group in some)])
        parts = [np.arange(a, b) for a, b in pairwise(ends)]
        rows = np.concatenate(some)
        own = {name: column[rows] for name, column in condition.items()}
        quantiles = alone or x.size >= _MANY
        return cls(variable, x[rows], own, design[rows], parts, periodic, quantiles)

    def choose(self) -> Choice:
        """Return the best coordinates."""
        if self.x.size < _ENOUGH or np.ptp(self.x) == 0:
            return Choice()
        first, *others = [(s, kind) for s in stretches(self.variable, self.x) for kind in KINDS]
        best, score = first, self._score(*first)
        for candidate in others:
            got = self._score(*candidate)
            if _is_better(got, score):
                best, score = candidate, got
        return Choice(*best, self.quantiles and self._needs_quantiles(*best))

    def _score(self, stretch: Stretch, kind: str) -> Floats:
        """Return the mean log density of each group where it is left out, ``[group]``."""
        found, slope = np.empty(len(self.members)), stretch.log_slope(self.x)
        for fold in range(_FOLDS):
            train = [g for k, g in enumerate(self.members) if k % _FOLDS != fold]
            y, log = self._placed(stretch, kind, train)
            density = _by_quantiles(y, np.concatenate(train)) + log + slope
            found[fold::_FOLDS] = [density[g].mean() for g in self.members[fold::_FOLDS]]
        return found

    def _needs_quantiles(self, stretch: Stretch, kind: str) -> bool:
        """Return whether quantiles describe other events of the same labels better than asinh.

        What a spline resolves is no question to labels that are left out, at which a sharp edge is
        not quite where it was put.
        """
        y, _ = self._placed(stretch, kind, self.members)
        some = np.concatenate([group[::2] for group in self.members])
        gain = _by_quantiles(y, some) - _by_equal_bins(y, some)
        others = [gain[group[1::2]].mean() for group in self.members if group.size > 1]
        return _is_better(np.array(others), np.zeros(len(others)))

    def _placed(
        self, stretch: Stretch, kind: str, members: list[NDArray[np.intp]]
    ) -> tuple[Floats, Floats]:
        """Return y, its place fitted to groups `members`, and ln(dy/du), ``[event]``."""
        place = Place.fit(self.variable, stretch, kind, self.x, self.condition, self.design,
                          members, self.periodic)  # fmt: skip
        bounds, u = place.bound_map(self.condition, self.design), stretch.apply(self.x)
        return bounds.apply(u), bounds.log_slope(u)


def _is_better(new: Floats, old: Floats) -> bool:
    gain = new - old
    error = gain.std() / np.sqrt(max(gain.size - 1, 1))
    return bool(gain.mean() > _BETTER and gain.mean() > _SURE * error)


def _by_quantiles(y: Floats, rows: NDArray[np.intp]) -> Floats:
    """Return ln q of all y ``[event]`` under the quantiles of some `rows`."""
    fitted = QuantileMap.fit(y[rows])
    if fitted is None:
        return np.full(y.size, _WORST)
    z, slope = fitted.apply_and_log_slope(y)
    return np.asarray(np.maximum(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) + slope, _worst(y[rows])))


def _by_equal_bins(y: Floats, rows: NDArray[np.intp]) -> Floats:
    """Return ln q of all y ``[event]`` under equal bins of asinh(y), of some `rows`."""
    t = np.arcsinh(y)
    mean, std = t[rows].mean(), max(float(t[rows].std()), 1e-12)
    z = (t - mean) / std
    counts = np.histogram(z[rows], _BINS, (-_BOX, _BOX))[0] + 0.1
    # Outside the box a flow is the identity.
    share = counts / (rows.size + 0.1 * _BINS) * _BINS / (2 * _BOX)
    inside = np.clip(((z + _BOX) / (2 * _BOX) * _BINS).astype(int), 0, _BINS - 1)
    log = np.where(np.abs(z) < _BOX, np.log(share[inside]), -0.5 * z**2 - 0.5 * np.log(2 * np.pi))
    slope = -np.log(std) - 0.5 * np.log1p(y**2)
    return np.asarray(np.maximum(log + slope, _worst(y[rows])))


def _worst(y: Floats) -> float:
    """Return the least log density that counts, in the unit of y."""
    low, high = np.quantile(y, (0.16, 0.84))
    return _WORST - float(np.log(max(high - low, 1e-300)))
