"""Figures over the labels: a metric on the label grid, events by label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm, LogNorm, Normalize
from numpy.typing import NDArray

from presage.analysis.canvas import Page, colourbar, colours, tidy
from presage.analysis.labelled import declared
from presage.analysis.metrics import SIZES
from presage.analysis.report import model_of, parameters_of
from presage.labels import LabelError, Variable, nearest

#: Metrics that have a sign, drawn in diverging colours.
SIGNED = ("mean_shift", "std_shift", "cdf_error", "correlation_shift", "pull_mean")


def label_map(
    product: xr.Dataset,
    metric: str = "w1_over_std",
    *,
    variable: str | None = None,
    source: str | None = None,
    x: str | None = None,
    y: str | None = None,
    at: Mapping[str, float] | None = None,
) -> Page:
    """Draw a metric over the labels, held-out ones framed.

    Parameters
    ----------
    product
        Of :func:`presage.analysis.residuals.compare`.
    metric
        One of :data:`presage.analysis.metrics.METRICS`.
    variable
        One variable (or pair); by default the worst of them, label by label.
    source
        By default the model.
    x, y
        Parameters on the axes; by default the first two. One parameter is drawn as a line.
    at
        Values of further parameters; where they are not given, the worst is shown.

    Raises
    ------
    LabelError
        Unknown metric, variable, source or parameter.
    """
    source = source or model_of(product)
    values = _metric(product, metric, variable, source)
    names = parameters_of(product)
    x, y = x or names[0], y or (names[1] if len(names) > 1 else None)
    for name in (x, y, *(at or {})):
        if name is not None and name not in names:
            raise LabelError(f"no parameter {name!r}{nearest(name, names)}")
    chosen = np.ones(product.sizes["label"], dtype=bool)
    for name, value in (at or {}).items():
        chosen &= np.float32(product[name].values) == np.float32(value)
    if not chosen.any():
        raise LabelError(f"no label at {dict(at or {})}")
    product, values = product.isel(label=chosen), values[chosen]
    heading = f"{source}: {product[metric].attrs.get('long_name', metric)}"
    several = variable is None and {"variable", "pair"} & set(product[metric].dims)
    heading += f", {variable}" if variable else ", worst variable" if several else ""
    page = Page(6.2, 4.6)
    axis = page.subplots()
    if y is None:
        _line(axis, product, x, values, source)
        tidy(axis, _title(product, x), metric, heading)
        return page
    floor = _floor(product, metric, variable)
    mesh = _tiles(axis, product, (x, y), values, _norm(metric, values, floor), metric)
    tidy(axis, _title(product, x), _title(product, y), heading)
    marked = metric not in SIGNED and np.isfinite(floor)
    words = metric.replace("_", " ")
    bar = colourbar(page, mesh, axis, f"{words} (mark: median floor)" if marked else words)
    if marked:
        bar.ax.plot([0, 1], [floor, floor], color="#d55e00", lw=2.5, clip_on=False)
    if isinstance(mesh.norm, LogNorm):
        ticks = _ticks(*mesh.get_clim())
        bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks], minor=False)
        bar.minorticks_off()
    return page


def label_scatter(
    events: xr.Dataset,
    x: str | None = None,
    y: str | None = None,
    colour: str | None = None,
    most: int = 20_000,
) -> Page:
    """Draw events of all labels in two variables, coloured by a parameter.

    Parameters
    ----------
    events
        Events with label columns.
    x, y
        Variables on the axes; by default the first two.
    colour
        Parameter; by default the first.
    most
        At most about this many events, chosen at random.
    """
    dim, parameters, variables = declared(events)
    if len(variables) < 2:
        raise LabelError("a scatter needs two variables, there is one: draw its histogram")
    by_name = {v.name: v for v in (*parameters, *variables)}
    names = (x or variables[0].name, y or variables[1].name, colour or parameters[0].name)
    for name in names:
        if name not in by_name:
            raise LabelError(f"no variable {name!r}{nearest(name, by_name)}")
    rng = np.random.Generator(np.random.Philox(0))
    total = events.sizes[dim]
    # At random: labels often take turns, and every second event would miss half of them.
    chosen = np.unique(rng.integers(total, size=most)) if total > most else np.arange(total)
    some = events.isel({dim: chosen})
    order = rng.permutation(some.sizes[dim])
    columns = [some[name].values[order] for name in names]
    page = Page(6.4, 5.0)
    axis = page.subplots()
    dots = axis.scatter(
        columns[0], columns[1], c=columns[2], s=3, lw=0, alpha=0.7, cmap="viridis", rasterized=True
    )
    for axis_name, column in zip("xy", columns, strict=False):
        low, high = np.quantile(column, (0.001, 0.999))
        getattr(axis, f"set_{axis_name}lim")(low - 0.03 * (high - low), high + 0.05 * (high - low))
    tidy(axis, by_name[names[0]].title, by_name[names[1]].title)
    colourbar(page, dots, axis, by_name[names[2]].title)
    return page


def _metric(
    product: xr.Dataset, metric: str, variable: str | None, source: str
) -> NDArray[np.float64]:
    """Return ``[label]``: one variable's value, or that of largest size."""
    known = [str(n) for n, a in product.data_vars.items() if {"source", "label"} <= set(a.dims)]
    if metric not in known:
        raise LabelError(f"no metric {metric!r}{nearest(metric, known)}")
    if source not in product["source"].values:
        raise LabelError(f"no source {source!r}{nearest(source, product['source'].values)}")
    array = product[metric].sel(source=source, drop=True)
    for dim in ("variable", "pair"):
        if dim in array.dims and variable is not None:
            if variable not in array[dim].values:
                raise LabelError(f"no {dim} {variable!r}{nearest(variable, array[dim].values)}")
            array = array.sel({dim: variable}, drop=True)
    extra = [dim for dim in array.dims if dim != "label"]
    values = array.transpose("label", *extra).values.astype(float)
    flat = values.reshape(len(values), -1)
    pick = np.abs(np.nan_to_num(flat)).argmax(axis=1)
    if metric in SIZES:
        pick = np.nan_to_num(flat, nan=np.inf).argmin(axis=1)
    return np.asarray(flat[np.arange(len(flat)), pick], dtype=np.float64)


