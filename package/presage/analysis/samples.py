"""Events of one label, and pairs of such samples: everything is sorted and computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from presage.analysis import distances, laws
from presage.analysis.labelled import Floats


@dataclass(frozen=True)
class Sample:
    """Events of one label, sorted once per variable."""

    events: Floats  # float64 ``[event, variable]``

    def __len__(self) -> int:
        return len(self.events)

    @cached_property
    def columns(self) -> tuple[Floats, ...]:
        """Each variable's values in ascending order."""
        return tuple(np.sort(column) for column in self.events.T)

    @cached_property
    def moments(self) -> Floats:
        """Mean and standard deviation of the inner 99 %, ``[2, variable]``."""
        inner = [distances.trimmed(column) for column in self.columns]
        return np.array([[x.mean() for x in inner], [x.std() for x in inner]])

    @cached_property
    def correlations(self) -> Floats:
        """Trimmed correlation of every pair of variables, ``[pair]``."""
        matrix = distances.correlation(self.events)
        pairs = combinations(range(self.events.shape[1]), 2)
        return np.array([matrix[pair] for pair in pairs])

    @cached_property
    def widths(self) -> Floats:
        """Standard deviation of each variable, ``[variable]``."""
        return self.each(lambda x: float(x.std()))

    @cached_property
    def narrow_widths(self) -> Floats:
        """Half the 68 % interval of each variable, ``[variable]``."""
        return self.each(distances.sigma68)

    @cached_property
    def typical_wasserstein(self) -> Floats:
        """Median of W1/std by chance at 1/n + 1/m = 1, ``[variable]``."""
        return self.each(laws.typical_wasserstein)

    @cached_property
    def _laws(self) -> dict[int, list[dict[str, float | Floats]]]:
        return {}

    def by_chance(self, n: int) -> list[dict[str, float | Floats]]:
        """Return :func:`presage.analysis.laws.expected` of each variable for `n` events."""
        if n not in self._laws:
            self._laws[n] = [laws.expected(column, n, len(self)) for column in self.columns]
        return self._laws[n]

    def each(self, of: Callable[[Floats], float]) -> Floats:
        """Return a number for every sorted column, ``[variable]``."""
        return np.array([of(column) for column in self.columns])


@dataclass(frozen=True)
class Pair:
    """What is true and what is judged at one label; any sizes."""

    reference: Sample
    other: Sample

    @cached_property
    def wasserstein(self) -> Floats:
        """W1 of each variable over the reference's standard deviation, ``[variable]``."""
        columns = zip(self.reference.columns, self.other.columns, strict=True)
        return over([distances.wasserstein(a, b) for a, b in columns], self.reference.widths)

    @cached_property
    def cdf_error(self) -> Floats:
        """CDF minus reference CDF at the reference's quantiles, ``[variable, quantile]``."""
        columns = zip(self.reference.columns, self.other.columns, strict=True)
        return np.array([distances.cdf_error(a, b) for a, b in columns])

    def sizes(self, squared: Floats) -> Floats:
        """Return the equivalent sizes of squared distances over their law, ``[variable]``."""
        n, m = len(self.other), len(self.reference)
        return np.array([laws.equivalent_size(value, n, m) for value in squared.tolist()])


def over(value: Floats | list[float], width: Floats) -> Floats:
    """Return `value` / `width`, NaN where the width is zero: a constant has no scale."""
    value = np.asarray(value, dtype=float)
    result: Floats = np.divide(value, width, out=np.full(len(value), np.nan), where=width > 0)
    return result
