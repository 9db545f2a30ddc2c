"""The sky page: maps of cleaned skies, and what was left of foregrounds beside the limit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import xarray as xr

from dashboards.kit.arrays import Array, Fetched, title_of, words
from dashboards.kit.choice import Choice, entries_menu
from dashboards.kit.opened import checked, opened
from dashboards.kit.page import Cast, Page, Panel, View, Visit
from dashboards.kit.panels import (
    Cell,
    Line,
    Picture,
    Scale,
    Table,
    axis,
    caption,
    curve,
    head,
    images,
    slider,
    table,
)
from dashboards.kit.pieces import column, row
from dashboards.kit.theme import MASK, whole
from presage.store import EntryInfo
from presage.studies.sky.figures import LOST, style
from presage.studies.sky.report import SkyResiduals

#: Method → what the page calls it.
SHORT = {
    "limit": "limit", "wiener_other": "Wiener, other sky", "wiener_learned": "Wiener, learned",
    "pca": "PCA", "pca_transfer": "PCA, transfer", "polynomial": "polynomial",
    "fastica": "FastICA", "network": "U-Net", "network_wiener": "U-Net over Wiener",
}  # fmt: skip
_DASHED = ("wiener_other", "pca_transfer", "polynomial", "fastica")
_TRUTH = "#9a9a9a"
_PLANE = ("cleaner", "k_perpendicular", "k_parallel")
_NEEDED = {
    "residual": _PLANE, "power_ratio": _PLANE, "correlation": _PLANE, "ratio_to_limit": _PLANE,
    "expected_limit": _PLANE[1:], "mode_count": _PLANE[1:],
    **{f"{name}_{over}{error}": ("cleaner", dim) for error in ("", "_error")
       for over, dim in (("1d", "k"), ("parallel", "k_parallel"), ("band", "band"))
       for name in ("residual", "power_ratio", "correlation")},
    "ratio_to_limit_band": ("cleaner", "band"), "cleaner_title": ("cleaner",),
}  # fmt: skip
_OVER = "P residual over that of the limit on the same skies; best: 1"
_RESIDUAL = "P residual / P true in the last band; best: what the limit has"
_POWER = "P cleaned / P true there; a posterior mean has r², what is corrected 1"
_CORRELATION = "Correlation of cleaned and true modes there; best: 1"
_COVERAGE = "Share of pixels whose truth is inside the 68 % band; best: 0.68, red: over 5 % away"
_SCAN = {"scan_residual": ("modes", "k_parallel"), "scan_power_ratio": ("modes", "k_parallel"),
         "scan_correlation": ("modes", "k_parallel"), "scan_total": ("modes",),
         "eigenvalues": ("mode",), "signal_eigenvalues": ("mode",)}  # fmt: skip


@dataclass(frozen=True)
class Exhibit:
    """A product of residuals of skies."""

    product: xr.Dataset
    verdicts: Sequence[str]  # What is said of each method.
    visit: Visit

    @cached_property
    def across(self) -> tuple[str, str]:
        """Dims of a map: y and x, or baseline and right ascension."""
        first, second = str(self.product.attrs["across"]).split(",")
        return first, second

    @cached_property
    def methods(self) -> list[str]:
        """Names of the methods; the first is the one that others are held against."""
        return [str(name) for name in self.product["cleaner"].values]

    @cached_property
    def titles(self) -> list[str]:
        """What the page calls them."""
        return [SHORT.get(name, name.replace("_", " ")) for name in self.methods]

    @cached_property
    def over(self) -> dict[str, str]:
        """Wave numbers that spectra are shown over, and their signs."""
        signs = {"k": "k", "k_parallel": "k∥"}  # of visibilities there is one bin of k
        return {axis: sign for axis, sign in signs.items() if self.product.sizes[axis] > 1}

    @cached_property
    def rms(self) -> float:
        """Of the signal."""
        return float(self.product["truth"].std()) or 1.0

    @cached_property
    def unit(self) -> str:
        """What the maps are in."""
        return str(self.product["truth"].attrs.get("units", "mK"))

    @cached_property
    def scale(self) -> tuple[float, str]:
        """What maps are divided by to be readable numbers, and their unit then."""
        power = 3 * math.floor(math.log10(self.rms) / 3 + 0.5)
        digits = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return 10.0**power, f"10{digits} {self.unit}" if power else self.unit

    @cached_property
    def reach(self) -> float:
        """End of the colours of maps, the same for all."""
        return float(f"{3 * self.rms / self.scale[0]:.1g}")

    @cached_property
    def scan(self) -> bool:
        """Whether it holds a scan over the number of modes."""
        return all(name in self.product for name in _SCAN)

    @cached_property
    def hopeless(self) -> xr.DataArray:
        """Cells of the plane without modes, or with nothing to be had."""
        known = self.product["mode_count"] > 0
        return ~known | (self.product["expected_limit"] > LOST)

    @cached_property
    def choices(self) -> list[Choice]:
        """What can be chosen."""
        product, names, titles = self.product, self.methods, self.titles
        frequency = [f"{value:.6g}" for value in product["frequency"].values]
        rivals = range(1, len(names))
        shown = [name for name in ("limit", "pca", "wiener_learned") if name in names]
        first = next((m for m in ("network", "network_wiener", "wiener_learned") if m in names),
                     names[-1])  # fmt: skip
        cells = [
            Choice.numbered(dim, [str(k) for k in range(product.sizes[dim])],
                            str(product.sizes[dim] // 2)) for dim in self.across
        ]  # fmt: skip
        scan: list[Choice] = []
        if self.scan:
            removed = [int(n) for n in product["modes"].values]
            best = min(removed, key=lambda n: abs(n - int(product.attrs.get("best_modes", n))))
            scan = [
                Choice.numbered("modes", [str(n) for n in removed], str(best), keys=(",", ".")),
                Choice.numbered("scanned", ("residual", "power", "r"), heading="at N_FG",
                                titles=("residual", "P ratio", "r"), cycle="n"),
            ]  # fmt: skip
        return [
            Choice("cleaner", names, first, "cleaner", titles, 146, range(len(names)),
                   digits=rivals),
            Choice("other", names, names[0], "beside", titles, 146, range(len(names)),
                   silent=names[0], digits=rivals, shifted=True),
            Choice.numbered("sky", [str(k) for k in range(product.sizes["sky"])], heading="sky",
                            keys=("ArrowDown", "ArrowUp")),
            Choice.numbered("frequency", frequency, frequency[len(frequency) // 2],
                            titles=[f"{value} MHz" for value in frequency],
                            keys=("ArrowLeft", "ArrowRight")),
            Choice("colours", ("1", "10"), heading="colours", titles=("signal", "× 10"), cycle="c",
                   silent="1"),
            Choice("plane", ("limit", "residual", "power", "r"), heading="plane", cycle="p",
                   titles=("over the limit", "residual", "P ratio", "r")),
            Choice("curves", names, shown, "curves", titles, several=True,
                   colours=dict(zip(names, self.colours, strict=True))),
            Choice.numbered("over", list(self.over), heading="over" if len(self.over) > 1 else "",
                            titles=list(self.over.values()), cycle="k"),
            *scan, *cells,
        ]  # fmt: skip

    @cached_property
    def colours(self) -> list[str]:
        """Of the methods."""
        return [style(name).colour for name in self.methods]


def view(visit: Visit) -> View:
    """Return what a visit shows."""
    exhibit = Exhibit(*opened(visit.store, [visit.entry.key], _prepared), visit)
    names = exhibit.methods
    cast = Cast(
        "cleaner", names, exhibit.colours, exhibit.titles, a="cleaner", b="other", overlay="curves",
        drawn=range(len(names)), dashed=_DASHED, filled=f"{exhibit.titles[0]} ± σ",
    )  # fmt: skip
    top, channel = head(True, [("truth", f"border-color:{_TRUTH}", "")]), slider(
        "frequency", "frequency", "frequency")  # fmt: skip
    maps, sight, plane, numbers = (
        _maps(exhibit), _sight(exhibit, cast), _plane(exhibit), _table(exhibit)
    )  # fmt: skip
    said, spectra = caption("verdict", "note"), _spectra(exhibit, cast)
    panels = [top, channel, maps, sight, plane, numbers, said, *spectra]
    cells = [sight.place, plane.place, column("table", numbers.place, said.place)]
    cells += [panel.place for panel in spectra]
    sliders: list[Any] = []
    if exhibit.scan:
        removed, scan = slider("modes", "N_FG", "modes that PCA removes"), _scan(exhibit)
        panels += [removed, *scan]
        cells += [panel.place for panel in scan]
        sliders = [removed.place]
    products = entries_menu("product", visit.products[::-1], visit.entry, title=_title, width=150)
    rows = [[*products, "cleaner", "other", "sky", channel.place, "plane", "over"],
            ["curves", "colours", *sliders, "scanned"]]  # fmt: skip
    return View(
        exhibit.choices, panels, column("whole", top.place, maps.place, row("checks", *cells)),
        rows, cast, fetched=_fetched(exhibit), words=_words(exhibit),
        address={"page": "sky", "key": visit.entry.key[:16]},
    )  # fmt: skip


def _title(entry: EntryInfo) -> str:
    """Return what the menu calls a product, ``"1a2b3c leakage"``."""
    name = entry.recipe.fields.get("name", "") if entry.recipe is not None else ""
    return f"{entry.key[:6]} {name}".strip()


def _prepared(product: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """Return a product and what is said of each method, or say what is not as it should be."""
    across = str(product.attrs.get("across", "y,x")).split(",")
    cube = ("sky", "frequency", *across)
    needed = {**_NEEDED, "truth": cube, "cleaned": ("cleaner", *cube)}
    needed |= {name: dims for name, dims in _SCAN.items() if name in product}
    product = checked(product, "cleaned skies", needed)
    report = SkyResiduals(product)
    said = [report.verdict(str(method)) for method in product["cleaner"].values]
    return product.assign_attrs(across=",".join(across)), said


# -- panels ----------------------------------------------------------------------------------------


def _fetched(exhibit: Exhibit) -> dict[str, Fetched]:
    """Return what is asked for: the cubes of a sky, and the spectra along one line of sight."""
    product, (y, x), (unit, _) = exhibit.product, exhibit.across, exhibit.scale

    def coded(cube: xr.DataArray, reach: float) -> Array:
        return Array.coded(cube, y, x, low=-reach, high=reach)

    def truth(state: Mapping[str, Any]) -> dict[str, Array]:
        here = product["truth"].isel(sky=state["sky"]) / unit
        return {"truth": coded(here, exhibit.reach)}

    def cleaned(state: Mapping[str, Any], by: str, tail: str) -> dict[str, Array]:
        here = product[["truth", "cleaned"]].isel(sky=state["sky"], cleaner=state[by]) / unit
        rest = here["cleaned"] - here["truth"]
        own = min(exhibit.reach, float(np.abs(rest).max()) or 1.0)
        return {
            f"cleaned{tail}": coded(here["cleaned"], exhibit.reach),
            f"rest{tail}": coded(rest, own),
        }

    def sight(state: Mapping[str, Any]) -> dict[str, Array]:
        names = [n for n in ("truth", "cleaned", "signal_error") if n in product]
        here = product[names].isel({name: state[name] for name in ("sky", y, x)}) / unit
        error = here.get("signal_error", xr.full_like(here["cleaned"], np.nan))
        band = xr.concat([here["cleaned"] + k * error if k else here["cleaned"]
                          for k in (-1, 0, 1)], "level")  # fmt: skip
        return {"sight": Array.of(band, "level", "frequency"),
                "sight_true": Array.of(here["truth"], "frequency")}  # fmt: skip

    return {
        "truth": Fetched(("truth",), ("sky",), truth),
        "one": Fetched(("cleaned", "rest"), ("sky", "cleaner"),
                       lambda s: cleaned(s, "cleaner", "")),
        "two": Fetched(("cleaned_other", "rest_other"), ("sky", "other"),
                       lambda s: cleaned(s, "other", "_other")),
        "sight": Fetched(("sight", "sight_true"), ("sky", y, x), sight),
    }  # fmt: skip


def _maps(exhibit: Exhibit) -> Panel:
    """Return truth, cleaned and residual of two methods on one scale."""
    product, across = exhibit.product, exhibit.across
    ends = {name: exhibit.reach / float(name) for name in ("1", "10")}
    ticks = (-1, -0.5, 0, 0.5, 1)
    scales = {name: Scale(-end, end, exhibit.scale[1], True, ticks=[end * tick for tick in ticks])
              for name, end in ends.items()}  # fmt: skip
    drawn = [("truth", "", "truth"), ("cleaned", "plus", "*"), ("rest", "plus", "* − truth"),
             ("cleaned_other", "minus", "*"), ("rest_other", "minus", "* − truth")]  # fmt: skip
    pictures = [Picture(array, scales, title, role, bar=array == "rest_other")
                for array, role, title in drawn]  # fmt: skip
    shape = product.sizes[across[0]], product.sizes[across[1]]
    return images(
        "maps", pictures, {}, shape, [axis(product[dim]) for dim in across[::-1]], "colours",
        ["sky", "frequency", "cleaner", "other"], across[::-1], fetched=True,
    )  # fmt: skip


def _sight(exhibit: Exhibit, cast: Cast) -> Panel:
    """Return the spectra along the line of sight at the marked pixel."""
    frequency = exhibit.product["frequency"]
    arrays = {"channels": Array(frequency.values, ()), "channel": Array.of(frequency)}
    line = Line(f"line of sight [{exhibit.scale[1]}]", title_of(frequency), "channels", "sight",
                "sight_true")  # fmt: skip
    return curve("half", [line], arrays, 3, cast, mark="channel", pair=True, fetched=True,
                 truth_colour=_TRUTH, on=["sky", *exhibit.across])  # fmt: skip


def _plane(exhibit: Exhibit) -> Panel:
    """Return the (k_perpendicular, k_parallel) plane of the chosen method."""
    product = exhibit.product
    own = product["residual"].isel(cleaner=0) / product["expected_limit"]
    over = product["ratio_to_limit"].copy()
    over[{"cleaner": 0}] = own.transpose(*over.isel(cleaner=0).dims)
    over = over.where(~exhibit.hopeless)
    known = product["mode_count"] > 0
    stacked = xr.concat(
        [over, *(product[n].where(known) for n in ("residual", "power_ratio", "correlation"))],
        "plane", coords="minimal", compat="override",
    ).astype("f4")  # fmt: skip
    scales = {
        "limit": Scale(1, 10, "× limit", log=True, nothing=MASK, ticks=[1, 1.2, 1.5, 2, 3, 5, 10]),
        "residual": Scale(1e-3, 1, "P res./P", log=True, nothing=MASK),
        "power": Scale(0, 2, "P ratio", True, MASK, ticks=[0, 0.5, 1, 1.5, 2]),
        "r": Scale(0, 1, "r", nothing=MASK, best=1, ticks=[0, 0.25, 0.5, 0.75, 1]),
    }
    axes = [{"edges": [-0.5, len(product[dim]) - 0.5], "title": f"{name} [h/Mpc]",
             "names": [f"{value:.2g}" for value in product[dim].values]}
            for dim, name in (("k_perpendicular", "k⊥"), ("k_parallel", "k∥"))]  # fmt: skip
    drawn = "k_parallel", "k_perpendicular"
    arrays = {"plane": Array.of(stacked.transpose("plane", "cleaner", ...), *drawn)}
    shape = product.sizes["k_parallel"], product.sizes["k_perpendicular"]
    picture = Picture("plane", scales, "*", "plus")
    return images("half", [picture], arrays, shape, axes, "plane", ["cleaner"])


def _table(exhibit: Exhibit) -> Panel:
    """Return the figures of merit of every method beside the limit."""
    product, last = exhibit.product, exhibit.product.sizes["band"] - 1
    bands = [str(name) for name in product["band"].values]
    columns: list[dict[str, str]] = []
    numbers: list[tuple[str, dict[str, int], str, float | None]] = []
    for k, band in enumerate(bands):
        title = band.removeprefix("k∥").replace(" – ", "–").strip()
        columns.append({"group": "residual / limit, k∥", "title": title, "hint": _OVER})
        numbers.append(("ratio_to_limit_band", {"band": k}, "show", 0.0))
    for name, title, best, hint in (
        ("residual_band", "residual", 0.0, _RESIDUAL), ("power_ratio_band", "P", 1.0, _POWER),
        ("correlation_band", "r", None, _CORRELATION),
    ):  # fmt: skip
        columns.append({"group": bands[last], "title": title, "hint": hint})
        numbers.append((name, {"band": last}, "show", best))
    if "coverage" in product:
        columns.append({"group": "bands", "title": "68 %", "hint": _COVERAGE})
        numbers.append(("coverage", {"level": 0}, "ratio", 0.68))
    full, rivals = product["cleaner_title"].values, range(1, len(exhibit.methods))
    rows = []
    for k, title in enumerate(exhibit.titles):
        cells = [
            Cell(name, {"cleaner": k, **at}, how, not k, best=best, among=list(rivals) if k else (),
                 off=(0.68, 0.05) if name == "coverage" else None)
            for name, at, how, best in numbers
        ]  # fmt: skip
        rows.append({"title": title, "said": str(full[k]), "cells": cells, "mark": [k]})
    arrays = {name: Array.of(product[name].astype("f4")) for name, *_ in numbers}
    groups = list(dict.fromkeys(column["group"] for column in columns))
    return table(Table(groups, columns, rows), arrays, floor=0, column="cleaner",
                 on=["cleaner", "other"])  # fmt: skip


def _spectra(exhibit: Exhibit, cast: Cast) -> list[Panel]:
    """Return power ratio, correlation and residual over wave numbers, always together."""
    product, found = exhibit.product, []
    for name, title, ends in (
        ("power_ratio", "P cleaned / P true", (0.0, 2.0)),
        ("correlation", "correlation r", (0.0, 1.0)),
        ("residual", "P residual / P true", (1e-4, 10.0)),
    ):  # fmt: skip
        log, lines, arrays = name == "residual", [], {}
        for k, sign in exhibit.over.items():
            values = product[f"{name}_{'1d' if k == 'k' else 'parallel'}"]
            of, error = str(values.name), product[f"{values.name}_error"]
            band = xr.concat([values + width * error for width in (-1, 0, 1)], "level")
            arrays |= {k: Array(product[k].values, ()), of: Array.of(band, "level", k),
                       f"one_{k}": Array(np.ones(product.sizes[k]), ())}  # fmt: skip
            lines.append(Line(title, f"{sign} [h/Mpc]", k, of, "" if log else f"one_{k}",
                              log=True, log_y=log, ends=ends))  # fmt: skip
        found.append(curve("half", lines, arrays, 3, cast, "over", truth_colour=_TRUTH))
    return found


def _scan(exhibit: Exhibit) -> list[Panel]:
    """Return the eigenvalues, what is left over N_FG, and over k_parallel at this N_FG."""
    product, blues = exhibit.product, ("#56b4e9", "#0072b2", "#003f6b")
    number, removed = (
        np.arange(1.0, product.sizes["mode"] + 1),
        product["modes"].values.astype(float),
    )
    along = product["k_parallel"].values
    places = [int(np.abs(along - k).argmin()) for k in (0.03, 0.06, 0.15)]
    noise = np.full(len(number), float(product.get("noise_eigenvalue", np.nan)))
    arrays = {
        "number": Array(number, ()), "noise": Array(noise, ()), "removed": Array(removed, ()),
        "between": Array(removed + 0.5, ("modes",)), "removed_now": Array(removed, ("modes",)),
        "k_parallel": Array(along, ()),
        "eigenvalues": _level(product["eigenvalues"], "mode"),
        "signal_eigenvalues": Array.of(product["signal_eigenvalues"], "mode"),
        "scan_total": _level(product["scan_total"], "modes"),
        **{f"scan{k}": Array.of(product["scan_residual"].isel(k_parallel=k), "modes")
           for k in places},
        **{name: _level(product[name], "k_parallel") for name in _SCAN if
           _SCAN[name] == ("modes", "k_parallel")},
        "limit": Array.of(product["residual_parallel"].isel(cleaner=0), "k_parallel"),
    }  # fmt: skip
    square = f"({exhibit.unit})²" if " " in exhibit.unit else f"{exhibit.unit}²"
    values = Line(f"eigenvalue [{square}]", "mode", "number", "eigenvalues", log_y=True,
                  further=("signal_eigenvalues", "noise"))  # fmt: skip
    total = Line("P residual / P true", "N_FG", "removed", "scan_total", log_y=True,
                 ends=(1e-3, 1e3), further=[f"scan{k}" for k in places])  # fmt: skip
    of = {"x": "k∥ [h/Mpc]", "grid": "k_parallel", "log": True}
    here = [Line("P residual / P true", band="scan_residual", log_y=True, ends=(1e-4, 1e3),
                 further=("limit",), **of),
            Line("P cleaned / P true", band="scan_power_ratio", ends=(0, 2), **of),
            Line("correlation r", band="scan_correlation", ends=(0, 1), **of)]  # fmt: skip
    named = [(f"k∥ = {along[k]:.2g}", colour) for k, colour in zip(places, blues, strict=True)]
    return [
        curve("half", [values], arrays, called="training data", mark="between",
              further=[("signal", blues[1]), ("noise", "#999999")]),
        curve("half", [total], arrays, called="all modes", mark="removed_now", further=named),
        curve("half", here, arrays, choice="scanned", called="PCA at this N_FG",
              further=[("limit", "#999999")], on=["modes"]),
    ]  # fmt: skip


def _level(array: xr.DataArray, *drawn: str) -> Array:
    return Array.of(array.expand_dims("level"), "level", *drawn)


# -- words -----------------------------------------------------------------------------------------


def _words(exhibit: Exhibit) -> dict[str, Any]:
    product, name = exhibit.product, str(exhibit.product.attrs.get("sky", "sky"))
    skies, key = range(product.sizes["sky"]), exhibit.visit.entry.key[:16]
    channels = [f"{value:.6g}" for value in product["frequency"].values]
    heads = [[f"{name}, sky {sky}, {at} MHz" for at in channels] for sky in skies]
    files = [[f"sky-{name}-{sky}-{at}MHz" for at in channels] for sky in skies]
    about = [f"{product.attrs.get('n_skies', len(skies))} held-out skies"]
    if "noise_share" in product.attrs:
        about.insert(0, f"noise {100 * float(product.attrs['noise_share']):.2g} % of the signal")
    if "observed" in product:
        over = float(f"{float(product['observed'].std()) / exhibit.rms:.1g}")
        about.insert(0, f"foregrounds {whole(int(over))} ×")
    said = [f'<div class="caption">{escape(text)}</div>' for text in exhibit.verdicts]
    return {
        "head": words(heads, "sky", "frequency"),
        "tag": words(", ".join(about)),
        "verdict": words(said, "cleaner"),
        "foot": words(f"presage · sky_residuals {key}"),
        "file": words(files, "sky", "frequency"),
    }  # fmt: skip


PAGE = Page(
    "Sky", "sky_residuals", "cleaned skies",
    "simulates skies, removes their foregrounds and measures what is left beside the limit", view,
    keys=(
        ("← →", "frequency"),
        ("↑ ↓", "sky"),
        ("click", "line of sight"),
        ("1–9", "method; with ⇧ the one beside it"),
        (", .", "N_FG, modes that PCA removes"),
        ("P", "what the plane shows"),
        ("K", "spectra over k or k∥"),
        ("N", "what is shown at this N_FG"),
        ("C", "colours ten times as sensitive"),
    ),
    reading="""Maps are truth, cleaned and what is left, all on one scale; the cross is the line of
