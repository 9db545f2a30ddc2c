"""Drawing events from a trained flow: a simulator like any other, so its events are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from presage.analysis.labelled import label_table
from presage.emulation.grid import LabelledSimulator
from presage.fitting import Fitted
from presage.generate import simulate
from presage.labels import Arrays, LabelError, Parameter, Variable
from presage.models import ConditionalFlow
from presage.models.event_law import RangeWarning as RangeWarning
from presage.store import Store


@dataclass(frozen=True)
class FlowSampler(LabelledSimulator):
    """Events drawn from a trained flow at given labels.

    Parameters
    ----------
    fitted
        A trained flow that a store holds.
    labels, weights
        Where, and how often each; see :class:`LabelledSimulator`.

    Warns
    -----
    RangeWarning
        A label lies outside the range of the training labels, or far from all of them; the
        range and the nearest one are given.
    """

    fitted: Fitted | None = None

    name: ClassVar[str] = "flow_sample"
    version: ClassVar[int] = 1
    # Networks may differ in the last bits with other libraries or thread counts.
    tolerance: ClassVar[float] = 1e-4

    @cached_property
    def flow(self) -> ConditionalFlow:
        """The trained flow in physical units."""
        if self.fitted is None:
            raise LabelError("FlowSampler needs fitted=, what presage.fit or presage.load returned")
        return ConditionalFlow.of(self.fitted)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The labels the flow was trained on."""
        ranges = self.flow.declaration["trained_range"]
        return tuple(
            Parameter(**{**_plain(p), "low": ranges[p.name][0], "high": ranges[p.name][1]})
            for p in self.flow.scale.parameters
        )

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables it was trained on."""
        return tuple(self.flow.scale.variables)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.flow.warn_of_labels(self.label_table)

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Draw one event for each label."""
        return self.flow.sample(theta, rng)


def _plain(variable: Variable) -> dict[str, Any]:
    return {name: getattr(variable, name) for name in Variable.__dataclass_fields__}


def sample(
    fitted: Fitted,
    *,
    labels: xr.Dataset | Sequence[Sequence[float]],
    n: int | Sequence[int] = 100_000,
    seed: int = 0,
    store: Store | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Draw events from a trained flow, `n` at each label, and store them.

    Parameters
    ----------
    fitted
        What :func:`presage.fit` or :func:`presage.load` returned.
    labels
        Tuples in the order of the flow's parameters, or a dataset whose distinct labels are
        meant (held-out events, say).
    n
        Events at each label: one number, or one for each (kept to within a few events).
    seed
        Seed of the normal draws.
    store
        Where they are kept; ``Store()`` by default.
    progress
        Show a bar once it takes longer than two seconds.

    Returns
    -------
    xarray.Dataset
        Flat over ``event``, with label columns, like the training events.

    Warns
    -----
    RangeWarning
        As :class:`FlowSampler`.
    """
    flow = ConditionalFlow.of(fitted)
    table = label_table(labels, flow.scale.parameters)
    if not np.isfinite(table).all():
        raise LabelError(f"labels must be finite numbers, got {table.tolist()}")
    if not len(table):
        raise LabelError("at least one label is needed, got none")
    sizes = [n] * len(table) if isinstance(n, int) else list(n)
    if len(sizes) != len(table) or min(sizes) < 1:
        raise LabelError(
            f"n is at least 1 event a label, one number or {len(table)} of them; got {n!r}"
        )
    equal = len(set(sizes)) == 1
    sampler = FlowSampler(
        labels=tuple(tuple(row) for row in table.tolist()),
        weights="equal" if equal else tuple(map(float, sizes)),
        fitted=fitted,
    )
    return simulate(sampler, sum(sizes), seed=seed, store=store, progress=progress)
