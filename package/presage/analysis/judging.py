"""Which source is judged, whom it has to beat, and what counts as close enough."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

#: What "within 1 %" asks for: largest W1 over standard deviation, and largest AUC.
W1_BAR, AUC_BAR = 0.01, 0.505
#: Sources that train nothing; a model has to beat the closest of them at every label.
RIVALS = ("morphing", "histogram_morphing", "nearest")


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


def against_rivals(product: xr.Dataset, rival: str | None = None) -> NDArray[Any]:
    """Return ``better``, ``level`` or ``worse`` for each label, ``-`` without a rival.

    Level means closer than the floor's W1/std; the worst of the variables counts.

    Parameters
    ----------
    product
        Of :func:`presage.analysis.compare.compare`.
    rival
        One of :func:`rivals_of`; by default the best of each label, so that a model is not
        better where any rival does as well.
    """
    rivals = rivals_of(product) if rival is None else [rival]
    if not rivals:
        return np.full(product.sizes["label"], "-", dtype=object)
    closest = np.min([worst_distance(product, name) for name in rivals], axis=0)
    gain = closest - worst_distance(product, model_of(product))
    floor = worst_distance(product, "floor")
    words = np.where(gain > floor, "better", np.where(gain < -floor, "worse", "level"))
    return words.astype(object)


def within_bar(product: xr.Dataset) -> NDArray[np.bool_]:
    """Return where every W1/std is at most 0.01 and the AUC, if known, at most 0.505."""
    model = model_of(product)
    close = (product["w1_over_std"].sel(source=model) <= W1_BAR).all("variable")
    auc = product["auc"].sel(source=model)
    hidden = (auc <= AUC_BAR) | auc.isnull()
    return np.asarray((close & hidden).values, dtype=bool)


def worst_distance(product: xr.Dataset, source: str) -> NDArray[np.float64]:
    """Return W1/std of the worst variable at each label."""
    values = product["w1_over_std"].sel(source=source).max("variable").values
    return np.asarray(values, dtype=float)
