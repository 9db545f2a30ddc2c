"""The figure of a metric over the labels: tiles of two parameters, or a line over one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm, LogNorm, Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from presage.analysis.canvas import (
    INK,
    TEXT,
    WIDTH,
    Page,
    colourbar,
    in_words,
    number,
    plain_log,
    styles,
    tidy,
    titled,
    wrapped,
)  # fmt: skip
from presage.analysis.judging import model_of
from presage.analysis.labelled import Floats
from presage.analysis.metrics import METRICS, SIZES
from presage.analysis.report import parameters_of
from presage.labels import LabelError, Variable, check_name, nearest
from presage.labels.equality import positions

#: Metrics that have a sign, drawn in diverging colours.
SIGNED = tuple(name for name, metric in METRICS.items() if metric.signed)
#: Ratio of numbers of events of truth above which labels get panels of their own, and how
#: many panels there may be: a floor that differs by much more than 1.4 is not one floor.
_APART, _PANELS = 2.0, 3
_MARK = "#d55e00"
_HOLE = "#f0f0f0"


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

    Labels whose numbers of events of truth differ by more than a factor of two have floors
    that cannot be compared: they are drawn in panels of their own, each with its scale.

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
    floor = _floor(product, metric, variable)
    names = parameters_of(product)
    x, y = x or names[0], y or (names[1] if len(names) > 1 else None)
    for name in (x, y, *(at or {})):
        if name is not None and name not in names:
            raise LabelError(f"no parameter {name!r}{nearest(name, names)}")
    chosen = np.ones(product.sizes["label"], dtype=bool)
    for name, value in (at or {}).items():
        about = [Variable.of(product[name], sample="label")]
        chosen &= positions(product[name].values[:, None], np.array([[value]]), about) >= 0
    if not chosen.any():
        raise LabelError(f"no label at {dict(at or {})}")
    product, values, floor = product.isel(label=chosen), values[chosen], floor[chosen]
    if y is None:
        return _line(product, metric, variable, source, x, values, floor)
    parts = _precisions(product, metric, values)
    page = Page(WIDTH if len(parts) > 1 else 0.7 * WIDTH, 4.4 if len(parts) == 1 else 3.6)
    axes = page.subplots(1, len(parts), squeeze=False, sharex=True, sharey=True)[0]
    shown = titled(*_words(product, metric))
    columns = [product[name].values for name in (x, y)]
    for axis, part in zip(axes, parts, strict=True):
        title = f"{_range(product, part)} events of truth a label" if len(parts) > 1 else ""
        tidy(axis, _title(product, x), title=title)
        inside = [np.where(part, array, np.nan) for array in (values, floor)]
        _map(page, axis, columns, inside[0], inside[1], metric, shown)
        _frame(axis, columns, _held(product) & part)
    axes[0].set_ylabel(_title(product, y), fontsize=TEXT, color=INK)
    rest = [n for n in names if n not in (x, y, *(at or {}))]
    page.heading(_heading(product, metric, variable, source) + _worst(product, metric, rest))
    page.key(_marks(product, metric, values, floor, several=len(parts) > 1))
    return page


def _marks(
    product: xr.Dataset, metric: str, values: Floats, floor: Floats, *, several: bool
) -> list[Any]:
    """Return the entries of the legend that a map needs."""
    found: list[Any] = []
    if _held(product).any():
        found.append(_mark("s", ms=7, mfc="none", mec=_MARK, mew=1.6, label="held out"))
    if metric in SIGNED:
        found.append(_mark("_", color=INK, label="negative"))
    elif np.isfinite(floor).any():
        found.append(Line2D([], [], color=_MARK, lw=2, label="floor, median"))
    if several or np.isnan(values).any():
        found.append(Patch(fc=_HOLE, label="no value here"))
    return found


def _mark(marker: str, **how: Any) -> Line2D:
    return Line2D([], [], ls="", marker=marker, **how)


def _precisions(product: xr.Dataset, metric: str, values: Floats) -> list[NDArray[np.bool_]]:
    """Return the labels in parts of about as many events of truth each, the fewest first."""
    every = np.ones(product.sizes["label"], dtype=bool)
    if "reference" not in product["source"].values or metric == "events":
        return [every]
    events = product["events"].sel(source="reference").values
    size = np.sort(events)
    cuts = size[1:][size[1:] > _APART * size[:-1]]
    part = np.searchsorted(cuts, events, side="right")
    parts = [part == k for k in range(len(cuts) + 1)]
    filled = [p for p in parts if np.isfinite(values[p]).any()]
    return filled if 1 < len(filled) <= _PANELS else [every]


def _map(
    page: Page, axis: Axes, columns: list[Floats], values: Floats, floor: Floats, metric: str,
    shown: str,
) -> None:  # fmt: skip
    """Draw one panel of tiles with its colour bar, on which the floor is marked."""
    middle = float(np.nanmedian(floor)) if np.isfinite(floor).any() else float("nan")
    norm = norm_of(metric, np.append(values, middle))
    cmap = "RdBu_r" if metric in SIGNED else "viridis_r" if metric in SIZES else "viridis"
    mesh = tiles(axis, columns, values, norm, cmap, least=metric in SIZES)
    if metric in SIGNED:  # in grey, both ends of the scale are dark
        below = np.nan_to_num(values) < 0
        axis.plot(*(c[below] for c in columns), "_", ms=5, mew=0.9, color=INK)
    bar = colourbar(page, mesh, axis, wrapped(shown, 36))
    if metric not in SIGNED and np.isfinite(middle):
        for colour, width in (("white", 4.0), (_MARK, 2.0)):  # a rim: seen on any colour
            bar.ax.plot([0, 1], [middle, middle], color=colour, lw=width, clip_on=False)
    if isinstance(norm, LogNorm):
        plain_log(bar.ax.yaxis, *mesh.get_clim())


def tiles(
    axis: Axes, columns: list[Floats], values: Floats, norm: Normalize, cmap: str = "viridis",
    *, least: bool = False,
) -> Any:  # fmt: skip
    """Draw tiles where labels stand on a grid, squares where they do not.

    `columns` are two parameters of each label, coloured by `values` ``[label]``; of several labels
    at one place the one of the largest size is shown, or the smallest value with `least`.
    """
    axes = [np.unique(column) for column in columns]
    if not on_grid(columns):
        return axis.scatter(
            columns[0], columns[1], c=values, s=60, marker="s", cmap=cmap, norm=norm
        )
    grid = np.full((axes[1].size, axes[0].size), np.nan)
    places = [np.searchsorted(a, c) for a, c in zip(axes, columns, strict=True)]
    # The worst is written last.
    for k in np.argsort(-values if least else np.abs(values), kind="stable"):
        if np.isfinite(values[k]):
            grid[places[1][k], places[0][k]] = values[k]
    axis.set_facecolor(_HOLE)
    borders = [_borders(a) for a in axes]
    shown = np.ma.masked_invalid(grid)
    return axis.pcolormesh(*borders, shown, cmap=cmap, norm=norm, rasterized=True)


def on_grid(columns: list[Floats]) -> bool:
    """Return whether labels fill at least half of the grid that their values span."""
    places = len(np.unique(np.stack(columns, axis=1), axis=0))
    return np.unique(columns[0]).size * np.unique(columns[1]).size <= 2 * places


def norm_of(metric: str, values: Floats) -> Normalize:
    """Return a scale for the values (and the floor: how far they are from it is the point)."""
    shown = values[np.isfinite(values)]
    if metric in SIGNED:
        return CenteredNorm(0)
    if not len(shown):
        return Normalize(0, 1)
    low, high = float(shown.min()), float(shown.max())
    if metric == "auc" or low <= 0:
        return Normalize(low, max(high, low + 1e-3))
    return LogNorm(low, max(high, low * 1.01))


def _frame(axis: Axes, columns: list[Floats], held: NDArray[np.bool_]) -> None:
    """Frame the held-out labels."""
    if not on_grid(columns):
        axis.plot(*(c[held] for c in columns), "s", ms=11, mfc="none", mec=_MARK, mew=1.6)
        return
    axes = [np.unique(column) for column in columns]
    borders = [_borders(a) for a in axes]
    places = [np.searchsorted(a, c[held]) for a, c in zip(axes, columns, strict=True)]
    for column, row in sorted(set(zip(*(p.tolist() for p in places), strict=True))):
        left, right = borders[0][column : column + 2]
        low, high = borders[1][row : row + 2]
        dx, dy = 0.06 * (right - left), 0.06 * (high - low)
        xs = [left + dx, right - dx, right - dx, left + dx, left + dx]
        ys = [low + dy, low + dy, high - dy, high - dy, low + dy]
        for colour, width in (("white", 3.2), (_MARK, 1.6)):  # a rim: seen on any tile
            axis.plot(xs, ys, color=colour, lw=width, solid_joinstyle="miter")


def _line(
    product: xr.Dataset, metric: str, variable: str | None, source: str, x: str, values: Floats,
    floor: Floats,
) -> Page:  # fmt: skip
    """Draw the metric over one parameter, above each label's own floor."""
    page = Page(0.7 * WIDTH, 3.6)
    axis = page.subplots()
    order = np.argsort(product[x].values, kind="stable")
    xs, held = product[x].values[order], _held(product)[order]
    style = styles([source])[source]
    axis.plot(xs, values[order], color=style.colour, lw=1.2, marker="o", ms=3.5,
              label=in_words(source))  # fmt: skip
    if held.any():
        axis.plot(xs[held], values[order][held], "s", ms=8, mfc="none", mec=_MARK, mew=1.4,
                  label="held out")  # fmt: skip
    if np.isfinite(floor).any() and metric not in SIGNED:
        axis.plot(xs, floor[order], color="#7f7f7f", lw=1, ls="--", label="floor")
    tidy(axis, _title(product, x), titled(*_words(product, metric)), inches=2.8)
    norm = norm_of(metric, np.append(values, floor))
    if isinstance(norm, LogNorm) and norm.vmin and norm.vmax:
        low, high = norm.vmin / 1.2, norm.vmax * 1.2
        axis.set_yscale("log")
        plain_log(axis.yaxis, low, high)
        axis.set_ylim(low, high)
    page.heading(_heading(product, metric, variable, source))
    page.key_of(axis)
    return page


