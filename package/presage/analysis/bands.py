"""Bands of curves: pointwise quantiles of many curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from presage.labels import Floats, LabelError

#: Quantiles of a band: the median, the central 68 % and the central 95 %.
LEVELS = (0.025, 0.16, 0.5, 0.84, 0.975)


def quantile_band(values: Floats, levels: Sequence[float] = LEVELS) -> Floats:
    """Return quantiles ``(*, L, G)`` of curves ``(*, D, G)``, one for each draw, point by point."""
    steps = np.asarray(levels, dtype=float)
    if not steps.size or (np.diff(steps) <= 0).any() or steps[0] < 0 or steps[-1] > 1:
        raise LabelError(f"levels should ascend between 0 and 1, got {tuple(levels)}")
    if values.ndim < 2 or values.shape[-2] == 0:
        raise LabelError(f"a band needs curves (*, draw, grid), got the shape {values.shape}")
    return np.moveaxis(np.quantile(values, steps, axis=-2), 0, -2)
