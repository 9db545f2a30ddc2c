"""Binning by label: edges that suit each label, counts for all labels at once.

A label's histogram spans the 0.5–99.5 % quantiles of its *reference*, in equal bins, and
every other sample is counted on the same edges. Bins of whole numbers have whole widths about them,
and begin half below the first. What falls outside is kept beside it. Events with
weights add these up, and their squares, which are the variance of the sum.
Counting is one ``bincount`` over (label, bin) numbers for each block of events, on all cores.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from presage.analysis.labelled import Floats, Grouped, Integers, group
from presage.labels import LabelError, Variable, unitless
from presage.transforms.sorting import BLOCK, side_by_side
from presage.transforms.weights import quantile

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

    Whole numbers, by their type, lie in the middle of theirs, each bin as many of them wide.

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
    columns = [grouped.columns[variable.name] for variable in grouped.variables]

    def span(label: int) -> list[Floats]:
        rows = slice(grouped.starts[label], grouped.starts[label + 1])
        own = grouped.weights_at(label)
        if own is not None:
            return [quantile(column[rows], own, RANGE) for column in columns]
        return [_quantiles(np.sort(column[rows]), RANGE) for column in columns]

    limits = np.array(side_by_side(span, range(len(grouped.table))))
    low, high = limits[..., :1], limits[..., 1:]
    half = np.where(high > low, 0.0, 0.5 * np.maximum(np.abs(low) * 1e-3, 1e-9))  # a constant
    values = low - half + (high - low + 2 * half) * np.linspace(0, 1, bins + 1)
    for v, variable in enumerate(grouped.variables):
        if np.dtype(variable.dtype).kind in "iu":
            first, last = np.floor(low[:, v]), np.ceil(high[:, v])
            values[:, v] = first - 0.5 + np.ceil((last - first + 1) / bins) * np.arange(bins + 1)
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
        Of events with weights all but ``events`` are sums of weights, float64; beside them stand
        their variances Σw², ``counts_variance`` and so on, and the ``sum_of_weights[label]``.

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
    names = [str(name) for name in edges["variable"].values]
    arrays = _named(*_count(grouped, where, names, grid, grouped.weights), "")
    if grouped.weights is not None:
        arrays |= _named(*_count(grouped, where, names, grid, grouped.weights**2), "_variance")
        total = np.add.reduceat(grouped.weights, grouped.starts[:-1])[where]
        arrays["sum_of_weights"] = ("label", total, unitless("sum of the weights of a label"))
    arrays["events"] = ("label", grouped.sizes[where], unitless("events of a label"))
    return xr.Dataset(
        arrays,
        coords={
            **edges.coords,
            "pair": np.array([f"{x},{y}" for x, y in combinations(names, 2)], dtype=object),
        },
    )


def in_effective_events(counted: xr.Dataset) -> xr.Dataset:
    """Return histograms, with weights or without, in units of effective events.

    Of N = (Σw)² / Σw² effective events, ``counts`` are those in a bin, so that counts over
    ``events``, which become N, are the weighted shares. Of events without weights the variances of
    counts are the counts.
    """
    names = ("counts", "underflow", "overflow", "counts_2d")
    found: dict[str, xr.DataArray] = {}
    if "sum_of_weights" not in counted:
        for name in names:
            found[name] = found[f"{name}_variance"] = counted[name].astype(float)
        found["events"] = found["sum_of_weights"] = counted["events"].astype(float)
        return counted.assign(found)
    total = counted["sum_of_weights"]
    bins = [counted[f"{name}_variance"].isel(variable=0, drop=True) for name in names[:3]]
    unit = total / (bins[0].sum("bin") + bins[1] + bins[2])
    for name in names:
        found[name] = counted[name] * unit
        found[f"{name}_variance"] = counted[f"{name}_variance"] * unit**2
    found["events"] = total * unit
    return counted.assign({n: a.assign_attrs(counted[n].attrs) for n, a in found.items()})


def _named(flat: NDArray[Any], joint: NDArray[Any], suffix: str) -> dict[str, Any]:
    """Return what was counted as variables, their names with `suffix`."""
    what = "variance of the " if suffix else ""
    found = {
        "counts": (("label", "variable", "bin"), flat[..., 1:-1], "events in a bin"),
        "underflow": (("label", "variable"), flat[..., 0], "events below the bins"),
        "overflow": (("label", "variable"), flat[..., -1], "events above the bins"),
        "counts_2d": (("label", "pair", "bin_x", "bin_y"), joint, "events in a cell"),
    }
    return {f"{n}{suffix}": (d, v, unitless(what + t)) for n, (d, v, t) in found.items()}


def count(events: Floats, edges: Floats) -> tuple[Integers, Integers]:
    """Count events ``[event, variable]`` of one label on edges ``[variable, edge]`` of equal bins.

    Returned are counts ``[variable, bin]`` and ``[pair, bin_x, bin_y]``, as of :func:`histogram`.
    """
    columns = {str(v): column for v, column in enumerate(events.T)}
    one = Grouped("event", (), (), np.zeros((1, 0)), np.array([0, len(events)]), columns, "events")
    flat, joint = _count(one, np.zeros(1, dtype=np.int64), list(columns), edges[None])
    return flat[0, :, 1:-1], joint[0]


def _quantiles(x: NDArray[Any], at: tuple[float, ...]) -> Floats:
    """Return quantiles of a sorted sample as `numpy.quantile` does, which would not use the order.

    Sorting is quicker than the selection that it replaces: NumPy sorts with vector registers.
    """
    place = np.array(at) * (len(x) - 1)
    below = place.astype(np.int64)
    part = place - below
    low, high = x[below], x[np.minimum(below + 1, len(x) - 1)]
    step = high - low
    between: Floats = np.where(part < 0.5, low + step * part, high - step * (1 - part))
    return between


def _count(
    grouped: Grouped, where: Integers, names: list[str], grid: Floats, weights: Floats | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Count ``[label, variable, bin + 2]`` with the overflows, ``[label, pair, bin, bin]`` without.

    With `weights` ``[event]`` these are added up.
    Labels are taken in groups of about a block of events, whose bin numbers stay in the cache;
    every pair of variables is counted with its overflows, and the rest are sums over those.
    """
    labels, bins = len(where), grid.shape[-1] - 1
    pairs, side = list(combinations(range(len(names)), 2)), bins + 2
    kind = np.int64 if weights is None else np.float64
    flat = np.empty((labels, len(names), side), dtype=kind)
    joint = np.empty((labels, len(pairs), bins, bins), dtype=kind)

    def count(chosen: slice) -> None:
        codes, index = _bin_numbers(grouped, where[chosen], names, grid[chosen])
        n = len(where[chosen])
        rows = [slice(grouped.starts[i], grouped.starts[i + 1]) for i in where[chosen]]
        own = None if weights is None else np.concatenate([weights[r] for r in rows])
        for k, (x, y) in enumerate(pairs):
            both = (codes * side + index[x]) * side + index[y]
            cells = np.bincount(both, own, minlength=n * side**2).reshape(n, side, side)
            joint[chosen, k] = cells[:, 1:-1, 1:-1]
            if x == 0:
                flat[chosen, y] = cells.sum(axis=1)
            if (x, y) == (0, 1):
                flat[chosen, x] = cells.sum(axis=2)
        if not pairs:
            only = np.bincount(codes * side + index[0], own, minlength=n * side)
            flat[chosen, 0] = only.reshape(n, side)

    side_by_side(count, _portions(grouped.sizes[where]))
    return flat, joint


