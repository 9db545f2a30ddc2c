"""The dashboard in a headless Chromium: page load, and flips between labels, key to pixel.

The product is as large as 1e7 events on a 10 × 10 grid make it. Its size depends on labels,
sources and bins only, so the counts are drawn from their expected values, not from events.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.core import Result
from presage.recipe import Recipe
from presage.store import Store

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
SOURCES = ("reference", "floor", "flow", "morphing", "nearest")
BINS, EVENTS = 40, 100_000
WINDOW = {"width": 1280, "height": 800}
LOAD, FLIP = 2.5, 60.0

#: Notes, without looking at pixels, when canvases were drawn on: the task after a frame's
#: drawing begins once that frame was handed on to be shown. `presented` is what the browser
#: itself says about the key's next frame.
WATCH = """
window.drawn = {first: 0, last: 0, frames: 0, presented: 0, due: false};
(() => {
  const channel = new MessageChannel();
  channel.port1.onmessage = () => {
    drawn.due = false; drawn.last = performance.now(); drawn.frames += 1;
    drawn.first = drawn.first || drawn.last;
  };
  const proto = CanvasRenderingContext2D.prototype;
  for (const name of ["stroke", "fill", "drawImage", "putImageData"]) {
    const plain = proto[name];
    proto[name] = function (...given) {
      if (!drawn.due && this.canvas.isConnected) { drawn.due = true; channel.port2.postMessage(0); }
      return plain.apply(this, given);
    };
  }
  addEventListener("keydown", (event) => { drawn.key = event.timeStamp; }, true);
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.name === "keydown") drawn.presented = entry.startTime + entry.duration;
    }
  }).observe({type: "event", durationThreshold: 16});
})();
"""
#: Three pictures that are as simple as Bokeh makes them: the least that a page can take.
_EMPTY = """
import sys, panel as pn
from bokeh.plotting import figure
def app():
    plot = figure(width=400, height=300)
    plot.line([0, 1], [0, 1])
    frame = pn.template.BootstrapTemplate(title="empty")
    frame.main.append(pn.pane.Bokeh(plot))
    return frame
pn.extension()
pn.serve({"/": app}, address="127.0.0.1", port=int(sys.argv[2]), show=False)
"""
_SERVE = """
import sys
sys.path[:0] = sys.argv[3:]
from dashboards.app import serve
serve(sys.argv[1], port=int(sys.argv[2]), show=False)
"""


def run(size: str, folder: Path) -> list[Result]:
    """Serve a product of 100 labels, and look at it in a browser."""
    if not CHROMIUM:
        return [Result("dashboard/load", None, "s", LOAD, most=True, note="no Chromium here")]
    flips, loads = (30, 5) if size == "full" else (10, 2)
    Store(folder / "store").put(Recipe("residuals", 1, {"bins": BINS}), product())
    with server(_EMPTY, folder) as url, browser() as chromium:
        empty = [load(chromium, url, ready="true")["first"] for _ in range(loads)]
    with server(_SERVE, folder) as url, browser() as chromium:
        cold = load(chromium, url)
        warm = [load(chromium, url) for _ in range(loads)]
        again = revisit(chromium, url, loads)
        keys = flip(chromium, url, flips)
    floor = statistics.median(empty)
    first = statistics.median(one["first"] for one in warm)
    filled = statistics.median(one["filled"] for one in warm)
    note = f"{100} labels, {WINDOW['width']} px, {flips} flips"
    peer = "empty Panel page"
    return [
        Result("dashboard/load, first visit", cold["first"], "s", LOAD, most=True,
               note=f"server just started; all data drawn after {cold['filled']:.2f} s"),
        Result("dashboard/load, new browser", first, "s", LOAD, most=True, peer=peer,
               ratio_to_peer=floor / first, note=f"median of {loads}; peer {floor:.2f} s"),
        Result("dashboard/all data drawn", filled, "s"),
        Result("dashboard/load, same browser", statistics.median(again), "s", LOAD, most=True),
        Result("dashboard/flip, median", float(np.median(keys)), "ms", FLIP, most=True, note=note),
        Result("dashboard/flip, 90 %", float(np.quantile(keys, 0.9)), "ms"),
    ]  # fmt: skip


def load(chromium: Any, url: str, ready: str = "window.presage !== undefined") -> dict[str, float]:
    """Return seconds from the start of a visit to the first canvas drawn on, and to the last."""
    page = chromium.new_page(viewport=WINDOW)
    page.add_init_script(WATCH)
    found = _visit(page, url, ready)
    page.context.close()
    return found


def revisit(chromium: Any, url: str, times: int) -> list[float]:
    """Return the time to the first canvas for one who was here before."""
    page = chromium.new_page(viewport=WINDOW)
    page.add_init_script(WATCH)
    found = [_visit(page, url, "window.presage !== undefined") for _ in range(times + 1)]
    page.context.close()
    return [one["first"] for one in found[1:]]


def _visit(page: Any, url: str, ready: str) -> dict[str, float]:
    page.goto(url, wait_until="commit")
    page.wait_for_function(f"drawn.first > 0 && ({ready})", timeout=60_000)
    _settle(page)
    first, filled = page.evaluate("[drawn.first, drawn.last]")
    return {"first": first / 1000, "filled": filled / 1000}


def _settle(page: Any, quiet: int = 300) -> None:
    page.wait_for_function(f"performance.now() - drawn.last > {quiet}", timeout=60_000)


def flip(chromium: Any, url: str, times: int) -> list[float]:
    """Return milliseconds from each key to the end of the last frame that it changed."""
    page = chromium.new_page(viewport=WINDOW)
    page.add_init_script(WATCH)
    _visit(page, url, "window.presage !== undefined")
    found = []
    for k in range(times + 8):
        frames = page.evaluate("drawn.frames")
        page.keyboard.press(("ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown")[k % 4])
        page.wait_for_function(f"drawn.frames > {frames}", timeout=60_000)
        _settle(page)
        key, last, shown = page.evaluate("[drawn.key, drawn.last, drawn.presented]")
        found.append(max(last, shown if shown > key else 0) - key)
    page.context.close()
    return found[8:]


@contextmanager
def browser() -> Iterator[Any]:
    """Start a headless Chromium; each page it makes has a cache of its own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@contextmanager
