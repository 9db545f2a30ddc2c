"""The dashboard on stores and addresses that make no sense: a clear page, and the rest works."""

from __future__ import annotations

import http.client
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import numpy as np
import pytest
import xarray as xr

import residuals_toy as toy
from browsing import PATIENCE, Site, needs_browser, start
from faults import toys
from presage.recipe import Parent, Recipe
from presage.store import Store
from presage.store.sidecar import read_sidecar, sidecar_path

pytestmark = pytest.mark.browser
MARKUP = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'


@dataclass
class Bad:
    """A store with everything that can be wrong, its server, and the keys by what is wrong."""

    site: Site
    store: Store
    keys: dict[str, str]


@pytest.fixture(scope="module")
def bad(tmp_path_factory, servers) -> Bad:
    folder = tmp_path_factory.mktemp("bad")
    store, keys = worst_store(folder / "store")
    return Bad(start(store.root, keys["good"], servers, folder / "server.log"), store, keys)


def worst_store(root: Path) -> tuple[Store, dict[str, str]]:
    """Return a store with one good product among faulty ones of every kind."""
    keys = {}
    small = toy.residuals(steps=3, n=300)
    store, keys["good"] = toy.store_with(root, small)

    def put(name: str, dataset: xr.Dataset, producer: str = "residuals") -> Path:
        recipe = Recipe(producer, 1, {"name": name})
        store.put(recipe, dataset)
        keys[name] = recipe.key
        return store.entry(recipe).folder / "product.nc"

    cut = put("truncated", small)
    cut.write_bytes(cut.read_bytes()[:-1000])
    flipped = put("flipped", small)
    content = bytearray(flipped.read_bytes())
    content[-50] ^= 1
    flipped.write_bytes(content)
    put("gone", small).unlink()
    put("foreign", xr.Dataset({"power": ("ell", np.arange(5.0))}))
    for field in ("counts_2d", "edges", "region"):
        put(f"without {field}", small.drop_vars(field))
    put("markup", _with_markup(small))
    edited = sidecar_path(put("newer sidecar", small))
    held = json.loads(edited.read_text())
    edited.write_text(json.dumps({**held, "format": 99}))
    unknown = sidecar_path(put("unknown field", small))
    unknown.write_text(json.dumps({**json.loads(unknown.read_text()), "colour": "blue"}))
    newer = put("newer recipe", small).parent / "recipe.json"
    newer.write_text(json.dumps({**json.loads(newer.read_text()), "schema": 99}))
    half = put("half", small, "fit-maf").parent
    (half / "work").mkdir()
    (half / "work" / "last.pt").write_bytes(b"x" * 2000)
    (half / ".shard-0.nc.host-1-2.tmp").write_bytes(b"x" * 700)
    (half / "quarantine").mkdir()
    (half / "quarantine" / "product.nc.20260101").write_bytes(b"x" * 9000)
    (root / "strange" / "0123456789abcdef").mkdir(parents=True)
    (root / "strange" / "file").write_text("no folder")
    (root / "strange" / "0123456789abcdef" / "recipe.json").write_text(MARKUP)
    put("named", xr.Dataset({"x": ("i", [1.0])}), "plain")
    keys |= {name: folder.name for name, folder in toys.spoil(store).items()}
    return store, keys


def _with_markup(small: xr.Dataset) -> xr.Dataset:
    """Return residuals of a foreign file, with markup wherever there is text."""
    sources = [MARKUP + s if s == "nearest" else s for s in small["source"].values.tolist()]
    foreign = small.assign_coords(
        source=np.array(sources, dtype=object),
        title=("variable", np.array([MARKUP] * small.sizes["variable"], dtype=object)),
    )
    foreign.attrs["model"] = MARKUP
    for name in ("phi_label", "w1_over_std"):
        foreign[name].attrs.update(long_name=MARKUP, units=MARKUP)
    return foreign


# -- the server alone ------------------------------------------------------------------


def ask(site: Site, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict]:
    parts = urlsplit(site.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=180)
    body = headers.pop("body", None)
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode("utf-8", "replace")
    connection.close()
    return answer.status, text, dict(answer.getheaders())


