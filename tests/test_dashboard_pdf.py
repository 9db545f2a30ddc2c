"""The page of study `pdf` in a real browser: what is rendered, flips, addresses, bad stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import xarray as xr

import pdf_toys as toy
from browsing import PATIENCE, Site, Visit, needs_browser, start
from presage.recipe import Recipe
from presage.store import Store
from presage.studies.pdf import exhibits
from presage.studies.pdf.gaussian import Gaussian

pytestmark = pytest.mark.browser
MARKUP = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'
SIZES = (10, 100)


@pytest.fixture(scope="module")
def stocked(tmp_path_factory) -> tuple[Store, dict[str, str]]:
    """A store with a good product, a calibration, and products that are faulty."""
    root = tmp_path_factory.mktemp("pdf") / "store"
    good, problem = toy.posteriors(2, 500, SIZES), Gaussian(n_events=100)
    keys = {}

    def put(name: str, dataset: xr.Dataset) -> Path:
        recipe = exhibits.recipe(exhibits.POSTERIORS, problem, seed=len(keys) + 1)
        store.put(recipe, dataset)
        keys[name] = recipe.key
        return store.entry(recipe).folder / "product.nc"

    store, keys["good"] = toy.store_with(root, good, toy.calibration(300, 60))
    put("foreign", xr.Dataset({"power": ("ell", np.arange(5.0))}))
    put("no contours", good.drop_vars("contour"))
    put("no band", good.drop_vars("density_y_band"))
    put("other dims", good.rename(vertex="corner"))
    put("markup", _with_markup(good))
    put("alone", good.sel(kind=["reference"]).isel(observation=[0], size=[0]))
    put("cut", good)
    return store, keys


def _with_markup(good: xr.Dataset) -> xr.Dataset:
    """Return posteriors of a foreign file, with markup wherever there is text."""
    count = good.sizes["parameter"]
    named = np.array([f"{MARKUP}{k}" for k in range(count)], dtype=object)
    foreign = good.assign_coords(parameter=("parameter", named))
    foreign = foreign.assign_coords(feature=("feature", np.array([MARKUP, "y"], dtype=object)))
    foreign.attrs["problem"] = foreign.attrs["n_theta"] = MARKUP
    foreign["density_x_band"].attrs.update(long_name=MARKUP, units=MARKUP)
    return foreign


@pytest.fixture(scope="module")
def site(stocked, tmp_path_factory, servers) -> Site:
    store, keys = stocked
    folder = tmp_path_factory.mktemp("server")
    return start(store.root, keys["good"], servers, folder / "server.log")


@pytest.fixture
def visit(browser, site) -> Iterator[Visit]:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    faults: list[str] = []
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    inside = (site.url, site.url.replace("http", "ws"), "data:", "blob:")
    page.on("request", lambda r: faults.append(r.url) if not r.url.startswith(inside) else None)
    yield Visit(page, faults)
    hit = page.evaluate("window.hit === undefined")
    page.close()
    assert hit, "markup of a product was run"
    assert faults == []


def ink(visit: Visit) -> list[int]:
    """Return what corner, curve, residuals and events look like; each has an empty layer above."""
    return visit.pixels()[::2]


def changed(before: list[int], after: list[int]) -> list[bool]:
    """Return whether corner, curve, residuals and events were painted anew."""
    assert len(before) == len(after) == 4
    return [a != b for a, b in zip(before, after, strict=True)]


@needs_browser
def test_a_posterior_stands_beside_the_reference_with_its_numbers(visit, site):
    visit.open(site.at("pdf", size="100", observation="1"))
    numbers, head = visit.piece("table.merit"), visit.piece(".head")
    for shown in ("estimate", "corrected", "mu_x", "rho", "C2ST", "σ / σ ref."):
        assert shown in numbers
    assert "gaussian, observation 1, 100 events" in head
    assert "exact reference" in head
    product = toy.posteriors(2, 500, SIZES).isel(observation=1).sel(size=100)
    note = visit.piece(".merit-note")
    assert f"efficiency {100 * float(product['efficiency']):.0f} %" in note
    assert f"references: {float(product['c2st_floor']):.3f}" in note
    assert f"{float(product['c2st'].sel(kind='estimate')):.3f}" in numbers
    assert f"{float(product['sd_ratio'].sel(kind='estimate', parameter='rho')):.2f}" in numbers
    assert "gaussian" in visit.piece(".provenance")
    assert "fit-posterior" in visit.piece(".provenance")
    assert all(ink(visit)), "corner, curve, residuals, events"
    for width in (1600, 1280):
        visit.page.set_viewport_size({"width": width, "height": 800})
        visit.still()
        for element in ("document.documentElement", "document.querySelector('#main')"):
            wide, room = visit.page.evaluate(f"[{element}.scrollWidth, {element}.clientWidth]")
            assert wide <= room, f"{element} scrolls sideways at {width}"


@needs_browser
def test_narrow_windows_do_not_scroll_sideways(visit, site):
    visit.open(site.at("pdf"))
    for width, height in ((1600, 900), (1280, 800), (800, 900), (390, 844)):
        visit.fits(width, height)
    visit.page.keyboard.press("?")
    assert "(best: 0.5)" in visit.piece(".help")
    assert visit.page.locator("td[title]", has_text="C2ST").get_attribute("title")


@needs_browser
def test_flips_change_what_is_drawn_and_ask_nothing_of_the_server(visit, site):
    sent: list[str] = []
    visit.page.on("websocket", lambda s: s.on("framesent", lambda frame: sent.append("frame")))
    visit.open(site.at("pdf", observation="0", size="10"))
    first, numbers, frames = ink(visit), visit.piece("table.merit"), len(sent)
    visit.page.keyboard.press("ArrowRight")
    assert visit.page.evaluate("presage.state.size") == 1
    second = ink(visit)
    assert all(changed(first, second)), "corner, curve, residuals and events are of more events"
    assert visit.piece("table.merit") != numbers
    visit.page.keyboard.press("ArrowDown")
    third = ink(visit)
    assert all(changed(second, third))
    visit.address("observation=1&size=100")
    visit.page.keyboard.press("ArrowRight")
    assert visit.page.evaluate("presage.state.size") == 1, "there are no more events"
    visit.page.keyboard.press("c")
    assert changed(third, ink(visit)) == [False, True, True, False], "another curve"
    visit.page.keyboard.press("c")
    visit.page.keyboard.press("2")
    assert visit.page.evaluate("presage.state.kinds") == ["reference", "corrected"]
    assert changed(third, ink(visit)) == [True, True, True, False], "without the estimate"
    assert len(sent) == frames, "keys ask nothing of the server"


@needs_browser
def test_the_slider_and_buttons_set_the_view(visit, site):
    visit.open(site.at("pdf", size="10"))
    before = ink(visit)
    visit.page.locator("input.slide").fill("1")
    assert visit.page.evaluate("presage.state.size") == 1
    visit.still()
    assert visit.piece(".size b") == "100"
    assert all(changed(before, ink(visit)))
    before = ink(visit)
    visit.page.get_by_role("button", name="prior", exact=True).click()
    assert changed(before, ink(visit)) == [True, False, False, False], "axes of the corner"
    before = ink(visit)
    visit.page.get_by_role("button", name="truth", exact=True).click()
    assert changed(before, ink(visit)) == [False, False, True, False], "the residuals only"
    visit.address("against=truth&range=prior")


@needs_browser
def test_the_address_restores_the_view(visit, site):
    visit.open(site.at("pdf", observation="1", size="10", kinds="reference,corrected",
                       curve="density_y", strip="ratio", against="truth",
                       range="prior"))  # fmt: skip
    state = visit.page.evaluate("presage.state")
    assert (state["observation"], state["size"], state["curve"]) == (1, 0, 1)
    assert state["kinds"] == ["reference", "corrected"]
    assert (state["strip"], state["against"], state["range"]) == ("ratio", "truth", "prior")
    assert visit.page.locator(".notice").count() == 0
    visit.address("curve=density_y&strip=ratio&against=truth&range=prior")
    before = visit.page.evaluate("location.search")
    visit.page.goto(site.url + before, timeout=PATIENCE)
    visit.page.wait_for_function("window.presage !== undefined", timeout=PATIENCE)
    assert visit.page.evaluate("location.search") == before


@needs_browser
def test_what_is_drawn_is_what_the_product_holds(visit, site):
    visit.open(site.at("pdf", observation="1", size="100", curve="density_y"))
    product = toy.posteriors(2, 500, SIZES).isel(observation=1).sel(size=100)
    drawn = visit.page.evaluate(_DRAWN)
    median = product["density_y_band"].sel(kind="estimate", level=0.5).values
    assert drawn["median"] == pytest.approx(median.tolist(), rel=1e-6)
    assert drawn["true"] == pytest.approx(product["density_y_true"].values.tolist(), rel=1e-6)
    assert drawn["points"] == 100, "events"
    assert drawn["crosses"] == 10, "the truth in every panel of two parameters"


_DRAWN = """() => {
  const all = [...Bokeh.documents[0]._all_models.values()];
  const columns = ({data}) => data instanceof Map ? Object.fromEntries(data) : data;
  const lines = all.filter((m) => m.type === "GlyphRenderer").map((r) => ({
    kind: r.glyph.type, colour: r.glyph.line_color?.value ?? r.glyph.line_color,
    width: r.glyph.line_width?.value ?? r.glyph.line_width, marker: r.glyph.marker?.value,
    data: columns(r.data_source)}));
  const of = (colour, width) => lines.find((l) => l.kind === "Line" && l.colour === colour &&
    l.width === width && l.data.x.length === 61);
  const dots = lines.filter((l) => l.kind === "Scatter");
  return {median: [...of("#0072b2", 1.6).data.y], true: [...of("#d55e00", 1.4).data.y],
    points: dots.find((l) => l.marker !== "cross").data.x.length,
    crosses: dots.find((l) => l.marker === "cross").data.x.length};
}"""


@needs_browser
def test_the_calibration_is_made_when_it_is_asked_for(visit, site):
    visit.open(site.at("pdf"))
    figures = visit.page.locator(".bk-Figure:visible").count()
    visit.page.get_by_role("button", name="calibration", exact=True).click()
    visit.page.get_by_text("300 observations of 1000 events, 60 draws each").wait_for(
        timeout=PATIENCE
    )
    visit.still()
    assert figures == 4
    assert visit.page.locator(".bk-Figure:visible").count() == 5
    assert visit.page.locator("table.merit:visible").count() == 0
    visit.address("panel=calibration")
    picture = visit.page.evaluate("presage.composed().toDataURL().length")
    visit.page.get_by_role("button", name="posterior", exact=True).first.click()
    visit.still()
    assert visit.page.locator("table.merit:visible").count() == 1
    assert picture > 20_000
    assert visit.page.evaluate("presage.composed().toDataURL().length") > 20_000


@needs_browser
def test_png_and_netcdf_are_named_by_what_they_hold(visit, site, stocked):
    visit.open(site.at("pdf", observation="1", size="10"))
    with visit.page.expect_download(timeout=PATIENCE) as picture:
        visit.page.get_by_role("button", name="PNG").click()
    name = picture.value.suggested_filename
    assert name == f"pdf-gaussian-observation-1-10-{site.key[:8]}.png"
    assert Path(picture.value.path()).read_bytes()[:4] == b"\x89PNG"
    with visit.page.expect_download(timeout=PATIENCE) as product:
        visit.page.get_by_text("netCDF").click()
    assert product.value.suggested_filename == f"pdf_posteriors-{site.key[:16]}.nc"
    store, _ = stocked
    with xr.open_dataset(product.value.path(), engine="h5netcdf") as saved:
        assert saved.load().identical(store.get(store.find(site.key)))


@needs_browser
def test_nonsense_in_the_address_is_said_and_harmless(visit, site):
    wrong = {"observation": "99", "size": "-1", "kinds": quote(MARKUP), "curve": "density_z",
             "strip": "sigm", "against": "%00", "range": "9" * 3000, "panel": "[]",
             "features": "x,z", "checks": "../../etc"}  # fmt: skip
    visit.open(site.at("pdf", **wrong))
    notices = visit.notices()
    assert len(notices) == len(wrong)
    said = " ".join(notices)
    for part in ("no observation '99'", "did you mean 'density_", "did you mean 'sigma'",
                 "'../../etc' is the key of no calibration", "<img src=x"):  # fmt: skip
        assert part in said
    assert visit.page.evaluate("presage.state.observation") == 0
    assert visit.page.evaluate("presage.state.kinds") == []


@needs_browser
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("foreign", "is not one of posteriors: it lacks draws"),
        ("no contours", "it lacks contour"),
        ("no band", "it lacks density_y_band"),
        ("other dims", "contour should have the dims"),
        ("cut", "This page cannot be shown"),
    ],
)
def test_a_faulty_product_is_said_and_others_are_named(visit, site, stocked, name, expected):
    store, keys = stocked
    if name == "cut":
        path = store.root / "pdf_posteriors" / keys[name][:16] / "product.nc"
        path.write_bytes(path.read_bytes()[:-1000])
    visit.page.goto(f"{site.url}?page=pdf&key={keys[name][:16]}", timeout=PATIENCE)
    visit.page.get_by_text("Posteriors in this store").wait_for(timeout=PATIENCE)
    assert expected in visit.piece(".guide >> nth=0")
    assert visit.page.locator(f"a[href*='page=pdf&key={keys['good'][:16]}']").count() == 1
    assert "Traceback" not in site.log.read_text()


@needs_browser
def test_foreign_text_is_shown_as_text(visit, site, stocked):
    visit.open(f"{site.url}?page=pdf&key={stocked[1]['markup'][:16]}")
    visit.still()
    assert MARKUP in visit.piece(".head")
    assert MARKUP in visit.piece("table.merit")


@needs_browser
def test_a_reference_alone_can_be_looked_at(visit, site, stocked):
    visit.open(f"{site.url}?page=pdf&key={stocked[1]['alone'][:16]}")
    assert "observation 0, 10 events" in visit.piece(".head")
    assert "estimate" not in visit.piece("table.merit")
    visit.page.keyboard.press("1")
    assert visit.page.evaluate("presage.state.kinds") == []
    assert all(ink(visit)), "the truth is left"


@needs_browser
def test_empty_and_unfinished_stores_name_the_command(visit, tmp_path, servers):
    other = start(tmp_path / "store", "", servers, tmp_path / "server.log")
    address = other.url + "?page=pdf"
    visit.page.goto(address, timeout=PATIENCE)
    visit.page.get_by_text("The store is empty").wait_for(timeout=PATIENCE)
    assert "presage run pdf --preset quick" in visit.piece(".guide pre")
    store = Store(tmp_path / "store")
    store.put(Recipe("fit-posterior_flow", 1), xr.Dataset({"loss": ("epoch", [1.0])}))
    visit.page.goto(address, timeout=PATIENCE)
    visit.page.get_by_text("The run is not finished").wait_for(timeout=PATIENCE)
    assert "presage run pdf --preset quick" in visit.piece(".guide pre")
    store.put(exhibits.recipe(exhibits.POSTERIORS, Gaussian()), toy.posteriors(2, 500, SIZES))
    visit.open(address)
    visit.page.get_by_role("button", name="calibration", exact=True).click()
    visit.page.get_by_text("No calibration of this problem").wait_for(timeout=PATIENCE)
    visit.faults[:] = [fault for fault in visit.faults if not fault.startswith(other.url[:-1])
                       and not fault.startswith(other.url.replace("http", "ws")[:-1])]  # fmt: skip
