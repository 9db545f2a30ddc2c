"""The figure of expected limits along one label, with points that they are to agree with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from presage.analysis.canvas import FAINT, SERIES, Page, tidy
from presage.labels import Floats, LabelError


def limit_figure(
    at: Sequence[float],
    limits: ArrayLike,
    points: Mapping[str, tuple[Sequence[float], ArrayLike]],
    xlabel: str,
    ylabel: str = "upper limit of the strength",
) -> Page:
    """Draw a median with its 68 % band, and points beside it, on a logarithmic scale.

    Parameters
    ----------
    at
        Values of the label, ascending.
    limits
        ``[label, 3]``: lower end, median and upper end of the band.
    points
        What is shown beside it → values of the label, and the median limit at each.
    xlabel, ylabel
        Titles of the axes.

    Raises
    ------
    LabelError
        `limits` are not three numbers for each value of the label.
    """
    low, median, high = _columns(limits, len(at))
    page = Page(5.0, 3.6)
    axes = page.subplots()
    axes.fill_between(at, low, high, color=FAINT, lw=0, label="68 % of what is expected")
    axes.plot(at, median, color=SERIES[0].colour, label="median, interpolated templates")
    for k, (name, (where, values)) in enumerate(points.items(), start=1):
        style = SERIES[k % len(SERIES)]
        axes.plot(
            where, np.asarray(values), style.marker, mfc="none", color=style.colour, label=name
        )
    axes.set_yscale("log")
    tidy(axes, xlabel, ylabel)
    page.key_of(axes)
    return page


def _columns(limits: ArrayLike, labels: int) -> tuple[Floats, Floats, Floats]:
    values = np.asarray(limits, dtype=np.float64)
    if values.shape != (labels, 3):
        raise LabelError(f"limits are {labels} rows of three numbers, got {values.shape}")
    return values[:, 0], values[:, 1], values[:, 2]
