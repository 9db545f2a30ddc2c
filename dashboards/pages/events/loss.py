"""The loss history of the fits behind a product; made when a visitor first asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import BasicTicker, CustomJSTickFormatter
from bokeh.plotting import figure

from dashboards.kit.figure import NUMBER, plain
from dashboards.kit.pieces import note
from dashboards.kit.theme import RULE
from presage.store import EntryInfo, Store, StoreError
from presage.store.netcdf import open_dataset


def history_of(store: Store, fit: EntryInfo) -> xr.Dataset | None:
    """Return a fit's history over ``epoch``; None where it cannot be read."""
    path: Path | None = store.file(fit.recipe, "history.nc") if fit.recipe is not None else None
    if path is None:
        return None
    try:
        with open_dataset(path) as stored:
            return stored.load()
    except (OSError, StoreError):
        return None


def loss_panel(
    store: Store, fits: Mapping[str, EntryInfo], colours: Mapping[str, str]
) -> list[Any]:
    """Return the figures of all fits' losses and learning rates, under one another."""
    found = {name: history_of(store, fit) for name, fit in fits.items()}
    histories = {name: history for name, history in found.items() if history is not None}
    if not histories:
        return [note("No loss history: the fit behind these events is not in this store.")]
    main = _axes("loss", histories, ["loss", "validation_loss"], height=175)
    rate = _axes("learning rate", histories, ["learning_rate"], height=125, x_range=main.x_range)
    for name, history in histories.items():
        epoch = history["epoch"].values
        for column, plot, dash in (
            ("loss", main, "solid"), ("validation_loss", main, "dashed"),
            ("learning_rate", rate, "solid"),
        ):  # fmt: skip
            if column in history and np.isfinite(history[column].values).any():
                values = history[column].values
                plot.line(epoch, values, color=colours[name], line_dash=dash, line_width=1.6)
    main.xaxis.visible = False
    rate.xaxis.axis_label = "epoch"
    return [note(_words(fits, histories)), main, rate]


def _axes(
    title: str, histories: Mapping[str, xr.Dataset], names: list[str], **settings: Any
) -> Any:
    every = [h[n].values.astype(float) for h in histories.values() for n in names if n in h]
    values = np.concatenate([v[np.isfinite(v)] for v in every]) if every else np.zeros(0)
    log = values.size > 0 and values.min() > 0
    plot = figure(y_axis_type="log" if log else "linear", y_axis_label=title, tools="hover",
                  tooltips=[("epoch", "$snap_x"), (title, "$snap_y{0.0000}")],
                  sizing_mode="stretch_width", min_border_left=60, min_border_right=8,
                  min_border_top=4, toolbar_location=None, **settings)  # fmt: skip
    plain(plot)
    plot.outline_line_color = RULE
    plot.xaxis.ticker = BasicTicker(desired_num_ticks=6)
    if not log or values.max() < 10 * values.min():  # powers of ten say nothing within a decade
        plot.yaxis.formatter = CustomJSTickFormatter(code=NUMBER)
    plot.yaxis.ticker.desired_num_ticks = 4
    return plot


def _words(fits: Mapping[str, EntryInfo], histories: Mapping[str, xr.Dataset]) -> str:
    """Return a line for each fit: how long it took, and where it ended."""
    rows = []
    for name, history in histories.items():
        end = history.isel(epoch=-1)
        text = f"{history.sizes['epoch']} epochs"
        if "seconds" in history:
            text += f" in {float(history['seconds'].sum()):.0f} s"
        text += f", training {float(end['loss']):.4f}"
        if "validation_loss" in end and np.isfinite(float(end["validation_loss"])):
            text += f", validation {float(end['validation_loss']):.4f}"
        rows.append((name, fits[name], text))
    lines = [f"<b>{escape(n)}</b>, {escape(f.producer)} {f.key[:8]}: {t}" for n, f, t in rows]
    return "<br>".join([*lines, "solid: training, dashed: validation (−log p per event)"])
