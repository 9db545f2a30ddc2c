"""Modes far apart: places at each label where a variable has no events between many.

No map that is smooth in the label brings narrow modes that move apart from each other into one
another's place to within their own widths, and a density spends all it has on the gaps. So each
mode gets place and width of its own, where one can tell an event's mode by its value: between two
modes of every label lies a gap several times as wide as what the events beside it span, and one
smooth function of the label runs through these gaps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from presage.transforms.smooth import Smooth

Floats = NDArray[np.float64]

#: A gap is so many times as wide as what neighbours span on either side: a share of the events,
#: and so many at least.
_WIDER, _SHARE, _NEIGHBOURS = 4.0, 0.02, 8
#: Events that a group needs, groups that are looked at, and modes at most.
_ENOUGH, _GROUPS, _MOST = 50, 400, 6
#: A cut keeps off the ends of each gap by this share of it.
_CLEAR = 0.15


def find_cuts(
    x: Floats, design: Floats, members: list[NDArray[np.intp]], periodic: NDArray[np.bool_]
) -> list[Smooth]:
    """Return functions of the features between modes, ascending; none where there is one mode.

    Parameters
    ----------
    x, design
        Values ``[event]`` and standardised features of their labels ``[event, feature]``.
    members
        Groups of events of like labels.
    periodic
        Which features have no ends, ``[feature]``.
    """
    large = [group for group in members if group.size >= _ENOUGH]
    large = large[:: max(1, len(large) // _GROUPS)]
    found = [_gaps(np.sort(x[group])) for group in large]
    number = len(found[0]) if found else 0
    if not 0 < number < _MOST or any(len(gaps) != number for gaps in found):
        return []
    centres = np.array([design[group].mean(axis=0) for group in large])
    cuts = []
    for k in range(number):
        low, high = np.array([gaps[k] for gaps in found]).T
        cut = Smooth.fit(centres, (low + high) / 2, np.ones(len(large)), periodic, (high - low) / 2)
        share = (cut(centres) - low) / (high - low)
        if share.min() < _CLEAR or share.max() > 1 - _CLEAR:
            return []
        cuts.append(cut)
    return cuts


def _gaps(ordered: Floats) -> list[tuple[float, float]]:
    """Return the ends of the gaps in ascending values."""
    n = ordered.size
    few = max(_NEIGHBOURS, int(_SHARE * n))
    gaps = np.diff(ordered)
    inner = np.arange(few, n - 1 - few)  # between this one and the next
    if not inner.size:
        return []
    left = ordered[inner] - ordered[inner - few]
    right = ordered[inner + 1 + few] - ordered[inner + 1]
    wide = (gaps[inner] > _WIDER * np.maximum(left, right)) & (np.minimum(left, right) > 0)
    return [(float(ordered[i]), float(ordered[i + 1])) for i in inner[wide]]
