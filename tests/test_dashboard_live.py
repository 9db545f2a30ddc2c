"""Live labels, two models, loss history and pictures: what is drawn, and what a browser shows."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from dashboards.kit.page import Visit
from dashboards.kit.query import Query
from dashboards.pages.events.exhibit import Exhibit
from dashboards.pages.events.live import EVENTS, LiveError
from dashboards.pages.events.origins import beside, flows_of, join
from dashboards.pages.events.page import PAGE
from dashboards.pages.events.rivals import rivals_of
from dashboards.pages.events.shelf import Shelf

import live_toy as toy
from browsing import PATIENCE, browser, needs_browser, servers, start, visit  # noqa: F401
from presage.analysis.labelled import group
from presage.analysis.metrics import METRICS
from presage.analysis.morphing import moment_morphing
from presage.recipe import Parent, Recipe
from presage.store import Store


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Store, dict[str, str]]:
    return toy.store_with_flows(tmp_path_factory.mktemp("live") / "store")


@pytest.fixture(scope="module")
def site(made, tmp_path_factory, servers):  # noqa: F811
    store, keys = made
    log = tmp_path_factory.mktemp("site") / "server.log"
    return start(store.root, keys["both"], servers, log)


def exhibit(store: Store, key: str, **given: str) -> tuple[Exhibit, Query]:
    entries, query = store.list(), Query(given)
    products = [e for e in entries if e.producer == "residuals"]
    entry = next(e for e in products if e.key == key)
    return Exhibit.of(Visit(store, entry, entries, products, query)), query


def state_of(shown: Exhibit) -> dict:
    return {choice.name: choice.read(shown.visit.query) for choice in shown.choices}


# -- what is drawn ---------------------------------------------------------------------


def test_the_same_label_gives_the_same_draw_and_counts_add_up(made):
    bench = exhibit(made[0], made[1]["both"])[0].bench
    assert bench.ranges == {"phi_label": (100.0, 500.0), "omega_label": (1.0, 9.0)}
    found, again = (bench.draw([330.0, 4.4], ["one", "other"]) for _ in range(2))
    assert found.sources == ["one", "other", "morphing", "nearest"]
    assert found.nearest == pytest.approx([300.0, 11 / 3])
    xr.testing.assert_identical(found.histograms, again.histograms)
    counts = found.histograms["counts"].isel(label=0)
    cells = found.histograms["counts_2d"].isel(label=0, pair=0)
    assert found.histograms["events"].values[:2, 0].tolist() == [EVENTS, EVENTS]
    inside = counts.isel(source=0).sum("bin") / EVENTS
    assert (inside > 0.97).all()
    assert (inside <= 0.991).all(), "one quantile of 0.5 % is cut off at each side"
    np.testing.assert_array_less(cells.sum("bin_y").values, counts.values[:, 0] + 0.5)
    assert not np.array_equal(counts[0], counts[1]), "two flows"
    assert 0 < found.milliseconds < 60_000
    figures = found.figures["one"][0]
    assert figures["mean"] == pytest.approx(330, rel=0.1)
    assert figures["w1"] == 0


@pytest.mark.parametrize(
    ("label", "sources", "text"),
    [
        ([900.0, 4.4], ["one"], "outside the trained 100 … 500"),
        ([330.0, float("nan")], ["one"], "2 finite numbers"),
        ([330.0], ["one"], "2 finite numbers"),
        (["x", None], ["one"], "2 finite numbers"),
        ([330.0, 4.4], ["morphing"], "a flow draws it"),
    ],
)
def test_what_cannot_be_drawn_is_said(made, label, sources, text):
    bench = exhibit(made[0], made[1]["both"])[0].bench
    with pytest.raises(LiveError, match=text):
        bench.draw(label, sources)


def test_a_label_that_is_far_from_the_training_is_said_with_what_is_drawn(made, monkeypatch):
    bench = exhibit(made[0], made[1]["both"])[0].bench
    assert bench.draw([330, 4.4], ["one"]).strange == []
    flow = bench.flow("one")
    monkeypatch.setattr(
        type(flow), "strange_labels", lambda _, table: [f"far from all: {table.tolist()}"]
    )
    assert bench.draw([330, 4.4], ["one", "other"]).strange == ["far from all: [[330.0, 4.4]]"]


def test_the_rival_is_moment_morphing_of_the_training_events_without_repeats(made):
    store, keys = made
    fit = flows_of(_entry(store, keys["one"]), store.list())["flow"]
    rivals = rivals_of(store, fit.parents[0], [(200.0, 1 + 8 / 3)])
    label = np.array([200.0, 1 + 8 / 3])  # held out: not among the templates
    events = rivals.morphing(label)
    assert len(np.unique(events, axis=0)) == len(events)
    train = store.open(fit.parents[0].key)
    held = np.isclose(train["phi_label"], 200) & np.isclose(train["omega_label"], 1 + 8 / 3)
    many = moment_morphing(train.isel(event=np.flatnonzero(~held)), [tuple(label)], 20_000)
    other = group(many).sample(0)
    error = other.std(axis=0) / np.sqrt(len(events))
    assert (np.abs(events.mean(axis=0) - other.mean(axis=0)) < 4 * error).all()
    with pytest.raises(ValueError, match="cannot be told"):
        rivals_of(store, fit.parents[0], [(300.0, 1.0)])


@pytest.mark.parametrize(("parameters", "variables", "pairs"), [(1, 1, 0), (3, 3, 3)])
def test_any_number_of_labels_and_variables(tmp_path, parameters, variables, pairs):
    root = tmp_path / "store"
    store, keys = toy.store_with_flows(root, parameters, variables, n=60, products=("one",))
    shown, query = exhibit(store, keys["one"], live=",".join(["330", "4.4", "0.3"][:parameters]))
    live = shown.live()
    state_of(shown)
    assert query.messages == []
    found = shown.bench.draw(live, ["flow"]).histograms
    assert found["counts"].size == 3 * variables * found.sizes["bin"]
    assert found["counts_2d"].size == 3 * pairs * found.sizes["bin"] ** 2


def test_one_visitor_loads_and_the_other_waits():
    shelf, made, gate = Shelf(room=2), [], threading.Barrier(4)

    def make() -> int:
        made.append(1)
        time.sleep(0.05)
        return 7

    def ask(_: int) -> int:
        gate.wait()
        return shelf.get("flow", make)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [7] * 4
    assert len(made) == 1
    with pytest.raises(ZeroDivisionError):
        shelf.get("bad", lambda: 1 // 0)
    assert shelf.get("bad", lambda: 1) == 1, "an error is not kept"
    assert shelf.get("third", lambda: 3) == 3
    assert shelf.get("flow", lambda: 8) == 8, "the oldest had to go"


# -- what stands beside a product ------------------------------------------------------


def test_products_of_one_reference_are_offered_and_join(made):
    store, keys = made
    products = [e for e in store.list() if e.producer == "residuals"]
    entry = _entry(store, keys["one"])
    assert {e.key for e in beside(entry, products)} == {keys["other"], keys["both"]}
    foreign = Recipe("residuals", 1, {"inputs": ["a"], "bins": 24}, parents=(Parent("f" * 64),))
    store.put(foreign, xr.Dataset({"edges": ("x", [1.0])}))
    entries = [e for e in store.list() if e.producer == "residuals"]
    assert foreign.key not in {e.key for e in beside(entry, entries)}
    shown, _ = exhibit(store, keys["one"], **{"with": keys["other"][:12]})
    tag = keys["other"][:6]
    assert shown.sources[:4] == ["reference", "floor", "flow", f"flow · {tag}"]
    state = state_of(shown)
    assert shown.sources[state["against"]] == f"flow · {tag}"
    alone = store.open(keys["other"])["w1_over_std"].sel(source="flow")
    joined = shown.product["w1_over_std"].sel(source=f"flow · {tag}")
    np.testing.assert_array_equal(alone, joined)
    assert set(shown.bench.flows) == {"flow", f"flow · {tag}"}


def test_products_that_do_not_fit_are_refused(made):
    store, keys = made
    product = store.open(keys["one"])
    with pytest.raises(ValueError, match="edges are others"):
        join(product, product.assign(edges=product["edges"] + 1), ["flow"], "abc")
    _, query = exhibit(store, keys["one"], **{"with": "../../etc"})
    assert "the key of no residuals" in query.messages[0]


@pytest.mark.parametrize(
    ("live", "text"),
    [
        ("9999,4", "outside the trained"),
        ("nan,4", "2 finite numbers"),
        ("x", "2 finite numbers"),
        ("1,2,3", "2 finite numbers"),
    ],
)
def test_a_live_address_out_of_reach_is_said(made, live, text):
    shown, query = exhibit(made[0], made[1]["both"], live=live)
    assert shown.live() is None
    assert text in query.messages[0]


def test_without_a_flow_there_is_a_word_why(tmp_path):
    import residuals_toy

    store, key = residuals_toy.store_with(tmp_path / "store", residuals_toy.residuals(n=300))
    shown, query = exhibit(store, key, live="1,2")
    assert "No live sampling" in shown.why_not_live
    assert shown.live() is None
    assert "No live sampling" in query.messages[0]


def _entry(store: Store, key: str):
    return next(e for e in store.list() if e.key == key)


# -- in the browser --------------------------------------------------------------------

_DRAWN = "window.presage?.live() != null"
_LEFT_OVER = """presage.strips().flatMap((panel) => Object.entries(panel.points)
  .filter(([k, source]) => source.get_length() && !presage.live().scene.strips.includes(Number(k)))
  .map(([k]) => k))"""
_KNOB = ".live input.{}"


@needs_browser
@pytest.mark.browser
def test_a_released_slider_draws_and_escape_goes_back(visit, site):  # noqa: F811
    visit.open(site.url, f"?key={site.key[:12]}")
    head, before = visit.piece(".head"), visit.pixels()
    visit.page.keyboard.press("l")
    for _ in range(3):
        visit.page.keyboard.press("ArrowRight")
    visit.page.wait_for_function(_DRAWN, timeout=PATIENCE)
    visit.page.wait_for_function("presage.live().label[0] === presage.state.live[0]")
    assert sum(a != b for a, b in zip(before, visit.pixels(), strict=True)) >= 6
    assert visit.page.evaluate(_LEFT_OVER) == [], "points of what was shown before"
    assert "never simulated" in visit.piece(".head")
    assert "10 000 events drawn in" in visit.piece(".head").replace("\u202f", " ")
    assert "W₁/std to one" in visit.piece("table.numbers")
    visit.address("live=")
    again = visit.page.evaluate("location.search")
    picture = visit.page.evaluate("presage.composed().toDataURL().length")
    assert picture > 20_000
    with visit.page.expect_download() as waiting:
        visit.page.get_by_role("button", name="PNG").click()
    assert waiting.value.suggested_filename.startswith("events-live-")
    assert Path(waiting.value.path()).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    visit.page.keyboard.press("Escape")
    assert visit.page.evaluate("presage.live()") is None
    visit.page.wait_for_function("!location.search.includes('live')", timeout=PATIENCE)
    assert visit.piece(".head").split("\n")[0] == head.split("\n")[0]
    visit.open(site.url, again, _DRAWN)
    assert "never simulated" in visit.piece(".head"), "the address draws it again"


@needs_browser
@pytest.mark.browser
def test_typed_labels_out_of_reach_are_refused_in_words(visit, site):  # noqa: F811
    visit.open(site.url, f"?key={site.key[:12]}")
    box = visit.page.locator(_KNOB.format("typed")).first
    for text, said in (
        ("900", "outside the trained range 100 … 500 GeV"),
        ("abc", "is not a number; give 100 … 500 GeV"),
        ("NaN", "is not a number"),
        ("", "is not a number"),
    ):
        box.fill(text)
        box.press("Enter")
        assert said in visit.piece(".said")
        assert visit.page.evaluate("presage.state.live") is None
    box.fill("433")
    box.press("Enter")
    visit.page.wait_for_function(_DRAWN, timeout=PATIENCE)
    assert visit.page.evaluate("presage.live().label[0]") == 433
    visit.page.locator(".live .go").click()
    assert visit.page.evaluate("presage.live()") is None


@needs_browser
@pytest.mark.browser
def test_two_models_side_by_side_and_their_losses(visit, site):  # noqa: F811
    visit.open(site.url, f"?key={site.key[:12]}&source=one&against=other")
    assert "one better at" in visit.piece(".caption >> nth=0")
    assert visit.page.evaluate("presage.meta.cast.names[presage.state.against]") == "other"
    before = visit.pixels()
    visit.page.keyboard.press("2")  # the other one: they change places
    state = visit.page.evaluate("presage.state")
    names = visit.page.evaluate("presage.meta.cast.names")
    assert [names[state["source"]], names[state["against"]]] == ["other", "one"]
    changed = [a != b for a, b in zip(before, visit.pixels(), strict=True)]
    # Marginals show both as before, but for the bins that the first one has too few events in.
    assert 4 <= sum(changed) <= 6, "grid, pictures, pull"
    visit.address("against=one")
    visit.page.keyboard.press("Shift+Digit1")
    assert visit.page.evaluate("presage.state.against") == 0
    figures = len(visit.pixels())
    visit.page.evaluate("presage.set({panel: 'loss'})")
    visit.page.get_by_text("solid: training").wait_for(timeout=PATIENCE)
    visit.still()
    assert len(visit.pixels()) > figures
    assert "5 epochs" in visit.page.get_by_text("solid: training").inner_text()
    visit.address("panel=loss")


@needs_browser
@pytest.mark.browser
def test_menus_put_a_product_beside_this_one_and_go_to_another(visit, site, made):  # noqa: F811
    keys = made[1]
    visit.open(site.url, f"?key={site.key[:12]}&strip=ratio")
    visit.page.evaluate(f"presage.beside('with', '{keys['one'][:16]}')")
    tag = f"flow · {keys['one'][:6]}"
    visit.page.wait_for_function(
        f"window.presage?.meta.cast.names.includes('{tag}')", timeout=PATIENCE
    )
    assert visit.page.evaluate("presage.state.strip") == "ratio"
    visit.page.evaluate(f"presage.beside('key', '{keys['other'][:16]}')")
    visit.page.wait_for_function(f"window.presage?.meta.key === '{keys['other']}'")
    visit.page.wait_for_function("!location.search.includes('with=')")


@needs_browser
@pytest.mark.browser
def test_two_visitors_draw_at_once(visit, site, browser):  # noqa: F811
    other = browser.new_page()
    other.goto(f"{site.url}?key={site.key[:12]}&live=150,2")
    visit.open(site.url, f"?key={site.key[:12]}&live=450,8", _DRAWN)
    other.wait_for_function(_DRAWN, timeout=PATIENCE)
    labels = [page.evaluate("presage.live().label") for page in (visit.page, other)]
    other.close()
    assert labels == [[450, 8], [150, 2]]


def test_every_metric_is_explained() -> None:
    said = {term for term, meaning, formula in PAGE.terms() if meaning and formula}
    assert said == {metric.short_name for name, metric in METRICS.items() if name != "auc_error"}
