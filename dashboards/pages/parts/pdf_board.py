"""The board of the pdf page: figures and controls, laid out, with the kernel behind them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import panel as pn
from bokeh.models import Column, CustomJS, Range1d

from presage.studies.pdf.posterior_figures import COLOURS

from . import pdf_figures as figures
from .choice import controls_of
from .lean import lean
from .pdf_calibration import calibration_panels
from .pdf_controls import rows
from .pdf_exhibit import MOST_EVENTS, Exhibit, numbers_of
from .pieces import column, kernel, later, piece, row


def board(exhibit: Exhibit, state: dict[str, Any]) -> Column:
    """Return the whole board, filled by the kernel as soon as the document is there."""
    product, kinds = exhibit.product, exhibit.kinds
    shared = Range1d(0, 1)
    sheets = {
        "corner": figures.corner(product.sizes["parameter"], kinds),
        "data": figures.data(min(3, len(exhibit.features) + 1)),
    }
    if exhibit.curves:
        sheets["curve"] = figures.curve(kinds, shared)
        sheets["strip"] = figures.curve(kinds, shared, strip=True)
    head, caption, table = piece("head"), piece("caption"), piece("merit")
    slider = piece("size", "live.css")
    aside = later(lambda: calibration_panels(exhibit))
    boxes = controls_of(exhibit.choices, state)
    lasting, first, second = rows(exhibit, boxes, slider)
    parts = [sheets[name].figure for name in ("curve", "strip") if name in sheets]
    right = column("curves", *parts, caption, row("events", sheets["data"].figure))
    posterior = row("posterior", column("corner", sheets["corner"].figure, table), right)
    arguments = {
        **_data(exhibit, state),
        "head": head,
        "caption": caption,
        "table_div": table,
        "sheet_models": figures.handed(sheets),
        "ranges": _ranges(sheets),
        "figure_models": [sheet.figure for sheet in sheets.values()],
        "slider_div": slider,
        "posterior_parts": [*first, *second, head, posterior],
        "aside": aside,
        "controls": boxes,
    }
    code = kernel("pdf_kernel.js", "pdf_scales.js", "pdf_words.js", "pdf_start.js")
    pn.state.curdoc.js_on_event("document_ready", CustomJS(args=arguments, code=code))
    lean(arguments["figure_models"])
    return column(
        "whole", row("controls", *lasting, *first), row("controls", *second), head, posterior, aside
    )


def _ranges(sheets: dict[str, figures.Sheet]) -> dict[str, Any]:
    """Return ranges and axes of the curve and its residuals."""
    if "curve" not in sheets:
        return {}
    main, strip = sheets["curve"].figure, sheets["strip"].figure
    return {
        "x": main.x_range, "y": main.y_range, "strip": strip.y_range,
        "x_axis": strip.xaxis[0], "y_axis": main.yaxis[0], "strip_axis": strip.yaxis[0],
        "top_axis": main.xaxis[0],
    }  # fmt: skip


def _data(exhibit: Exhibit, state: dict[str, Any]) -> dict[str, Any]:
    """Return the arrays and names that the kernel draws from; kinds in the page's order."""
    product, kinds = exhibit.product, exhibit.kinds
    chosen = product.sel(kind=kinds)
    arrays = {
        "contour": chosen["contour"],
        "marginal": chosen["marginal"],
        "shown": product["shown"],
        "theta": product["theta"],
        "events": product["events"].isel(event=slice(0, MOST_EVENTS)),
    }
    flat = {name: _flat(array.values) for name, array in arrays.items()} | numbers_of(
        product, kinds
    )
    bands = []
    for name in exhibit.curves:
        order = ("observation", "size", "kind", "level", f"{name}_grid")
        bands.append({
            "band": _flat(chosen[f"{name}_band"].transpose(*order).values),
            "truth": _flat(product[f"{name}_true"].transpose("observation", ...).values),
            "grid": np.asarray(product[f"{name}_grid"].values, dtype=float),
        })  # fmt: skip
    return {"arrays": flat, "bands": bands, "meta_text": json.dumps(_meta(exhibit, state))}


def _flat(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.float32).reshape(-1)


def _meta(exhibit: Exhibit, state: dict[str, Any]) -> dict[str, Any]:
    product = exhibit.product
    return {
        "key": exhibit.entry.key,
        "checks": exhibit.checked.key if exhibit.checked else "",
        "chose_checks": len(exhibit.checks) > 1,
        "choices": [choice.for_kernel() for choice in exhibit.choices],
        "problem": str(product.attrs.get("problem", "")),
        "n_theta": str(product.attrs.get("n_theta", "")),
        "draws": product.sizes["draw"],
        "kinds": exhibit.kinds,
        "colours": COLOURS,
        "parameters": _texts(product["parameter"]),
        "titles": _texts(product.get("parameter_title", product["parameter"])),
        "low": product["parameter_low"].values.astype(float).tolist(),
        "high": product["parameter_high"].values.astype(float).tolist(),
        "observations": product.sizes["observation"],
        "sizes": [int(size) for size in product["size"].values],
        "vertices": product.sizes["vertex"],
        "points": product.sizes["point"],
        "masses": [float(mass) for mass in product["mass"].values],
        "levels": [float(level) for level in product["level"].values],
        "events": min(product.sizes["event"], MOST_EVENTS),
        "features": _features(exhibit),
        "feature_places": exhibit.places,
        "curves": [_curve(exhibit, name) for name in exhibit.curves],
        "state": state,
    }


def _features(exhibit: Exhibit) -> list[dict[str, Any]]:
    """Return name, axis title and scale of each feature; logarithmic where it spans decades."""
    product, found = exhibit.product, []
    for k, name in enumerate(exhibit.features):
        values = product["events"].isel(feature=k).values
        scale = _text_at(product, "feature_scale", k, "linear")
        positive = bool((values > 0).all())
        wide = positive and float(np.quantile(values, 0.98) / np.quantile(values, 0.02)) > 30
        unit = _text_at(product, "feature_unit", k, "1")
        title = _text_at(product, "feature_title", k, name)
        title = _titled(name if len(title) > 24 else title, unit)
        log = positive and (scale == "log" or (scale == "logit" and wide))
        found.append({"name": name, "title": title, "log": log})
    return found


def _curve(exhibit: Exhibit, name: str) -> dict[str, Any]:
    grid, about = exhibit.product[f"{name}_grid"], exhibit.product[f"{name}_band"].attrs
    return {
        "name": name,
        "title": _titled(about.get("long_name", name), about.get("units", "1")),
        "x": _titled(grid.attrs.get("long_name", "x"), grid.attrs.get("units", "1")),
        "log": bool(grid.attrs.get("logarithmic", 0)) and bool((grid.values > 0).all()),
    }


def _titled(name: Any, unit: Any) -> str:
    """Return a name with its unit, squares as people write them."""
    return str(name) if str(unit) in ("", "1") else f"{name} [{unit}]".replace("GeV2", "GeV²")


def _texts(array: Any) -> list[str]:
    return [str(value) for value in array.values]


def _text_at(product: Any, name: str, place: int, default: str) -> str:
    return str(product[name].values[place]) if name in product.coords else default
