"""Contours, bands, the products of the study pdf, and the figures drawn from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from matplotlib.path import Path as Outline
from matplotlib.text import Text
from scipy.stats import norm

import pdf_toys as toy
from presage.analysis import bands, corner
from presage.labels import LabelError
from presage.recipe import Recipe
from presage.store import Store
from presage.studies.pdf import calibration_figures, calibration_panels, exhibits, posterior_figures
from presage.studies.pdf.completing import completed
from presage.studies.pdf.gaussian import Gaussian

NOWHERE = np.full(2, np.inf)
SIZES = (10, 100)


@pytest.fixture(scope="module")
def product() -> xr.Dataset:
    return toy.posteriors(2, 500, SIZES)


def normal(correlation: float, n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return draws of a normal distribution of very unequal widths, and its covariance's root."""
    root = np.linalg.cholesky([[1, 0.01 * correlation], [0.01 * correlation, 1e-4]])
    return np.random.default_rng(seed).standard_normal((n, 2)) @ root.T, root


# -- contours ------------------------------------------------------------------------------


@pytest.mark.parametrize("correlation", [0.0, 0.7, -0.97])
def test_contours_of_a_normal_distribution_are_its_ellipses(correlation):
    draws, root = normal(correlation)
    lines = corner.contours(draws, -NOWHERE, NOWHERE)
    for line, mass in zip(lines, corner.LEVELS, strict=True):
        radius = np.hypot(*np.linalg.solve(root, line[~np.isnan(line[:, 0])].T))
        assert radius.mean() == pytest.approx(np.sqrt(-2 * np.log(1 - mass)), rel=0.03)
        assert radius.std() < 0.09 * radius.mean()


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_contours_hold_the_share_that_they_say(correlation):
    draws, _ = normal(correlation, 3000)
    fresh, _ = normal(correlation, 20000, seed=1)
    for line, mass in zip(corner.contours(draws, -NOWHERE, NOWHERE), corner.LEVELS, strict=True):
        inside = sum(Outline(p).contains_points(fresh) for p in posterior_figures.pieces(line))
        assert inside.mean() == pytest.approx(mass, abs=0.02)


def test_two_separate_modes_have_two_lines():
    draws, _ = normal(0.0, 2000)
    draws[::2, 0] += 12
    for line in corner.contours(draws, -NOWHERE, NOWHERE):
        found = posterior_figures.pieces(line)
        assert len(found) == 2
        assert sorted(round(float(p[:, 0].mean())) for p in found) == [0, 12]


def test_contours_end_at_the_edge_of_the_prior_and_close_along_it():
    draws = np.random.default_rng(0).exponential(1, (4000, 2))
    draws = draws[(draws < 3).all(axis=1)]
    low, high = np.zeros(2), np.full(2, 3.0)
    for line in corner.contours(draws, low, high):
        known = line[~np.isnan(line[:, 0])]
        assert (known >= 0).all()
        assert (known <= 3).all()
        assert known.min(axis=0) == pytest.approx([0, 0], abs=1e-12), "density is largest there"
        assert known[0] == pytest.approx(known[-1], abs=0.05), "closed"


@pytest.mark.parametrize("edge", [False, True])
def test_a_marginal_is_a_density_that_does_not_sink_at_the_prior(edge):
    rng = np.random.default_rng(0)
    if edge:
        grid = np.linspace(0, 1, 60)
        found = np.mean([corner.marginal(rng.random(2000), grid, 0, 1) for _ in range(20)], axis=0)
        assert found == pytest.approx(np.ones(60), abs=0.06)
    else:
        grid = np.linspace(-5, 5, 90)
        found = corner.marginal(rng.standard_normal(20000), grid)
        assert found.sum() * (grid[1] - grid[0]) == pytest.approx(1, abs=1e-3)
        assert found == pytest.approx(norm.pdf(grid), abs=0.02)


