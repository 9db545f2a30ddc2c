"""Figures of posteriors: a corner, and bands of curves with their residuals.

All are drawn from the product of :mod:`presage.studies.pdf.exhibits` alone and return a
:class:`Page`. Grey is the exact reference posterior, blue the network's estimate, green the
estimate corrected by importance weights; the truth is red, the prior a dotted line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from presage.analysis.canvas import INK, TEXT, WIDTH, Page, number, tidy, titled
from presage.analysis.corner import pairs_of
from presage.analysis.labelled import Floats
from presage.labels import LabelError, check_name
from presage.studies.pdf.completing import AGAINST, completed

#: Told apart with any kind of colour vision (Okabe & Ito).
COLOURS = {
    "reference": "#4d4d4d",
    "estimate": "#0072b2",
    "corrected": "#009e73",
    "prior": "#8c8c8c",
    "truth": "#d55e00",
}
#: Fills of the reference: outside the first contour, inside the first, inside the second.
SHADES = ("#e9e9e9", "#d2d2d2")
_DASHES = {"corrected": (0, (4, 1.6)), "truth": (0, (6, 1.5, 1, 1.5)), "prior": ":"}


def _line(kind: str, lw: float | None = None) -> dict[str, Any]:
    """Return how a line of a kind is drawn; the reference's is thin, on a fill."""
    usual = 0.9 if kind == "reference" else 1.3
    return {"color": COLOURS[kind], "ls": _DASHES.get(kind, "solid"), "lw": lw or usual}


def chosen(product: xr.Dataset, observation: int = 0, size: int | None = None) -> xr.Dataset:
    """Return the product of one observation and one number of events.

    Parameters
    ----------
    product
        Of :func:`presage.studies.pdf.exhibits.posteriors_product`.
    observation
        Its number.
    size
        Events used; by default the most.

    Raises
    ------
    LabelError
        There is no such observation or size.
    """
    known = [int(n) for n in product["size"].values]
    size = known[-1] if size is None else size
    if size not in known:
        raise LabelError(f"there are posteriors of {known} events, not of {size}")
    if not 0 <= observation < product.sizes["observation"]:
        last = product.sizes["observation"] - 1
        raise LabelError(f"observations are 0 to {last}, got {observation}")
    return completed(product.isel(observation=[observation])).isel(observation=0).sel(size=size)


def corner_figure(
    product: xr.Dataset,
    observation: int = 0,
    size: int | None = None,
    kinds: Sequence[str] | None = None,
) -> Page:
    """Draw marginals and contours (68 and 95 % of the draws) of all parameters.

    Parameters
    ----------
    product, observation, size
        As of :func:`chosen`.
    kinds
        Posteriors to draw; all by default.
    """
    here = chosen(product, observation, size)
    kinds = _known(here, kinds)
    count = here.sizes["parameter"]
    page = Page(WIDTH, 0.97 * WIDTH)
    axes = page.subplots(count, count, squeeze=False, sharex="col")
    for place in range(count):
        _marginal(axes[place, place], here.isel(parameter=place), kinds)
    for pair, (x, y) in enumerate(pairs_of(count)):
        _contours(axes[y, x], here.isel(pair=pair), here, (x, y), kinds)
    _frame(axes, here)
    title = f"{words(here)}\ncontours hold 68 and 95 % of the draws"
    page.legend(handles=_legend(kinds, "corner"), loc="upper right", fontsize=TEXT, frameon=False,
                bbox_to_anchor=(0.99, 0.97), title=title, title_fontsize=TEXT,
                alignment="right")  # fmt: skip
    return page


def words(here: xr.Dataset) -> str:
    """Say the numbers of one observation: events, importance weights, C2ST with its floor."""
    lines = [f"observation {int(here['observation'])}, {number(float(here['size']))} events"]
    efficiency, tail = float(here["efficiency"]), float(here["pareto_k"])
    if np.isfinite(efficiency):
        text = f"importance efficiency {100 * efficiency:.0f} %"
        lines.append(text + (f", $\\hat{{k}}$ {tail:.2f}" if np.isfinite(tail) else ""))
    for kind in map(str, here["kind"].values):
        value = float(here["c2st"].sel(kind=kind))
        if np.isfinite(value):
            lines.append(f"C2ST of {kind} {value:.3f}")
    floor = float(here["c2st_floor"])
    if np.isfinite(floor):
        lines.append(f"C2ST of two references {floor:.3f}")
    if float(here.get("reliable", 1)) == 0:
        lines.append("the reference is not reliable")
    return "\n".join(lines)


