"""Labels that could be simulated next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import qmc

from presage.analysis.labelled import Floats, Labels, describe, label_table
from presage.labels import LabelError, Variable
from presage.labels.equality import beyond, positions
from presage.studies.events.refine.places import Steps, neighbours


def candidates_of(
    table: Floats,
    wanted: Labels | int | None,
    parameters: Sequence[Variable],
    seed: int = 0,
) -> Floats:
    """Return labels that could be simulated next, ``[label, parameter]``.

    Parameters
    ----------
    table
        Labels there are, ``[label, parameter]``.
    wanted
        None: the midpoints between neighbouring labels, which on a grid are the middles of
        its edges and cells, and labels that are missing between others. A number: as many
        quasi-random ones (Halton's sequence) within the range. Or labels of your own.
    parameters
        Declarations of the label columns.
    seed
        Of the quasi-random ones.

    Raises
    ------
    LabelError
        None are left, one lies outside the range of the labels, is not finite, is one of
        them or is given twice.
    """
    steps = Steps(table)
    if wanted is None:
        pairs = neighbours(steps.places)
        middles = (steps.places[pairs[:, 0]] + steps.places[pairs[:, 1]]) / 2
        return _new(steps.labels(np.unique(middles, axis=0)), table, parameters)
    if isinstance(wanted, (int, np.integer)):
        if wanted < 1:
            raise LabelError(f"a number of candidates is at least 1, got {wanted}")
        sequence = qmc.Halton(int(steps.varies.sum()), seed=seed).random(int(wanted))
        return _new(steps.labels(sequence * steps.places.max(axis=0)), table, parameters)
    given = label_table(wanted, parameters)
    _check(given, table, steps, parameters)
    return given


def _new(labels: Floats, table: Floats, parameters: Sequence[Variable]) -> Floats:
    new = positions(labels, table, parameters) < 0
    if not new.any():
        raise LabelError("there is no label between those that exist")
    return np.asarray(labels[new])


def _check(given: Floats, table: Floats, steps: Steps, parameters: Sequence[Variable]) -> None:
    if not len(given):
        raise LabelError("no candidates were given")
    known = positions(given, table, parameters)
    first = positions(given, given, parameters)
    for i, label in enumerate(given):
        shown = describe(parameters, label)
        if not np.isfinite(label).all():
            raise LabelError(f"a candidate is not finite: {shown}")
        ends = zip(label, steps.low, steps.high, parameters, strict=True)
        if any(beyond(value, *end) for value, *end in ends):
            low, high = describe(parameters, steps.low), describe(parameters, steps.high)
            raise LabelError(
                f"candidate {shown} lies outside the range of the labels, from {low} to {high}; "
                "what a model does there was not measured"
            )
        if known[i] >= 0:
            raise LabelError(f"candidate {shown} was simulated already")
        if first[i] != i:
            raise LabelError(f"candidate {shown} is given twice")
