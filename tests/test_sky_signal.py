"""The 21 cm signal: its spectra, its fields against their covariance, and the sky's simulators."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import presage as ps
from presage.recipe import Recipe
from presage.studies import rebuild
from presage.studies.sky import SKIES, sky

SMALL = {"channels": 16, "pixels": 16}
SIMULATORS = [
    pytest.param(part, id=f"{name}-{part.makes[0]}")
    for name in SKIES
    for part in sky(name, **SMALL).simulators().values()
]


@pytest.mark.parametrize("part", SIMULATORS)
def test_a_sample_is_the_same_in_any_shard_and_can_be_rebuilt(part: Any, tmp_path: Any) -> None:
    name = part.makes[0]
    whole = ps.simulate(part, 20, seed=3, store=ps.Store(tmp_path / "a"), progress=False)
    store = ps.Store(tmp_path / "b")
    ps.simulate(part, 5, seed=3, store=store, progress=False)
    pieces = ps.simulate(part, 20, seed=3, store=store, progress=False)
    assert np.array_equal(whole[name].values, pieces[name].values)
    assert whole[name].dims == ("sample", *part.beam.dims)
    assert whole[name].attrs["units"] == part.beam.units
    recipe = Recipe.from_json(part.recipe(3).json)
    again = rebuild(recipe, type(part))
    assert again == part
    assert np.array_equal(again.block(3, 1)[name][:4], whole[name].values[8:12])