def test_the_store_page_shows_every_fault_and_all_the_rest(bad):
    status, text, _ = ask(bad.site, "/?page=store&sort=state")
    assert status == 200
    for key in bad.keys.values():
        assert key[:8] in text
    for said in ("1 file in quarantine", "from a newer presage", "unfinished", "damaged"):
        assert said in text
    assert "<img src=x" not in text
    assert "Traceback" not in bad.site.log.read_text()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("truncated", "bytes,"),
        ("gone", "product.nc is missing"),
        ("newer sidecar", "written by a newer presage (format 99"),
        ("unknown field", "is no sidecar"),
        ("newer recipe", "of schema 99, this presage reads"),
        ("half", "1 file in quarantine"),
        ("half", "last.pt"),
        ("half", ".shard-0.nc.host-1-2.tmp"),
        ("good", "hashes were never checked as a whole"),
        *((name, said) for name, (_, said) in toys.BAD_RECIPES.items()),
    ],
)
def test_an_entry_says_what_is_wrong_with_it(bad, name, expected):
    status, text, _ = ask(bad.site, f"/?page=store&key={bad.keys[name][:16]}")
    assert status == 200
    assert expected in text


def test_a_check_finds_what_sizes_do_not_show_and_is_remembered(bad):
    key = bad.keys["flipped"][:16]
    before = ask(bad.site, f"/?page=store&key={key}")[1]
    assert "sizes fit" in before
    status, text, _ = ask(bad.site, "/check", "POST", body=f"key={key}")
    assert status == 200
    (problem,) = json.loads(text.splitlines()[-1])["problems"]
    assert "does not match its hash" in problem
    after = ask(bad.site, f"/?page=store&key={key}")[1]
    assert "does not match its hash" in after
    assert "found just now" in after


@pytest.mark.parametrize(
    ("path", "method", "headers", "expected"),
    [
        ("/product/../../etc/passwd.nc", "GET", {}, 404),
        ("/product/..%2f..%2fetc.nc", "GET", {}, 404),
        ("/product/0000000000000000.nc", "GET", {}, 404),
        ("/product/a.nc", "GET", {}, 404),
        ("/script/..%2fbokeh.js", "GET", {}, 404),
        ("/script/bokeh-gl.js", "GET", {}, 404),
        ("/check", "POST", {"body": "key=zz"}, 404),
        ("/check", "POST", {"body": "key=..%2f"}, 404),
        ("/check", "GET", {}, 405),
    ],
)
def test_requests_that_are_refused(bad, path, method, headers, expected):
    assert ask(bad.site, path, method, **headers)[0] == expected


LONG = "9" * 5000
NONSENSE = [
    "page=store&key=" + quote(MARKUP),
    "page=store&key=" + LONG,
    "page=store&key=../../../etc/passwd",
    "page=store&key=%00%ff%fe",
    "page=store&sort=" + quote(MARKUP),
    "page=store&q=" + quote('"><script>window.hit=1</script>'),
    "page=" + quote(MARKUP),
    "page=store&page=events&key=a&key=b&sort=size&sort=kind",
    "page=store&key=" + quote("κλειδί 🔑"),
    "&&&===;;;%%%",
    "page=store&" + "&".join(f"a{i}=1" for i in range(90)),
]


@pytest.mark.parametrize("query", NONSENSE)
def test_an_address_that_makes_no_sense_is_answered_with_a_page(bad, query):
    status, text, headers = ask(bad.site, "/?" + query)
    assert status == 200
    assert "<header>" in text
    assert "<img src=x" not in text
    assert "<script>window.hit" not in text
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_a_store_that_is_no_folder_or_vanishes_is_said(tmp_path, servers):
    site = start(tmp_path / "store", "", servers, tmp_path / "server.log")
    assert "The store is empty" in ask(site, "/?page=store")[1]
    store, key = toy.store_with(tmp_path / "store", toy.residuals(steps=2, n=100))
    assert key[:16] in ask(site, "/?page=store")[1]
    shutil.rmtree(store.root)
    assert "The store is empty" in ask(site, f"/?page=store&key={key}")[1]
    assert ask(site, f"/product/{key[:16]}.nc")[0] == 404
    assert ask(site, "/check", "POST", body=f"key={key[:16]}")[0] == 404
    store.root.write_text("a file")
    assert ask(site, "/?page=store")[0] == 200
    assert "Traceback" not in site.log.read_text()


def test_a_download_is_the_file_that_the_store_holds(bad):
    key = bad.keys["good"]
    parts = urlsplit(bad.site.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=180)
    connection.request("GET", f"/product/{key[:16]}.nc")
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    path = bad.store.file(bad.store.find(key), "product.nc")
    assert path is not None
    assert content == path.read_bytes()
    assert len(content) == read_sidecar(sidecar_path(path)).size


# -- in a browser ----------------------------------------------------------------------


