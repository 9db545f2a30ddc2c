"""Which source is judged, whom it has to beat and in what, and what counts as close enough."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from presage.labels import Floats

#: What "within 1 %" asks for: largest W1 over standard deviation, KS distance and AUC.
W1_BAR, KS_BAR, AUC_BAR = 0.01, 0.01, 0.505
#: Sources that train nothing; a model has to beat the closest of them at every label.
RIVALS = ("morphing", "histogram_morphing", "nearest")
#: What a model and its rivals are compared in, and the words for it. W1 is blind to a wrong
#: shape below heavy tails, KS to tails, both to how variables hang together. The share beyond the
#: reference's range is held against chance alone: rivals that repeat real events never go there.
CONTESTS = {"w1_over_std": "W1", "ks": "KS", "auc": "AUC"}


def model_of(product: xr.Dataset) -> str:
    """Return the source that is judged, the first candidate."""
    return str(product.attrs["model"])


def judged(product: xr.Dataset) -> list[str]:
    """Return all sources but the reference, the model first and the floor last."""
    names = [str(name) for name in product["source"].values]
    return [name for name in names if name not in ("reference", "floor")] + ["floor"]


def rivals_of(product: xr.Dataset) -> list[str]:
    """Return the sources that the model is held against: all classical ones but itself."""
    model, sources = model_of(product), product["source"].values
    return [name for name in RIVALS if name in sources and name != model]


def best_rival(product: xr.Dataset) -> NDArray[Any]:
    """Return the rival of the smallest W1/std at each label, ``-`` where none was drawn.

    As everywhere, the worst of the variables counts.
    """
    rivals = rivals_of(product)
    if not rivals:
        return np.full(product.sizes["label"], "-", dtype=object)
    distances = np.stack([worst_distance(product, rival) for rival in rivals])
    best: NDArray[Any] = np.array(rivals, dtype=object)[distances.argmin(axis=0)]
    return best


def contests(product: xr.Dataset, rival: str | None = None) -> dict[str, NDArray[np.int64]]:
    """Return how the model fares at each label in each of :data:`CONTESTS` that was measured.

    Metric → 1 better, -1 worse, 0 level or unknown, ``[label]``, than a rival, by default the best
    of each label and metric. Level means closer than chance moves them: the floor's own value; of
    the AUC twice its standard errors.
    """
    rivals = rivals_of(product) if rival is None else [rival]
    found: dict[str, NDArray[np.int64]] = {}
    for name in (n for n in CONTESTS if rivals and n in product):
        model = worst_distance(product, model_of(product), name)
        others = np.array([worst_distance(product, r, name) for r in rivals])
        gain = np.where(np.isnan(others), np.inf, others).min(axis=0) - model
        clear = np.abs(gain) > _by_chance(product, name, rivals)
        known = clear & np.isfinite(gain)
        found[name] = np.where(known, np.sign(np.where(known, gain, 0.0)), 0).astype(np.int64)
    return found


def against_rivals(product: xr.Dataset, rival: str | None = None) -> NDArray[Any]:
    """Return ``better``, ``level``, ``worse`` or ``mixed`` for each label, ``-`` without a rival.

    Better in one of :func:`contests` and worse in none is better; better in one and worse in
    another is mixed.
    """
    found = list(contests(product, rival).values())
    if not found:
        return np.full(product.sizes["label"], "-", dtype=object)
    better, worse = (np.any([outcome == sign for outcome in found], axis=0) for sign in (1, -1))
    words = np.where(worse, np.where(better, "mixed", "worse"), np.where(better, "better", "level"))
    return words.astype(object)


def within_bar(product: xr.Dataset) -> NDArray[np.bool_]:
    """Return where W1/std and KS are at most 0.01, the AUC at most 0.505; unknown is not."""
    bars = {"w1_over_std": W1_BAR, "ks": KS_BAR, "auc": AUC_BAR - 0.5}
    known = {name: bar for name, bar in bars.items() if name in product}
    within = [worst_distance(product, model_of(product), n) <= bar for n, bar in known.items()]
    return np.asarray(np.all(within, axis=0), dtype=bool)


def worst_distance(
    product: xr.Dataset, source: str, metric: str = "w1_over_std"
) -> NDArray[np.float64]:
    """Return a metric of the worst variable at each label; of the AUC what is above 0.5."""
    values = product[metric].sel(source=source)
    worst = values.max([dim for dim in values.dims if dim != "label"])
    return np.asarray(worst - 0.5 if metric == "auc" else worst, dtype=float)


def _by_chance(product: xr.Dataset, metric: str, rivals: Iterable[str]) -> Floats:
    """Return the difference of two sources that chance makes, ``[label]``."""
    if metric == "auc":
        errors = product["auc_error"].sel(source=[model_of(product), *rivals])
        return np.asarray(2 * np.sqrt(2) * errors.max("source"), dtype=float)
    return worst_distance(product, "floor", metric)
