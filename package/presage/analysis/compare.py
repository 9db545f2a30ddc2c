"""Events against reference events at every label: the dataset that all else reads.

Everything is counted and measured for all sources alike, the statistical floor among them:
a second Monte Carlo sample where one is given, else the expectation of each metric.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
import xarray as xr

from presage.analysis.completing import completed
from presage.analysis.histograms import adaptive_edges, histogram, in_effective_events
from presage.analysis.labelled import FEWEST, Grouped, Labels, group, label_table
from presage.analysis.measuring import Measured, with_binned
from presage.analysis.metrics import METRICS, chosen, own_metrics
from presage.analysis.samples import Sample
from presage.labels import LabelError, unitless
from presage.labels.equality import positions
from presage.progress import SHARE, Bar

#: Work of the two-sample test on an event, in units of all other measures: 20 to 300.
_TEST = 50

Which = bool | Literal["held_out"]


def compare(
    reference: xr.Dataset,
    candidates: Mapping[str, xr.Dataset],
    *,
    floor: xr.Dataset | None = None,
    held_out_labels: Labels | None = None,
    trained_labels: Labels | None = None,
    bins: int = 40,
    classifier: Which = True,
    subsample: int | None = 100_000,
    minimum: int = FEWEST,
    seed: int = 0,
    progress: bool = False,
    metrics: Iterable[str] | None = None,
    own: Iterable[Any] = (),
) -> xr.Dataset:
    """Compare events with reference events at every label of the reference.

    Parameters
    ----------
    reference
        Monte Carlo events, the truth.
    candidates
        Name → events; the first is the model to be judged. Their other labels are left aside.
    floor
        A second, independent Monte Carlo sample; without it the floor is the expectation
        for samples of the reference's and the first candidate's size.
    held_out_labels
        Labels that no model was trained on; by default all that are not in
        `trained_labels`, all where neither is given.
    trained_labels
        Labels of the training: they say which labels are on the edge.
    bins
        Bins of each histogram, in one and (squared) two dimensions.
    classifier
        Whether to run the two-sample test: everywhere, nowhere or ``"held_out"``.
    subsample
        Events a side for that test.
    minimum
        Fewest events at a label.
    seed
        Of the two-sample test.
    progress
        Show a bar.
    metrics
        Names of :data:`presage.analysis.metrics.METRICS`; by default all.
    own
        Figures of merit of one's own beside them, see
        :func:`presage.analysis.metrics.own_metrics`.

    Returns
    -------
    xarray.Dataset
        ``counts[source, label, variable, bin]`` with ``edges[label, variable, edge]``,
        ``counts_2d[source, label, pair, bin_x, bin_y]``, ``underflow``, ``overflow``,
        ``outside``, ``below_bound``, ``above_bound[source, label, variable]``,
        ``events[source, label]``, what :mod:`presage.analysis.bin_statistics` makes of them
        (densities, pulls, ratios, their errors), and the metrics of
        :data:`presage.analysis.metrics.METRICS`. Sources are ``reference``, ``floor`` and
        the candidates. Label coordinates: each parameter, ``held_out``, and ``region``
        (``trained``, ``interior``, ``edge``).

    Raises
    ------
    LabelError
        Missing labels, variables, events; other units; values that are not finite.

    Notes
    -----
    Where a sample has weights, it counts as its effective number of events, (Σw)² / Σw²: that is
    what ``events`` then says, and ``counts`` are sums of weights in that unit, of which
    ``counts_variance`` and so on hold the variance in the same unit, from Σw² of each bin.
    ``sum_of_weights[source, label]`` over ``events`` takes them back.
    """
    names = chosen(metrics)
    table = {name: METRICS[name] for name in names} | own_metrics(own)[0]
    groups = _grouped(reference, candidates, floor, minimum)
    truth = groups["reference"]
    held_out = _held_out(truth, held_out_labels, trained_labels)
    where = {name: grouped.find(truth.table) for name, grouped in groups.items()}
    model = next(iter(candidates))
    product = _counted(groups, adaptive_edges(truth, bins), model, measured=floor is not None)
    measured = Measured(list(product["source"].values), truth, table)
    tested = {"auc", "auc_error"} & set(names)
    testing = held_out if classifier == "held_out" else np.full(len(held_out), bool(classifier))
    testing = testing & bool(tested)
    work, tests = _work({n: g.sizes[where[n]] for n, g in groups.items()}, testing, subsample)
    with Bar(
        total=float(work.sum()), desc="residuals", bar_format=SHARE, disable=not progress
    ) as bar:
        for i in range(len(truth.table)):
            bar.set_postfix_str(f"label {i + 1} of {len(truth.table)}", refresh=False)
            samples = {name: _sample(g, int(where[name][i])) for name, g in groups.items()}
            measured.add(i, samples, model)
            if testing[i]:
                for source in measured.test(i, samples, seed, subsample):
                    bar.update(tests.get(source, work * 0)[i])
            bar.update(work[: i + 1].sum() - bar.n)
    product = product.assign(measured.arrays())
    product = with_binned(product, model, measured=floor is not None)
    product = product.assign_coords(
        held_out=("label", held_out, {"long_name": "label left out of the training"}),
        region=("label", _regions(truth, held_out, trained_labels)),
    )
    lacking = {f"left_out_{name}": g.left_out for name, g in groups.items() if g.left_out}
    product = product.assign_attrs(_attributes(floor, model, subsample, seed) | lacking)
    return completed(product)


def _sample(grouped: Grouped, label: int) -> Sample:
    return Sample(grouped.sample(label), grouped.weights_at(label))


def _work(
    sizes: Mapping[str, Any], testing: Any, subsample: int | None
) -> tuple[Any, dict[str, Any]]:
    """Return the work at each label, and each source's share that is its test, ``[label]``."""
    most = subsample or np.inf
    tests = {n: _TEST * np.minimum(s, most) * testing for n, s in sizes.items() if n != "reference"}
    return sum(sizes.values()) + sum(tests.values()), tests