def curves_figure(
    product: xr.Dataset,
    observation: int = 0,
    size: int | None = None,
    curves: Sequence[str] | None = None,
    against: str = "reference",
) -> Page:
    """Draw bands of curves, and below them how they differ from the reference or the truth.

    Bands hold 68 and 95 % of the posterior at each x. Residuals are in half widths of the
    reference's 68 % band (its standard deviation, were it normal).

    Parameters
    ----------
    product, observation, size
        As of :func:`chosen`.
    curves
        By default the first three.
    against
        ``"reference"`` (its median) or ``"truth"``.

    Raises
    ------
    LabelError
        An unknown curve, or nothing of that name to compare with.
    """
    here = chosen(product, observation, size)
    every = [name for name in str(product.attrs["curves"]).split(",") if name]
    names = list(curves) if curves is not None else every[:3]
    for name in names:
        check_name("curve", name, every)
    if against not in AGAINST:
        raise LabelError(f"curves are compared with {AGAINST}, got {against!r}")
    if not names:
        raise LabelError(f"the problem {product.attrs['problem']} has no curves")
    kinds = _known(here, None)
    page = Page(WIDTH if len(names) > 1 else 0.7 * WIDTH, 4.4)
    rows = page.subplots(2, len(names), squeeze=False, sharex="col", height_ratios=(2.2, 1))
    for column, name in zip(rows.T, names, strict=True):
        _curve(column[0], here, name, kinds)
        _residual(column[1], here, name, kinds, against)
    rows[1, 0].set_ylabel(f"curve − {against}\n[σ of reference]", fontsize=TEXT, color=INK)
    page.heading(words(here).split("\n")[0] + "; bands hold 68 % (grey: also 95 %)")
    page.key(_legend(kinds, "curves"))
    return page


def _known(here: xr.Dataset, kinds: Sequence[str] | None) -> list[str]:
    """Return kinds in the order of drawing: the reference beneath."""
    there = [str(kind) for kind in here["kind"].values]
    for kind in kinds or ():
        check_name("posterior", kind, there)
    asked = there if kinds is None else list(kinds)
    made = [k for k in asked if np.isfinite(here["draws"].sel(kind=k).values).any()]
    return sorted(made, key=lambda kind: ("reference", "estimate", "corrected").index(kind))


def _marginal(axis: Axes, here: xr.Dataset, kinds: Sequence[str]) -> None:
    low, high = (float(edge) for edge in here["shown"].values)
    grid = np.linspace(low, high, here.sizes["point"])
    for kind in kinds:
        density = here["marginal"].sel(kind=kind).values
        if kind == "reference":
            axis.fill_between(grid, density, color=SHADES[1], lw=0)
        axis.plot(grid, density, **_line(kind))
    axis.axhline(float(here["prior_density"]), **_line("prior", 0.9))
    axis.axvline(float(here["theta"]), **_line("truth", 1))
    axis.set_ylim(bottom=0)


def _contours(
    axis: Axes, part: xr.Dataset, here: xr.Dataset, pair: tuple[int, int], kinds: Sequence[str]
) -> None:
    for kind in kinds:
        lines = part["contour"].sel(kind=kind).transpose("mass", "vertex", "axis").values
        for k in range(len(lines) - 1, -1, -1):
            if kind == "reference":
                for piece in pieces(lines[k]):
                    axis.fill(*piece.T, color=SHADES[1 if k == 0 else 0], lw=0)
            how = _line(kind)
            axis.plot(*lines[k].T, **how | {"lw": how["lw"] * (0.7 if k else 1)})
    x, y = (float(here["theta"][k]) for k in pair)
    axis.plot(x, y, marker="+", ms=9, mew=1.5, color=COLOURS["truth"])
    axis.set_xlim(*here["shown"].values[pair[0]])
    axis.set_ylim(*here["shown"].values[pair[1]])


