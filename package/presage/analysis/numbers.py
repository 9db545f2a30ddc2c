"""The numbers of one label as data frames, for figures of one's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from presage.analysis.histograms import pulls
from presage.analysis.report import label_number


def histogram_table(
    product: xr.Dataset, label: int | Sequence[float] | None = None
) -> pd.DataFrame:
    """Return the histograms of all sources at one label, a row for each bin.

    Parameters
    ----------
    product
        Of :func:`presage.analysis.residuals.compare`.
    label
        Its number or its values; by default the held-out label with the largest W1/std.

    Returns
    -------
    pandas.DataFrame
        Index ``source, variable, bin``; columns ``low`` and ``high`` (edges, in the variable's
        unit), ``events``, ``density`` (over the bins, integral below 1 by what lies outside
        them) and ``pull``: the difference to the reference over its statistical error, NaN for
        the reference itself and where neither has an event.

    Raises
    ------
    LabelError
        There is no such label; the closest is named.
    """
    i = label_number(product, label)
    here = product.isel(label=i)
    sources = [str(name) for name in product["source"].values]
    edges, counts = here["edges"], here["counts"]
    low = edges.isel(edge=slice(None, -1)).rename(edge="bin")
    high = edges.isel(edge=slice(1, None)).rename(edge="bin")
    one = product[["counts", "events"]].isel(label=[i])
    pull = xr.concat([pulls(one, name) for name in sources], dim=counts["source"])
    columns = {
        "low": low,
        "high": high,
        "events": counts,
        "density": counts / here["events"].where(here["events"] > 0) / (high - low),
        "pull": pull.isel(label=0).where(counts["source"] != "reference"),
    }
    order = ("source", "variable", "bin")
    frames = {
        name: column.broadcast_like(counts).transpose(*order).values.ravel()
        for name, column in columns.items()
    }
    levels = [sources, [str(name) for name in product["variable"].values],
              np.arange(counts.sizes["bin"])]  # fmt: skip
    return pd.DataFrame(frames, index=pd.MultiIndex.from_product(levels, names=order)).sort_index()


def metric_table(product: xr.Dataset, label: int | Sequence[float] | None = None) -> pd.DataFrame:
    """Return every figure of merit at one label, a row for each source and variable.

    Parameters
    ----------
    product, label
        As of :func:`histogram_table`. What the columns mean is told by the ``long_name`` of the
        product's variables; the row of the source ``floor`` is what chance alone gives.

    Raises
    ------
    LabelError
        There is no such label; the closest is named.
    """
    here = product.isel(label=label_number(product, label))
    wanted = [n for n, v in product.data_vars.items() if v.dims[:2] == ("source", "label")]
    wanted = [n for n in wanted if set(product[n].dims) <= {"source", "label", "variable"}]
    frame = here[wanted].reset_coords(drop=True).to_dataframe()
    return frame.drop(index="reference", level="source").sort_index()
