"""Events sorted by their labels: what every analysis of this folder starts from.

An events dataset is flat: one column per variable, and the labels are columns as well.
:func:`group` finds the distinct labels and puts the events of one label next to each
other, by hashing and a counting sort on all cores; ten million events take half a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, cast

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from presage.labels import LabelError, Parameter, Variable, nearest, require
from presage.labels.circle import emptiest, opened, turn_of
from presage.labels.equality import positions
from presage.labels.missing import complete
from presage.transforms.columns import declared as by_role
from presage.transforms.distinct_labels import Labels as Labels
from presage.transforms.distinct_labels import distinct_labels as distinct_labels
from presage.transforms.distinct_labels import label_table as label_table
from presage.transforms.sorting import by_code
from presage.transforms.weights import check_totals, weights_of

Floats = NDArray[np.float64]
#: Events that a label is judged by at least, and that it has before it is held out.
FEWEST = 50
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Grouped:
    """The events of a dataset, label by label."""

    dim: str  # name of the sample dimension
    parameters: tuple[Parameter, ...]  # declarations of the label columns
    variables: tuple[Variable, ...]  # declarations of the other columns
    table: Floats  # distinct labels in ascending order, float64 ``[label, parameter]``
    starts: Integers  # where the events of each label begin and end, ``[label + 1]``
    #: Variable name → values ``[event]``, sorted by label, in the stored type.
    columns: Mapping[str, NDArray[Any]]
    source: str  # what to call the dataset in an error
    #: Variable with a period → where the circle is cut open at each label, ``[label]``; its values
    #: lie from there on, see :mod:`presage.labels.circle`.
    cuts: Mapping[str, Floats] = field(default_factory=dict)
    left_out: int = 0  # number of events that lack a value
    weights: Floats | None = None  # what each (sorted) event counts for; None: all count 1
    #: Effective events of each label where that is not what the weights say, made positive since.
    worth: Floats | None = None

    @property
    def sizes(self) -> Integers:
        """Number of events of each label."""
        return cast(Integers, np.diff(self.starts))

    @property
    def effective(self) -> Floats:
        """Number of events of weight 1 that each label's are worth; without weights their number.

        See :mod:`presage.transforms.weights`.
        """
        if self.worth is not None:
            return self.worth
        if self.weights is None:
            return self.sizes.astype(float)
        totals = np.add.reduceat(self.weights, self.starts[:-1])
        squares = np.add.reduceat(self.weights**2, self.starts[:-1])
        return totals**2 / squares

    def weights_at(self, label: int) -> Floats | None:
        """Return the weights of one label's events ``[event]``, None without."""
        return None if self.weights is None else self.weights[self.rows(label)]

    @property
    def codes(self) -> Integers:
        """Number of the label of each (sorted) event."""
        return cast(Integers, np.repeat(np.arange(len(self.table)), self.sizes))

    def rows(self, label: int) -> slice:
        """Return where the events of one label are."""
        return slice(self.starts[label], self.starts[label + 1])

    def sample(self, label: int) -> Floats:
        """Return the events of one label, float64 ``[event, variable]``."""
        rows = self.rows(label)
        return np.stack([self.columns[v.name][rows] for v in self.variables], axis=1, dtype=float)

    def describe(self, label: Iterable[float]) -> str:
        """Return ``"phi_label=2464, omega_label=5.125"`` for the values of a label."""
        return describe(self.parameters, label)

    def find(self, table: Floats) -> Integers:
        """Return where the labels of `table` are, ``[label]``."""
        found = positions(table, self.table, self.parameters)
        if (found < 0).any():
            lost = table[int(np.argmin(found))]
            width = np.ptp(self.table, axis=0)
            distance = np.abs(self.table - lost) / np.where(width > 0, width, 1.0)
            closest = self.table[int(distance.sum(axis=1).argmin())]
            raise LabelError(
                f"{self.source} has no events at {self.describe(lost)}; "
                f"the closest label it has is {self.describe(closest)}"
            )
        return found


def describe(parameters: Sequence[Variable], label: Iterable[float]) -> str:
    """Return the values of one label with their names, for titles and errors."""
    pairs = zip(parameters, label, strict=True)
    return ", ".join(f"{parameter.name}={value:.6g}" for parameter, value in pairs)


