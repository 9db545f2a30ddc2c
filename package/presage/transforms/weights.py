r"""Events that count more or less, or negatively: what their weights say, and how much.

The weighted distribution of events x with weights w is F(x) = Σ w [xᵢ ≤ x] / Σ w. It has the
statistical precision of

.. math:: N_\mathrm{eff} = \frac{(\sum w)^2}{\sum w^2}

events that count 1 (Kish 1965): all of them where weights are equal, whatever their size, and
(1 − 2f)² of them where a share f of equal weights is negative, as next-to-leading-order
generators make them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from presage.labels import LabelError, Variable, Weight, check_one_weight

Floats = NDArray[np.float64]


def weight_declared(dataset: xr.Dataset, sample: str = "event") -> Weight | None:
    """Return the declaration of a dataset's weight, the column with ``role="weight"``."""
    found = []
    for array in dataset.data_vars.values():
        if array.attrs.get("role") == "weight":
            if sample not in array.dims:
                raise LabelError(
                    f"the weight {str(array.name)!r} has the dims {array.dims}: it is one number "
                    f"for each {sample}"
                )
            found.append(cast(Weight, Variable.of(array, sample)))
    check_one_weight(weight.name for weight in found)
    return found[0] if found else None


def weights_of(
    dataset: xr.Dataset, sample: str = "event", source: str = "the dataset"
) -> Floats | None:
    """Return the weight of each event ``[event]``, None where they have none.

    Raises
    ------
    LabelError
        A weight is not finite, or two columns hold weights.
    """
    declared = weight_declared(dataset, sample)
    if declared is None:
        return None
    weights = np.asarray(dataset[declared.name].values, dtype=np.float64)
    bad = int(np.count_nonzero(~np.isfinite(weights)))
    size = float(np.abs(weights).max(initial=0.0))
    if not bad and size and not 1e-100 < size < 1e100:
        raise LabelError(
            f"{source}: the weight {declared.name!r} reaches {size:.0e}, whose square is no number "
            "any more; give it in another unit"
        )
    if bad:
        raise LabelError(
            f"{source}: the weight {declared.name!r} is NaN or infinite in {bad} of "
            f"{len(weights)} events; leave them out, in a reader with invalid='drop'"
        )
    return weights


def check_unweighted(dataset: xr.Dataset, what: str) -> None:
    """Refuse data with weights, of which `what` takes no account.

    Raises
    ------
    LabelError
        An array has the attribute ``role="weight"``.
    """
    for name, array in dataset.data_vars.items():
        if array.attrs.get("role") == "weight":
            raise LabelError(
                f"{what} counts all alike, and the data have the weight {str(name)!r}. Draw "
                "samples by it first (presage.transforms.cells.drawn_by_weight), then drop it: "
                f"data.drop_vars({str(name)!r})"
            )


def check_totals(
    weights: Floats, starts: NDArray[np.integer], name: Callable[[int], str], source: str
) -> None:
    """Refuse labels whose events count nothing in all, or negatively.

    `weights` are sorted by label, each of which begins at its `starts` ``[label + 1]``.

    Raises
    ------
    LabelError
        Gives the first its `name`.
    """
    totals = np.add.reduceat(weights, starts[:-1])
    sizes = np.add.reduceat(np.abs(weights), starts[:-1])
    wrong = np.flatnonzero(~(totals > 1e-12 * sizes))
    if not wrong.size:
        return
    first = int(wrong[0])
    total, size = float(totals[first]), float(sizes[first])
    what = "are more negative than positive" if total < 0 else "cancel one another"
    if abs(total) <= 1e-12 * size:
        what = "cancel one another" if size else "are all zero"
    raise LabelError(
        f"{source}: the weights of the {starts[first + 1] - starts[first]} events at {name(first)} "
        f"{what} (their sum is {total:g}), which is no distribution of events; give more events "
        "there, or leave that label out"
    )


def effective_size(weights: Floats) -> float:
    """Return the number of events of weight 1 that are as precise: (Σw)² / Σw²."""
    squares = float(np.dot(weights, weights))
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def cumulative(weights: Floats) -> Floats:
    """Return the share of events up to each, ``[event]``, of weights in the order of the values.

    Where negative weights make the distribution function fall, it stays at its highest before, so
    that it has an inverse.
    """
    total = np.cumsum(weights)
    rising: Floats = np.maximum.accumulate(total) / total[-1]
    return np.minimum(rising, 1.0)


def quantile(x: NDArray[np.floating], weights: Floats, at: Sequence[float]) -> Floats:
    """Return the quantiles at these probabilities: the least x at which F reaches them.

    With whole numbers for weights these are ``numpy.quantile(..., method="inverted_cdf")`` of
    events that stand there so many times.

    Parameters
    ----------
    x
        Events ``[event]``, in any order.
    weights
        ``[event]``, with a positive sum.
    at
        Probabilities.
    """
    order = np.argsort(x, kind="stable")
    share = cumulative(weights[order])
    # Sums of many weights round: what is reached within that is reached.
    place = np.searchsorted(share, np.asarray(at) - 1e-12, side="left")
    found: Floats = np.asarray(x, dtype=np.float64)[order[np.minimum(place, len(x) - 1)]]
    return found
