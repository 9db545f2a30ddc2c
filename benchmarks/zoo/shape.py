"""What a shape of the zoo is: a simulator at labels that says its own density, and its grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from presage.emulation.grid import LabelledSimulator, Labels, mesh
from presage.labels import Arrays, Parameter, Variable

Floats = NDArray[np.float64]
#: Where labels are held out, as shares of the way along each axis of the grid.
HELD_OUT = {
    "report": ((0.2, 0.4), (0.55, 0.8), (0.8, 0.2)),
    "settings": ((0.3, 0.2), (0.45, 0.8), (0.7, 0.4)),
}


def label(low: float, high: float, name: str = "t") -> Parameter:
    """Return a label with the range of its grid."""
    return Parameter(name, dtype="float64", low=low, high=high)


@dataclass(frozen=True)
class Shape(LabelledSimulator):
    """Events whose distribution varies smoothly with the labels.

    Parameters
    ----------
    labels, weights
        As of :class:`LabelledSimulator`.
    """

    thread_safe: ClassVar[bool] = True
    #: Whether the labels of the grid stand in constant ratios, not at constant distances.
    geometric: ClassVar[bool] = False
    #: Labels and events a label, where they are not those of all shapes.
    layouts: ClassVar[dict[str, tuple[int, int]]] = {}
    #: Whether single values have probabilities of their own: counts, a spike.
    atoms: ClassVar[bool] = False

    @classmethod
    def grid(cls, number: int) -> Labels:
        """Return so many labels along each axis."""
        space = np.geomspace if cls.geometric else np.linspace
        ranges = [(p.low, p.high) for p in cls.parameters]  # type: ignore[attr-defined]
        return mesh(*(space(low, high, number).tolist() for low, high in ranges))

    @classmethod
    def held_out(cls, number: int, purpose: str) -> Labels:
        """Return the labels of the grid that are held out, none of them on its edge."""
        axes = len(cls.parameters)  # type: ignore[arg-type]
        grid = np.array(cls.grid(number)).reshape(*[number] * axes, axes)
        places = [np.rint(np.array(at[:axes]) * (number - 1)) for at in HELD_OUT[purpose]]
        return tuple(tuple(grid[tuple(place.astype(int))].tolist()) for place in places)

    def log_prob(self, theta: Arrays, events: Arrays) -> Floats:
        """Return the natural logarithm of the density of each event at its label.

        Of a variable with `atoms` a value's own probability counts as its density.
        """
        raise NotImplementedError


def column(name: str = "x", **declared: Any) -> Variable:
    """Return a variable in no unit."""
    return Variable(name, **declared)


def single(**columns: Floats) -> dict[str, NDArray[np.float32]]:
    """Return columns in single precision, in which they are stored."""
    return {name: np.asarray(values, dtype=np.float32) for name, values in columns.items()}


def values(arrays: Arrays, *names: str) -> list[Floats]:
    """Return columns in double precision."""
    return [np.asarray(arrays[name], dtype=np.float64) for name in names]


def mixture(*parts: tuple[Any, Floats]) -> Floats:
    """Return log Σ share · p of pairs (share, log p)."""
    with np.errstate(divide="ignore"):
        return np.asarray(logsumexp([np.log(share) + log for share, log in parts], axis=0))


def pick(rng: np.random.Generator, share: Any, n: int) -> NDArray[np.bool_]:
    """Return where something of this probability happens, ``[event]``."""
    return np.asarray(rng.random(n) < share)