@pytest.mark.parametrize(
    ("draws", "expected"),
    [(np.zeros((5, 2)), "10 draws at least"), (np.full((20, 2), np.nan), "not finite")],
)
def test_draws_without_a_density_are_refused(draws, expected):
    with pytest.raises(LabelError, match=expected):
        corner.surface(draws, -NOWHERE, NOWHERE)


def test_draws_that_are_all_the_same_do_not_break_a_figure():
    draws = np.ones((50, 2))
    assert np.isfinite(corner.contours(draws, np.zeros(2), np.full(2, 2.0))).any()
    assert np.isfinite(corner.marginal(draws[:, 0], np.linspace(0, 2, 30), 0, 2)).all()


# -- bands ---------------------------------------------------------------------------------


def test_bands_are_quantiles_and_normal_ones_are_one_and_two_sigma():
    values = np.random.default_rng(0).standard_normal((3, 20000, 4)) * np.array([1, 2, 3, 4.0])
    band = bands.quantile_band(values)
    assert band.shape == (3, 5, 4)
    assert band[1, 2] == pytest.approx(np.median(values[1], axis=0))


def test_residuals_are_in_sigmas_of_the_reference_or_relative(product):
    found = completed(product)
    assert completed(found).identical(found)
    band = product["density_x_band"].transpose("kind", "level", "observation", "size", ...)
    low, middle, high = (band.sel(kind="reference", level=v) for v in (0.16, 0.5, 0.84))
    away = found["density_x_residual"].sel(kind="estimate", level=0.5)
    for against, base in {"reference": middle, "truth": product["density_x_true"]}.items():
        for scale, unit in {"sigma": (high - low) / 2, "ratio": base}.items():
            expected = (band.sel(kind="estimate", level=0.5) - base) / unit
            here = away.sel(against=against, scale=scale).transpose(*expected.dims)
            known = np.isfinite(here.values)
            assert known.mean() > 0.5
            np.testing.assert_allclose(here.values[known], expected.values[known], atol=1e-5)
    own = found["density_x_residual"].sel(against="reference", scale="sigma", kind="reference")
    assert (own.sel(level=0.84) - own.sel(level=0.16)).values == pytest.approx(2.0, abs=1e-4)
    assert (found["density_x_true_residual"].sel(against="truth", scale="sigma") == 0).all()


def test_residuals_say_nothing_where_there_is_nothing(product):
    flat = product.assign(density_x_band=xr.zeros_like(product["density_x_band"]))
    assert completed(flat)["density_x_residual"].sel(against="reference").isnull().all()


def test_histograms_of_events_are_of_the_first_ones(product):
    found = completed(product)
    one = found.isel(observation=1, size=0, feature=1)
    events = product["events"].isel(observation=1, feature=1).values
    expected = np.histogram(events[: SIZES[0]], one["event_edges"].values)[0]
    assert one["event_counts"].values.tolist() == expected.tolist()
    assert not found["feature_log"].any()
    wide = product.assign(events=10.0 ** product["events"])
    wide = wide.assign_coords(feature_scale=("feature", ["log", "log"]))
    again = completed(wide)
    assert again["feature_log"].all()
    np.testing.assert_array_equal(again["event_counts"], found["event_counts"])
    np.testing.assert_allclose(again["event_edges"], 10.0 ** found["event_edges"])


@pytest.mark.parametrize(
    ("values", "levels", "expected"),
    [
        (np.zeros((4, 2)), (0.5, 0.4), "ascend"),
        (np.zeros((4, 2)), (-0.1, 0.4), "ascend"),
        (np.zeros((4, 2)), (), "ascend"),
        (np.zeros((0, 2)), (0.5,), "needs curves"),
    ],
)
def test_bands_of_nothing_are_refused(values, levels, expected):
    with pytest.raises(LabelError, match=expected):
        bands.quantile_band(values, levels)


# -- products --------------------------------------------------------------------------------


