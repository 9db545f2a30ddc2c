"""The templates product: its arrays, its figure, and the files that a fit reads."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from presage.analysis.canvas import Page
from presage.analysis.histograms import label_coordinates
from presage.analysis.labelled import Floats
from presage.analysis.report import label_number
from presage.analysis.template_figure import template_figure
from presage.analysis.variations import Variations, eigenvariations
from presage.emulation.binning import Binning
from presage.exchange.histfactory import workspace
from presage.exchange.histograms import write_histograms
from presage.labels import LabelError, Variable, numbers_of, unitless

#: Of the product's own arrays and dims.
NAMES = (
    "nominal", "statistical_error", "up", "down", "deviation", "share", "kept", "total",
    "total_error", "label", "source", "variation",
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """What is known of one label: shares of the events in each bin, and their covariances."""

    nominal: Floats  # ``[bin]``
    covariances: Mapping[str, Floats]  # source → ``[bin, bin]``


@dataclass(frozen=True)
class Templates:
    """Templates at labels, with their figure and files.

    Parameters
    ----------
    dataset
        Expected events ``nominal[label, *observables]`` with ``statistical_error``, that of the
        draws; ``up`` and ``down[label, variation, *observables]``, not below 0; ``share[label,
        variation]`` of its source's variance that a variation holds, ``kept[label, source]`` that
        all of them do; ``deviation[label, source, *observables]``, the standard deviation of a
        bin, kept or not; ``total`` and its error ``total_error[label]``.

    Raises
    ------
    LabelError
        It is another dataset.
    """

    dataset: xr.Dataset

    def __post_init__(self) -> None:
        if not {"nominal", "up", "down", "deviation", "total"} <= set(self.dataset):
            raise LabelError(
                "Templates shows what presage.templates made, or store.open(KEY) of it; got a "
                f"dataset of {', '.join(map(str, self.dataset.data_vars))}"
            )

    def at(self, label: int | Sequence[float]) -> xr.Dataset:
        """Return the templates of one label, given by its number or its values."""
        return self.dataset.isel(label=label_number(self.dataset, label))

    def figure(self, label: int | Sequence[float] = 0) -> Page:
        """Draw a template with the band of its uncertainty, and its variations below."""
        return template_figure(self.at(label))

    def write_root(self, path: str | os.PathLike[str]) -> Path:
        """Write all templates as TH1D or TH2D; see :func:`presage.exchange.write_histograms`."""
        return write_histograms(self.dataset, path)

    def workspace(
        self,
        label: int | Sequence[float],
        background: Mapping[str, ArrayLike],
        **settings: Any,
    ) -> dict[str, Any]:
        """Return a HistFactory workspace at a label; see :func:`presage.exchange.workspace`."""
        return workspace(self.at(label), background, **settings)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {size}" for name, size in self.dataset["nominal"].sizes.items())
        told = "; ".join(map(self._told, self.dataset["source"].values))
        return f"Templates({sizes}; {told or 'no uncertainty of the interpolation'})"

    def _told(self, source: str) -> str:
        """Say what the variations of a source hold."""
        if not self.dataset["deviation"].sel(source=source).any():
            return f"{source}: nothing beyond chance"
        number = sum(str(v).rpartition("_")[0] == source for v in self.dataset["variation"].values)
        share = float(self.dataset["kept"].sel(source=source).min())
        return f"{source}: {number} variations with {share:.0%} of the variance"


def for_each(value: ArrayLike, labels: int, name: str, above: float = -math.inf) -> Floats:
    """Return a number for each label, ``[label]``, above a bound and at least 0.

    Raises
    ------
    LabelError
        It is neither one number nor as many as there are labels, or one of them is too small or not
        finite; or there are no labels.
    """
    if not labels:
        raise LabelError("templates of which labels? None is given")
    given = numbers_of(value[name] if isinstance(value, xr.Dataset) else value, name)
    if given.shape not in ((), (labels,)) or not np.isfinite(given).all():
        raise LabelError(
            f"{name} is one finite number, or one for each of {labels} labels, got {value!r:.80}"
        )
    if (given <= above).any() or (given < 0).any():
        raise LabelError(f"{name} is {'above' if above == 0 else 'at least'} 0")
    return np.broadcast_to(given, (labels,)).copy()


def product(
    binning: Binning,
    parameters: tuple[Variable, ...],
    table: Floats,
    measured: Sequence[Measured],
    totals: Floats,
    errors: Floats,
    n: Floats,
    share: float = 1.0,
    most: int | None = None,
) -> xr.Dataset:
    """Put what is known of each label together, in events; see :class:`Templates`.

    `totals` with their relative `errors` and the numbers `n` that the nominal shares are of are
    ``[label]``; `share` and `most` are those of :func:`eigenvariations`.
    """
    sources = list(measured[0].covariances)
    nominal = np.array([one.nominal for one in measured])
    scale = totals[:, None]
    deviation = np.zeros((len(table), len(sources), nominal.shape[1]))
    names: list[str] = []
    vectors, shares = [], []
    kept = np.ones((len(table), len(sources)))
    for s, source in enumerate(sources):
        each = [
            eigenvariations(one.covariances[source], one.nominal, share=share, most=most)
            for one in measured
        ]
        number = max(len(one.vectors) for one in each)
        names += [f"{source}_{k + 1}" for k in range(number)]
        vectors.append(np.stack([_padded(one, number) for one in each]))
        shares.append(np.array([[*one.shares, *[0.0] * (number - len(one.shares))] for one in each])
                      .reshape(len(table), number))  # fmt: skip
        kept[:, s] = [one.share if len(one.vectors) else 1.0 for one in each]
        diagonal = [np.diag(one.covariances[source]) for one in measured]
        deviation[:, s] = np.sqrt(np.maximum(diagonal, 0.0))
    shapes = np.concatenate(vectors, axis=1) if vectors else np.zeros((len(table), 0, 1))
    dims, one_each = tuple(binning.names), nominal[:, None]

    def events(values: Floats, what: str, *leading: str) -> Any:
        return (leading + dims, binning.arranged(values), unitless(what))

    return xr.Dataset(
        {
            "nominal": events(nominal * scale, "expected events", "label"),
            "statistical_error": events(
                scale * np.sqrt(np.maximum(nominal * (1 - nominal), 0) / n[:, None]),
                "standard error of the draws, in events", "label",
            ),
            "up": events(
                np.maximum(one_each + shapes, 0) * scale[:, None],
                "expected events, one standard deviation up", "label", "variation",
            ),
            "down": events(
                np.maximum(one_each - shapes, 0) * scale[:, None],
                "expected events, one standard deviation down", "label", "variation",
            ),
            "deviation": events(
                deviation * scale[:, None], "standard deviation by the interpolation, in events",
                "label", "source",
            ),
            "share": (
                ("label", "variation"),
                np.concatenate(shares, axis=1) if shares else np.zeros((len(table), 0)),
                unitless("share of the variance of its source, in Poisson errors"),
            ),
            "kept": (
                ("label", "source"), kept, unitless("share that the variations of a source hold")
            ),
            "total": ("label", totals, unitless("expected events, within the bins or not")),
            "total_error": ("label", errors, unitless("error of the expected events")),
        },
        {
            **label_coordinates(parameters, table),
            **binning.coordinates(),
            "variation": np.array(names, dtype=object),
            "source": np.array(sources, dtype=object),
        },
    )  # fmt: skip


def _padded(found: Variations, number: int) -> Floats:
    """Return the shapes, and as many zeros as make them `number`."""
    lacking = number - len(found.vectors)
    return np.concatenate([found.vectors, np.zeros((lacking, found.vectors.shape[1]))])
