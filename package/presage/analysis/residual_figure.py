"""The figure of a residual: reference, generated and pull, of any number of variables.

One variable is drawn with its pull strip, a pair in four panels, and more in a corner:
distributions on its diagonal, contours below and pulls above. Reds mean that the generated
sample has too many events, blues (dotted below −2, for print in grey) too few.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.ndimage import gaussian_filter

from presage.analysis.canvas import (
    TEXT,
    WIDTH,
    Page,
    colourbar,
    in_words,
    number,
    styles,
    tidy,
)  # fmt: skip
from presage.analysis.completing import completed
from presage.analysis.event_figure import enclosing
from presage.analysis.judging import model_of
from presage.analysis.labelled import Floats
from presage.analysis.marginal_figure import distributions, held, marginals, pull_strip, title
from presage.analysis.report import label_number, title_of
from presage.labels import LabelError, nearest

#: Variables that a corner shows at most: of more, those of the largest W1/std.
_CORNER = 5
_DENSITY, _DIVERGING, _FEW = "YlGnBu", "RdBu_r", "#dedede"
#: Shares of events inside the contours, and the fills of the reference between them.
_INSIDE, _SHADES = (0.5, 0.9, 0.99), ("#efefef", "#d6d6d6", "#b5b5b5")


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
        Two variables, ``"phi_mass,omega_mass"``, for four panels; by default all variables
        are drawn (of more than five, the worst five).
    source
        What is compared with the reference; by default the model.

    Raises
    ------
    LabelError
        Unknown label, pair or source; or an expectation, which has no events.
    """
    source = source or model_of(product)
    for what, name in (("pair", pair), ("source", source)):
        known = [str(k) for k in product[what].values]
        if name is not None and name not in known:
            raise LabelError(f"no {what} {name!r}{nearest(name, known)}")
    i = label_number(product, label)
    here = completed(product.isel(label=[i])).isel(label=0)
    if not int(here["events"].sel(source=source)):
        raise LabelError(f"{source!r} is an expectation, not a sample: it has no events to draw")
    variables = [str(name) for name in product["variable"].values]
    if len(variables) == 1:
        return marginals(product, i, [source])
    if pair is None and len(variables) > 2:
        return _corner(product, here, source)
    return _pair(product, here, pair or str(product["pair"].values[0]), source)


def _pair(product: xr.Dataset, here: xr.Dataset, pair: str, source: str) -> Page:
    """Draw two variables: both samples, their contours, their pull."""
    names = pair.split(",")
    edges = [here["edges"].sel(variable=name).values for name in names]
    cells = _samples(here, source, pair)
    shares = {name: found / float(here["events"].sel(source=name)) for name, found in cells.items()}
    page = Page(WIDTH, 6.4)
    axes = page.subplots(2, 2, sharex=True, sharey=True)
    page.heading(title_of(product, int(here["label"]), long=True))
    top = max(share.max() for share in shares.values())
    norm = LogNorm(vmin=max(top * 1e-4, 1e-12), vmax=top)
    for axis, (name, share) in zip(axes[0], shares.items(), strict=True):
        shown = np.ma.masked_less_equal(share, 0)
        mesh = axis.pcolormesh(*edges, shown, cmap=_DENSITY, norm=norm, rasterized=True)
        events = number(float(here["events"].sel(source=name)))
        tidy(axis, title=f"{in_words(name)}, {events} events")
    colourbar(page, mesh, list(axes[0]), "share of events in a cell")
    _overlay(axes[1, 0], edges, cells)
    tidy(axes[1, 0], title="contours: 50, 90, 99 % of events")
    mesh = _pull_map(axes[1, 1], edges, _pull(here, pair, source))
    tidy(axes[1, 1], title=_caption(here, source))
    _pull_bar(page, mesh, list(axes[1]), source)
    for axis in axes[1]:
        axis.set_xlabel(title(product, names[0]), fontsize=TEXT)
    for axis in axes[:, 0]:
        axis.set_ylabel(title(product, names[1]), fontsize=TEXT)
    page.key(_handles(source))
    return page


def _corner(product: xr.Dataset, here: xr.Dataset, source: str) -> Page:
    """Draw all variables: distributions, contours of pairs below, pulls of pairs above."""
    worst = here["w1_over_std"].sel(source=source).fillna(-1).values
    shown = np.sort(np.argsort(-worst, kind="stable")[:_CORNER])
    names = [str(here["variable"].values[k]) for k in shown]
    count = len(names)
    page = Page(WIDTH, 0.95 * WIDTH)
    axes = page.subplots(count, count)
    inches = 0.6 * WIDTH / count
    for row, column in np.ndindex(count, count):
        axis = axes[row, column]
        x, y = names[column], names[row]
        if row == column:
            strip = _diagonal(axis, here.sel(variable=x), source)
        else:
            pair = ",".join((x, y) if column < row else (y, x))
            edges = [here["edges"].sel(variable=name).values for name in pair.split(",")]
            if column < row:
                _overlay(axis, edges, _samples(here, source, pair), _INSIDE[:2])
            else:
                mesh = _pull_map(axis, edges[::-1], _pull(here, pair, source).T)
        low = row == count - 1
        ylabel = y if (column == 0 and row) or (column == count - 1 and not low) else ""
        tidy(axis, title(product, x) if low else "", title(product, ylabel) if ylabel else "",
             inches=inches)  # fmt: skip
        if column == count - 1 and not low:
            axis.yaxis.tick_right()
            axis.yaxis.set_label_position("right")
        axis.tick_params(labelbottom=low, labelleft=bool(column == 0 and row),
                         labelright=column == count - 1 and not low)  # fmt: skip
        axis.locator_params(nbins=3)
        if row == column:
            axis.set(xticks=[], yticks=[], xlabel="")
            axis.spines[:].set_visible(False)
    tidy(strip, title(product, names[-1]), inches=inches).tick_params(labelbottom=True)
    _pull_bar(page, mesh, list(axes.ravel()), source)
    heading = (
        title_of(product, int(here["label"]), long=True) + f" ({_caption(here, source, names)})"
    )
    if count < product.sizes["variable"]:
        heading += f"; the {count} of {product.sizes['variable']} variables with the largest W1/std"
    page.heading(heading)
    said = ("contours: 50 and 90 % of events", "strips: pulls from −5 to 5")
    page.key([*_handles(source), *(Line2D([], [], lw=0, label=text) for text in said)])
    return page