def test_the_product_of_posteriors_is_labelled_and_holds_what_was_given(product):
    assert dict(product["draws"].sizes) == {
        "observation": 2, "size": 2, "kind": 3, "draw": 500, "parameter": 5,
    }  # fmt: skip
    assert list(product["kind"].values) == list(exhibits.KINDS)
    assert list(product["size"].values) == list(SIZES)
    for name, array in product.data_vars.items():
        if name not in ("theta", "events"):
            assert array.attrs["long_name"], name
            assert array.attrs["units"], name
    assert product["density_x_grid"].attrs["logarithmic"] == 0
    assert product["c2st"].sel(kind="reference").isnull().all()
    assert product["c2st"].sel(kind="estimate").notnull().all()
    assert product["sd_ratio"].sel(kind="reference").values == pytest.approx(np.ones((2, 2, 5)))
    assert product["theta"].dims == ("observation", "parameter")
    assert product["events"].dims == ("observation", "event", "feature")


def test_bands_of_the_product_are_quantiles_of_curves_of_its_draws(product):
    problem = Gaussian()
    draws = product["draws"].isel(observation=1, size=0, kind=2).values.astype(float)
    values = problem.curve(problem.curves[0], torch.from_numpy(draws)).numpy()
    found = product["density_x_band"].isel(observation=1, size=0, kind=2).values
    assert found == pytest.approx(np.quantile(values, bands.LEVELS, axis=0), abs=1e-5)
    truth = torch.from_numpy(product["theta"].values)
    expected = problem.curve(problem.curves[0], truth).numpy()
    assert product["density_x_true"].values == pytest.approx(expected)


def test_weighted_draws_are_resampled_by_weight():
    problem = Gaussian(n_events=20)
    data = toy.observed(problem, 1)
    theta = np.repeat(data["theta"].values[:, None], 4000, axis=1)
    theta[0, :, 0] = np.linspace(-1, 1, 4000)
    weighted = toy.labelled(problem, theta)
    with np.errstate(divide="ignore"):  # a weight of zero is minus infinity
        weighted["log_weight"] = (("observation", "draw"), 700 + np.log1p(theta[..., 0]))
    shown = exhibits.posteriors_product(problem, data, {"corrected": {20: weighted}}, draws=3000)
    assert shown.sizes["draw"] == 3000
    drawn = shown["draws"].isel(observation=0, size=0, kind=0, parameter=0).values
    assert drawn.mean() == pytest.approx(1 / 3, abs=0.01), "of a density rising from -1 to 1"
    assert shown["sd_ratio"].isnull().all(), "there is no reference"


def test_a_kind_that_was_not_made_at_some_size_is_nan_there():
    problem = Gaussian(n_events=20)
    data = toy.observed(problem, 1)
    rng = np.random.default_rng(0)
    theta = data["theta"].values[:, None] + 0.01 * rng.standard_normal((1, 50, 5))
    draws = toy.labelled(problem, np.clip(theta, problem.low.numpy(), problem.high.numpy()))
    shown = exhibits.posteriors_product(
        problem, data, {"reference": {10: draws, 20: draws}, "estimate": {20: draws}}
    )
    assert shown["draws"].sel(size=10, kind="estimate").isnull().all()
    assert shown["contour"].sel(size=10, kind="estimate").isnull().all()
    page = posterior_figures.corner_figure(shown, 0, 10)
    assert not any("estimate" in text for text in texts(page))
    assert any("estimate" in text for text in texts(posterior_figures.corner_figure(shown, 0, 20)))


def _wrong(problem: Gaussian, data: xr.Dataset, draws: xr.Dataset) -> dict[str, tuple]:
    other = draws.assign_coords(parameter=list("abcde"))
    numbers = xr.Dataset({"eficiency": ("observation", [0.5])})
    twice = xr.concat([data, data], dim="repeat", data_vars=["events"])
    return {
        "did you mean 'estimate'": (data, {"estimat": {10: draws}}, None),
        "no posteriors": (data, {"estimate": {}}, None),
        "observed are 20": (data, {"estimate": {30: draws}}, None),
        "the problem has": (data, {"estimate": {10: other}}, None),
        "did you mean 'efficiency'": (data, {"estimate": {10: draws}}, numbers),
        "holds no 'events'": (data.drop_vars("events"), {"estimate": {10: draws}}, None),
        "2 repeats": (twice, {"estimate": {10: draws}}, None),
    }