def pieces(line: Floats) -> list[Floats]:
    """Return the parts of a line ``(V, 2)`` that NaN separates."""
    gaps = np.isnan(line[:, 0])
    cuts = np.flatnonzero(np.diff(gaps.astype(int))) + 1
    return [part for part in np.split(line, cuts) if len(part) and not np.isnan(part).any()]


def _frame(axes: NDArray[np.object_], here: xr.Dataset) -> None:
    """Label the outer panels and take the upper triangle away."""
    count = len(axes)
    names = [str(t) for t in here.coords.get("parameter_title", here["parameter"]).values]
    inches = 0.65 * WIDTH / count
    for row, column in np.ndindex(count, count):
        axis = cast(Axes, axes[row, column])
        if column > row:
            axis.set_visible(False)
            continue
        xlabel = names[column] if row == count - 1 else ""
        tidy(axis, xlabel, names[row] if column == 0 and row else "", inches=inches)
        axis.locator_params(nbins=4 if count < 5 else 3)
        axis.tick_params(labelleft=column == 0 and row > 0,
                         left=column < row, labelbottom=row == count - 1)  # fmt: skip
        if row == column:
            axis.spines["left"].set_visible(False)
            axis.set_yticks([])


def _legend(kinds: Sequence[str], figure: str) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = []
    for kind in kinds:
        if kind == "reference":
            handles.append(Patch(fc=SHADES[1], ec=COLOURS[kind], label="exact reference"))
        else:
            handles.append(Line2D([], [], **_line(kind), label=kind))
    corner = figure == "corner"
    mark: dict[str, Any] = {"marker": "+", "ms": 8, "mew": 1.5} if corner else {}
    handles.append(Line2D([], [], **_line("truth", 1.2), label="truth", **mark))
    if corner:
        handles.append(Line2D([], [], **_line("prior", 0.9), label="prior"))
    return handles


def _curve(axis: Axes, here: xr.Dataset, name: str, kinds: Sequence[str]) -> None:
    grid = here[f"{name}_grid"]
    for kind in kinds:
        low2, low, median, high, high2 = _levels(here, f"{name}_band", kind)
        if kind == "reference":
            for lower, upper, shade in ((low2, high2, SHADES[0]), (low, high, SHADES[1])):
                axis.fill_between(grid.values, lower, upper, color=shade, lw=0)
        else:
            for edge in (low, high):
                axis.plot(grid.values, edge, **_line(kind, 0.8))
        axis.plot(grid.values, median, **_line(kind))
    axis.plot(grid.values, here[f"{name}_true"].values, **_line("truth", 1.2))
    about = here[f"{name}_band"].attrs
    tidy(axis, "", titled(str(about["long_name"]), str(about["units"])))
    if grid.attrs.get("logarithmic"):
        axis.set_xscale("log")
    axis.set_xlim(float(grid[0]), float(grid[-1]))


def _residual(axis: Axes, here: xr.Dataset, name: str, kinds: Sequence[str], against: str) -> None:
    """Each kind's median and 68 % band, minus reference or truth, in sigmas of the reference."""
    grid, unit = here[f"{name}_grid"], "reference" if "reference" in kinds else kinds[0]
    here = here.sel(against=against, scale="sigma")
    for kind in kinds:
        strip = _levels(here, f"{name}_residual", kind)
        if kind == unit:
            axis.fill_between(grid.values, strip[1], strip[3], color=SHADES[1], lw=0)
        else:
            for edge in (1, 3):
                axis.plot(grid.values, strip[edge], **_line(kind, 0.8))
        axis.plot(grid.values, strip[2], **_line(kind))
    axis.plot(grid.values, here[f"{name}_true_residual"].values, **_line("truth", 1))
    axis.axhline(0, color=INK, lw=0.6)
    axis.set_ylim(-3.2, 3.2)
    tidy(axis, titled(str(grid.attrs["long_name"]), str(grid.attrs["units"])))


def _levels(here: xr.Dataset, name: str, kind: str) -> Floats:
    found: Floats = here[name].sel(kind=kind).transpose("level", ...).values.astype(float)
    return found