def declared(
    events: xr.Dataset, source: str = "the dataset"
) -> tuple[str, tuple[Parameter, ...], tuple[Variable, ...]]:
    """Return the sample dimension, the parameters and the variables of an events dataset."""
    if not isinstance(events, xr.Dataset):
        raise LabelError(f"{source} should be an xarray.Dataset, got {type(events).__name__}")
    dim = str(events.attrs.get("presage_sample", "event"))
    if dim not in events.dims:
        raise LabelError(f"{source} has no dimension {dim!r}{nearest(dim, map(str, events.dims))}")
    lost = [name for name, array in events.data_vars.items() if dim not in array.dims]
    if lost:
        raise LabelError(f"{source}: {lost[0]!r} has no dimension {dim!r}; leave it out")
    variables, parameters = by_role(events, dim, source)
    if not parameters:
        raise LabelError(f"{source} has no labels: mark their columns with attrs role='parameter'")
    return dim, parameters, variables


def group(events: xr.Dataset, source: str = "the dataset", like: Grouped | None = None) -> Grouped:
    """Sort events by label.

    Parameters
    ----------
    events
        Flat over the sample dimension, label columns with attribute ``role="parameter"``.
    source
        What to call it in an error.
    like
        Events it will be compared with: names and units must agree, and its order of
        columns is taken over.

    Raises
    ------
    LabelError
        No labels or variables, missing ones, another unit, values that are not finite; two
        weights, or a label whose weights add up to nothing or less.

    Warns
    -----
    MissingWarning, LabelMergeWarning
        Events lack a value and are left out; labels differ by no more than their tolerance.
    """
    dim, parameters, variables = declared(events, source)
    if like is not None:
        parameters, variables = like.parameters, like.variables
        try:
            require(events, (*parameters, *variables), dim)
        except LabelError as error:
            raise LabelError(f"{source}: {error}") from error
    if events.sizes[dim] == 0:
        raise LabelError(f"{source} is empty: it has no {dim}")
    known = (*parameters, *variables)
    columns = {variable.name: events[variable.name].values for variable in known}
    weights = weights_of(events, dim, source)
    there = complete(columns, known, source)
    if there is not None:
        weights = None if weights is None else weights[there]
        columns = {name: column[there] for name, column in columns.items()}
    for name, column in columns.items():
        _check_finite(column, name, source)
    codes, table, _ = distinct_labels([columns[p.name] for p in parameters], parameters, source)
    sorting = [columns[v.name] for v in variables] + ([] if weights is None else [weights])
    starts, ordered = by_code(codes, len(table), sorting)
    grouped = Grouped(
        dim=dim,
        parameters=parameters,
        variables=variables,
        table=table,
        starts=starts,
        columns={v.name: column for v, column in zip(variables, ordered, strict=False)},
        source=source,
        left_out=0 if there is None else int(np.count_nonzero(~there)),
        weights=None if weights is None else ordered[-1],
    )
    if grouped.weights is not None:
        check_totals(grouped.weights, starts, lambda i: grouped.describe(table[i]), source)
    return _opened(grouped, like) if any(v.period is not None for v in variables) else grouped


def _opened(grouped: Grouped, like: Grouped | None) -> Grouped:
    """Cut circles open at each label where there are fewest events, of `like` where it has any."""
    columns, cuts = dict(grouped.columns), {}
    rows = [slice(*pair) for pair in pairwise(grouped.starts.tolist())]
    for variable in (v for v in grouped.variables if v.period is not None):
        column, (_, period) = columns[variable.name], turn_of(variable)
        whole = emptiest(column, variable)
        cut = np.array([emptiest(column[own], variable) for own in rows])
        # Neighbouring labels on the same turn: medians lie within one period of all events.
        pairs = zip(rows, cut, strict=True)
        middle = np.array([np.median(opened(column[own], at, period)) for own, at in pairs])
        cut += opened(middle, whole, period) - middle
        if like is not None:
            where = positions(grouped.table, like.table, grouped.parameters)
            cut = np.where(where < 0, cut, like.cuts[variable.name][where])
        kept = opened(column, np.repeat(cut, grouped.sizes), period)
        columns[variable.name], cuts[variable.name] = kept.astype(column.dtype), cut
    return replace(grouped, columns=columns, cuts=cuts)


def _check_finite(values: NDArray[Any], name: str, source: str) -> None:
    if np.isfinite(values.min()) and np.isfinite(values.max()):  # NaN propagates through both
        return
    bad = int(np.count_nonzero(~np.isfinite(values)))
    raise LabelError(
        f"{source}: {name!r} holds {bad} values that are not finite; "
        "drop those events, or find out where they come from"
    )
