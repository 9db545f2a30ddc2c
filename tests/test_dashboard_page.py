"""A page of one's own: a declaration alone is flipped, addressed and exported in a browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dashboards.pages import pages

import browsing
import cube_page
from browsing import needs_browser
from presage.plugins import PluginError
from presage.recipe import Recipe
from presage.store import Store

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory, servers):
    folder = tmp_path_factory.mktemp("cubes")
    recipe = Recipe("cubes", 1)
    Store(folder / "store").put(recipe, cube_page.product())
    studies = ("cube_page:STUDY",)
    return browsing.start(folder / "store", recipe.key, servers, folder / "log", studies=studies)


@needs_browser
def test_a_declared_page_is_flipped_by_keys_and_keeps_its_view_in_the_address(visit, site):
    sent: list[str] = []
    visit.page.on("websocket", lambda s: s.on("framesent", lambda frame: sent.append("frame")))
    visit.open(site.url, "?page=cubes&sky=1")
    assert visit.page.locator("nav a.here").inner_text() == "Cubes"
    assert "sky 1, channel 0" in visit.piece(".head")
    for width, height in ((1600, 900), (1000, 800), (390, 844)):
        visit.fits(width, height)
    numbers = visit.piece("table.numbers")
    before, frames = visit.pixels(), len(sent)
    visit.page.keyboard.press("ArrowRight")
    visit.page.keyboard.press("ArrowRight")
    visit.page.keyboard.press("ArrowDown")
    assert visit.page.evaluate("[presage.state.sky, presage.state.channel]") == [2, 2]
    changed = sum(a != b for a, b in zip(before, visit.pixels(), strict=True))
    assert changed >= 6, "heat map's mark, three maps, curve, strip, spectrum"
    assert "sky 2, channel 2" in visit.piece(".head")
    assert visit.piece("table.numbers") != numbers
    before = visit.pixels()
    visit.page.keyboard.press("2")
    changed = sum(a != b for a, b in zip(before, visit.pixels(), strict=True))
    assert changed == 3, "heat map, cleaned map and its rest"
    assert len(sent) == frames, "keys ask nothing of the server"
    visit.address("sky=2&channel=2&cleaner=network")
    again = visit.page.evaluate("location.search")
    visit.open(site.url, again)
    assert visit.page.evaluate("location.search") == again


@needs_browser
def test_what_is_drawn_is_what_the_product_holds_and_a_click_chooses(visit, site):
    visit.page.add_init_script("""const make = URL.createObjectURL;
    URL.createObjectURL = (blob) => {
      blob.arrayBuffer().then((bytes) => { window.wave = new DataView(bytes); }); return make(blob);
    };""")
    visit.open(site.url, "?page=cubes&sky=1&channel=3&cleaner=network")
    here = cube_page.product().isel(sky=1, channel=3)
    image = visit.page.evaluate(
        "[...presage.models.panels.panel2.pictures[1].source.get_array('image')[0]]"
    )
    wanted = here["cleaned"].sel(cleaner="network").values.ravel()
    inside = abs(wanted) < 3
    assert image[0] == pytest.approx(wanted[0], abs=0.02)
    assert [v for v, i in zip(image, inside, strict=True) if i] == pytest.approx(
        wanted[inside], abs=0.0125
    ), "eight bits"
    line = visit.page.evaluate("[...presage.models.panels.panel3.main.lines[0].get_array('y')]")
    assert line == pytest.approx(here["power"].values[0, 1].tolist())
    assert f"{float(here['rms'][1]):.3f}" in visit.piece("table.numbers b"), "the best is bold"
    audio = visit.page.evaluate("Bokeh.index.find_one_by_id(presage.models.panels.panel6.div.id)"
                                ".shadow_el.querySelector('audio').src")  # fmt: skip
    assert audio.startswith("blob:")
    sound = visit.page.evaluate(
        "[...Array(400).keys()].map((k) => wave.getInt16(44 + 2 * k, true))"
    )
    assert sound == cube_page.product()["sound"].values[3].tolist(), "negative numbers too"
    for kind in (0, 1):
        code = f"[...presage.models.panels.panel4.lines[{kind}].source.get_array('y')]"
        lines = here["lines"].values[kind::2]
        assert visit.page.evaluate(code)[2::3] == pytest.approx(lines.tolist())
    code = "['x', 'y'].map((name) => [...presage.models.panels.panel7.points.get_array(name)])"
    plane = here[["rms", "bias"]].to_array().values
    assert np.array(visit.page.evaluate(code)) == pytest.approx(plane)
    visit.page.evaluate("presage.click(0.2, 2.1)")
    assert visit.page.evaluate("[presage.state.sky, presage.state.channel]") == [0, 2]


@needs_browser
def test_picture_file_help_and_wrong_addresses_are_the_kits(visit, site):
    visit.open(site.url, "?page=cubes&sky=7&cleaner=networ")
    said = " ".join(visit.notices())
    assert "there is no sky '7'" in said
    assert "did you mean 'network'" in said
    assert visit.downloads() == [f"sky0,channel0-{site.key[:8]}.png", f"cubes-{site.key[:16]}.nc"]
    visit.page.keyboard.press("?")
    assert "channel" in visit.piece(".help")


def test_pages_are_found_through_their_studies():
    found = pages(("cube_page:STUDY",))
    assert list(found) == ["events", "pdf", "sky", "amp", "cubes", "store"]
    assert found["cubes"] is cube_page.PAGE
    with pytest.raises(PluginError, match="is not a Study"):
        pages(("cube_page:PAGE",))


def test_the_command_takes_a_study_of_ones_own(monkeypatch, tmp_path):
    from dashboards import app
    from typer.testing import CliRunner

    from presage.cli.main import app as command

    given: list[object] = []
    monkeypatch.setattr(app, "serve", lambda *some: given.extend(some))
    words = ["dashboard", "--store", str(tmp_path), "--no-show", "--study", "cube_page:STUDY"]
    found = CliRunner().invoke(command, words)
    assert found.exit_code == 0, found.output
    assert given[-1] == ["cube_page:STUDY"]


def test_the_page_is_short_and_has_no_script():
    text = Path(cube_page.__file__).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert "<script" not in text
    assert "CustomJS" not in text
