"""Figures of residuals: reference, generated and pull, in one and two dimensions.

All are drawn from the residuals product alone, without events, and return a
:class:`Page` (a matplotlib figure). Reds mean that the generated sample has too many
events, blues too few.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from presage.analysis.canvas import FAINT, INK, Page, colourbar, colours, in_words, tidy
from presage.analysis.histograms import pulls, pulls_2d
from presage.analysis.history_figure import history_figure
from presage.analysis.label_figures import label_map, label_scatter
from presage.analysis.labelled import Floats
from presage.analysis.report import RIVALS, judged, label_number, model_of, title_of
from presage.labels import LabelError, nearest

__all__ = ["Page", "history_figure", "label_map", "label_scatter", "marginals", "residual_figure"]

#: Reference events below which a bin's residual is not drawn.
LOW_COUNT = 25
#: Events of both samples below which a cell's pull is not drawn.
LOW_CELL = 10
_DENSITY, _DIVERGING = "YlGnBu", "RdBu_r"
#: Shares of events inside the contours.
_INSIDE = (0.5, 0.9, 0.99)


def residual_figure(
    product: xr.Dataset,
    label: int | Sequence[float] | None = None,
    pair: str | None = None,
    source: str | None = None,
) -> Page:
    """Draw reference, generated, both as contours, and their pull, for one label.

    Parameters
    ----------
    product
        Of :func:`presage.analysis.residuals.compare`.
    label
        Its number or its values; by default the held-out label with the largest W1/std.
    pair
        Two variables, ``"phi_mass,omega_mass"``; by default the first pair.
    source
        What is compared with the reference; by default the model.

    Raises
    ------
    LabelError
        Unknown label, pair or source, or there is only one variable.
    """
    i, pair, source = _choose(product, label, pair, source)
    x, y = pair.split(",")
    edges = product["edges"].transpose("label", "variable", "edge").isel(label=i)
    grid = edges.sel(variable=x).values, edges.sel(variable=y).values
    reference, generated = (_cells(product, name, i, pair) for name in ("reference", source))
    pull = pulls_2d(product, source).isel(label=i).sel(pair=pair).transpose("bin_y", "bin_x").values
    page = Page(8.6, 7.4)
    axes = page.subplots(2, 2, sharex=True, sharey=True)
    page.suptitle(title_of(product, i), fontsize=11, color=INK)
    top = max(reference.max(), generated.max())
    norm = LogNorm(vmin=max(top * 1e-4, 1e-12), vmax=top)
    for axis, cells, name in zip(
        axes[0], (reference, generated), ("reference", source), strict=True
    ):
        shown = np.ma.masked_less_equal(cells, 0)
        mesh = axis.pcolormesh(*grid, shown, cmap=_DENSITY, norm=norm, rasterized=True)
        tidy(axis, title=f"{in_words(name)}, {_number(product, name, i)} events")
    colourbar(page, mesh, list(axes[0]), "share of events in a cell")
    _overlay(axes[1, 0], grid, reference, generated, source)
    events = [_cells(product, name, i, pair, share=False) for name in ("reference", source)]
    _pull_panel(page, axes[1], grid, np.where(sum(events) < LOW_CELL, np.nan, pull), source)
    axes[1, 1].set_title(_caption(product, i, source), fontsize=9.5, color=INK, loc="left")
    for axis in axes[1]:
        axis.set_xlabel(_title(product, x), fontsize=9)
    for axis in axes[:, 0]:
        axis.set_ylabel(_title(product, y), fontsize=9)
    return page


def marginals(product: xr.Dataset, label: int | Sequence[float] | None = None) -> Page:
    """Draw each variable's distribution for all sources, with strips of residuals below.

    The first strip is the model's pull; the second the relative difference of every source
    with the floor (one standard error of two Monte Carlo samples) as a band. Bins with fewer
    than 25 reference events are left out of the strips.

    Parameters
    ----------
    product, label
        As in :func:`residual_figure`.
    """
    i = label_number(product, label)
    variables = [str(name) for name in product["variable"].values]
    page = Page(4.6 * len(variables) + 0.6, 5.6)
    rows = page.subplots(3, len(variables), sharex="col", squeeze=False, height_ratios=(3, 1, 1.2))
    page.suptitle(title_of(product, i), fontsize=11, color=INK)
    for column, variable in zip(rows.T, variables, strict=True):
        here = product.isel(label=i).sel(variable=variable)
        _distributions(column[0], here)
        _pull_strip(column[1], here, pulls(product, model_of(product)))
        _relative_strip(column[2], here)
        column[2].set_xlabel(_title(product, variable), fontsize=9)
    handles, names = rows[0, 0].get_legend_handles_labels()
    known = [in_words(name) for name in ("reference", *judged(product))]
    order = np.argsort([known.index(name) for name in names])
    rows[0, 0].legend(
        [handles[k] for k in order], [names[k] for k in order], fontsize=8, frameon=False
    )
    return page


def _choose(
    product: xr.Dataset, label: int | Sequence[float] | None, pair: str | None, source: str | None
) -> tuple[int, str, str]:
    pairs = [str(name) for name in product["pair"].values]
    sources = [str(name) for name in product["source"].values]
    if not pairs:
        raise LabelError("there is one variable only: draw its marginals instead")
    pair, source = pair or pairs[0], source or model_of(product)
    for what, name, known in (("pair", pair, pairs), ("source", source, sources)):
        if name not in known:
            raise LabelError(f"no {what} {name!r}{nearest(name, known)}")
    return label_number(product, label), pair, source


def _cells(product: xr.Dataset, source: str, label: int, pair: str, share: bool = True) -> Floats:
    """Return counts of one sample ``[bin_y, bin_x]``, or their share of all events."""
    chosen = product[["counts_2d", "events"]].sel(source=source, pair=pair).isel(label=label)
    counts = chosen["counts_2d"].transpose("bin_y", "bin_x").values.astype(float)
    events = float(chosen["events"])
    if events == 0:
        raise LabelError(f"{source!r} is an expectation, not a sample: it has no events to draw")
    return counts / events if share else counts


def _overlay(
    axis: Axes, grid: tuple[Floats, Floats], reference: Floats, generated: Floats, source: str
) -> None:
    """Contours that hold 50, 90 and 99 % of the events shown; smoothed by less than a bin."""
    centres = [np.concatenate([e[:1], (e[1:] + e[:-1]) / 2, e[-1:]]) for e in grid]
    palette = colours([source])
    shades = ("#efefef", "#d6d6d6", "#b5b5b5")
    smooth = _smooth(reference)
    levels = _levels(smooth)
    axis.contourf(*centres, smooth, levels=[*levels, smooth.max() * 1.01], colors=shades)
    axis.contour(*centres, smooth, levels=levels, colors=palette["reference"], linewidths=0.7)
    smooth = _smooth(generated)
    axis.contour(
        *centres,
        smooth,
        levels=_levels(smooth),
        colors=palette[source],
        linewidths=1.1,
        linestyles="dashed",
    )
    handles = [
        Line2D([], [], color=palette["reference"], lw=0.8, label="reference"),
        Line2D([], [], color=palette[source], lw=1.2, ls="--", label=in_words(source)),
    ]
    axis.legend(
        handles=handles,
        fontsize=8,
        frameon=False,
        loc="lower right",
        ncols=2,
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.1,
    )
    tidy(axis, title="50, 90, 99 % of events")


def _smooth(cells: Floats) -> Floats:
    """Smooth by less than a bin and repeat the border, so that contours reach the edges."""
    return np.pad(gaussian_filter(cells, 0.7), 1, mode="edge")


def _levels(density: Floats) -> list[float]:
    """Heights of the contours that hold `_INSIDE` of the events, ascending."""
    ordered = np.sort(density.ravel())[::-1]
    inside = np.cumsum(ordered) / ordered.sum()
    heights = [float(ordered[np.searchsorted(inside, share)]) for share in _INSIDE[::-1]]
    for i in range(1, len(heights)):  # contour() wants them strictly ascending
        heights[i] = max(heights[i], heights[i - 1] * (1 + 1e-6) + 1e-15)
    return heights


def _pull_panel(
    page: Page, axes: NDArray[np.object_], grid: tuple[Floats, Floats], pull: Floats, source: str
) -> None:
    axis = axes[1]
    axis.set_facecolor("#dedede")  # too few events to say
    mesh = axis.pcolormesh(
        *grid, np.ma.masked_invalid(pull), cmap=_DIVERGING, norm=Normalize(-5, 5), rasterized=True
    )
    title = f"({in_words(source)} − reference) / statistical error"
    colourbar(page, mesh, list(axes), title, extend="both")
    tidy(axis)


def _caption(product: xr.Dataset, label: int, source: str) -> str:
    here = product.sel(source=source).isel(label=label)
    distance = "/".join(f"{value:.3f}" for value in here["w1_over_std"].values)
    text = f"pull: red too many, blue too few\nW1/std {distance}"
    auc = float(here["auc"])
    return text if np.isnan(auc) else f"{text}, AUC {auc:.3f} ± {float(here['auc_error']):.3f}"


def _distributions(axis: Axes, here: xr.Dataset) -> None:
    edges = here["edges"].values
    names = ["reference", *judged(here)[::-1]]  # the model last, on top
    palette = colours(names[::-1])
    for name in names:
        events = float(here["events"].sel(source=name))
        if events == 0 or name == "floor":
            continue
        density = here["counts"].sel(source=name).values / events / np.diff(edges)
        if name == "reference":
            axis.stairs(density, edges, fill=True, color="#e3e3e3")
        width = 0.8 if name in RIVALS else 1.6 if name == model_of(here) else 1.2
        axis.stairs(density, edges, color=palette[name], lw=width, label=in_words(name))
    unit = str(here["unit"].values)
    tidy(axis, ylabel="density" if unit == "1" else f"density [1/{unit}]")
    axis.set_ylim(bottom=0)


def _pull_strip(axis: Axes, here: xr.Dataset, pull: xr.DataArray) -> None:
    edges = here["edges"].values
    chosen = pull.sel(label=here["label"], variable=here["variable"]).values
    values = np.where(here["counts"].sel(source="reference") >= LOW_COUNT, chosen, np.nan)
    axis.axhspan(-1, 1, color=FAINT, lw=0)
    shown = np.clip(np.nan_to_num(values), -5, 5)
    for sign, colour in ((1, "#b2182b"), (-1, "#2166ac")):
        axis.stairs(np.where(sign * shown > 0, shown, 0), edges, fill=True, color=colour)
    axis.axhline(0, color=INK, lw=0.6)
    axis.set_ylim(-5, 5)
    tidy(axis, ylabel=f"pull of {model_of(here)}")


def _relative_strip(axis: Axes, here: xr.Dataset) -> None:
    """Relative differences in percent, over the band that two Monte Carlo samples fill."""
    edges, model = here["edges"].values, model_of(here)
    counts, events = here["counts"], here["events"].astype(float)
    reference = counts.sel(source="reference").where(counts.sel(source="reference") >= LOW_COUNT)
    m, n = float(events.sel(source="reference")), float(events.sel(source=model))
    band = np.nan_to_num(100 * np.sqrt((1 + m / n) / reference.values))
    axis.stairs(band, edges, baseline=-band, fill=True, color=FAINT, label="floor")
    palette = colours(judged(here))
    reach = 3 * float(np.median(band[band > 0])) if (band > 0).any() else 1.0
    for name in judged(here)[::-1]:
        size = float(events.sel(source=name))
        if size == 0 or name == "floor":
            continue
        ratio = (counts.sel(source=name) / size) / (reference / m)
        values = 100 * (ratio.values - 1)
        axis.hlines(
            values, edges[:-1], edges[1:], color=palette[name], lw=2 if name == model else 1
        )
        if name == model and np.isfinite(values).any():
            reach = max(reach, 1.2 * float(np.nanquantile(np.abs(values), 0.95)))
    axis.axhline(0, color=INK, lw=0.6)
    axis.set_ylim(-reach, reach)
    tidy(axis, ylabel="difference [%]")


def _number(product: xr.Dataset, source: str, label: int) -> str:
    return f"{int(product['events'].sel(source=source).isel(label=label)):,}".replace(",", " ")


def _title(product: xr.Dataset, variable: str) -> str:
    return str(product["title"].sel(variable=variable).values)
