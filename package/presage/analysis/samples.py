"""Events of one label, and pairs of such samples: everything is sorted and computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from presage.analysis import distances, laws
from presage.analysis import weighted_distances as weighted
from presage.analysis.labelled import Floats
from presage.transforms.cells import drawn_by_weight, without_negative
from presage.transforms.weights import effective_size, quantile


@dataclass(frozen=True)
class Sample:
    """Events of one label, sorted once per variable."""

    events: Floats  # float64 ``[event, variable]``
    weights: Floats | None = None  # what each counts for ``[event]``; None: all count 1

    def __len__(self) -> int:
        return len(self.events)

    @cached_property
    def size(self) -> float:
        """Number of events of weight 1 that are as precise."""
        return len(self) if self.weights is None else effective_size(self.weights)

    @cached_property
    def sizes(self) -> Sequence[float]:
        """The same for each variable, see :func:`presage.analysis.weighted_distances.worth`."""
        if self.weights is None:
            return [len(self)] * self.events.shape[1]
        pairs = zip(self.columns, self.ordered_weights, strict=True)
        return [weighted.worth(*pair) for pair in pairs]

    @cached_property
    def columns(self) -> tuple[Floats, ...]:
        """Each variable's values in ascending order."""
        return tuple(np.sort(column) for column in self.events.T)

    @cached_property
    def ordered_weights(self) -> tuple[Floats, ...]:
        """The weights in the order of each of :attr:`columns`; ones without weights."""
        if self.weights is None:
            return tuple(np.ones(len(self)) for _ in self.events.T)
        order = np.argsort(self.events, axis=0)
        return tuple(self.weights[own] for own in order.T)

    @cached_property
    def unweighted(self) -> tuple[Floats, ...]:
        """Each variable's distribution as sorted values that count alike."""
        if self.weights is None:
            return self.columns
        at = (np.arange(len(self)) + 0.5) / len(self)
        pairs = zip(self.columns, self.ordered_weights, strict=True)
        return tuple(quantile(column, own, at.tolist()) for column, own in pairs)

    @cached_property
    def resampled(self) -> Floats:
        """Events that count alike, at most as many as these are worth, ``[event, variable]``.

        Negative weights are first made up for by neighbours, see :mod:`presage.transforms.cells`.
        """
        if self.weights is None:
            return self.events
        positive = without_negative(self.weights, self.events)
        return self.events[drawn_by_weight(positive, int(self.size))]

    @cached_property
    def moments(self) -> Floats:
        """Mean and standard deviation of the inner 99 %, ``[2, variable]``."""
        if self.weights is not None:
            pairs = zip(self.columns, self.ordered_weights, strict=True)
            return np.array([weighted.trimmed_moments(*pair) for pair in pairs]).T
        inner = [distances.trimmed(column) for column in self.columns]
        return np.array([[x.mean() for x in inner], [x.std() for x in inner]])

    @cached_property
    def correlations(self) -> Floats:
        """Trimmed correlation of every pair of variables, ``[pair]``."""
        if self.weights is None:
            matrix = distances.correlation(self.events)
        else:
            matrix = weighted.correlation(self.events, self.weights)
        pairs = combinations(range(self.events.shape[1]), 2)
        return np.array([matrix[pair] for pair in pairs])

    @cached_property
    def widths(self) -> Floats:
        """Standard deviation of each variable, ``[variable]``."""
        found = self.each(lambda x: float(x.std()), lambda x, w: weighted.moments(x, w)[1])
        if self.weights is None:
            return found
        # Where negative weights outweigh the others a variance may be next to nothing, or less.
        rising = np.array([x.std() for x in self.unweighted])
        return np.where(found > 0.3 * rising, found, rising)

    @cached_property
    def narrow_widths(self) -> Floats:
        """Half the 68 % interval of each variable, ``[variable]``."""
        return self.each(distances.sigma68, weighted.sigma68)

    @cached_property
    def typical_wasserstein(self) -> Floats:
        """Median of W1/std by chance at 1/n + 1/m = 1, ``[variable]``."""
        return np.array([laws.typical_wasserstein(column) for column in self.unweighted])

    @cached_property
    def _laws(self) -> dict[float, list[dict[str, float | Floats]]]:
        return {}

    def by_chance(self, n: float) -> list[dict[str, float | Floats]]:
        """Return :func:`presage.analysis.laws.expected` of each variable for `n` events."""
        if n not in self._laws:
            pairs = zip(self.unweighted, self.sizes, strict=True)
            self._laws[n] = [laws.expected(column, n, m) for column, m in pairs]
        return self._laws[n]

    def each(
        self, of: Callable[[Floats], float], with_weights: Callable[[Floats, Floats], float]
    ) -> Floats:
        """Return a number for every sorted column, ``[variable]``."""
        if self.weights is None:
            return np.array([of(column) for column in self.columns])
        pairs = zip(self.columns, self.ordered_weights, strict=True)
        return np.array([with_weights(column, own) for column, own in pairs])


@dataclass(frozen=True)
class Pair:
    """What is true and what is judged at one label; any sizes."""

    reference: Sample
    other: Sample

    def each(
        self, of: Callable[[Floats, Floats], Any], with_weights: Callable[..., Any]
    ) -> list[Any]:
        """Return what two functions say of the sorted columns of both samples, ``[variable]``."""
        columns = zip(self.reference.columns, self.other.columns, strict=True)
        if self.reference.weights is None and self.other.weights is None:
            return [of(a, b) for a, b in columns]
        own = zip(self.reference.ordered_weights, self.other.ordered_weights, strict=True)
        return [with_weights(*pair, *both) for pair, both in zip(columns, own, strict=True)]

    @cached_property
    def wasserstein(self) -> Floats:
        """W1 of each variable over the reference's standard deviation, ``[variable]``."""
        found = self.each(distances.wasserstein, weighted.wasserstein)
        return over(found, self.reference.widths)

    @cached_property
    def cdf_error(self) -> Floats:
        """CDF minus reference CDF at the reference's quantiles, ``[variable, quantile]``."""
        return np.array(self.each(distances.cdf_error, weighted.cdf_error))

    def sizes(self, squared: Floats) -> Floats:
        """Return the equivalent sizes of squared distances over their law, ``[variable]``."""
        n = self.other.size
        pairs = zip(squared.tolist(), self.reference.sizes, strict=True)
        return np.array([laws.equivalent_size(value, n, m) for value, m in pairs])


def over(value: Floats | list[float], width: Floats) -> Floats:
    """Return `value` / `width`, NaN where the width is zero: a constant has no scale."""
    value = np.asarray(value, dtype=float)
    result: Floats = np.divide(value, width, out=np.full(len(value), np.nan), where=width > 0)
    return result
