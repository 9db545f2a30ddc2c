"""The numbers of a residuals product: one label's as data frames, all labels' as one array."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from presage.analysis.bin_statistics import COUNTED, STATISTICS
from presage.analysis.completing import completed
from presage.analysis.judging import judged
from presage.analysis.report import held_out, label_number

#: Numbers that stand beside a figure of merit and are none.
_BESIDE = ("auc_error", "outside", *COUNTED)
_BINS = [name for name in STATISTICS if name != "pull_2d"]


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
        unit), ``events``, and what :func:`presage.analysis.bin_statistics.bin_statistics` makes
        of them: ``density`` (integral below 1 by what lies outside the bins), ``pull`` (NaN for
        the reference itself and where neither has an event), ``ratio``, their errors and
        ``few``, where one should not judge.

    Raises
    ------
    LabelError
        There is no such label; the closest is named.
    """
    here = completed(product.isel(label=[label_number(product, label)])).isel(label=0)
    ends = {"low": here["edges"][..., :-1], "high": here["edges"][..., 1:]}
    columns = {name: array.rename(edge="bin") for name, array in ends.items()}
    columns |= {"events": here["counts"], **{n.removeprefix("bin_"): here[n] for n in _BINS}}
    order = ("source", "variable", "bin")
    frames = {
        name: column.broadcast_like(here["counts"]).transpose(*order).values.ravel()
        for name, column in columns.items()
    }
    levels = [*(list(map(str, here[dim].values)) for dim in order[:2]),
              np.arange(here.sizes["bin"])]  # fmt: skip
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


def merit_grid(product: xr.Dataset) -> xr.Dataset:
    """Return every figure of merit over sources and labels, and what is said of all labels.

    Parameters
    ----------
    product
        Of :func:`presage.analysis.residuals.compare`.

    Returns
    -------
    xarray.Dataset
        ``value`` ``[column, source, label]``, of quantiles the worst; over the labels of a
        region, with the sizes of signed numbers, ``median``, ``worst`` and ``count`` of those
        that are known ``[column, source, region]``, and of every two sources ``better``
        ``[column, source, against, region]``, the number of labels at which the first is nearer
        to the best value, and ``median_difference``. Coordinates of a column: ``metric``, ``of``
        (variable, pair or empty), ``title``, ``said``, ``best`` (NaN: more is better), ``signed``.
    """
    product = completed(product)
    found = list(_columns(product))
    arrays, about = [array for array, _ in found], pd.DataFrame([row for _, row in found])
    value = xr.concat(arrays, dim="column", coords="minimal", compat="override")
    value = value.transpose("column", "source", "label").astype(float)
    for name in about:
        value = value.assign_coords({name: ("column", about[name].values)})
    size = value.where(~value["signed"], abs(value))
    best = value["best"].fillna(0.0)
    away = abs(value - best).where(value["best"].notnull(), -value)
    regions = [r for r in ("interior", "edge", "trained") if r in product["region"].values]
    parts = [
        _over_labels(size.isel(label=chosen), away.isel(label=chosen))
        for chosen in (np.flatnonzero(product["region"].values == r) for r in regions)
    ]
    joined = xr.concat(parts, dim="region", coords="minimal", compat="override")
    order = ("column", "source", "against", "region")
    joined = joined.transpose(*order).assign_coords(region=np.array(regions, dtype=object))
    return joined.assign(value=value.drop_vars(["region", "held_out"], errors="ignore"))


def summary(product: xr.Dataset) -> pd.DataFrame:
    """Return median and worst of each figure of merit's size over the held-out labels.

    Rows are metrics and variables (``all`` for the AUC), columns the sources. Of equivalent
    events the worst is the smallest number.
    """
    grid, sources = merit_grid(held_out(product)), judged(product)
    size = abs(grid["value"].sel(source=sources))
    worst = size.max("label").where(grid["best"].notnull(), size.min("label"))
    both = np.stack([size.median("label"), worst], axis=-1)
    rows = [grid["metric"].values, np.where(grid["of"] == "", "all", grid["of"])]
    return pd.DataFrame(
        both.reshape(len(both), -1),
        index=pd.MultiIndex.from_arrays(rows, names=["metric", "of"]),
        columns=pd.MultiIndex.from_product(
            [sources, ["median", "worst"]], names=["source", "labels"]
        ),
    )


def _columns(product: xr.Dataset) -> Iterator[tuple[xr.DataArray, dict[str, object]]]:
    """Yield each number ``[source, label]`` of the product with its words."""
    for name, array in product.data_vars.items():
        dims = set(array.dims)
        whole = {"source", "label"} <= dims <= {"source", "label", "variable", "pair", "quantile"}
        if not whole or array.dtype.kind != "f" or name in _BESIDE:
            continue
        words = array.attrs
        array = abs(array).max("quantile") if "quantile" in dims else array
        part = next((dim for dim in ("variable", "pair") if dim in dims), None)
        for of in map(str, array[part].values) if part else ("",):
            short = str(words.get("short_name", words.get("long_name", name)))
            plain = of.replace("_", " ").replace(",", " × ")
            lines = [str(words.get(key, "")) for key in ("meaning", "formula")]
            best = float(words["best"]) if "best" in words else np.nan
            lines.append("more is better" if np.isnan(best) else f"best: {best:g}")
            yield (
                array.sel({part: of}, drop=True).reset_coords(drop=True) if part else array,
                {
                    "column": f"{name}:{of}" if of else str(name),
                    "metric": str(name),
                    "of": of,
                    "title": f"{short} · {plain}" if of else short,
                    "said": "\n".join(filter(None, lines)),
                    "best": best,
                    "signed": bool(words.get("signed", 0)) and "quantile" not in dims,
                },
            )


def _over_labels(size: xr.DataArray, away: xr.DataArray) -> xr.Dataset:
    """Return what is said of some labels' numbers: how large, and how far from the best value."""
    more = size["best"].isnull()
    other = {"source": "against"}
    nearer = (away < away.rename(other)).sum("label")
    return xr.Dataset(
        {
            "median": size.median("label"),
            "worst": size.max("label").where(~more, size.min("label")),
            "count": size.count("label").astype(np.int32),
            "better": nearer.astype(np.int32),
            "median_difference": (size - size.rename(other)).median("label"),
        }
    )
