"""What a refinement gives back, and its figures: the gain or, for files, the labels to ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from presage.analysis.canvas import (
    INK,
    TEXT,
    WIDTH,
    Page,
    Style,
    colourbar,
    plain_log,
    tidy,
    wrapped,
)
from presage.analysis.label_figures import norm_of, tiles
from presage.analysis.report import parameters_of
from presage.labels import Variable
from presage.studies.events.refine.ranking import table

_MARK = "#d55e00"
_ARMS = {"before": Style("#4d4d4d"), "chosen": Style("#0072b2", (0, (5, 1.5)), "s")}
_RANDOM = Style("#8c8c8c", (0, (1.5, 1)), "^")
_MOST_MAPS = 4
_ERROR = "Wasserstein distance / standard deviation"
#: Names of the arms; several random ones are numbered.
BEFORE, CHOSEN, RANDOM = "before", "chosen", "random"


@dataclass(frozen=True)
class Gain:
    """What was gained, with its table, figure and verdict."""

    dataset: xr.Dataset  # of :func:`refine`, or such a dataset from a store

    def table(self) -> pd.DataFrame:
        """Return worst and median W1/std of each arm, its floor, and where it is worst."""
        rows = {}
        for arm in map(str, self.dataset["arm"].values):
            here = self.dataset.sel(arm=arm)
            w1 = here["w1_over_std"]
            worst = here.isel(label=int(w1.values.argmax()))
            place = [f"{float(worst[name]):.5g}" for name in parameters_of(self.dataset)]
            rows[arm] = {
                "labels added": int(here["added"].sum()),
                "cost": float(here["cost"]),
                "worst W1/std": float(w1.max()),
                "median W1/std": float(w1.median()),
                "floor": float(here["floor"].median()),
                "worst at": ", ".join(place),
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("arm")

    def verdict(self) -> str:
        """Say in a sentence whether choosing was worth it."""
        worst = self.dataset["w1_over_std"].max("label")
        before, chosen = float(worst.sel(arm=BEFORE)), float(worst.sel(arm=CHOSEN))
        names = [str(arm) for arm in worst["arm"].values if str(arm).startswith(RANDOM)]
        random = [float(worst.sel(arm=name)) for name in names]
        number = int(self.dataset["added"].sel(arm=CHOSEN).sum())
        text = (
            f"Worst K-fold W1/std over {self.dataset.sizes['label']} labels: {before:.4f} before, "
            f"{chosen:.4f} with {number} chosen labels simulated, "
        )
        if len(random) == 1:
            return f"{text}{random[0]:.4f} with as much simulation at random labels."
        return (
            f"{text}{np.median(random):.4f} (median; {min(random):.4f} to {max(random):.4f}) with "
            f"as much at random labels, {len(random)} times; better than "
            f"{sum(chosen < one for one in random)} of them."
        )

    def figure(self) -> Page:
        """Draw the error of each arm over the labels, with the labels that it added."""
        return gain_figure(self.dataset)

    def __repr__(self) -> str:
        return f"Gain\n{self.verdict()}"

    def _repr_html_(self) -> str:
        return f"<p>{self.verdict()}</p>{self.table().to_html(float_format='{:.4f}'.format)}"


@dataclass(frozen=True)
class Request:
    """Labels to ask for, where events come from files and cannot be simulated here."""

    dataset: xr.Dataset  # the first rows of a ranking

    def table(self) -> pd.DataFrame:
        """Return the labels, one row each."""
        return table(self.dataset, self.dataset.sizes["rank"])

    def verdict(self) -> str:
        """Say what to do."""
        return (
            f"Files hold what they hold: simulate these {self.dataset.sizes['rank']} labels, put "
            "their files beside the others, and run again."
        )

    def figure(self) -> Page:
        """Draw where they are."""
        return ranking_figure(self.dataset, self.dataset.sizes["rank"])

    def __repr__(self) -> str:
        return f"{self.verdict()}\n{self.table().to_string()}"

    def _repr_html_(self) -> str:
        return f"<p>{self.verdict()}</p>{self.table().to_html(float_format='{:.4g}'.format)}"


def ranking_figure(ranking: xr.Dataset, number: int = 10) -> Page:
    """Draw the expected error over the candidates of :func:`rank`, the best `number` numbered."""
    names = parameters_of(ranking, "rank")
    page = Page(0.7 * WIDTH, 4.2)
    axis = page.subplots()
    values = ranking["expected_error"].values
    columns = [ranking[name].values for name in names[:2]]
    error = f"expected error: {_ERROR}"
    if len(columns) == 1:
        order = np.argsort(columns[0])
        axis.plot(columns[0][order], values[order], "o-", ms=4, lw=1, color="#0072b2")
        tidy(axis, _title(ranking, names[0]), error)
        columns = [columns[0], values]
    else:
        norm = norm_of("", values)
        dots = axis.scatter(columns[0], columns[1], c=values, s=45, marker="s", norm=norm)
        _bar(page, dots, axis, error)
        tidy(axis, _title(ranking, names[0]), _title(ranking, names[1]))
    for place in range(min(number, len(values))):
        at = float(columns[0][place]), float(columns[1][place])
        axis.annotate(
            str(place + 1), at, color=INK, fontsize=TEXT, fontweight="bold", ha="left",
            va="center", xytext=(5, 0), textcoords="offset points",
        )  # fmt: skip
        axis.plot(*at, "s", color=_MARK, ms=7.5, mfc="none", mew=1.6)
    axis.margins(0.07)
    page.heading(f"{ranking.sizes['rank']} candidates, the first {number} numbered")
    return page


def gain_figure(gain: xr.Dataset) -> Page:
    """Draw the K-fold error of each arm of :func:`refine` over the labels, and in order of size."""
    arms = [str(arm) for arm in gain["arm"].values]
    shown = arms[:_MOST_MAPS]
    page = Page(WIDTH, 5.6)
    parts: Any = page.subfigures(2, 1, height_ratios=(1.1, 1))
    above, below = parts
    axes = above.subplots(1, len(shown), sharex=True, sharey=True, squeeze=False)[0]
    names = parameters_of(gain)
    values = gain["w1_over_std"].sel(arm=shown)
    norm = norm_of("", values.values)
    for axis, arm in zip(axes, shown, strict=True):
        dots = _map(axis, gain.sel(arm=arm), names, norm)
        title = {"before": "before", "chosen": "chosen labels added"}.get(arm, f"{arm} added")
        tidy(axis, _title(gain, names[0]), "", title, inches=5.0 / len(shown))
    flat = len(names) == 1
    axes[0].set_ylabel(_ERROR if flat else _title(gain, names[1]), fontsize=TEXT, color=INK)
    if not flat:
        _bar(above, dots, list(axes), _ERROR)
        added = Line2D([], [], marker="x", ls="", color=_MARK, mew=1.8, label="label added")
        above.legend(handles=[added], loc="outside lower center", fontsize=7, frameon=False)
    _sorted(below.subplots(), gain, arms)
    return page


def _map(axis: Axes, arm: xr.Dataset, names: list[str], norm: Normalize) -> Any:
    """Draw one arm: its error at each label, and crosses where labels were added."""
    values = arm["w1_over_std"].values
    added = [arm[f"added_{name}"].values for name in names[:2]]
    columns = [arm[name].values for name in names[:2]]
    if len(names) == 1:
        order = np.argsort(columns[0])
        axis.plot(columns[0][order], values[order], "o-", ms=4, lw=1, color="#0072b2")
        axis.set_ylim(0, 1.05 * norm.vmax if norm.vmax else None)
        for place in added[0][np.isfinite(added[0])]:
            axis.axvline(place, color=_MARK, lw=1, ls=":")
        return None
    mesh = tiles(axis, columns, values, norm)
    for colour, width in (("white", 3.4), (_MARK, 1.8)):  # a rim keeps them apart from any tile
        axis.plot(*added, "x", ms=4 + width / 2, mew=width, color=colour)
    return mesh


def _sorted(axis: Axes, gain: xr.Dataset, arms: list[str]) -> None:
    """Draw the errors of each arm from the largest to the smallest."""
    for arm in arms:
        values = np.sort(gain["w1_over_std"].sel(arm=arm).values)[::-1]
        style = _ARMS.get(arm, _RANDOM)
        label = f"{arm}: worst {values[0]:.3f}, median {np.median(values):.3f}"
        axis.plot(np.arange(1, len(values) + 1), values, lw=1.4, ls=style.dash,
                  color=style.colour, marker=style.marker, ms=4, markevery=[0],
                  label=label)  # fmt: skip
    floor = float(gain["floor"].median())
    axis.axhline(floor, color=INK, lw=0.8, ls="-.", label=f"floor: median {floor:.3f}")
    axis.set_yscale("log")
    plain_log(axis.yaxis, *axis.get_ylim())
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    tidy(axis, "labels, worst first", f"{_ERROR}, each label held out once", inches=2.2)
    axis.legend(fontsize=7, frameon=False)


def _bar(page: Any, dots: Any, axes: Axes | list[Axes], text: str) -> None:
    bar = colourbar(page, dots, axes, wrapped(text, 36))
    if isinstance(dots.norm, LogNorm):
        plain_log(bar.ax.yaxis, *dots.get_clim())


def _title(dataset: xr.Dataset, name: str) -> str:
    return Variable.of(dataset[name]).title
