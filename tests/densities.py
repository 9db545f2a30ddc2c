"""The densities among the models, and one that nobody has trained, for tests of their laws."""

from __future__ import annotations

import xarray as xr

from presage.models import MODELS, FittedDensity, specification
from presage.recipe import Recipe

NAMES = [name for name in MODELS if specification(name).fitted is FittedDensity]


def untrained(spec, network, declaration, state) -> FittedDensity:
    recipe = Recipe("untrained", 1, {})
    return FittedDensity(recipe, spec, network, declaration, state, xr.Dataset())