def _grouped(
    reference: xr.Dataset,
    candidates: Mapping[str, xr.Dataset],
    floor: xr.Dataset | None,
    minimum: int,
) -> dict[str, Grouped]:
    """Group all sources, the reference first, and refuse labels with too few events."""
    if not candidates:
        raise LabelError("compare needs at least one candidate, name → events")
    for name in ("reference", "floor"):
        if name in candidates:
            raise LabelError(f"a candidate cannot be called {name!r}: that name is taken")
    truth = group(reference, "the reference")
    groups = {"reference": truth}
    if floor is not None:
        groups["floor"] = group(floor, "the floor sample", like=truth)
    for name, events in candidates.items():
        groups[name] = group(events, f"candidate {name!r}", like=truth)
    for grouped in groups.values():
        sizes = grouped.effective[grouped.find(truth.table)]
        if sizes.min() < max(minimum, 2):
            few = int(sizes.argmin())
            worth = "events" if grouped.weights is None else "effective events, (Σw)² / Σw²,"
            raise LabelError(
                f"{grouped.source} has {sizes[few]:.4g} {worth} at "
                f"{grouped.describe(truth.table[few])}, at least {max(minimum, 2)} are needed; "
                "add events or leave that label out of the reference"
            )
    return groups


def _counted(
    groups: dict[str, Grouped], edges: xr.DataArray, model: str, measured: bool
) -> xr.Dataset:
    """Histograms of all sources; a floor that is a law has no events."""
    weighted = any(grouped.weights is not None for grouped in groups.values())
    counted = {name: _histogram(grouped, edges, weighted) for name, grouped in groups.items()}
    if not measured:
        empty = xr.zeros_like(counted[model])
        counted = {"reference": counted.pop("reference"), "floor": empty, **counted}
    joined = xr.concat(counted.values(), dim="source", coords="minimal", compat="override")
    joined = joined.assign_coords(source=np.array(list(counted), dtype=object))
    order = ("source", "label", "variable", "pair", "bin", "bin_x", "bin_y")
    joined = joined.transpose(*order)
    return joined.assign(edges=edges.transpose("label", "variable", "edge"))


def _histogram(grouped: Grouped, edges: xr.DataArray, weighted: bool) -> xr.Dataset:
    counted = histogram(grouped, edges)
    if weighted:
        counted = in_effective_events(counted)
    outside = counted["underflow"] + counted["overflow"]
    below, above = (_beyond(grouped, edges, upper=upper) for upper in (False, True))
    # 4 bytes: the pulls stand beside them.
    kind = np.float32 if weighted else np.int32
    counted = counted.assign({n: counted[n].astype(kind) for n in counted if "counts" in str(n)})
    return counted.assign(
        outside=outside.assign_attrs(unitless("events outside the bins")),
        below_bound=(("label", "variable"), below, unitless("events below the physical bound")),
        above_bound=(("label", "variable"), above, unitless("events above the physical bound")),
    )


def _beyond(grouped: Grouped, edges: xr.DataArray, upper: bool) -> Any:
    """Count the events beyond each variable's declared bound, ``[label, variable]``."""
    table = np.stack([edges[p.name].values for p in grouped.parameters], axis=1)
    where = grouped.find(table)
    counts = np.zeros((len(where), len(grouped.variables)), dtype=np.int64)
    for v, variable in enumerate(grouped.variables):
        bound = variable.bounds[1 if upper else 0]
        if bound is not None:
            column = grouped.columns[variable.name]
            bound = column.dtype.type(bound)  # a float32 column is judged in its own precision
            beyond = column > bound if upper else column < bound
            counts[:, v] = np.add.reduceat(beyond, grouped.starts[:-1], dtype=np.int64)[where]
    return counts


def _held_out(truth: Grouped, held_out: Labels | None, trained: Labels | None) -> Any:
    """Which labels of the reference were left out of the training, ``[label]``."""
    mask = np.zeros(len(truth.table), dtype=bool)
    if held_out is not None:
        mask[truth.find(label_table(held_out, truth.parameters))] = True
        return mask
    if trained is None:
        return ~mask
    seen = label_table(trained, truth.parameters)
    return positions(truth.table, seen, truth.parameters) < 0


def _regions(truth: Grouped, held_out: Any, trained: Labels | None) -> Any:
    """``trained``, ``interior`` or ``edge`` for each label."""
    known = truth.table
    if trained is not None:
        known = np.concatenate([known, label_table(trained, truth.parameters)])
    low, high = known.min(axis=0), known.max(axis=0)
    varies = high > low
    ends = ((truth.table <= low) | (truth.table >= high)) & varies
    edge = ends.any(axis=1)
    return np.where(held_out, np.where(edge, "edge", "interior"), "trained").astype(object)


def _attributes(
    floor: xr.Dataset | None, model: str, subsample: int | None, seed: int
) -> dict[str, Any]:
    law = (
        f"expectation for two samples of one distribution, of the sizes of reference and {model}; "
        "its counts are empty"
    )
    return {
        "floor": "measured" if floor is not None else "law",
        "floor_is": "an independent Monte Carlo sample" if floor is not None else law,
        "model": model,
        "auc_events_per_side": -1 if subsample is None else subsample,
        "auc_seed": seed,
        "auc_missing": "NaN where a sample holds fewer than 200 events, copies counted once",
    }
