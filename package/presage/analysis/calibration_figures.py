"""The figure of a calibration: ranks, TARP, coverage, importance weights, predictive p-values.

Drawn from the product of :func:`presage.studies.pdf.exhibits.calibration_product` alone;
panels whose numbers were not made are left out. Grey is where a calibrated posterior stays,
by chance and for as many tests as there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from presage.analysis.canvas import FAINT, INK, SERIES, SMALL, WIDTH, Page, tidy, wrapped

_BINS = 25
#: Values of curves: there are many of them.
CURVES = "#9aa0a8"
#: Quantities up to which their names stand level.
_LEVEL_NAMES = 8


def calibration_figure(product: xr.Dataset) -> Page:
    """Draw all panels of a calibration.

    Parameters
    ----------
    product
        Of :func:`presage.studies.pdf.exhibits.calibration_product`.
    """
    made = [draw for name, draw in _PANELS.items() if name in product]
    columns = min(3, max(len(made), 1)) if len(made) != 4 else 2
    rows = -(-len(made) // columns)
    names = _titles(product)
    level = len(names) <= _LEVEL_NAMES
    heights = 2.4 * rows, 2.1 if level else 1.7 + 0.058 * max(map(len, names.values()))
    page = Page(WIDTH, sum(heights) + 0.6)
    parts: Any = page.subfigures(2, 1, height_ratios=heights)
    above, below = parts
    axes = above.subplots(rows, columns, squeeze=False).ravel()
    for axis, draw in zip(axes, made, strict=False):
        draw(axis, product)
    for axis in axes[len(made) :]:
        axis.set_visible(False)
    if "coverage" in product:
        _coverage(below.subplots(), product, names, level=level)
    about = product.attrs
    page.heading(
        f"{about['kind']} of {about['problem']}: {about['observations']} observations of "
        f"{about['n_events']} events, {about['draw_count']} draws each"
    )
    page.key_of(*axes)
    return page


def _titles(product: xr.Dataset) -> dict[str, str]:
    """Return the long name of each quantity; products of before have none."""
    names = [str(name) for name in product["quantity"].values]
    titles = product.coords.get("quantity_title", product["quantity"]).values
    return dict(zip(names, map(str, titles), strict=True))


def colours_of(product: xr.Dataset) -> dict[str, str]:
    """Return a colour for each quantity; values of curves (``name(0.1)``) share a grey."""
    names = [str(name) for name in product["quantity"].values]
    plain = [name for name in names if _title(name) == name]
    own = {name: SERIES[k % len(SERIES)].colour for k, name in enumerate(plain)}
    return {name: own.get(name, CURVES) for name in names}


def titles_of(palette: dict[str, str]) -> dict[str, str]:
    """Return what a legend calls each quantity; values of one curve have one entry."""
    found: dict[str, str] = {}
    for name in palette:
        title = _title(name)
        if title not in found.values():
            found[name] = title
    return found


def _title(quantity: str) -> str:
    """Return what a quantity is a value of: ``"u(0.1)"`` and ``"u[3]"`` are values of ``"u"``."""
    return re.split(r"[\[(]", quantity)[0]


def outside(product: xr.Dataset) -> list[str]:
    """Return the quantities whose ranks leave the simultaneous band anywhere."""
    ecdf = product["ecdf"].transpose("quantity", "fraction")
    beyond = (ecdf < product["ecdf_low"] - 1e-12) | (ecdf > product["ecdf_high"] + 1e-12)
    return [str(q) for q in product["quantity"].values[beyond.any("fraction").values]]


def _ranks(axis: Axes, product: xr.Dataset) -> None:
    fraction, palette = product["fraction"].values, colours_of(product)
    legend, titles = titles_of(palette), _titles(product)
    dashes = {style.colour: style.dash for style in SERIES}
    low, high = (product[name].values - fraction for name in ("ecdf_low", "ecdf_high"))
    axis.fill_between(fraction, low, high, color=FAINT, lw=0, label="95 % by chance")
    for name, colour in palette.items():
        values = product["ecdf"].sel(quantity=name).values - fraction
        # One entry for all values of a curve, without the place.
        label = titles[name] if legend.get(name) == name else titles[name].rpartition(" at ")[0]
        axis.plot(fraction, values, color=colour, ls=dashes.get(colour, "solid"),
                  lw=0.7 if colour == CURVES else 1.1,
                  label=label if name in legend else None)  # fmt: skip
    axis.axhline(0, color=INK, lw=0.6)
    lost = outside(product)
    said = "all in the band" if not lost else f"{len(lost)} of {len(palette)} leave the band"
    tidy(axis, "rank / draws", "ECDF − uniform", f"SBC ranks: {said}")
    axis.set_xlim(0, 1)


def _tarp(axis: Axes, product: xr.Dataset) -> None:
    expected = product["expected_coverage"]
    credibility, bound = expected["credibility"].values, float(product["tarp_bound"])
    axis.fill_between(credibility, credibility - bound, credibility + bound, color=FAINT, lw=0)
    axis.plot([0, 1], [0, 1], color=INK, lw=0.6)
    axis.plot(credibility, expected.values, color=SERIES[0].colour, lw=1.5)
    worst = float(product["tarp_distance"])
    tidy(axis, "credibility α", "expected coverage (ECP)",
         f"TARP: max |ECP − α|\n{worst:.3f}, bound {bound:.3f}")  # fmt: skip
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)


def _coverage(axis: Axes, product: xr.Dataset, titles: dict[str, str], *, level: bool) -> None:
    """Coverage minus the interval's mass, in percentage points, by quantity."""
    levels = [float(v) for v in product["level"].values]
    wide = 0.7 / len(levels)
    for k, mass in enumerate(levels):
        here, style = product.sel(level=mass), SERIES[k % len(SERIES)]
        place = np.arange(len(titles)) + (k - (len(levels) - 1) / 2) * wide
        low, high = (100 * (here[f"coverage_{end}"].values - mass) for end in ("low", "high"))
        axis.bar(place, high - low, wide * 0.9, bottom=low, color=FAINT, lw=0)
        axis.plot(place, 100 * (here["coverage"].values - mass), style.marker, ms=3.5,
                  color=style.colour, label=f"intervals of {100 * mass:.0f} %")  # fmt: skip
    axis.axhline(0, color=INK, lw=0.6)
    tidy(axis, "", "coverage − mass\n[percentage points]", "Coverage of intervals; grey: by chance")
    width = max(8, int(5.8 * 72 / (0.6 * SMALL) / max(len(titles), 1))) if level else 60
    axis.set_xticks(range(len(titles)), [wrapped(t, width) for t in titles.values()],
                    rotation=0 if level else 90)  # fmt: skip
    axis.legend(fontsize=SMALL, frameon=False, ncols=len(levels), loc="lower right",
                bbox_to_anchor=(1, 1), borderaxespad=0)  # fmt: skip


