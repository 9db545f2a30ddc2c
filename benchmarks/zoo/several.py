"""Shapes of several observables: ring, banana, two labels, five and eight correlated ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.stats import norm

from benchmarks.zoo.shape import Floats, Shape, column, label, single, values
from presage.labels import Arrays, Parameter, Variable


@dataclass(frozen=True)
class Ring(Shape):
    """A ring whose radius is the label."""

    name: ClassVar[str] = "zoo_ring"
    parameters: ClassVar[tuple[Parameter, ...]] = (label(1.0, 4.0),)
    variables: ClassVar[tuple[Variable, ...]] = (column("x"), column("y"))

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Draw one event at each label."""
        (t,) = values(theta, "t")
        radius, angle = t + 0.1 * rng.standard_normal(t.size), 2 * math.pi * rng.random(t.size)
        return single(x=radius * np.cos(angle), y=radius * np.sin(angle))

    def log_prob(self, theta: Arrays, events: Arrays) -> Floats:
        """Return log p of each event."""
        radius = np.hypot(*values(events, "x", "y"))
        return norm.logpdf(radius, *values(theta, "t"), 0.1) - np.log(2 * math.pi * radius)


@dataclass(frozen=True)
class Banana(Shape):
    """A bent valley, the more bent the larger the label."""

    name: ClassVar[str] = "zoo_banana"
    parameters: ClassVar[tuple[Parameter, ...]] = (label(0.0, 2.0),)
    variables: ClassVar[tuple[Variable, ...]] = (column("x"), column("y"))

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Draw one event at each label."""
        (t,) = values(theta, "t")
        x, z = rng.standard_normal((2, t.size))
        return single(x=x, y=t * x * x + 0.3 * z)

    def log_prob(self, theta: Arrays, events: Arrays) -> Floats:
        """Return log p of each event."""
        (t,), (x, y) = values(theta, "t"), values(events, "x", "y")
        return np.asarray(norm.logpdf(x) + norm.logpdf(y, t * x * x, 0.3))


@dataclass(frozen=True)
class Plane(Shape):
    """Two labels, middle and width, of two observables of which one leans on the other."""

    name: ClassVar[str] = "zoo_plane"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        label(-2.0, 2.0, "middle"),
        label(0.5, 2.0, "width"),
    )
    variables: ClassVar[tuple[Variable, ...]] = (column("x"), column("y", lower=0.0))
    layouts: ClassVar[dict[str, tuple[int, int]]] = {"sparse": (6, 300), "dense": (6, 10_000)}

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Draw one event at each label."""
        middle, width = values(theta, "middle", "width")
        z = rng.standard_normal(middle.size)
        scale = np.exp(0.4 * z)
        y = scale * width * rng.standard_exponential(middle.size)
        return single(x=middle + width * z, y=y)

    def log_prob(self, theta: Arrays, events: Arrays) -> Floats:
        """Return log p of each event."""
        (middle, width), (x, y) = values(theta, "middle", "width"), values(events, "x", "y")
        z = (x - middle) / width
        scale = width * np.exp(0.4 * z)
        return np.asarray(norm.logpdf(z) - np.log(width) - y / scale - np.log(scale))


@dataclass(frozen=True)
class Correlated(Shape):
    """Skew observables, all correlated, the last one with the square of the first as well.

    Normal z of correlations rho = 0.2 + 0.1 t, the last with 0.4 (z_1^2 - 1) added, then
    x_i = a_i t + sinh(b_i z_i + c_i): each has its own skewness, tails and motion.
    """

    parameters: ClassVar[tuple[Parameter, ...]] = (label(1.0, 4.0),)

    @property
    def _marginals(self) -> tuple[Floats, Floats, Floats]:
        """Motion a, stretch b and skewness c, ``[variable]`` each."""
        number = np.arange(len(self.variables))
        return np.cos(2.0 * number), 0.4 + 0.1 * (number % 4), 0.5 * np.sin(3.0 * number)

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Draw one event at each label."""
        (t,) = values(theta, "t")
        rho = 0.2 + 0.1 * t
        common, own = (
            rng.standard_normal(t.size),
            rng.standard_normal((len(self.variables), t.size)),
        )
        z = np.sqrt(rho) * common + np.sqrt(1 - rho) * own
        z[-1] += 0.4 * (z[0] ** 2 - 1)
        a, b, c = self._marginals
        x = a[:, None] * t + np.sinh(b[:, None] * z + c[:, None])
        return single(**{v.name: row for v, row in zip(self.variables, x, strict=True)})

    def log_prob(self, theta: Arrays, events: Arrays) -> Floats:
        """Return log p of each event."""
        (t,) = values(theta, "t")
        x = np.stack(values(events, *(v.name for v in self.variables)))
        a, b, c = (one[:, None] for one in self._marginals)
        offset = x - a * t
        z = (np.arcsinh(offset) - c) / b
        jacobian = (-np.log(b) - 0.5 * np.log1p(offset**2)).sum(axis=0)
        z[-1] -= 0.4 * (z[0] ** 2 - 1)
        return jacobian + _equicorrelated(z, 0.2 + 0.1 * t)


def _equicorrelated(z: Floats, rho: Floats) -> Floats:
    """Return log p of unit normals ``[variable, event]`` whose correlations are all rho."""
    number = len(z)
    total = 1 + (number - 1) * rho
    squares = ((z**2).sum(axis=0) - rho / total * z.sum(axis=0) ** 2) / (1 - rho)
    determinant = (number - 1) * np.log1p(-rho) + np.log(total)
    return np.asarray(-0.5 * (squares + determinant + number * math.log(2 * math.pi)))


@dataclass(frozen=True)
class Five(Correlated):
    """Five of them."""

    name: ClassVar[str] = "zoo_five"
    variables: ClassVar[tuple[Variable, ...]] = tuple(column(f"x{i}") for i in range(5))


@dataclass(frozen=True)
class Eight(Correlated):
    """Eight of them."""

    name: ClassVar[str] = "zoo_eight"
    variables: ClassVar[tuple[Variable, ...]] = tuple(column(f"x{i}") for i in range(8))
