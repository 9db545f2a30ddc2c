"""A running dashboard and a headless browser that looks at it, for all tests of pages."""

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

import residuals_toy as toy

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
PATIENCE = 180_000  # milliseconds; the machine may be busy
SERVE = """
import sys
sys.path[:0] = sys.argv[6:]
from dashboards.app import serve
store, port, origins, prefix, studies = sys.argv[1:6]
serve(store, int(port), False, origins.split(), prefix, studies.split())
"""

needs_browser = pytest.mark.skipif(
    not Path(CHROMIUM).exists() and not os.environ.get("CI"),
    reason="no Chromium here (in CI that is a failure)",
)


@dataclass
class Site:
    """A running server, its store and what it wrote."""

    url: str
    key: str
    log: Path
    process: subprocess.Popen = field(repr=False)

    def at(self, page: str, key: str = "", **query: str) -> str:
        """Return the address of a view, of the site's own product unless a `key` is given."""
        given = {"page": page, "key": (key or self.key)[:16], **query}
        return self.url + "?" + "&".join(f"{name}={value}" for name, value in given.items())


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


def start(
    store: Path,
    key: str,
    servers: list[subprocess.Popen],
    log: Path,
    origins: str = "",
    prefix: str = "",
    studies: tuple[str, ...] = (),
) -> Site:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    paths = [str(ROOT), str(ROOT / "package"), str(ROOT / "tests")]
    given = [str(store), str(port), origins, prefix, " ".join(studies)]
    command = [sys.executable, "-c", SERVE, *given, *paths]
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=log.parent)
    servers.append(process)
    site = Site(f"http://127.0.0.1:{port}{prefix}/", key, log, process)
    deadline = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the server ended: {log.read_text()}")
        try:
            urllib.request.urlopen(f"{site.url}alive", timeout=5).close()
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
        plain = chromium.new_page

        def patient(**settings):
            page = plain(**settings)
            page.set_default_timeout(PATIENCE)  # of clicks and texts too
            return page

        chromium.new_page = patient
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

    def fits(self, width: int, height: int) -> None:
        """Check that nothing makes the window scroll sideways."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.wait_for_function(
            "document.documentElement.scrollWidth <= window.innerWidth", timeout=PATIENCE
        )

    def still(self) -> None:
        """Wait until nothing moves any more: documents idle, layout and ink the same for long."""
        self.page.wait_for_function(_STILL % _INK, timeout=PATIENCE, polling=60)

    def piece(self, name: str) -> str:
        return self.page.locator(name).inner_text()

    def notices(self) -> list[str]:
        """Return what is said about an address that makes no sense."""
        return [notice.inner_text() for notice in self.page.locator(".notice").all()]

    def downloads(self) -> list[str]:
        """Save the picture and the product, and return what the files are called."""
        with self.page.expect_download(timeout=PATIENCE) as picture:
            self.page.get_by_role("button", name="PNG").click()
        assert Path(picture.value.path()).stat().st_size > 20_000
        with self.page.expect_download(timeout=PATIENCE) as product:
            self.page.get_by_text("netCDF").click()
        return [picture.value.suggested_filename, product.value.suggested_filename]

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


_STILL = """() => {
  const ink = (%s)();
  const all = [...document.querySelectorAll('*')].map((e) => [e.scrollWidth, e.clientHeight]);
  const now = JSON.stringify([ink, all, (window.Bokeh?.documents ?? []).map((d) => d.is_idle)]);
  window.stillFor = now === window.stillAs ? window.stillFor + 1 : 0;
  window.stillAs = now;
  return window.stillFor >= 5 && !now.includes('false');
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
