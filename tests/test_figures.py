from __future__ import annotations

import sys

import numpy as np
import pytest
import xarray as xr
from matplotlib.text import Text

from event_toys import events_of, gaussian_events, grid, many_dimensional
from presage.analysis import figures
from presage.analysis.pull_histogram import pull_histogram
from presage.analysis.residuals import Residuals, compare, residuals
from presage.labels import LabelError

HELD = [(1.0, 1.0), (2.0, 0.0)]


@pytest.fixture(scope="module")
def product():
    labels = grid(4, 3)
    train = gaussian_events([x for x in labels if x not in HELD], 300, seed=1)
    return residuals(
        gaussian_events(labels, 2000, seed=2, shift=0.1),
        gaussian_events(labels, 2500, seed=3),
        train=train,
        classifier=False,
    ).dataset


def texts(page):
    page.draw_without_rendering()
    return [item.get_text() for item in page.findobj(Text)]


def shows(page, *expected):
    found = texts(page)
    for text in expected:
        assert any(text in item for item in found), (text, found)
    assert page._repr_png_()[:4] == b"\x89PNG"


def test_the_residual_figure_has_four_panels_with_units(product):
    page = Residuals(product).figure(label=HELD[0])
    shows(
        page,
        "phi label = 1 GeV, omega label = 1 GeV",
        "phi mass [GeV]",
        "omega mass [GeV]",
        "(flow − reference) / statistical error",
        "reference, 2\u202f500 events",
        "too many events",
    )
    assert len(page.axes) == 4 + 2


def test_the_worst_held_out_label_is_drawn_first(product):
    w1 = product["w1_over_std"].sel(source="flow").max("variable").where(product["held_out"])
    worst = int(w1.fillna(-1).argmax("label"))
    expected = f"omega label = {float(product['omega_label'][worst]):.5g} GeV"
    shows(Residuals(product).figure(), expected)


def test_the_order_of_dimensions_changes_no_picture(product):
    page, turned = (
        Residuals(p).figure(label=3)._repr_png_()
        for p in (product, product.transpose("bin_y", "label", "edge", ...))
    )
    assert page == turned


def test_the_pull_panel_shows_too_many_events_in_red_where_the_flow_is_shifted(product):
    page = Residuals(product).figure(label=0)
    mesh = page.axes[3].collections[0]
    pull = mesh.get_array().reshape(40, 40)
    right, left = pull[:, 22:].mean(), pull[:, :18].mean()
    assert right > 0 > left  # the flow is shifted to larger phi
    red, _, blue, _ = mesh.cmap(mesh.norm(5.0))
    assert red > blue


def test_marginals_have_strips_for_every_variable(product):
    page = Residuals(product).marginals(label=0)
    assert len(page.axes) == 6
    shows(page, "pull", "difference [%]", "density [1/GeV]", "morphing", "nearest")


def test_pulls_stand_on_the_unit_normal_with_what_chance_gives(product):
    page = Residuals(product).pulls()
    assert len(page.axes) == 4
    shows(page, "phi mass [GeV]\n4", "(0 ± 0.0", "unit normal", "68 % of labels, by chance")
    shows(page, "held out inside the grid")
    page.draw_without_rendering()
    assert page.axes[0].get_xlim() == (-5, 5)
    page = Residuals(product).pulls("nearest")
    assert page.axes[0].get_xlim()[1] > 5
    shows(page, "Pulls of nearest at 12 labels")


def test_pulls_of_a_second_sample_are_drawn_as_well():
    reference, flow, floor = (gaussian_events(grid(2, 2), 1500, seed=s) for s in range(3))
    found = compare(reference, {"flow": flow}, floor=floor, classifier=False)
    shows(Residuals(found).pulls(), "floor")
    one = events_of({"x": np.zeros(900), "m": np.arange(900.0)}, labels=("x",))
    found = compare(one, {"my_flow": one}, classifier=False)
    shows(Residuals(found).pulls(), "Pulls of my flow at 1 label")


def test_labels_with_pulls_far_from_chance_get_a_log_scale():
    reference, flow = (gaussian_events(grid(2, 2), 9000, seed=s, shift=2.0 * s) for s in (0, 1))
    page = Residuals(compare(reference, {"flow": flow}, classifier=False)).pulls()
    assert page.axes[2].get_yscale() == "log"
    assert page.axes[3].get_yscale() == "linear"


def test_the_scale_of_a_map_reaches_down_to_the_floor(product):
    page = figures.label_map(product)
    floor = float(product["w1_over_std"].sel(source="floor").max("variable").median())
    low, high = page.axes[0].collections[0].get_clim()
    assert low <= floor <= high
    assert page.axes[1].lines[0].get_ydata()[0] == pytest.approx(floor)


@pytest.mark.parametrize("n", [600, 3000])
def test_labels_that_differ_by_chance_lie_in_the_regions_of_chance(n):
    counts = [n] * 200
    labels = [(float(k), 1.0) for k in range(200)]
    one, two = (gaussian_events(labels, n, seed=s, counts=counts) for s in range(2))
    found = compare(one, {"flow": two}, classifier=False, metrics=["pull_mean", "pull_width"])
    page = Residuals(found).pulls()
    for v, axis in enumerate(page.axes[2:4]):
        here = found.sel(source="flow").isel(variable=v)
        points = np.stack([here["pull_mean"].values, here["pull_width"].values], axis=1)
        for region, share in zip(axis.patches, (0.95, 0.68), strict=True):
            inside = region.get_path().contains_points(points)
            assert inside.mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 200))


