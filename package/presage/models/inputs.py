"""What networks see of an event: features in suitable coordinates, standardised, and products."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from presage.labels import LabelError, nearest

SCALES = ("linear", "log", "logit")
#: Float32 next to the ends of the unit interval: nothing finer reaches a network.
_LEAST, _MOST = float(np.finfo(np.float32).tiny), 1 - 2.0**-24
#: Least standard deviation of a set, in widths over all training.
_NARROW = 1e-3


def fit_features(events: xr.DataArray) -> dict[str, Any]:
    """Return how features ``[..., feature]`` are transformed and standardised, in JSON's terms.

    Mean and width are taken over all events; scales and supports stand in the coordinates
    ``feature_scale``, ``feature_lower`` and ``feature_upper``. The keys are ``names``, ``scale``,
    ``lower``, ``upper`` (None for no end), ``shift``, ``width``.
    """
    fitted: dict[str, Any] = {
        "names": [str(name) for name in events["feature"].values],
        "scale": [str(scale) for scale in events["feature_scale"].values],
        "lower": [_end(v) for v in events["feature_lower"].values],
        "upper": [_end(v) for v in events["feature_upper"].values],
    }
    _check_scales(fitted)
    values = torch.as_tensor(events.transpose(..., "feature").values.astype(np.float64))
    flat = to_scale(values.reshape(-1, values.shape[-1]), fitted)
    width = flat.std(0)
    # A feature that is one number everywhere stays so.
    fitted["shift"] = flat.mean(0).tolist()
    fitted["width"] = torch.where(width > 0, width, torch.ones_like(width)).tolist()
    return fitted


def to_scale(events: Tensor, fitted: Mapping[str, Any]) -> Tensor:
    """Return events ``(*, F)`` on their scales, not yet standardised."""
    columns = []
    for i, scale in enumerate(fitted["scale"]):
        value = events[..., i]
        if scale == "log":
            below = min(fitted["lower"][i], 0.0)  # of the number itself, unless it can be negative
            value = (value - below).clamp(min=_LEAST).log()
        elif scale == "logit":
            low, high = fitted["lower"][i], fitted["upper"][i]
            share = ((value - low) / (high - low)).clamp(_LEAST, _MOST)
            value = share.log() - torch.log1p(-share)
        columns.append(value)
    return torch.stack(columns, -1)


class FeatureMap(nn.Module):
    """Features standardised as :func:`fit_features` says, then with `products` those of all pairs.

    `outputs` is the numbers that an event becomes; squares are among the products.
    """

    def __init__(self, fitted: Mapping[str, Any], products: bool) -> None:
        super().__init__()
        self.fitted = fitted
        count = len(fitted["scale"])
        self.register_buffer("shift", torch.tensor(fitted["shift"]))
        self.register_buffer("width", torch.tensor(fitted["width"]))
        row, column = np.triu_indices(count) if products else (np.zeros(0, int),) * 2
        self.register_buffer("row", torch.as_tensor(row, dtype=torch.int64), persistent=False)
        self.register_buffer("column", torch.as_tensor(column, dtype=torch.int64), persistent=False)
        self.outputs = count + len(row)

    @property
    def harmless(self) -> Tensor:
        """An event inside the support, ``(F,)``, to fill gaps with."""
        return torch.tensor(
            [_inside(low, high) for low, high in zip(self.fitted["lower"], self.fitted["upper"],
                                                      strict=True)],
            dtype=torch.float64,
        )  # fmt: skip

    def forward(self, events: Tensor) -> Tensor:
        """Return inputs ``(*, I)`` of events ``(*, F)``, in the network's type."""
        scaled = to_scale(events, self.fitted)
        shift, width = self.get_buffer("shift"), self.get_buffer("width")
        standard = (scaled.to(shift.dtype) - shift) / width
        row, column = self.get_buffer("row"), self.get_buffer("column")
        if not len(row):
            return standard
        pairs = [standard[..., i] * standard[..., j] for i, j in zip(row, column, strict=True)]
        return torch.cat((standard, torch.stack(pairs, -1)), -1)

    def moments(self, mean: Tensor) -> Tensor:
        """Return mean inputs ``(*, I)`` of sets with moments in place of products.

        Standard deviations and correlations, which say the same: a network need not find a narrow
        spread in the difference of two large numbers.
        """
        row, column = self.get_buffer("row"), self.get_buffer("column")
        if not len(row):
            return mean
        first, products = mean.tensor_split((self.outputs - len(row),), -1)
        covariance = products - first[..., row] * first[..., column]
        own = row == column
        spread = covariance[..., own].clamp(min=_NARROW**2).sqrt()
        scaled = covariance / (spread[..., row] * spread[..., column])
        return torch.cat((first, torch.where(own, spread[..., row], scaled)), -1)


def _check_scales(fitted: Mapping[str, Sequence[Any]]) -> None:
    """Refuse scales that are unknown or lack their ends."""
    for i, (name, scale) in enumerate(zip(fitted["names"], fitted["scale"], strict=True)):
        if scale not in SCALES:
            raise LabelError(f"feature {name}: no scale {scale!r}{nearest(scale, SCALES)}")
        needed = {"linear": (), "log": ("lower",), "logit": ("lower", "upper")}[scale]
        for end in needed:
            if fitted[end][i] is None:
                raise LabelError(f"feature {name}: the scale {scale!r} needs a finite {end} end")


def _end(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _inside(low: float | None, high: float | None) -> float:
    if low is not None and high is not None:
        return 0.5 * (low + high)
    return low + 1.0 if low is not None else high - 1.0 if high is not None else 0.0
