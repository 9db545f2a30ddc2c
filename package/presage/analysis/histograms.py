"""Binning by label: edges that suit each label, counts for all labels at once.

A label's histogram spans the 0.5–99.5 % quantiles of its *reference*, in equal bins, and
every other sample is counted on the same edges. What falls outside is kept beside it.
Counting is one ``bincount`` over (label, bin) numbers, without a loop over events.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, cast

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from presage.analysis.labelled import Floats, Grouped, Integers, group
from presage.labels import LabelError, Variable

#: Quantiles of the reference between which a histogram lies.
RANGE = (0.005, 0.995)


def label_coordinates(
    parameters: tuple[Variable, ...], table: Floats
) -> dict[str, tuple[str, NDArray[Any], dict[str, Any]] | NDArray[Any]]:
    """Return the coordinates of dimension ``label``: its number and each parameter's value."""
    coordinates: dict[str, Any] = {"label": np.arange(len(table))}
    for i, parameter in enumerate(parameters):
        attributes = {**parameter.attributes(), "role": "parameter"}
        coordinates[parameter.name] = ("label", table[:, i], attributes)
    return coordinates


def _declarations(variables: tuple[Variable, ...]) -> dict[str, Any]:
    """Axis titles and units as coordinates, so that a product can be drawn without its events."""
    return {
        "title": ("variable", np.array([v.title for v in variables], dtype=object)),
        "unit": ("variable", np.array([v.unit for v in variables], dtype=object)),
    }


def pair_names(variables: tuple[Variable, ...]) -> list[str]:
    """Return ``"phi_mass,omega_mass"`` for every pair of variables."""
    return [f"{x.name},{y.name}" for x, y in combinations(variables, 2)]


def adaptive_edges(reference: xr.Dataset | Grouped, bins: int = 40) -> xr.DataArray:
    """Return equal bins between the 0.5 and 99.5 % quantiles of each label.

    Parameters
    ----------
    reference
        Events; the labels and ranges are taken from them.
    bins
        Number of bins.

    Returns
    -------
    xarray.DataArray
        ``edges[label, variable, edge]``, float64, each in its variable's unit.
    """
    grouped = reference if isinstance(reference, Grouped) else group(reference)
    if bins < 1:
        raise LabelError(f"a histogram needs at least one bin, got {bins}")
    limits = np.empty((len(grouped.table), len(grouped.variables), 2))
    for v, variable in enumerate(grouped.variables):
        column = grouped.columns[variable.name]
        for i, (start, stop) in enumerate(zip(grouped.starts, grouped.starts[1:], strict=False)):
            limits[i, v] = np.quantile(column[start:stop], RANGE)
    low, high = limits[..., :1], limits[..., 1:]
    half = np.where(high > low, 0.0, 0.5 * np.maximum(np.abs(low) * 1e-3, 1e-9))  # a constant
    values = low - half + (high - low + 2 * half) * np.linspace(0, 1, bins + 1)
    return xr.DataArray(
        values,
        dims=("label", "variable", "edge"),
        coords={
            **label_coordinates(grouped.parameters, grouped.table),
            "variable": np.array([v.name for v in grouped.variables], dtype=object),
            **_declarations(grouped.variables),
        },
        name="edges",
        attrs={"long_name": "bin edges, in the variable's unit"},
    )


