"""The template at the chosen label, with its band: of the newest templates of a flow behind it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import xarray as xr
from bokeh.models import LayoutDOM

from dashboards.kit.arrays import Array, title_of
from dashboards.kit.foot import link
from dashboards.kit.opened import opened
from dashboards.kit.page import Panel
from dashboards.kit.panels import curve
from dashboards.kit.panels.curve import Line
from dashboards.kit.pieces import later, note
from presage.exchange.histograms import observables
from presage.labels import Variable
from presage.labels.equality import positions
from presage.store import EntryInfo

from .exhibit import Exhibit

_NONE = (
    "No templates: presage.emulation.templates(flow, labels, edges, store=store) makes them of the "
    "flow behind these residuals, and they are shown here at labels that both have."
)


def template_panel(exhibit: Exhibit) -> tuple[list[Panel], LayoutDOM]:
    """Return the panel of the templates, if there are any, and a note that is made when seen."""
    keys = {fit.key for fit in exhibit.fits.values()}
    found = [
        entry
        for entry in exhibit.visit.entries
        if entry.producer == "templates" and entry.state == "complete"
        and keys & {parent.key for parent in entry.parents}
    ]  # fmt: skip
    for entry in sorted(found, key=lambda one: one.created, reverse=True):
        product = opened(exhibit.visit.store, [entry.key], _itself)
        where = _places(exhibit, product)
        if len(observables(product)) == 1 and (where >= 0).any():
            panel = _panel(product, where)
            panel.place.visible = False  # until it is chosen
            return [panel], _noted(_words(entry, product, int((where >= 0).sum())))
    return [], _noted(_NONE)


def _noted(text: str) -> LayoutDOM:
    return later(lambda: [note(text)])


def _itself(product: xr.Dataset) -> xr.Dataset:
    return product


def _places(exhibit: Exhibit, product: xr.Dataset) -> np.ndarray:
    """Return which template is of each label of the page, -1 for none, ``[label]``."""
    names = [parameter.name for parameter in exhibit.parameters]
    if not set(names) <= set(map(str, product.coords)):
        return np.full(len(exhibit.table), -1)
    declared: Sequence[Variable] = exhibit.parameters
    there = np.stack([product[name].values for name in names], axis=1)
    return np.asarray(positions(exhibit.table, there, declared))


def _panel(product: xr.Dataset, where: np.ndarray) -> Panel:
    """Return nominal and band as steps, and below the band over the nominal."""
    (name,) = observables(product)
    nominal = product["nominal"].values[np.maximum(where, 0)]
    nominal = np.where(where[:, None] >= 0, nominal, np.nan)
    squared = (product["deviation"].values[np.maximum(where, 0)] ** 2).sum(axis=1)
    error = np.sqrt(squared)
    levels = np.stack([np.maximum(nominal - error, 0), nominal, nominal + error], axis=1)
    over = np.divide(error, nominal, out=np.zeros_like(error), where=nominal > 0)
    share = np.stack([-over, np.zeros_like(over), over], axis=1)
    dims, edges = ("label", "level", "point"), product[f"{name}_edges"].values
    arrays = {
        "template_x": xr.DataArray(np.repeat(edges, 2)[1:-1], dims="point"),
        "template": xr.DataArray(np.repeat(levels, 2, axis=2), dims=dims),
        "template_error": xr.DataArray(np.repeat(share, 2, axis=2), dims=dims),
    }
    line = Line("expected events", title_of(product[name]), "template_x", "template",
                residual="template_error")  # fmt: skip
    return curve(
        "template", [line],
        {key: Array.of(values, *(d for d in ("level", "point") if d in values.dims))
         for key, values in arrays.items()},
        levels=3, strip_title="template_strip",
    )  # fmt: skip


def _words(entry: EntryInfo, product: xr.Dataset, labels: int) -> str:
    held = ", ".join(str(name).replace("_", " ") for name in product["source"].values) or "none"
    files = " ".join(
        f'<a class="save" href="product/{entry.key[:16]}.{kind}" download>{word}</a>'
        for kind, word in (("root", "ROOT"), ("nc", "netCDF"))
    )
    return (
        f"templates {link(entry.key, entry.key[:8])}, at {labels} of these labels; uncertainty by "
        f"{escape(held)}. {files}"
    )
