"""Templates on the events page: shown at the labels that have one, and taken away as files."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request

import numpy as np
import pytest
import uproot
from dashboards.pages.events.origins import flows_of

import live_toy as toy
from browsing import PATIENCE, browser, needs_browser, servers, start, visit  # noqa: F401
from presage.emulation import Templates, templates
from presage.fitting import load
from presage.store import Store

pytestmark = pytest.mark.browser
#: Labels that have a template; the other ones of the grid have none.
LABELS = [(200.0, 1 + 8 / 3), (300.0, 1 + 8 / 3)]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Store, str, Templates]:
    root = tmp_path_factory.mktemp("made") / "store"
    store, keys = toy.store_with_flows(root, products=("one", "other"))
    first, other = (
        load(flows_of(entry, store.list())["flow"].key, store)
        for entry in store.list()
        if entry.producer == "residuals"
    )
    edges = {"phi_mass": np.linspace(100, 400, 31)}
    found = templates(
        first, LABELS, edges, total=50, members=(other,), n=5000, store=store, progress=False
    )
    return store, keys["one"], found


@pytest.fixture(scope="module")
def site(made, tmp_path_factory, servers):  # noqa: F811
    log = tmp_path_factory.mktemp("site") / "server.log"
    return start(made[0].root, made[1], servers, log)


@needs_browser
def test_a_template_follows_the_label(visit, site, made):  # noqa: F811
    visit.open(site.url, "?panel=template&label=200,3.667")
    visit.page.get_by_text("at 2 of these labels").wait_for(timeout=PATIENCE)
    place = visit.page.locator(".template-box canvas").first
    place.wait_for(timeout=PATIENCE)
    visit.still()
    assert not visit.page.locator("table.numbers").is_visible()
    here = _drawn(visit)
    expected = made[2].at(0)["nominal"].values
    assert np.nanmax(here) == pytest.approx(expected.max(), rel=1e-5)
    if os.environ.get("PRESAGE_PICTURES"):
        visit.page.screenshot(path=os.environ["PRESAGE_PICTURES"])
    visit.page.keyboard.press("ArrowRight")
    visit.address("label=300")
    assert np.nanmax(_drawn(visit)) == pytest.approx(
        made[2].at(1)["nominal"].values.max(), rel=1e-5
    )
    visit.page.keyboard.press("ArrowRight")
    visit.address("label=400")
    assert not len(_drawn(visit))  # no template there, until it is drawn
    visit.page.get_by_text("No template is stored for this label").wait_for(timeout=PATIENCE)
    visit.page.evaluate("presage.draw([330, 4.4])")
    visit.page.get_by_text("drawn live, a share of all events").wait_for(timeout=PATIENCE)
    live = _drawn(visit)
    assert 0.02 < np.nanmax(live) < 1
    assert len(live) == len(here)  # the bins of the stored ones
    asked = visit.page.locator(".caption a.save", has_text="HistFactory").get_attribute("href")
    with urllib.request.urlopen(site.url + asked, timeout=120) as answer:
        (channel,) = json.load(answer)["channels"]
    assert channel["samples"][0]["data"] == pytest.approx(live[::2], abs=1e-6)
    visit.page.keyboard.press("Escape")
    visit.page.keyboard.press("ArrowLeft")
    visit.page.get_by_text("at 2 of these labels").wait_for(timeout=PATIENCE)
    for link, suffix in (("ROOT", ".root"), ("netCDF", ".nc")):
        with visit.page.expect_download(timeout=PATIENCE) as loaded:
            visit.page.locator(".caption a.save", has_text=link).first.click()
        assert loaded.value.suggested_filename.startswith("templates-")
        assert loaded.value.suggested_filename.endswith(suffix)
    visit.page.get_by_text("numbers", exact=True).click()
    visit.page.locator("table.numbers").wait_for(timeout=PATIENCE)
    assert not visit.page.get_by_text("at 2 of these labels").is_visible()


def _drawn(visit) -> np.ndarray:  # noqa: F811
    """Return the heights that the nominal template is drawn with."""
    code = """() => {
      const {name} = presage.meta.panels.find((panel) => panel.kind === 'curve');
      return Array.from(presage.models.panels[name].main.lines[0].data.y ?? []);
    }"""
    return np.array(visit.page.evaluate(code), dtype=float)


def test_the_file_of_the_templates_is_that_of_the_package(site, made, tmp_path):
    key = made[2].dataset.attrs["presage_key"]
    with urllib.request.urlopen(f"{site.url}product/{key[:16]}.root", timeout=60) as answer:
        assert f"templates-{key[:16]}.root" in answer.headers["Content-Disposition"]
        (tmp_path / "got.root").write_bytes(answer.read())
    with uproot.open(tmp_path / "got.root") as file:
        nominal = [k for k in file.keys(cycle=False) if k.endswith("/nominal")]
        assert np.array_equal(file[nominal[0]].values(), made[2].at(0)["nominal"].values)


@pytest.mark.parametrize("key", ["0000000000000000", "a", "..%2f..%2fetc", "residuals"])
def test_no_other_key_gives_a_file(site, made, key: str):
    asked = made[1][:16] if key == "residuals" else key
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{site.url}product/{asked}.root", timeout=60)
    with refused.value as answer:
        assert answer.code == 404
