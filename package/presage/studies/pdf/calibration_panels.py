"""The panels of a calibration as numbers: what every drawing of it shows, and in which words.

Drawn in grey is where a calibrated posterior stays, by chance and for as many tests as there
are. Panels whose numbers were not made are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from presage.analysis.canvas import SERIES
from presage.analysis.pareto import PARETO_BAR
from presage.labels import Floats

#: Values of curves: there are many of them.
CURVES = "#9aa0a8"
_BINS = 25
_BLUE = SERIES[0].colour


@dataclass(frozen=True)
class Band:
    """Where a calibrated posterior stays: between `low` and `high` at each `x`."""

    x: Floats
    low: Floats
    high: Floats
    #: Of separate boxes around each x; 0: one area.
    width: float = 0.0


@dataclass(frozen=True)
class Curve:
    """A line, or `points`; without a label it has no entry in the legend."""

    label: str
    colour: str
    x: Floats
    y: Floats
    points: bool = False


@dataclass(frozen=True)
class Histogram:
    """Counts between edges, and a value to mark."""

    edges: Floats
    counts: Floats
    mark: float


@dataclass(frozen=True)
class Panel:
    """One panel; `verdict` is what follows from its numbers, `ticks` name places on x."""

    title: str
    verdict: str
    x: str
    y: str
    x_range: tuple[float, float]
    bands: tuple[Band, ...] = ()
    curves: tuple[Curve, ...] = ()
    histogram: Histogram | None = None
    ticks: Mapping[float, str] = field(default_factory=dict)


def panels(product: xr.Dataset) -> dict[str, Panel]:
    """Return the panels by the name of what they show.

    Parameters
    ----------
    product
        Of :func:`presage.studies.pdf.exhibits.calibration_product`.
    """
    return {name: panel(product) for name, panel in _PANELS.items() if name in product}


def titles_of(product: xr.Dataset) -> dict[str, str]:
    """Return the long name of each quantity, and of curves without a place (``"u"``)."""
    names = [str(name) for name in product["quantity"].values]
    # Products of version 1 made before there were titles have none.
    titles = map(str, product.coords.get("quantity_title", product["quantity"]).values)
    found = dict(zip(names, titles, strict=True))
    return found | {_whole(n): t.rpartition(" at ")[0] or t for n, t in found.items()
                    if _whole(n) != n}  # fmt: skip


def outside(product: xr.Dataset) -> list[str]:
    """Return the quantities whose ranks leave the simultaneous band anywhere."""
    ecdf = product["ecdf"].transpose("quantity", "fraction")
    beyond = (ecdf < product["ecdf_low"] - 1e-12) | (ecdf > product["ecdf_high"] + 1e-12)
    return [str(q) for q in product["quantity"].values[beyond.any("fraction").values]]


def _whole(quantity: str) -> str:
    """Return what a quantity is a value of: ``"u(0.1)"`` and ``"u[3]"`` are values of ``"u"``."""
    return re.split(r"[\[(]", quantity)[0]


def _ecdf(product: xr.Dataset, name: str) -> tuple[Floats, Band]:
    """Return where a distribution function is compared, and its band minus the uniform one."""
    at = product["fraction"].values
    low, high = (product[f"{name}_{end}"].values - at for end in ("low", "high"))
    return at, Band(at, low, high)


def _ranks(product: xr.Dataset) -> Panel:
    at, band = _ecdf(product, "ecdf")
    names = [str(name) for name in product["quantity"].values]
    own = [name for name in names if _whole(name) == name]
    colours = {name: SERIES[k % len(SERIES)].colour for k, name in enumerate(own)}
    first = {_whole(name): name for name in reversed(names)}  # one entry for a curve's values
    curves = [
        Curve(_whole(name) if first[_whole(name)] == name else "", colours.get(name, CURVES), at,
              product["ecdf"].sel(quantity=name).values - at)
        for name in names
    ]  # fmt: skip
    lost = len(outside(product))
    said = f"{lost} of {len(names)} leave the band" if lost else "all in the band"
    return Panel("SBC ranks", said, "rank / draws", "ECDF − uniform", (0, 1), (band,),
                 tuple(curves))  # fmt: skip


def _tarp(product: xr.Dataset) -> Panel:
    """Return expected coverage minus credibility: a bound is seen better than on a diagonal."""
    expected, bound = product["expected_coverage"], float(product["tarp_bound"])
    at = expected["credibility"].values
    said = f"max |ECP − α| {float(product['tarp_distance']):.3f}, bound {bound:.3f}"
    ends = np.array([0.0, 1.0])
    band = Band(ends, np.full(2, -bound), np.full(2, bound))
    return Panel("TARP", said, "credibility α", "expected coverage − α", (0, 1), (band,),
                 (Curve("", _BLUE, at, expected.values - at),))  # fmt: skip


def _coverage(product: xr.Dataset) -> Panel:
    """Return coverage minus the interval's mass, in percentage points, by quantity."""
    names = [str(name) for name in product["quantity"].values]
    levels = [float(level) for level in product["level"].values]
    wide = 0.7 / len(levels)
    bands, curves = [], []
    for k, level in enumerate(levels):
        here = 100 * (product.sel(level=level) - level)
        x = np.arange(float(len(names))) + (k - (len(levels) - 1) / 2) * wide
        low, high = (here[f"coverage_{end}"].values for end in ("low", "high"))
        bands.append(Band(x, low, high, 0.9 * wide))
        colour = SERIES[k % len(SERIES)].colour
        curves.append(Curve(f"{100 * level:.0f} %", colour, x, here["coverage"].values, True))
    return Panel("Coverage of intervals", "grey: by chance", "",
                 "coverage − mass [percentage points]", (-0.6, len(names) - 0.4), tuple(bands),
                 tuple(curves), ticks=dict(enumerate(names)))  # fmt: skip


def _efficiency(product: xr.Dataset) -> Panel:
    values = 100 * product["efficiency"].values
    said = f"median {np.nanmedian(values):.0f} %"
    if "pareto_k" in product:
        share = float((product["pareto_k"] < PARETO_BAR).mean())
        said += f", k̂ < {PARETO_BAR} for {100 * share:.0f} %"
    return _histogram("Weights", said, "importance efficiency [%]", values, (0, 100))


def _predictive(product: xr.Dataset) -> Panel:
    """Return the distribution of p-values minus the uniform one, in its simultaneous band."""
    at, band = _ecdf(product, "predictive")
    return Panel("Posterior predictive p", "", "p-value", "ECDF − uniform", (0, 1), (band,),
                 (Curve("", _BLUE, at, product["predictive"].values - at),))  # fmt: skip


def _c2st(product: xr.Dataset) -> Panel:
    values = product["c2st"].values
    return _histogram("C2ST", f"median {np.nanmedian(values):.3f}",
                      "accuracy against the reference", values, (0.4, 1))  # fmt: skip


def _histogram(title: str, said: str, x: str, values: Floats, ends: tuple[float, float]) -> Panel:
    counts, edges = np.histogram(values[np.isfinite(values)], _BINS, ends)
    found = Histogram(edges, counts.astype(float), float(np.nanmedian(values)))
    return Panel(title, said, x, "observations", ends, histogram=found)


_PANELS: dict[str, Callable[[xr.Dataset], Panel]] = {
    "ecdf": _ranks,
    "expected_coverage": _tarp,
    "efficiency": _efficiency,
    "predictive": _predictive,
    "c2st": _c2st,
    "coverage": _coverage,
}
