"""The affine part of a posterior flow: location and triangular scale, and where they start."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from presage.models.density import correlated, decorrelated

#: Rows that sums over views are taken from.
_ROWS = 200_000
#: Variances below this share of the largest are not blown up any further by whitening.
_FLOOR = 1e-9


class Standardised(NamedTuple):
    """What turns z into r, for each row."""

    location: Tensor  # m and w, ``(*, P)``
    width: Tensor
    log_scales: Tensor  # s, ``(*, P)``
    slopes: Tensor  # t row by row, below the diagonal, ``(*, P (P - 1) / 2)``

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return r ``(*, P)`` and ln|dr/dz| ``(*)``."""
        d = (z - self.location) / self.width
        r = decorrelated(d, self.slopes) * (-self.log_scales).exp()
        return r, -(self.log_scales + self.width.log()).sum(-1)

    def edges(self, z: Tensor, edge: Tensor) -> Tensor:
        """Return r_i ``(*, P)`` of places `edge` ``(P,)`` of z_i, each given the z before it."""
        d = (z - self.location) / self.width
        before = d - decorrelated(d, self.slopes)
        return ((edge - self.location) / self.width - before) * (-self.log_scales).exp()

    def inverse(self, r: Tensor) -> Tensor:
        """Return z ``(*, P)`` of r ``(*, P)``."""
        return self.location + self.width * correlated(r * self.log_scales.exp(), self.slopes)


def fit_start(
    features: NDArray[np.float32], z: NDArray[np.float32]
) -> dict[str, NDArray[np.float64]]:
    """Return whitening, the linear start of the location, and the law of its residuals.

    Of features ``[sample, view, number]``, log10 N last, and z ``[sample, view or 1, parameter]``:
    ``mean`` (K,), ``whiten`` (K, K), ``start`` (K, P), ``offset`` (P,), ``width`` (P,) and
    ``power`` (P,): residuals scatter as width · exp(power · log10 N).
    """
    step = max(1, features.shape[0] * features.shape[1] // _ROWS)
    some = features[::step].astype(np.float64)
    target = np.broadcast_to(z[::step], (*some.shape[:2], z.shape[-1])).reshape(-1, z.shape[-1])
    rows = some.reshape(-1, some.shape[-1])
    mean = rows.mean(0)
    values, vectors = np.linalg.eigh(np.cov(rows, rowvar=False))
    whiten = vectors / np.sqrt(np.maximum(values, _FLOOR * values[-1]))
    white = (rows - mean) @ whiten
    target = target.astype(np.float64)
    offset = target.mean(0)
    gram = white.T @ white + 1e-3 * np.eye(white.shape[1])
    start = np.linalg.solve(gram, white.T @ (target - offset))
    far = np.abs(target - offset - white @ start)
    width, power = _scatter(far, rows[:, -1])
    return {
        "mean": mean, "whiten": whiten, "start": start,
        "offset": offset, "width": width, "power": power,
    }  # fmt: skip


def _scatter(far: NDArray[np.float64], log10_count: NDArray[np.float64]) -> Any:
    """Return width and power of the scatter of residuals; a power of 0 for one size of sets."""
    sizes = np.unique(log10_count.round(3))
    if len(sizes) == 1 or len(sizes) > 64:
        spread = np.sqrt(np.square(far).mean(0))
        return np.maximum(spread, 1e-6), np.zeros_like(spread)
    logs = [np.log(far[log10_count.round(3) == n].mean(0) + 1e-6) for n in sizes]
    slope, level = np.polyfit(sizes, np.stack(logs), 1)
    return np.exp(level) * math.sqrt(math.pi / 2), slope
