"""The page of study `sky` in a real browser: maps, spectra, a clicked line of sight, bad stores."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import sky_toy as toy
from browsing import PATIENCE, Site, needs_browser, start
from presage.recipe import Recipe
from presage.store import Store

pytestmark = pytest.mark.browser
MARKUP = '<img src=x onerror="window.hit=1">'
PANEL = {"maps": 2, "sight": 3, "plane": 4, "scan": 13}


@pytest.fixture(scope="module")
def stocked(tmp_path_factory) -> tuple[Store, dict[str, str], xr.Dataset]:
    """A store with maps, visibilities, and products that are faulty."""
    store, good = toy.made(tmp_path_factory.mktemp("sky") / "store")
    keys = {"good": str(good.attrs["presage_key"])}
    turned = good.rename(y="baseline", x="right_ascension")
    kinds = {
        "no truth": good.drop_vars("truth"),
        "other dims": good.rename(k_parallel="k_along"),
        "few": _foreign(good.isel(cleaner=[0, 2], sky=[0])),
        "visibilities": turned.assign_coords(baseline=np.arange(16.0) ** 2).assign_attrs(
            across="baseline,right_ascension"
        ),
    }
    for seed, (name, product) in enumerate(kinds.items()):
        recipe = Recipe("sky_residuals", 1, seed=seed + 1)
        store.put(recipe, product)
        keys[name] = recipe.key
    return store, keys, good


def _foreign(few: xr.Dataset) -> xr.Dataset:
    """Return a product without what may be missing, with markup wherever there is text."""
    few = few.drop_vars(["coverage", "scan_total", "signal_error", "observed"])
    few["cleaner_title"] = few["cleaner_title"] + MARKUP
    few.attrs = {"sky": MARKUP}
    return few


@pytest.fixture(scope="module")
def site(stocked, tmp_path_factory, servers) -> Site:
    log = tmp_path_factory.mktemp("server") / "log"
    return start(stocked[0].root, stocked[1]["good"], servers, log)


def image(visit, k: int, panel: str = "maps") -> np.ndarray:
    """Return what a picture holds."""
    source = f"presage.models.panels.panel{PANEL[panel]}.pictures[{k}].source"
    values = visit.page.evaluate(f"[...{source}.get_array('image')[0]]")
    return np.array([np.nan if value is None else value for value in values], float)


def line(visit, panel: str, of: str) -> np.ndarray:
    """Return the values of a curve."""
    code = f"[...presage.models.panels.panel{PANEL[panel]}.main.{of}.get_array('y')]"
    return np.array(visit.page.evaluate(code), float)


def arrived(visit, name: str, key: list[int]) -> None:
    """Wait until an array of a state is there."""
    code = f"JSON.stringify(presage.loaded('{name}')) === '{str(key).replace(' ', '')}'"
    visit.page.wait_for_function(code, timeout=PATIENCE)


@needs_browser
def test_keys_step_through_channels_and_what_the_scan_says_without_the_server(visit, site):
    sent: list[str] = []
    visit.page.on("websocket", lambda s: s.on("framesent", lambda frame: sent.append("frame")))
    visit.open(site.at("sky", sky="1", frequency="503.125"))
    assert "leakage, sky 1, 503.125 MHz" in visit.piece(".head")
    for width, height in ((1400, 900), (800, 900), (390, 844)):
        visit.fits(width, height)
    visit.page.set_viewport_size({"width": 1400, "height": 900})
    visit.still()
    before, frames = visit.pixels()[::2], len(sent)
    visit.page.keyboard.press("ArrowRight")
    changed = [a != b for a, b in zip(before, visit.pixels()[::2], strict=True)]
    assert changed == [True] * 6 + [False] * 7, "five maps, the mark in the line of sight"
    before = visit.pixels()[::2]
    for key in (".", "n"):
        visit.page.keyboard.press(key)
    assert len(sent) == frames, "keys ask nothing of the server"
    visit.page.keyboard.press("p")  # a bar with other numbers is laid out, and Bokeh tells of it
    changed = [a != b for a, b in zip(before, visit.pixels()[::2], strict=True)]
    assert changed == [False] * 6 + [True] + [False] * 3 + [True] * 3, "plane, eigenvalues, scan"
    visit.address("plane=residual")
    visit.address("modes=5&scanned=power")
    again = visit.page.evaluate("location.search")
    visit.open(site.url, again)
    assert visit.page.evaluate("location.search") == again


@needs_browser
def test_what_is_drawn_is_what_the_product_holds(visit, site, stocked):
    visit.open(site.at("sky", sky="1", cleaner="pca", plane="residual"))
    visit.still()
    _, _, good = stocked
    here = good.isel(sky=1, frequency=8)
    reach = float(f"{3 * float(good['truth'].std()):.1g}")
    truth = here["truth"].values.ravel()
    assert image(visit, 0) == pytest.approx(truth.clip(-reach, reach), abs=reach / 100)
    assert line(visit, "scan", "lines[0]") == pytest.approx(
        np.log10(good["scan_residual"].sel(modes=good.attrs["best_modes"]).values), rel=1e-5
    )
    known = good["mode_count"] > 0
    plane = good["residual"].sel({"cleaner": "pca"}).where(known).T.values.ravel()
    assert image(visit, 0, "plane") == pytest.approx(plane.astype("f4"), nan_ok=True)
    assert f"{float(good['ratio_to_limit_band'].sel({'cleaner': 'pca'})[2]):.2f}" in visit.piece(
        "table.numbers"
    )
    visit.page.keyboard.press("5")
    arrived(visit, "rest", [1, 5])
    rest = (here["cleaned"].sel({"cleaner": "fastica"}) - here["truth"]).values.ravel()
    assert image(visit, 2) == pytest.approx(rest.clip(-reach, reach), abs=reach / 100)
    assert "FastICA" in visit.piece(".note-box .caption")
    visit.page.keyboard.press("Shift+Digit1")
    arrived(visit, "rest_other", [1, 1])
    other = here["cleaned"].sel({"cleaner": "wiener_other"}).values.ravel()
    assert image(visit, 3) == pytest.approx(other.clip(-reach, reach), abs=reach / 100)
    visit.address("cleaner=fastica&other=wiener_other")


@needs_browser
@pytest.mark.parametrize("kind", ["good", "visibilities"])
def test_a_click_into_a_map_chooses_the_line_of_sight(visit, site, stocked, kind):
    _, keys, good = stocked
    visit.open(site.at("sky", keys[kind], cleaner="pca"))
    figure = f"presage.models.panels.panel{PANEL['maps']}.pictures[2].figure"
    place = 3.2 if kind == "visibilities" else float(good["y"][3]) + 0.05
    x = float(good["x"][11]) - 0.05
    visit.page.evaluate(f"presage.click({x}, {place}, false, {figure})")
    arrived(visit, "sight", [0, 3, 11])
    seen = good.isel(sky=0, y=3, x=11)
    assert line(visit, "sight", "truth") == pytest.approx(seen["truth"].values, rel=1e-6)
    cleaned = seen["cleaned"].sel({"cleaner": "pca"}).values
    assert line(visit, "sight", "lines[2]") == pytest.approx(cleaned, rel=1e-6)
    across = good.rename(y="baseline", x="right_ascension") if kind == "visibilities" else good
    names = list(across["truth"].dims)[2:]
    visit.address(f"{names[0]}=3&{names[1]}=11")


@needs_browser
def test_picture_file_and_help_are_there_and_nonsense_is_said(visit, site):
    visit.open(site.at("sky", sky="7", cleaner="networ", other="%00", modes="-1", frequency="500,"))
    notices = visit.notices()
    said = " ".join(notices)
    assert "there is no sky '7'" in said
    assert "did you mean 'network'" in said
    assert len(notices) == 5
    assert visit.downloads() == [
        f"sky-leakage-0-553.125MHz-{site.key[:8]}.png",
        f"sky_residuals-{site.key[:16]}.nc",
    ]
    visit.page.keyboard.press("?")
    assert "S − S (S + G + N)⁻¹ S" in visit.piece(".help")


@needs_browser
def test_few_methods_without_a_scan_are_shown_and_foreign_text_as_text(visit, site, stocked):
    visit.open(site.at("sky", stocked[1]["few"]))
    visit.still()
    assert "PCA" in visit.piece("table.numbers")
    assert MARKUP in visit.piece(".head")
    assert MARKUP in visit.piece(".note-box .caption")
    assert visit.page.evaluate("window.hit === undefined")
    assert visit.page.locator("input.slide").count() == 1, "frequency"
    assert visit.page.locator(".bk-Figure:visible").count() == 10


@needs_browser
@pytest.mark.parametrize(
    ("name", "expected"),
    [("no truth", "is not one of cleaned skies: it lacks truth"),
     ("other dims", "residual should have the dims")],
)  # fmt: skip
def test_a_faulty_product_is_said(visit, site, stocked, name, expected):
    visit.page.goto(site.at("sky", stocked[1][name]), timeout=PATIENCE)
    visit.page.get_by_text("Cleaned skies in this store").wait_for(timeout=PATIENCE)
    assert expected in visit.piece(".guide >> nth=0")
