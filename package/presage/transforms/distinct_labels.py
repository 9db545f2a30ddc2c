"""Labels of events: which there are, and labels in whatever way a user spells them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, cast

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from presage.labels import Floats, Integers, LabelError, Variable, nearest
from presage.labels.equality import merge
from presage.transforms.sorting import distinct

#: Labels as a dataset, as columns by name, or one by one (tuples or name → value).
Labels = (
    xr.Dataset
    | Mapping[str, Any]
    | Sequence[float]
    | Sequence[Sequence[float]]
    | Sequence[Mapping[str, float]]
)


def distinct_labels(
    columns: Sequence[NDArray[Any]], parameters: Sequence[Variable], source: str | None = None
) -> tuple[NDArray[Any], Floats, Integers]:
    """Return the labels of events, given as a column ``[event]`` of each parameter.

    Nearly equal ones are taken for one, see :func:`presage.labels.equality.merge`, whose warning
    calls the events `source`.

    Returns
    -------
    codes, table, sizes
        The number of each event's label; the labels in ascending order, ``[label, parameter]``;
        the number of events of each.
    """
    codes, spelled = distinct(columns)
    counts = np.bincount(codes, minlength=len(spelled))
    table, number = merge(spelled, counts, parameters, source)
    if (number == np.arange(len(number))).all():
        return codes, table, counts
    sizes = np.bincount(number, weights=counts).astype(np.int64)
    return number.astype(codes.dtype)[codes], table, sizes


def label_table(labels: Labels, parameters: Sequence[Variable]) -> Floats:
    """Return labels, however they were given, as float64 ``[label, parameter]``.

    Parameters
    ----------
    labels
        A dataset (its distinct labels), columns by name, or one label after the other as
        tuples in the order of `parameters` or as name → value; a number of one parameter.
        Of several parameters, one tuple alone is one label.
    parameters
        Declarations of the label columns.

    Raises
    ------
    LabelError
        A parameter is missing, or a label has another number of values.
    """
    names = [parameter.name for parameter in parameters]
    if isinstance(labels, xr.Dataset):
        _need(labels.variables, names)
        columns = [np.ravel(labels[name].values) for name in names]
        return distinct_labels(np.broadcast_arrays(*columns), parameters)[1]
    if isinstance(labels, Mapping):
        _need(labels, names)
        given = np.broadcast_arrays(*(np.atleast_1d(labels[name]) for name in names))
        return np.stack([np.asarray(c, dtype=float) for c in given], axis=1)
    several = isinstance(labels, Iterable) and not isinstance(labels, cast(Any, str))
    listed: list[Any] = list(labels) if several else [labels]
    if len(names) > 1 and listed and all(isinstance(value, Real) for value in listed):
        listed = [listed]  # one label, its values not in a list of labels
    rows = [_row(label, names) for label in listed]
    return np.array(rows, dtype=float).reshape(-1, len(names))


def _row(label: Any, names: Sequence[str]) -> list[float]:
    """Return the values of one label; of one parameter, a number is a label."""
    if isinstance(label, Mapping):
        _need(label, names)
        label = [label[name] for name in names]
    try:
        row: list[float] = np.asarray(label, dtype=np.float64).reshape(-1).tolist()
    except (TypeError, ValueError):
        raise LabelError(f"a label is numbers ({', '.join(names)}), got {label!r}") from None
    if len(row) != len(names):
        raise LabelError(f"a label is ({', '.join(names)}), got {len(row)} values: {tuple(row)}")
    return row


def _need(got: Iterable[Any], names: Iterable[str]) -> None:
    have = [str(name) for name in got]
    for name in names:
        if name not in have:
            raise LabelError(f"the labels lack {name!r}{nearest(name, have)}")
