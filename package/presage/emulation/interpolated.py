"""Templates for a fit: histograms at any label, with the uncertainty of the interpolation.

The nominal template is drawn from a fitted density. How far it may be wrong is told by what can
be given: *members*, trainings that differ by their random start alone, or *resampled* ones, each
of a bootstrap sample of the events, which differ by the chance in the events too; both weigh the
very events that were drawn, p_k(x)/p(x), so that they have no noise of their own. And *held-out
labels*, where models that had not seen them are known to be off by so much
(:mod:`presage.emulation.transport`), less what chance explains. Each becomes a few up and down
shapes, to be taken as independent (:mod:`presage.analysis.variations`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from presage.analysis.labelled import Floats, Labels, group, label_table
from presage.analysis.variations import excess, spread
from presage.emulation.binning import Binning
from presage.emulation.sampling import sample
from presage.emulation.template_product import NAMES, Measured, Templates, for_each, product
from presage.emulation.transport import HeldOut, Pair, nearness
from presage.labels import LabelError, Variable
from presage.lineage import parent_of
from presage.models.ensemble import EnsembleNetwork
from presage.models.fitted_density import FittedDensity
from presage.progress import Bar
from presage.recipe import Parent, Recipe
from presage.rng import generator
from presage.store import Store

#: Source of uncertainty → trainings that differ.
Trained = Mapping[str, list[FittedDensity]]
#: Raised whenever the numbers change.
VERSION = 1
#: Pairs of held-out events that count less than this are left aside.
_LEAST = 1e-3


def templates(
    fitted: FittedDensity,
    labels: Labels,
    edges: Mapping[str, ArrayLike],
    *,
    total: ArrayLike = 1.0,
    total_error: ArrayLike = 0.0,
    members: Sequence[FittedDensity] = (),
    resampled: Sequence[FittedDensity] = (),
    held_out: HeldOut | None = None,
    share: float = 0.99,
    most: int = 5,
    n: int = 200_000,
    seed: int = 0,
    store: Store | None = None,
    progress: bool = True,
) -> Templates:
    """Return histograms of a fitted density at labels, nominal, up and down.

    Parameters
    ----------
    fitted
        A trained density of events, or an ensemble of them.
    labels
        Where, as in :func:`presage.sample`.
    edges
        Observable → ascending edges of its bins; one or two observables as a rule, the others
        are summed over. What lies outside the bins is left out.
    total, total_error
        Expected events at a label, within the bins or not (cross section times luminosity times
        acceptance), and their standard error: one number, or one for each label.
        :func:`presage.totals` gives both.
    members
        Further trainings, with other seeds. The members of an ensemble need not be given.
    resampled
        Trainings on bootstrap samples, ``presage.fit(..., resample=0)`` and so on: four or more,
        and no less than two. They stand in the place of the members, whose spread is in theirs.
    held_out
        Events at labels that models had not seen, such as ``kfold(...).held_out``.
    share, most
        Of the variance in Poisson errors that the variations of a source are to hold, and how
        many there are at most.
    n
        Events drawn at each label.
    seed
        Of the draws.
    store
        Where it is kept, where `fitted` and the events are kept too; by default nowhere.
    progress
        Show a bar.

    Raises
    ------
    LabelError
        An observable that the density does not draw, edges that do not ascend, a total that is
        not positive, a single held-out label, or no labels.

    Warns
    -----
    RangeWarning
        As :func:`presage.sample`.
    """
    models = fitted, *members, *resampled
    if wrong := [one for one in models if not isinstance(one, FittedDensity)]:
        raise LabelError(f"templates are of densities that presage.fit returned, got {wrong[0]!r}")
    if held_out is not None and not isinstance(held_out, HeldOut):
        raise LabelError(f"held_out is what kfold(...).held_out is, got {held_out!r:.80}")
    _check_names((*fitted.parameters, *fitted.variables))
    binning, table = Binning.of(fitted.variables, edges), label_table(labels, fitted.parameters)
    totals = for_each(total, len(table), "total", above=0)
    errors = for_each(total_error, len(table), "total_error")
    trained = [*resampled] or [*(_members(fitted) or [fitted]), *members]
    spread_of = "resampled" if resampled else "members"

    def make() -> xr.Dataset:
        pairs = held_out.pairs() if held_out else []
        at = Bar(table, desc="templates", unit="label", disable=not progress)
        found = []
        for label in at:
            drawn = _drawn(fitted, label, n, seed, store)
            found.append(_Law(binning, drawn).measured(label, fitted, {spread_of: trained}, pairs))
        return product(binning, fitted.parameters, table, found, totals, errors,
                       np.full(len(table), float(n)), share, most)  # fmt: skip

    if store is None or not fitted.saved:
        return Templates(make())
    fields = {
        "labels": table, "edges": dict(zip(binning.names, binning.edges, strict=True)),
        "total": totals, "total_error": errors, "share": float(share), "most": most, "n": n,
        "members": len(members), "held_out": held_out is not None,
        **({"resampled": len(resampled)} if resampled else {}),
    }  # fmt: skip
    events = [held_out.simulated, *held_out.drawn] if held_out else []
    parents = [Parent(one.key) for one in models] + [parent_of(one) for one in events]
    recipe = Recipe("templates", VERSION, fields, seed=seed, parents=tuple(parents))
    return Templates(store.compute(recipe, make))


def _drawn(
    fitted: FittedDensity, label: Floats, n: int, seed: int, store: Store | None
) -> xr.Dataset:
    at = [tuple(label.tolist())]
    if store is None:
        return fitted.sample(at, n, seed=seed)
    return sample(fitted, labels=at, n=n, seed=seed, store=store, progress=False)


def _check_names(declared: Sequence[Variable]) -> None:
    """Refuse labels and observables that are called like an array of the product."""
    for variable in declared:
        if variable.name in NAMES:
            raise LabelError(
                f"templates have something called {variable.name!r} themselves; rename that column"
            )


def _members(fitted: FittedDensity) -> list[FittedDensity]:
    """Return the members of an ensemble, none of another density."""
    network: Any = fitted.network
    if not isinstance(network, EnsembleNetwork):
        return []
    return [replace(fitted, network=member, saved=False) for member in network.members]


@dataclass(frozen=True)
class _Law:
    """What was drawn at one label."""

    binning: Binning
    drawn: xr.Dataset

    def measured(
        self, label: Floats, fitted: FittedDensity, trained: Trained, pairs: list[Pair]
    ) -> Measured:
        """Return the nominal shares, and what members and held-out labels say of their errors."""
        events = np.stack([self.drawn[name].values for name in self.binning.names], axis=1)
        nominal = self.binning.shares(events.astype(np.float64))
        found = {
            source: spread(self._weighed(events, fitted, several))
            for source, several in trained.items()
            if len(several) > 1 or source != "members"
        }
        if pairs:
            found["held_out"] = self._carried(label, nominal, pairs)
        return Measured(nominal, found)

    def _weighed(
        self, events: Floats, fitted: FittedDensity, trained: list[FittedDensity]
    ) -> Floats:
        """Return the shares by each member's density, ``[member, bin]``."""
        # Without the law of their training events: drawing has warned of the label already.
        own, *each = (
            replace(one, seen=None).log_prob(self.drawn).values for one in (fitted, *trained)
        )
        ratios = [np.exp(log - own) for log in each]
        return np.stack([self.binning.shares(events, ratio) for ratio in ratios])

    def _carried(self, label: Floats, nominal: Floats, pairs: list[Pair]) -> Floats:
        """Return the covariance of the errors at held-out labels, carried here."""
        weights = nearness(pairs, label)
        kept = np.flatnonzero(weights > _LEAST * weights.max())
        here = group(self.drawn, "the drawn events")
        names = self.binning.names
        quantiles = [np.sort(here.columns[name]).astype(np.float64) for name in names]
        apart = []
        for k in kept:
            simulated, drawn = pairs[k].moved(names, quantiles, generator("templates", 0, int(k)))
            truth = self.binning.shares(simulated, pairs[k].weights)
            apart.append(truth - self.binning.shares(drawn))
        noise = np.array([pairs[k].noise for k in kept])
        return excess(np.array(apart), noise, weights[kept], nominal)