def _diagonal(axis: Axes, here: xr.Dataset, source: str) -> Axes:
    """Draw a distribution above its pull strip, and return that."""
    above, strip = axis.inset_axes((0, 0.3, 1, 0.7)), axis.inset_axes((0, 0, 1, 0.26))
    distributions(above, here, [source])
    pull_strip(strip, here, source)
    for part in (above, strip):
        part.set(xlim=held(here), ylabel="")
        part.tick_params(labelbottom=False, labelleft=False, length=2)
        part.locator_params(nbins=3)
    return strip


def _samples(here: xr.Dataset, source: str, pair: str) -> dict[str, Floats]:
    """Return the counts of the reference and of another sample, ``[bin_y, bin_x]``."""
    counts = here["counts_2d"].sel(pair=pair).transpose("source", "bin_y", "bin_x")
    return {name: counts.sel(source=name).values.astype(float) for name in ("reference", source)}


def _pull(here: xr.Dataset, pair: str, source: str) -> Floats:
    """Return pulls ``[bin_y, bin_x]``, NaN in cells with too few events."""
    found: Floats = here["pull_2d"].sel(source=source, pair=pair).transpose("bin_y", ...).values
    return found


def _overlay(
    axis: Axes, edges: list[Floats], cells: dict[str, Floats], inside: Sequence[float] = _INSIDE
) -> None:
    """Contours that hold shares of the events shown, smoothed by about a bin."""
    centres = [np.concatenate([e[:1], (e[1:] + e[:-1]) / 2, e[-1:]]) for e in edges]
    known = styles(list(cells))
    for name, counts in cells.items():
        wide = 0.7 * float(np.clip((1e5 / max(counts.sum(), 1)) ** 0.2, 1, 3))
        # The border is repeated, so that contours reach the edges.
        density = np.pad(gaussian_filter(counts, wide, mode="nearest"), 1, mode="edge")
        levels = enclosing(density, inside)
        how: dict[str, Any] = {"linewidths": 1.1, "linestyles": "dashed"}
        if name == "reference":
            ends = [*levels, density.max() * 1.01]
            axis.contourf(*centres, density, levels=ends, colors=_SHADES[-len(levels) :])
            how = {"linewidths": 0.7}
        axis.contour(*centres, density, levels=levels, colors=known[name].colour, **how)


def _handles(source: str) -> list[Any]:
    known = styles([source])
    return [
        Patch(fc=_SHADES[1], ec=known["reference"].colour, lw=0.8, label="reference"),
        Line2D([], [], color=known[source].colour, lw=1.2, ls="--", label=in_words(source)),
        Patch(fc=_FEW, label="not enough to say"),
        Patch(fc="#b2182b", label="too many events"),
        Patch(fc="#2166ac", label="too few (dotted: pull below −2)"),
    ]


def _pull_map(axis: Axes, edges: list[Floats], pull: Floats) -> Any:
    axis.set_facecolor(_FEW)
    shown = np.ma.masked_invalid(pull)
    y, x = np.nonzero(np.nan_to_num(pull) < -2)
    centres = [(e[1:] + e[:-1]) / 2 for e in edges]
    axis.plot(centres[0][x], centres[1][y], ".", ms=1.3, mew=0, color="white", rasterized=True)
    return axis.pcolormesh(*edges, shown, cmap=_DIVERGING, norm=Normalize(-5, 5), rasterized=True)


def _pull_bar(page: Page, mesh: Any, axes: list[Axes], source: str) -> None:
    text = f"pull: ({in_words(source)} − reference) / statistical error"
    colourbar(page, mesh, axes, text, extend="both")


def _caption(here: xr.Dataset, source: str, names: Sequence[str] | None = None) -> str:
    """Say the figures of merit of one label."""
    here = here.sel(source=source)
    distances = here["w1_over_std"] if names is None else here["w1_over_std"].sel(variable=names)
    text = "W1/std " + ", ".join(f"{value:.3f}" for value in distances.values)
    auc = float(here["auc"]) if "auc" in here else float("nan")
    return text if np.isnan(auc) else f"{text}; AUC {auc:.3f} ± {float(here['auc_error']):.3f}"
