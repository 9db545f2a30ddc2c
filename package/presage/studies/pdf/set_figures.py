"""Pictures of sets of events: what the network is shown."""

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
