"""Where a variable's events lie at a label, and how far they spread: smooth functions of it.

Two kinds, of which :mod:`presage.transforms.choice` takes the better one: the median and half the
central 68 %, which no tail moves; or mean and standard deviation of the central 98 %, which stay
smooth where two modes change places in weight and a median jumps from one to the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from presage.labels import Variable
from presage.transforms.bounds import BoundMap
from presage.transforms.smooth import Smooth
from presage.transforms.stretch import Stretch

Floats = NDArray[np.float64]

#: Errors of ln(width) count in this, and a variable follows a parameter within so many widths.
_LOG_WIDTH, _FOLLOWS = 0.1, 3.0
#: Ways to say where events lie.
KINDS = ("median", "mean")


@dataclass(frozen=True, eq=False)
class Place:
    """Location and width of a variable, after its stretch, as functions of the condition."""

    variable: Variable  # its bounds are those after the stretch
    stretch: Stretch
    location: Smooth | None  # None: the followed parameter itself
    log_width: Smooth

    def __call__(self, condition: Mapping[str, Floats], design: Floats) -> tuple[Floats, Floats]:
        """Return location and width ``[event]`` at each event's condition."""
        width = np.exp(self.log_width(design))
        if self.location is None:
            return self.stretch.apply(condition[str(self.variable.follows)]), width
        return self.location(design), width

    def bound_map(self, condition: Mapping[str, Floats], design: Floats) -> BoundMap:
        """Return the map from u to y at each event's condition."""
        return BoundMap(*self(condition, design), self.variable.lower, self.variable.upper)

    @classmethod
    def fit(
        cls,
        variable: Variable,
        stretch: Stretch,
        kind: str,
        x: Floats,
        condition: Mapping[str, Floats],
        design: Floats,
        members: list[NDArray[np.intp]],
        periodic: NDArray[np.bool_],
    ) -> Self:
        """Fit to values ``[event]`` in groups of like conditions, `members`."""
        own, u = stretch.of(variable), stretch.apply(x)
        middle, half = _statistics(kind, u, members, own)
        centres = np.array([design[group].mean(axis=0) for group in members])
        weights = np.sqrt([float(group.size) for group in members])
        location = None
        followed = condition.get(str(variable.follows))
        followed = None if followed is None else stretch.apply(followed)
        if followed is None or not _close(middle, followed, half, members):
            bounds = [b for b in (own.lower, own.upper) if b is not None]
            origin = bounds[0] if bounds else 0.0
            location = Smooth.fit(centres, middle, weights, periodic, half, origin)
            # Within a cell of continuous conditions the location moves: that is no width.
            half = _statistics(kind, u, members, own, location(design))[1]
        width = Smooth.fit(centres, np.log(half), weights, periodic, _LOG_WIDTH, logarithms=True)
        return cls(own, stretch, location, width)


def _close(middle: Floats, followed: Floats, half: Floats, members: list[NDArray[np.intp]]) -> bool:
    """Return whether most groups' middles are within a few widths of the parameter."""
    label = np.array([followed[group].mean() for group in members])
    return bool(np.median(np.abs(middle - label) / half) < _FOLLOWS)


def _statistics(
    kind: str,
    u: Floats,
    members: list[NDArray[np.intp]],
    variable: Variable,
    place: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Return middle and half width of each group, the width about its place."""
    middle, half = _of_quantiles(u, members, variable, place)
    if kind == "median":
        return middle, half
    means, spreads = np.empty(len(members)), np.empty(len(members))
    about = u if place is None else u - place
    for k, group in enumerate(members):
        low, high = np.quantile(about[group], (0.01, 0.99))
        inner = np.clip(about[group], low, high)
        means[k], spreads[k] = inner.mean(), inner.std()
    return means, np.maximum(spreads, np.minimum(half, half.min()))


def _of_quantiles(
    x: Floats, members: list[NDArray[np.intp]], variable: Variable, place: Floats | None
) -> tuple[Floats, Floats]:
    """Return medians, and half the central 68 % about the place, above 0 for constant ones."""
    about = x if place is None else x - place
    quantiles = np.array([np.quantile(about[group], (0.01, 0.16, 0.84, 0.99)) for group in members])
    medians = np.array([np.median(x[group]) for group in members])
    size = np.abs(medians)
    half = (quantiles[:, 2] - quantiles[:, 1]) / 2
    kind = np.dtype(variable.dtype)
    resolved = 4 * np.finfo(kind if kind.kind == "f" else np.float64).eps * size
    half = np.maximum(half, np.maximum(1e-3 * (quantiles[:, 3] - quantiles[:, 0]), resolved))
    varied = half > resolved
    if varied.any():  # what does not vary is as wide as the narrowest that does
        return medians, np.asarray(np.where(varied, half, half[varied].min()))
    return medians, np.full(len(half), 1e-3 * float(size.max()) or 1e-12)
