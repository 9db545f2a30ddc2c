"""What can be said of a set of events without knowing what they mean: named numbers.

Of each feature, on the scale that networks see it: smallest, largest, quantiles, mean and
spread; and how many values, and whole events, occur more than once. An encoder keeps what
theta can be read from and may be blind to the rest; these numbers are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_QUANTILES = {
    "smallest": 0.0, "5 % quantile of": 0.05, "25 % quantile of": 0.25, "median of": 0.5,
    "75 % quantile of": 0.75, "95 % quantile of": 0.95, "largest": 1.0,
}  # fmt: skip
#: Places of a feature, in its own units; then its spread, on the network's scale.
PLACES = (*_QUANTILES, "mean of")
_LOW, _MIDDLE, _HIGH = 2, 3, 4  # the quartiles
_SHAPES = tuple(word for word in PLACES if word != "median of")
#: Added to a spread, in widths over all training, so that one of nothing has a logarithm.
_NARROW = 1e-3


def names_of(features: Sequence[str]) -> list[str]:
    """Return what the columns of :func:`statistics` are called."""
    plain = (*PLACES, "spread of")
    shapes = [f"{word} {{}}, in quartile distances from its median" for word in _SHAPES]
    words = [*(f"{word} {{}}" for word in plain), *shapes, "spread of {}, over its quartiles'"]
    return [word.format(feature) for word in words for feature in features]


def statistics(standard: Tensor) -> Tensor:
    """Return the named numbers ``(*, S)`` of sets of standardised features ``(*, E, F)``.

    First places and spread, then the same with median and distance of the quartiles taken out:
    the shape, which often is that of any theta.
    """
    at = torch.tensor(list(_QUANTILES.values()), dtype=standard.dtype)
    # Sorted once; torch.quantile refuses more than 2^24 numbers.
    ordered = standard.sort(-2).values
    place = at * (ordered.shape[-2] - 1)
    low = place.floor().long()
    high = (low + 1).clamp(max=ordered.shape[-2] - 1)
    part = (place - low)[:, None]
    cuts = ordered[..., low, :] * (1 - part) + ordered[..., high, :] * part
    places = torch.cat((cuts, standard.mean(-2, keepdim=True)), -2)
    spread = standard.std(-2, correction=0, keepdim=True) + _NARROW
    unit = (cuts[..., _HIGH, :] - cuts[..., _LOW, :] + _NARROW)[..., None, :]
    others = torch.cat((places[..., :_MIDDLE, :], places[..., _MIDDLE + 1 :, :]), -2)
    shape = (others - cuts[..., _MIDDLE, None, :]) / unit
    parts = (compress(places), spread.log(), compress(shape), (spread / unit).log())
    return torch.cat(parts, -2).flatten(-2)


def compress(values: Tensor) -> Tensor:
    """Return a number whose size goes by the logarithm: one event far away stays finite."""
    return values.sign() * values.abs().log1p()


def repeats(events: NDArray[Any]) -> NDArray[np.int64]:
    """Return how many events of ``(E, F)``, and values of each feature, were there before."""
    columns = [len(events) - len(np.unique(column)) for column in events.T]
    rows = np.lexsort(events.T)
    ordered = events[rows]
    whole = int((ordered[1:] == ordered[:-1]).all(-1).sum())
    return np.array([whole, *columns], dtype=np.int64)


def in_units(column: int, value: float, fitted: Mapping[str, Any]) -> tuple[float, str]:
    """Return a named number in the feature's own units, and the scale that a spread is on."""
    word, i = divmod(column, len(fitted["names"]))
    shift, width, scale = (fitted[name][i] for name in ("shift", "width", "scale"))
    if word == len(PLACES):
        return max(float(np.exp(value)) - _NARROW, 0.0) * width, scale
    if word == len(PLACES) + 1 + len(_SHAPES):
        return float(np.exp(value)), scale
    number = float(np.sign(value) * np.expm1(abs(value)))
    if word > len(PLACES):
        return number, scale
    number = number * width + shift
    if scale == "log":
        return float(np.exp(number)) + min(fitted["lower"][i], 0.0), scale
    if scale == "logit":
        low, high = fitted["lower"][i], fitted["upper"][i]
        return float(low + (high - low) / (1 + np.exp(-number))), scale
    return number, scale
