"""Figures of the refinement: where to simulate next, and what it brought."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from presage.analysis.canvas import FAINT, INK, Page, colourbar, tidy
from presage.analysis.labelled import Floats
from presage.labels import Variable

_MARK = "#d55e00"
_ARMS = {"before": "#4d4d4d", "chosen": "#0072b2"}
_RANDOM = "#999999"
_MOST_MAPS = 4


def ranking_figure(ranking: xr.Dataset, number: int = 10) -> Page:
    """Draw the expected error over the candidates, the best ones numbered.

    Parameters
    ----------
    ranking
        Of :func:`rank`.
    number
        How many are numbered.
    """
    names = _parameters(ranking, "rank")
    page = Page(6.2, 4.6)
    axis = page.subplots()
    values = ranking["expected_error"].values
    columns = [ranking[name].values for name in names[:2]]
    title = f"expected error, {ranking.sizes['rank']} candidates; the first {number} numbered"
    if len(columns) == 1:
        order = np.argsort(columns[0])
        axis.plot(columns[0][order], values[order], "o-", ms=4, lw=1, color=_ARMS["chosen"])
        tidy(axis, _title(ranking, names[0]), "expected error", title)
        columns = [columns[0], values]
    else:
        dots = axis.scatter(columns[0], columns[1], c=values, s=70, marker="s", norm=_norm(values))
        _plain(colourbar(page, dots, axis, "expected error").ax.yaxis)
        tidy(axis, _title(ranking, names[0]), _title(ranking, names[1]), title)
    for place in range(min(number, len(values))):
        at = float(columns[0][place]), float(columns[1][place])
        axis.annotate(
            str(place + 1), at, color=_MARK, fontsize=9, fontweight="bold", ha="center",
            va="bottom", xytext=(0, 4), textcoords="offset points",
        )  # fmt: skip
        axis.plot(*at, "s", ms=8.5, mfc="none", mec=_MARK, mew=1.6)
    return page


def gain_figure(gain: xr.Dataset) -> Page:
    """Draw the K-fold error of each arm over the labels, and all of them in order of size.

    Parameters
    ----------
    gain
        Of :func:`refine`.
    """
    arms = [str(arm) for arm in gain["arm"].values]
    shown = arms[:_MOST_MAPS]
    page = Page(3.3 * (len(shown) + 1), 3.5)
    axes = page.subplots(1, len(shown) + 1, width_ratios=[1.0] * len(shown) + [1.15])
    names = _parameters(gain, "label")
    values = gain["w1_over_std"].sel(arm=shown)
    norm = _norm(values.values)
    for axis, arm in zip(axes, shown, strict=False):
        dots = _map(axis, gain.sel(arm=arm), names, norm)
        tidy(axis, _title(gain, names[0]), "", arm if arm == "before" else f"{arm}, × added")
        if len(names) > 1 and axis is not axes[0]:
            axis.set_yticklabels([])
    axes[0].set_ylabel(_title(gain, names[1]) if len(names) > 1 else "W1/std", fontsize=9)
    if len(names) > 1:
        bar = colourbar(page, dots, list(axes[: len(shown)]), "W1/std")
        _plain(bar.ax.yaxis)
    _sorted(axes[-1], gain, arms)
    return page


def _map(axis: Axes, arm: xr.Dataset, names: list[str], norm: Normalize) -> Any:
    """Draw one arm: its error at each label, and crosses where labels were added."""
    values = arm["w1_over_std"].values
    added = [arm[f"added_{name}"].values for name in names[:2]]
    columns = [arm[name].values for name in names[:2]]
    if len(names) == 1:
        axis.plot(columns[0], values, "o-", ms=4, lw=1, color=_ARMS["chosen"])
        axis.set_ylim(0, 1.05 * norm.vmax if norm.vmax else None)
        for place in added[0][np.isfinite(added[0])]:
            axis.axvline(place, color=_MARK, lw=1, ls=":")
        return None
    mesh = _tiles(axis, columns, values, norm)
    for colour, width in (("white", 3.4), (_MARK, 1.8)):  # a rim keeps them apart from any tile
        axis.plot(*added, "x", ms=6 + width / 2, mew=width, color=colour, clip_on=False)
    return mesh


def _tiles(axis: Axes, columns: list[Floats], values: Floats, norm: Normalize) -> Any:
    """Draw tiles where labels stand on a grid, the worst of those at one place; else squares."""
    axes = [np.unique(column) for column in columns]
    if axes[0].size * axes[1].size > 2 * len(values) or min(a.size for a in axes) < 2:
        return axis.scatter(columns[0], columns[1], c=values, s=75, marker="s", norm=norm)
    places = [np.searchsorted(a, column) for a, column in zip(axes, columns, strict=True)]
    grid = np.full((axes[1].size, axes[0].size), -np.inf)
    np.maximum.at(grid, (places[1], places[0]), values)
    axis.set_facecolor(FAINT)
    shown = np.ma.masked_invalid(grid)
    return axis.pcolormesh(axes[0], axes[1], shown, norm=norm, shading="nearest")


def _sorted(axis: Axes, gain: xr.Dataset, arms: list[str]) -> None:
    """Draw the errors of each arm from the largest to the smallest."""
    for arm in arms:
        values = np.sort(gain["w1_over_std"].sel(arm=arm).values)[::-1]
        colour = _ARMS.get(arm, _RANDOM)
        label = f"{arm}: worst {values[0]:.3f}, median {np.median(values):.3f}"
        number = np.arange(1, len(values) + 1)
        axis.plot(number, values, lw=1.6, color=colour, label=label)
        axis.plot(1, values[0], "o", ms=5, color=colour)
    floor = float(gain["floor"].median())
    axis.axhline(floor, color=INK, lw=0.8, ls="--", label=f"floor: median {floor:.3f}")
    axis.set_yscale("log")
    _plain(axis.yaxis)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    tidy(axis, "labels, worst first", "W1/std, each label held out once")
    axis.legend(fontsize=7, frameon=False)


def _plain(axis: Any) -> None:
    """Put ticks of a logarithmic axis at 1, 2 and 5, written as plain numbers."""
    if axis.get_scale() == "log":
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter("{x:g}")


def _norm(values: Floats) -> Normalize:
    finite = values[np.isfinite(values)]
    if not len(finite) or finite.min() <= 0:
        return Normalize(0.0, float(finite.max()) if len(finite) else 1.0)
    return LogNorm(float(finite.min()), max(float(finite.max()), 1.01 * float(finite.min())))


def _parameters(dataset: xr.Dataset, dim: str) -> list[str]:
    return [
        str(name)
        for name, array in dataset.coords.items()
        if array.dims == (dim,) and array.attrs.get("role") == "parameter"
    ]


def _title(dataset: xr.Dataset, name: str) -> str:
    return Variable.of(dataset[name]).title
