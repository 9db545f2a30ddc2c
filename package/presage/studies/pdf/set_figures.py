"""Pictures of sets of events, of what they can tell, and of point estimates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from presage.analysis.canvas import INK, Page, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_BINS = 40


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
    names = [str(name) for name in dataset["feature"].values]
    page = Page(max(3.4 * len(names), 5.5), 3.4)
    panels = page.subplots(1, len(names), squeeze=False)[0]
    shown = [_events(dataset, i) for i in range(min(sets, len(_COLOURS), dataset.sizes["sample"]))]
    for column, axes in enumerate(panels):
        _feature(axes, dataset.isel(feature=column), [events[:, column] for events in shown])
    page.legend(
        panels[0].patches,
        [_words(dataset, i) for i in range(len(shown))],
        loc="outside upper left",
        fontsize=7.5,
        frameon=False,
        labelcolor=INK,
    )
    return page


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
    for one, colour in zip(values, _COLOURS, strict=False):
        counts, _ = np.histogram(one, edges)
        axes.stairs(counts / len(one), edges, color=colour, linewidth=1.3)
    if logarithmic:
        axes.set_xscale("log")
    title = str(about["feature_title"].values)
    tidy(axes, title if unit == "1" else f"{title} [{unit}]", "share of the events")


def _edges(values: NDArray[np.float64], logarithmic: bool) -> NDArray[np.float64]:
    low, high = np.quantile(values, [0.001, 0.999])
    if logarithmic:
        return np.geomspace(low, high, _BINS + 1)
    return np.linspace(low, high if high > low else low + 1, _BINS + 1)


def _words(dataset: xr.Dataset, number: int) -> str:
    theta: Any = dataset["theta"].isel(sample=number)
    pairs = zip(dataset["parameter"].values, theta.values, strict=True)
    return ", ".join(f"{name} {value:.2g}" for name, value in pairs)


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
    names = [str(name) for name in limit["parameter"].values]
    spread = (theta["parameter_high"] - theta["parameter_low"]) / np.sqrt(12)
    share = (limit["deviation"] / spread).transpose("parameter", ...).values.reshape(len(names), -1)
    page = Page(5.5, 0.5 + 0.35 * len(names))
    axes = page.subplots()
    rows = np.arange(len(names))[::-1]
    for column, colour in zip(share.T, _COLOURS, strict=False):
        axes.plot(column, rows, "o", color=colour, markersize=5, alpha=0.85)
    axes.axvline(1, color=INK, linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set_yticks(rows, names)
    tidy(axes, "smallest standard deviation / the prior's")
    return page


def point_figure(point: xr.DataArray, truth: xr.DataArray) -> Page:
    """Return point estimates against the truth, one panel a parameter.

    Parameters
    ----------
    point, truth
        ``[*, parameter]`` each.
    """
    names = [str(name) for name in truth["parameter"].values]
    page = Page(min(2.3 * len(names), 12), 2.5)
    for name, axes in zip(names, page.subplots(1, len(names), squeeze=False)[0], strict=True):
        x, y = truth.sel(parameter=name).values.ravel(), point.sel(parameter=name).values.ravel()
        edges = [min(x.min(), y.min()), max(x.max(), y.max())]
        axes.plot(edges, edges, color=INK, linewidth=0.8, linestyle=":")
        axes.plot(x, y, ".", color=_COLOURS[0], markersize=3, alpha=0.7)
        tidy(axes, f"true {name}", "estimate" if name == names[0] else "")
        rmse = float(np.sqrt(np.mean((x - y) ** 2)))
        axes.set_title(f"rms error {rmse:.2g}", fontsize=8, color=INK, loc="left")
    return page