def _portions(sizes: Integers) -> list[slice]:
    """Return neighbouring labels together until they hold a block of events."""
    place = np.cumsum(sizes) - sizes
    cuts = np.flatnonzero(np.diff(place // BLOCK, prepend=-1)).tolist()
    return [slice(i, j) for i, j in zip(cuts, [*cuts[1:], len(sizes)], strict=True)]


def _bin_numbers(
    grouped: Grouped, where: Integers, names: list[str], grid: Floats
) -> tuple[Integers, list[Integers]]:
    """Return the number of each event's label in `where`, and its bin in each variable."""
    rows = [slice(grouped.starts[i], grouped.starts[i + 1]) for i in where]
    sizes = grouped.sizes[where]
    codes = np.repeat(np.arange(len(where)), sizes)
    index = []
    for v, name in enumerate(names):
        column = grouped.columns[name]
        x = column[rows[0]] if len(rows) == 1 else np.concatenate([column[r] for r in rows])
        begin, end, bins = grid[:, v, 0], grid[:, v, -1], grid.shape[-1] - 1
        low, high, scale = (np.repeat(one, sizes) for one in (begin, end, bins / (end - begin)))
        index.append(_bin_index(x, low, high, scale, bins))
    return codes, index


def _bin_index(x: NDArray[Any], low: Floats, high: Floats, scale: Floats, bins: int) -> Integers:
    """Bin number from 1, 0 below and ``bins + 1`` above; the last bin is closed."""
    position = x - low
    position *= scale
    np.clip(position, -1, bins, out=position)
    np.floor(position, out=position)
    index = position.astype(np.int64)
    index += 1
    np.putmask(index, x == high, bins)
    return index
