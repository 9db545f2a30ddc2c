"""The store page: the graph of what was made from what, states, search, keys, checks."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import xarray as xr
from dashboards.kit.query import Query
from dashboards.pages.shelves import page as store_page
from dashboards.pages.shelves.lineage import BOX, MOST, STEP, lineage
from dashboards.pages.shelves.standing import ago, standing_of

from browsing import PATIENCE, Site, needs_browser, start
from presage.recipe import Parent, Recipe
from presage.store import Store

pytestmark = pytest.mark.browser


def put(store: Store, producer: str, seed: int, *parents: Parent) -> Recipe:
    recipe = Recipe(producer, 1, {"bins": 16}, seed=seed, parents=parents)
    store.put(recipe, xr.Dataset({"x": ("i", [float(seed)])}))
    return recipe


def campaign(root: Path, fits: int = 4) -> tuple[Store, dict[str, list[Recipe]]]:
    """Return a store like that of a comparison of several flows."""
    store = Store(root)
    made: dict[str, list[Recipe]] = {"events": [put(store, "resonance", 0)]}
    truth, floor = put(store, "resonance", 1), put(store, "resonance", 2)
    events = made["events"][0]
    names = ["fit-maf", "fit-spline_flow", "fit-coupling", "fit-mixture"]
    trained_on = Parent(events.key, 0, 48_500, "ab" * 32)
    made["fits"] = [put(store, names[k % 4], k, trained_on) for k in range(fits)]
    made["drawn"] = [
        put(store, "flow_sample", k, Parent(fit.key)) for k, fit in enumerate(made["fits"])
    ]
    made["residuals"] = [
        put(store, "residuals", k, Parent(drawn.key, 0, 1_620_000), Parent(truth.key, 0, 10),
            Parent(events.key, 0, 48_500), Parent(floor.key, 0, 10))
        for k, drawn in enumerate(made["drawn"])
    ]  # fmt: skip
    return store, made


# -- the graph and the states, without a browser ---------------------------------------


def boxes(svg: str) -> dict[str, tuple[float, float]]:
    """Return the corner of each entry's box by the beginning of its key."""
    found = re.finditer(r'key=([0-9a-f]{16})".*?<rect x="([\d.]+)" y="([\d.]+)"', svg)
    return {m[1]: (float(m[2]), float(m[3])) for m in found}


def test_parents_stand_left_of_children_and_boxes_do_not_touch(tmp_path):
    store, made = campaign(tmp_path / "store")
    entries = store.list()
    svg = lineage(made["events"][0].key, entries, {})
    places = boxes(svg)
    assert len(places) == 1 + 4 * 3
    for entry in entries:
        for parent in entry.parents:
            if entry.key[:16] in places and parent.key[:16] in places:
                assert places[parent.key[:16]][0] + BOX < places[entry.key[:16]][0]
    corners = sorted(places.values())
    for (x, y), (other_x, other_y) in pairwise(corners):
        assert x != other_x or other_y - y >= STEP - 0.11
    assert "part of 0–48\u202f500" in svg
    width, height = map(float, re.search(r'viewBox="-3 -3 (\d+) (\d+)"', svg).groups())
    assert max(x for x, _ in places.values()) + BOX <= width
    assert max(y for _, y in places.values()) < height


def test_a_graph_of_one_box_and_a_graph_of_very_many(tmp_path):
    store = Store(tmp_path / "one")
    alone = put(store, "alone", 0)
    assert len(boxes(lineage(alone.key, store.list(), {}))) == 1
    store, made = campaign(tmp_path / "many", fits=30)
    svg = lineage(made["events"][0].key, store.list(), {})
    assert len(boxes(svg)) == MOST
    assert "more are further away" in svg


def test_states_follow_what_is_done_to_the_files(tmp_path):
    store, made = campaign(tmp_path / "store", fits=1)
    recipe = made["fits"][0]
    path = store.file(recipe, "product.nc")

    def state() -> str:
        entry = next(e for e in store.list() if e.key == recipe.key)
        return standing_of(entry).kind

    assert state() == "unchecked"
    assert store.check(recipe, remember=True) == []
    assert state() == "checked"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert state() == "changed"
    assert store.check(recipe, remember=True)
    assert state() == "damaged"
    path.write_bytes(content[:-1])
    assert state() == "damaged"
    path.write_bytes(content)
    assert state() == "changed", "restored, but nobody looked"
    assert store.check(recipe, remember=True) == []
    assert state() == "checked"
    (path.parent / ".checked.json").write_text("[1, 2")
    assert state() == "unchecked"


def test_a_check_says_how_far_it_is_and_leaves_nothing_unless_asked_to(tmp_path):
    store, made = campaign(tmp_path / "store", fits=1)
    said: list[tuple[int, int]] = []
    assert store.check(made["fits"][0], lambda *far: said.append(far)) == []
    assert said
    assert said[-1][0] == said[-1][1] > 0
    assert not list(store.root.rglob(".checked.json"))