def test_pulls_of_exactly_zero_make_no_peak():
    one, two = (gaussian_events(grid(8, 5), 300, seed=s) for s in range(2))
    found = pull_histogram(compare(one, {"flow": two}, classifier=False))
    same = pull_histogram(compare(one, {"flow": one}, classifier=False))
    for variable in ("phi_mass", "omega_mass"):
        pulls = found["pulls"].sel(variable=variable).values
        expected = found["expected"].sel(variable=variable).values
        middle = slice(16, 24)
        assert (abs(pulls - expected)[middle] < 4 * np.sqrt(expected[middle])).all()
        zeros = same["pulls"].sel(variable=variable).values
        assert zeros == pytest.approx(zeros[::-1])
        assert zeros.sum() == pytest.approx(same["expected"].sel(variable=variable).sum())


def test_cells_with_few_events_are_not_judged():
    few = compare(
        gaussian_events([(0.0, 0.0)], 60),
        {"flow": gaussian_events([(0.0, 0.0)], 60, seed=1)},
        classifier=False,
    )
    page = figures.residual_figure(few)
    assert page.axes[3].collections[0].get_array().mask.all()
    shows(figures.marginals(few), "pull")


def test_the_floor_can_be_drawn_only_where_it_is_a_sample(product):
    with pytest.raises(LabelError, match="an expectation, not a sample"):
        figures.residual_figure(product, source="floor")


@pytest.mark.parametrize(
    "metric", ["w1_over_std", "mean_shift", "auc", "equivalent_events", "events"]
)
def test_the_map_marks_held_out_labels(product, metric):
    page = figures.label_map(product, metric)
    frames = [line for line in page.axes[0].lines if line.get_color() == "#d55e00"]
    assert len(frames) == len(HELD)
    name = product[metric].attrs["long_name"]
    shows(page, "phi label [GeV]", "omega label [GeV]", " ".join(name.split()[:3]))


def test_maps_of_one_and_of_three_labels_and_off_the_grid():
    line = events_of({"x": np.repeat([0.0, 1.0, 2.0], 100), "m": np.arange(300.0)}, labels=("x",))
    shows(figures.label_map(compare(line, {"flow": line}, classifier=False)), "x [GeV]")
    cube = compare(many_dimensional(60), {"flow": many_dimensional(60, seed=1)}, classifier=False)
    shows(figures.label_map(cube, at={"l2": 1.0}, x="l1", y="l0"), "l1 [GeV]", "l0 [GeV]")
    shows(figures.residual_figure(cube, pair="m0,m2"), "m2 [GeV]")
    with pytest.raises(LabelError, match="no label at"):
        figures.label_map(cube, at={"l2": 7.0})
    scattered = gaussian_events([(0.0, 0.1), (1.0, 0.7), (2.0, 0.4), (3.0, 0.9)], 100)
    page = figures.label_map(compare(scattered, {"flow": scattered}, classifier=False), "ks")
    assert len(page.axes[0].collections) == 1


def test_one_variable_has_marginals_and_no_pair():
    line = events_of({"x": np.repeat([0.0, 1.0], 200), "m": np.arange(400.0)}, labels=("x",))
    found = compare(line, {"flow": line}, classifier=False)
    assert len(figures.marginals(found).axes) == 3
    assert len(figures.residual_figure(found).axes) == 3
    with pytest.raises(LabelError, match="there is one variable only"):
        figures.label_map(found, "correlation_shift")


def test_a_scatter_shows_labels_by_colour():
    shows(
        figures.label_scatter(gaussian_events(grid(), 50), colour="omega_label", most=200),
        "phi mass [GeV]",
        "omega label [GeV]",
    )
    with pytest.raises(LabelError, match="no variable 'phi_mas'; did you mean 'phi_mass'"):
        figures.label_scatter(gaussian_events(grid(), 5), x="phi_mas")


def test_missing_values_are_no_peak():
    events = gaussian_events(grid(1, 1), 300)
    events["phi_mass"][::3] = -999
    events["phi_mass"].attrs["missing"] = -999.0
    page = figures.label_scatter(events)
    assert page.axes[0].get_xlim()[0] > 0
    alone = figures.label_scatter(events.drop_vars("omega_mass"))
    assert alone.axes[0].get_xlim()[0] > 0


@pytest.mark.parametrize("offset", [0.5, -1.0])
def test_histories_keep_the_order_of_losses_when_they_turn_negative(offset):
    loss = np.exp(-np.arange(30) / 6) + offset
    history = xr.Dataset(
        {"training_loss": ("epoch", loss), "validation_loss": ("epoch", loss + 0.02)},
        coords={"epoch": np.arange(1, 31)},
    )
    page = figures.history_figure(history)
    shows(page, "epoch", "loss", "training loss", "validation loss")
    heights = page.axes[0].transData.transform(np.stack([np.arange(30), loss], axis=1))[:, 1]
    assert (np.diff(heights) < 0).all()


def test_histories_bear_gaps_and_are_refused_without_losses():
    history = xr.Dataset({"loss": ("epoch", [1.0, np.nan, 0.5])})
    shows(figures.history_figure(history), "loss")
    with pytest.raises(LabelError, match="holds no loss; it holds rate"):
        figures.history_figure(xr.Dataset({"rate": ("epoch", [1.0])}))
    with pytest.raises(LabelError, match="has the dimension 'epoch'"):
        figures.history_figure(xr.Dataset({"loss": ("step", [1.0])}))


def test_no_figure_needs_pyplot(product, tmp_path):
    before = "matplotlib.pyplot" in sys.modules
    Residuals(product).figure().savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    assert before or "matplotlib.pyplot" not in sys.modules
