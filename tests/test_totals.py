"""Totals: what the events add up to, and that the error between labels is what it says."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from presage.analysis.totals import totals
from presage.labels import LabelError


def cross_section(mass: np.ndarray) -> np.ndarray:
    return 40 * (mass / 100) ** -2.5 * (1 - np.exp(-mass / 150))


def toy(masses: np.ndarray, n: int, seed: int, negative: float = 0.15) -> xr.Dataset:
    """As many events at each label, the sum of whose weights is the cross section."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(masses, n)
    signs = np.where(rng.random(len(labels)) < negative, -1.0, 1.0)
    weights = cross_section(labels) * signs / (1 - 2 * negative) / n
    return xr.Dataset(
        {
            "mass": ("event", labels, {"role": "parameter", "units": "GeV"}),
            "x": ("event", rng.normal(labels), {"units": "GeV"}),
            "w": ("event", weights, {"role": "weight", "units": "pb"}),
        },
        attrs={"presage_sample": "event"},
    )


def test_of_the_labels_themselves() -> None:
    events = toy(np.array([100.0, 200.0]), 500, 0)
    found = totals(events)
    own = events["w"].values.reshape(2, 500)
    np.testing.assert_allclose(found["total"], own.sum(axis=1))
    np.testing.assert_allclose(found["total_error"], np.sqrt((own**2).sum(axis=1)))
    assert found["total"].attrs["units"] == "pb"
    assert found["mass"].values.tolist() == [100, 200]
    counted = totals(events.drop_vars("w"))
    np.testing.assert_allclose(counted["total_error"], np.sqrt([500, 500]))


def test_errors_between_labels_hold_and_gain_from_the_neighbours() -> None:
    masses, asked = np.linspace(100, 900, 9), np.array([150.0, 350.0, 550.0, 850.0])
    pulls, errors = [], []
    for seed in range(12):
        found = totals(toy(masses, 800, seed), asked)
        true = cross_section(asked)
        pulls.append((found["total"].values - true) / found["total_error"].values)
        errors.append(found["total_error"].values / true)
    assert np.sqrt(np.mean(np.square(pulls))) == pytest.approx(1, abs=0.35)
    single = np.sqrt(1 / 800 / 0.7**2)
    assert np.median(errors) < 1.3 * single


def test_two_parameters_with_a_hole() -> None:
    rng = np.random.default_rng(1)
    grid = np.array([(a, b) for a in range(5) for b in range(5) if (a, b) != (2, 2)], float)
    size = np.exp(6 + 0.3 * grid[:, 0] - 0.05 * grid[:, 1] ** 2)
    number = rng.poisson(size)
    columns = np.repeat(grid, number, axis=0)
    events = xr.Dataset(
        {
            "a": ("event", columns[:, 0], {"role": "parameter"}),
            "b": ("event", columns[:, 1], {"role": "parameter"}),
            "x": ("event", columns.sum(axis=1)),
        }
    )
    found = totals(events, [(2.0, 2.0)])
    true = np.exp(6 + 0.6 - 0.2)
    assert abs(float(found["total"][0]) - true) < 4 * float(found["total_error"][0])
    assert float(found["total_error"][0]) < 0.1 * true


def test_too_few_labels_to_interpolate() -> None:
    with pytest.raises(LabelError, match="between 4 to 2000 labels, and the events have 3"):
        totals(toy(np.array([1.0, 2.0, 3.0]), 50, 0), [(1.5,)])
