r"""Histogram morphing: the third classical rival of a flow, which bends shapes too.

*Problem.* Moment morphing moves and stretches the neighbours' samples. A shape that itself
changes with the label (a tail that grows, an edge that sharpens) is only averaged.

*Idea.* A. L. Read's linear interpolation of histograms (NIM A 425 (1999) 357, "horizontal
morphing"): not densities are interpolated but places of equal cumulative probability,

.. math:: Q(p|t) = \sum_i d_i \, Q_i(p), \qquad Q = F^{-1},

so that a peak between two peaks is one peak between them. It is exact for every family
μ + σ q(p) whose μ and σ are linear in the label; q itself may be anything.

*Several variables.* The paper has one. Here the neighbours' events are mixed as in moment
morphing, and each variable of an event of label i is sent through :math:`x' = Q(F_i(x)|t)`:
the marginals are Read's, and the dependence between variables (their copula) is the
mixture of the neighbours'. The labels may have any number of parameters, stand anywhere and
have holes: the coefficients are those of :func:`presage.analysis.morphing.label_weights`.

Inside the labels all coefficients are convex, so nothing lies beyond a physical bound that
the neighbours respect. Outside they extrapolate: a quantile function that would then turn
back is put in ascending order, and one that would cross a declared bound stops there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import xarray as xr

from presage.analysis.drawing import draw_at, resample, simulated
from presage.analysis.labelled import Floats, Grouped, Labels
from presage.analysis.morphing import Weights, label_weights


def histogram_morphing(
    train: xr.Dataset, labels: Labels, n: int | Sequence[int], seed: int = 0
) -> xr.Dataset:
    """Draw events at new labels by interpolating quantile functions, variable by variable.

    Parameters
    ----------
    train
        Events at the labels that were simulated.
    labels, n, seed
        As in :func:`presage.analysis.morphing.moment_morphing`.

    Returns
    -------
    xarray.Dataset
        Events like `train`, label after label. They are simulated events that were moved:
        beyond the neighbours' number they repeat (attribute ``repeated``), and a classifier
        then says nothing.

    Raises
    ------
    LabelError
        As :func:`presage.analysis.morphing.moment_morphing`.
    """
    grouped = simulated(train)
    variables = range(len(grouped.variables))

    @cache
    def ascending(label: int) -> list[Steps]:
        events, own = grouped.sample(label), grouped.weights_at(label)
        return [Steps.of(column, own) for column in events.T]

    def draw(target: Floats, n: int, rng: np.random.Generator) -> Floats:
        weights = label_weights(grouped.table, target)
        used = _coefficients(weights)
        parts = []
        for i, share in enumerate(rng.multinomial(n, weights.mixing)):
            if share:
                events = resample(grouped.sample(i), int(share), rng, grouped.weights_at(i))
                parts.append(np.empty_like(events))
                for v in variables:
                    p = ascending(i)[v].probability(events[:, v])
                    at = [(c, ascending(j)[v]) for j, c in used.items()]
                    parts[-1][:, v] = _interpolated(at, p)
        return _within_bounds(np.concatenate(parts), grouped)

    return draw_at(grouped, train, labels, n, seed, "histogram-morphing", draw)


def _coefficients(weights: Weights) -> dict[int, float]:
    """Return the labels that count and by how much; exactly convex inside the labels."""
    inside = np.abs(weights.moments - weights.mixing).max() < 1e-4
    chosen = weights.mixing if inside else weights.moments
    chosen = np.where(np.abs(chosen) < 1e-6, 0.0, chosen)
    return {int(i): float(chosen[i] / chosen.sum()) for i in np.flatnonzero(chosen)}


@dataclass(frozen=True, eq=False)
class Steps:
    """The distribution of one variable: sorted values, and the share of events up to each."""

    values: Floats  # ``[event]``, ascending
    total: Floats  # of the events before each value, and last of all; 0 first, ``[event + 1]``

    @classmethod
    def of(cls, x: Floats, weights: Floats | None) -> Steps:
        """Sort values, each of which counts 1 or has its weight, none negative."""
        if weights is None:
            return cls(np.sort(x), np.arange(len(x) + 1.0))
        order = np.argsort(x, kind="stable")
        return cls(x[order], np.concatenate([[0.0], np.cumsum(weights[order])]))

    def probability(self, x: Floats) -> Floats:
        """Return F(x) of events of the sample, equal values in the middle of theirs."""
        below, above = (np.searchsorted(self.values, x, side=side) for side in ("left", "right"))
        middle: Floats = (self.total[below] + self.total[above]) / (2 * self.total[-1])
        return middle

    def quantile(self, p: Floats) -> Floats:
        """Return Q(p), linear between the middles of the events' shares."""
        middles = (self.total[:-1] + np.diff(self.total) / 2) / self.total[-1]
        found: Floats = np.interp(p, middles, self.values)
        return found


def _interpolated(samples: Sequence[tuple[float, Steps]], p: Floats) -> Floats:
    """Return Σ c Q(p) of samples with their coefficients, made to rise with p."""
    order = np.argsort(p, kind="stable")
    total = np.zeros(len(p))
    for coefficient, steps in samples:
        total += coefficient * steps.quantile(p[order])
    if min(coefficient for coefficient, _ in samples) < 0:
        total.sort()
    result = np.empty(len(p))
    result[order] = total
    return result


def _within_bounds(events: Floats, grouped: Grouped) -> Floats:
    for v, variable in enumerate(grouped.variables):
        if variable.bounds != (None, None):
            np.clip(events[:, v], *variable.bounds, out=events[:, v])
    return events
