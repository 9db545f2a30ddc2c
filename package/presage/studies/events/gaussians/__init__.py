"""Gaussian clouds whose centre follows the label: densities known exactly.

A *layout* says where the labels are and where the centre of a label's cloud is; a
*covariance* says what the cloud looks like, a *variation* how that changes with the label, and
a *skew* makes it a skew-normal one. All four are small frozen objects, so that a new one is one
class. With an exact log p, a trained flow is judged by the mean of log p_flow - log p_true on
the same events, without any sampling noise.
"""

from __future__ import annotations

from presage.studies.events.gaussians.clouds import (
    Covariance,
    Diag,
    DiagMod,
    Full,
    RadialMod,
    Repeat,
    Sampled,
    Variation,
)
from presage.studies.events.gaussians.layouts import (
    LAYOUTS,
    Axis,
    Circle,
    Grid,
    Layout,
    Line,
    UnitCube,
)
from presage.studies.events.gaussians.simulator import Gaussians

__all__ = [
    "LAYOUTS",
    "Axis",
    "Circle",
    "Covariance",
    "Diag",
    "DiagMod",
    "Full",
    "Gaussians",
    "Grid",
    "Layout",
    "Line",
    "RadialMod",
    "Repeat",
    "Sampled",
    "UnitCube",
    "Variation",
]