def _metric(product: xr.Dataset, metric: str, variable: str | None, source: str) -> Floats:
    """Return ``[label]``: one variable's value, or that of largest size."""
    known = [str(n) for n, a in product.data_vars.items() if {"source", "label"} <= set(a.dims)]
    check_name("metric", metric, known)
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
    if not flat.shape[1]:
        raise LabelError(f"{metric} goes over pairs of variables, and there is one variable only")
    pick = np.abs(np.nan_to_num(flat)).argmax(axis=1)
    if metric in SIZES:
        pick = np.nan_to_num(flat, nan=np.inf).argmin(axis=1)
    return np.asarray(flat[np.arange(len(flat)), pick], dtype=np.float64)


def _floor(product: xr.Dataset, metric: str, variable: str | None) -> Floats:
    """Return the floor ``[label]``, NaN where there is none."""
    if "floor" not in product["source"].values:
        return np.full(product.sizes["label"], np.nan)
    return _metric(product, metric, variable, "floor")


def _held(product: xr.Dataset) -> NDArray[np.bool_]:
    """Return which labels to mark; in K folds all are held out, which would say nothing."""
    held: NDArray[np.bool_] = product["held_out"].values.astype(bool)
    return held & ~held.all()


def _heading(product: xr.Dataset, metric: str, variable: str | None, source: str) -> str:
    """Say the source, and of which variable the metric is."""
    if variable is None:
        several = max((product.sizes[d] for d in ("variable", "pair") if d in product[metric].dims),
                      default=1) > 1  # fmt: skip
        return in_words(source) + (", the worst variable" if several else "")
    titles = dict(zip(product["variable"].values.tolist(), product["title"].values, strict=True))
    return f"{in_words(source)}, " + " and ".join(str(titles[v]) for v in variable.split(","))


