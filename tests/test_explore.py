"""Views of products in a notebook: they draw, their selections are shared, live draws answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import presage as ps
from event_toys import gaussian_events, grid
from presage.analysis.bin_statistics import bin_statistics
from presage.analysis.residuals import Residuals, compare
from presage.labels import LabelError
from presage.products import VARIABLE

pn, hv = pytest.importorskip("panel"), pytest.importorskip("holoviews")
param = pytest.importorskip("param")


@pytest.fixture(scope="module")
def product() -> xr.Dataset:
    labels = grid(4, 3)
    samples = [gaussian_events(labels, 800, seed=seed) for seed in range(3)]
    held = [(1.0, 1.0)]
    return compare(samples[0], {"flow": samples[1], "nearest": samples[2]}, classifier=False,
                   held_out_labels=held)  # fmt: skip


@pytest.fixture(scope="module")
def cube() -> xr.DataArray:
    values = np.random.default_rng(0).normal(size=(3, 5, 7)) + 100 * np.arange(3)[:, None, None]
    coords = {"frequency": ("frequency", [30.0, 44.0, 70.0], {"units": "GHz"})}
    about = {"long_name": "brightness", "units": "K"}
    return xr.DataArray(values, coords, ("frequency", "y", "x"), "map", about)


def test_a_label_is_clicked_and_a_box_narrows_the_marginals(product: xr.Dataset) -> None:
    from bokeh.plotting import figure

    from presage.exploring.residuals import ResidualsView

    assert ps.explore(Residuals(product)).select(pn.pane.HoloViews)
    view = ResidualsView(product)
    root = view.view().get_root()
    old = product.isel(label=view.label.value)
    assert product["held_out"].values[view.label.value]
    view.tap.event(x=2.9, y=0.2)
    here = product.isel(label=view.label.value)
    assert (float(here["phi_label"]), float(here["omega_label"])) == (3.0, 0.0)
    ends = {round(float(plot.x_range.end), 5) for plot in root.select({"type": figure})}
    for name in ("phi_mass", "omega_mass"):  # every panel follows
        assert round(float(here["edges"].sel(variable=name)[-1]), 5) in ends
        assert round(float(old["edges"].sel(variable=name)[-1]), 5) not in ends
    whole = view.density(0).get(1)
    np.testing.assert_allclose(
        whole.dimension_values("density"),
        here["bin_density"].sel(source="flow", variable="phi_mass"),
    )
    edges = here["edges"].sel(variable="omega_mass").values
    first = (-1e9, float(edges[0]), 1e9, float(edges[20]))
    second = (-1e9, float(edges[20]), 1e9, float(edges[-1]))
    parts = [view.density(0, bounds=box).get(1).dimension_values("density")
             for box in (first, second)]  # fmt: skip
    inside = here["counts_2d"].sel(source="flow").isel(pair=0).sum("bin_y")
    np.testing.assert_allclose(
        np.sum(parts, axis=0),
        inside / 800 / np.diff(here["edges"].sel(variable="phi_mass").values),
        rtol=1e-5,
    )
    view.against.value = "nearest"
    expected = bin_statistics(product.isel(label=[view.label.value]), "nearest", joint=False)
    expected = expected.isel(label=0).sel(source="flow", variable="omega_mass")
    shown = view.pulls(1).get(1).dimension_values("pull")
    known = ~expected["bin_few"].values
    np.testing.assert_allclose(shown[known], expected["bin_pull"].values[known].clip(-5, 5))
    assert not shown[~known].any()


def test_products_of_one_variable_and_of_three_parameters_are_shown() -> None:
    import residuals_toy as toy
    from presage.exploring.residuals import ResidualsView

    line = toy.residuals(3, variables=1, n=100).assign_attrs(model="flow")
    assert ps.explore(line).get_root() is not None
    lone = ResidualsView(line.isel(label=[0]))  # its colours do not run over rounding errors
    shown = lone.map(lone.metric.value, "flow", 0)
    low, high = hv.Store.lookup_options("bokeh", shown, "plot").kwargs["clim"]
    assert low == 0 < float(shown["value"][0]) < high
    deep = toy.residuals(3, parameters=3, n=60).assign_attrs(model="flow")
    view = ResidualsView(deep)
    assert view.view().get_root() is not None
    view.sliders[0].value = 1.0
    assert float(deep["chi_label"][view.label.value]) == 1.0
    assert len(view.map(view.metric.value, "flow", view.label.value)) == 9


def test_what_is_selected_in_one_panel_is_selected_in_all() -> None:
    from presage.exploring.linked import linked

    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(500, 2)), columns=["a", "b"])
    link = hv.link_selections.instance()
    box = linked({"flow": rows}, {"a": "a [GeV]", "b": "b"}, {"flow": "#0072b2"}, {"a": 0.0},
                 link)  # fmt: skip
    assert box.get_root() is not None
    link.selection_expr = hv.dim("a") > 1.0
    panel = [cell for cell in box if isinstance(cell, pn.pane.HoloViews)][1]
    points = panel.object[()].traverse(lambda part: len(part), [hv.Points])
    assert sorted(points) == sorted([500, int((rows["a"] > 1).sum())])


def test_draws_of_posteriors_are_shown_for_every_choice() -> None:
    import pdf_toys

    product = pdf_toys.posteriors(2, 500, (10, 100))
    view = ps.explore(product)
    observation, size = view.select(pn.widgets.DiscreteSlider)
    assert (observation.value, size.value) == (0, 1)
    assert len(view.select(pn.pane.HoloViews)) == 6
    observation.value = 1
    view.select(pn.widgets.MultiChoice)[0].value = ["mu_x"]
    assert len(view.select(pn.pane.HoloViews)) == 1
    drawn = product["draws"].sel(kind="estimate", size=100, drop=True).to_dataset(name="theta")
    assert ps.explore(drawn).select(pn.pane.HoloViews)


def test_a_cube_has_slices_and_curves(cube: xr.DataArray) -> None:
    from presage.exploring.cube import Cube

    assert ps.explore(cube).get_root() is not None
    one = Cube(cube)
    assert one.view().get_root() is not None
    one.sliders["frequency"].value = 2
    assert one.picture().dimension_values("value", flat=False).mean() == pytest.approx(200, abs=1)
    one.tap.event(x=3.2, y=1.9)
    np.testing.assert_allclose(one.curve().get(0).dimension_values("value"), cube[:, 2, 3])
    one.y.value = "frequency"
    assert one.view().get_root() is not None
    several = ps.explore(xr.Dataset({"map": cube, "mean": cube.mean("x"), "n": ("x", range(7))}))
    assert several.select(pn.widgets.Select)[0].options == ["map", "mean"]


@pytest.mark.parametrize(
    ("thing", "text"),
    [(3.0, "got float"), (xr.Dataset({"x": ("event", [1.0])}), "nothing to explore")],
)
def test_what_cannot_be_explored_is_refused(thing: object, text: str) -> None:
    with pytest.raises(LabelError, match=text):
        ps.explore(thing)


def test_in_a_batch_nothing_is_made_and_panel_waits(
    cube: xr.DataArray, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "step.json"))
    assert ps.explore(cube) is None
    code = (
        "import sys, presage; presage.explore; assert not {'panel', 'holoviews'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_flow_draws_at_the_label_of_its_sliders() -> None:
    from presage.exploring.linked import POINTS
    from presage.exploring.live import live_view

    train = gaussian_events(grid(4, 3), 60, seed=9)
    fitted = ps.fit(ps.models.SplineFlow(bins=4, hidden=(8,)), train, epochs=1, progress=False)
    view = live_view(fitted)
    sliders = view.select(pn.widgets.FloatSlider)
    assert [slider.end for slider in sliders] == [3.0, 2.0]
    before = view.select(pn.pane.HoloViews)
    assert len(before) == 3
    with param.edit_constant(sliders[0]):  # as the browser does when a slider is released
        sliders[0].value_throttled = 2.5
    after = view.select(pn.pane.HoloViews)
    means = [
        float(
            np.mean(panes[1].object[()].traverse(lambda p: p, [hv.Points])[0].dimension_values(0))
        )
        for panes in (before, after)
    ]
    assert means[0] != means[1]
    assert len(after[1].object[()].traverse(lambda p: p, [hv.Points])[0]) == POINTS
    with pytest.raises(LabelError, match="a trained flow that draws events at labels, got 3"):
        live_view(3)
