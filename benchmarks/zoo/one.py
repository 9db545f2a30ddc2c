"""Shapes of one observable with a density: many modes, tails, edges, decades, bounds, a circle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.stats import beta, cauchy, expon, gamma, lognorm, norm, vonmises

from benchmarks.zoo.shape import Floats, Shape, column, label, mixture, pick, single, values
from presage.labels import Arrays, Parameter, Variable


@dataclass(frozen=True)
class One(Shape):
    """A shape of one label t and one observable x."""

    parameters: ClassVar[tuple[Parameter, ...]] = (label(1.0, 4.0),)
    variables: ClassVar[tuple[Variable, ...]] = (column(),)

    def draw_x(self, t: Floats, rng: np.random.Generator) -> Floats:
        """Draw one x at each t."""
        raise NotImplementedError

    def log_density(self, t: Floats, x: Floats) -> Floats:
        """Return log p(x|t)."""
        raise NotImplementedError

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Draw one event at each label."""
        return single(x=self.draw_x(*values(theta, "t"), rng))

    def log_prob(self, theta: Arrays, events: Arrays) -> Floats:
        """Return log p of each event."""
        return self.log_density(*values(theta, "t"), *values(events, "x"))


@dataclass(frozen=True)
class Bimodal(One):
    """Two peaks that part, the broader one the larger."""

    name: ClassVar[str] = "zoo_bimodal"

    def draw_x(self, t: Floats, rng: np.random.Generator) -> Floats:
        right, z = pick(rng, 0.35, t.size), rng.standard_normal(t.size)
        return np.where(right, t + 0.4 * z, 0.7 * z - t)

    def log_density(self, t: Floats, x: Floats) -> Floats:
        return mixture((0.35, norm.logpdf(x, t, 0.4)), (0.65, norm.logpdf(x, -t, 0.7)))


@dataclass(frozen=True)
class Exponential(One):
    """A falling spectrum that begins at a declared bound."""

    name: ClassVar[str] = "zoo_exponential"
    variables: ClassVar[tuple[Variable, ...]] = (column(lower=0.0),)

    def draw_x(self, t: Floats, rng: np.random.Generator) -> Floats:
        return t * rng.standard_exponential(t.size)

    def log_density(self, t: Floats, x: Floats) -> Floats:
        return np.asarray(expon.logpdf(x, scale=t))


@dataclass(frozen=True)
class Lognormal(One):
    """Positive values over five to eight decades, and nobody said that they are positive."""

    name: ClassVar[str] = "zoo_lognormal"

    def draw_x(self, t: Floats, rng: np.random.Generator) -> Floats:
        return t * np.exp((1.6 + 0.3 * t) * rng.standard_normal(t.size))

    def log_density(self, t: Floats, x: Floats) -> Floats:
        return np.asarray(lognorm.logpdf(x, 1.6 + 0.3 * t, scale=t))


@dataclass(frozen=True)
class BoundedLognormal(Lognormal):
    """The same with its bound declared."""

    name: ClassVar[str] = "zoo_bounded_lognormal"
    variables: ClassVar[tuple[Variable, ...]] = (column(lower=0.0),)


@dataclass(frozen=True)
class Decades(One):
    """A peak with a left shoulder at labels over four decades."""

    name: ClassVar[str] = "zoo_decades"
    parameters: ClassVar[tuple[Parameter, ...]] = (label(0.1, 1000.0),)
    geometric: ClassVar[bool] = True

    def draw_x(self, t: Floats, rng: np.random.Generator) -> Floats:
        shoulder, z = pick(rng, 0.3, t.size), rng.standard_normal(t.size)
        return t * np.exp(np.where(shoulder, 0.15 * z - 0.15, 0.05 * z))

    def log_density(self, t: Floats, x: Floats) -> Floats:
        y = np.log(x / t)
        shoulder, core = norm.logpdf(y, -0.15, 0.15), norm.logpdf(y, 0.0, 0.05)
        return mixture((0.3, shoulder), (0.7, core)) - np.log(x)


@dataclass(frozen=True)
class FarModes(One):
    """Two modes a thousand widths apart, of which one moves."""

    name: ClassVar[str] = "zoo_far_modes"

    def draw_x(self, t: Floats, rng: np.random.Generator) -> Floats:
        right, z = pick(rng, 0.4, t.size), rng.standard_normal(t.size)
        return np.where(right, 1000 + 100 * t + z, z)

    def log_density(self, t: Floats, x: Floats) -> Floats:
        return mixture((0.4, norm.logpdf(x, 1000 + 100 * t)), (0.6, norm.logpdf(x)))


