"""The figure of a calibration, drawn from its product alone."""

from __future__ import annotations

from typing import Any

import xarray as xr
from matplotlib.axes import Axes

from presage.analysis.canvas import FAINT, INK, SERIES, SMALL, WIDTH, Page, tidy, wrapped
from presage.studies.pdf.calibration_panels import CURVES, Panel, panels, titles_of

_STYLES = {style.colour: style for style in SERIES}
#: Quantities up to which their names stand level.
_LEVEL_NAMES = 8


def calibration_figure(product: xr.Dataset) -> Page:
    """Draw all panels of a calibration.

    Parameters
    ----------
    product
        Of :func:`presage.studies.pdf.exhibits.calibration_product`.
    """
    titles, made = titles_of(product), panels(product)
    wide = made.pop("coverage", None)
    columns = min(3, max(len(made), 1)) if len(made) != 4 else 2
    rows = -(-len(made) // columns)
    level = product.sizes["quantity"] <= _LEVEL_NAMES
    heights = 2.4 * rows, 2.1 if level else 1.7 + 0.058 * max(map(len, titles.values()))
    page = Page(WIDTH, sum(heights) + 0.6)
    parts: Any = page.subfigures(2, 1, height_ratios=heights)
    axes = parts[0].subplots(rows, columns, squeeze=False).ravel()
    for axis, panel in zip(axes, made.values(), strict=False):
        _draw(axis, panel, titles)
    for axis in axes[len(made) :]:
        axis.set_visible(False)
    if wide is not None:
        axis = parts[1].subplots()
        _draw(axis, wide, titles)
        width = max(8, int(5.8 * 72 / (0.6 * SMALL) / len(wide.ticks))) if level else 60
        names = [wrapped(titles[name], width) for name in wide.ticks.values()]
        axis.set_xticks(list(wide.ticks), names, rotation=0 if level else 90)
        axis.legend(fontsize=SMALL, frameon=False, ncols=len(wide.curves), loc="lower right",
                    bbox_to_anchor=(1, 1), borderaxespad=0)  # fmt: skip
    about = product.attrs
    page.heading(
        f"{about['kind']} of {about['problem']}: {about['observations']} observations of "
        f"{about['n_events']} events, {about['draw_count']} draws each"
    )
    page.key_of(*axes)
    return page


def _draw(axis: Axes, panel: Panel, titles: dict[str, str]) -> None:
    for band in panel.bands:
        if band.width:
            axis.bar(band.x, band.high - band.low, band.width, band.low, color=FAINT, lw=0)
        else:
            axis.fill_between(band.x, band.low, band.high, color=FAINT, lw=0,
                              label="95 % by chance")  # fmt: skip
    for curve in panel.curves:
        style = _STYLES.get(curve.colour)
        how: dict[str, Any] = {"ls": style.dash if style else "solid"}
        if curve.points and style:
            how = {"ls": "", "marker": style.marker, "ms": 3.5}
        axis.plot(curve.x, curve.y, color=curve.colour, lw=0.7 if curve.colour == CURVES else 1.2,
                  label=titles.get(curve.label, curve.label) or None, **how)  # fmt: skip
    if panel.histogram is not None:
        axis.stairs(panel.histogram.counts, panel.histogram.edges, fill=True, fc=SERIES[0].colour)
        axis.axvline(panel.histogram.mark, color=INK, lw=0.9)
    else:
        axis.axhline(0, color=INK, lw=0.6)
    # Wide panels have room for one line.
    said = (": " if panel.ticks else "\n") + panel.verdict if panel.verdict else ""
    y = panel.y.replace(" [", "\n[") if panel.ticks else panel.y
    tidy(axis, panel.x, y, panel.title + said.replace("k̂", r"$\hat{k}$"))
    axis.set_xlim(*panel.x_range)
