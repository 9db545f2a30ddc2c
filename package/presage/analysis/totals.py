r"""The total of a label: how many events there are to be, beside how they are distributed.

*Problem.* A model of the shape draws any number of events. What an experiment expects is the sum
of the weights, cross section × acceptance: T = Σw with the error √Σw² at each label that was
simulated (the number of events n, with √n, of events that count 1). It is needed between them.

*Method.* A Gaussian process (Rasmussen and Williams 2006, equations 2.25 and 2.26) on ln T over
the labels, whose kernel is a straight line plus a smooth function of one length for each feature,

.. math:: k(a, b) = \sigma_0^2 + \sigma_1^2 \, a·b + \sigma_2^2 \exp(-|(a - b) / \ell|^2 / 2),

with (√Σw² / T)² as the known variance of each label and σ, ℓ at the greatest marginal likelihood
within bounds: σ₂² at least a tenth of the variance of ln T over the labels, ℓ half to six of their
standard deviations. Without the bounds five labels are taken for a straight line as often as not,
with errors that are too small by factors.
Features are those of the densities: a parameter, its logarithm where labels run over decades, a
point on the circle where it has a period. The error that is given is that of the process, times
the rms of the leave-one-out pulls (equation 5.12 there) where that is above 1.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from presage.analysis.histograms import label_coordinates
from presage.analysis.labelled import Floats, Grouped, Labels, group, label_table
from presage.labels import LabelError, Variable
from presage.labels.equality import positions
from presage.transforms.smooth import features_of, origins
from presage.transforms.weights import weight_declared

#: Labels from which a process can be fitted, and up to which that takes seconds.
_FEWEST, _MOST = 4, 2000


def totals(events: xr.Dataset, labels: Labels | None = None) -> xr.Dataset:
    """Return the total of each label, or what it should be at other labels.

    Parameters
    ----------
    events
        Events with label columns, all that there are at their labels.
    labels
        Where the total is interpolated: a dataset (its distinct labels), tuples, or columns by
        name. Without them the totals of the events themselves are returned.

    Returns
    -------
    xarray.Dataset
        ``total`` ``[label]`` and its standard error ``total_error`` ``[label]``, in the unit of
        the weights; the labels are coordinates. Where it is interpolated, the attribute
        ``leave_one_out_pull`` is the rms of how far each label of the events lies from what the
        others say of it, in errors.

    Raises
    ------
    LabelError
        As :func:`presage.analysis.labelled.group`; fewer than 4 labels to interpolate between, or
        more than 2000.

    Examples
    --------
    >>> mass = np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], [400, 300, 220, 160, 120])
    >>> events = xr.Dataset({
    ...     "mass": ("event", mass, {"role": "parameter"}), "x": ("event", 0.1 * mass),
    ... })
    >>> found = totals(events, [(2.5,)])
    >>> abs(float(found["total"][0]) - 256) < 20
    True
    """
    grouped = group(events, "the events")
    total, error = _measured(grouped)
    weight = weight_declared(events, grouped.dim)
    unit = "1" if weight is None else weight.unit
    if labels is None:
        return _dataset(grouped, grouped.table, total, error, unit)
    table = label_table(labels, grouped.parameters)
    logarithm, relative, pull = _interpolated(grouped, total, error / total, table)
    value = np.exp(logarithm)
    found = _dataset(grouped, table, value, value * relative, unit)
    return found.assign_attrs(
        method="Gaussian process of ln total: a line and a smooth function of the labels",
        leave_one_out_pull=pull,
    )


def spread(n: int, found: xr.Dataset, table: Floats, parameters: Sequence[Variable]) -> list[int]:
    """Return how many of `n` events belong to each label ``[label, parameter]`` of a table.

    By what :func:`totals` `found` at these labels; LabelError where it did not, or where the share
    of a label is no event.
    """
    names = [parameter.name for parameter in parameters]
    if not {"total", *names} <= set(map(str, found.variables)):
        raise LabelError(
            "totals= takes what presage.totals(events, labels) returned, with the labels "
            f"{', '.join(names)}; got {', '.join(map(str, found.variables))}"
        )
    there = np.stack([np.atleast_1d(found[name].values) for name in names], axis=1, dtype=float)
    where = positions(table, there, parameters)
    total = np.where(where < 0, np.nan, np.atleast_1d(found["total"].values)[where])
    ends = np.round(n * np.cumsum(total) / total.sum())
    sizes = np.diff(ends, prepend=0.0)
    for fault, which in (("no total", where < 0), (f"none of {n} events: give more", sizes < 1)):
        if which.any():
            row = table[int(which.argmax())]
            label = ", ".join(f"{k} = {v:g}" for k, v in zip(names, row, strict=True))
            raise LabelError(f"{label} has {fault}")
    return [int(size) for size in sizes]


def _measured(grouped: Grouped) -> tuple[Floats, Floats]:
    """Return Σw and √Σw² of each label, ``[label]``."""
    if grouped.weights is None:
        number = grouped.sizes.astype(float)
        return number, np.sqrt(number)
    first = grouped.starts[:-1]
    squares: Floats = np.add.reduceat(grouped.weights**2, first)
    return np.add.reduceat(grouped.weights, first), np.sqrt(squares)


def _interpolated(
    grouped: Grouped, total: Floats, relative: Floats, table: Floats
) -> tuple[Floats, Floats, float]:
    """Return ln total and its error at the labels of `table`, and the rms leave-one-out pull."""
    if not _FEWEST <= len(total) <= _MOST:
        raise LabelError(
            f"totals are interpolated between {_FEWEST} to {_MOST} labels, and the events have "
            f"{len(total)}"
        )
    known, asked = _features(grouped, table)
    ln = np.log(total)
    middle, spread = float(ln.mean()), float(ln.std()) or 1.0
    y = (ln - middle) / spread
    process = _process((relative / spread) ** 2, known.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a length at the end of its range: smooth, or not at all
        process.fit(known, y)
        mean, error = process.predict(asked, return_std=True)
    inverse = np.linalg.inv(process.L_ @ process.L_.T)
    pulls = process.alpha_ / np.sqrt(np.diag(inverse))
    pull = float(np.sqrt((pulls**2).mean()))
    return middle + spread * mean, spread * error * max(pull, 1.0), pull


def _features(grouped: Grouped, table: Floats) -> tuple[Floats, Floats]:
    """Return the standardised features of the events' labels, and of those of `table`."""
    parameters = grouped.parameters
    columns = [
        {p.name: labels[:, k] for k, p in enumerate(parameters)}
        for labels in (grouped.table, table)
    ]
    begins = origins(columns[0], parameters)
    known, asked = (
        features_of(own, parameters, begins, len(labels))
        for own, labels in zip(columns, (grouped.table, table), strict=True)
    )
    spread = known.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    return (known - known.mean(axis=0)) / spread, (asked - known.mean(axis=0)) / spread


def _process(variance: Floats, features: int) -> Any:
    from sklearn.gaussian_process import GaussianProcessRegressor  # loads slowly
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct

    line = ConstantKernel(1.0, (1e-6, 1e3)) * DotProduct(1.0, (1e-3, 1e3))
    smooth = ConstantKernel(0.3, (0.1, 1e3)) * RBF([1.0] * features, (0.5, 6.0))
    return GaussianProcessRegressor(
        line + smooth, alpha=np.maximum(variance, 1e-10), n_restarts_optimizer=4, random_state=0
    )


def _dataset(
    grouped: Grouped, table: Floats, total: Floats, error: Floats, unit: str
) -> xr.Dataset:
    what = "sum of the weights" if grouped.weights is not None else "number of events"
    return xr.Dataset(
        {
            "total": ("label", total, {"long_name": what, "units": unit}),
            "total_error": ("label", error, {"long_name": f"error of the {what}", "units": unit}),
        },
        coords=label_coordinates(grouped.parameters, table),
    )
