"""The dashboard in a real browser: what is rendered, not that something answered."""

from __future__ import annotations

import pytest
import xarray as xr

import residuals_toy as toy
from browsing import PATIENCE, needs_browser, start
from presage.recipe import Recipe
from presage.store import Store

pytestmark = pytest.mark.browser


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
    for width in (1600, 1280):
        visit.page.set_viewport_size({"width": width, "height": 900})
        visit.page.wait_for_timeout(200)
        for element in ("document.documentElement", "document.querySelector('#main')"):
            wide, room = visit.page.evaluate(f"[{element}.scrollWidth, {element}.clientWidth]")
            assert wide <= room, f"{element} scrolls sideways at {width}"


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
    assert visit.page.evaluate("presage.meta.sources[presage.state.source]") == "nearest"
    assert "classifier AUC" in visit.piece(".caption")
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
    visit.page.evaluate("presage.set({rest: [0], pair: 2})")
    visit.page.wait_for_function("presage.loaded() === 2", timeout=PATIENCE)
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