sight whose spectrum is drawn below. All spectra are of all held-out skies.

The limit is the Wiener filter with the true covariances: of Gaussian skies no method leaves less.
Grey cells of the plane have no modes, or there the limit itself leaves more than half of the
signal's power: nothing can be had. The limit's own plane is what was measured over what its
formula says.""",
    terms=lambda: [
        ("k⊥, k∥", "wave numbers across and along the line of sight", "|k|² = k⊥² + k∥²"),
        ("P ratio", "power of the cleaned maps over the true one", "P_c / P_t; r² of a mean"),
        ("r", "correlation of cleaned and true modes", "P_× / √(P_c P_t)"),
        ("residual", "power of cleaned − truth over the true one",
         "P_res / P_t = 1 + P_c/P_t − 2 r √(P_c/P_t)"),
        ("limit", "residual of the best linear filter", "S − S (S + G + N)⁻¹ S"),
        ("N_FG", "modes that PCA takes away", "d − U Uᵀ d, U the first N_FG eigenvectors"),
        ("PCA, transfer", "PCA over what it lets through of a known signal m",
         "T(k) = P(clean(d + m) − clean(d), m) / P(m, m)"),
        ("68 %", "share of pixels inside the band", "|truth − cleaned| < σ"),
    ],
)  # fmt: skip
