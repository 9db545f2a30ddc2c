"""Pictures of sets of events, of what they can tell, and of point estimates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from presage.analysis.canvas import (
    INK,
    SERIES,
    WIDTH,
    Page,
    Style,
    plain_log,
    tidy,
    titled,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SETS, _BINS = 4, 40


def sets_figure(dataset: xr.Dataset, sets: int = 4) -> Page:
    """Return the distribution of each feature in a few sets, one colour a set.

    Parameters
    ----------
    dataset
        Sets of events of a problem, ``events`` ``[sample, repeat, event, feature]``; the first
        ones along ``sample`` are shown, each in its first repetition.
    sets
        How many, four at most.
    """
    count = dataset.sizes["feature"]
    page = Page(WIDTH if count > 1 else 0.7 * WIDTH, 3.6)
    panels = page.subplots(1, count, squeeze=False)[0]
    shown = [_events(dataset, i) for i in range(min(sets, _SETS, dataset.sizes["sample"]))]
    for column, axes in enumerate(panels):
        _feature(axes, dataset.isel(feature=column), [events[:, column] for events in shown])
        if column:
            axes.set_ylabel("")
    page.key([_style(dataset, i)[1] for i in range(len(shown))])
    return page


def _style(dataset: xr.Dataset, number: int) -> tuple[Style, Line2D]:
    """Return how a set is drawn, and its entry in a legend."""
    style = SERIES[number]
    text = wrapped(_words(dataset, number), 115)
    return style, Line2D([], [], color=style.colour, ls=style.dash, lw=1.3, label=text)


def _events(dataset: xr.Dataset, number: int) -> NDArray[np.float64]:
    one = dataset.isel(sample=number)
    if "repeat" in one.dims:
        return np.asarray(one["events"].isel(repeat=0).values, dtype=np.float64)
    count = np.concatenate([[0], np.cumsum(dataset["event_count"].values)])
    flat = dataset["events"].isel(event=slice(int(count[number]), int(count[number + 1])))
    return np.asarray(flat.values, dtype=np.float64)


def _feature(axes: Axes, about: xr.Dataset, values: list[NDArray[np.float64]]) -> None:
    """Draw normalised histograms on the axis that suits the feature."""
    scale, unit = str(about["feature_scale"].values), str(about["feature_unit"].values)
    logarithmic = scale in ("log", "logit") and min(v.min() for v in values) > 0
    edges = _edges(np.concatenate(values), logarithmic)
    for one, style in zip(values, SERIES, strict=False):
        counts, _ = np.histogram(one, edges)
        axes.stairs(counts / len(one), edges, color=style.colour, ls=style.dash, linewidth=1.2)
    if logarithmic:
        axes.set_xscale("log")
    title = str(about["feature_title"].values)
    tidy(axes, titled(title, unit), "share of the events in a bin")


def _edges(values: NDArray[np.float64], logarithmic: bool) -> NDArray[np.float64]:
    low, high = np.quantile(values, [0.001, 0.999])
    if logarithmic:
        return np.geomspace(low, high, _BINS + 1)
    return np.linspace(low, high if high > low else low + 1, _BINS + 1)


def _words(dataset: xr.Dataset, number: int) -> str:
    theta: Any = dataset["theta"].isel(sample=number)
    pairs = zip(_titles(dataset), theta.values, strict=True)
    return ", ".join(f"{name} {value:.2g}" for name, value in pairs)


def _titles(dataset: xr.Dataset | xr.DataArray) -> list[str]:
    """Return the long names of the parameters."""
    return [str(t) for t in dataset.coords.get("parameter_title", dataset["parameter"]).values]


def information_figure(limit: xr.Dataset, theta: xr.DataArray) -> Page:
    """Return how narrow an estimate can be, as a share of the prior's standard deviation.

    Parameters
    ----------
    limit
        ``deviation`` ``[sample, parameter]`` of
        :func:`~presage.studies.pdf.information.fisher_information`.
    theta
        The parameters it was worked out at, with the prior's edges as coordinates.
    """
    names = [wrapped(title, 24) for title in _titles(theta)]
    spread = (theta["parameter_high"] - theta["parameter_low"]) / np.sqrt(12)
    share = (limit["deviation"] / spread).transpose("parameter", ...).values.reshape(len(names), -1)
    page = Page(0.7 * WIDTH, 1.2 + 0.35 * len(names))
    axes = page.subplots()
    rows = np.arange(len(names))[::-1]
    for number, (column, style) in enumerate(zip(share.T, SERIES, strict=False)):
        axes.plot(column, rows, style.marker, color=style.colour, ms=4.5, alpha=0.85,
                  label=f"observation {number}")  # fmt: skip
    axes.axvline(1, color=INK, linewidth=0.8, linestyle=":", label="the prior's own")
    axes.set_xscale("log")
    plain_log(axes.xaxis, *axes.get_xlim())
    axes.set_yticks(rows, names)
    tidy(axes, "smallest standard deviation / the prior's")
    page.key_of(axes)
    return page


def point_figure(point: xr.DataArray, truth: xr.DataArray) -> Page:
    """Return point estimates against the truth, one panel a parameter.

    Parameters
    ----------
    point, truth
        ``[*, parameter]`` each.
    """
    names, count = _titles(truth), truth.sizes["parameter"]
    columns = min(3, count)
    rows = -(-count // columns)
    page = Page(WIDTH, 2.5 * rows + 0.3)
    panels = page.subplots(rows, columns, squeeze=False).ravel()
    for k, (title, axes) in enumerate(zip(names, panels, strict=False)):
        x, y = (array.isel(parameter=k).values.ravel() for array in (truth, point))
        edges = [min(x.min(), y.min()), max(x.max(), y.max())]
        axes.plot(edges, edges, color=INK, linewidth=0.8, linestyle=":", label="exact")
        axes.plot(x, y, ".", color=SERIES[0].colour, markersize=3, alpha=0.7, rasterized=True,
                  label="one set of events")  # fmt: skip
        rmse = float(np.sqrt(np.mean((x - y) ** 2)))
        tidy(axes, f"true {title}", "" if k % columns else "estimate",
             f"rms error {rmse:.2g}", inches=1.8)  # fmt: skip
    for axes in panels[count:]:
        axes.set_visible(False)
    page.key_of(panels[0])
    return page
