"""How far drawn events may go from their label's place: as far as training events of like labels.

A network's density beyond the last of its training events is a guess, and what is drawn from it
there flies out. So draws end where the training events of like labels do, in coordinates relative
to the label; of few events so far beyond that one in :data:`BEYOND` is expected there, by an
exponential tail through the last ten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from presage.transforms.smooth import cells

Floats = NDArray[np.float64]

#: One event in so many lies beyond what is drawn.
BEYOND = 50_000
#: Events of a cell of like labels at least, cells at most, events that say how a tail goes.
_EVENTS, _CELLS, _LAST = 4000, 64, 10
#: Of a number that was rounded to single precision, by which it counts as the same.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Reach:
    """Ends of z in cells of like labels."""

    centres: Floats  # of the cells, ``[cell, feature]``
    ends: Floats  # lowest and highest z, ``[cell, 2]``

    @classmethod
    def fit(cls, z: Floats, design: Floats) -> Self:
        """Fit to z ``[event]`` at features of labels ``[event, feature]``."""
        everything = np.arange(z.size)
        size = max(_EVENTS, z.size // _CELLS)
        groups = cells(design, everything, size) if design.shape[1] else [everything]
        centres = np.array([design[group].mean(axis=0) for group in groups])
        return cls(centres, np.array([_ends(z[group]) for group in groups]))

    def passed(self, z: Floats, design: Floats) -> NDArray[np.bool_]:
        """Return which z ``[event]`` lie beyond the ends at their labels."""
        nearest = np.zeros(z.size, dtype=np.intp)
        if len(self.centres) > 1:
            labels, which = np.unique(design, axis=0, return_inverse=True)
            away = ((labels[:, None] - self.centres) ** 2).sum(axis=2)
            nearest = away.argmin(axis=1)[which.reshape(-1)]
        low, high = self.ends[nearest].T
        slack = _ROUNDING * (np.abs(z) + 1)
        return np.asarray((z < low - slack) | (z > high + slack))

    def state(self) -> dict[str, Floats]:
        """Return the fitted numbers."""
        return {"centres": self.centres, "ends": self.ends}

    @classmethod
    def from_state(cls, state: Mapping[str, Floats], prefix: str = "") -> Self | None:
        """Rebuild from :meth:`state`'s entries; None where a model of before has none."""
        if f"{prefix}ends" not in state:
            return None
        return cls(state[f"{prefix}centres"], state[f"{prefix}ends"])


def _ends(z: Floats) -> tuple[float, float]:
    few = min(_LAST, z.size)
    lowest, highest = np.partition(z, few - 1)[:few], np.partition(z, z.size - few)[-few:]
    # In an exponential tail the last ten span ln 10 of its lengths.
    more = max(0.0, np.log(BEYOND / z.size)) / np.log(_LAST)
    low, high = more * float(np.ptp(lowest)), more * float(np.ptp(highest))
    return float(z.min()) - low, float(z.max()) + high
