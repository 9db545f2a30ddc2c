"""What a refinement gives back: the gain, or, for files, the labels to ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from presage.analysis.canvas import Page
from presage.analysis.report import parameters_of
from presage.studies.events.refine.figures import gain_figure, ranking_figure
from presage.studies.events.refine.ranking import table

#: Names of the arms; several random ones are numbered.
BEFORE, CHOSEN, RANDOM = "before", "chosen", "random"


@dataclass(frozen=True)
class Gain:
    """What was gained, with its table, figure and verdict."""

    dataset: xr.Dataset  # of :func:`refine`, or such a dataset from a store

    def table(self) -> pd.DataFrame:
        """Return worst and median W1/std of each arm, its floor, and where it is worst."""
        rows = {}
        for arm in map(str, self.dataset["arm"].values):
            here = self.dataset.sel(arm=arm)
            w1 = here["w1_over_std"]
            worst = here.isel(label=int(w1.values.argmax()))
            place = [f"{float(worst[name]):.5g}" for name in parameters_of(self.dataset)]
            rows[arm] = {
                "labels added": int(here["added"].sum()),
                "cost": float(here["cost"]),
                "worst W1/std": float(w1.max()),
                "median W1/std": float(w1.median()),
                "floor": float(here["floor"].median()),
                "worst at": ", ".join(place),
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("arm")

    def verdict(self) -> str:
        """Say in a sentence whether choosing was worth it."""
        worst = self.dataset["w1_over_std"].max("label")
        before, chosen = float(worst.sel(arm=BEFORE)), float(worst.sel(arm=CHOSEN))
        names = [str(arm) for arm in worst["arm"].values if str(arm).startswith(RANDOM)]
        random = [float(worst.sel(arm=name)) for name in names]
        number = int(self.dataset["added"].sel(arm=CHOSEN).sum())
        text = (
            f"Worst K-fold W1/std over {self.dataset.sizes['label']} labels: {before:.4f} before, "
            f"{chosen:.4f} with {number} chosen labels simulated, "
        )
        if len(random) == 1:
            return f"{text}{random[0]:.4f} with as much simulation at random labels."
        return (
            f"{text}{np.median(random):.4f} (median; {min(random):.4f} to {max(random):.4f}) with "
            f"as much at random labels, {len(random)} times; better than "
            f"{sum(chosen < one for one in random)} of them."
        )

    def figure(self) -> Page:
        """Draw the error of each arm over the labels, with the labels that it added."""
        return gain_figure(self.dataset)

    def __repr__(self) -> str:
        return f"Gain\n{self.verdict()}"

    def _repr_html_(self) -> str:
        return f"<p>{self.verdict()}</p>{self.table().to_html(float_format='{:.4f}'.format)}"


@dataclass(frozen=True)
class Request:
    """Labels to ask for, where events come from files and cannot be simulated here."""

    dataset: xr.Dataset  # the first rows of a ranking

    def table(self) -> pd.DataFrame:
        """Return the labels, one row each."""
        return table(self.dataset, self.dataset.sizes["rank"])

    def verdict(self) -> str:
        """Say what to do."""
        return (
            f"Files hold what they hold: simulate these {self.dataset.sizes['rank']} labels, put "
            "their files beside the others, and run again."
        )

    def figure(self) -> Page:
        """Draw where they are."""
        return ranking_figure(self.dataset, self.dataset.sizes["rank"])

    def __repr__(self) -> str:
        return f"{self.verdict()}\n{self.table().to_string()}"

    def _repr_html_(self) -> str:
        return f"<p>{self.verdict()}</p>{self.table().to_html(float_format='{:.4g}'.format)}"
