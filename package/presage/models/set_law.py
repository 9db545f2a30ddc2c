"""Whether a set of events is like those that an encoder was trained with, as a p-value.

A network answers whatever it is shown: with one event at -999 among sixty it puts the posterior
into a corner of the prior, and is sure of it. What a set of the training looks like is known,
though: named numbers of its features (:mod:`presage.models.set_statistics`) and what the
encoder pools, both *given* the encoder's estimate of theta and the number of events. A set is
scored by how far its named numbers are from what sets of such an estimate have, how far the
pooled ones, how far the one that is furthest, and by values that occur more than once. The
rarest of these four is the set's score, and its p-value is counted among the scores of
training sets, each by a law that was fitted without it.

A set that some theta of the prior could well have made is like the training, whatever is wrong
with it: events of other units that look like those of another theta cannot be told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import gammainc

from presage.labels import Floats
from presage.models.conditional_law import DEGREES, ConditionalLaw
from presage.models.described_sets import Described, training_sets
from presage.models.set_network import SetNetwork
from presage.models.set_statistics import PLACES, names_of
from presage.transforms.tail import SMALLEST, log_tail

#: Parts that are left out in turn.
_FOLDS = 8
#: A feature has few values below so many in a set, or below this share of its events.
_FEW, _FEW_SHARE = 6, 0.1
_ARRAYS = ("low", "high", "degrees", "mean", "width", "bottom", "top", "own", "precision", "block")


@dataclass(frozen=True, eq=False)
class SetLaw:
    """The law of training sets, as :meth:`fit` returned it and it is stored beside the weights."""

    stored: xr.Dataset

    @classmethod
    def fit(
        cls, network: SetNetwork, inputs: Mapping[str, Any], train: xr.Dataset, smallest: int
    ) -> xr.Dataset:
        """Return the law of an encoder's training sets.

        Parameters
        ----------
        network
            The trained encoder.
        inputs
            Its declaration of features.
        train
            ``events`` ``[sample, repeat, event, feature]``, or ragged.
        smallest
            Fewest events of a set.

        Returns
        -------
        xarray.Dataset
            ``score`` ``[size, set]`` (how unlike, ascending, NaN where there are fewer sets),
            ``part_score`` ``[part, set_of_any_size]``, ``repeat_rate`` ``[size, counted]``,
            and what a :class:`~presage.models.conditional_law.ConditionalLaw` consists of.
        """
        parts, positions = zip(*training_sets(network, train, smallest), strict=True)
        table, theta = Described.joined(parts), np.concatenate(positions)
        if "event_count" in train:  # every set has a size of its own: they count together
            groups = np.full(len(theta), table.sizes.max())
        else:
            groups = table.sizes
        # Places and spreads, shapes, what is pooled.
        named, plain = len(names_of(inputs["names"])), (len(PLACES) + 1) * len(inputs["names"])
        column = np.arange(table.values.shape[1])
        block = (column >= plain).astype(np.int64) + (column >= named)
        block[np.isin(column, _jumping(table, inputs["names"]))] = -1
        sizes = np.unique(groups)
        rates = np.stack([_rates(table.repeated[groups == size]) for size in sizes])
        degrees, scores = _chosen(table, theta, block)
        law = ConditionalLaw.fit(table.values, table.context, block, degrees)
        columns = np.sort(scores, 0).T
        rarest = _rarest(columns, scores, _repeat_score(table, rates, sizes))
        return _stored(law, columns, [np.sort(rarest[groups == size]) for size in sizes], sizes,
                       rates, table.sizes)  # fmt: skip

    @cached_property
    def law(self) -> ConditionalLaw:
        """The law of the numbers of a set."""
        return ConditionalLaw(*(self.stored[name].values for name in _ARRAYS))

    @cached_property
    def _columns(self) -> Floats:
        return np.asarray(self.stored["part_score"].values)

    @cached_property
    def _seen(self) -> list[Floats]:
        return [row[~np.isnan(row)] for row in self.stored["score"].values]

    @property
    def counted(self) -> int:
        """The fewest sets of one size that p-values are counted among."""
        return min(map(len, self._seen))

    @property
    def sizes(self) -> list[int]:
        """Numbers of events that the law was made for."""
        return [int(size) for size in self.stored["size"].values]

    @property
    def ragged(self) -> bool:
        """Whether each set of the training has a size of its own."""
        return len(self.sizes) == 1 and self.events[0] < self.events[1]

    @property
    def events(self) -> tuple[int, int]:
        """Fewest and most events of the sets."""
        low, high = self.stored.attrs["events"]
        return int(low), int(high)

    def judge(self, sets: Described) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Return how rare each set is.

        Returns
        -------
        tuple
            p-values ``(N,)``, residuals of all numbers ``(N, K)`` in widths, and whether it is
            repeated values that are the rarest about a set.
        """
        sizes, law = self.stored["size"].values, self.law
        residuals = law.residuals(sets.values, sets.context)
        scores = law.scores(residuals)
        by_repeats = _repeat_score(sets, self.stored["repeat_rate"].values, sizes)
        rarest = _rarest(self._columns, scores, by_repeats)
        nearest = np.abs(np.log(sets.sizes[:, None] / sizes)).argmin(1)
        p = np.empty(len(rarest))
        for place in np.unique(nearest):
            own = nearest == place
            p[own] = np.exp(log_tail(self._seen[place], rarest[own]))
        repeated = by_repeats > _rarest(self._columns, scores, np.zeros(len(p)))
        return np.maximum(p, SMALLEST), residuals, repeated


