"""The figure of a template: expected events with their band, and the variations below."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from presage.analysis.canvas import (
    FAINT,
    INK,
    SERIES,
    WIDTH,
    Page,
    colourbar,
    in_words,
    tidy,
    titled,
)  # fmt: skip
from presage.labels import LabelError

#: Variations that are drawn at most.
_MOST = 6
#: Bins with less than this share of the fullest one do not say how far the axis of shares goes;
#: with less than that they show none.
_FAINT, _NOTHING = 0.02, 0.002


def template_figure(template: xr.Dataset) -> Page:
    """Draw the template of one label.

    Parameters
    ----------
    template
        Of :meth:`presage.emulation.Templates.at`. Of two observables expected events and their
        relative error are drawn as maps.

    Raises
    ------
    LabelError
        It has more than two observables.
    """
    names = [str(dim) for dim in template["nominal"].dims]
    if len(names) > 2:
        raise LabelError(f"templates are drawn of one or two observables, not {', '.join(names)}")
    parts = [f"{n} = {float(c):.5g}" for n, c in template.coords.items()
             if c.attrs.get("role") == "parameter"]  # fmt: skip
    page = Page(0.7 * WIDTH, 4.2) if len(names) == 1 else Page(WIDTH, 3.2)
    page.heading(", ".join(parts))
    if len(names) == 1:
        axes = page.subplots(2, 1, sharex=True, height_ratios=(2, 1.3))
        _steps(axes[0], axes[1], template, names[0])
        page.key_of(*axes)
    else:
        _maps(page, template, names)
    return page


def _title(template: xr.Dataset, name: str) -> str:
    about = template[name].attrs
    return titled(str(about.get("long_name", name)), str(about.get("units", "1")))


def _steps(upper: Axes, lower: Axes, template: xr.Dataset, name: str) -> None:
    edges, nominal = template[f"{name}_edges"].values, template["nominal"].values
    band = _band(template).values
    upper.stairs(nominal + band, edges, baseline=np.maximum(nominal - band, 0), fill=True,
                 color=FAINT, label="uncertainty of the interpolation")  # fmt: skip
    upper.stairs(nominal, edges, color=INK, lw=1.2, label="nominal")
    tidy(upper, ylabel="expected events")
    upper.set_ylim(bottom=0)
    there = nominal > _NOTHING * nominal.max()
    over = np.divide(100.0, nominal, out=np.full(nominal.shape, np.nan), where=there)
    lower.stairs(band * over, edges, baseline=-band * over, fill=True, color=FAINT)
    for k, variation in enumerate(map(str, template["variation"].values[:_MOST])):
        style = SERIES[k % len(SERIES)]
        for side in ("up", "down"):
            shape = (template[side].isel(variation=k).values - nominal) * over
            label = in_words(variation) if side == "up" else None
            lower.stairs(shape, edges, baseline=None, color=style.colour, ls=style.dash, lw=1,
                         alpha=1.0 if side == "up" else 0.5, label=label)  # fmt: skip
    judged = nominal > _FAINT * nominal.max()
    reach = 1.3 * float((band * over)[judged].max(initial=0.1))
    lower.axhline(0, color=INK, lw=0.6)
    lower.set_ylim(-reach, reach)
    tidy(lower, _title(template, name), "variation\n[%]")


def _maps(page: Page, template: xr.Dataset, names: list[str]) -> None:
    nominal, band = template["nominal"], _band(template)
    relative = 100 * band / nominal.where(nominal > _FAINT * nominal.max())
    shown = {"expected events": nominal, "relative error [%]": relative}
    for axis, (what, values) in zip(page.subplots(1, 2), shown.items(), strict=True):
        x, y = (template[f"{name}_edges"].values for name in names)
        mesh = axis.pcolormesh(x, y, values.transpose(*names).values.T, cmap="viridis")
        colourbar(page, mesh, axis, what)
        tidy(axis, _title(template, names[0]), _title(template, names[1]))


def _band(template: xr.Dataset) -> xr.DataArray:
    """Return the standard deviation of each bin by all sources."""
    squared: xr.DataArray = (template["deviation"] ** 2).sum("source")
    return squared**0.5
