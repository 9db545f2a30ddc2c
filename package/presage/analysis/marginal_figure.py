"""The figure of one-dimensional distributions, with strips of residuals below each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from presage.analysis.bin_statistics import FEW
from presage.analysis.canvas import FAINT, INK, WIDTH, Page, in_words, styles, tidy, titled
from presage.analysis.completing import completed
from presage.analysis.judging import RIVALS, judged
from presage.analysis.labelled import Floats
from presage.analysis.report import label_number, title_of

#: Pulls beyond this are marked at the end of the strip.
_REACH = 5.0
_COLUMNS = 3


def marginals(
    product: xr.Dataset,
    label: int | Sequence[float] | None = None,
    sources: Sequence[str] | None = None,
) -> Page:
    """Draw each variable's distribution for all sources, with strips of residuals below.

    The first strip is the pull of the first source; the second the relative difference of
    every source with the floor (one standard error of two Monte Carlo samples) as a band.
    Bins in which the smaller sample is expected to have fewer than 10 events are not judged.

    Parameters
    ----------
    product
        Of :func:`presage.analysis.residuals.compare`.
    label
        Its number or its values; by default the held-out label with the largest W1/std.
    sources
        What is drawn beside the reference; by default all, the model first.
    """
    i = label_number(product, label)
    drawn = [name for name in sources or judged(product) if name != "floor"]
    chosen = completed(product.isel(label=[i])).isel(label=0)
    names = [str(name) for name in product["variable"].values]
    columns = min(_COLUMNS, len(names)) if len(names) != 4 else 2
    bands = -(-len(names) // columns)
    page = Page(WIDTH if columns > 1 else 0.7 * WIDTH, 4.4 * bands + 0.5)
    axes = page.subplots(
        3 * bands, columns, sharex=False, squeeze=False, height_ratios=(3, 1, 1.2) * bands
    )
    page.heading(title_of(product, i, long=True))
    for axis in axes.ravel():
        axis.set_visible(False)
    for place, variable in enumerate(names):
        band, column = divmod(place, columns)
        three = axes[3 * band : 3 * band + 3, column]
        here = chosen.sel(variable=variable)
        for axis in three:
            axis.set(visible=True, xlim=held(here))
        distributions(three[0], here, drawn)
        pull_strip(three[1], here, drawn[0])
        for axis in three[:2]:
            axis.tick_params(labelbottom=False)
        _relative_strip(three[2], here, drawn)
        tidy(three[2], title(product, variable), "difference\n[%]", inches=5.5 / columns)
        if column:
            for axis in three[1:]:
                axis.set_ylabel("")
    page.key_of(*axes[:, 0])
    return page


def title(product: xr.Dataset, variable: str) -> str:
    """Return the axis title of a variable."""
    return str(product["title"].sel(variable=variable).values)


def distributions(axis: Axes, here: xr.Dataset, sources: Sequence[str]) -> None:
    """Draw the densities of the reference, filled, and of `sources`, the first on top.

    `here` is the product at one label and variable; an expectation without events is left out.
    """
    edges, known = here["edges"].values, styles(list(sources))
    for name in ("reference", *reversed(sources)):
        if not int(here["events"].sel(source=name)):
            continue
        density = here["bin_density"].sel(source=name).values
        style, width = known[name], 1.1 if name in RIVALS else 1.5 if name == sources[0] else 1.2
        how: dict[str, Any] = {"color": style.colour, "lw": width, "ls": style.dash}
        if name == "reference":
            how = {"fill": True, "fc": "#e3e3e3", "ec": style.colour, "lw": 0.8}
        axis.stairs(density, edges, label=in_words(name), **how)
    unit = str(here["unit"].values)
    tidy(axis, ylabel=titled("density", "1" if unit == "1" else f"1/{unit}"))
    axis.set_ylim(bottom=0)


def pull_strip(axis: Axes, here: xr.Dataset, source: str) -> None:
    """Draw a source's pulls at one label and variable; bins with few events are shaded."""
    edges = here["edges"].values
    values, few = (here[name].sel(source=source).values for name in ("bin_pull", "bin_few"))
    _shade_few(axis, edges, few, _REACH)
    axis.axhspan(-1, 1, color=FAINT, lw=0)
    values = np.where(few, 0, np.nan_to_num(values))
    shown = np.clip(values, -_REACH, _REACH)
    centres = (edges[1:] + edges[:-1]) / 2
    for sign, colour, mark in ((1, "#b2182b", "^"), (-1, "#2166ac", "v")):
        axis.stairs(np.where(sign * shown > 0, shown, 0), edges, fill=True, color=colour)
        beyond = sign * values > _REACH
        if beyond.any():
            axis.plot(centres[beyond], np.full(beyond.sum(), sign * _REACH), mark, ms=3,
                      color=colour, clip_on=False)  # fmt: skip
    axis.axhline(0, color=INK, lw=0.6)
    axis.set_ylim(-_REACH, _REACH)
    tidy(axis, ylabel=f"pull of\n{in_words(source)}")


def held(here: xr.Dataset) -> tuple[float, float]:
    """Return the ends of the bins of one variable that hold events, of any source."""
    edges, counts = here["edges"].values, here["counts"]
    (used,) = counts.sum([dim for dim in counts.dims if dim != "bin"]).values.nonzero()
    ends = (used[0], used[-1] + 1) if used.size else (0, -1)
    return float(edges[ends[0]]), float(edges[ends[1]])


def _shade_few(axis: Axes, edges: Floats, few: NDArray[np.bool_], reach: float) -> None:
    height = np.where(few, reach, 0.0)
    label = f"fewer than {FEW} events expected"
    axis.stairs(height, edges, baseline=-height, fill=True, fc="none", ec="#b3b3b3", lw=0,
                hatch="////", label=label if few.any() else None)  # fmt: skip


def _relative_strip(axis: Axes, here: xr.Dataset, sources: Sequence[str]) -> None:
    """Relative differences in percent, over the band that two Monte Carlo samples fill."""
    edges, known = here["edges"].values, styles(list(sources))
    shown = 100 * here[["bin_ratio", "bin_ratio_floor"]].where(~here["bin_few"])
    band = np.nan_to_num(shown["bin_ratio_floor"].sel(source=sources[0]).values)
    axis.stairs(band, edges, baseline=-band, fill=True, color=FAINT, label="floor (one sigma)")
    reach = 3 * float(np.median(band[band > 0])) if (band > 0).any() else 1.0
    centres = (edges[1:] + edges[:-1]) / 2
    for name in reversed(sources):
        values, style = shown["bin_ratio"].sel(source=name).values, known[name]
        model = name == sources[0]
        axis.plot(centres, values, style.marker, ms=2.8 if model else 2.2, color=style.colour,
                  mfc=style.colour if model else "none", mew=0.6)  # fmt: skip
        if model and np.isfinite(values).any():
            reach = max(reach, 1.2 * float(np.nanquantile(np.abs(values), 0.95)))
    axis.axhline(0, color=INK, lw=0.6)
    axis.set_ylim(-reach, reach)
