"""The declaration of the pdf page: its panels, and the arrays of the product that they draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from dashboards.kit.arrays import Array, words
from dashboards.kit.choice import entries_menu
from dashboards.kit.page import Cast, Page, Panel, Part, View, Visit
from dashboards.kit.panels import (
    Cell,
    Line,
    Table,
    caption,
    corner,
    curve,
    head,
    sample,
    slider,
    table,
)
from dashboards.kit.pieces import column, later, row
from dashboards.kit.theme import whole
from presage.analysis.pareto import PARETO_BAR
from presage.studies.pdf.posterior_figures import COLOURS

from .calibration import calibration_panels
from .exhibit import Exhibit, title_of

#: Points of an observation that are drawn at most.
MOST_POINTS = 700
#: Below it, a set of events is unlike those of the training.
_UNLIKE = 0.01
_SIGMA = "Width of the posterior over that of the exact one; best: 1"
_SHIFT = "Shift of the mean in widths of the exact posterior; best: 0"
_C2ST = "Accuracy of a classifier that tells draws from exact ones; best: 0.5"


def view(visit: Visit) -> View:
    """Return what a visit shows."""
    exhibit = Exhibit.of(visit)
    kinds = exhibit.kinds
    cast = Cast("kind", kinds, [COLOURS[kind] for kind in kinds],
                base=kinds.index("reference") if "reference" in kinds else -1, several="kinds",
                dashed=["corrected"], filled="exact reference")  # fmt: skip
    prior = f"border-color:{COLOURS['prior']};border-top-style:dotted"
    top = head(True, [("truth", f"border-color:{COLOURS['truth']}", ""), ("prior", prior, "")])
    sizes = slider("size", "events", "number of events")
    note, numbers, events = caption("caption"), _table(exhibit), _sample(exhibit)
    contours = _corner(exhibit, cast)
    curves = [_curves(exhibit, cast)] if exhibit.curves else []
    aside = later(lambda: calibration_panels(exhibit))
    right = column("curves", *(plot for panel in curves for plot in panel.figures), note.place,
                   events.place)  # fmt: skip
    posterior = row("posterior", column("corner", contours.place, numbers.place), right)
    own = ["observation", "kinds", "range", "curve", "strip", "against", "features"]
    rows = [[*_products(exhibit), "panel", *_checks(exhibit), own[0], sizes.place], own[1:]]
    address = {"page": "pdf", "key": visit.entry.key[:16]}
    if len(exhibit.checks) > 1 and exhibit.checked:
        address["checks"] = exhibit.checked.key[:16]
    return View(
        exhibit.choices, [contours, *curves, events, numbers, note, top, sizes],
        column("whole", top.place, posterior, aside), rows, cast,
        parts=[Part("panel", ["posterior"], [*own, sizes.place, top.place, posterior]),
               Part("panel", ["calibration"], [aside], later=True)],
        words=_words(exhibit), address=address,
    )  # fmt: skip


# -- panels ------------------------------------------------------------------------------------


def _corner(exhibit: Exhibit, cast: Cast) -> Panel:
    product = exhibit.product
    drawn = {"contour": ("pair", "mass", "vertex", "axis"), "marginal": ("parameter", "point"),
             "shown": ("parameter", "edge"), "theta": ("parameter",),
             "prior_density": ("parameter",)}  # fmt: skip
    low, high = (product[f"parameter_{end}"].values.astype(float).tolist()
                 for end in ("low", "high"))  # fmt: skip
    return corner(
        cast, {name: _single(product[name], *dims) for name, dims in drawn.items()}, "range",
        COLOURS, parameters=_texts(product["parameter"]), low=low, high=high,
        points=product.sizes["point"], vertices=product.sizes["vertex"],
        masses=product.sizes["mass"],
    )  # fmt: skip


def _curves(exhibit: Exhibit, cast: Cast) -> Panel:
    product, arrays, lines = exhibit.product, {}, []
    for name in exhibit.curves:
        grid, about = f"{name}_grid", product[f"{name}_band"].attrs
        points = product[grid]
        arrays |= {
            grid: Array(points.values.astype(float), ()),
            f"{name}_band": _single(product[f"{name}_band"], "level", grid),
            f"{name}_true": _single(product[f"{name}_true"], grid),
            f"{name}_residual": _away(product[f"{name}_residual"], "level", grid),
            f"{name}_true_residual": _away(product[f"{name}_true_residual"], grid),
        }
        lines.append(Line(
            _titled(about.get("long_name", name), about.get("units", "1")),
            _titled(points.attrs.get("long_name", "x"), points.attrs.get("units", "1")),
            grid, f"{name}_band", f"{name}_true", f"{name}_residual", f"{name}_true_residual",
            bool(points.attrs.get("logarithmic", 0)) and bool((points.values > 0).all()),
        ))  # fmt: skip
    reach = {"sigma": 2.6, "ratio": None}
    return curve("curve", lines, arrays, product.sizes["level"], cast, "curve", "strip", reach,
                 "strip_title", COLOURS["truth"], ["against"])  # fmt: skip


def _sample(exhibit: Exhibit) -> Panel:
    product = exhibit.product
    logs = product["feature_log"]
    shown = product["events"].isel(event=slice(0, MOST_POINTS))
    with np.errstate(invalid="ignore", divide="ignore"):
        shown, edges = (values.where(~logs, np.log10(values))
                        for values in (shown, product["event_edges"]))  # fmt: skip
    arrays = {
        "events": _single(shown, "event", "feature"),
        "event_edges": Array.of(edges, "feature", "bin_edge"),
        "event_counts": Array.of(product["event_counts"], "feature", "bin"),
    }
    features = []
    for k, name in enumerate(exhibit.features):
        unit = _text_at(product, "feature_unit", k, "1")
        title = _text_at(product, "feature_title", k, name)
        title = _titled(name if len(title) > 24 else title, unit)
        features.append({"title": title, "log": bool(logs[k])})
    dots = [min(int(size), shown.sizes["event"]) for size in product["size"].values]
    return sample(arrays, features, exhibit.places, dots, "size", "features")


def _table(exhibit: Exhibit) -> Panel:
    """Return what each posterior is worth here, beside what chance gives."""
    product = exhibit.product
    compared = [(k, kind) for k, kind in enumerate(exhibit.kinds) if kind != "reference"]
    columns = [
        {"group": kind, "title": title, "hint": hint}
        for _, kind in compared
        for title, hint in (("σ / σ ref.", _SIGMA), ("Δ / σ ref.", _SHIFT))
    ]
    rows: list[dict[str, Any]] = []
    titles = _texts(product.get("parameter_title", product["parameter"]))
    for p, (name, title) in enumerate(zip(_texts(product["parameter"]), titles, strict=True)):
        cells = []
        for k, _ in compared:
            at = {"kind": k, "parameter": p}
            cells += [Cell("sd_ratio", at, "ratio", off=(1.0, 0.25)),
                      Cell("mean_shift", at, "signed", off=(0.0, 0.5))]  # fmt: skip
        rows.append({"title": name, "said": title, "cells": cells})
    rows.append({"title": "C2ST", "said": _C2ST, "cells": [
        Cell("c2st", {"kind": k}, "accuracy", span=2) for k, _ in compared]})  # fmt: skip
    arrays = {name: _single(product[name]) for name in ("sd_ratio", "mean_shift", "c2st")}
    return table(Table([kind for _, kind in compared], columns, rows), arrays, name="merit",
                 css="merit", words="merit")  # fmt: skip


# -- words and controls ----------------------------------------------------------------------------


def _words(exhibit: Exhibit) -> dict[str, Any]:
    product, entry = exhibit.product, exhibit.visit.entry
    problem, trained = (str(product.attrs.get(name, "")) for name in ("problem", "n_theta"))
    sizes = [int(size) for size in product["size"].values]

    def of_each(text: Callable[[int, int], str]) -> dict[str, Any]:
        every = range(product.sizes["observation"])
        texts = [[text(o, s) for s in range(len(sizes))] for o in every]
        return words(texts, "observation", "size")

    foot = f"presage · pdf_posteriors {entry.key[:16]}"
    checks = f" · pdf_calibration {exhibit.checked.key[:16]}" if exhibit.checked else ""
    tail = f" · trained on {whole(trained)} theta" if trained else ""
    files = [[[f"pdf-{problem}-observation-{o}-{size}" for size in sizes]
              for o in range(product.sizes["observation"])]]  # fmt: skip
    files.append([[f"pdf-{problem}-calibration" for _ in sizes] for _ in files[0]])
    strips = [[f"(curve − {what}) / σ", f"curve / {what} − 1"] for what in ("ref.", "truth")]
    return {
        "head": of_each(lambda o, s: f"{problem}, observation {o}, {whole(sizes[s])} events"),
        "merit": of_each(lambda o, s: _merit(product.isel(observation=o, size=s))),
        "caption": of_each(lambda o, s: _caption(product.isel(observation=o, size=s))),
        "strip_title": words(strips, "against", "strip"),
        "picture": words(["", f"{problem}: calibration"], "panel"),
        "foot": words([foot + tail, foot + checks + tail], "panel"),
        "file": words(files, "panel", "observation", "size"),
    }  # fmt: skip


def _merit(here: xr.Dataset) -> str:
    """Return what stands under the numbers."""
    floor, efficiency, tail = (float(here[n]) for n in ("c2st_floor", "efficiency", "pareto_k"))
    said = f"C2ST of two references: {floor:.3f} (its floor). " if np.isfinite(floor) else ""
    said += "The reference is not reliable. " if float(here["reliable"]) == 0 else ""
    if not np.isfinite(efficiency):
        return said + "No importance weights."
    share = f"{100 * efficiency:.{1 if efficiency < 0.1 else 0}f} %"
    k = f"{tail:.2f}".replace("-", "−") if np.isfinite(tail) else "–"
    doubt = f" (above {PARETO_BAR}: not to be trusted)" if tail >= PARETO_BAR else ""
    return f"{said}Importance efficiency {share}, k̂\u00a0{k}{doubt}."


def _caption(here: xr.Dataset) -> str:
    """Return what contours, bands and dots are, and how rare so unusual a set is."""
    size, used = int(here["size"]), min(int(here["size"]), here.sizes["event"])
    dots = min(used, MOST_POINTS)
    cut = f", dots: the first {whole(dots)}" if dots < used else ""
    more = f" (of {whole(size)})" if used < size else ""
    masses = " and ".join(f"{100 * float(mass):.0f}" for mass in here["mass"].values)
    text = (f"Contours hold {masses} % of {whole(here.sizes['draw'])} draws, bands 68 and 95 %. "
            f"Events: {whole(used)}{more}{cut}. ")  # fmt: skip
    p = float(here["p_value"])
    shown = (f"{p:.0e}" if p < 0.001 else f"{p:.2g}").replace("-", "−")
    if p < _UNLIKE:
        said = f"Unlike the training (p = {shown}): the estimate means little."
        text += f'<b style="color:#b3261e">{said}</b>'
    elif np.isfinite(p):
        text += f"Among sets of the training: p = {shown}."
    return f'<div class="caption">{text}</div>'


def _products(exhibit: Exhibit) -> list[Any]:
    products = exhibit.visit.products[::-1]
    return entries_menu("posteriors", products, exhibit.visit.entry, title=title_of, width=172)


def _checks(exhibit: Exhibit) -> list[Any]:
    if len(exhibit.checks) < 2:
        return []
    return entries_menu("calibration", exhibit.checks, exhibit.checked, "checks", title_of, 158)


def _single(array: xr.DataArray, *drawn: str) -> Array:
    return Array.of(array.astype(np.float32), *drawn)


def _away(array: xr.DataArray, *drawn: str) -> Array:
    return Array.of(array.rename(scale="strip"), *drawn, half=True)


def _titled(name: Any, unit: Any) -> str:
    """Return a name with its unit, squares as people write them."""
    return str(name) if str(unit) in ("", "1") else f"{name} [{unit}]".replace("GeV2", "GeV²")


def _texts(array: Any) -> list[str]:
    return [str(value) for value in array.values]


def _text_at(product: xr.Dataset, name: str, place: int, default: str) -> str:
    return str(product[name].values[place]) if name in product.coords else default


PAGE = Page(
    "PDF", "pdf_posteriors", "posteriors",
    "simulates sets of events, trains a network on them and compares its posteriors with the "
    "exact ones", view,
    keys=(
        ("← →", "number of events"),
        ("↑ ↓", "observation"),
        ("1–3", "posteriors that are shown"),
        ("C", "curve"),
    ),
    reading="""σ / σ ref. is the posterior's width over the exact one's (best: 1), Δ / σ ref. the
shift of its mean in widths of the exact one (best: 0); red where far off.

C2ST is the accuracy of a classifier that tells draws from exact ones (best: 0.5); beside it stands
what it gives for two exact samples, the floor. Importance efficiency is the share of the draws
that is left after weighting with the exact likelihood.""",
)  # fmt: skip
