"""The dashboard in a real browser: what is rendered, not that something answered."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import xarray as xr

import residuals_toy as toy
from presage.recipe import Recipe
from presage.store import Store

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 60_000  # milliseconds; the machine may be busy
SERVE = """
import sys
sys.path[:0] = sys.argv[3:]
from dashboards.app import serve
serve(sys.argv[1], port=int(sys.argv[2]), show=False)
"""

needs_browser = pytest.mark.skipif(
    not Path(CHROMIUM).exists() and not os.environ.get("CI"),
    reason="no Chromium here (in CI that is a failure)",
)
pytestmark = pytest.mark.browser


@dataclass
class Site:
    """A running server, its store and what it wrote."""

    url: str
    key: str
    log: Path
    process: subprocess.Popen = field(repr=False)


@pytest.fixture(scope="module")
def servers() -> Iterator[list[subprocess.Popen]]:
    """Every server started here, stopped at the end whatever happens."""
    started: list[subprocess.Popen] = []
    yield started
    for process in started:
        process.terminate()
    for process in started:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@pytest.fixture(autouse=True)
def _no_server_is_left(servers: list[subprocess.Popen]) -> None:
    """Make every test depend on the fixture that stops all servers."""


def start(store: Path, key: str, servers: list[subprocess.Popen], log: Path) -> Site:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    paths = [str(ROOT), str(ROOT / "package")]
    command = [sys.executable, "-c", SERVE, str(store), str(port), *paths]
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=log.parent)
    servers.append(process)
    site = Site(f"http://127.0.0.1:{port}/", key, log, process)
    for _ in range(240):
        if process.poll() is not None:
            pytest.fail(f"the server ended: {log.read_text()}")
        try:
            urllib.request.urlopen(f"{site.url}static/js/bokeh.min.js", timeout=5).close()
            return site
        except OSError:
            time.sleep(0.25)
    pytest.fail(f"the server did not start: {log.read_text()}")


@pytest.fixture(scope="module")
def site(tmp_path_factory, servers) -> Site:
    folder = tmp_path_factory.mktemp("dashboard")
    _, key = toy.store_with(folder / "store", toy.residuals(n=1500))
    return start(folder / "store", key, servers, folder / "server.log")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@dataclass
class Visit:
    """One page and everything that went wrong on it."""

    page: object
    faults: list[str]

    def open(self, url: str, query: str = "", ready: str = "window.presage !== undefined") -> Visit:
        self.page.goto(url + query, timeout=PATIENCE)
        self.page.wait_for_function(ready, timeout=PATIENCE)
        return self

    def piece(self, name: str) -> str:
        return self.page.locator(name).inner_text()

    def address(self, part: str) -> None:
        self.page.wait_for_function(
            "(part) => decodeURIComponent(location.search).includes(part)",
            arg=part,
            timeout=PATIENCE,
        )

    def pixels(self) -> list[int]:
        """How much ink each canvas holds, all figures in order."""
        self.page.wait_for_timeout(250)
        return self.page.evaluate(_INK)


_INK = """() => {
  const found = [];
  const walk = (root) => { for (const e of root.querySelectorAll('*')) {
    if (e.tagName === 'CANVAS' && e.width > 50) found.push(e);
    if (e.shadowRoot) walk(e.shadowRoot);
  } };
  walk(document);
  return found.map((c) => {
    const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
    let hash = 0;
    for (let i = 0; i < d.length; i += 4)
      if (d[i + 3]) hash = (hash * 31 + d[i] * 65536 + d[i + 1] * 256 + d[i + 2] + i) % 1000003;
    return hash;
  });
}"""


@pytest.fixture
def visit(browser, site) -> Iterator[Visit]:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    faults: list[str] = []
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda r: faults.append(f"outside: {r.url}") if _outside(r.url) else None)
    yield Visit(page, faults)
    page.close()
    assert faults == []
    assert "Traceback" not in site.log.read_text()


def _outside(url: str) -> bool:
    return not re.match(r"(http|ws)://127\.0\.0\.1:|data:|blob:", url)


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
def test_the_store_page_lists_shows_and_checks(visit, site):
    visit.open(site.url, "?page=store", "document.title !== ''")
    visit.page.locator("table.entries").wait_for(timeout=PATIENCE)
    rows = visit.piece("table.entries")
    for shown in ("residuals", "fit-spline-flow", "resonance", "complete"):
        assert shown in rows
    visit.page.locator("table.entries a", has_text="residuals").click()
    visit.page.locator(".details dd code").filter(has_text=site.key).wait_for(timeout=PATIENCE)
    assert "48500" in visit.piece(".details pre")
    visit.page.get_by_role("button", name="Check sizes and hashes").click()
    visit.page.locator(".good", has_text="hold what was published").wait_for(timeout=PATIENCE)
    visit.page.locator(".details svg a", has_text="fit-spline-flow").click()
    visit.page.wait_for_url("**key=*", timeout=PATIENCE)
    visit.page.locator(".details h3", has_text="fit-spline-flow").wait_for(timeout=PATIENCE)


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
    store.put(Recipe("fit-spline-flow", 1), xr.Dataset({"loss": ("epoch", [1.0])}))
    visit.open(site.url, "", "document.title !== ''")
    visit.page.get_by_text("The run is not finished").wait_for(timeout=PATIENCE)
    assert "Missing: the residuals" in visit.piece(".guide")
    assert "presage run events" in visit.piece(".guide")


def test_the_server_is_bound_to_this_machine():
    from dashboards.app import settings

    found = settings(5006)
    assert found["address"] == "127.0.0.1"
    assert found["websocket_origin"] == ["localhost:5006", "127.0.0.1:5006"]
