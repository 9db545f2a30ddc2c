"""The dashboard in a real browser: what is rendered, not that something answered."""

from __future__ import annotations

import pytest
import xarray as xr

import residuals_toy as toy
from browsing import PATIENCE, needs_browser, start
from presage.recipe import Recipe
from presage.store import Store

pytestmark = pytest.mark.browser
WINDOWS = (1600, 900), (1280, 800), (800, 900), (390, 844)


@needs_browser
def test_events_page_draws_the_worst_held_out_label(visit, site):
    visit.open(site.url)
    assert "interior" in visit.piece(".head")
    numbers = visit.piece("table.numbers")
    for shown in ("phi mass", "omega mass", "W₁ / std", "classifier AUC", "floor"):
        assert shown in numbers
    assert "resonance" in visit.piece(".provenance")
    assert sum(map(bool, visit.pixels())) >= 8, "every figure is drawn; overlays may be empty"
    visit.address(f"key={site.key[:16]}")
    for width, height in WINDOWS:
        visit.fits(width, height)


@needs_browser
def test_a_click_and_the_arrow_keys_change_the_panels(visit, site):
    sent: list[str] = []
    visit.page.on("websocket", lambda s: s.on("framesent", lambda frame: sent.append("frame")))
    visit.open(site.url, "?label=3047.778,4.15")
    before, head = visit.pixels(), visit.piece(".head")
    grid = visit.page.locator(".bk-Figure").first
    box = grid.bounding_box()
    visit.page.mouse.click(box["x"] + 0.35 * box["width"], box["y"] + 0.3 * box["height"])
    visit.page.wait_for_function("presage.state.label !== 54", timeout=PATIENCE)
    clicked, other = visit.pixels(), visit.piece(".head")
    assert other != head
    changed = [a != b for a, b in zip(before, clicked, strict=True)]
    assert sum(changed) >= 7, "grid, three panels, two marginals with strips"
    label, before = visit.page.evaluate("presage.state.label"), len(sent)
    visit.page.keyboard.press("ArrowRight")
    assert visit.page.evaluate("presage.state.label") == label + 10
    visit.page.keyboard.press("ArrowDown")
    assert visit.page.evaluate("presage.state.label") == label + 9
    assert visit.pixels() != clicked
    assert visit.piece(".head") != other
    assert len(sent) == before, "moving by keys asks nothing of the server"


@needs_browser
def test_the_address_restores_the_view(visit, site):
    query = (
        f"?page=events&key={site.key[:12]}&label=685.556,1.225&source=nearest"
        "&metric=auc&overlay=flow,morphing&strip=ratio&colour=linear"
    )
    visit.open(site.url, query)
    state = visit.page.evaluate("presage.state")
    assert state["label"] == 11
    assert state["overlay"] == ["flow", "morphing"]
    assert (state["strip"], state["colour"]) == ("ratio", "linear")
    assert visit.page.evaluate("presage.meta.cast.names[presage.state.source]") == "nearest"
    assert "classifier AUC" in visit.piece(".caption >> nth=0")
    assert visit.page.locator(".notice").count() == 0
    visit.page.keyboard.press("2")
    visit.address("source=flow")
    visit.address("label=685.5556,1.225")


@needs_browser
def test_nonsense_in_the_address_is_said_and_harmless(visit, site):
    query = (
        "?page=evnts&key=../../etc&label=abc&source=%3Cscript%3Ealert(1)%3C/script%3E"
        "&metric=w1_over_stdd:phi_mass&overlay=floww&strip=pul"
    )
    visit.open(site.url, query)
    said = [notice.inner_text() for notice in visit.page.locator(".notice").all()]
    assert len(said) == 7
    everything = " ".join(said)
    for part in ("did you mean 'events'", "'../../etc'", "2 numbers", "<script>", "did you mean"):
        assert part in everything
    assert "interior" in visit.piece(".head")
    visit.address("source=flow")


@needs_browser
def test_three_labels_and_three_masses_arrive_slice_by_slice(visit, tmp_path, servers, monkeypatch):
    product = toy.residuals(steps=4, parameters=3, variables=3, n=400)
    _, key = toy.store_with(tmp_path / "store", product)
    monkeypatch.setenv("PRESAGE_DASHBOARD_BUDGET", "1000")
    site = start(tmp_path / "store", key, servers, tmp_path / "server.log")
    visit.open(site.url)
    ink, head = visit.pixels(), visit.piece(".head")
    visit.page.evaluate("presage.set({rest: [1], pair: 2})")
    visit.page.wait_for_function("presage.loaded('picture')[0] === 2", timeout=PATIENCE)
    assert visit.piece(".head") != head
    changed = [a != b for a, b in zip(ink, visit.pixels(), strict=True)]
    assert sum(changed) >= 7
    assert "chi mass" in visit.piece("table.numbers")
    assert "Traceback" not in site.log.read_text()