@pytest.mark.parametrize(
    "expected",
    ["did you mean 'estimate'", "no posteriors", "observed are 20", "the problem has",
     "did you mean 'efficiency'", "holds no 'events'", "2 repeats"],
)  # fmt: skip
def test_products_of_nonsense_are_refused(expected):
    problem = Gaussian(n_events=20)
    data = toy.observed(problem, 1)
    draws = toy.labelled(problem, np.repeat(data["theta"].values[:, None], 20, axis=1))
    observed, posteriors, numbers = _wrong(problem, data, draws)[expected]
    with pytest.raises(LabelError, match=expected):
        exhibits.posteriors_product(problem, observed, posteriors, numbers)


def test_ranks_of_calibrated_posteriors_leave_their_band_in_one_of_twenty_cases():
    rng, lost, coverage = np.random.default_rng(0), 0, []
    for _ in range(6):
        rank = xr.DataArray(
            rng.integers(0, 51, (400, 20)), dims=("observation", "quantity"),
            coords={"quantity": [f"q{k}" for k in range(20)]}, attrs={"draw_count": 50},
        )  # fmt: skip
        found = exhibits.calibration_product(Gaussian(), xr.Dataset({"rank": rank}))
        lost += len(calibration_panels.outside(found))
        coverage.append(found["coverage"].mean("quantity"))
    assert 0 < lost <= 16, "expected are 6 of 120"
    assert np.mean(coverage, axis=0) == pytest.approx(found["level"].values, abs=0.015)


def test_the_bound_of_expected_coverage_follows_from_the_number_of_observations():
    rank = xr.DataArray(
        np.arange(1000)[:, None] % 51, dims=("observation", "quantity"),
        coords={"quantity": ["q"]}, attrs={"draw_count": 50},
    )  # fmt: skip
    steps = np.linspace(0, 1, 11)
    checks = xr.Dataset({"rank": rank, "expected_coverage": ("credibility", steps**1.1)})
    found = exhibits.calibration_product(Gaussian(), checks.assign_coords(credibility=steps))
    assert float(found["tarp_bound"]) == pytest.approx(0.043, abs=5e-4), "Kolmogorov, 95 %"
    assert float(found["tarp_distance"]) == pytest.approx(np.abs(steps**1.1 - steps).max())


def test_posteriors_that_are_too_narrow_are_seen_in_ranks_and_coverage():
    found = toy.calibration(600, 100, wide=1.5)
    assert calibration_panels.outside(found) == [str(q) for q in found["quantity"].values]
    too_few = found["coverage"] < found["level"] - 3 * found["coverage_error"]
    assert too_few.sel(level=0.68).all()


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ({}, "needs ranks"),
        ({"rang": (("observation",), [1])}, "did you mean 'rank'"),
        ({"rank": (("observation", "quantity"), [[1]])}, "draw_count"),
        ({"rank": (("observation", "quantity"), [[9]], {"draw_count": 5})}, "from 0 to 5"),
        ({"rank": (("observation",), [1], {"draw_count": 5})}, "should have the dims"),
    ],
)
def test_calibrations_of_nonsense_are_refused(checks, expected):
    with pytest.raises(LabelError, match=expected):
        exhibits.calibration_product(Gaussian(), xr.Dataset(checks))