def _worst(product: xr.Dataset, metric: str, rest: list[str]) -> str:
    """Say what is shown of the labels that share a tile."""
    if not any(len(np.unique(product[name])) > 1 for name in rest):
        return ""
    which = "most" if metric == "events" else "worst"
    return f"; the {which} of any {' and '.join(_title(product, name) for name in rest)}"


def _words(product: xr.Dataset, metric: str) -> tuple[str, str]:
    """Return long name and unit of a metric."""
    about = product[metric].attrs
    return str(about.get("long_name", in_words(metric))), str(about.get("units", "1"))


def _range(product: xr.Dataset, part: NDArray[np.bool_]) -> str:
    events = product["events"].sel(source="reference").values[part]
    low, high = (float(f"{n:.2g}") for n in (events.min(), events.max()))
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def _borders(axis: Floats) -> Floats:
    """Edges of tiles around the values of a grid axis."""
    if len(axis) == 1:
        half = max(abs(float(axis[0])) * 0.05, 0.25)
        return np.array([axis[0] - half, axis[0] + half])
    middle = (axis[1:] + axis[:-1]) / 2
    return np.concatenate([[2 * axis[0] - middle[0]], middle, [2 * axis[-1] - middle[-1]]])


def _title(product: xr.Dataset, name: str) -> str:
    return Variable.of(product[name], sample="label").title