@pytest.fixture
def page(browser, bad) -> Iterator[object]:
    """A page that no script of a dataset has run on, at the end."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    assert page.evaluate("window.hit === undefined")
    page.close()
    assert faults == []


def text_of(page: object, url: str) -> str:
    """Open an address of the events page, and return what is to be read when it is there."""
    page.goto(url, timeout=PATIENCE)
    page.wait_for_function(
        "document.querySelector('.waiting') === null && document.querySelector('#main').shadowRoot"
        " === null && Bokeh?.documents[0]?.is_idle",
        timeout=PATIENCE,
    )
    page.wait_for_timeout(200)
    return page.evaluate(_TEXT)


_TEXT = """() => {
  let text = "";
  const walk = (root) => { for (const e of root.querySelectorAll('*')) {
    if (e.shadowRoot) walk(e.shadowRoot);
    for (const n of e.childNodes) if (n.nodeType === 3) text += n.data + " ";
  } };
  walk(document.querySelector("#main"));
  return text;
}"""


@needs_browser
@pytest.mark.parametrize(
    ("name", "expected"),
    [("truncated", "This page cannot be shown"), ("foreign", "This page cannot be shown"),
     ("without counts_2d", "This page cannot be shown"), ("markup", MARKUP)],
)  # fmt: skip
def test_a_faulty_product_is_said_and_others_are_shown(bad, page, name, expected):
    told = text_of(page, f"{bad.site.url}?page=events&key={bad.keys[name][:16]}")
    assert expected in told
    if name != "markup":
        assert bad.keys["good"][:16] in told, "others are named"
    assert "Traceback" not in bad.site.log.read_text()


@needs_browser
def test_views_make_no_sense_one_by_one_and_all_at_once(bad, page):
    wrong = ["label=nan,inf", "label=1e999,2", "label=" + LONG, "label=1,2,3", "source=" + LONG,
             "metric=%F0%9F%94%91", "overlay=,,,flow,flow,x", "strip=%00", "colour=[]",
             "pair=phi_mass", "live=nan", "with=../..", "panel=" + quote(MARKUP),
             "against=reference"]  # fmt: skip
    told = text_of(page, f"{bad.site.url}?key={bad.keys['good'][:16]}&" + "&".join(wrong))
    assert "a label is 2 numbers" in told
    assert page.evaluate("presage.state.label") >= 0
    assert page.locator(".notice").count() >= 6
    page.locator(".notice .close").first.click()
    told = text_of(page, f"{bad.site.url}?key={bad.keys['good'][:16]}&label=1e9,-1e9")
    assert "shown is the closest" in told


@needs_browser
def test_two_visitors_have_views_of_their_own(bad, browser):
    visitors = [browser.new_context().new_page() for _ in range(2)]
    for number, visitor in enumerate(visitors):
        visitor.goto(
            f"{bad.site.url}?key={bad.keys['good'][:16]}&strip={('pull', 'ratio')[number]}",
            timeout=PATIENCE,
            wait_until="commit",
        )
    for visitor in visitors:
        visitor.wait_for_function("window.presage !== undefined", timeout=PATIENCE)
    first, second = visitors
    label = second.evaluate("presage.state.label")
    first.evaluate("presage.set({label: (presage.state.label + 4) % 9})")
    first.wait_for_timeout(400)
    assert second.evaluate("[presage.state.label, presage.state.strip]") == [label, "ratio"]
    assert first.evaluate("presage.state.strip") == "pull"
    assert first.evaluate("presage.state.label") != label
    for visitor in visitors:
        visitor.context.close()


@needs_browser
def test_a_server_that_ends_is_said_on_the_page(tmp_path, servers, browser):
    _, key = toy.store_with(tmp_path / "store", toy.residuals(steps=3, n=300))
    site = start(tmp_path / "store", key, servers, tmp_path / "server.log")
    page, other = browser.new_page(), browser.new_page()
    page.goto(site.url, timeout=PATIENCE)
    page.wait_for_function("window.presage !== undefined", timeout=PATIENCE)
    other.goto(site.url + "?page=store", timeout=PATIENCE)
    site.process.kill()
    page.locator("#said .notice", has_text="server has stopped").wait_for(timeout=PATIENCE)
    label = page.evaluate("presage.state.label")
    page.evaluate("presage.set({label: (presage.state.label + 1) % 9})")
    assert page.evaluate("presage.state.label") != label, "what was loaded can be looked at"
    other.locator("table.entries a", has_text="resonance").click()
    other.locator("#said .notice", has_text="server has stopped").wait_for(timeout=PATIENCE)
    page.close()
    other.close()


def test_parents_that_are_not_there_are_drawn(tmp_path):
    from dashboards.kit.query import Query
    from dashboards.pages.shelves import page as store_page

    store = Store(tmp_path / "store")
    missing = Recipe("lost", 1)
    store.put(Recipe("found", 1, parents=(Parent(missing.key, 0, 10),)), xr.Dataset({"x": 1.0}))
    shown = store_page.page(store, Query({}))
    assert "not in this store" in shown
    assert missing.key[:8] in shown
