"""A view of draws of posteriors: the observation is chosen, selections are shared by all panels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import panel as pn
import xarray as xr

from presage.analysis.canvas import SERIES, styles
from presage.exploring.linked import linked
from presage.exploring.notebook import WIDE

#: Parameters that are shown at first.
_FIRST = 3


def posteriors_view(product: xr.Dataset) -> pn.viewable.Viewable:
    """Return pickers of observation, size, kinds and parameters, and a linked corner.

    Parameters
    ----------
    product
        ``draws`` (or ``theta``) ``[…, draw, parameter]``; ``kind``, where there is one, is
        overlaid. With ``draws``, ``theta`` ``[observation, parameter]`` is the truth.
    """
    draws = product["draws"] if "draws" in product else product["theta"]
    names = [str(name) for name in product["parameter"].values]
    pick = [str(dim) for dim in draws.dims if dim not in ("kind", "draw", "parameter")]
    sliders = {
        dim: pn.widgets.DiscreteSlider(
            label=dim,
            options={str(v): k for k, v in enumerate(product[dim].values.tolist())},
            value=draws.sizes[dim] - 1 if dim == "size" else 0,
            width=WIDE,
        )
        for dim in pick
    }
    kinds = [str(kind) for kind in product["kind"].values] if "kind" in draws.dims else []
    colours = _colours(kinds)
    shown = pn.widgets.CheckButtonGroup(options=kinds, value=_first(kinds)) if kinds else None
    chosen = pn.widgets.MultiChoice(
        label="parameters", options=names, value=names[:_FIRST], width=2 * WIDE
    )

    def corner(parameters: list[str], kinds: list[str], **place: int) -> pn.viewable.Viewable:
        here = draws.isel(place)
        samples = {
            kind: _frame(here.sel(kind=kind) if kind else here, parameters)
            for kind in sorted(kinds, key=lambda kind: kind != "reference") or [""]
        }
        samples = {kind: rows for kind, rows in samples.items() if len(rows)}
        if not samples or not parameters:
            return pn.pane.Markdown("Nothing was drawn here; choose another size or kind.")
        titles = {name: _title(product, name) for name in parameters}
        return linked(samples, titles, colours, _truth(product, place))

    body = pn.bind(corner, chosen, shown if shown is not None else [], **sliders)
    controls = [*sliders.values(), *([shown] if shown is not None else [])]
    key = " ".join(f'<span style="color:{colours[kind]}">■ {kind}</span>' for kind in kinds)
    mark = ' <span style="color:#d55e00">— truth</span>' if "draws" in product else ""
    return pn.Column(pn.Row(*controls), chosen, pn.pane.HTML(key + mark, margin=(0, 10)), body)


def _first(kinds: list[str]) -> list[str]:
    """Return the kinds that are shown at first: the exact one, beneath, and another."""
    return [k for k in kinds if k == "reference"] + [k for k in kinds if k != "reference"][:1]


def _colours(kinds: list[str]) -> dict[str, str]:
    """Return a colour for each kind; the exact reference is grey, as in the figures."""
    rest = [kind for kind in kinds if kind != "reference"]
    found = {kind: SERIES[(0, 2)[k % 2]].colour for k, kind in enumerate(rest)}
    return {"": SERIES[0].colour, "reference": styles([])["reference"].colour} | found


def _frame(draws: xr.DataArray, parameters: list[str]) -> pd.DataFrame:
    """Return the rows of one posterior that were made."""
    values = draws.transpose("draw", "parameter").sel(parameter=parameters).values
    return pd.DataFrame(values.astype(float), columns=parameters).dropna()


def _title(product: xr.Dataset, name: str) -> str:
    titles = product.coords.get("parameter_title", product["parameter"])
    return str(titles.sel(parameter=name).values)


def _truth(product: xr.Dataset, place: dict[str, Any]) -> dict[str, float]:
    """Return the true parameters of an observation, where they are known."""
    theta = product.get("theta")
    if "draws" not in product or theta is None:
        return {}
    values = theta.isel({dim: k for dim, k in place.items() if dim in theta.dims})
    found = {
        str(n): float(v) for n, v in zip(theta["parameter"].values, values.values, strict=True)
    }
    return {name: value for name, value in found.items() if np.isfinite(value)}