def _jumping(table: Described, features: Sequence[str]) -> list[int]:
    """Return the quantiles and shapes of features that have few values: they jump between these."""
    distinct = table.sizes[:, None] - table.repeated[:, 1:]
    few = (distinct < np.maximum(_FEW, _FEW_SHARE * table.sizes[:, None])).mean(0) > 0.5
    steady = [f"{word} {{}}" for word in ("smallest", "largest", "mean of", "spread of")]
    kept = {word.format(name) for word in steady for name in features}
    own = [str(name) for name, is_few in zip(features, few, strict=True) if is_few]
    names = names_of(features)
    return [i for i, name in enumerate(names)
            if features[i % len(features)] in own and name not in kept]  # fmt: skip


def _chosen(
    table: Described, theta: NDArray[Any], block: NDArray[np.int64]
) -> tuple[tuple[int, int], Floats]:
    """Return the degrees of the law that is best at theta left out, and its scores there."""
    folds = np.unique(theta, return_inverse=True)[1] % _FOLDS
    tried = []
    for degrees in DEGREES:
        loss, scores = 0.0, np.zeros((len(theta), int(block.max()) + 2))
        for fold in np.unique(folds):
            own, rest = table.take(folds == fold), table.take(folds != fold)
            rest = rest if len(rest.sizes) else own
            law = ConditionalLaw.fit(rest.values, rest.context, block, degrees)
            loss += law.loss(own.values, own.context) * len(own.sizes)
            scores[folds == fold] = law.scores(law.residuals(own.values, own.context))
        tried.append((loss, degrees, scores))
    return min(tried, key=lambda one: one[0])[1:]


def _rarest(columns: Floats, scores: Floats, by_repeats: Floats) -> Floats:
    """Return minus the smallest ln p of the parts of each set, ``(N,)``."""
    rare = [-log_tail(column, part) for column, part in zip(columns, scores.T, strict=True)]
    rarest: Floats = np.maximum(np.max(rare, 0), by_repeats)
    return rarest


def _rates(repeated: NDArray[np.int64]) -> Floats:
    """Return how many repeats are expected, with the one that the next set may be the first of."""
    rates: Floats = (repeated.sum(0) + 1.0) / (len(repeated) + 1.0)
    return rates


def _repeat_score(table: Described, rates: Floats, sizes: NDArray[np.int64]) -> Floats:
    """Return minus ln of the probability of so many repeats or more, the rarest of each set."""
    nearest = np.abs(np.log(table.sizes[:, None] / sizes)).argmin(1)
    expected = rates[nearest] * (table.sizes / sizes[nearest])[:, None] ** 2
    counts = np.maximum(table.repeated, 1)
    # A Poisson number is at least k with the probability gammainc(k, mean).
    exact = -np.log(np.maximum(gammainc(counts, expected), 1e-300))
    beyond = counts * (np.log(counts / expected) - 1) + expected
    score = np.where(exact < 600, exact, np.maximum(beyond, exact))
    found: Floats = np.where(table.repeated > 0, score, 0.0).max(1)
    return found


def _stored(
    law: ConditionalLaw,
    columns: Floats,
    scores: Sequence[Floats],
    sizes: NDArray[np.int64],
    rates: Floats,
    events: NDArray[np.int64],
) -> xr.Dataset:
    """Return everything as a labelled dataset."""
    table = np.full((len(scores), max(map(len, scores))), np.nan)
    for row, score in zip(table, scores, strict=True):
        row[: len(score)] = score
    dims = {
        "low": ("context",), "high": ("context",), "degrees": ("moment",),
        "mean": ("term", "column"), "width": ("width_term", "column"),
        "precision": ("column", "other"),
    }  # fmt: skip
    words = {"long_name": "minus ln of the rarest part's p, of a set left out of the law"}
    return xr.Dataset(
        {
            "score": (("size", "set"), table, words),
            "part_score": (("part", "set_of_any_size"), columns),
            "repeat_rate": (("size", "counted"), rates),
            **{name: (dims.get(name, ("column",)), getattr(law, name)) for name in _ARRAYS},
        },
        coords={"size": ("size", sizes, {"long_name": "number of events"})},
        attrs={
            "events": [int(events.min()), int(events.max())],
            "summary": f"p-values of sets of {events.min()} to {events.max()} events are counted "
            f"among {min(map(len, scores))} of each size; one in a hundred like them is below 0.01",
        },
    )
