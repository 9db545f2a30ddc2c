r"""The classical rivals of a flow: moment morphing and the nearest label.

*Problem.* Events exist at some labels; events at another label t are wanted, without
training anything.

*Moment morphing* (Baak et al., arXiv:1410.7388): mix the samples of neighbouring labels i,
each first shifted and stretched, variable by variable, to the moments interpolated at t,

.. math:: p(x|t) = \sum_i c_i \, p_i\big((x - \mu(t)) σ_i/σ(t) + \mu_i\big) σ_i/σ(t),
          \quad \mu(t) = \sum_i c_i \mu_i, \quad σ(t) = \sum_i c_i σ_i .

*Coefficients.* The paper has them for full grids. Here labels may be missing or stand
anywhere, in any dimension: c are the convex weights with Σ cᵢ labelᵢ = t that minimise
Σ cᵢ |labelᵢ − t|². These are the corners of the Delaunay cell around t; where several
choices tie, as on every regular grid, the one of least Σ cᵢ² shares the weight evenly.
On a line they are linear interpolation; at a hole of a grid, a quarter for each neighbour.
Outside the labels, moments are extrapolated linearly and the closest samples are mixed.

The samples are made of simulated events, so beyond their number events *repeat*: a
classifier between such a sample and the truth memorises them and is meaningless. Of events with
weights, moments are weighted and events drawn in proportion, negative ones made up for by their
neighbours (:mod:`presage.transforms.cells`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.optimize import nnls

from presage.analysis.drawing import draw_at, resample, simulated, spacing
from presage.analysis.labelled import Floats, Grouped, Labels
from presage.analysis.weighted_distances import moments

#: Weight of the constraints, and of evenness, against the squared distance.
_CONSTRAINT, _EVENNESS = 1e5, 1e-3


@dataclass(frozen=True)
class Weights:
    """How much each trained label counts at a new one, ``[label]`` each, summing to one."""

    mixing: Floats  # shares of the events, not negative
    moments: Floats  # coefficients of means and widths; negative ones extrapolate


def label_weights(table: Floats, target: Floats) -> Weights:
    """Return linear interpolation weights of labels ``[label, parameter]`` that stand anywhere."""
    step = np.array([spacing(column) for column in table.T])
    offset = (table - target) / step
    squared = np.einsum("lp,lp->l", offset, offset)
    if squared.min() < 1e-12:
        here = np.zeros(len(table))
        here[squared.argmin()] = 1.0
        return Weights(here, here)
    conditions = np.vstack([np.ones(len(table)), offset.T])  # Σc = 1, Σ c·offset = 0
    wanted = np.zeros(len(conditions))
    wanted[0] = 1.0
    mixing = _least_distance(conditions, wanted, squared)
    nearby = conditions * (squared.min() / squared) ** 4  # corrections come from the nearest labels
    gram = nearby @ conditions.T
    moments = mixing + nearby.T @ (np.linalg.pinv(gram) @ (wanted - conditions @ mixing))
    return Weights(mixing, moments)


@dataclass(frozen=True)
class Templates:
    """Training events and their moments, prepared once for many new labels."""

    grouped: Grouped  # the events, label by label
    moments: Floats  # mean and standard deviation ``[label, 2, variable]``

    @classmethod
    def of(cls, train: xr.Dataset) -> Templates:
        """Prepare training events."""
        grouped = simulated(train)
        return cls(grouped, _moments(grouped))

    def moved(self, target: Floats, samples: Mapping[int, Floats]) -> dict[int, Floats]:
        """Shift and stretch events of trained labels to the moments at a new label ``[parameter]``.

        `samples` is the number of a label → its events ``[event, variable]``; a fair share of each
        label's is given by :func:`label_weights`.
        """
        weights = label_weights(self.grouped.table, target)
        mean, width = np.tensordot(weights.moments, self.moments, axes=1)
        width = np.maximum(width, 0.1 * self.moments[weights.mixing > 0, 1].min(axis=0))
        result = {}
        for i, events in samples.items():
            old = self.moments[i]
            scale = np.divide(width, old[1], out=np.ones_like(width), where=old[1] > 0)
            result[i] = (events - old[0]) * scale + mean
        return result


def moment_morphing(
    train: xr.Dataset, labels: Labels, n: int | Sequence[int], seed: int = 0
) -> xr.Dataset:
    """Draw events at new labels by moment morphing.

    Parameters
    ----------
    train
        Events at the labels that were simulated.
    labels
        Where to draw: a dataset (its distinct labels), tuples, or columns by name.
    n
        Events for each label: one number, or as many as there are labels.
    seed
        Of the resampling. What is drawn at one label does not depend on the others.

    Returns
    -------
    xarray.Dataset
        Events like `train`, label after label; attribute ``repeated`` is the share of
        events that stand in it more than once.

    Raises
    ------
    LabelError
        As :func:`presage.analysis.labelled.group`, or fewer than two events at a label.

    Notes
    -----
    A sample may reach beyond a physical bound: the method knows none. The residuals count
    such events.
    """
    templates = Templates.of(train)
    grouped = templates.grouped

    def draw(target: Floats, n: int, rng: np.random.Generator) -> Floats:
        mixing = label_weights(grouped.table, target).mixing
        chosen = {
            i: resample(grouped.sample(i), int(share), rng, grouped.weights_at(i))
            for i, share in enumerate(rng.multinomial(n, mixing))
            if share
        }
        return np.concatenate(list(templates.moved(target, chosen).values()))

    return draw_at(grouped, train, labels, n, seed, "moment-morphing", draw)


def nearest_label(
    train: xr.Dataset, labels: Labels, n: int | Sequence[int], seed: int = 0
) -> xr.Dataset:
    """Draw events at new labels from the closest label there is; as :func:`moment_morphing`.

    Distances are in steps of the label grid; of labels equally far, the first is taken.
    """
    grouped = simulated(train)

    def draw(target: Floats, n: int, rng: np.random.Generator) -> Floats:
        label = closest_label(grouped.table, target)
        return resample(grouped.sample(label), n, rng, grouped.weights_at(label))

    return draw_at(grouped, train, labels, n, seed, "nearest-label", draw)


def closest_label(table: Floats, target: Floats) -> int:
    """Return which label ``[label, parameter]`` is the closest, in steps of the label grid."""
    step = np.array([spacing(column) for column in table.T])
    return int(np.round((((table - target) / step) ** 2).sum(axis=1), 9).argmin())


def _moments(grouped: Grouped) -> Floats:
    """Mean and standard deviation ``[label, 2, variable]``."""
    if grouped.weights is not None:
        labels = range(len(grouped.table))
        pairs = [(grouped.sample(i), grouped.weights[grouped.rows(i)]) for i in labels]
        return np.stack([np.array([moments(x, own) for x in s.T]).T for s, own in pairs])
    samples = (grouped.sample(i) for i in range(len(grouped.table)))
    return np.stack([np.stack([s.mean(axis=0), s.std(axis=0)]) for s in samples])


def _least_distance(conditions: Floats, wanted: Floats, squared: Floats) -> Floats:
    """Convex weights under linear conditions that minimise Σ c·squared, ties shared evenly.

    The quadratic programme ``min ½ε|c|² + c·squared``, completed to a square, is a
    non-negative least-squares problem.
    """
    root = np.sqrt(_EVENNESS)
    few = min(len(conditions), len(squared)) - 1
    scale = np.partition(squared, few)[few]  # a typical squared distance of the neighbours
    rows = np.vstack([_CONSTRAINT * conditions, root * np.eye(len(squared))])
    right = np.concatenate([_CONSTRAINT * wanted, -squared / scale / root])
    weights, _ = nnls(rows, right)
    weights[weights < 1e-6] = 0
    shares: Floats = weights / weights.sum()
    return shares
