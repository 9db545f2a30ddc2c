"""The page of study `amp` in a real browser: lines, grids, the front, what is heard, bad stores."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import amp_toy as toy
from browsing import PATIENCE, Site, needs_browser, start
from presage.store import Store
from presage.studies.amp.report import averaged

pytestmark = pytest.mark.browser
MARKUP = '<img src=x onerror="window.hit=1">'
PANEL = {"lines": 2, "grids": 4, "over": 6, "front": 7}


@pytest.fixture(scope="module")
def stocked(tmp_path_factory) -> tuple[Store, dict[str, str], xr.Dataset]:
    """A store with a product, one of few systems, and some that are faulty."""
    store, key, good = toy.made(tmp_path_factory.mktemp("amp") / "store")
    alone = good.isel(system=[0, 2], frequency=[3], level=[1], signal=[1])
    kinds = {
        "no sound": good.drop_vars("sound"),
        "other dims": good.rename(level="loudness"),
        "no tones": good.isel(frequency=[]),
        "halves": good.assign_coords(bin=good["bin"] / 2),
        "no rate": good.assign_attrs(sample_rate="fast"),
        "alone": alone.assign_coords(title=("system", ["teacher" + MARKUP, MARKUP])).fillna(np.nan),
    }
    keys = {name: toy.stored(store, one, k + 1) for k, (name, one) in enumerate(kinds.items())}
    return store, {"good": key, **keys}, good


@pytest.fixture(scope="module")
def site(stocked, tmp_path_factory, servers) -> Site:
    log = tmp_path_factory.mktemp("server") / "log"
    return start(stocked[0].root, stocked[1]["good"], servers, log)


def drawn(visit, panel: str, code: str) -> list[float]:
    """Return numbers of what a panel has drawn."""
    values = visit.page.evaluate(f"[...presage.models.panels.panel{PANEL[panel]}.{code}]")
    return [np.nan if value is None else value for value in values]


@needs_browser
def test_lines_grids_and_numbers_are_what_the_product_holds(visit, site, stocked):
    _, _, good = stocked
    visit.open(site.at("amp", frequency="1524.56", level="0", system="student_nmr10",
                       beside="teacher_2x", measure="alias_ratio"))  # fmt: skip
    for place, system in ((0, "student_nmr10"), (2, "teacher_2x")):
        tone = good.sel(system=system).isel(frequency=4, level=2)
        for kind in (0, 1):
            code = f"lines[{place + kind}].source.get_array('{{}}')"
            x, y = (np.array(drawn(visit, "lines", code.format(name))) for name in "xy")
            line = np.arange(good.sizes["line"])
            seen = (line > 0) & ((line % int(tone["bin"]) > 0) == kind)
            seen &= tone["spectrum"].values > -120
            wanted = tone["spectrum"].values[seen]
            assert y[2::3] == pytest.approx(wanted, abs=0.3), "eight bits"
            assert x[2::3] == pytest.approx(good["line"].values[seen] / 1000)
    grid = good["alias_ratio"].sel(system="teacher_2x").values.ravel()
    shown = drawn(visit, "grids", "pictures[1].source.get_array('image')[0]")
    assert shown == pytest.approx(grid, rel=1e-5)
    over = good["alias_ratio"].sel(system="student_nmr10").isel(level=2)
    assert drawn(visit, "over", "main.lines[3].get_array('y')") == pytest.approx(over, rel=1e-5)
    said = visit.piece("table.numbers")
    assert f"{float(over.isel(frequency=4)):.1f}".replace("-", "−") in visit.page.evaluate(
        f"presage.models.panels.panel{PANEL['lines']}.figures[0].title.text"
    )
    mean = float(averaged(good["alias_ratio"].sel(system="student_nmr20")))
    assert f"{mean:.1f}".replace("-", "−") in said
    assert "student_nmr10: " in visit.piece(".note-box .caption >> nth=-1")


@needs_browser
def test_keys_and_clicks_choose_without_the_server_and_the_address_tells(visit, site):
    sent: list[str] = []
    visit.page.on("websocket", lambda s: s.on("framesent", lambda frame: sent.append("frame")))
    visit.open(site.at("amp", frequency="392.927", level="-12"))
    assert "393 Hz at −12 dB" in visit.piece(".head")
    for width, height in ((1600, 900), (800, 900), (390, 844)):
        visit.fits(width, height)
    visit.page.set_viewport_size({"width": 1280, "height": 900})
    visit.still()
    before, frames = visit.pixels()[::2], len(sent)
    visit.page.keyboard.press("ArrowRight")
    visit.page.keyboard.press("ArrowUp")
    changed = [a != b for a, b in zip(before, visit.pixels()[::2], strict=True)]
    assert changed == [True] * 5 + [False], "spectra, marks in grids and curve; not the plane"
    assert "770 Hz at 0 dB" in visit.piece(".head")
    grids = f"presage.models.panels.panel{PANEL['grids']}.pictures[1].figure"
    visit.page.evaluate(f"presage.click(4.8, 0.2, false, {grids})")
    front = f"presage.models.panels.panel{PANEL['front']}"
    visit.page.evaluate(f"presage.click(-60, -40, true, {front}.figure)")
    assert visit.page.evaluate("[presage.state.frequency, presage.state.level]") == [5, 0]
    visit.page.keyboard.press("1")
    visit.page.keyboard.press("m")
    visit.address("system=teacher&")
    visit.address("frequency=3001.96&level=-30&measure=audible_error")
    assert len(sent) == frames, "nothing is asked of the server"
    again = visit.page.evaluate("location.search")
    visit.open(site.url, again)
    assert visit.page.evaluate("location.search") == again


@needs_browser
def test_systems_are_heard_at_one_peak(visit, site, stocked):
    _, _, good = stocked
    visit.page.add_init_script("""
      window.played = []; const make = URL.createObjectURL;
      URL.createObjectURL = (blob) => { played.push(blob); return make(blob); };
    """)
    heard = """async () => Promise.all(played.slice(-3).map(async (blob) =>
      [...new Int16Array((await blob.arrayBuffer()).slice(44))]))"""
    visit.open(site.at("amp", system="student_nmr20", shown="teacher,teacher_8x"))
    for count, signal in ((3, "sweep"), (6, "chord")):
        visit.page.wait_for_function(f"played.length === {count}", timeout=PATIENCE)
        found = visit.page.evaluate(heard)
        for system, samples in zip(("teacher", "teacher_8x", "student_nmr20"), found, strict=True):
            wanted = good["sound"].sel(system=system, signal=signal).values
            assert np.array(samples) == pytest.approx(29_000 * wanted / abs(wanted).max(), abs=1)
        visit.page.keyboard.press("s")


@needs_browser
def test_picture_file_and_help_are_there_and_nonsense_is_said(visit, site):
    visit.open(site.at("amp", level="7", system="studnt_nmr10", measure="%00", signal="noise"))
    notices = visit.notices()
    said = " ".join(notices)
    assert "there is no level '7'" in said
    assert "did you mean 'student_nmr10'" in said
    assert len(notices) == 4
    assert visit.downloads() == [
        f"amp-1.52kHzat0dB-{site.key[:8]}.png",
        f"amp_aliasing-{site.key[:16]}.nc",
    ]
    visit.page.keyboard.press("?")
    assert "Σ|aliases|² / Σ|harmonics|²" in visit.piece(".help")


@needs_browser
def test_one_tone_without_students_is_shown_and_foreign_text_as_text(visit, site, stocked):
    visit.open(site.at("amp", stocked[1]["alone"]))
    visit.still()
    assert MARKUP in visit.piece("table.numbers")
    assert visit.page.evaluate("window.hit === undefined")
    assert visit.page.locator(".bk-Figure:visible").count() == 6


@needs_browser
@pytest.mark.parametrize(
    ("name", "expected"),
    [("no sound", "is not one of answers to tones: it lacks sound"),
     ("other dims", "is not one of answers to tones: it lacks level"),
     ("no tones", "is empty"),
     ("halves", "bin should be whole numbers from 1 on"),
     ("no rate", "sample_rate should be a number of hertz, got 'fast'")],
)  # fmt: skip
def test_a_faulty_product_is_said(visit, site, stocked, name, expected):
    visit.page.goto(site.at("amp", stocked[1][name]), timeout=PATIENCE)
    visit.page.get_by_text("Answers to tones in this store").wait_for(timeout=PATIENCE)
    assert expected in visit.piece(".guide >> nth=0")