def test_a_long_list_is_cut_and_searched_as_a_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(store_page, "MOST", 10)
    store, made = campaign(tmp_path / "store")  # 15 datasets
    shown = store_page.page(store, Query({}), {})
    assert shown.count("data-text=") == 10
    assert "the first 10 of 15 found" in shown
    last = made["residuals"][0].key
    for words, rows in (("residuals BINS", 4), (last, 1), ("nothing like this", 0)):
        assert store_page.page(store, Query({"q": words}), {}).count("data-text=") == rows
    assert last in store_page.page(store, Query({"key": last[:16], "q": "maf"}), {})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "just now"), (200, "3 min ago"), (7300, "2 h ago"), (200_000, "2 d ago")],
)
def test_times_are_told_as_people_do(seconds, text):
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds))
    assert ago(when) == text
    assert ago("yesterday") == "yesterday"


def test_commands_can_be_pasted_into_a_shell(tmp_path):
    store, made = campaign(tmp_path / "with space & more", fits=1)
    record = tmp_path / "runs" / "events" / "0123" / "record.json"
    record.parent.mkdir(parents=True)
    key = made["residuals"][0].key
    known = {"study": "events", "step": "4", "key": "0123", "state": "done"}
    record.write_text(json.dumps({**known, "products": {"residuals": key}}))
    shown = store_page.page(store, Query({"key": key[:16]}))
    assert f"presage run events --from {key[:16]} --store &#x27;{tmp_path}/with space" in shown
    assert f"presage store show {key[:16]} --store &#x27;" in shown
    assert "ps.Store(&#x27;" in shown


# -- in a browser ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(tmp_path_factory, servers) -> tuple[Site, Store, dict[str, list[Recipe]]]:
    folder = tmp_path_factory.mktemp("shop")
    store, made = campaign(folder / "store")
    return start(store.root, "", servers, folder / "server.log"), store, made


@pytest.fixture
def page(browser, shop) -> Iterator[object]:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.goto(f"{shop[0].url}?page=store&sort=producer", timeout=PATIENCE)
    yield page
    page.close()
    assert faults == []
    assert "Traceback" not in shop[0].log.read_text()


def shown(page: object, recipe: Recipe) -> None:
    """Wait until an entry is the one that is shown, everywhere."""
    page.locator("#details dd", has_text=recipe.key).wait_for(timeout=PATIENCE)
    chosen = page.locator("tr.chosen code").inner_text()
    assert recipe.key.startswith(chosen)
    assert page.locator(f'#graph a[aria-current="true"][href*="{recipe.key[:16]}"]').count() == 1
    assert f"key={recipe.key[:16]}" in page.url


@needs_browser
def test_links_keys_and_the_way_back_lead_from_entry_to_entry(page, shop):
    _, _, made = shop
    page.locator("table.entries tr", has_text=made["fits"][1].key[:8]).click()
    shown(page, made["fits"][1])
    assert '"bins": 16' in page.locator("#details pre").inner_text()
    page.locator(f'#graph a[href*="{made["drawn"][1].key[:16]}"]').focus()
    page.keyboard.press("Enter")
    shown(page, made["drawn"][1])
    page.go_back()
    shown(page, made["fits"][1])
    row = page.locator("tr.chosen + tr code").inner_text()
    page.keyboard.press("ArrowDown")
    page.locator("tr.chosen code", has_text=row).wait_for(timeout=PATIENCE)
    for width in (1280, 1600):
        page.set_viewport_size({"width": width, "height": 900})
        wide, room = page.evaluate("[document.body.scrollWidth, document.body.clientWidth]")
        assert wide <= room


@needs_browser
def test_the_search_narrows_the_list_and_stands_in_the_address(page, shop):
    page.keyboard.press("/")
    page.keyboard.type("residuals")
    rows = page.locator("table.entries tbody tr:visible")
    assert rows.count() == 4
    assert "q=residuals" in page.url
    page.reload(timeout=PATIENCE)
    page.wait_for_function("document.querySelector('#search').value === 'residuals'")
    assert rows.count() == 4
    page.locator("#search").fill("nothing like this")
    assert rows.count() == 0
    page.locator("#search").press("Escape")
    assert rows.count() == 15


@needs_browser
def test_checks_end_with_a_verdict_that_is_remembered(page, shop):
    _, store, made = shop
    bad = store.file(made["drawn"][0], "product.nc")
    content = bad.read_bytes()
    bad.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    page.locator("table.entries tr", has_text=made["fits"][0].key[:8]).click()
    shown(page, made["fits"][0])
    page.get_by_role("button", name="Check sizes and hashes").click()
    page.get_by_text("This dataset holds what was published.").wait_for(timeout=PATIENCE)
    assert "checked just now" in page.locator("tr.chosen").inner_text()
    page.get_by_role("button", name="Check all").click()
    page.locator("#all.bad", has_text="does not match its hash").wait_for(timeout=PATIENCE)
    page.reload(timeout=PATIENCE)
    assert "1 damaged · 14 checked" in page.locator("#summary").inner_text()
    bad.write_bytes(content)
    assert page.get_by_role("button", name=re.compile("remove|delete", re.I)).count() == 0
