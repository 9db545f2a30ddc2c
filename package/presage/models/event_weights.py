r"""What each event counts for in training, from the weights that a dataset has.

*Loss.* An event counts

.. math:: v_i = w_i \, N_l / \sum_l w, \qquad N_l = (\sum_l w)^2 / \sum_l w^2,

in units of the mean, with sums over the events of its label l: how much a label's cross section is
says nothing about its shape, but how many effective events there are does. Where labels are
continuous, all events are one label here: a common factor of all that have one label changes no
density at it.

*Negative weights.* The mean of −w log p is right on average whatever the sign, and has no least
value where the negative outweigh the positive: p → 0 there lowers it without end. Weights are
therefore made positive before, by cell resampling (:mod:`presage.transforms.cells`), which moves
weight no further than across a few neighbours and keeps each label's sum.

*Coordinates and the like* are fitted to events drawn by these weights, as many as they are worth:
every quantile is then the weighted one, and nothing that is fitted there needs to know of weights.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from presage.labels import Floats, Integers, Parameter, Variable
from presage.labels.caller import warn_caller
from presage.lineage import sample_dim
from presage.transforms.cells import drawn_by_weight, without_negative
from presage.transforms.columns import declared
from presage.transforms.distinct_labels import distinct_labels
from presage.transforms.sorting import by_code
from presage.transforms.weights import check_totals, effective_size, weights_of

Columns = Mapping[str, NDArray[Any]]

#: Events of a label, in the median, from which labels are no continuous quantity.
_FEWEST = 25
#: Copies of one event among those that are drawn: of more it would be taken for an atom.
_COPIES = 8
#: Widths, and statistical errors, by which a mean may move without a word.
_FAR, _SURE = 0.05, 5.0


@dataclass(frozen=True, eq=False)
class Counted:
    """Weights as a training takes them."""

    loss: NDArray[np.float32]  # what each event counts for, not negative, 1 on average ``[event]``
    fair: NDArray[np.intp]  # events that, counted alike, have the weighted law; ascending

    @classmethod
    def of(
        cls,
        weights: Floats,
        columns: Columns,
        variables: Sequence[Variable],
        parameters: Sequence[Parameter],
    ) -> Counted:
        """Return what events, given as columns ``[event]``, count for.

        Raises
        ------
        LabelError
            The weights of a label add up to nothing or less.
        """
        order, starts, table = _by_label(columns, parameters)
        continuous = len(table) < 1 and len(parameters)
        near = (*variables, *(parameters if continuous else ()))
        events = np.stack([columns[v.name] for v in near], axis=1, dtype=float)
        name = _namer(table, parameters)
        check_totals(weights[order], starts, name, "the training events")
        loss, fair = np.empty(len(weights)), []
        far = _Far(variables)
        for label, (start, stop) in enumerate(pairwise(starts.tolist())):
            rows = order[start:stop]
            size = effective_size(weights[rows])
            positive = without_negative(weights[rows], events[rows])
            far.look(name(label), events[rows], weights[rows], positive, size)
            loss[rows] = positive * (size / positive.sum())
            most = _COPIES * positive.sum() / positive.max()
            fair.append(rows[drawn_by_weight(positive, max(round(min(size, most)), 1))])
        far.warn()
        return cls((loss / loss.mean()).astype(np.float32), np.sort(np.concatenate(fair)))


class NegativeDensityWarning(UserWarning):
    """Negative weights outweigh the positive ones in a whole region: there is no such density."""


class _Far:
    """How far the means of `variables` moved where weights were made positive, label by label."""

    def __init__(self, variables: Sequence[Variable]) -> None:
        self.variables, self.said = variables, list[tuple[float, str]]()

    def look(
        self, name: str, events: Floats, weights: Floats, positive: Floats, size: float
    ) -> None:
        """Remember the label called `name` where that is more than chance makes of it."""
        if positive is weights:
            return
        for k, variable in enumerate(self.variables):
            x = events[:, k]
            middle = np.average(x, weights=positive)
            width = math.sqrt(np.average((x - middle) ** 2, weights=positive))
            moved = abs(middle - np.average(x, weights=weights))
            if moved > max(_FAR, _SURE / math.sqrt(size)) * width:
                self.said.append((moved / width, f"{variable.name!r} at {name}"))

    def warn(self) -> None:
        """Name the worst."""
        if not self.said:
            return
        most, where = max(self.said)
        warn_caller(
            "negative weights outweigh the positive ones in a whole region, and no density is "
            "negative: what is trained, and drawn, keeps the sum of the weights and is off there "
            f"(the mean of {where} by {most:.2g} of its widths, the most of {len(self.said)}). "
            "Are the weights complete, and of all events?",
            NegativeDensityWarning,
        )


def fair_events(
    weights: Floats,
    columns: Columns,
    variables: Sequence[Variable],
    parameters: Sequence[Parameter],
) -> NDArray[np.intp]:
    """Return :attr:`Counted.fair` of events that were trained on, of which all has been said."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NegativeDensityWarning)
        return Counted.of(weights, columns, variables, parameters).fair


def effective_events(dataset: xr.Dataset) -> float:
    """Return how many events of weight 1 a dataset's are worth, added up over its labels."""
    sample = sample_dim(dataset)
    weights = weights_of(dataset, sample)
    if weights is None:
        return dataset.sizes[sample]
    parameters = declared(dataset, sample)[1]
    order, starts, _ = _by_label({p.name: dataset[p.name].values for p in parameters}, parameters)
    own = weights[order]
    return float(sum(effective_size(own[a:b]) for a, b in pairwise(starts.tolist())))


def _by_label(
    columns: Columns, parameters: Sequence[Parameter]
) -> tuple[NDArray[np.intp], Integers, Floats]:
    """Return the events label by label, where those of each begin, and the labels; 0 for one."""
    if parameters:
        codes, table, sizes = distinct_labels([columns[p.name] for p in parameters], parameters)
        if np.median(sizes) >= _FEWEST:
            starts, (order,) = by_code(codes, len(table), [np.arange(len(codes))])
            return order, starts, table
    events = len(next(iter(columns.values())))
    return np.arange(events), np.array([0, events]), np.zeros((0, len(parameters)))


def _namer(table: Floats, parameters: Sequence[Parameter]) -> Any:
    def name(label: int) -> str:
        if not len(table):
            return "all labels"
        pairs = zip(parameters, table[label], strict=True)
        return ", ".join(f"{parameter.name} = {value:g}" for parameter, value in pairs)

    return name
