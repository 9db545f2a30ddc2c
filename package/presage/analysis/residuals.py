"""Generated events against Monte Carlo, label by label, with the floor and the rivals.

:func:`residuals` draws the classical rivals, has :func:`presage.analysis.compare.compare`
turn all events into one labelled dataset, and keeps that in a store; tables, figures,
notebooks and the dashboard read it. A number stands nowhere without its statistical floor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import xarray as xr

from presage.analysis import figures, numbers, report
from presage.analysis.compare import Which, compare
from presage.analysis.completing import completed
from presage.analysis.histogram_morphing import histogram_morphing
from presage.analysis.labelled import group
from presage.analysis.metrics import METRICS, own_metrics
from presage.analysis.morphing import moment_morphing, nearest_label
from presage.analysis.pull_figure import pulls_figure
from presage.labels import LabelError
from presage.lineage import parent_of
from presage.recipe import Recipe
from presage.store import Store

__all__ = ["Residuals", "compare", "completed", "residuals"]

#: Source → how it is drawn from the training events; the order is that of tables and figures.
RIVALS = {
    "morphing": moment_morphing,
    "histogram_morphing": histogram_morphing,
    "nearest": nearest_label,
}
#: Raised whenever the numbers change.
VERSION = 4


@dataclass(frozen=True)
class Residuals:
    """The residuals product with its tables and figures.

    Parameters
    ----------
    dataset
        Of :func:`compare`, or such a dataset from a store.

    Raises
    ------
    LabelError
        It is another dataset.
    """

    dataset: xr.Dataset

    def __post_init__(self) -> None:
        if "model" not in self.dataset.attrs or {*METRICS, "counts"}.isdisjoint(self.dataset):
            told = self.dataset.attrs.get("presage_producer", "variables " + ", ".join(
                map(str, self.dataset.data_vars)))  # fmt: skip
            raise LabelError(
                f"Residuals shows what presage.residuals made, or store.open(KEY) of it; got a "
                f"dataset of {told}"
            )

    def table(self, labels: Literal["held_out", "all"] = "held_out") -> pd.DataFrame:
        """Return one row per label: every source's W1/std and AUC, floor and verdict."""
        return report.table(self.dataset, labels)

    def summary(self) -> pd.DataFrame:
        """Return median and worst of each metric over the held-out labels, by source."""
        return numbers.summary(self.dataset)

    def equivalent(self) -> pd.DataFrame:
        """Return the Monte-Carlo-equivalent sizes N_eq of all sources, median and worst."""
        return report.equivalent(self.dataset)

    def verdict(self) -> str:
        """Say in a few sentences whether the model beats its rivals, and what is missing."""
        return report.verdict(self.dataset)

    def histograms(self, label: int | Sequence[float] | None = None) -> pd.DataFrame:
        """Return the histograms and pulls of all sources at one label, a row for each bin.

        See :func:`presage.analysis.numbers.histogram_table`.
        """
        return numbers.histogram_table(self.dataset, label)

    def metrics(self, label: int | Sequence[float] | None = None) -> pd.DataFrame:
        """Return every figure of merit at one label, a row for each source and variable.

        See :func:`presage.analysis.numbers.metric_table`.
        """
        return numbers.metric_table(self.dataset, label)

    def figure(
        self,
        label: int | Sequence[float] | None = None,
        pair: str | None = None,
        source: str | None = None,
    ) -> figures.Page:
        """Draw reference, generated, both, and the residual in two dimensions.

        Parameters
        ----------
        label
            Its number or its values; by default the worst held-out label.
        pair
            ``"phi_mass,omega_mass"``; by default the first.
        source
            By default the first candidate.
        """
        return figures.residual_figure(self.dataset, label, pair, source)

    def marginals(self, label: int | Sequence[float] | None = None) -> figures.Page:
        """Draw each variable's distribution for all sources, with strips of pulls."""
        return figures.marginals(self.dataset, label)

    def pulls(self, source: str | None = None) -> figures.Page:
        """Draw the pulls of all bins and labels beside the unit normal, for each variable."""
        return pulls_figure(self.dataset, source)

    def map(self, metric: str = "w1_over_std", **choice: Any) -> figures.Page:
        """Draw a metric over the labels; see :func:`presage.analysis.figures.label_map`."""
        return figures.label_map(self.dataset, metric, **choice)

    def __repr__(self) -> str:
        return f"Residuals\n{self.verdict()}"

    def _repr_html_(self) -> str:
        return f"<p>{self.verdict()}</p>{self.table().to_html(float_format='{:.4f}'.format)}"


def residuals(
    drawn: xr.Dataset | Mapping[str, xr.Dataset],
    reference: xr.Dataset,
    *,
    train: xr.Dataset | None = None,
    floor: xr.Dataset | None = None,
    store: Store | None = None,
    bins: int = 40,
    classifier: Which = True,
    metrics: Any = (),
    seed: int = 0,
    progress: bool = False,
) -> Residuals:
    """Compare generated events with the truth, once; then read from the store.

    Parameters
    ----------
    drawn
        Generated events, or name → events for several models; one dataset is ``"flow"``.
    reference
        Monte Carlo events at the labels to compare.
    train
        Training events. With them the rivals ``"morphing"`` (of moments),
        ``"histogram_morphing"`` and ``"nearest"`` are drawn, as many events as the model
        drew, and it is known which labels were held out.
    floor
        A second, independent Monte Carlo sample at these labels.
    store
        Keeps the result; all datasets must then come from a store.
    metrics
        Figures of merit of one's own beside presage's: functions or ``"module:function"``, see
        :func:`presage.analysis.metrics.own_metrics`.
    bins, classifier, seed, progress
        As in :func:`compare`.

    Raises
    ------
    LabelError
        As :func:`compare`.
    """
    candidates = {"flow": drawn} if isinstance(drawn, xr.Dataset) else dict(drawn)

    def make() -> xr.Dataset:
        rivals = {} if train is None else _rivals(candidates, reference, train, seed)
        return compare(
            reference,
            {**candidates, **rivals},
            floor=floor,
            trained_labels=train,
            bins=bins,
            classifier=classifier,
            own=metrics,
            seed=seed,
            progress=progress,
        )

    if store is None:
        return Residuals(make())
    given = {"reference": reference, "train": train, "floor": floor}
    inputs = {**candidates, **{k: v for k, v in given.items() if v is not None}}
    fields: dict[str, Any] = {"inputs": list(inputs), "bins": bins, "classifier": classifier}
    if metrics:  # other results only where there are some
        fields["metrics"] = own_metrics(metrics)[1]
    recipe = Recipe(
        "residuals",
        VERSION,
        fields,
        seed=seed,
        parents=tuple(parent_of(dataset) for dataset in inputs.values()),
    )
    return Residuals(store.compute(recipe, make))


def _rivals(
    candidates: Mapping[str, xr.Dataset], reference: xr.Dataset, train: xr.Dataset, seed: int
) -> dict[str, xr.Dataset]:
    """Draw the classical rivals, as many events at each label as the model drew."""
    table = group(reference, "the reference").table
    model = group(next(iter(candidates.values())), "the model")
    n = model.sizes[model.find(table)].tolist()
    return {
        name: draw(train, reference, n, seed)
        for name, draw in RIVALS.items()
        if name not in candidates
    }
