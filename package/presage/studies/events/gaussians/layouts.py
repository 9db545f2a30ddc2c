"""Where the labels of Gaussian clouds are, and where the centre of a label's cloud is.

Labels stand on inner nodes, low + k (high - low)/(n + 1) with k = 1..n along each axis: no
cloud is centred on an end of the range, and the ends lie one step beyond the outer labels.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from presage.emulation.grid import Labels, inner_nodes, mesh
from presage.labels import LabelError, Parameter, Variable

Floats = NDArray[np.float64]
_LETTERS = "xyz"


@dataclass(frozen=True)
class Axis:
    """One coordinate of the labels."""

    name: str  # its parameter is called ``<name>_label``
    number: int  # labels along it, on the inner nodes of the range
    low: float = 0.0
    high: float = 1.0
    unit: str = "1"
    long_name: str = ""
    periodic: bool = False  # whether the ends of the range are one place

    def __post_init__(self) -> None:
        if self.number < 1 or self.number != int(self.number):
            raise LabelError(f"there should be at least 1 label along {self.name}: {self.number}")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise LabelError(f"the range of {self.name} should rise, got {self.low} to {self.high}")

    @property
    def step(self) -> float:
        """Distance between two labels."""
        return (self.high - self.low) / (self.number + 1)

    @property
    def nodes(self) -> Floats:
        """Values of the labels ``[number]``."""
        return inner_nodes(self.number, self.low, self.high)

    @property
    def parameter(self) -> Parameter:
        """Declaration of the label: it lies within the range."""
        name = self.long_name or f"label {self.name}"
        return Parameter(
            f"{self.name}_label", (), "float64", self.unit, name, self.low, self.high,
            low=self.low, high=self.high, period=self.high - self.low if self.periodic else None,
        )  # fmt: skip


def axis_names(dimension: int) -> tuple[str, ...]:
    """Return x, y, z for up to three axes, else x0, x1..."""
    if dimension <= len(_LETTERS):
        return tuple(_LETTERS[:dimension])
    return tuple(f"x{i}" for i in range(dimension))


@dataclass(frozen=True)
class Layout(ABC):
    """Labels on a grid of `axes`, and the centre of each label's cloud.

    What is written here holds where a cloud is centred on its label; a subclass that puts it
    elsewhere overrides :meth:`centres`, and `dimension` or `steps` where they differ.
    """

    def __post_init__(self) -> None:
        _ = self.axes  # wrong numbers are an error where they are given

    @property
    @abstractmethod
    def axes(self) -> tuple[Axis, ...]:
        """The labels' coordinates, P of them."""

    @property
    def dimension(self) -> int:
        """Number of variables, D."""
        return len(self.axes)

    @property
    def labels(self) -> Labels:
        """All labels, the last axis running fastest."""
        return mesh(*(axis.nodes.tolist() for axis in self.axes))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Declarations of the labels."""
        return tuple(axis.parameter for axis in self.axes)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Positions of an event; each follows the label of its name, where there is one."""
        labels = {axis.name: f"{axis.name}_label" for axis in self.axes}
        return tuple(
            Variable(name, long_name=f"position {name}", follows=labels.get(name))
            for name in axis_names(self.dimension)
        )

    @property
    def sigma(self) -> tuple[float, ...]:
        """Standard deviations ``[D]`` of half a step, with which neighbours overlap a little."""
        return tuple(axis.step / 2 for axis in self.axes)

    def centres(self, labels: Floats) -> Floats:
        """Return the centres ``[label, D]`` of labels ``[label, P]``: the labels themselves."""
        return labels

    def steps(self, labels: Floats) -> Floats:
        """Return how far along the grid labels ``[label, P]`` are, in steps, ``[label]``.

        Steps from the first label, added over the axes: a linear function, so a density that
        varies with it can be interpolated, and on a line it is the number of the label.
        """
        first = np.array([axis.nodes[0] for axis in self.axes])
        step = np.array([axis.step for axis in self.axes])
        return np.asarray((labels / step).sum(axis=1) - (first / step).sum())


