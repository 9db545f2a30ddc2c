"""Observed sets of events out of a labelled array, checked by their problem."""

from __future__ import annotations

import numpy as np
import xarray as xr
from torch import Tensor

from presage.labels import LabelError
from presage.models.fitted_encoder import SetLabels, filled
from presage.studies.pdf.problem import Problem


def observed_sets(problem: Problem, events: xr.DataArray) -> tuple[list[Tensor], SetLabels]:
    """Return sets one by one ``(E, F)`` in float64, and the labels along what counts them.

    Parameters
    ----------
    problem
        Checks features, support, and that no set is empty.
    events
        ``[..., event, feature]`` in any order; NaN in all features where a shorter set ends.

    Raises
    ------
    LabelError
        No labelled array, no set, or what :meth:`Problem.check_events` refuses.
    """
    labels = SetLabels.of(events)
    if not {"event", "feature"} <= set(events.dims):
        problem.check_events(events)
    rows = np.asarray(events.transpose(*labels.dims, "event", "feature").values)
    if rows.dtype.kind not in "fiu":
        raise LabelError(f"{problem.name}: events should be numbers, got {rows.dtype}")
    coords = {"feature": events["feature"]} if "feature" in events.coords else {}
    sets = []
    for row in rows.reshape(labels.number, *rows.shape[-2:]):
        kept = filled(row) if events.ndim > 2 else row
        one = xr.DataArray(kept, dims=("event", "feature"), coords=coords)
        sets.append(problem.check_events(one).cpu())
    return sets, labels