@needs_browser
def test_empty_and_unfinished_stores_name_the_command(visit, tmp_path, servers):
    site = start(tmp_path / "store", "", servers, tmp_path / "server.log")
    visit.open(site.url, "", "document.title !== ''")
    visit.page.get_by_text("The store is empty").wait_for(timeout=PATIENCE)
    assert "presage run events" in visit.piece(".guide")
    store = Store(tmp_path / "store")
    store.put(Recipe("fit-spline_flow", 1), xr.Dataset({"loss": ("epoch", [1.0])}))
    visit.open(site.url, "", "document.title !== ''")
    visit.page.get_by_text("The run is not finished").wait_for(timeout=PATIENCE)
    assert "Missing: residuals" in visit.piece(".guide")
    assert "presage run events" in visit.piece(".guide")


@needs_browser
def test_a_store_of_another_study_is_not_called_unfinished(visit, tmp_path, servers):
    store = Store(tmp_path / "store")
    product = xr.Dataset({"x": ("i", [1.0])})
    store.put(Recipe("pdf_posteriors", 1), product)
    store.put(Recipe("fit-set_encoder", 1), product)
    site = start(store.root, "", servers, tmp_path / "server.log")
    visit.open(site.url, "", "document.title !== ''")
    visit.page.get_by_text("is not one of posteriors").wait_for(timeout=PATIENCE)  # pdf is first
    visit.open(site.url, "?page=events", "document.title !== ''")
    visit.page.get_by_text("No residuals here yet").wait_for(timeout=PATIENCE)
    assert "The store holds 2 datasets, none of study events" in visit.piece(".guide")
    assert visit.page.locator(".guide a").all_inner_texts() == ["PDF", "Store"]


@needs_browser
def test_the_numbers_of_both_variables_fit_a_laptop_and_say_what_they_are(visit, site):
    visit.open(site.url, "?against=morphing")
    visit.fits(1280, 800)
    wide, room = visit.page.locator("table.numbers").evaluate(
        "(t) => [t.scrollWidth, t.parentNode.clientWidth]"
    )
    assert wide <= room, "a column is hidden"
    assert visit.piece("table.numbers").count("floor") == 2
    said = visit.page.locator("table.numbers td[title]").first.get_attribute("title")
    assert "How far events have to be moved" in said
    assert "∫ |F_source − F_reference| dx / std" in said
    assert "best: 0" in said
    visit.page.keyboard.press("?")
    assert "held out of the training" in visit.piece(".help")
    assert "∫ |F_source − F_reference|" in visit.piece(".help")
    visit.page.keyboard.press("Escape")
    assert not visit.page.locator(".help dl").first.is_visible()


@needs_browser
def test_the_colour_bar_says_which_end_is_good(visit, site):
    visit.open(site.url, "?metric=w1_over_std:phi_mass")

    def ends() -> list[str]:
        words = visit.page.evaluate("[...presage.words().entries()].sort((a, b) => a[0] - b[0])")
        return [words[0][1], *(word for _, word in words if word == "floor"), words[-1][1]]

    assert ends() == ["good", "floor", "bad"]
    signed = "presage.meta.panels[0].columns.findIndex((c) => c.signed)"
    visit.page.evaluate(f"presage.set({{column: {signed}}})")
    assert ends() == ["bad", "bad"]
    visit.page.evaluate(
        "presage.set({column: 0, against: presage.meta.cast.names.indexOf('nearest')})"
    )
    assert ends() == ["flow\nbetter", "nearest\nbetter"]


_BEYOND = """presage.strips().map((panel) => ({
  beyond: Object.values(panel.points).flatMap((source) => [...source.get_array("y")])
    .filter((y) => Math.abs(y) > panel.strip.y_range.end).length,
  marks: panel.beyond.get_length(),
  said: [...panel.said.get_array("text")],
}))"""


@needs_browser
def test_points_beyond_the_scale_are_marked_and_counted(visit, site):
    visit.open(site.url, "?source=flow&overlay=nearest")
    for name in ("reference ± √n", "flow", "nearest", "±1 σ of chance", "under 10 events expected"):
        assert name in visit.piece(".keys")
    found = visit.page.evaluate(_BEYOND)
    assert sum(panel["beyond"] for panel in found) > 0
    for panel in found:
        assert panel["marks"] == panel["beyond"]
        assert panel["said"] == [f"▲▼ {panel['beyond']} off scale"] * (panel["beyond"] > 0)


@needs_browser
@pytest.mark.parametrize("variables", [1, 5])
def test_one_observable_and_five_are_drawn(visit, tmp_path, servers, variables):
    product = toy.residuals(steps=3, variables=variables, n=400)
    _, key = toy.store_with(tmp_path / "store", product)
    site = start(tmp_path / "store", key, servers, tmp_path / "server.log")
    visit.open(site.url)
    for width, height in WINDOWS:
        visit.fits(width, height)
    assert visit.page.locator(".bk-Figure:visible").count() == (3 if variables == 1 else 8)
    if variables == 5:
        visit.page.evaluate("presage.set({pair: 9})")
        visit.page.locator("table.numbers", has_text="rho mass").wait_for(timeout=PATIENCE)
    assert "Traceback" not in site.log.read_text()