@dataclass(frozen=True)
class Cauchy(One):
    """A peak whose tails have no variance."""

    name: ClassVar[str] = "zoo_cauchy"

    def draw_x(self, t: Floats, rng: np.random.Generator) -> Floats:
        return t + 0.1 * t * rng.standard_cauchy(t.size)

    def log_density(self, t: Floats, x: Floats) -> Floats:
        return np.asarray(cauchy.logpdf(x, t, 0.1 * t))


@dataclass(frozen=True)
class Edge(One):
    """A density that rises to an edge, sharp and undeclared, which is the label."""

    name: ClassVar[str] = "zoo_edge"

    def draw_x(self, t: Floats, rng: np.random.Generator) -> Floats:
        return t * np.cbrt(rng.random(t.size))

    def log_density(self, t: Floats, x: Floats) -> Floats:
        return np.asarray(beta.logpdf(x, 3, 1, scale=t))


@dataclass(frozen=True)
class FallingBackground(One):
    """A narrow resonance at the label on a falling background above a threshold."""

    name: ClassVar[str] = "zoo_falling_background"
    parameters: ClassVar[tuple[Parameter, ...]] = (label(200.0, 600.0),)
    variables: ClassVar[tuple[Variable, ...]] = (column(lower=100.0),)

    def draw_x(self, t: Floats, rng: np.random.Generator) -> Floats:
        signal = pick(rng, 0.2, t.size)
        peak = t * (1 + 0.03 * rng.standard_normal(t.size))
        return np.where(signal, peak, 100 + 150 * rng.standard_exponential(t.size))

    def log_density(self, t: Floats, x: Floats) -> Floats:
        peak, falling = norm.logpdf(x, t, 0.03 * t), expon.logpdf(x, 100, 150)
        return mixture((0.2, peak), (0.8, falling))


@dataclass(frozen=True)
class Angle(One):
    """An angle whose mean goes round the circle and whose spread shrinks."""

    name: ClassVar[str] = "zoo_angle"
    variables: ClassVar[tuple[Variable, ...]] = (column(period=2 * math.pi),)

    def draw_x(self, t: Floats, rng: np.random.Generator) -> Floats:
        turned = rng.vonmises(0.0, t) + 1.5 * t
        turned = (turned + math.pi) % (2 * math.pi) - math.pi
        # The largest that single precision has below pi.
        return np.clip(turned, -3.1415925, 3.1415925)

    def log_density(self, t: Floats, x: Floats) -> Floats:
        return np.asarray(vonmises.logpdf(x, t, loc=1.5 * t))


@dataclass(frozen=True)
class Cup(One):
    """Most events at both declared bounds, the density infinite there."""

    name: ClassVar[str] = "zoo_cup"
    variables: ClassVar[tuple[Variable, ...]] = (column(lower=0.0, upper=1.0),)

    def draw_x(self, t: Floats, rng: np.random.Generator) -> Floats:
        return rng.beta(0.3 + 0.1 * t, 0.8 - 0.1 * t)

    def log_density(self, t: Floats, x: Floats) -> Floats:
        return np.asarray(beta.logpdf(x, 0.3 + 0.1 * t, 0.8 - 0.1 * t))


@dataclass(frozen=True)
class Share(One):
    """A narrow peak beside a broad one, and the label is its share of the events."""

    name: ClassVar[str] = "zoo_share"
    parameters: ClassVar[tuple[Parameter, ...]] = (label(0.05, 0.95),)

    def draw_x(self, t: Floats, rng: np.random.Generator) -> Floats:
        narrow, z = pick(rng, t, t.size), rng.standard_normal(t.size)
        return np.where(narrow, 1 + 0.2 * z, z)

    def log_density(self, t: Floats, x: Floats) -> Floats:
        return mixture((t, norm.logpdf(x, 1, 0.2)), (1 - t, norm.logpdf(x)))


@dataclass(frozen=True)
class ManyLabels(One):
    """A skew peak that swings with the label, at 2000 labels of 20 events each."""

    name: ClassVar[str] = "zoo_many_labels"
    parameters: ClassVar[tuple[Parameter, ...]] = (label(0.0, 10.0),)
    layouts: ClassVar[dict[str, tuple[int, int]]] = {"sparse": (2000, 20), "dense": (2000, 100)}

    def draw_x(self, t: Floats, rng: np.random.Generator) -> Floats:
        return 3 * np.sin(t) + (1 + 0.5 * np.cos(t)) * rng.standard_gamma(3.0, t.size)

    def log_density(self, t: Floats, x: Floats) -> Floats:
        return np.asarray(gamma.logpdf(x, 3, loc=3 * np.sin(t), scale=1 + 0.5 * np.cos(t)))