def _floor(product: xr.Dataset, metric: str, variable: str | None) -> float:
    """Return the median of the floor over the labels, NaN where there is none."""
    if "floor" not in product["source"].values:
        return float("nan")
    values = _metric(product, metric, variable, "floor")
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else float("nan")


def _norm(metric: str, values: NDArray[np.float64], floor: float) -> Normalize:
    """Return a scale that holds the floor too: how far the values are from it is the point."""
    shown = np.append(values[np.isfinite(values)], floor if np.isfinite(floor) else [])
    if metric in SIGNED:
        return CenteredNorm(0)
    if len(shown) == 0:
        return Normalize()
    low, high = float(shown.min()), float(shown.max())
    if metric == "auc" or low <= 0:
        return Normalize(low, max(high, low + 1e-3))
    return LogNorm(low, max(high, low * 1.01))


def _tiles(
    axis: Axes,
    product: xr.Dataset,
    names: tuple[str, str],
    values: NDArray[np.float64],
    norm: Normalize,
    metric: str,
) -> Any:
    """Tiles where labels stand on a grid, framed where held out; squares where they do not."""
    columns = [product[name].values for name in names]
    axes = [np.unique(column) for column in columns]
    held = product["held_out"].values.astype(bool)
    held &= not held.all()  # in K folds every label is: a frame around each would say nothing
    cmap = "RdBu_r" if metric in SIGNED else "viridis_r" if metric in SIZES else "viridis"
    if axes[0].size * axes[1].size > 2 * len(values):
        dots = axis.scatter(
            columns[0], columns[1], c=values, s=70, marker="s", cmap=cmap, norm=norm
        )
        axis.scatter(
            columns[0][held],
            columns[1][held],
            s=120,
            marker="s",
            facecolors="none",
            edgecolors="#d55e00",
            linewidths=1.6,
        )
        return dots
    grid = np.full((axes[1].size, axes[0].size), np.nan)
    places = [np.searchsorted(a, c) for a, c in zip(axes, columns, strict=True)]
    for column, row, value in zip(*places, values, strict=True):
        worse = np.isnan(grid[row, column]) or abs(value) > abs(grid[row, column])
        grid[row, column] = value if worse else grid[row, column]
    borders = [_borders(a) for a in axes]
    mesh = axis.pcolormesh(*borders, np.ma.masked_invalid(grid), cmap=cmap, norm=norm)
    axis.set_facecolor("#f4f4f4")
    for column, row in {(int(c), int(r)) for c, r in zip(*(p[held] for p in places), strict=True)}:
        left, right = borders[0][column : column + 2]
        low, high = borders[1][row : row + 2]
        dx, dy = 0.06 * (right - left), 0.06 * (high - low)
        xs = [left + dx, right - dx, right - dx, left + dx, left + dx]
        ys = [low + dy, low + dy, high - dy, high - dy, low + dy]
        axis.plot(xs, ys, color="#d55e00", lw=1.6, solid_joinstyle="miter")
    return mesh


def _line(
    axis: Axes, product: xr.Dataset, x: str, values: NDArray[np.float64], source: str
) -> None:
    order = np.argsort(product[x].values)
    held = product["held_out"].values.astype(bool)[order]
    xs, ys = product[x].values[order], values[order]
    axis.plot(xs, ys, color=colours([source])[source], lw=1.2, marker="o", ms=3.5)
    axis.plot(xs[held], ys[held], "s", ms=9, mfc="none", mec="#d55e00", mew=1.6)


def _ticks(low: float, high: float) -> list[float]:
    """Return 1, 2, 5 times powers of ten between two positive numbers, or those two."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    steps = (1, 2, 5) if high < 200 * low else (1,)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    inside = [tick for tick in ticks if low <= tick <= high]
    return inside if len(inside) > 1 else [low, high]


def _borders(axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges of tiles around the values of a grid axis."""
    if len(axis) == 1:
        half = max(abs(float(axis[0])) * 0.05, 0.25)
        return np.array([axis[0] - half, axis[0] + half])
    middle = (axis[1:] + axis[:-1]) / 2
    return np.concatenate([[2 * axis[0] - middle[0]], middle, [2 * axis[-1] - middle[-1]]])


def _title(product: xr.Dataset, name: str) -> str:
    return Variable.of(product[name], sample="label").title