def _efficiency(axis: Axes, product: xr.Dataset) -> None:
    values = 100 * product["efficiency"].values
    axis.hist(values, bins=np.linspace(0, 100, _BINS + 1).tolist(), color=SERIES[0].colour)
    median = float(np.nanmedian(values))
    axis.axvline(median, color=INK, lw=0.9)
    tail = ""
    if "pareto_k" in product:
        share = float((product["pareto_k"] < 0.7).mean())
        tail = f"\n$\\hat{{k}}$ < 0.7 for {100 * share:.0f} %"
    tidy(axis, "importance efficiency [%]", "observations", f"Weights: median {median:.0f} %{tail}")
    axis.set_xlim(0, 100)


def _predictive(axis: Axes, product: xr.Dataset) -> None:
    """Distribution function of p-values minus the uniform one, in its simultaneous band."""
    steps = product["fraction"].values
    low, high = (product[f"predictive_{end}"].values - steps for end in ("low", "high"))
    axis.fill_between(steps, low, high, color=FAINT, lw=0)
    axis.plot(steps, product["predictive"].values - steps, color=SERIES[0].colour, lw=1.4)
    axis.axhline(0, color=INK, lw=0.6)
    tidy(axis, "p-value", "ECDF − uniform", "Posterior predictive p")
    axis.set_xlim(0, 1)


def _c2st(axis: Axes, product: xr.Dataset) -> None:
    values = product["c2st"].values
    axis.hist(values, bins=np.linspace(0.4, 1, _BINS + 1).tolist(), color=SERIES[0].colour)
    tidy(axis, "C2ST against the reference", "observations", f"Median {np.nanmedian(values):.3f}")
    axis.axvline(0.5, color=INK, lw=0.9)


_PANELS: dict[str, Callable[[Axes, xr.Dataset], None]] = {
    "ecdf": _ranks,
    "expected_coverage": _tarp,
    "efficiency": _efficiency,
    "predictive": _predictive,
    "c2st": _c2st,
}