def server(code: str, folder: Path) -> Iterator[str]:
    """Start a server on a free port, and stop it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    paths = [str(ROOT), str(ROOT / "package")]
    command = [sys.executable, "-c", code, str(folder / "store"), str(port), *paths]
    with (folder / "server.log").open("w", encoding="utf-8") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=folder, env=os.environ)
    try:
        yield _when_up(f"http://127.0.0.1:{port}/", process)
    finally:
        process.terminate()
        process.wait(10)


def _when_up(url: str, process: subprocess.Popen[bytes]) -> str:
    for _ in range(240):
        if process.poll() is not None:
            raise RuntimeError("the server ended")
        try:
            urllib.request.urlopen(f"{url}alive", timeout=5).close()
        except urllib.error.HTTPError:  # the peer has no such page, but answers
            return url
        except OSError:
            time.sleep(0.1)
        else:
            return url
    raise RuntimeError("the server did not start")


def product(steps: int = 10) -> xr.Dataset:
    """Return a residuals product as large as that of 1e7 events."""
    rng = np.random.default_rng(0)
    axes = np.linspace(95, 5410, steps), np.linspace(0.25, 9.025, steps)
    table = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    grid = np.linspace(-3, 3, BINS + 1)
    middle = (grid[1:] + grid[:-1]) / 2
    share = np.exp(-(middle**2) / 2) * (1.2 + np.tanh(middle))
    both = share[:, None] * share * (1 + 0.3 * np.sin(middle)[:, None] * np.sin(middle))
    shape = (len(SOURCES), len(table), 1, BINS, BINS)
    joint = rng.poisson(np.broadcast_to(EVENTS * both / both.sum(), shape))
    counts = np.stack([joint.sum(axis=(2, 4)), joint.sum(axis=(2, 3))], axis=2)
    width = np.array([0.04, 0.05]) * table + np.array([8, 0.1])
    edges = table[:, :, None] + width[:, :, None] * grid
    return _dataset(table, joint, counts, edges, rng)


def _dataset(
    table: np.ndarray,
    joint: np.ndarray,
    counts: np.ndarray,
    edges: np.ndarray,
    rng: np.random.Generator,
) -> xr.Dataset:
    names, wide = ["phi_mass", "omega_mass"], ("source", "label", "variable")
    region = np.full(len(table), "trained", dtype=object)
    region[[22, 27, 54, 77]], region[[5, 93, 40, 69]] = "interior", "edge"
    coords: dict[str, Any] = {
        "source": np.array(SOURCES, dtype=object),
        "label": np.arange(len(table)),
        "variable": np.array(names, dtype=object),
        "pair": np.array([",".join(names)], dtype=object),
        "title": ("variable", np.array([f"{name} [GeV]" for name in names], dtype=object)),
        "region": ("label", region),
        "held_out": ("label", region != "trained"),
    }
    for name, column in zip(("phi_label", "omega_label"), table.T, strict=True):
        coords[name] = ("label", column, {"units": "GeV", "long_name": name, "role": "parameter"})
    metrics = ("w1_over_std", "w1_over_sigma68", "mean_shift", "std_shift", "ks", "bin_difference",
               "bin_residual", "chi2_per_ndf", "equivalent_events")  # fmt: skip
    size = (len(SOURCES), len(table), 2)
    data: dict[str, Any] = {
        "edges": (("label", "variable", "edge"), edges),
        "counts": ((*wide, "bin"), counts),
        "counts_2d": (("source", "label", "pair", "bin_x", "bin_y"), joint),
        "events": (wide[:2], np.full(size[:2], EVENTS)),
        "auc": (wide[:2], 0.5 + 0.01 * rng.random(size[:2]), {"long_name": "AUC", "units": "1"}),
    }
    for name in metrics:
        data[name] = (wide, 0.01 * rng.random(size), {"long_name": name, "units": "1"})
    return xr.Dataset(data, coords=coords, attrs={"model": "flow"})