def test_products_are_kept_under_what_they_are_made_from(tmp_path, product):
    store, problem = Store(tmp_path), Gaussian(n_events=100)
    events = store.put(Recipe("gaussian", 1), xr.Dataset({"theta": ("sample", [0.0, 1.0])}))
    recipe = exhibits.recipe(exhibits.POSTERIORS, problem, [events], draws=500)
    kept = store.compute(recipe, lambda: product)
    assert store.compute(recipe, pytest.fail).identical(kept), "it is not made again"
    assert kept.attrs["presage_producer"] == "pdf_posteriors"
    assert recipe.parents[0].key == Recipe("gaussian", 1).key
    assert recipe.fields["problem"] == "gaussian"
    assert exhibits.recipe(exhibits.POSTERIORS, problem, [events]).key != recipe.key
    page = posterior_figures.corner_figure(kept, 1, 100)
    assert page._repr_png_()[:4] == b"\x89PNG"
    with pytest.raises(LabelError, match="did you mean 'pdf_posteriors'"):
        exhibits.recipe("pdf_posterior", problem)
    with pytest.raises(LabelError, match="an input is a dataset of a store"):
        exhibits.recipe(exhibits.CALIBRATION, problem, [3.0])


# -- figures ---------------------------------------------------------------------------------


def texts(page) -> list[str]:
    page.draw_without_rendering()
    return [item.get_text() for item in page.findobj(Text)]


def shows(page, *expected: str) -> None:
    found = texts(page)
    for text in expected:
        assert any(text in item for item in found), (text, found)
    assert page._repr_png_()[:4] == b"\x89PNG"


def test_the_corner_names_parameters_kinds_and_numbers(product):
    page = posterior_figures.corner_figure(product, 1, 100)
    efficiency = 100 * float(product["efficiency"].sel(size=100)[1])
    shows(page, "mean of x", "exact reference", "68 and 95 %", "estimate", "corrected", "truth",
          "prior", "observation 1, 100 events", f"efficiency {efficiency:.0f} %",
          "C2ST of estimate")  # fmt: skip
    assert sum(axis.get_visible() for axis in page.axes) == 15
    alone = posterior_figures.corner_figure(product, 1, 100, kinds=["estimate"])
    assert "corrected" in texts(page)
    assert "corrected" not in texts(alone)


def test_a_corner_marks_the_truth_within_its_panels(product):
    page = posterior_figures.corner_figure(product, 0)
    for axis in page.axes:
        if axis.get_visible():
            low, high = axis.get_xlim()
            marks = [
                line
                for line in axis.lines
                if line.get_color() == posterior_figures.COLOURS["truth"]
            ]
            assert len(marks) == 1
            assert low <= float(np.ravel(marks[0].get_xdata())[0]) <= high


def test_curves_stand_above_their_residuals(product):
    page = posterior_figures.curves_figure(product, 0, 10)
    shows(page, "density of x", "density of y", "curve − reference", "truth")
    assert len(page.axes) == 4
    against = posterior_figures.curves_figure(product, 0, 10, ["density_y"], against="truth")
    shows(against, "curve − truth")
    flat = [line for line in against.axes[1].lines if np.allclose(line.get_ydata(), 0)]
    assert len(flat) == 2, "the truth minus itself, and the line at 0"


def test_the_calibration_has_a_panel_for_all_that_was_checked():
    found = toy.calibration(300, 60)
    page = calibration_figures.calibration_figure(found)
    shows(page, "SBC ranks", "TARP\nmax", "Coverage", "median", "Posterior predictive p",
          "300 observations of 1000 events, 60 draws each", "log likelihood")  # fmt: skip
    less = calibration_figures.calibration_figure(found.drop_vars(["predictive", "efficiency"]))
    assert sum(axis.get_visible() for axis in less.axes) == 3


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (lambda p: posterior_figures.corner_figure(p, 9), "observations are 0 to 1, got 9"),
        (lambda p: posterior_figures.corner_figure(p, 0, 33), r"\[10, 100\] events, not of 33"),
        (lambda p: posterior_figures.corner_figure(p, 0, kinds=["estimat"]), "did you mean 'estim"),
        (lambda p: posterior_figures.curves_figure(p, curves=["density_z"]), "did you mean 'dens"),
        (lambda p: posterior_figures.curves_figure(p, against="prior"), "compared with"),
        (lambda p: posterior_figures.curves_figure(p.assign_attrs(curves="")), "has no curves"),
    ],
)
def test_figures_of_what_is_not_there_are_refused(product, draw, expected):
    with pytest.raises(LabelError, match=expected):
        draw(product)
