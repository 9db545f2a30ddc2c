"""Drawing events from a trained flow: a simulator like any other, so its events are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xarray as xr

from presage.analysis.totals import spread
from presage.emulation.grid import LabelledSimulator
from presage.generate import simulate
from presage.labels import Arrays, LabelError, Parameter, Variable
from presage.models.event_law import RangeWarning as RangeWarning
from presage.models.fitted import Fitted
from presage.models.fitted_density import BLOCK, STREAM, FittedDensity
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

    fitted: FittedDensity | None = None

    name: ClassVar[str] = STREAM
    version: ClassVar[int] = 1
    block_size: ClassVar[int] = BLOCK
    # Networks may differ in the last bits with other libraries or thread counts.
    tolerance: ClassVar[float] = 1e-4

    @property
    def flow(self) -> FittedDensity:
        """The trained flow."""
        if self.fitted is None:
            raise LabelError("FlowSampler needs fitted=, what presage.fit or presage.load returned")
        return self.fitted

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The labels the flow was trained on."""
        return self.flow.parameters

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables it was trained on."""
        return self.flow.variables

    def __post_init__(self) -> None:
        super().__post_init__()
        self.flow.warn_of_labels(self.label_table)

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Draw one event for each label."""
        return self.flow.draw(theta, rng)


def sample(
    fitted: Fitted,
    *,
    labels: xr.Dataset | Sequence[Sequence[float]],
    n: int | Sequence[int] = 100_000,
    totals: xr.Dataset | None = None,
    seed: int = 0,
    store: Store | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Draw events from a trained flow, `n` at each label, and store them.

    The events are those of ``fitted.sample(labels, n, seed=seed)``; a flow that no store holds
    draws them in memory, for there is nothing that could say what they were made from.

    Parameters
    ----------
    fitted
        A density that :func:`presage.fit` or :func:`presage.load` returned.
    labels
        Tuples in the order of the flow's parameters, or a dataset whose distinct labels are
        meant (held-out events, say).
    n
        Events at each label: one number, or one for each (kept to within a few events).
    totals
        What :func:`presage.totals` says of these labels: `n` events in all are then spread over
        them by it, as a simulation of all of them would have them.
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
    if not isinstance(fitted, FittedDensity):
        raise LabelError(f"sample draws from a density of columns, got {fitted!r}")
    if totals is not None:
        if not isinstance(n, int):
            raise LabelError(f"with totals n is the number of all events, got {n!r}")
        n = spread(n, totals, fitted.asked(labels, n)[0], fitted.scale.parameters)
    table, sizes = fitted.asked(labels, n)
    if not fitted.saved:
        return fitted.sample(labels, n, seed=seed)
    sampler = FlowSampler(
        labels=tuple(tuple(row) for row in table.tolist()),
        weights="equal" if len(set(sizes)) == 1 else tuple(map(float, sizes)),
        fitted=fitted,
    )
    return simulate(sampler, sum(sizes), seed=seed, store=store, progress=progress)
