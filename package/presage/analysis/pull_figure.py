"""The figure of pulls: their histogram beside the unit normal, and every label's width."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from presage.analysis.canvas import FAINT, INK, Page, colours, in_words, tidy
from presage.analysis.pull_histogram import BINS, pull_histogram
from presage.analysis.report import model_of

_MARKS = {"trained": "o", "interior": "s", "edge": "D"}


def pulls_figure(product: xr.Dataset, source: str | None = None) -> Page:
    """Draw how the pulls of all bins are spread, and mean and width of each label's.

    Above, the histogram of all labels' pulls on that of unit normal ones; where a second
    Monte Carlo sample was given, its pulls as well. Below, every label by the mean and the
    width of its pulls, on the region that chance fills in 68 and 95 %.

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
    variables = [str(name) for name in product["variable"].values]
    page = Page(4.4 * len(variables) + 0.4, 6.0)
    rows = page.subplots(2, len(variables), squeeze=False, height_ratios=(1.25, 1))
    number = product.sizes["label"]
    page.suptitle(
        f"Pulls of {in_words(source)} at {number} label{'s'[: number > 1]}", fontsize=11, color=INK
    )
    for column, variable in zip(rows.T, variables, strict=True):
        other = None if floor is None else floor.sel(variable=variable)
        _histogram(column[0], found.sel(variable=variable), source, other)
        _labels(column[1], product.sel(variable=variable), source)
    for axis in rows[:, 1:].ravel():
        axis.set_ylabel("")
    rows[0, 0].legend(fontsize=7.5, frameon=False, loc="upper left")
    rows[1, 0].legend(
        fontsize=7.5, frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(-0.02, 1.0)
    )
    return page


def _histogram(axis: Axes, found: xr.Dataset, source: str, floor: xr.Dataset | None) -> None:
    palette = colours([source])
    reach = float(found.attrs["reach"])
    edges = np.linspace(-reach, reach, BINS + 1)
    share = 100 / max(int(found["pulls"].sum()), 1)
    axis.stairs(found["expected"] * share, edges, fill=True, color=FAINT, label="unit normal")
    if floor is not None:
        parts = 100 / max(int(floor["pulls"].sum()), 1)
        axis.stairs(floor["pulls"] * parts, edges, color="#8c8c8c", lw=1.1, label="floor")
    axis.stairs(
        found["pulls"] * share, edges, color=palette[source], lw=1.6, label=in_words(source)
    )
    tidy(axis, f"({in_words(source)} − reference) / statistical error", "bins [%]", _words(found))
    axis.set_xlim(-reach, reach)
    axis.set_ylim(bottom=0)


def _words(found: xr.Dataset) -> str:
    """Say the variable, mean and width of its pulls, and what chance gives."""
    mean, error, width, law, scatter = (
        f"{float(found[n]):.2f}"
        for n in ("mean", "mean_by_chance", "width", "width_by_chance", "width_scatter")
    )
    return (
        f"{found['title'].values}, {int(found['pulls'].sum())} bins\n"
        f"mean {mean} (chance 0 ± {error}), width {width} (chance {law} ± {scatter})"
    )


def _labels(axis: Axes, here: xr.Dataset, source: str) -> None:
    mean, width = (here[n].sel(source=source).values for n in ("pull_mean", "pull_width"))
    bins = here.sizes["bin"]
    expected = float(here["pull_width"].sel(source="floor").median())
    reach = float(here["pull_mean"].sel(source="floor").median()) * np.sqrt(np.pi / 2)
    for sigmas, shade in ((2, "#ededed"), (1, FAINT)):
        low, high = expected + sigmas * np.array([-1, 1]) / np.sqrt(2 * bins)
        name = "chance, 68 and 95 %" if sigmas == 1 else None
        axis.fill_between(
            [-sigmas * reach, sigmas * reach], low, high, color=shade, lw=0, label=name
        )
    for region, mark in _MARKS.items():
        chosen = here["region"].values == region
        colour = "#8c8c8c" if region == "trained" else colours([source])[source]
        if chosen.any():
            axis.plot(mean[chosen], width[chosen], mark, ms=4, mfc="none", mec=colour, label=region)
    tidy(axis, "mean pull of a label", "rms pull of a label")
    if np.nanmax(width, initial=0) > 6 * expected:
        axis.set_yscale("log")
        axis.set_yticks([1, 2, 5, 10, 20, 50, 100], minor=False)
        axis.yaxis.set_major_formatter("{x:g}")
        axis.minorticks_off()
        axis.set_ylim(0.6 * expected, 1.3 * float(np.nanmax(width)))
