"""Shapes in which single values have probabilities of their own: counts, a spike at zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.stats import gamma, poisson

from benchmarks.zoo.one import One
from benchmarks.zoo.shape import Floats, Shape, column, label, single, values
from presage.labels import Arrays, Parameter, Variable


@dataclass(frozen=True)
class Counts(One):
    """Poisson counts, of a few."""

    name: ClassVar[str] = "zoo_counts"
    variables: ClassVar[tuple[Variable, ...]] = (column("n", dtype="int32", lower=0),)
    atoms: ClassVar[bool] = True

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Draw one count at each label."""
        return {"n": rng.poisson(*values(theta, "t")).astype(np.int32)}

    def log_prob(self, theta: Arrays, events: Arrays) -> Floats:
        """Return log P of each count."""
        return np.asarray(poisson.logpmf(*values(events, "n"), *values(theta, "t")))


@dataclass(frozen=True)
class Spike(One):
    """A falling spectrum, and a share of the events at exactly zero."""

    name: ClassVar[str] = "zoo_spike"
    variables: ClassVar[tuple[Variable, ...]] = (column(lower=0.0),)
    atoms: ClassVar[bool] = True

    def draw_x(self, t: Floats, rng: np.random.Generator) -> Floats:
        return np.where(rng.random(t.size) < 0.1 * t, 0.0, t * rng.standard_gamma(2.0, t.size))

    def log_density(self, t: Floats, x: Floats) -> Floats:
        falling = np.log1p(-0.1 * t) + gamma.logpdf(np.where(x > 0, x, 1.0), 2, scale=t)
        return np.where(x > 0, falling, np.log(0.1 * t))


@dataclass(frozen=True)
class Jets(Shape):
    """How many jets, and the sum of their momenta, which is zero where there are none."""

    name: ClassVar[str] = "zoo_jets"
    parameters: ClassVar[tuple[Parameter, ...]] = (label(1.0, 4.0),)
    variables: ClassVar[tuple[Variable, ...]] = (
        column("n", dtype="int32", lower=0),
        column("ht", unit="GeV", lower=0.0),
    )
    atoms: ClassVar[bool] = True

    def simulate(self, theta: Arrays, rng: np.random.Generator) -> Arrays:
        """Draw one event at each label."""
        (t,) = values(theta, "t")
        n = rng.poisson(t)
        scale = 30 + 5 * t
        total = np.where(n > 0, scale * rng.standard_gamma(2.0 * np.maximum(n, 1)), 0.0)
        return {"n": n.astype(np.int32), **single(ht=total)}

    def log_prob(self, theta: Arrays, events: Arrays) -> Floats:
        """Return log p of each event."""
        (t,) = values(theta, "t")
        n, total = values(events, "n", "ht")
        some = n > 0
        sums = gamma.logpdf(np.where(some, total, 1.0), 2 * np.maximum(n, 1), scale=30 + 5 * t)
        return np.asarray(poisson.logpmf(n, t) + np.where(some, sums, 0.0))
