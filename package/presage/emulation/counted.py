"""Templates of the events that there are: simulated ones, beside those of a fitted density."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from presage.analysis.labelled import group
from presage.emulation.binning import Binning
from presage.emulation.template_product import Measured, Templates, for_each, product


def counted_templates(
    events: xr.Dataset,
    edges: Mapping[str, ArrayLike],
    *,
    total: ArrayLike | None = None,
    total_error: ArrayLike = 0.0,
) -> Templates:
    """Return histograms of events at each of their labels, which nothing interpolates.

    Parameters
    ----------
    events
        Events with label columns; weights count.
    edges, total, total_error
        As of :func:`presage.emulation.templates`; by default the total of a label is the sum of
        its events' weights, their number without weights.

    Returns
    -------
    Templates
        Without variations; the statistical error is that of the events.

    Raises
    ------
    LabelError
        As :func:`presage.emulation.templates`, or as :func:`presage.analysis.group`.
    """
    grouped = group(events, "the events")
    binning = Binning.of(grouped.variables, edges)
    columns = np.stack([grouped.columns[name] for name in binning.names], axis=1, dtype=float)
    measured, sums = [], []
    for i, size in enumerate(grouped.sizes.tolist()):
        weights, rows = grouped.weights_at(i), grouped.rows(i)
        sums.append(float(size if weights is None else weights.sum()))
        scaled = None if weights is None else weights / weights.mean()
        measured.append(Measured(binning.shares(columns[rows], scaled), {}))
    totals = for_each(sums if total is None else total, len(grouped.table), "total", above=0)
    errors = for_each(total_error, len(grouped.table), "total_error")
    found = (binning, grouped.parameters, grouped.table, measured, totals, errors)
    return Templates(product(*found, grouped.effective))
