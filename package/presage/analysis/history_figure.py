"""The figure of a training's losses by epoch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from presage.analysis.canvas import SERIES, WIDTH, Page, in_words, plain_log, tidy
from presage.labels import LabelError


def history_figure(history: xr.Dataset) -> Page:
    """Draw training and validation loss by epoch.

    Losses that are all positive get a log scale. Mean −log p may be negative, and its
    absolute value would show a false minimum where it crosses zero: such losses are drawn
    as they are, on a scale that is logarithmic in the distance above the lowest value.

    Parameters
    ----------
    history
        ``*loss*[epoch]``, as in ``Fitted.history``.
    """
    if "epoch" not in history.dims:
        raise LabelError(f"a history has the dimension 'epoch', got {tuple(history.dims)}")
    names = [
        str(n) for n, a in history.data_vars.items() if "loss" in str(n) and a.dims == ("epoch",)
    ]
    if not names:
        raise LabelError(f"the history holds no loss; it holds {', '.join(map(str, history))}")
    epoch = (
        history["epoch"].values if "epoch" in history.coords else np.arange(history.sizes["epoch"])
    )
    losses = {name: np.asarray(history[name].values, dtype=float) for name in names}
    everything = np.concatenate(list(losses.values()))
    everything = everything[np.isfinite(everything)]
    page = Page(0.7 * WIDTH, 3.2)
    axis = page.subplots()
    for (colour, dash, _), (name, values) in zip(SERIES, losses.items(), strict=False):
        finite = np.isfinite(values)
        words = "training loss" if name == "loss" else in_words(name)
        axis.plot(epoch[finite], values[finite], lw=1.4, color=colour, ls=dash, label=words)
        if finite.any() and ("valid" in name or len(names) == 1):
            best = np.flatnonzero(finite)[values[finite].argmin()]
            axis.plot(epoch[best], values[best], "o", ms=5, mfc="white", mec=colour,
                      label=f"lowest {words}")  # fmt: skip
    tidy(axis, "epoch", _loss_scale(axis, everything))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    page.key_of(axis)
    return page


def _loss_scale(axis: Axes, values: NDArray[np.float64]) -> str:
    """Set a scale that opens up the small losses, and return the axis label."""
    if len(values) == 0:
        return "loss"
    low, high = float(values.min()), float(values.max())
    if low > 0:
        axis.set_yscale("log")
        plain_log(axis.yaxis, low, high)
        return "loss"
    unit = max((high - low) * 1e-2, 1e-12)

    def forward(y: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.arcsinh((np.asarray(y) - low) / unit))

    def inverse(z: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(low + unit * np.sinh(np.asarray(z)))

    axis.set_yscale("function", functions=(forward, inverse))
    ticks = low + (high - low) * np.array([0, 0.01, 0.03, 0.1, 0.3, 1.0])
    digits = max(0, math.ceil(-math.log10(unit)))
    axis.set_yticks(ticks, [f"{tick:.{digits}f}" for tick in ticks])
    return "loss (log scale above the lowest)"
