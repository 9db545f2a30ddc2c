"""Monotone maps of one variable that come before its place and width: none, logarithm, root.

A law over decades looks like itself at every label in ln(x - origin) and in nothing linear; one
that is counted from an edge often does in the root. The origin is a declared bound, or zero for
what never changes its sign. Under the logarithm no value beyond the origin can be drawn, and its
density there is zero.

Source: Box, Cox 1964, J. R. Statist. Soc. B 26, 211, the powers 1, 1/2 and 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from presage.labels import Variable

Floats = NDArray[np.float64]

#: Of the smallest distance in training, what counts as the smallest there is.
_LEAST = 1e-3


@dataclass(frozen=True)
class Stretch:
    """u = x, or sign ln(d), or sign sqrt(d) with d = sign (x - origin)."""

    kind: str = "linear"  # or "log" or "root"
    origin: float = 0.0
    sign: float = 1.0  # -1 where values lie below the origin
    least: float = 0.0  # distances below count as this

    def apply(self, x: Floats) -> Floats:
        """Return u for each x."""
        if self.kind == "linear":
            return x
        return self.sign * (np.log if self.kind == "log" else np.sqrt)(self._distance(x))

    def inverse(self, u: Floats) -> Floats:
        """Return x for each u."""
        if self.kind == "linear":
            return u
        v = self.sign * u
        # Within what float64 holds, beyond which nothing is drawn.
        distance = np.exp(np.clip(v, -700, 700)) if self.kind == "log" else np.square(v)
        return np.asarray(self.origin + self.sign * distance)

    def log_slope(self, x: Floats) -> Floats:
        """Return ln(du/dx); minus infinity beyond the origin."""
        if self.kind == "linear":
            return np.zeros_like(x)
        log = np.log(self._distance(x))
        slope = -log if self.kind == "log" else -0.5 * log - np.log(2)
        return np.where(self.sign * (x - self.origin) < 0, -np.inf, slope)

    def of(self, variable: Variable) -> Variable:
        """Return a variable with the bounds that u has."""
        if self.kind == "linear":
            return variable
        edge = 0.0 if self.kind == "root" else None
        own = (edge, None) if self.sign > 0 else (None, edge)
        return replace(variable, lower=own[0], upper=own[1], dtype="float64")

    def said(self, name: str) -> str:
        """Return it in words, empty for none."""
        if self.kind == "linear":
            return ""
        inside = name if self.sign > 0 and self.origin == 0 else f"{name} - {self.origin:g}"
        inside = inside if self.sign > 0 else f"{self.origin:g} - {name}"
        return f"{'ln' if self.kind == 'log' else 'sqrt'}({inside})"

    def _distance(self, x: Floats) -> Floats:
        return np.maximum(self.sign * (x - self.origin), self.least)


def stretches(variable: Variable, x: Floats) -> Sequence[Stretch]:
    """Return what can be tried for values ``[event]``, the simplest first."""
    found = [Stretch()]
    bounds = [bound for bound in (variable.lower, variable.upper) if bound is not None]
    if len(bounds) == 2 or variable.period is not None or not x.size:
        return found
    origin = bounds[0] if bounds else 0.0
    sign = 1.0 if variable.lower is not None or (not bounds and x[0] > 0) else -1.0
    least = float((sign * (x - origin)).min())
    if least < 0 or (least == 0 and not bounds):
        return found
    if least > 0:
        found.append(Stretch("log", origin, sign, _LEAST * least))
    # An edge that nobody declared is only taken where values come near it on a scale of decades.
    if bounds:
        found.append(Stretch("root", origin, sign, _LEAST * least))
    return found


def entry_of(stretch: Stretch) -> dict[str, Any]:
    """Return a stretch in JSON's terms."""
    return {name: getattr(stretch, name) for name in ("kind", "origin", "sign", "least")}
