"""The figure of a calibration: ranks, TARP, coverage, importance weights, predictive p-values.

Drawn from the product of :func:`presage.studies.pdf.exhibits.calibration_product` alone;
panels whose numbers were not made are left out. Grey is where a calibrated posterior stays,
by chance and for as many tests as there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from presage.analysis.canvas import FAINT, INK, Page, tidy

#: Colours of quantities, in order; more of them begin again.
_PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7b4fa3", "#4d4d4d")
_BINS = 25
#: Values of curves: there are many of them.
CURVES = "#9aa0a8"


def calibration_figure(product: xr.Dataset) -> Page:
    """Draw all panels of a calibration.

    Parameters
    ----------
    product
        Of :func:`presage.studies.pdf.exhibits.calibration_product`.
    """
    made = [draw for name, draw in _PANELS.items() if name in product]
    columns = min(3, len(made))
    rows = -(-len(made) // columns)
    page = Page(4.1 * columns + 0.3, 3.3 * rows + 0.4)
    axes = page.subplots(rows, columns, squeeze=False).ravel()
    for axis, draw in zip(axes, made, strict=False):
        draw(axis, product)
    for axis in axes[len(made) :]:
        axis.set_visible(False)
    about = product.attrs
    page.suptitle(
        f"{about['kind']} of {about['problem']}: {about['observations']} observations of "
        f"{about['n_events']} events, {about['draw_count']} draws each",
        fontsize=10.5, color=INK,
    )  # fmt: skip
    return page


def colours_of(product: xr.Dataset) -> dict[str, str]:
    """Return a colour for each quantity; values of curves (``name(0.1)``) share a grey."""
    names = [str(name) for name in product["quantity"].values]
    plain = [name for name in names if _title(name) == name]
    own = {name: _PALETTE[k % len(_PALETTE)] for k, name in enumerate(plain)}
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
    titles = titles_of(palette)
    low, high = (product[name].values - fraction for name in ("ecdf_low", "ecdf_high"))
    axis.fill_between(fraction, low, high, color=FAINT, lw=0)
    for name, colour in palette.items():
        values = product["ecdf"].sel(quantity=name).values - fraction
        width = 0.7 if colour == CURVES else 1.1
        axis.plot(fraction, values, color=colour, lw=width, label=titles.get(name))
    axis.axhline(0, color=INK, lw=0.6)
    lost = outside(product)
    said = "all inside the band" if not lost else f"{len(lost)} of {len(palette)} leave the band"
    tidy(axis, "rank / draws", "ECDF − uniform", f"SBC ranks: {said}")
    axis.set_xlim(0, 1)
    bottom, top = axis.get_ylim()
    axis.set_ylim(bottom - 0.35 * (top - bottom), top)  # the legend stands there
    axis.legend(fontsize=7, frameon=False, ncols=3, loc="lower center", handlelength=1.2)


def _tarp(axis: Axes, product: xr.Dataset) -> None:
    expected = product["expected_coverage"]
    credibility, bound = expected["credibility"].values, float(product["tarp_bound"])
    axis.fill_between(credibility, credibility - bound, credibility + bound, color=FAINT, lw=0)
    axis.plot([0, 1], [0, 1], color=INK, lw=0.6)
    axis.plot(credibility, expected.values, color=_PALETTE[0], lw=1.5)
    worst = float(product["tarp_distance"])
    tidy(axis, "credibility α", "expected coverage", f"TARP: max |ECP − α| {worst:.3f}, "
         f"bound {bound:.3f}")  # fmt: skip
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)


def _coverage(axis: Axes, product: xr.Dataset) -> None:
    """Coverage minus the interval's mass, in percentage points, by quantity."""
    levels = [float(v) for v in product["level"].values]
    names = [str(name) for name in product["quantity"].values]
    wide = 0.7 / len(levels)
    for k, level in enumerate(levels):
        here = product.sel(level=level)
        place = np.arange(len(names)) + (k - (len(levels) - 1) / 2) * wide
        low, high = (100 * (here[f"coverage_{end}"].values - level) for end in ("low", "high"))
        axis.bar(place, high - low, wide * 0.9, bottom=low, color=FAINT, lw=0)
        axis.plot(place, 100 * (here["coverage"].values - level), "o", ms=3.5,
                  color=_PALETTE[k % len(_PALETTE)], label=f"{100 * level:.0f} %")  # fmt: skip
    axis.axhline(0, color=INK, lw=0.6)
    tidy(axis, "", "coverage − mass [points]", "Coverage of intervals")
    axis.set_xticks(range(len(names)), names, rotation=35 if len(names) <= 10 else 90)
    axis.tick_params(axis="x", labelsize=8 if len(names) <= 10 else 5)
    axis.legend(fontsize=7, frameon=False, ncols=len(levels), loc="upper center")
    reach = 1.45 * np.abs(axis.get_ylim()).max()
    axis.set_ylim(-reach, reach)


def _efficiency(axis: Axes, product: xr.Dataset) -> None:
    values = 100 * product["efficiency"].values
    axis.hist(values, bins=np.linspace(0, 100, _BINS + 1).tolist(), color=_PALETTE[0])
    median = float(np.nanmedian(values))
    axis.axvline(median, color=INK, lw=0.9)
    tail = ""
    if "pareto_k" in product:
        share = float((product["pareto_k"] < 0.7).mean())
        tail = f", $\\hat{{k}}$ < 0.7 for {100 * share:.0f} %"
    tidy(axis, "importance efficiency [%]", "observations", f"Median {median:.0f} %{tail}")
    axis.set_xlim(0, 100)


def _predictive(axis: Axes, product: xr.Dataset) -> None:
    """Distribution function of p-values minus the uniform one, in its simultaneous band."""
    steps = product["fraction"].values
    low, high = (product[f"predictive_{end}"].values - steps for end in ("low", "high"))
    axis.fill_between(steps, low, high, color=FAINT, lw=0)
    axis.plot(steps, product["predictive"].values - steps, color=_PALETTE[0], lw=1.4)
    axis.axhline(0, color=INK, lw=0.6)
    tidy(axis, "p-value", "ECDF − uniform", "Posterior predictive p-values")
    axis.set_xlim(0, 1)


def _c2st(axis: Axes, product: xr.Dataset) -> None:
    values = product["c2st"].values
    axis.hist(values, bins=np.linspace(0.4, 1, _BINS + 1).tolist(), color=_PALETTE[0])
    tidy(axis, "C2ST against the reference", "observations", f"Median {np.nanmedian(values):.3f}")
    axis.axvline(0.5, color=INK, lw=0.9)


_PANELS: dict[str, Callable[[Axes, xr.Dataset], None]] = {
    "ecdf": _ranks,
    "expected_coverage": _tarp,
    "coverage": _coverage,
    "efficiency": _efficiency,
    "predictive": _predictive,
    "c2st": _c2st,
}
