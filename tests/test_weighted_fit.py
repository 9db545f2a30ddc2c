"""Training on events with weights: the weighted law is learned, whatever size or sign they have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from densities import NAMES
from presage.fitting import fit
from presage.labels import LabelError
from presage.models import Ensemble, SplineFlow, specification
from presage.models.event_weights import Counted, NegativeDensityWarning, effective_events
from presage.models.prepared import WEIGHT, prepare_columns
from presage.models.training import training
from presage.transforms.columns import declared

SMALL = SplineFlow(bins=8, hidden=(16,))
SETTINGS = {"epochs": 12, "batch_size": 256, "learning_rate": 1e-2, "progress": False}


def events(x: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> xr.Dataset:
    columns = {"a": ("event", labels, {"role": "parameter"}), "x": ("event", x.astype("f4"))}
    if weights is not None:
        columns["w"] = ("event", weights, {"role": "weight"})
    return xr.Dataset(columns, attrs={"presage_sample": "event"})


def toy(n: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(seed)
    labels = np.repeat([0.0, 1.0, 2.0], n)
    return rng.normal(3 * labels, 1.0), labels, rng


def moments(dataset: xr.Dataset, model: Any = SMALL) -> np.ndarray:
    """Mean and width of what is drawn between the labels, where they would be 4.5 and 1."""
    drawn = fit(model, dataset, **SETTINGS).sample([(1.5,)], 20_000)
    return np.array([float(drawn["x"].mean()), float(drawn["x"].std())])


def test_equal_weights_change_no_bit() -> None:
    x, labels, _ = toy(400)
    plain, weighted = events(x, labels), events(x, labels, np.full(len(x), 0.3))
    assert training(plain) == training(weighted)
    fits = [fit(SMALL, one, epochs=2, progress=False) for one in (plain, weighted)]
    for name, array in fits[0].network.state_dict().items():
        np.testing.assert_array_equal(fits[1].network.state_dict()[name], array, err_msg=name)


#: Settings of those that are slow by default.
FEW: dict[str, dict[str, Any]] = {"spline_flow": {"bins": 8}, "maf": {"layers": 2}}


@pytest.mark.parametrize("name", NAMES)
def test_weights_tilt_the_law(name: str) -> None:
    x, labels, _ = toy()
    few = FEW.get(name, {}) | {"hidden": (16,)}
    model = Ensemble("spline_flow", 2, few) if name == "ensemble" else specification(name)(**few)
    tilted = events(x, labels, np.exp(x - 3 * labels))  # N(0, 1) becomes N(1, 1)
    mean, width = moments(tilted, model)
    assert mean == pytest.approx(5.5, abs=0.15)
    assert width == pytest.approx(1, abs=0.12)


def test_whole_weights_are_repetitions_in_law() -> None:
    x, labels, rng = toy()
    counts = 1 + rng.binomial(2, 1 / (1 + np.exp(3 * labels - x)))
    again = events(np.repeat(x, counts), np.repeat(labels, counts))
    gap = moments(events(x, labels, counts.astype(float))) - moments(again)
    assert np.abs(gap).max() < 0.1


def test_random_signs_leave_the_law() -> None:
    x, labels, rng = toy(4000)
    signs = np.where(rng.random(len(x)) < 0.15, -1.0, 1.0)
    assert moments(events(x, labels, signs)) == pytest.approx([4.5, 1.0], abs=0.15)


def test_what_is_subtracted_is_gone() -> None:
    """A second peak with negative weights takes away the one that stands there."""
    x, labels, rng = toy()
    spurious = np.tile(rng.normal(3 * labels + 2.5, 0.5), 2)
    signs = np.r_[np.ones(len(x) * 2), -np.ones(len(x))]
    weighted = events(np.r_[x, spurious], np.tile(labels, 3), signs)
    assert moments(weighted) == pytest.approx([4.5, 1.0], abs=0.2)
    unweighted = moments(weighted.drop_vars("w"))
    assert unweighted[0] > 5.5


def test_the_cross_section_of_a_label_does_not_count_its_effective_events_do() -> None:
    x, labels, rng = toy(300)
    weights = rng.uniform(0.5, 1.5, len(x))
    dataset = events(x, labels, weights * np.where(labels == 1, 1000, 1))
    variables, parameters = declared(dataset)
    columns = {"x": x, "a": labels}
    one, other = (
        Counted.of(w, columns, variables, parameters) for w in (weights, dataset["w"].values)
    )
    np.testing.assert_allclose(one.loss, other.loss, rtol=1e-6)
    np.testing.assert_array_equal(one.fair, other.fair)
    sums = np.array([one.loss[labels == k].sum() for k in range(3)])
    sizes = [w.sum() ** 2 / (w**2).sum() for w in weights.reshape(3, -1)]
    np.testing.assert_allclose(sums / sums.sum(), sizes / np.sum(sizes), rtol=1e-6)
    assert one.loss.mean() == pytest.approx(1)
    assert effective_events(dataset) == pytest.approx(np.sum(sizes))


def test_the_coordinates_are_those_of_the_weighted_events() -> None:
    x, labels, _rng = toy(1000)
    tilted = np.exp(x - 3 * labels)
    columns = prepare_columns(events(x, labels, tilted)).arrays
    assert columns is not None
    z, w = columns["target"][:, 0].astype(float), columns[WEIGHT].astype(float)
    assert np.average(z, weights=w) == pytest.approx(0, abs=0.1)
    assert np.average(z**2, weights=w) == pytest.approx(1, abs=0.15)


def test_continuous_labels_have_one_sum() -> None:
    rng = np.random.default_rng(3)
    labels = rng.random(900)
    x = rng.normal(labels)
    signs = np.where(rng.random(900) < 0.2, -1.0, 1.0)
    arrays = prepare_columns(events(x, labels, signs)).arrays
    assert arrays is not None
    assert arrays[WEIGHT].min() >= 0
    assert arrays[WEIGHT].mean() == pytest.approx(1)


def test_defaults_go_by_effective_events() -> None:
    x, labels, rng = toy(4000)
    signs = np.where(rng.random(len(x)) < 0.25, -1.0, 1.0)
    few, all_of_them = training(events(x, labels, signs)), training(events(x, labels))
    assert few["epochs"] <= all_of_them["epochs"]
    assert few["batch_size"] >= all_of_them["batch_size"]
    assert few["learning_rate"] < all_of_them["learning_rate"]


def test_a_label_without_a_sum_is_named() -> None:
    x, labels, _ = toy(100)
    message = r"the weights of the 100 events at a = 1 are more negative than positive"
    with pytest.raises(LabelError, match=message):
        fit(SMALL, events(x, labels, np.where(labels == 1, -1.0, 1.0)), progress=False)


def test_a_density_that_would_be_negative_is_said() -> None:
    x, labels, rng = toy(500)
    beside = rng.normal(3 * labels + 4, 1.0)
    signs = np.r_[np.ones(len(x)), np.full(len(x), -0.3)]
    with pytest.warns(NegativeDensityWarning, match=r"whole region.*'x' at a = "):
        prepare_columns(events(np.r_[x, beside], np.tile(labels, 2), signs))


def test_p_values_are_those_of_the_weighted_law() -> None:
    """Events far out that count next to nothing make none there less strange."""
    x, labels, rng = toy(2000)
    far = np.where(rng.random(len(x)) < 0.1, x + 6, x)
    dataset = events(far, labels, np.where(far > x, 1e-3, 1.0))
    flow = fit(SMALL, dataset, **SETTINGS)
    values = flow.p_value(dataset)
    assert float(values[far > x].mean()) < 0.03
    assert float((values[far == x] < 0.1).mean()) == pytest.approx(0.1, abs=0.03)
