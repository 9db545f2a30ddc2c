"""What a run of the study prints at its end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import xarray as xr

from presage.analysis.judging import against_rivals, judged, model_of, within_bar
from presage.analysis.report import parameters_of, verdict
from presage.store import Store


def summary(products: Mapping[str, str], root: Path) -> str:
    """Return the table of held-out labels and the verdict in words.

    Parameters
    ----------
    products
        Recorded name → key; ``residuals`` is needed.
    root
        Folder of the store.
    """
    if "residuals" not in products:
        return "no residuals were recorded; notebook 4_residuals makes them"
    product = Store(root).open(products["residuals"])
    frame = terminal_table(product)
    text = f"{frame.to_string(index=False)}\n\n{verdict(product)}"
    if "refinement" in products:
        text += f"\n\n{_refinement(Store(root).open(products['refinement']))}"
    return text


def _refinement(product: xr.Dataset) -> str:
    """Return what simulating more labels gained; for files, which to ask for."""
    from presage.studies.events.refine import Gain, Request

    found = Gain(product) if "arm" in product.dims else Request(product)
    shown = found.table().to_string(float_format="{:.4f}".format)
    return f"{shown}\n\n{found.verdict()}"


def terminal_table(product: xr.Dataset) -> pd.DataFrame:
    """Return one row a held-out label and variable, narrow enough for a terminal."""
    rows = []
    model = model_of(product)
    held = [i for i, out in enumerate(product["held_out"].values) if out]
    better, within = against_rivals(product), within_bar(product)
    for label in held:
        here = product.isel(label=label)
        place = ", ".join(f"{float(here[name]):.5g}" for name in parameters_of(product))
        for v, variable in enumerate(product["variable"].values):
            w1 = here["w1_over_std"].sel(variable=variable)
            row = {"held-out label": place if v == 0 else "", "W1/std of": str(variable)}
            row |= {source: f"{float(w1.sel(source=source)):.4f}" for source in judged(product)}
            auc = float(here["auc"].sel(source=model))
            floor = float(here["auc"].sel(source="floor"))
            row["AUC (floor)"] = f"{auc:.4f} ({floor:.4f})" if v == 0 else ""
            row["region"] = str(here["region"].values) if v == 0 else ""
            row["verdict"] = _words(better[label], bool(within[label])) if v == 0 else ""
            rows.append(row)
    return pd.DataFrame(rows)


def _words(against: str, within: bool) -> str:
    rival = {"better": "beats rivals", "level": "level with rivals", "worse": "loses"}
    rival["mixed"] = "beats and loses"
    return rival.get(against, "no rival") + (", within 1 %" if within else "")