@dataclass(frozen=True)
class Line(Layout):
    """Clouds along a line: one label, two variables.

    Parameters
    ----------
    number
        Labels x.
    low, high
        Range of x.
    y
        Every centre is (x, y).
    """

    number: int = 10
    low: float = 0.0
    high: float = 1.0
    y: float = 0.5

    dimension: ClassVar[int] = 2

    @property
    def axes(self) -> tuple[Axis, ...]:
        """One: x."""
        return (Axis("x", self.number, self.low, self.high),)

    @property
    def sigma(self) -> tuple[float, ...]:
        """Half a step along x, and as much along y."""
        return super().sigma * 2

    def centres(self, labels: Floats) -> Floats:
        """Return the centres (x, y) ``[label, 2]``."""
        return np.stack([labels[:, 0], np.full(len(labels), float(self.y))]).T


@dataclass(frozen=True)
class Grid(Layout):
    """Clouds on a rectangle: two labels, two variables.

    Parameters
    ----------
    nx, ny
        Labels along x and y.
    x, y
        Ranges.
    """

    nx: int = 10
    ny: int = 10
    x: tuple[float, float] = (0.0, 1.0)
    y: tuple[float, float] = (0.0, 1.0)

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Two: x and y."""
        return (Axis("x", self.nx, *self.x), Axis("y", self.ny, *self.y))


@dataclass(frozen=True)
class UnitCube(Layout):
    """Clouds in the unit cube of any dimension: as many labels as variables.

    Parameters
    ----------
    numbers
        Labels along each axis; how many numbers there are is the dimension.
    """

    numbers: tuple[int, ...] = (5, 5, 5)

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", tuple(self.numbers))
        if not self.numbers:
            raise LabelError("a cube has at least one axis: numbers=(5, 5, 5)")
        super().__post_init__()

    @property
    def axes(self) -> tuple[Axis, ...]:
        """x, y, z, or x0, x1... where there are more."""
        names = axis_names(len(self.numbers))
        return tuple(Axis(name, n) for name, n in zip(names, self.numbers, strict=True))


@dataclass(frozen=True)
class Circle(Layout):
    """Clouds around a circle: one label, the angle t, and two variables around (R sin t, R cos t).

    The angle grows clockwise from the y axis. 0 and 2 pi are one place, the *seam*. Labels stand
    on inner nodes, so none is there, and the two next to it are two steps apart across it. The
    density is the same on both sides of the seam, and so it is for a model: the label has a
    period, and models see its cosine and sine. Labels beyond the seam are refused rather than
    wrapped, for one event would have two labels.

    Parameters
    ----------
    number
        Labels around the circle.
    radius
        R.
    """

    number: int = 10
    radius: float = 1.0

    dimension: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.radius > 0 and math.isfinite(self.radius)):
            raise LabelError(f"a circle's radius should be positive, got {self.radius}")

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The angle."""
        name = "angle from the y axis"
        return (Axis("angle", self.number, 0.0, 2 * math.pi, "rad", name, periodic=True),)

    @property
    def sigma(self) -> tuple[float, ...]:
        """Half a step along the circle, in both variables."""
        return (self.radius * self.axes[0].step / 2,) * 2

    def centres(self, labels: Floats) -> Floats:
        """Return the centres (R sin t, R cos t) ``[label, 2]``."""
        angle = labels[:, 0]
        return self.radius * np.stack([np.sin(angle), np.cos(angle)]).T

    def steps(self, labels: Floats) -> Floats:
        """Return a smooth distance from the seam, in steps: equal on both sides of it.

        (pi/step)(1 - cos t)/2 is 0 at the seam and, opposite to it, the number of steps there.
        """
        return np.asarray((math.pi / self.axes[0].step) * (1 - np.cos(labels[:, 0])) / 2)


LAYOUTS: dict[str, type[Layout]] = {
    "line": Line, "grid": Grid, "unit_cube": UnitCube, "circle": Circle,
}  # fmt: skip