def histogram(events: xr.Dataset | Grouped, edges: xr.DataArray) -> xr.Dataset:
    """Count events of every label in one and two dimensions.

    Parameters
    ----------
    events
        Events, with at least the labels of `edges`; other labels are left aside.
    edges
        Of :func:`adaptive_edges`, any order of dims.

    Returns
    -------
    xarray.Dataset
        ``counts[label, variable, bin]``, ``underflow`` and ``overflow[label, variable]``,
        ``counts_2d[label, pair, bin_x, bin_y]`` for every pair of variables (x the first
        of the pair), ``events[label]``; all int64. The last bin includes its upper edge.

    Raises
    ------
    LabelError
        A label or a variable of `edges` is missing.
    """
    grouped = events if isinstance(events, Grouped) else group(events)
    edges = edges.transpose("label", "variable", "edge")
    grid = edges.values
    table = np.stack([edges[p.name].values for p in grouped.parameters], axis=1)
    where = grouped.find(table)
    labels, bins = len(where), grid.shape[-1] - 1
    codes = _numbers_of(grouped, where)
    index = {
        str(name): _bin_index(
            grouped.columns[str(name)], codes, grid[:, v, 0], grid[:, v, -1], bins
        )
        for v, name in enumerate(edges["variable"].values)
    }
    if (codes < 0).any():
        index = {name: column[codes >= 0] for name, column in index.items()}
        codes = codes[codes >= 0]
    flat = np.stack([_count(codes, labels, column, bins) for column in index.values()], axis=1)
    pairs = [
        _count_pair(codes, labels, index[x], index[y], bins) for x, y in combinations(index, 2)
    ]
    joint = np.stack(pairs, axis=1) if pairs else np.zeros((labels, 0, bins, bins), dtype=np.int64)
    names = [f"{x},{y}" for x, y in combinations(index, 2)]
    return xr.Dataset(
        {
            "counts": (("label", "variable", "bin"), flat[..., 1:-1], _about("events in a bin")),
            "underflow": (("label", "variable"), flat[..., 0], _about("events below the bins")),
            "overflow": (("label", "variable"), flat[..., -1], _about("events above the bins")),
            "counts_2d": (("label", "pair", "bin_x", "bin_y"), joint, _about("events in a cell")),
            "events": ("label", grouped.sizes[where], _about("events of a label")),
        },
        coords={**edges.coords, "pair": np.array(names, dtype=object)},
    )


def pulls(histograms: xr.Dataset, source: str, reference: str = "reference") -> xr.DataArray:
    """Return the difference of two normalised histograms over its Poisson error.

    Parameters
    ----------
    histograms
        ``counts[source, label, variable, bin]`` and ``events[source, label]``.
    source, reference
        Which to compare; positive where `source` has more.

    Returns
    -------
    xarray.DataArray
        ``[label, variable, bin]``; NaN where neither has an event.
    """
    return _pull(histograms["counts"], histograms["events"], source, reference)


def pulls_2d(histograms: xr.Dataset, source: str, reference: str = "reference") -> xr.DataArray:
    """As :func:`pulls`, for ``counts_2d``: ``[label, pair, bin_x, bin_y]``."""
    return _pull(histograms["counts_2d"], histograms["events"], source, reference)


def _pull(counts: xr.DataArray, events: xr.DataArray, source: str, reference: str) -> xr.DataArray:
    g, n = counts.sel(source=source, drop=True), events.sel(source=source, drop=True)
    r, m = counts.sel(source=reference, drop=True), events.sel(source=reference, drop=True)
    # Pooled: under the hypothesis that both are one distribution. Each sample's own counts
    # would give an empty bin of the smaller sample no error, and the larger a huge pull.
    variance = (g + r) / (n + m) * (1.0 / n + 1.0 / m)
    pull = (g / n - r / m) / np.sqrt(variance.where(variance > 0))
    return pull.rename("pull").assign_attrs(
        long_name=f"({source} − {reference}) / statistical error", units="1"
    )


def _numbers_of(grouped: Grouped, where: Integers) -> Integers:
    """Return the number of each event's label among those asked for, −1 for the others."""
    number = np.full(len(grouped.table), -1, dtype=np.int64)
    number[where] = np.arange(len(where))
    return cast(Integers, np.repeat(number, grouped.sizes))


def _bin_index(x: NDArray[Any], codes: Integers, low: Floats, high: Floats, bins: int) -> Integers:
    """Bin number from 1, 0 below and ``bins + 1`` above; the last bin is closed."""
    scale = bins / (high - low)
    position = (x - low[codes]) * scale[codes]
    index = np.clip(np.floor(position), -1, bins).astype(np.int64) + 1
    index[x == high[codes]] = bins
    return index


def _count(codes: Integers, labels: int, index: Integers, bins: int) -> Integers:
    counts = np.bincount(codes * (bins + 2) + index, minlength=labels * (bins + 2))
    return counts.reshape(labels, bins + 2)


def _count_pair(codes: Integers, labels: int, x: Integers, y: Integers, bins: int) -> Integers:
    side = bins + 2
    counts = np.bincount((codes * side + x) * side + y, minlength=labels * side**2)
    return counts.reshape(labels, side, side)[:, 1:-1, 1:-1]


def _about(long_name: str) -> dict[str, str]:
    return {"long_name": long_name, "units": "1"}
