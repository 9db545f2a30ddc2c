"""Figures of cleaned skies: planes of wave numbers, spectra, maps, eigenvalues, lines of sight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import MaxNLocator

from presage.analysis.canvas import (
    FAINT,
    INK,
    SERIES,
    SMALL,
    WIDTH,
    Page,
    Style,
    colourbar,
    in_words,
    plain_log,
    raised,
    tidy,
    titled,
    wrapped,
)
from presage.analysis.fourier import Array
from presage.labels import LabelError, nearest

ACROSS, ALONG = "k⊥ [h/Mpc]", "k∥ [h/Mpc]"
#: Methods that are drawn where there is no room for all.
FIRST = ("limit", "network", "pca", "network_wiener", "wiener_learned", "pca_transfer")
_OF = {name: i for i, name in enumerate(
    ("wiener_other", "wiener_learned", "pca", "pca_transfer", "polynomial", "fastica", "network",
     "network_wiener"))}  # fmt: skip
_MARKS = (4, 2, 1, 5, 3, 7, 0, 6)
#: Residual power of the limit over the true one above which nobody recovers anything.
LOST = 0.5


def style(method: str) -> Style:
    """Return how a method is drawn wherever it is drawn."""
    if method == "limit":
        return Style(INK, "solid", "")
    return SERIES[_MARKS[_OF[method]] if method in _OF else sum(map(ord, method)) % len(SERIES)]


def planes_figure(product: xr.Dataset, methods: Sequence[str] = ()) -> Page:
    """Draw each method's residual over the limit's, across and along the line of sight.

    Parameters
    ----------
    product
        Of :func:`presage.studies.sky.measure.measure`.
    methods
        Which; all but the limit by default. The first panel is what the limit leaves; where that
        is more than half of the power the others are grey.
    """
    names = _chosen(product, methods, [m for m in _methods(product) if m != "limit"])
    some = (product["expected_limit"] < LOST).any("k_parallel").values  # the rest is all grey
    product = product.isel(k_perpendicular=slice(0, 2 + np.flatnonzero(some).max(initial=2)))
    columns = min(3, 1 + len(names))
    rows = -(-(1 + len(names)) // columns)
    page = Page(WIDTH, 0.5 + 2.1 * rows)
    panels = page.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    flat = [axes for row in panels for axes in row]
    expected = product["expected_limit"]
    image = _plane(flat[0], expected, "what the limit leaves", LogNorm(1e-3, 1), "viridis_r")
    colourbar(page, image, flat[0], "residual power / true power", extend="both")
    over = None
    for axes, name in zip(flat[1:], names, strict=False):
        ratio = product["ratio_to_limit"].sel({"cleaner": name}).where(expected < LOST)
        over = _plane(axes, ratio, title_of(product, name), LogNorm(1, 30), "cividis")
        axes.set_facecolor(FAINT)
    for axes in flat[1 + len(names) :]:
        axes.set_visible(False)
    if over is not None:
        label = "residual power / the limit's; grey: nobody recovers half"
        colourbar(page, over, flat[1 : 1 + len(names)], label, extend="both")
    for axes in flat[: 1 + len(names)]:
        axes.tick_params(labelleft=True, labelbottom=True)
    return page


def spectra_figure(product: xr.Dataset, methods: Sequence[str] = ()) -> Page:
    """Draw power, correlation and residual over k_parallel, with bands of one standard error.

    Parameters
    ----------
    product, methods
        As of :func:`planes_figure`, the limit among them.
    """
    names = _chosen(product, methods, _methods(product))
    page = Page(WIDTH, 3.3)
    panels = page.subplots(1, 3)
    shown = (
        ("power_ratio", "power / true power"),
        ("correlation", "correlation r with the truth"),
        ("residual", "residual power / true power"),
    )
    k = product["k_parallel"].values
    for axes, (quantity, title) in zip(panels, shown, strict=True):
        for name in names:
            _curve(axes, k, product.sel({"cleaner": name}), quantity, title_of(product, name), name)
        axes.set_xscale("log")
        tidy(axes, ALONG, "", title, inches=2.2)
        plain_log(axes.xaxis, *axes.get_xlim())
    panels[0].axhline(1, color=FAINT, lw=0.8, zorder=0)
    panels[0].set_ylim(0, 1.6)
    panels[1].set_ylim(0, 1.03)
    panels[2].set_yscale("log")
    left = product["residual_parallel"].sel({"cleaner": names})
    panels[2].set_ylim(0.5 * float(left.min()), min(30.0, 2 * float(left.max())))
    page.key_of(*panels)
    return page


def maps_figure(
    product: xr.Dataset, sky: int = 0, frequency: float | None = None, methods: Sequence[str] = ()
) -> Page:
    """Draw the truth, what methods make of it and what they are off by, on one scale.

    Parameters
    ----------
    product
        As of :func:`planes_figure`.
    sky
        Which of those that are shown.
    frequency
        The channel next to it, MHz; the middle one by default.
    methods
        At most four of them.
    """
    names = _chosen(product, methods, FIRST)[:4]
    at = product["frequency"].values
    channel = len(at) // 2 if frequency is None else int(np.abs(at - frequency).argmin())
    here = product[["truth", "observed", "cleaned"]].isel(sky=sky, frequency=channel)
    page = Page(WIDTH, 3.4)
    panels = page.subplots(2, 1 + len(names), sharex=True, sharey=True, squeeze=False)
    most = 3.0 * float(here["truth"].std())
    scale = {"cmap": "RdBu_r", "vmin": -most, "vmax": most}
    image = draw_map(panels[0, 0], here["truth"], f"truth, {at[channel]:.1f} MHz", scale)
    seen = here["observed"] - here["observed"].mean()
    unit = str(here["truth"].attrs.get("units", "1"))
    title = f"observed, rms {float(seen.std()):.3g} {unit}"
    draw_map(panels[1, 0], seen, title, {"cmap": "magma"})
    for column, name in enumerate(names, start=1):
        cleaned = here["cleaned"].sel({"cleaner": name})
        draw_map(panels[0, column], cleaned, title_of(product, name), scale)
        off = (cleaned - here["truth"]).assign_attrs(here["truth"].attrs)
        draw_map(panels[1, column], off, f"off by, rms {float(off.std()):.2g}", scale)
    for axes in panels.ravel():
        axes.label_outer()
    colourbar(page, image, [*panels.ravel()], f"signal [{unit}]", shrink=0.8)
    return page


def eigenvalue_figure(basis: xr.Dataset, scan: xr.Dataset) -> Page:
    """Draw the eigenvalues of the training skies, and what is left by modes removed.

    Parameters
    ----------
    basis
        With ``eigenvalues`` by ``mode``; ``signal_eigenvalues`` and ``noise_eigenvalue`` are drawn
        beside them where it has them.
    scan
        Of :func:`presage.studies.sky.measure.scan_modes`.
    """
    page = Page(WIDTH, 2.9)
    left, right = page.subplots(1, 2)
    best = int(scan.attrs.get("best_modes", np.argmin(scan["scan_total"].values)))
    shown = slice(0, max(2 * best + 8, 24))
    values = basis["eigenvalues"][shown]
    mode = 1 + np.arange(values.size)
    left.semilogy(mode, values, ".-", color=SERIES[0].colour, label="training skies")
    if "signal_eigenvalues" in basis:
        left.semilogy(mode, basis["signal_eigenvalues"][shown], color=SERIES[1].colour,
                      ls=SERIES[1].dash, label="signal alone")  # fmt: skip
    if "noise_eigenvalue" in basis:
        left.axhline(float(basis["noise_eigenvalue"]), color=SERIES[2].colour, ls=SERIES[2].dash,
                     label="noise alone")  # fmt: skip
    unit = raised(str(basis["eigenvalues"].attrs.get("units", "1")))
    tidy(left, "principal component", f"eigenvalue [{unit}]", "variance over frequency")
    number = scan["modes"].values
    for place, line in zip((0.02, 0.04, 0.1), SERIES[3:], strict=False):
        near = scan["scan_residual"].sel(k_parallel=place, method="nearest")
        right.semilogy(number, near, color=line.colour, ls=line.dash, lw=1.1,
                       label=f"k∥ = {float(near['k_parallel']):.2g} h/Mpc")  # fmt: skip
    right.semilogy(number, scan["scan_total"], ".-", color=INK, label="all scales")
    at_best = scan["scan_residual"].sel(modes=slice(max(best - 2, 0), None))
    right.set_ylim(0.5 * float(at_best.min()), 10 * float(at_best.max()))
    tidy(right, "components removed", "", "residual power / true power")
    for axes, x in ((left, best + 0.5), (right, best)):
        axes.axvline(x, color=FAINT, lw=3, zorder=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=SMALL, frameon=False, title=f"grey: {best} removed",
                    title_fontsize=SMALL)  # fmt: skip
    return page


def lines_figure(product: xr.Dataset, sky: int = 0, methods: Sequence[str] = ()) -> Page:
    """Draw the truth and what methods make of it along three lines of sight, with their errors.

    Parameters
    ----------
    product, sky, methods
        As of :func:`maps_figure`.
    """
    names = _chosen(product, methods, FIRST)[:3]
    dims = str(product.attrs["across"]).split(",")
    page = Page(WIDTH, 4.6)
    panels = page.subplots(3, 1, sharex=True)
    frequency = product["frequency"].values
    unit = str(product["truth"].attrs.get("units", "1"))
    for axes, part in zip(panels, (0.25, 0.5, 0.75), strict=True):
        place = {dim: int(part * product.sizes[dim]) for dim in dims}
        here = product.isel({"sky": sky, **place})
        axes.plot(frequency, here["truth"], color="#8c8c8c", lw=2.5, label="truth")
        for name in names:
            one, line = here.sel({"cleaner": name}), style(name)
            axes.plot(frequency, one["cleaned"], color=line.colour, ls=line.dash, lw=1,
                      label=title_of(product, name))  # fmt: skip
            if name != "limit" and "signal_error" in one:
                error = one["signal_error"].values
                axes.fill_between(frequency, one["cleaned"] - error, one["cleaned"] + error,
                                  color=line.colour, alpha=0.15, lw=0)  # fmt: skip
        units = {d: str(here[d].attrs.get("units", "")) for d in dims}
        said = ", ".join(f"{in_words(d)} = {float(here[d]):.3g} {units[d]}" for d in dims)
        tidy(axes, "", f"signal [{unit}]", said)
    panels[-1].set_xlabel("frequency [MHz]", fontsize=SMALL + 1, color=INK)
    page.key_of(panels[0])
    return page


def _methods(product: xr.Dataset) -> list[str]:
    return [str(name) for name in product["cleaner"].values]


def _chosen(product: xr.Dataset, methods: Sequence[str], default: Sequence[str]) -> list[str]:
    """Return the methods that were asked for, or those of the default that there are."""
    known = _methods(product)
    for method in methods:
        if method not in known:
            raise LabelError(f"no method {method!r}{nearest(method, known)}")
    return list(methods) or [method for method in default if method in known]


def title_of(product: xr.Dataset, method: str) -> str:
    """Return what a method is called."""
    return str(product["cleaner_title"].sel({"cleaner": method}).values)


def _edges(middles: Array) -> Array:
    """Return edges of bins between the logarithms of their middles."""
    logs = np.log(middles)
    inner = 0.5 * (logs[1:] + logs[:-1])
    inner = np.concatenate([[2 * logs[0] - inner[0]], inner, [2 * logs[-1] - inner[-1]]])
    return np.asarray(np.exp(inner))


def _plane(axes: Axes, values: xr.DataArray, title: str, norm: Any, colours: str) -> Any:
    """Draw a plane of wave numbers."""
    across, along = (_edges(values[d].values) for d in ("k_perpendicular", "k_parallel"))
    grid = values.transpose("k_parallel", "k_perpendicular").values
    image = axes.pcolormesh(across, along, grid, norm=norm, cmap=colours, rasterized=True)
    axes.set_xscale("log")
    axes.set_yscale("log")
    tidy(axes, ACROSS, ALONG, wrapped(title, 22))
    plain_log(axes.xaxis, across[0], across[-1])
    plain_log(axes.yaxis, along[0], along[-1])
    return image


def _curve(
    axes: Axes, k: Array, product: xr.Dataset, quantity: str, title: str, method: str
) -> None:
    """Draw a method's number over k_parallel, with its error."""
    line, wide = style(method), method == "limit"
    values, error = (product[f"{quantity}_parallel{e}"].values for e in ("", "_error"))
    how: dict[str, Any] = {
        "lw": 1.6 if wide else 1.0,
        "zorder": 3 if wide else 2,
        "ms": 2.5,
        "label": title,
    }
    axes.plot(k, values, color=line.colour, ls=line.dash, marker=line.marker, **how)
    axes.fill_between(k, values - error, values + error, color=line.colour, alpha=0.2, lw=0)


def draw_map(axes: Axes, values: xr.DataArray, title: str, scale: dict[str, Any]) -> Any:
    """Draw a map on the coordinates of its two dims."""
    vertical, horizontal = map(str, values.dims)
    x, y = values[horizontal], values[vertical]
    image = axes.pcolormesh(x.values, y.values, values.values, rasterized=True, **scale)
    if vertical == "y":
        axes.set_aspect("equal")
    xlabel, ylabel = (titled(in_words(str(d.name)), str(d.attrs.get("units", "1"))) for d in (x, y))
    tidy(axes, xlabel, ylabel, wrapped(title, 17), inches=1.3)
    return image
