"""The figure of pulls: their histogram beside the unit normal, and every label's width."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from presage.analysis.bin_statistics import counted
from presage.analysis.canvas import (
    FAINT,
    WIDTH,
    Page,
    in_words,
    number,
    plain_log,
    styles,
    tidy,
)  # fmt: skip
from presage.analysis.judging import model_of
from presage.analysis.pull_histogram import BINS, pull_histogram, pulls_by_chance

_MARKS = {"trained": "o", "interior": "s", "edge": "D"}
#: Shares of labels inside, by chance, and the shades of these regions.
INSIDE = {0.95: "#ededed", 0.68: FAINT}


def pulls_figure(product: xr.Dataset, source: str | None = None) -> Page:
    """Draw how the pulls of all bins are spread, and mean and width of each label's.

    In each panel above, the histogram of all labels' pulls on that of unit normal ones; where
    a second Monte Carlo sample was given, its pulls as well. Below, every label by the mean
    and the width of its pulls, on the regions that hold 68 and 95 % of labels by chance.

    Parameters
    ----------
    product
        Of :func:`presage.analysis.compare.compare`.
    source
        By default the model.

    Raises
    ------
    LabelError
        As :func:`presage.analysis.pull_histogram.pull_histogram`.
    """
    source = source or model_of(product)
    found = pull_histogram(product, source)
    reach = float(found.attrs["reach"])
    floor = (
        pull_histogram(product, "floor", reach) if product.attrs["floor"] == "measured" else None
    )
    bins = counted(product)
    law = pulls_by_chance(
        bins.sel(source="reference", drop=True), bins["events"].sel(source=source, drop=True)
    )
    variables = [str(name) for name in product["variable"].values]
    columns = min(2, len(variables))
    bands = -(-len(variables) // columns)
    page = Page(WIDTH if columns > 1 else 0.6 * WIDTH, (4.9 if bands == 1 else 3.6) * bands + 0.4)
    axes = page.subplots(2 * bands, columns, squeeze=False, height_ratios=(1.25, 1) * bands)
    labels = product.sizes["label"]
    page.heading(f"Pulls of {in_words(source)} at {labels} label{'s'[: labels > 1]}")
    for place, variable in enumerate(variables):
        row, column = divmod(place, columns)
        above, below = axes[2 * row : 2 * row + 2, column]
        here = product.sel(variable=variable)
        other = None if floor is None else floor.sel(variable=variable)
        _histogram(above, found.sel(variable=variable), source, other)
        _labels(below, here, law.sel(variable=variable), source)
    for axis in axes[2 * (bands - 1) :, len(variables) - columns * (bands - 1) :].ravel():
        axis.set_visible(False)
    for axis in axes[:, 1:].ravel():
        axis.set_ylabel("")
    page.key_of(*axes.ravel())
    return page


def _histogram(axis: Axes, found: xr.Dataset, source: str, floor: xr.Dataset | None) -> None:
    reach = float(found.attrs["reach"])
    edges = np.linspace(-reach, reach, BINS + 1)
    share = 100 / max(float(found["pulls"].sum()), 1)
    axis.stairs(found["expected"] * share, edges, fill=True, color=FAINT, label="unit normal")
    if floor is not None:
        parts = 100 / max(float(floor["pulls"].sum()), 1)
        label = "floor (second Monte Carlo sample)"
        axis.stairs(floor["pulls"] * parts, edges, color="#7f7f7f", lw=1, ls="--", label=label)
    colour = styles([source])[source].colour
    axis.stairs(found["pulls"] * share, edges, color=colour, lw=1.5, label=in_words(source))
    tidy(axis, "pull: difference / statistical error", "bins [%]", _words(found))
    axis.set_xlim(-reach, reach)
    axis.set_ylim(bottom=0)


def _words(found: xr.Dataset) -> str:
    """Say the variable, mean and width of its pulls, and what chance gives."""
    mean, error, width, law, scatter = (
        f"{float(found[n]):.2f}".replace("-", "−")
        for n in ("mean", "mean_by_chance", "width", "width_by_chance", "width_scatter")
    )
    if not float(found["pulls"].sum()):
        return f"{found['title'].values}\nno bin has enough events to say"
    bins = number(float(found["pulls"].sum()))
    return (
        f"{found['title'].values}\n{bins} bins; in brackets: by chance\n"
        f"mean {mean} (0 ± {error}), width {width} ({law} ± {scatter})"
    )


def _labels(axis: Axes, here: xr.Dataset, law: xr.Dataset, source: str) -> None:
    """Mean and width of each label's pulls, and where chance puts them."""
    mean, width = (here[n].sel(source=source).values for n in ("pull_mean", "pull_width"))
    middle, spread, scatter = (float(law[n].median()) for n in ("width", "mean", "scatter"))
    theta = np.linspace(0, 2 * np.pi, 181)
    for share, shade in INSIDE.items():
        sigmas = np.sqrt(-2 * np.log(1 - share))  # of two independent normal numbers
        x, y = sigmas * spread * np.cos(theta), middle + sigmas * scatter * np.sin(theta)
        axis.fill(x, y, color=shade, lw=0, label=f"{100 * share:.0f} % of labels, by chance")
    for region, mark in _MARKS.items():
        chosen = here["region"].values == region
        colour = "#7f7f7f" if region == "trained" else styles([source])[source].colour
        if chosen.any():
            name = {"trained": "trained on", "interior": "held out inside the grid",
                    "edge": "held out on its edge"}[region]  # fmt: skip
            axis.plot(mean[chosen], width[chosen], mark, ms=3.5, mfc="none", mec=colour, label=name)
    tidy(axis, "mean pull of a label", "rms pull of a label")
    axis.set_ylim(bottom=max(axis.get_ylim()[0], 0.0))
    if np.nanmax(width, initial=0) > 6 * middle:
        axis.set_yscale("log")
        low, high = 0.6 * middle, 1.3 * float(np.nanmax(width))
        plain_log(axis.yaxis, low, high)
        axis.set_ylim(low, high)
