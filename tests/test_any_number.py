"""One observable or five: what holds for two holds for any number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import densities
from event_toys import events_of
from presage.analysis.merit import figures_of_merit
from presage.analysis.residuals import residuals
from presage.emulation.split import choose_held_out, hold_out
from presage.fitting import fit
from presage.models import model

NUMBERS = (1, 5)


def events(variables: int, seed: int = 0, n: int = 60) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    m = np.repeat([1.0, 2.0, 3.0, 4.0], n)
    x = {f"x{i}": rng.normal(m, 0.3 + 0.1 * i).astype("f4") for i in range(variables)}
    return events_of({"m": m, **x}, labels=("m",))


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("name", densities.NAMES)
def test_every_model_trains_and_draws(name: str, number: int) -> None:
    data = events(number)
    fitted = fit(model(name), data, epochs=1, batch_size=128, progress=False)
    drawn = fitted.draw({"m": np.full(50, 2.0)}, np.random.default_rng(0))
    assert [len(column) for column in drawn.values()] == [50] * number
    assert np.isfinite(list(drawn.values())).all()
    assert np.isfinite(fitted.log_prob(data)).all()


@pytest.mark.parametrize("number", NUMBERS)
def test_comparisons_hold_for_every_variable(number: int) -> None:
    train, held = hold_out(events(number), choose_held_out(events(number), 1, 1))
    found = residuals(
        events(number, 1), held, train=train, floor=events(number, 2), classifier=False
    )
    product = found.dataset
    assert product.sizes["variable"] == number
    assert product.sizes["pair"] == number * (number - 1) // 2
    assert np.isfinite(product["w1_over_std"].drop_sel(source="reference")).all()
    assert found.verdict()
    assert len(found.table()) > 0
    merits: Any = figures_of_merit(held, events(number, 1))
    assert merits.sizes["variable"] == number
