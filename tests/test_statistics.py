"""Statistics are worked out once, in Python: products hold them, tables and figures read them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import residuals_toy as toy
from event_toys import gaussian_events, grid
from presage.analysis.bin_statistics import FEW, FEW_2D, STATISTICS, bin_statistics
from presage.analysis.compare import compare
from presage.analysis.metrics import METRICS
from presage.analysis.numbers import histogram_table, merit_grid
from presage.analysis.residuals import completed


@pytest.fixture(scope="module")
def product() -> xr.Dataset:
    labels = grid(3, 2)
    return compare(
        gaussian_events(labels, 3000, seed=1),
        {"flow": gaussian_events(labels, 2000, seed=2, shift=0.1),
         "nearest": gaussian_events(labels, 2500, seed=3)},
        classifier=False,
        held_out_labels=[(1.0, 1.0), (2.0, 0.0)],
    )  # fmt: skip


def test_an_old_product_gets_what_one_of_today_holds(product: xr.Dataset) -> None:
    old = product.drop_vars(list(STATISTICS)).copy()
    for name in METRICS:
        if name in old:
            old[name].attrs = {"long_name": "of before", "units": "1"}
    again = completed(old)
    xr.testing.assert_identical(again[list(STATISTICS)], product[list(STATISTICS)])
    assert again["ks"].attrs == product["ks"].attrs
    assert completed(product).identical(product)
    of_one_variable = toy.residuals(4, variables=1, n=300)
    assert "pull_2d" not in completed(of_one_variable)
    assert "bin_pull" in completed(of_one_variable)


@pytest.mark.parametrize(("source", "against"), [("flow", "reference"), ("flow", "nearest")])
def test_bins_by_hand(product: xr.Dataset, source: str, against: str) -> None:
    found = product if against == "reference" else bin_statistics(product, against)
    place = {"label": 4, "variable": 1}
    here = found.isel(place).sel(source=source)
    g, r = (product["counts"].isel(place).sel(source=s).values.astype(float)
            for s in (source, against))  # fmt: skip
    n, m = (float(product["events"].isel(label=4).sel(source=s)) for s in (source, against))
    width = np.diff(product["edges"].isel(place).values)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (g + r) / (n + m)
        expected = {
            "bin_density": g / n / width,
            "bin_density_error": np.sqrt(g) / n / width,
            "bin_pull": (g / n - r / m) / np.sqrt(share * (1 / n + 1 / m)),
            "bin_ratio": np.where(r > 0, g / n * m / r - 1, np.nan),
            "bin_ratio_error": np.where(r > 0, np.sqrt(g / n**2 + r / m**2) * m / r, np.nan),
            "bin_ratio_floor": np.where(r > 0, np.sqrt((1 + m / n) / r), np.nan),
            "bin_few": share * min(m, n) < FEW,
        }
    for name, values in expected.items():
        np.testing.assert_allclose(here[name].values, values, rtol=1e-5, err_msg=name)
    joint = found["pull_2d"].isel(label=4, pair=0).sel(source=source)
    x, y = (product["counts_2d"].isel(label=4, pair=0).sel(source=s) for s in (source, against))
    few = (x + y) / (n + m) * min(m, n) < FEW_2D
    assert (joint.isnull() == few).all()
    assert float(joint.notnull().sum()) > 5


def test_nothing_is_far_from_itself_and_a_law_has_no_bins(product: xr.Dataset) -> None:
    for name in ("bin_pull", "bin_ratio", "pull_2d"):
        assert product[name].sel(source=["reference", "floor"]).isnull().all()
    assert product["bin_few"].sel(source="floor").all()
    alone = bin_statistics(product.sel(source=["flow"]), against=None)
    assert list(alone) == ["bin_density", "bin_density_error"]


def test_pulls_that_are_shown_are_those_of_the_figures_of_merit(product: xr.Dataset) -> None:
    shown = product["bin_pull"].where(~product["bin_few"]).sel(source="flow")
    np.testing.assert_allclose(
        shown.mean("bin"), product["pull_mean"].sel(source="flow"), atol=1e-6
    )
    table = histogram_table(product, 2).loc[("flow", "phi_mass")]
    here = product.isel(label=2).sel(source="flow", variable="phi_mass")
    np.testing.assert_array_equal(table["pull"], here["bin_pull"])
    np.testing.assert_array_equal(table["few"], here["bin_few"])


def test_all_numbers_over_all_labels(product: xr.Dataset) -> None:
    found = merit_grid(product)
    assert set(found["column"].values) >= {"w1_over_std:phi_mass", "cdf_error:omega_mass", "auc"}
    assert "bin_pull" not in found["metric"].values
    shift = found.sel(column="mean_shift:phi_mass")
    raw = product["mean_shift"].sel(variable="phi_mass")
    np.testing.assert_array_equal(shift["value"], raw)
    held = abs(raw).isel(label=product["region"].values == "edge")
    xr.testing.assert_allclose(
        shift["worst"].sel(region="edge", drop=True).reset_coords(drop=True),
        held.max("label").reset_coords(drop=True).rename("worst"),
    )
    assert shift["signed"]
    assert float(shift["best"]) == 0.0
    edge = shift.sel(region="edge")
    assert int(edge["count"].sel(source="flow")) == int((product["region"] == "edge").sum())
    assert not edge["better"].sel(source="flow", against="flow")
    wins = (held.sel(source="flow") < held.sel(source="nearest")).sum()
    assert int(edge["better"].sel(source="flow", against="nearest")) == int(wins)
    sizes = found.sel(column="equivalent_events:phi_mass", region="edge")
    assert np.isnan(float(sizes["best"]))
    more = product["equivalent_events"].sel(variable="phi_mass")
    more = more.isel(label=product["region"].values == "edge")
    assert float(sizes["worst"].sel(source="flow")) == float(more.sel(source="flow").min())
    better = (more.sel(source="flow") > more.sel(source="nearest")).sum()
    assert int(sizes["better"].sel(source="flow", against="nearest")) == int(better)
    toys = merit_grid(toy.residuals(4, variables=1, n=200))
    assert toys["title"].values[0].startswith("W₁ / std · phi mass")
